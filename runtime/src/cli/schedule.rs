//! `schedule`: work by the calendar.

use anyhow::Context as _;
use clap::{
    Args, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};

use super::{arguments::read_input, human, output::Output};
use crate::{
    api::{
        Client,
        wire::{self, FromText, Text},
    },
    rules::{BundleId, Calendar, Identifier, KindName, MissedRuns, ScheduleId, ScheduleName, ScheduleState, ZoneName},
};

#[derive(Debug, Args)]
pub(super) struct Schedules {
    #[command(subcommand)]
    command: ScheduleCommand,
}

#[derive(Debug, Subcommand)]
enum ScheduleCommand {
    /// List the schedules, and when each comes next
    #[command(after_help = "Example:\n  idlewild schedule list --bundle com.example.gallery")]
    List(List),
    /// Ask for a task again and again, by the calendar
    #[command(after_help = "\
CALENDAR has five parts: minutes, hours, days of the month, months, days of the week. A schedule that was added under the same \
name is replaced.

Example:
  idlewild schedule add nightly com.example.gallery.refresh '30 2 * * *' --time-zone Europe/Berlin --jitter 10m")]
    Add(Box<Add>),
    /// Show when a schedule comes next
    #[command(after_help = "Example:\n  idlewild schedule next com.example.gallery:nightly --count 10")]
    Next(Next),
    /// Let a disabled schedule run again
    #[command(after_help = "Example:\n  idlewild schedule enable com.example.gallery:nightly")]
    Enable(OfSchedule),
    /// Keep a schedule from running; what comes meanwhile is not made good
    #[command(after_help = "Example:\n  idlewild schedule disable com.example.gallery:nightly")]
    Disable(OfSchedule),
    /// Remove a schedule that was added
    #[command(after_help = "\
What it has asked for already stays pending. What a manifest declares can be disabled.

Example:
  idlewild schedule remove com.example.gallery:nightly")]
    Remove(OfSchedule),
}

#[derive(Debug, Args)]
struct List {
    /// Only those of this bundle
    #[arg(long, value_parser = BundleId::parse)]
    bundle: Option<BundleId>,
    /// Only those behind this one: the last of the page before
    #[arg(long, value_name = "SCHEDULE", value_parser = ScheduleId::parse)]
    after: Option<ScheduleId>,
    /// At most so many
    #[arg(long, default_value_t = 100, value_parser = super::arguments::limit)]
    limit: usize,
}

#[derive(Debug, Args)]
struct Add {
    /// What to call it
    #[arg(value_name = "NAME", value_parser = ScheduleName::parse)]
    name: ScheduleName,
    /// Which handler is to run
    #[arg(value_name = "IDENTIFIER", value_parser = Identifier::parse)]
    identifier: Identifier,
    /// When, such as '30 2 * * *' for every day at half past two
    #[arg(value_name = "CALENDAR", value_parser = Calendar::parse)]
    calendar: Calendar,
    /// Whose clock that is, such as Europe/Berlin, or local for the machine's own
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = ZoneName::parse)]
    time_zone: ZoneName,
    /// Each run may begin later by up to so much, such as 10m
    #[arg(long, value_name = "TIME", value_parser = human::parse_length)]
    jitter: Option<jiff::SignedDuration>,
    /// What becomes of runs that nobody was there for: none runs, the last does, or each does
    #[arg(long, default_value = "skip", value_parser = PossibleValuesParser::new(["skip", "once", "all"]).try_map(|word| MissedRuns::from_text(&word)))]
    missed: MissedRuns,
    /// Do not let it run yet
    #[arg(long)]
    disabled: bool,
    /// What sort of work it is [default: processing when it requires network or power, else app-refresh]
    #[arg(long, value_parser = PossibleValuesParser::new(["app-refresh", "processing"]).try_map(|word| KindName::from_text(&word)))]
    kind: Option<KindName>,
    /// What the handler is given: the text itself, @FILE for a file's content, @- for stdin
    #[arg(long, value_name = "TEXT|@FILE")]
    input: Option<String>,
    /// Only while there is a network
    #[arg(long)]
    requires_network: bool,
    /// Only while the machine does not run on battery
    #[arg(long)]
    requires_external_power: bool,
}

#[derive(Debug, Args)]
struct Next {
    #[command(flatten)]
    of: OfSchedule,
    /// So many dates
    #[arg(long, default_value_t = wire::DEFAULT_TIMES, value_parser = times)]
    count: usize,
}

#[derive(Debug, Args)]
struct OfSchedule {
    /// Its bundle's id, a colon, and its name, as `idlewild schedule list` shows it
    #[arg(value_name = "SCHEDULE", value_parser = ScheduleId::parse)]
    schedule: ScheduleId,
}

fn times(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count @ 1..=wire::TIMES_LIMIT) => Ok(count),
        _ => Err(format!("it is a number between 1 and {}", wire::TIMES_LIMIT)),
    }
}

pub(super) async fn schedule(client: &Client, out: &mut Output, command: Schedules) -> anyhow::Result<()> {
    match command.command {
        ScheduleCommand::List(command) => list(client, out, command).await,
        ScheduleCommand::Add(command) => add(client, out, *command).await,
        ScheduleCommand::Next(command) => next(client, out, command).await,
        ScheduleCommand::Enable(command) => switch(client, out, command, true).await,
        ScheduleCommand::Disable(command) => switch(client, out, command, false).await,
        ScheduleCommand::Remove(command) => remove(client, out, command).await,
    }
}

async fn list(client: &Client, out: &mut Output, command: List) -> anyhow::Result<()> {
    let List { bundle, after, limit } = command;
    let bundle = bundle.map(|bundle| format!("&bundle={bundle}")).unwrap_or_default();
    let after = after.map(|after| format!("&after={after}")).unwrap_or_default();
    let schedules: Vec<wire::Schedule> = client.get(&format!("/v1/schedules?limit={limit}{bundle}{after}")).await?;
    if out.json {
        return out.objects(&schedules);
    }
    if schedules.is_empty() {
        return out.line("there is no schedule");
    }
    let rows: Vec<_> = schedules.iter().map(row).collect();
    out.table(["SCHEDULE", "IDENTIFIER", "CALENDAR", "ZONE", "MISSED", "BY", "NEXT"], &rows)?;
    match schedules.last() {
        Some(last) if schedules.len() == limit => {
            out.line(&format!("(the first {limit}: --after {} goes on)", last.schedule))
        }
        Some(_) | None => Ok(()),
    }
}

fn row(schedule: &wire::Schedule) -> [String; 7] {
    [
        schedule.schedule.to_string(),
        schedule.identifier.to_string(),
        schedule.calendar.to_string(),
        zone(schedule),
        schedule.missed.to_string(),
        schedule.origin.to_string(),
        when(schedule),
    ]
}

/// What its zone is called; of `local`, what that is now.
fn zone(schedule: &wire::Schedule) -> String {
    match (&schedule.zone, schedule.time_zone.0.is_local()) {
        (Some(zone), true) => format!("local ({zone})"),
        (Some(_) | None, _) => schedule.time_zone.to_string(),
    }
}

/// When it comes next, or why it does not.
fn when(schedule: &wire::Schedule) -> String {
    match schedule.state.0 {
        ScheduleState::Enabled => match schedule.next.first() {
            Some(next) => human::moment(&next.begins),
            None => "never again".to_owned(),
        },
        ScheduleState::Disabled => "disabled".to_owned(),
        ScheduleState::BundleDisabled => "its bundle is disabled".to_owned(),
        ScheduleState::UnknownZone => "its time zone is unknown here".to_owned(),
    }
}

async fn add(client: &Client, out: &mut Output, command: Add) -> anyhow::Result<()> {
    let Add { name, identifier, calendar, time_zone, jitter, missed, disabled, .. } = command;
    let (requires_network, requires_external_power) = (command.requires_network, command.requires_external_power);
    let kind = match command.kind {
        Some(kind) => kind,
        None if requires_network || requires_external_power => KindName::Processing,
        None => KindName::AppRefresh,
    };
    let mut asked = wire::AddSchedule::new(name, identifier, kind, calendar);
    asked.requires_network_connectivity = requires_network;
    asked.requires_external_power = requires_external_power;
    asked.time_zone = Text(time_zone);
    asked.jitter_ms = u64::try_from(jitter.unwrap_or_default().as_millis()).context("the jitter is too long")?;
    asked.missed = Text(missed);
    asked.input = wire::Bytes(command.input.as_deref().map_or(Ok(Vec::new()), read_input)?);
    asked.enabled = !disabled;
    let granted: wire::ScheduleGranted = client.post("/v1/schedules", &asked).await?;
    if out.json {
        return out.object(&granted);
    }
    let wire::ScheduleGranted { schedule, changed, replaced } = granted;
    out.line(&match (changed, replaced) {
        (false, _) => format!("schedule {schedule} is so already"),
        (true, false) => format!("schedule {schedule} is added"),
        (true, true) => format!("schedule {schedule} is added, in place of the one before"),
    })?;
    let made: wire::Schedule = client.get(&format!("/v1/schedules/{schedule}")).await?;
    out.line(&format!("it comes next: {} (time zone {})", when(&made), zone(&made)))?;
    out.hint_to_serve()
}

async fn next(client: &Client, out: &mut Output, command: Next) -> anyhow::Result<()> {
    let Next { of: OfSchedule { schedule }, count } = command;
    let found: wire::Schedule = client.get(&format!("/v1/schedules/{schedule}?times={count}")).await?;
    if out.json {
        return out.objects(&found.next);
    }
    if found.next.is_empty() {
        return out.line(&format!("{schedule} does not come: {}", when(&found)));
    }
    let rows: Vec<_> = found
        .next
        .iter()
        .map(|wire::Occurrence { at, begins, local }| [local.clone(), human::moment(at), human::moment(begins)])
        .collect();
    out.table([&format!("IN {}", zone(&found)), "IN UTC", "BEGINS"], &rows)
}

async fn switch(client: &Client, out: &mut Output, command: OfSchedule, enabled: bool) -> anyhow::Result<()> {
    let OfSchedule { schedule } = command;
    let switch = wire::SwitchSchedule { enabled };
    let granted: wire::ScheduleGranted = client.put(&format!("/v1/schedules/{schedule}/enabled"), &switch).await?;
    if out.json {
        return out.object(&granted);
    }
    let state = if enabled { "enabled" } else { "disabled" };
    out.line(&match granted.changed {
        true => format!("schedule {schedule} is {state}"),
        false => format!("schedule {schedule} is {state} already"),
    })
}

async fn remove(client: &Client, out: &mut Output, command: OfSchedule) -> anyhow::Result<()> {
    let OfSchedule { schedule } = command;
    let granted: wire::ScheduleGranted = client.delete(&format!("/v1/schedules/{schedule}")).await?;
    if out.json {
        return out.object(&granted);
    }
    out.line(&format!("schedule {schedule} is removed"))
}

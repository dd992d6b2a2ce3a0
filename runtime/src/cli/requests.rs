//! `submit`, `pending`, `cancel`, `why`.

use std::process::ExitCode;

use futures_util::StreamExt as _;

use super::{
    INTERRUPTED, NOT_ALL_SUCCEEDED,
    arguments::{Expire, Launch, Named, Pending, Submit},
    attach,
    follow::{self, Following},
    human,
    output::Output,
    tasks,
};
use crate::api::{Client, wire};

pub(super) async fn submit(client: &Client, out: &mut Output, command: Submit) -> anyhow::Result<ExitCode> {
    if command.wait || command.attach {
        return submit_and_follow(client, out, command).await;
    }
    let identifier = command.identifier.clone();
    let submission = send(client, command).await?;
    if out.json {
        out.object(&submission)?;
        return Ok(ExitCode::SUCCESS);
    }
    let wire::Submission { request, replaced } = submission;
    let replaced = if replaced { ", in place of an earlier one" } else { "" };
    out.line(&format!("request {request} is accepted{replaced}"))?;
    match out.running {
        true => {
            let why = out.command(&format!("why {identifier}"));
            out.line(&format!("see how it fares: {why}"))
        }
        false => out.hint_to_serve(),
    }?;
    Ok(ExitCode::SUCCESS)
}

async fn submit_and_follow(client: &Client, out: &mut Output, command: Submit) -> anyhow::Result<ExitCode> {
    if !out.running {
        let serve = out.command("serve");
        anyhow::bail!(
            "no host is running, so there is nothing to wait for: `{serve}` runs one, and without --wait and --attach the request is kept for it"
        )
    }
    let mut interrupts = follow::interrupts()?;
    // Heard from before it is submitted: its end may come with the answer.
    let events = client.events().await?.boxed();
    let (identifier, attaches) = (command.identifier.clone(), command.attach);
    let submission = send(client, command).await?;
    let following = Following::new(client, events, identifier, submission.request);
    if attaches {
        return Ok(attach::request(following, out, &mut interrupts).await?.code());
    }
    Ok(match follow::wait(following, out, &mut interrupts).await? {
        Some(true) => ExitCode::SUCCESS,
        Some(false) => ExitCode::from(NOT_ALL_SUCCEEDED),
        None => ExitCode::from(INTERRUPTED),
    })
}

async fn send(client: &Client, command: Submit) -> anyhow::Result<wire::Submission> {
    let (request, key) = (command.request()?, command.key);
    Ok(match key {
        None => client.post("/v1/requests", &request).await?,
        Some(key) => client.post_once("/v1/requests", &request, &key).await?,
    })
}

pub(super) async fn pending(client: &Client, out: &mut Output, command: Pending) -> anyhow::Result<()> {
    let waiting: Vec<wire::Waiting> = client.get(&format!("/v1/requests?limit={}", command.limit)).await?;
    if out.json {
        return out.objects(&waiting);
    }
    if waiting.is_empty() {
        return out.line("nothing is pending");
    }
    let rows: Vec<_> = waiting.iter().map(row).collect();
    out.table(["REQUEST", "IDENTIFIER", "KIND", "ATTEMPT", "SUBMITTED", "WAITS BECAUSE"], &rows)?;
    if waiting.len() == command.limit {
        out.line(&format!("(the oldest {}: --limit shows more)", command.limit))?;
    }
    Ok(())
}

fn row(waiting: &wire::Waiting) -> [String; 6] {
    let wire::Waiting { record, reasons, .. } = waiting;
    [
        record.id.to_string(),
        record.request.identifier.to_string(),
        record.request.kind.to_string(),
        record.attempt.to_string(),
        human::moment(&record.submitted_at),
        because(reasons),
    ]
}

/// The reasons in one line.
pub(super) fn because(reasons: &[wire::Reason]) -> String {
    match reasons {
        [] => "it is about to be launched".to_owned(),
        reasons => reasons.iter().map(|reason| reason.message.as_str()).collect::<Vec<_>>().join("; "),
    }
}

pub(super) async fn cancel(client: &Client, out: &mut Output, command: Named) -> anyhow::Result<()> {
    let cancelled: wire::Cancelled = client.delete(&format!("/v1/requests/{}", command.identifier)).await?;
    if out.json {
        return out.object(&cancelled);
    }
    let wire::Cancelled { cancelled, expired, ended } = cancelled;
    match cancelled {
        0 => out.line(&format!("nothing was pending for {}", command.identifier))?,
        number => out.line(&format!("{} of {} cancelled", human::plural(number, "request"), command.identifier))?,
    }
    if ended > 0 {
        out.line("what runs goes on, and is neither tried again nor repeated")?;
    }
    if expired > 0 {
        out.line(&format!("{} asked to stop", human::plural(expired, "running task")))?;
    }
    Ok(())
}

pub(super) async fn launch(client: &Client, out: &mut Output, command: Launch) -> anyhow::Result<()> {
    let asked = wire::LaunchNow { force: command.force };
    let path = format!("/v1/requests/{}/launch", command.identifier);
    let launched: wire::LaunchedNow = client.post(&path, &asked).await?;
    if out.json {
        return out.object(&launched);
    }
    let task = launched.task;
    out.line(&format!("task {task} of {} is launched", command.identifier))?;
    let see = out.command(&format!("task {task}"));
    out.line(&format!("see how it fares: {see}"))
}

pub(super) async fn expire(client: &Client, out: &mut Output, command: Expire) -> anyhow::Result<()> {
    let asked = wire::ExpireNow { reason: wire::Text(command.reason) };
    let path = format!("/v1/identifiers/{}/expire", command.identifier);
    let expired: wire::ExpiredNow = client.post(&path, &asked).await?;
    if out.json {
        return out.object(&expired);
    }
    let tasks = human::plural(expired.expired, "task");
    out.line(&format!("{tasks} of {} asked to stop: {}", command.identifier, command.reason))
}

pub(super) async fn why(client: &Client, out: &mut Output, command: Named) -> anyhow::Result<()> {
    let why: wire::Why = client.get(&format!("/v1/why/{}", command.identifier)).await?;
    if out.json {
        return out.object(&why);
    }
    for line in explain(&why, |rest| out.command(rest)) {
        out.line(&line)?;
    }
    Ok(())
}

/// What there is to say, in lines; `command` makes a command that means the same host.
fn explain(why: &wire::Why, command: impl Fn(&str) -> String) -> Vec<String> {
    let wire::Why { bundle: _, identifier, waiting, running, last } = why;
    let mut lines = Vec::new();
    if let Some(task) = running {
        lines.push(format!("{identifier} is running: {}", tasks::one_line(task)));
    }
    for wire::Waiting { record, reasons, smallest_change, looked_at } in waiting {
        let attempt = if record.attempt > 1 { format!(", attempt {}", record.attempt) } else { String::new() };
        let submitted = human::moment(&record.submitted_at);
        let request = format!("request {} of {identifier} (submitted {submitted}{attempt})", record.id);
        if reasons.is_empty() {
            lines.push(format!("{request} is about to be launched"));
            continue;
        }
        lines.push(format!("{request} waits because:"));
        for reason in reasons {
            lines.push(format!("  - {}, since {}", reason.message, human::moment(&reason.since)));
        }
        let hosted = reasons.iter().all(|reason| reason.code != "not-launching");
        let changes = smallest_change.len();
        lines.push(match changes {
            1 => "the smallest change that would let it run:".to_owned(),
            _ => format!("the smallest change that would let it run is these {changes}:"),
        });
        lines.extend(smallest_change.iter().flat_map(|mend| mend_and_command(mend, hosted, &command)));
        if let Some(force) = launchable(reasons) {
            lines.push(format!("to run it now all the same: {}", command(&format!("launch {identifier}{force}"))));
        }
        lines.push(match looked_at {
            Some(at) => format!("it is looked at again at {}, or as soon as something changes", human::moment(at)),
            None if hosted => "it is looked at again as soon as something changes".to_owned(),
            None => "it is looked at again when a host runs".to_owned(),
        });
    }
    if waiting.is_empty() {
        let submit = command(&format!("submit {identifier}"));
        let also = if running.is_some() { "nothing else" } else { "nothing" };
        lines.push(format!("{also} is pending for {identifier}: `{submit}` asks for it"));
    }
    match last {
        Some(task) => lines.push(format!("last time: {}", tasks::one_line(task))),
        None if running.is_none() => lines.push("it has not run yet".to_owned()),
        None => {}
    }
    lines
}

/// Whether a person can launch it in spite of the reasons, and what that takes.
pub(super) fn launchable(reasons: &[wire::Reason]) -> Option<&'static str> {
    let undated = ["earliest-begin", "resting", "run-after", "spaced", "budget-spent"];
    let dated = |reason: &wire::Reason| undated.contains(&reason.code.as_str());
    if !reasons.iter().all(|reason| dated(reason) || reason.condition.is_some()) {
        return None;
    }
    Some(if reasons.iter().all(dated) { "" } else { " --force" })
}

/// A change, and below it the command that makes it or tells more, where there is one. A condition is stated to a host that runs.
fn mend_and_command(mend: &wire::Mend, hosted: bool, command: impl Fn(&str) -> String) -> Vec<String> {
    let wire::Mend { change, message, condition, bundle, missing, identifier, .. } = mend;
    let typed = match (change.as_str(), condition, bundle, missing, identifier) {
        ("condition", Some(condition), ..) if hosted => Some(format!("conditions {condition}=yes")),
        ("condition", Some(condition), ..) => Some(format!("serve --assume {condition}")),
        ("grant", _, Some(bundle), Some(missing), _) => Some(format!("grants {bundle} {}", missing.option)),
        ("enable", _, Some(bundle), ..) => Some(format!("enable {bundle}")),
        ("succeed", .., Some(identifier)) => Some(format!("why {identifier}")),
        ("finish" | "end", ..) => Some("tasks".to_owned()),
        ("serve", ..) => Some("serve".to_owned()),
        _ => None,
    };
    let mut lines = vec![format!("  - {message}")];
    lines.extend(typed.map(|typed| format!("    {}", command(&typed))));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{
        Awaited, BundleId, Condition, Held, Identifier, KindName, Missing, Reason, RequestId, Timestamp,
        smallest_change,
    };

    fn identifier(name: &str) -> Identifier {
        Identifier::parse(name).unwrap()
    }

    fn why(waiting: Vec<wire::Waiting>) -> wire::Why {
        wire::Why {
            bundle: wire::Text(BundleId::parse("com.example.a").unwrap()),
            identifier: wire::Text(identifier("com.example.a.b")),
            waiting,
            running: None,
            last: None,
        }
    }

    fn at() -> Timestamp {
        "2026-07-28T09:00:00.25Z".parse().unwrap()
    }

    fn waiting(id: u64, reasons: &[Reason]) -> wire::Waiting {
        let request = wire::Request::new(identifier("com.example.a.b"), KindName::Processing);
        let record = wire::RequestRecord {
            id,
            bundle: wire::Text(BundleId::parse("com.example.a").unwrap()),
            attempt: 1,
            failures: 0,
            floor: None,
            urgent: false,
            submitted_at: wire::Text(at()),
            request,
        };
        let held: Vec<Held> = reasons.iter().map(|reason| Held { reason: reason.clone(), since: at() }).collect();
        wire::Waiting {
            record,
            reasons: held.iter().map(wire::Reason::from).collect(),
            smallest_change: smallest_change(&held, None).iter().map(wire::Mend::from).collect(),
            looked_at: None,
        }
    }

    #[test]
    fn each_reason_stands_verbatim_and_then_the_smallest_change_with_its_commands() {
        let idle = Reason::Lacks { condition: Condition::Idle, source: "load".into() };
        let after = Reason::RunAfter { identifier: identifier("com.example.a.c"), stands: Awaited::Failed };
        let behind = Reason::Behind { request: RequestId(5) };
        let bundle = || BundleId::parse("com.example.a").unwrap();
        let disabled = Reason::BundleDisabled { bundle: bundle() };
        let missing = Missing { ask: "to read the folder `photos`".into(), option: "--grant photos=PATH".into() };
        let lacks = Reason::NotGranted { bundle: bundle(), missing };
        let later = wire::Waiting { looked_at: Some(wire::Text(at())), ..waiting(8, std::slice::from_ref(&idle)) };
        let why = why(vec![
            waiting(5, &[after.clone(), idle.clone(), Reason::NotLaunching]),
            waiting(6, &[behind.clone(), idle.clone()]),
            waiting(7, &[disabled.clone(), lacks.clone()]),
            later,
        ]);
        let lines = explain(&why, |rest| format!("idlewild {rest} --state /s"));
        let reason = |reason: &Reason| format!("  - {reason}, since 2026-07-28T09:00:00Z");
        let of =
            |number| format!("request {number} of com.example.a.b (submitted 2026-07-28T09:00:00Z) waits because:");
        let expected = [
            of(5),
            reason(&after),
            reason(&idle),
            reason(&Reason::NotLaunching),
            "the smallest change that would let it run is these 3:".to_owned(),
            "  - com.example.a.c succeeds".to_owned(),
            "    idlewild why com.example.a.c --state /s".to_owned(),
            "  - idle comes to hold, or is stated".to_owned(),
            "    idlewild serve --assume idle --state /s".to_owned(),
            "  - a host runs".to_owned(),
            "    idlewild serve --state /s".to_owned(),
            "it is looked at again when a host runs".to_owned(),
            of(6),
            reason(&behind),
            reason(&idle),
            "the smallest change that would let it run is these 2:".to_owned(),
            "  - request 5 is finished or cancelled".to_owned(),
            "    idlewild tasks --state /s".to_owned(),
            "  - idle comes to hold, or is stated".to_owned(),
            "    idlewild conditions idle=yes --state /s".to_owned(),
            "it is looked at again as soon as something changes".to_owned(),
            of(7),
            reason(&disabled),
            reason(&lacks),
            "the smallest change that would let it run is these 2:".to_owned(),
            "  - com.example.a is enabled".to_owned(),
            "    idlewild enable com.example.a --state /s".to_owned(),
            "  - com.example.a is granted what it asks to read the folder `photos`".to_owned(),
            "    idlewild grants com.example.a --grant photos=PATH --state /s".to_owned(),
            "it is looked at again as soon as something changes".to_owned(),
            of(8),
            reason(&idle),
            "the smallest change that would let it run:".to_owned(),
            "  - idle comes to hold, or is stated".to_owned(),
            "    idlewild conditions idle=yes --state /s".to_owned(),
            "to run it now all the same: idlewild launch com.example.a.b --force --state /s".to_owned(),
            "it is looked at again at 2026-07-28T09:00:00Z, or as soon as something changes".to_owned(),
            "it has not run yet".to_owned(),
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn says_plainly_when_nothing_is_pending_and_what_to_run() {
        let lines = explain(&why(vec![]), |rest| format!("idlewild {rest}"));
        assert_eq!(
            lines,
            [
                "nothing is pending for com.example.a.b: `idlewild submit com.example.a.b` asks for it",
                "it has not run yet",
            ]
        );
    }
}

//! Schedules, as people see and change them.

use super::{Host, HostError};
pub use crate::scheduler::ScheduleGranted;
use crate::{
    bundle::Manifest,
    rules::{BundleId, Schedule, ScheduleId, ScheduleOrigin, ScheduleState, Timestamp, permits_of},
    scheduler::{Event, ScheduleWish, SchedulerError},
    spelling,
    store::StoredSchedule,
    zones::{self, Zone},
};

/// How many names are looked at to find the one that a mistyped one was meant to be.
const NAMES_COMPARED: usize = 1_000;

/// A schedule as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleView {
    pub id: ScheduleId,
    pub origin: ScheduleOrigin,
    pub schedule: Schedule,
    pub state: ScheduleState,
    /// What its time zone is called, of `local` the machine's own; none when it is unknown here.
    pub zone: Option<String>,
    /// Whether an occurrence has come that waits for the one before to be launched.
    pub owing: bool,
    /// What comes next, as long as it and its bundle are enabled.
    pub next: Vec<Occurrence>,
}

/// A date by the calendar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occurrence {
    pub at: Timestamp,
    /// With its jitter.
    pub begins: Timestamp,
    /// What the clock shows there at `at`.
    pub local: String,
}

/// Which schedules to list, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleFilter {
    pub bundle: Option<BundleId>,
    /// Only those behind this one: the last of the page before.
    pub after: Option<ScheduleId>,
    pub limit: usize,
    /// How many of the next dates of each.
    pub times: usize,
}

impl Host {
    pub async fn schedules(&self, filter: ScheduleFilter) -> Result<Vec<ScheduleView>, HostError> {
        let ScheduleFilter { bundle, after, limit, times } = filter;
        let listed =
            self.inner.mailbox.ask(move |_, core| core.schedules(bundle.as_ref(), after.as_ref(), limit)).await?;
        let mut views = Vec::new();
        let rows = self.rows().await?;
        for stored in listed {
            let enabled = rows.iter().any(|row| row.id == stored.bundle && row.enabled);
            views.push(view(stored, enabled, self.now(), times));
        }
        Ok(views)
    }

    /// One schedule, with its next dates. Errors: there is none of that name; names what it may have been meant to be.
    pub async fn schedule(&self, id: &ScheduleId, times: usize) -> Result<ScheduleView, HostError> {
        let all = ScheduleFilter { bundle: Some(id.bundle.clone()), after: None, limit: NAMES_COMPARED, times };
        match self.schedules(all).await?.into_iter().find(|view| view.id == *id) {
            Some(view) => Ok(view),
            None => self.granted(id, Err(SchedulerError::Unknown(format!("there is no schedule {id}")))).await,
        }
    }

    /// Makes a schedule on behalf of an operator, or puts it in place of the operator's own of its name. `bundle` is none when the
    /// identifier says whose it is.
    pub async fn put_schedule(
        &self,
        bundle: Option<BundleId>,
        schedule: Schedule,
    ) -> Result<ScheduleGranted, HostError> {
        zones::find(&schedule.zone).map_err(HostError::NotFound)?;
        let identifier = schedule.identifier.clone();
        let wish = ScheduleWish::Put { bundle, schedule: Box::new(schedule) };
        let granted = self.inner.mailbox.call(|reply| Event::Schedule { wish, reply }).await;
        self.or_nearest(&identifier, granted).await
    }

    /// Lets a schedule run, or not. What comes while it is disabled is not made good.
    pub async fn switch_schedule(&self, id: &ScheduleId, enabled: bool) -> Result<ScheduleGranted, HostError> {
        let wish = ScheduleWish::Switch { id: id.clone(), enabled };
        let granted = self.inner.mailbox.call(|reply| Event::Schedule { wish, reply }).await;
        self.granted(id, granted).await
    }

    /// Removes an operator's schedule. What it has asked for already stays pending.
    pub async fn remove_schedule(&self, id: &ScheduleId) -> Result<ScheduleGranted, HostError> {
        let wish = ScheduleWish::Remove { id: id.clone() };
        let granted = self.inner.mailbox.call(|reply| Event::Schedule { wish, reply }).await;
        self.granted(id, granted).await
    }

    /// An answer; or, where the schedule is unknown, an error that names the one it may have been meant to be.
    async fn granted<T>(&self, id: &ScheduleId, answer: Result<T, SchedulerError>) -> Result<T, HostError> {
        let message = match answer {
            Err(SchedulerError::Unknown(message)) => message,
            answer => return Ok(answer?),
        };
        let all = |core: &mut crate::scheduler::Core| core.schedules(None, None, NAMES_COMPARED);
        let known: Vec<String> = self
            .inner
            .mailbox
            .ask(move |_, core| all(core))
            .await?
            .iter()
            .map(|stored| stored.id().to_string())
            .collect();
        let wanted = id.to_string();
        Err(HostError::NotFound(match spelling::nearest(&wanted, known.iter().map(String::as_str)) {
            Some(near) => format!("{message}; did you mean {near}?"),
            None => message,
        }))
    }

    /// What a bundle's manifest declares must be what this host permits and this machine knows.
    pub(super) fn check_schedules(&self, manifest: &Manifest) -> Result<(), HostError> {
        let permits = permits_of(&manifest.background_modes, &manifest.permitted_identifiers);
        for schedule in &manifest.schedules {
            let fault = |fault: String| HostError::Bundle(format!("bundle {}: {fault}", manifest.id));
            schedule.check(&self.inner.policy, &permits).map_err(|refusal| fault(refusal.message))?;
            zones::find(&schedule.zone).map_err(|error| fault(format!("schedule {}: {error}", schedule.name)))?;
        }
        Ok(())
    }
}

fn view(stored: StoredSchedule, bundle_enabled: bool, now: Timestamp, times: usize) -> ScheduleView {
    let zone = zones::find(&stored.schedule.zone).ok();
    let state = match (&zone, stored.schedule.enabled, bundle_enabled) {
        (_, false, _) => ScheduleState::Disabled,
        (_, true, false) => ScheduleState::BundleDisabled,
        (None, true, true) => ScheduleState::UnknownZone,
        (Some(_), true, true) => ScheduleState::Enabled,
    };
    let next = match &zone {
        Some(zone) if state == ScheduleState::Enabled => occurrences(&stored, zone, now.max(stored.seen), times),
        Some(_) | None => Vec::new(),
    };
    ScheduleView {
        id: stored.id(),
        origin: stored.origin,
        state,
        zone: zone.map(|zone| zone.known_as),
        owing: stored.owing,
        next,
        schedule: stored.schedule,
    }
}

fn occurrences(stored: &StoredSchedule, zone: &Zone, after: Timestamp, times: usize) -> Vec<Occurrence> {
    let next = |after: &Timestamp| stored.schedule.calendar.next(*after, &zone.time_zone);
    let occurrence =
        |at| Occurrence { at, begins: stored.schedule.begins(&stored.bundle, at), local: zone.clock_at(at) };
    std::iter::successors(next(&after), next).take(times).map(occurrence).collect()
}

//! Schedules come true: each occurrence that is due is submitted as a person would, in the commit that marks it as seen, so that
//! a crash neither loses nor doubles one. Nothing here is kept in memory but when to look next, and who waits for whom.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    core::{Core, Work},
    event::SchedulerError,
    requests::is_unlaunched,
};
use crate::{
    rules::*,
    store::{self, Statement, Store, StoreError, StoredSchedule},
    zones,
};

/// How many schedules one step looks at.
const BATCH: usize = 256;

/// When to look at the schedules next.
#[derive(Default)]
pub(super) struct Agenda {
    /// The earliest date at which one is to be looked at.
    pub(super) next: Option<Timestamp>,
    /// The bundle that is being changed, whose schedules that date leaves out.
    left_out: Option<BundleId>,
    /// Identifiers with an occurrence that waits for the one before to be launched; one too many costs one look.
    owing: BTreeSet<(BundleId, Identifier)>,
    /// Those of them for which it may be over.
    freed: BTreeSet<(BundleId, Identifier)>,
    /// How far the clock has come.
    latest: Option<Timestamp>,
    /// Whether those that had stopped were looked at since this host began.
    looked_at_stopped: bool,
}

impl Agenda {
    pub(super) fn load(store: &mut Store) -> Result<Agenda, StoreError> {
        let owing: BTreeSet<_> = store.owing()?.into_iter().collect();
        Ok(Agenda {
            next: store.next_schedule(None)?,
            left_out: None,
            freed: owing.clone(),
            owing,
            latest: store.latest_seen()?,
            looked_at_stopped: false,
        })
    }
}

/// The schedules that a step has changed, as they then stand; each is written once.
#[derive(Default)]
pub(super) struct ChangedSchedules {
    stands: BTreeMap<ScheduleId, Stands>,
    /// Bundles and kinds that an occurrence was submitted for in this step.
    submitted: BTreeSet<(BundleId, KindName)>,
}

enum Stands {
    /// It was only looked at; before, it had been seen until then.
    Advanced {
        seen_before: Timestamp,
        stored: StoredSchedule,
    },
    Put(StoredSchedule),
    Removed,
}

impl Stands {
    fn stored(&self) -> Option<&StoredSchedule> {
        match self {
            Stands::Advanced { seen_before: _, stored } | Stands::Put(stored) => Some(stored),
            Stands::Removed => None,
        }
    }
}

impl ChangedSchedules {
    pub(super) fn is_empty(&self) -> bool {
        self.stands.is_empty()
    }

    fn advance(&mut self, seen_before: Timestamp, stored: StoredSchedule) {
        let id = stored.id();
        let stands = match self.stands.remove(&id) {
            Some(Stands::Advanced { seen_before, .. }) => Stands::Advanced { seen_before, stored },
            Some(Stands::Put(_)) => Stands::Put(stored),
            Some(Stands::Removed) => Stands::Removed,
            None => Stands::Advanced { seen_before, stored },
        };
        self.stands.insert(id, stands);
    }

    fn put(&mut self, stored: StoredSchedule) {
        self.stands.insert(stored.id(), Stands::Put(stored));
    }

    fn remove(&mut self, id: ScheduleId) {
        self.stands.insert(id, Stands::Removed);
    }

    fn statements(&self) -> impl Iterator<Item = Statement> {
        self.stands.iter().map(|(id, stands)| match stands {
            Stands::Advanced { seen_before, stored } => store::advance_schedule(stored, *seen_before),
            Stands::Put(stored) => store::put_schedule(stored),
            Stands::Removed => store::remove_schedule(id),
        })
    }
}

/// What an operator wants of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScheduleWish {
    /// `bundle` is none when the identifier says whose it is.
    Put {
        bundle: Option<BundleId>,
        schedule: Box<Schedule>,
    },
    Switch {
        id: ScheduleId,
        enabled: bool,
    },
    Remove {
        id: ScheduleId,
    },
}

/// The answer to a wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleGranted {
    pub id: ScheduleId,
    /// False when it was so already.
    pub changed: bool,
    /// Whether another took its place.
    pub replaced: bool,
}

impl Core {
    /// Submits what is due.
    pub(super) fn fire_schedules(&mut self, now: Now, work: &mut Work) -> Result<(), StoreError> {
        if self.not_launching.is_some() {
            return Ok(());
        }
        self.heed_the_clock(now, work)?;
        if !self.agenda.looked_at_stopped {
            self.look_at_stopped(work)?;
        }
        let changing = self.changing().cloned();
        if self.agenda.left_out != changing {
            self.agenda.left_out.clone_from(&changing);
            self.agenda.next = Some(now.wall);
        }
        for (bundle, identifier) in std::mem::take(&mut self.agenda.freed) {
            if changing.as_ref() == Some(&bundle) {
                self.agenda.freed.insert((bundle, identifier));
                continue;
            }
            let owing = self.store.owing_schedules(&bundle, &identifier)?;
            self.agenda.owing.remove(&(bundle, identifier));
            self.fire_each(now, owing, work)?;
        }
        if self.agenda.next.is_none_or(|at| at > now.wall) {
            return Ok(());
        }
        let due = self.store.due_schedules(now.wall, changing.as_ref(), BATCH)?;
        work.again |= due.len() == BATCH;
        self.fire_each(now, due, work)?;
        self.agenda.next = self.store.next_schedule(changing.as_ref())?;
        Ok(())
    }

    /// Writes what the step has changed, and sees who need wait no longer.
    pub(super) fn settle_schedules(&mut self, now: Now, work: &mut Work) {
        for stored in work.schedules.stands.values().filter_map(Stands::stored) {
            work.again |= stored.next_at.is_some_and(|at| at <= now.wall);
            if stored.owing {
                self.agenda.owing.insert((stored.bundle.clone(), stored.schedule.identifier.clone()));
            }
        }
        for what in &work.happenings {
            if let What::Launched { bundle, identifier, .. } | What::Cancelled { bundle, identifier, .. } = what {
                let whose = (bundle.clone(), identifier.clone());
                if self.agenda.owing.contains(&whose) {
                    self.agenda.freed.insert(whose);
                    work.again = true;
                }
            }
        }
        work.ledger.write_all(work.schedules.statements());
    }

    /// The step that changed schedules is durable.
    pub(super) fn schedules_changed(&mut self, now: Now) {
        // Unknown is treated as due: the next step looks again.
        self.agenda.next = self.store.next_schedule(self.agenda.left_out.as_ref()).unwrap_or(Some(now.wall));
    }

    fn fire_each(&mut self, now: Now, stored: Vec<StoredSchedule>, work: &mut Work) -> Result<(), StoreError> {
        for stored in stored {
            if !work.schedules.stands.contains_key(&stored.id()) {
                self.fire(now, stored, work)?;
            } else if stored.owing {
                self.look_again(&stored, work);
            }
        }
        Ok(())
    }

    fn fire(&mut self, now: Now, mut stored: StoredSchedule, work: &mut Work) -> Result<(), StoreError> {
        let seen_before = stored.seen;
        stored.owing = false;
        let zone = match zones::find(&stored.schedule.zone) {
            Ok(zone) => zone.time_zone,
            Err(message) => {
                stored.next_at = None;
                tell(&stored, ScheduleNews::Stopped { message }, work);
                work.schedules.advance(seen_before, stored);
                return Ok(());
            }
        };
        let mut news = Vec::new();
        let Due { run, missed } = stored.schedule.due(now, &self.policy.schedules, &zone, stored.seen);
        if let Some((from, to)) = missed {
            stored.seen = to;
            news.push(ScheduleNews::Missed { from, to });
        }
        let whose = (stored.bundle.clone(), stored.schedule.kind.name());
        for occurrence in run {
            // One that is to run by itself must not take the place of the one before.
            if stored.schedule.missed == MissedRuns::All && self.is_awaited(&stored, work)? {
                stored.owing = true;
                break;
            }
            match self.submit_occurrence(now, &stored, occurrence, work)? {
                Ok(request) => {
                    work.schedules.submitted.insert(whose.clone());
                    news.push(ScheduleNews::Due { occurrence, request });
                }
                // What was submitted in this step may be launched in it, and leave room: nobody is refused for that.
                Err(Refusal { code: RefusalCode::TooManyPendingTaskRequests, .. })
                    if work.schedules.submitted.contains(&whose) =>
                {
                    self.look_again(&stored, work);
                    return Ok(());
                }
                Err(refusal) => news.push(ScheduleNews::Refused { occurrence, refusal }),
            }
            stored.seen = occurrence;
        }
        stored.next_at = match stored.owing {
            true => None,
            false => stored.schedule.calendar.next(stored.seen, &zone),
        };
        news.into_iter().for_each(|news| tell(&stored, news, work));
        work.schedules.advance(seen_before, stored);
        Ok(())
    }

    /// Lets the next step deal with a schedule that this one could not.
    fn look_again(&mut self, stored: &StoredSchedule, work: &mut Work) {
        let whose = (stored.bundle.clone(), stored.schedule.identifier.clone());
        self.agenda.owing.insert(whose.clone());
        self.agenda.freed.insert(whose);
        work.again = true;
    }

    /// Submits what an occurrence asks for, as anybody would.
    fn submit_occurrence(
        &mut self,
        now: Now,
        stored: &StoredSchedule,
        occurrence: Timestamp,
        work: &mut Work,
    ) -> Result<Result<RequestId, Refusal>, StoreError> {
        let request = stored.schedule.request(&stored.bundle, occurrence);
        Ok(Err(match self.submit(now, Some(stored.bundle.clone()), request, None, work) {
            Ok(Submission { request, replaced: _ }) => return Ok(Ok(request)),
            Err(SchedulerError::Store(error)) => return Err(error),
            Err(SchedulerError::Refused(refusal)) => refusal,
            Err(SchedulerError::Unknown(message)) => Refusal { code: RefusalCode::NotPermitted, message },
            Err(error @ SchedulerError::Stopping) => {
                Refusal { code: RefusalCode::Unavailable, message: error.to_string() }
            }
        }))
    }

    /// Whether a request of the identifier was not launched yet: a newer one would replace it.
    fn is_awaited(&mut self, stored: &StoredSchedule, work: &mut Work) -> Result<bool, StoreError> {
        let unfinished = work.ledger.unfinished(&mut self.store, &stored.bundle, &stored.schedule.identifier)?;
        Ok(unfinished.iter().any(is_unlaunched))
    }

    /// A clock that was set back by a lot had been wrong before: what was seen meanwhile must not silence a schedule for years.
    fn heed_the_clock(&mut self, now: Now, work: &mut Work) -> Result<(), StoreError> {
        let latest = self.agenda.latest.unwrap_or(now.wall).max(now.wall);
        self.agenda.latest = Some(latest);
        if latest.duration_since(now.wall).unsigned_abs() < self.policy.schedules.clock_set_back {
            return Ok(());
        }
        self.agenda.latest = Some(now.wall);
        for mut stored in self.store.schedules_seen_after(now.wall)? {
            // What an operator wishes in this very step stands.
            if work.schedules.stands.contains_key(&stored.id()) {
                continue;
            }
            let seen_before = stored.seen;
            tell(&stored, ScheduleNews::Restarted { from: seen_before }, work);
            stored.seen = whole(now.wall);
            stored.owing = false;
            self.put_off(&mut stored);
            work.schedules.advance(seen_before, stored);
        }
        Ok(())
    }

    /// A zone that was unknown may be known by now.
    fn look_at_stopped(&mut self, work: &mut Work) -> Result<(), StoreError> {
        for mut stored in self.store.stopped_schedules()? {
            self.put_off(&mut stored);
            if stored.next_at.is_some() {
                work.schedules.advance(stored.seen, stored);
            }
        }
        self.agenda.looked_at_stopped = true;
        Ok(())
    }

    /// Says when a schedule is to be looked at next. While it or its bundle is disabled, never; what comes meanwhile is missed.
    fn put_off(&self, stored: &mut StoredSchedule) {
        let comes = stored.schedule.enabled && self.bundles.get(&stored.bundle).is_some_and(|bundle| bundle.enabled);
        stored.owing &= comes;
        stored.next_at = match zones::find(&stored.schedule.zone) {
            Ok(zone) if comes && !stored.owing => stored.schedule.calendar.next(stored.seen, &zone.time_zone),
            Ok(_) | Err(_) => None,
        };
    }

    /// A bundle stands otherwise: what its manifest declares is in place of what the one before did, and what an operator made stays
    /// as long as it is permitted.
    pub(super) fn change_schedules(&mut self, now: Now, bundle: &BundleId, work: &mut Work) -> Result<(), StoreError> {
        let standing = self.schedules_of(bundle, work)?;
        let Some(installed) = self.bundles.get(bundle).cloned() else { return Ok(()) };
        let declared = &installed.bundle.manifest.schedules;
        for stored in &standing {
            let declared = declared.iter().any(|schedule| schedule.name == stored.schedule.name);
            let stays = match stored.origin {
                ScheduleOrigin::Manifest => declared,
                ScheduleOrigin::Operator => {
                    !declared && stored.schedule.is_still_permitted(self.policy.profile, &installed.permits)
                }
            };
            if stays && stored.origin == ScheduleOrigin::Operator {
                self.put_if_changed(stored, stored.clone(), work);
            } else if !stays {
                tell(stored, ScheduleNews::Removed { cause: CancelCause::BundleChanged }, work);
                work.schedules.remove(stored.id());
            }
        }
        for schedule in declared {
            let before = standing
                .iter()
                .find(|stored| stored.origin == ScheduleOrigin::Manifest && stored.schedule.name == schedule.name);
            let same_dates = |before: &&StoredSchedule| {
                before.schedule.calendar == schedule.calendar && before.schedule.zone == schedule.zone
            };
            let mut stored = StoredSchedule {
                bundle: bundle.clone(),
                origin: ScheduleOrigin::Manifest,
                schedule: schedule.clone(),
                seen: before.filter(same_dates).map_or(whole(now.wall), |before| before.seen),
                owing: before.filter(same_dates).is_some_and(|before| before.owing),
                next_at: None,
            };
            // Whether it is enabled is the operator's, once it is there.
            stored.schedule.enabled = before.map_or(schedule.enabled, |before| before.schedule.enabled);
            match before {
                Some(before) => self.put_if_changed(before, stored, work),
                None => {
                    self.put_off(&mut stored);
                    work.schedules.put(stored);
                }
            }
        }
        Ok(())
    }

    fn put_if_changed(&self, before: &StoredSchedule, mut stored: StoredSchedule, work: &mut Work) {
        self.put_off(&mut stored);
        if stored != *before {
            work.schedules.put(stored);
        }
    }

    /// A bundle goes, and its schedules with it.
    pub(super) fn remove_schedules(&mut self, bundle: &BundleId, work: &mut Work) -> Result<(), StoreError> {
        for stored in self.schedules_of(bundle, work)? {
            tell(&stored, ScheduleNews::Removed { cause: CancelCause::BundleRemoved }, work);
            work.schedules.remove(stored.id());
        }
        Ok(())
    }

    /// Does what an operator wants of a schedule.
    pub(super) fn grant_wish(
        &mut self,
        now: Now,
        wish: ScheduleWish,
        work: &mut Work,
    ) -> Result<ScheduleGranted, SchedulerError> {
        match wish {
            ScheduleWish::Put { bundle, schedule } => self.put_schedule(now, bundle, *schedule, work),
            ScheduleWish::Switch { id, enabled } => {
                let mut stored = self.known_schedule(&id, work)?;
                let changed = stored.schedule.enabled != enabled;
                if changed {
                    stored.schedule.enabled = enabled;
                    // What came while it was disabled was not wanted.
                    stored.seen = stored.seen.max(whole(now.wall));
                    stored.owing = false;
                    self.put_off(&mut stored);
                    tell(&stored, if enabled { ScheduleNews::Enabled } else { ScheduleNews::Disabled }, work);
                    work.schedules.put(stored);
                }
                Ok(ScheduleGranted { id, changed, replaced: false })
            }
            ScheduleWish::Remove { id } => {
                let stored = self.known_schedule(&id, work)?;
                if stored.origin == ScheduleOrigin::Manifest {
                    return Err(not_permitted(format!(
                        "the manifest of {} declares schedule {}, which goes with it: `idlewild schedule disable {id}` keeps it from running",
                        id.bundle, id.name
                    )));
                }
                tell(&stored, ScheduleNews::Removed { cause: CancelCause::Person }, work);
                work.schedules.remove(id.clone());
                Ok(ScheduleGranted { id, changed: true, replaced: false })
            }
        }
    }

    fn put_schedule(
        &mut self,
        now: Now,
        bundle: Option<BundleId>,
        schedule: Schedule,
        work: &mut Work,
    ) -> Result<ScheduleGranted, SchedulerError> {
        let (bundle, permits) = self.permits(bundle, &schedule.identifier)?;
        schedule.check(&self.policy, &permits)?;
        let standing = self.schedules_of(&bundle, work)?;
        let before = standing.iter().find(|stored| stored.schedule.name == schedule.name);
        let id = ScheduleId { bundle: bundle.clone(), name: schedule.name.clone() };
        match before {
            Some(before) if before.origin == ScheduleOrigin::Manifest => {
                return Err(not_permitted(format!(
                    "the manifest of {bundle} declares a schedule {}: choose another name",
                    schedule.name
                )));
            }
            Some(before) if before.schedule == schedule => {
                return Ok(ScheduleGranted { id, changed: false, replaced: false });
            }
            None if standing.len() >= self.policy.schedules.schedules => {
                return Err(not_permitted(format!(
                    "{bundle} has {} schedules, and no more are allowed: remove one",
                    standing.len()
                )));
            }
            Some(_) | None => {}
        }
        let replaced = before.is_some();
        let origin = ScheduleOrigin::Operator;
        let mut stored =
            StoredSchedule { bundle, origin, schedule, seen: whole(now.wall), owing: false, next_at: None };
        self.put_off(&mut stored);
        tell(&stored, ScheduleNews::Added, work);
        work.schedules.put(stored);
        Ok(ScheduleGranted { id, changed: true, replaced })
    }

    /// A schedule as it stands. Errors: there is none of that name.
    fn known_schedule(&mut self, id: &ScheduleId, work: &Work) -> Result<StoredSchedule, SchedulerError> {
        let found = self.schedules_of(&id.bundle, work)?.into_iter().find(|stored| stored.schedule.name == id.name);
        found.ok_or_else(|| unknown(id))
    }

    /// A bundle's schedules, as they stand in this step.
    fn schedules_of(&mut self, bundle: &BundleId, work: &Work) -> Result<Vec<StoredSchedule>, StoreError> {
        let mut standing = self.store.schedules(Some(bundle), None, usize::MAX)?;
        standing.retain(|stored| !work.schedules.stands.contains_key(&stored.id()));
        let changed = work.schedules.stands.values().filter_map(Stands::stored);
        standing.extend(changed.filter(|stored| stored.bundle == *bundle).cloned());
        Ok(standing)
    }

    /// Schedules of one bundle or of all, by name, at most `limit`, behind the one of the page before.
    pub fn schedules(
        &mut self,
        bundle: Option<&BundleId>,
        after: Option<&ScheduleId>,
        limit: usize,
    ) -> Result<Vec<StoredSchedule>, SchedulerError> {
        Ok(self.store.schedules(bundle, after, limit)?)
    }
}

/// Said of a schedule that is not there.
fn unknown(id: &ScheduleId) -> SchedulerError {
    SchedulerError::Unknown(format!("there is no schedule {id}: `idlewild schedule list` shows those there are"))
}

fn not_permitted(message: String) -> SchedulerError {
    Refusal { code: RefusalCode::NotPermitted, message }.into()
}

fn tell(stored: &StoredSchedule, news: ScheduleNews, work: &mut Work) {
    work.happenings.push(What::Schedule {
        bundle: stored.bundle.clone(),
        identifier: stored.schedule.identifier.clone(),
        schedule: stored.schedule.name.clone(),
        news,
    });
}

/// A moment as it is stored.
fn whole(moment: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(moment.as_millisecond()).unwrap_or(moment)
}

//! From pending to running: floors are reached, lanes fill, and what the rules choose is launched.

use std::collections::BTreeMap;

use super::{
    core::{Core, Work},
    event::SchedulerError,
};
use crate::{
    engine::Launch,
    rules::*,
    store::{self, StoreError, StoredRequest},
};

/// How many requests whose dates are reached one step takes up.
const BATCH: usize = 256;

pub(super) fn lane_of(record: &RequestRecord) -> Lane {
    let RequestRecord { bundle, request, urgent, .. } = record;
    let kind = &request.kind;
    Lane {
        kind: kind.name(),
        bundle: bundle.clone(),
        needs: kind.needs(),
        protection: kind.protection(),
        priority: request.priority,
        urgent: *urgent,
    }
}

/// What of a request the rules look at, besides its lane.
pub(super) fn holds_of<'a>(record: &RequestRecord, unmet: &'a [Unmet], behind: Option<RequestId>) -> Holds<'a> {
    let RequestRecord { submitted_at, floor, failures, .. } = record;
    Holds { submitted_at: *submitted_at, floor: *floor, failures: *failures, unmet, behind }
}

pub(super) fn crowd(running: &BTreeMap<TaskId, Running>) -> Crowd {
    let mut crowd = Crowd::none();
    running.values().for_each(|running| crowd.add(running.lane.kind, running.launched.wall));
    crowd
}

impl Core {
    /// Takes up what has reached its floor, though the host was not woken for it.
    pub(super) fn ripen(&mut self, now: Now, work: &mut Work) -> Result<(), StoreError> {
        if self.next_floor.is_none_or(|at| at > now.wall) {
            return Ok(());
        }
        for stored in self.store.ripe(now.wall, BATCH)? {
            if work.ledger.is_current(&stored) {
                self.restage(now, &stored, Stage::Ready, work);
            }
        }
        Ok(())
    }

    /// Requests whose latest begin is reached go where only what they need holds them back.
    pub(super) fn make_urgent(&mut self, now: Now, work: &mut Work) -> Result<(), StoreError> {
        if self.next_latest_begin.is_none_or(|at| at > now.wall) {
            return Ok(());
        }
        for stored in self.store.late(now.wall, BATCH)? {
            let Some(mut stored) = work.ledger.as_it_stands(stored) else { continue };
            if stored.stage == Stage::Launched {
                continue;
            }
            work.ledger.make_urgent(&stored);
            work.again = true;
            stored.record.urgent = true;
            if stored.stage == Stage::Ready {
                work.thinned.insert(Lane { urgent: false, ..lane_of(&stored.record) });
                self.enter_lane(now, &stored.record, work);
            }
            work.moved.push(stored);
        }
        Ok(())
    }

    /// Moves a pending request to another stage. Ready, it is seen in its lane by the next step, or by this one if it
    /// was made in it.
    pub(super) fn restage(&mut self, now: Now, stored: &StoredRequest, to: Stage, work: &mut Work) {
        work.ledger.restage(stored, to);
        work.again = true;
        if to == Stage::Ready {
            self.enter_lane(now, &stored.record, work);
        }
        work.moved.push(StoredRequest { stage: to, ..stored.clone() });
    }

    pub(super) fn enter_lane(&mut self, now: Now, record: &RequestRecord, work: &mut Work) {
        let lane = lane_of(record);
        if !work.rehearsed {
            self.lanes.enter(now, &lane);
        }
        work.entering.insert(lane);
    }

    pub(super) fn launch_ready(&mut self, now: Now, work: &mut Work) -> Result<(), StoreError> {
        self.look_before_launching(now, work);
        let fresh = work.ledger.fresh_ready();
        for Look { lanes, mut limit } in self.lanes.looks(now, self.world()) {
            for lane in lanes {
                let mut heads = self.store.heads(&lane, limit)?;
                let more_behind = heads.len() == limit;
                heads.retain(|stored| work.ledger.is_current(stored));
                heads.extend(fresh.iter().filter(|stored| lane_of(&stored.record) == lane).cloned());
                heads.sort_by_key(|stored| stored.record.id);
                let mut left = heads.into_iter().peekable();
                // A launch may close the lane behind itself: its bundle's launches are spaced, its kind's slots are few.
                while limit > 0 && is_open(now, self.world(), &lane) {
                    let Some(stored) = left.next() else { break };
                    self.launch(now, stored, false, work);
                    limit -= 1;
                }
                if !more_behind && left.peek().is_none() && !work.entering.contains(&lane) {
                    self.lanes.leave(&lane);
                }
                if limit == 0 {
                    break;
                }
            }
        }
        // Slots may be left while lanes are: some were not looked at, some have more.
        work.again |= !self.lanes.looks(now, self.world()).is_empty();
        self.next_pace = self.next_pace(now);
        Ok(())
    }

    /// When something that is ready and held back by nothing but what its bundle has used up may run.
    fn next_pace(&self, now: Now) -> Option<Timestamp> {
        if self.policy.spacing.is_zero() && self.policy.daily_time.is_none() {
            return None;
        }
        let until = |held: Held| match held.reason {
            Reason::Spaced { at } | Reason::BudgetSpent { at, .. } => Some(at),
            _ => None,
        };
        let ready = self.lanes.iter().filter(|lane| !self.closed.contains_key(&lane.bundle));
        ready.flat_map(|lane| lane_reasons(now, self.world(), lane)).filter_map(until).min()
    }

    /// What a person asks to be launched at once.
    pub(super) fn launch_now(
        &mut self,
        now: Now,
        identifier: &Identifier,
        force: bool,
        work: &mut Work,
    ) -> Result<TaskId, SchedulerError> {
        let (bundle, _) = self.permits(None, identifier)?;
        self.look_if_old(now, work);
        let unfinished = work.ledger.unfinished(&mut self.store, &bundle, identifier)?;
        let Some(stored) = unfinished.iter().find(|stored| stored.stage != Stage::Launched).cloned() else {
            return Err(SchedulerError::Unknown(format!(
                "no request of {identifier} is pending: `idlewild submit {identifier}` asks for one"
            )));
        };
        let behind = super::requests::older(unfinished, stored.record.id);
        let lane = lane_of(&stored.record);
        let undated = Holds { floor: None, ..holds_of(&stored.record, &[], behind) };
        let mut reasons: Vec<Reason> =
            reasons(now, self.world(), &lane, undated).into_iter().map(|held| held.reason).collect();
        // What no force helps against is said first.
        reasons.sort_by_key(|reason| matches!(reason, Reason::Lacks { .. }));
        if let Some(reason) = reasons.into_iter().find(|reason| holds_back_a_person(reason, force)) {
            let mend = match reason {
                Reason::Lacks { .. } => "; `--force` launches it whatever the machine is like",
                _ => "",
            };
            let message = format!("{identifier} cannot be launched now: {reason}{mend}");
            return Err(Refusal { code: RefusalCode::ImmediateRunIneligible, message }.into());
        }
        work.ledger.await_nothing(stored.record.id);
        work.thinned.insert(lane);
        work.moved.retain(|moved| moved.record.id != stored.record.id);
        self.launch(now, stored, force, work).ok_or(SchedulerError::Stopping)
    }

    /// Launches a request. None if its bundle is gone.
    fn launch(&mut self, now: Now, stored: StoredRequest, forced: bool, work: &mut Work) -> Option<TaskId> {
        let installed = self.bundles.get(&stored.record.bundle)?;
        let lane = lane_of(&stored.record);
        let digest = installed.bundle.digest.clone();
        work.ledger.restage(&stored, Stage::Launched);
        let RequestRecord { id, bundle, request, attempt, failures, .. } = stored.record;
        let task = self.store.new_task_id();
        let kind = request.kind.name();
        let allowance = self.policy.allowance(kind, lane.needs, installed.permits.memory);
        let title = match &request.kind {
            Kind::ContinuedProcessing(Continued { title, subtitle, .. }) => {
                Some(Title { title: title.clone(), subtitle: subtitle.clone() })
            }
            Kind::AppRefresh | Kind::Processing(_) | Kind::HealthResearch { .. } => None,
        };
        work.ledger.write(store::insert_task(&TaskRecord {
            id: task,
            request: id,
            bundle: bundle.clone(),
            identifier: request.identifier.clone(),
            kind,
            attempt,
            launched_at: now.wall,
            progress: None,
            title: title.clone(),
            suspended: false,
            ended: None,
        }));
        work.happenings.push(What::Launched {
            bundle: bundle.clone(),
            identifier: request.identifier.clone(),
            request: id,
            task,
            kind,
            attempt,
        });
        work.launches.push(Launch {
            task,
            bundle: installed.bundle.clone(),
            identifier: request.identifier.clone(),
            kind: request.kind,
            attempt,
            input: request.input,
            allowance,
            foreground: false,
        });
        if attempt == 1 && request.repeat.is_none() {
            self.uncount(&bundle, kind);
        }
        self.lanes.serve(now, &lane);
        self.digests.insert(task, digest);
        self.note_launch(now, &lane, work);
        self.crowd.add(kind, now.wall);
        // A request that was launched before may be followed by a newer one; one launched for the first time is not:
        // the newer would have replaced it.
        let followed = attempt > 1;
        self.running.insert(
            task,
            Running {
                task,
                request: id,
                lane,
                identifier: request.identifier,
                attempt,
                failures,
                launched: now,
                allowance,
                fuel_spent: false,
                progress: None,
                advanced: (kind == KindName::ContinuedProcessing)
                    .then_some(Advance { uptime: now.uptime, completed: 0 }),
                title,
                watchers: 0,
                may_suspend: request.may_suspend,
                suspended: None,
                held: std::time::Duration::ZERO,
                expiring: None,
                forced,
                retry: request.retry,
                repeat: request.repeat,
                followed,
            },
        );
        Some(task)
    }

    fn note_launch(&mut self, now: Now, lane: &Lane, work: &mut Work) {
        if self.policy.spacing.is_zero() || lane.kind == KindName::ContinuedProcessing {
            return;
        }
        let pace = self.paces.entry(lane.bundle.clone()).or_insert(Pace::new(now.wall));
        pace.launched_at = now.wall;
        work.ledger.write(store::put_pace(&lane.bundle, *pace));
    }

    pub(super) fn world(&self) -> World<'_> {
        World {
            policy: &self.policy,
            conditions: self.observer.current(),
            closed: &self.closed,
            paces: &self.paces,
            running: &self.crowd,
            not_launching: self.not_launching,
        }
    }

    pub(super) fn count(&mut self, bundle: &BundleId, kind: KindName) {
        *self.pending.entry((bundle.clone(), kind)).or_default() += 1;
    }

    pub(super) fn uncount(&mut self, bundle: &BundleId, kind: KindName) {
        if let Some(count) = self.pending.get_mut(&(bundle.clone(), kind)) {
            *count = count.saturating_sub(1);
        }
    }
}

/// Whether a reason holds even when a person wants a launch now: what was decided about the bundle, what the machine lacks
/// unless forced, and the room.
fn holds_back_a_person(reason: &Reason, force: bool) -> bool {
    match reason {
        Reason::EarliestBegin { .. }
        | Reason::Resting { .. }
        | Reason::RunAfter { .. }
        | Reason::Spaced { .. }
        | Reason::BudgetSpent { .. } => false,
        Reason::Lacks { .. } => !force,
        Reason::Behind { .. }
        | Reason::BundleDisabled { .. }
        | Reason::NotGranted { .. }
        | Reason::BundleChanging { .. }
        | Reason::NoSlot { .. }
        | Reason::NoSlotOfKind { .. }
        | Reason::NotLaunching => true,
    }
}

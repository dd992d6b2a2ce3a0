//! Tasks run and end: progress, checkpoints, expiration, settlement, and what their end sets free.

use std::time::Duration;

use jiff::SignedDuration;

use super::{
    core::{Core, Handling, Work},
    event::SchedulerError,
    launching::{crowd, holds_of},
};
use crate::{
    rules::*,
    store::{self, Statement, StoreError, StoredRequest},
};

/// How many tasks past its limit a bundle's history may grow before the oldest are dropped together.
const HISTORY_SLACK: u64 = 256;
/// How often history is looked through for tasks past their age.
const AGING: SignedDuration = SignedDuration::from_hours(1);

impl Core {
    pub(super) fn settle(
        &mut self,
        now: Now,
        task: TaskId,
        end: &End,
        usage: Usage,
        work: &mut Work,
    ) -> Result<(), StoreError> {
        let Some(running) = self.running.remove(&task) else { return Ok(()) };
        let (outcome, then) = running.settle(&self.policy, end);
        let bundle = running.lane.bundle.clone();
        let identifier = running.identifier.clone();
        let then = if self.may_come_back(&bundle, running.lane.kind) { then } else { Then::Settled };
        self.crowd = crowd(&self.running);
        self.note_time(now, &running, work);
        let ended = Ended { at: now.wall, outcome, usage };
        work.ledger.write(store::end_task(task, running.progress, running.title.as_ref(), &ended));
        match then {
            Then::ComesBack => {
                // Known before it changes, so that the step sees it as it stands.
                self.launched(&running, work)?;
                work.ledger.bring_back(running.request, running.attempt);
                self.lanes.enter(now, &running.lane);
                work.entering.insert(running.lane.clone());
                work.again = true;
            }
            Then::Retries { rest } => self.let_rest(now, &running, rest, work)?,
            Then::Settled => {
                let finished = match running.repeat {
                    Some(_) => self.launched(&running, work)?,
                    None => None,
                };
                work.ledger.end_launched(&bundle, &identifier, running.request);
                if running.followed {
                    self.let_follow(now, &bundle, &identifier, work)?;
                }
                if let Some(finished) = finished {
                    self.repeat(now, finished, work)?;
                }
            }
        }
        if matches!(ended.outcome, Outcome::Succeeded { .. }) {
            if self.runs_after {
                self.let_run_after(now, &bundle, &identifier, work)?;
            }
            work.succeeded.insert((bundle.clone(), identifier.clone()));
            if self.checkpoints {
                work.ledger.write(store::remove_checkpoint(&bundle, &identifier));
            }
        }
        self.bound_history(now, &bundle, work)?;
        let Ended { outcome, usage, at: _ } = ended;
        let comes_back = then != Then::Settled;
        work.happenings.push(What::Ended { bundle, identifier, task, outcome, usage, comes_back });
        Ok(())
    }

    /// The request of a removed bundle has nothing to come back to, nor has work on a study that is over here.
    fn may_come_back(&self, bundle: &BundleId, kind: KindName) -> bool {
        self.bundles.contains_key(bundle) && !self.is_withdrawn(bundle, kind)
    }

    /// The launched request of a running task.
    fn launched(&mut self, running: &Running, work: &mut Work) -> Result<Option<RequestRecord>, StoreError> {
        let unfinished = work.ledger.unfinished(&mut self.store, &running.lane.bundle, &running.identifier)?;
        Ok(unfinished.iter().find(|stored| stored.record.id == running.request).map(|stored| stored.record.clone()))
    }

    /// A request whose handler failed is pending again, and rests first.
    fn let_rest(&mut self, now: Now, running: &Running, rest: Duration, work: &mut Work) -> Result<(), StoreError> {
        let Some(record) = self.launched(running, work)? else { return Ok(()) };
        let floor = now.wall.saturating_add(rest).unwrap_or(Timestamp::MAX);
        let wake_at = self.policy.wake_at(floor, self.policy.coalescing, record.request.latest_begin);
        work.ledger.let_rest(running.request, running.attempt, floor, wake_at);
        let (attempt, failures) = (running.attempt + 1, running.failures + 1);
        let record = RequestRecord { attempt, failures, floor: Some(floor), ..record };
        work.moved.push(StoredRequest { record, stage: Stage::Ripening });
        work.again |= rest.is_zero();
        Ok(())
    }

    /// Counts the time a task ran against its bundle's day.
    fn note_time(&mut self, now: Now, running: &Running, work: &mut Work) {
        let bundle = &running.lane.bundle;
        let counted = running.lane.kind != KindName::ContinuedProcessing && self.bundles.contains_key(bundle);
        if self.policy.daily_time.is_some() && counted {
            let pace = self.paces.entry(bundle.clone()).or_insert(Pace::new(running.launched.wall));
            pace.spend(now, now.uptime.saturating_sub(running.launched.uptime + running.held));
            work.ledger.write(store::put_pace(bundle, *pace));
        }
    }

    /// The older request of an identifier is finished: a newer one no longer stands behind it.
    pub(super) fn let_follow(
        &mut self,
        now: Now,
        bundle: &BundleId,
        identifier: &Identifier,
        work: &mut Work,
    ) -> Result<(), StoreError> {
        let unfinished = work.ledger.unfinished(&mut self.store, bundle, identifier)?.clone();
        if let Some(next) = unfinished.first().filter(|stored| stored.stage == Stage::Behind) {
            self.set_free(now, next, work)?;
        }
        Ok(())
    }

    /// An identifier succeeded: what ran after it waits for it no longer.
    fn let_run_after(
        &mut self,
        now: Now,
        bundle: &BundleId,
        identifier: &Identifier,
        work: &mut Work,
    ) -> Result<(), StoreError> {
        work.succeeded.insert((bundle.clone(), identifier.clone()));
        let awaiting = self.store.awaiting(bundle, identifier)?;
        if !awaiting.is_empty() {
            work.ledger.write(store::remove_run_after(bundle, identifier));
        }
        let mut awaiting: Vec<StoredRequest> =
            awaiting.into_iter().filter_map(|stored| work.ledger.as_it_stands(stored)).collect();
        awaiting.extend(work.ledger.succeed(bundle, identifier));
        for stored in awaiting.iter().filter(|stored| stored.stage == Stage::After) {
            self.set_free(now, stored, work)?;
        }
        Ok(())
    }

    /// Moves a request that waited for another to where it stands without it.
    fn set_free(&mut self, now: Now, stored: &StoredRequest, work: &mut Work) -> Result<(), StoreError> {
        let bundle = &stored.record.bundle;
        let mut unmet = work.ledger.unmet(&mut self.store, stored.record.id)?;
        unmet.retain(|identifier| !work.succeeded.contains(&(bundle.clone(), identifier.clone())));
        let stands = self.how_they_stand(bundle, &unmet, work)?;
        let to = stage(now, holds_of(&stored.record, &stands, None));
        if to != stored.stage {
            self.restage(now, stored, to, work);
        }
        Ok(())
    }

    /// Drops the oldest ended tasks of a bundle that has too many, and, once an hour while tasks end, those past their age.
    fn bound_history(&mut self, now: Now, bundle: &BundleId, work: &mut Work) -> Result<(), StoreError> {
        let kept = self.history.entry(bundle.clone()).or_default();
        *kept += 1;
        let mut forgotten = Vec::new();
        if *kept > self.policy.history_tasks + HISTORY_SLACK {
            forgotten = self.store.oldest(bundle, *kept - self.policy.history_tasks)?;
            *kept -= forgotten.len() as u64;
        }
        if self.aged_at.is_none_or(|aged_at| now.wall.duration_since(aged_at) >= AGING) {
            let oldest_kept = now.wall.saturating_sub(self.policy.history_age).unwrap_or(Timestamp::MIN);
            let aged = self.store.ended_before(oldest_kept, HISTORY_SLACK)?;
            // As many as fit into one step; if that was not all, the next end goes on.
            if (aged.len() as u64) < HISTORY_SLACK {
                self.aged_at = Some(now.wall);
            }
            work.recount_history |= !aged.is_empty();
            forgotten.extend(aged.into_iter().filter(|task| !forgotten.contains(task)).collect::<Vec<_>>());
        }
        work.ledger.write_all(forgotten.iter().map(|task| store::remove_task(*task)));
        work.forgotten.append(&mut forgotten);
        Ok(())
    }

    pub(super) fn progressed(&mut self, now: Now, task: TaskId, progress: Progress, work: &mut Work) {
        if let Some(running) = self.running.get_mut(&task)
            && running.report(now, progress)
        {
            work.happenings.push(What::Progressed {
                bundle: running.lane.bundle.clone(),
                identifier: running.identifier.clone(),
                task,
                progress,
            });
        }
    }

    /// A continued task says anew what it does. Titles belong to continued tasks: nobody reads those of other kinds.
    pub(super) fn titled(&mut self, task: TaskId, title: Title, work: &mut Work) {
        if let Some(running) = self.running.get_mut(&task)
            && running.title.as_ref().is_some_and(|before| *before != title)
        {
            running.title = Some(title.clone());
            let (bundle, identifier) = (running.lane.bundle.clone(), running.identifier.clone());
            work.happenings.push(What::Titled { bundle, identifier, task, title });
        }
    }

    /// One more client watches the task. Watched, it is in the foreground.
    pub(super) fn attach(&mut self, task: TaskId, work: &mut Work) -> Result<(), SchedulerError> {
        let Some(running) = self.running.get_mut(&task) else {
            return Err(SchedulerError::Unknown(format!("task {task} does not run")));
        };
        running.watchers += 1;
        if running.watchers == 1 {
            work.handlings.push((task, Handling::Foreground(true)));
        }
        let (bundle, identifier) = (running.lane.bundle.clone(), running.identifier.clone());
        work.happenings.push(What::Attached { bundle, identifier, task, watchers: running.watchers });
        Ok(())
    }

    pub(super) fn detach(&mut self, task: TaskId, work: &mut Work) {
        if let Some(running) = self.running.get_mut(&task).filter(|running| running.watchers > 0) {
            running.watchers -= 1;
            if running.watchers == 0 {
                work.handlings.push((task, Handling::Foreground(false)));
            }
            let (bundle, identifier) = (running.lane.bundle.clone(), running.identifier.clone());
            work.happenings.push(What::Detached { bundle, identifier, task, watchers: running.watchers });
        }
    }

    pub(super) fn save_checkpoint(
        &mut self,
        task: TaskId,
        checkpoint: Vec<u8>,
        work: &mut Work,
    ) -> Result<(), SchedulerError> {
        let limit = self.policy.checkpoint;
        if checkpoint.len() > limit {
            let message = format!("the checkpoint has {} bytes, and {limit} are allowed", checkpoint.len());
            return Err(SchedulerError::Refused(Refusal { code: RefusalCode::NotPermitted, message }));
        }
        let Some(running) = self.running.get(&task) else {
            return Err(SchedulerError::Unknown(format!("task {task} does not run")));
        };
        let bundle = &running.lane.bundle;
        if !self.bundles.contains_key(bundle) {
            return Err(SchedulerError::Unknown(format!("bundle {bundle} is uninstalled and keeps nothing")));
        }
        work.ledger.write(store::put_checkpoint(&running.lane.bundle, &running.identifier, checkpoint));
        self.checkpoints = true;
        Ok(())
    }

    /// Holds, lets go on, or asks to stop whatever must be.
    pub(super) fn give_orders(&mut self, now: Now, work: &mut Work) {
        let conditions = self.observer.current().clone();
        let tasks: Vec<TaskId> = self.running.keys().copied().collect();
        for task in tasks {
            let held = self.running.values().filter(|running| running.suspended.is_some()).count();
            let Some(running) = self.running.get_mut(&task) else { continue };
            let Some(order) = running.order(now, &self.policy, &conditions, held) else { continue };
            let (bundle, identifier) = (running.lane.bundle.clone(), running.identifier.clone());
            match order {
                Order::Expire(reason) => {
                    self.expire_all(now, reason, work, |running| running.task == task);
                }
                Order::Suspend => {
                    running.suspend(now);
                    work.handlings.push((task, Handling::Suspend));
                    work.happenings.push(What::Suspended { bundle, identifier, task });
                }
                Order::Resume => {
                    running.resume(now);
                    work.handlings.push((task, Handling::Resume));
                    work.happenings.push(What::Resumed { bundle, identifier, task });
                }
            }
        }
        self.give_way(now, &conditions, work);
        if self.draining {
            self.expire_all(now, ExpirationReason::HostStopping, work, |_| true);
        }
    }

    /// Under pressure continued tasks give way, one at a time: the next only if the last did not help.
    fn give_way(&mut self, now: Now, conditions: &Conditions, work: &mut Work) {
        let still_soon = self.pressed_at.is_some_and(|at| now.uptime < at + self.policy.sampling);
        if still_soon || !is_pressed(conditions) {
            return;
        }
        if let Some(task) = first_to_give_way(self.running.values()) {
            self.pressed_at = Some(now.uptime);
            self.expire_all(now, ExpirationReason::Preempted, work, |running| running.task == task);
        }
    }

    /// Asks what runs of an identifier to stop, for a reason of the asker's choice.
    pub(super) fn expire_now(
        &mut self,
        now: Now,
        identifier: &Identifier,
        reason: ExpirationReason,
        work: &mut Work,
    ) -> Result<u64, SchedulerError> {
        self.permits(None, identifier)?;
        match self.expire_all(now, reason, work, |running| running.identifier == *identifier) {
            0 => Err(SchedulerError::Unknown(format!("nothing of {identifier} runs that was not asked to stop"))),
            asked => Ok(asked),
        }
    }

    /// Asks running tasks to stop that were not asked yet; says how many.
    pub(super) fn expire_all(
        &mut self,
        now: Now,
        reason: ExpirationReason,
        work: &mut Work,
        whom: impl Fn(&Running) -> bool,
    ) -> u64 {
        let mut asked = 0;
        for running in self.running.values_mut().filter(|running| running.expiring.is_none() && whom(running)) {
            work.expirations.push((running.task, running.expire(now, reason)));
            work.happenings.push(What::Expiring {
                bundle: running.lane.bundle.clone(),
                identifier: running.identifier.clone(),
                task: running.task,
                reason,
            });
            asked += 1;
        }
        asked
    }

    /// A repetition outlives a request that was interrupted too often.
    fn repeat_after_crash(&mut self, now: Now, finished: &RequestRecord) -> Result<Vec<Statement>, StoreError> {
        let RequestRecord { bundle, request, .. } = finished;
        if self.store.unfinished(bundle, &request.identifier)?.len() > 1 {
            return Ok(Vec::new());
        }
        let next = self.next_period(now, finished.clone(), &mut Work::default())?;
        Ok(next.map_or(Vec::new(), |(stored, unmet)| {
            let id = stored.record.id;
            let waits = unmet.iter().map(|identifier| store::insert_run_after(bundle, identifier, id));
            std::iter::once(store::insert_request(&stored, self.policy.wake_for(&stored.record))).chain(waits).collect()
        }))
    }

    /// Tasks that ran when the host died were interrupted; their requests come back, but not forever.
    pub(super) fn recover(&mut self, now: Now) -> Result<(), StoreError> {
        let mut statements = Vec::new();
        let mut interrupted = Vec::new();
        let launched = self.store.launched()?;
        let comes_back = |core: &Core, RequestRecord { attempt, failures, bundle, request, .. }: &RequestRecord| {
            core.may_come_back(bundle, request.kind.name())
                && after_interruption(&core.policy, *attempt, *failures) == Then::ComesBack
        };
        for orphan in self.store.orphans()? {
            let ended = Ended { at: now.wall, outcome: Outcome::Interrupted, usage: Usage::default() };
            statements.push(store::end_task(orphan.id, None, None, &ended));
            let request = launched.iter().find(|stored| stored.record.id == orphan.request);
            interrupted.push(What::Ended {
                bundle: orphan.bundle,
                identifier: orphan.identifier,
                task: orphan.id,
                outcome: ended.outcome,
                usage: ended.usage,
                comes_back: request.is_some_and(|stored| comes_back(self, &stored.record)),
            });
        }
        for stored in &launched {
            let RequestRecord { id, attempt, .. } = &stored.record;
            if comes_back(self, &stored.record) {
                statements.push(store::bring_back(*id, *attempt));
            } else {
                statements.push(store::end_launched(*id));
                statements.push(store::ripen_follower(*id));
                statements.extend(self.repeat_after_crash(now, &stored.record)?);
            }
        }
        self.store.commit(&statements)?;
        for what in interrupted {
            self.tell(now, what);
        }
        Ok(())
    }
}

//! Tasks run and end: progress, checkpoints, expiration, settlement, and what their end sets free.

use jiff::SignedDuration;

use super::{
    core::{Core, Work},
    event::SchedulerError,
};
use crate::{
    rules::*,
    store::{self, StoreError, StoredRequest},
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
        // The request of a removed bundle has nothing to come back to.
        let then = if self.bundles.contains_key(&bundle) { then } else { Then::Settled };
        let ended = Ended { at: now.wall, outcome, usage };
        work.ledger.write(store::end_task(task, running.progress, &ended));
        match then {
            Then::ComesBack => {
                work.ledger.bring_back(running.request, running.attempt);
                self.lanes.enter(&running.lane);
                work.entering.insert(running.lane.clone());
                work.again = true;
            }
            Then::Settled => {
                work.ledger.end_launched(&bundle, &identifier, running.request);
                if running.followed {
                    self.let_follow(now, &bundle, &identifier, work)?;
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
        let comes_back = then == Then::ComesBack;
        work.happenings.push(What::Ended { bundle, identifier, task, outcome, usage, comes_back });
        Ok(())
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
        let holds = Holds { earliest_begin: stored.record.request.earliest_begin, unmet: &unmet, behind: None };
        let to = stage(now, holds);
        if to != stored.stage {
            self.restage(stored, to, work);
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

    pub(super) fn progressed(&mut self, task: TaskId, progress: Progress, work: &mut Work) {
        if let Some(running) = self.running.get_mut(&task)
            && running.progress != Some(progress)
        {
            running.progress = Some(progress);
            work.happenings.push(What::Progressed {
                bundle: running.lane.bundle.clone(),
                identifier: running.identifier.clone(),
                task,
                progress,
            });
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

    pub(super) fn expire_what_must(&mut self, now: Now, work: &mut Work) {
        let conditions = self.observer.current().clone();
        let reasons: Vec<(TaskId, ExpirationReason)> = self
            .running
            .values()
            .filter_map(|running| Some((running.task, running.must_expire(now, &conditions)?)))
            .collect();
        for (task, reason) in reasons {
            self.expire_all(now, reason, work, |running| running.task == task);
        }
        if self.draining {
            self.expire_all(now, ExpirationReason::HostStopping, work, |_| true);
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

    /// Tasks that ran when the host died were interrupted; their requests come back, but not forever.
    pub(super) fn recover(&mut self, now: Now) -> Result<(), StoreError> {
        let mut statements = Vec::new();
        let mut interrupted = Vec::new();
        for orphan in self.store.orphans()? {
            let ended = Ended { at: now.wall, outcome: Outcome::Interrupted, usage: Usage::default() };
            statements.push(store::end_task(orphan.id, None, &ended));
            let known = self.bundles.contains_key(&orphan.bundle);
            interrupted.push(What::Ended {
                bundle: orphan.bundle,
                identifier: orphan.identifier,
                task: orphan.id,
                outcome: ended.outcome,
                usage: ended.usage,
                comes_back: known && after_interruption(&self.policy, orphan.attempt) == Then::ComesBack,
            });
        }
        for stored in self.store.launched()? {
            let RequestRecord { id, attempt, bundle, .. } = stored.record;
            let then = if self.bundles.contains_key(&bundle) {
                after_interruption(&self.policy, attempt)
            } else {
                Then::Settled
            };
            match then {
                Then::ComesBack => statements.push(store::bring_back(id, attempt)),
                Then::Settled => {
                    statements.push(store::end_launched(id));
                    statements.push(store::ripen_follower(id));
                }
            }
        }
        self.store.commit(&statements)?;
        for what in interrupted {
            self.tell(now, what);
        }
        Ok(())
    }
}

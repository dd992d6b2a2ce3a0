//! Requests come and go: submitted, replaced, cancelled, by people, by their bundles, or with them.

use super::{
    core::{Core, Installed, Work, lane_of},
    event::{Removed, SchedulerError},
};
use crate::{
    rules::*,
    store::{self, StoreError, StoredRequest},
};

impl Core {
    /// Takes up a request, or refuses it. One that was rehearsed has its `id` already.
    pub(super) fn submit(
        &mut self,
        now: Now,
        bundle: Option<BundleId>,
        request: Request,
        id: Option<RequestId>,
        work: &mut Work,
    ) -> Result<Submission, SchedulerError> {
        let (bundle, permits) = self.permits(bundle, &request.identifier)?;
        let identifier = request.identifier.clone();
        let kind = request.kind.name();
        let unfinished = work.ledger.unfinished(&mut self.store, &bundle, &identifier)?.clone();
        let replaceable = unfinished.iter().find(|stored| is_unlaunched(stored)).cloned();
        let behind = unfinished.iter().find(|stored| !is_unlaunched(stored)).map(|stored| stored.record.id);
        let standing = Standing {
            replaceable: replaceable.as_ref().map(|stored| (stored.record.id, stored.record.request.kind.name())),
            pending: self.pending.get(&(bundle.clone(), kind)).copied().unwrap_or(0),
        };
        admit(&self.policy, &permits, standing, &request)?;

        let unmet = self.unmet_at_submission(&bundle, &request, work)?;
        if let Some(replaced) = &replaceable {
            work.ledger.end(replaced);
            work.moved.retain(|moved| moved.record.id != replaced.record.id);
            self.uncount(&bundle, replaced.record.request.kind.name());
        }
        self.count(&bundle, kind);
        self.runs_after |= !unmet.is_empty();
        if behind.is_some() {
            self.mark_followed(&bundle, &identifier);
        }
        let earliest_begin = request.earliest_begin.map(whole_milliseconds);
        let request = Request { earliest_begin, ..request };
        let id = id.unwrap_or_else(|| self.store.new_request_id());
        let stage = stage(now, Holds { earliest_begin, unmet: &unmet, behind });
        let record = RequestRecord { id, bundle: bundle.clone(), request, attempt: 1, submitted_at: now.wall };
        if stage == Stage::Ready {
            self.lanes.enter(&lane_of(&record));
        }
        let stored = StoredRequest { record, stage };
        work.ledger.add(stored.clone(), unmet);
        work.moved.push(stored);
        let replaced = replaceable.map(|stored| stored.record.id);
        work.happenings.push(What::Submitted { bundle, identifier, request: id, replaced });
        Ok(Submission { request: id, replaced: replaced.is_some() })
    }

    /// Whose the identifier is. A bundle speaks for itself; a person's request finds the bundle that permits it.
    fn permits(
        &self,
        bundle: Option<BundleId>,
        identifier: &Identifier,
    ) -> Result<(BundleId, Permits), SchedulerError> {
        let installed = match &bundle {
            Some(bundle) => self.bundles.get(bundle),
            None => self.owner(identifier),
        };
        match installed {
            Some(installed) => Ok((installed.bundle.manifest.id.clone(), installed.permits.clone())),
            None => Err(SchedulerError::Unknown(format!(
                "no installed bundle permits {identifier}: `idlewild bundles` lists what is installed"
            ))),
        }
    }

    /// The bundle whose permitted identifiers match.
    pub(super) fn owner(&self, identifier: &Identifier) -> Option<&Installed> {
        let permits =
            |installed: &&Installed| installed.permits.identifiers.iter().any(|pattern| pattern.matches(identifier));
        self.bundles.values().find(permits)
    }

    /// What the request must wait for: a named identifier that is unfinished, or has never succeeded.
    fn unmet_at_submission(
        &mut self,
        bundle: &BundleId,
        request: &Request,
        work: &mut Work,
    ) -> Result<Vec<Identifier>, StoreError> {
        let mut unmet = Vec::new();
        for earlier in &request.run_after {
            let unfinished = !work.ledger.unfinished(&mut self.store, bundle, earlier)?.is_empty();
            let has_succeeded = work.succeeded.contains(&(bundle.clone(), earlier.clone()))
                || (!unfinished && self.store.has_succeeded(bundle, earlier)?);
            if (unfinished || !has_succeeded) && !unmet.contains(earlier) {
                unmet.push(earlier.clone());
            }
        }
        Ok(unmet)
    }

    fn mark_followed(&mut self, bundle: &BundleId, identifier: &Identifier) {
        for running in self.running.values_mut() {
            running.followed |= running.lane.bundle == *bundle && running.identifier == *identifier;
        }
    }

    pub(super) fn cancel(
        &mut self,
        bundle: Option<BundleId>,
        identifier: Option<Identifier>,
        cause: CancelCause,
        work: &mut Work,
    ) -> Result<u64, SchedulerError> {
        let bundle = match (bundle, &identifier) {
            (Some(bundle), _) => Some(bundle),
            (None, Some(identifier)) => self.owner(identifier).map(|installed| installed.bundle.manifest.id.clone()),
            (None, None) => None,
        };
        let Some(bundle) = bundle else { return Ok(0) };
        let pending: Vec<StoredRequest> = match identifier {
            Some(identifier) => {
                let unfinished = work.ledger.unfinished(&mut self.store, &bundle, &identifier)?;
                unfinished.iter().filter(|stored| stored.stage != Stage::Launched).cloned().collect()
            }
            None => return Ok(self.cancel_all(&bundle, cause, work)?),
        };
        for stored in &pending {
            work.ledger.end(stored);
            self.forget_pending(stored, cause, work);
        }
        Ok(pending.len() as u64)
    }

    fn cancel_all(&mut self, bundle: &BundleId, cause: CancelCause, work: &mut Work) -> Result<u64, StoreError> {
        let pending = self.store.pending_without_input(bundle)?;
        let mut pending: Vec<StoredRequest> =
            pending.into_iter().filter_map(|stored| work.ledger.as_it_stands(stored)).collect();
        pending.extend(work.ledger.sweep(bundle));
        for stored in &pending {
            self.forget_pending(stored, cause, work);
        }
        Ok(pending.len() as u64)
    }

    fn forget_pending(&mut self, stored: &StoredRequest, cause: CancelCause, work: &mut Work) {
        let RequestRecord { id, bundle, request, attempt, submitted_at: _ } = &stored.record;
        if *attempt == 1 {
            self.uncount(bundle, request.kind.name());
        }
        work.moved.retain(|moved| moved.record.id != *id);
        work.happenings.push(What::Cancelled {
            bundle: bundle.clone(),
            identifier: request.identifier.clone(),
            request: *id,
            cause,
        });
    }

    /// Cancels what a bundle's new manifest no longer permits; says how many requests that were.
    pub(super) fn cancel_unpermitted(
        &mut self,
        now: Now,
        bundle: &BundleId,
        permits: &Permits,
        work: &mut Work,
    ) -> Result<u64, StoreError> {
        let mut cancelled = 0;
        let mut pending = self.store.pending_without_input(bundle)?;
        pending.extend(work.ledger.fresh_requests().filter(|stored| stored.record.bundle == *bundle).cloned());
        for stored in pending {
            let Request { identifier, kind, .. } = &stored.record.request;
            if permits.still_permits(self.policy.profile, identifier, kind.name()) {
                continue;
            }
            let identifier = identifier.clone();
            // Read before it is ended, so that what stands behind it is seen to be the next.
            work.ledger.unfinished(&mut self.store, bundle, &identifier)?;
            if let Some(stored) = work.ledger.as_it_stands(stored) {
                work.ledger.end(&stored);
                self.forget_pending(&stored, CancelCause::BundleChanged, work);
                self.let_follow(now, bundle, &identifier, work)?;
                cancelled += 1;
            }
        }
        Ok(cancelled)
    }

    /// Removes a bundle: what it has pending is cancelled, what it runs expires.
    pub(super) fn uninstall(
        &mut self,
        now: Now,
        bundle: &BundleId,
        keep_data: bool,
        work: &mut Work,
    ) -> Result<Removed, SchedulerError> {
        if !self.bundles.contains_key(bundle) {
            return Err(SchedulerError::Unknown(format!(
                "no bundle {bundle} is installed: `idlewild bundles` lists what is"
            )));
        }
        work.remember_bundles(self);
        let cancelled = self.cancel_all(bundle, CancelCause::BundleRemoved, work)?;
        let expired =
            self.expire_all(now, ExpirationReason::BundleRemoved, work, |running| running.lane.bundle == *bundle);
        work.ledger.write_all(store::remove_bundle(bundle, keep_data));
        self.bundles.remove(bundle);
        self.set_gate(bundle);
        work.happenings.push(What::BundleUninstalled { bundle: bundle.clone() });
        Ok(Removed { cancelled, expired })
    }

    /// Says of each request that moved in this step and was not launched why it waits.
    pub(super) fn tell_waiting(&mut self, now: Now, work: &mut Work) -> Result<(), StoreError> {
        for stored in std::mem::take(&mut work.moved) {
            let record = &stored.record;
            let launched = self.running.values().any(|running| running.request == record.id);
            if launched {
                continue;
            }
            let unmet = work.ledger.unmet(&mut self.store, record.id)?;
            let unmet: Vec<Identifier> = unmet
                .into_iter()
                .filter(|identifier| !work.succeeded.contains(&(record.bundle.clone(), identifier.clone())))
                .collect();
            let unfinished = work.ledger.unfinished(&mut self.store, &record.bundle, &record.request.identifier)?;
            let behind = older(unfinished, record.id);
            let holds = Holds { earliest_begin: record.request.earliest_begin, unmet: &unmet, behind };
            let reasons = reasons(now, self.world(), &lane_of(record), holds);
            if !reasons.is_empty() {
                work.happenings.push(What::Waiting {
                    bundle: record.bundle.clone(),
                    identifier: record.request.identifier.clone(),
                    request: record.id,
                    reasons,
                });
            }
        }
        Ok(())
    }
}

/// The older unfinished request of the same identifier.
pub(super) fn older(unfinished: &[StoredRequest], request: RequestId) -> Option<RequestId> {
    unfinished.iter().map(|stored| stored.record.id).find(|id| *id < request)
}

/// Pending and never launched: a newer request of the identifier replaces it.
fn is_unlaunched(stored: &StoredRequest) -> bool {
    stored.stage != Stage::Launched && stored.record.attempt == 1
}

/// The floor in whole milliseconds, as it is stored; never earlier than asked for.
fn whole_milliseconds(floor: Timestamp) -> Timestamp {
    let floored = Timestamp::from_millisecond(floor.as_millisecond()).unwrap_or(floor);
    if floored < floor {
        Timestamp::from_millisecond(floor.as_millisecond().saturating_add(1)).unwrap_or(floor)
    } else {
        floored
    }
}

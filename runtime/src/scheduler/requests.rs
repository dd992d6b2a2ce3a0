//! Requests come and go: submitted, replaced, cancelled, by people, by their bundles, or with them.

use super::{
    core::{Core, Installed, Work},
    event::{Cancelled, Removed, SchedulerError, SubmissionKey},
    launching::{holds_of, lane_of},
};
use crate::{
    rules::*,
    store::{self, KeptSubmission, StoreError, StoredRequest},
};

impl Core {
    /// Takes up a request. One that was taken up under the same key before is answered as it was then.
    pub(super) fn submit_once(
        &mut self,
        now: Now,
        bundle: Option<BundleId>,
        request: Request,
        key: Option<SubmissionKey>,
        work: &mut Work,
    ) -> Result<Submission, SchedulerError> {
        let Some(SubmissionKey { key, content }) = key else { return self.submit(now, bundle, request, None, work) };
        let kept = match work.keys.get(&key) {
            Some(kept) => Some(kept.clone()),
            None => self.store.submission(&key)?,
        };
        match kept {
            Some(kept) if kept.content == content => Ok(kept.submission),
            Some(_) => Err(SchedulerError::Refused(Refusal {
                code: RefusalCode::NotPermitted,
                message: format!("the idempotency key `{key}` was used for another request: choose a new one"),
            })),
            None => {
                let submission = self.submit(now, bundle, request, None, work)?;
                let kept = KeptSubmission { content, submission };
                let oldest = now.wall.saturating_sub(self.policy.keys).unwrap_or(Timestamp::MIN);
                work.ledger.write(store::forget_submissions(oldest));
                work.ledger.write(store::keep_submission(now.wall, &key, &kept));
                work.keys.insert(key, kept);
                Ok(submission)
            }
        }
    }

    /// Takes up a request, or refuses it. One that was rehearsed has its `id` already.
    pub(super) fn submit(
        &mut self,
        now: Now,
        bundle: Option<BundleId>,
        request: Request,
        id: Option<RequestId>,
        work: &mut Work,
    ) -> Result<Submission, SchedulerError> {
        let submitter = if bundle.is_some() { Submitter::Bundle } else { Submitter::Person };
        let (bundle, mut permits) = self.permits(bundle, &request.identifier)?;
        // What was promised to its `activate` is kept, though it may be disabled by now.
        permits.enabled |= id.is_some();
        let identifier = request.identifier.clone();
        let kind = request.kind.name();
        let unfinished = work.ledger.unfinished(&mut self.store, &bundle, &identifier)?.clone();
        let replaceable = unfinished.iter().find(|stored| is_unlaunched(stored)).cloned();
        let behind = unfinished.iter().find(|stored| !is_unlaunched(stored)).map(|stored| stored.record.id);
        let standing = Standing {
            replaceable: replaceable.as_ref().map(|stored| (stored.record.id, stored.record.request.kind.name())),
            pending: self.pending.get(&(bundle.clone(), kind)).copied().unwrap_or(0),
        };
        admit(&self.policy, &permits, standing, submitter, &request)?;

        let request = in_whole_milliseconds(request);
        let unmet = self.unmet_at_submission(&bundle, &request, work)?;
        let urgent = request.latest_begin.is_some_and(|latest| latest <= now.wall);
        let mut record = RequestRecord {
            id: RequestId(0),
            bundle: bundle.clone(),
            floor: request.earliest_begin,
            request,
            attempt: 1,
            failures: 0,
            urgent,
            submitted_at: now.wall,
        };
        let stands = self.how_they_stand(&bundle, &unmet, work)?;
        let holds = holds_of(&record, &stands, behind);
        self.admit_immediate(now, &record, holds, work)?;
        let stage = stage(now, holds);
        if let Some(replaced) = &replaceable {
            work.ledger.end(replaced);
            work.thinned.insert(lane_of(&replaced.record));
            work.moved.retain(|moved| moved.record.id != replaced.record.id);
            self.uncount(&bundle, replaced.record.request.kind.name());
        }
        self.count(&bundle, kind);
        self.runs_after |= !unmet.is_empty();
        if behind.is_some() {
            self.mark_followed(&bundle, &identifier);
        }
        let id = id.unwrap_or_else(|| self.store.new_request_id());
        record.id = id;
        self.add(now, StoredRequest { record, stage }, unmet, work);
        let replaced = replaceable.map(|stored| stored.record.id);
        work.happenings.push(What::Submitted { bundle, identifier, request: id, replaced });
        Ok(Submission { request: id, replaced: replaced.is_some() })
    }

    /// Takes a new request into the step.
    fn add(&mut self, now: Now, stored: StoredRequest, unmet: Vec<Identifier>, work: &mut Work) {
        if stored.stage == Stage::Ready && !work.rehearsed {
            self.lanes.enter(now, &lane_of(&stored.record));
        }
        work.ledger.add(stored.clone(), unmet);
        work.moved.push(stored);
    }

    /// Whether a request that fails rather than waits would be launched by this step: others that are ready go before it.
    fn admit_immediate(
        &mut self,
        now: Now,
        record: &RequestRecord,
        holds: Holds<'_>,
        work: &mut Work,
    ) -> Result<(), SchedulerError> {
        if !insists_on_starting(&record.request) {
            return Ok(());
        }
        self.look_if_old(now, work);
        let mut crowd = self.crowd.clone();
        let ready = work.ledger.fresh_ready();
        for stored in ready.iter().filter(|stored| is_open(now, self.world(), &lane_of(&stored.record))) {
            crowd.add(stored.record.request.kind.name(), now.wall);
        }
        let world = World { running: &crowd, ..self.world() };
        let reasons: Vec<Reason> =
            reasons(now, world, &lane_of(record), holds).into_iter().map(|held| held.reason).collect();
        Ok(admit_immediate(&record.request, reasons.iter())?)
    }

    /// A repeated request that is finished is pending again for its next period, unless a newer one took its place.
    pub(super) fn repeat(&mut self, now: Now, finished: RequestRecord, work: &mut Work) -> Result<(), StoreError> {
        let (bundle, kind) = (finished.bundle.clone(), finished.request.kind.name());
        let newer = !work.ledger.unfinished(&mut self.store, &bundle, &finished.request.identifier)?.is_empty();
        let next = if newer { None } else { self.next_period(now, finished, work)? };
        match next {
            Some((stored, unmet)) => {
                let RequestRecord { id, request: Request { identifier, .. }, .. } = &stored.record;
                let (identifier, request) = (identifier.clone(), *id);
                work.happenings.push(What::Submitted { bundle, identifier, request, replaced: None });
                self.add(now, stored, unmet, work);
            }
            None => self.uncount(&bundle, kind),
        }
        Ok(())
    }

    /// The request for the period after a finished one, and what it waits for; none when its bundle no longer permits it.
    pub(super) fn next_period(
        &mut self,
        now: Now,
        finished: RequestRecord,
        work: &mut Work,
    ) -> Result<Option<(StoredRequest, Vec<Identifier>)>, StoreError> {
        let RequestRecord { bundle, request, submitted_at, .. } = finished;
        let Some(repeat) = request.repeat else { return Ok(None) };
        let permitted = self
            .bundles
            .get(&bundle)
            .is_some_and(|installed| installed.permits.still_permits(self.policy.profile, &request));
        let due = next_due(request.earliest_begin.unwrap_or(submitted_at), repeat, now);
        let Some(due) = due.filter(|_| permitted) else { return Ok(None) };
        let request = Request { earliest_begin: Some(due), ..request };
        let unmet = self.unmet_at_submission(&bundle, &request, work)?;
        self.runs_after |= !unmet.is_empty();
        let record = RequestRecord {
            id: self.store.new_request_id(),
            bundle,
            request,
            attempt: 1,
            failures: 0,
            floor: Some(due.saturating_sub(repeat.flex).unwrap_or(due).max(now.wall)),
            urgent: false,
            submitted_at: now.wall,
        };
        let stands = self.how_they_stand(&record.bundle, &unmet, work)?;
        let stage = stage(now, holds_of(&record, &stands, None));
        Ok(Some((StoredRequest { record, stage }, unmet)))
    }

    /// Whose the identifier is. A bundle speaks for itself; a person's request finds the bundle that permits it.
    pub(super) fn permits(
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

    /// How each identifier stands that a request waits for.
    pub(super) fn how_they_stand(
        &mut self,
        bundle: &BundleId,
        unmet: &[Identifier],
        work: &mut Work,
    ) -> Result<Vec<Unmet>, StoreError> {
        unmet
            .iter()
            .map(|identifier| {
                let unfinished = work.ledger.unfinished(&mut self.store, bundle, identifier)?;
                let running = unfinished.iter().any(|stored| stored.stage == Stage::Launched);
                let stands = match (running, unfinished.is_empty()) {
                    (true, _) => Awaited::Running,
                    (false, false) => Awaited::Pending,
                    (false, true) if self.store.last_ended(bundle, identifier)?.is_some() => Awaited::Failed,
                    (false, true) => Awaited::Unasked,
                };
                Ok(Unmet { identifier: identifier.clone(), stands })
            })
            .collect()
    }

    fn mark_followed(&mut self, bundle: &BundleId, identifier: &Identifier) {
        for running in self.running.values_mut() {
            running.followed |= running.lane.bundle == *bundle && running.identifier == *identifier;
        }
    }

    pub(super) fn cancel(
        &mut self,
        now: Now,
        bundle: Option<BundleId>,
        identifier: Option<Identifier>,
        cause: CancelCause,
        work: &mut Work,
    ) -> Result<Cancelled, SchedulerError> {
        let bundle = match (bundle, &identifier) {
            (Some(bundle), _) => Some(bundle),
            (None, Some(identifier)) => self.owner(identifier).map(|installed| installed.bundle.manifest.id.clone()),
            (None, None) => None,
        };
        let Some(bundle) = bundle else { return Ok(Cancelled::default()) };
        let pending = match &identifier {
            Some(identifier) => {
                let unfinished = work.ledger.unfinished(&mut self.store, &bundle, identifier)?;
                let pending: Vec<StoredRequest> =
                    unfinished.iter().filter(|stored| stored.stage != Stage::Launched).cloned().collect();
                for stored in &pending {
                    work.ledger.end(stored);
                    self.forget_pending(stored, cause, work);
                }
                pending.len() as u64
            }
            None => self.cancel_all(&bundle, cause, work)?,
        };
        let whom = |running: &Running| {
            running.lane.bundle == bundle
                && identifier.as_ref().is_none_or(|identifier| running.identifier == *identifier)
        };
        let ended = self.let_end(whom, work);
        let expired = match cause {
            CancelCause::Person if !work.rehearsed => {
                let continued = |running: &Running| running.lane.kind == KindName::ContinuedProcessing && whom(running);
                // Whatever happens to this host, it does not come back.
                let given_up = self.running.values().filter(|running| continued(running));
                work.ledger.write_all(given_up.map(|running| store::give_up(running.request)));
                self.expire_all(now, ExpirationReason::Cancelled, work, continued)
            }
            CancelCause::Person
            | CancelCause::Bundle
            | CancelCause::BundleRemoved
            | CancelCause::BundleChanged
            | CancelCause::EnrolmentWithdrawn => 0,
        };
        Ok(Cancelled { pending, expired, ended })
    }

    /// What runs of these is neither tried again nor repeated; says of how many that was to be expected.
    pub(super) fn let_end(&mut self, whom: impl Fn(&Running) -> bool, work: &mut Work) -> u64 {
        if work.rehearsed {
            return 0;
        }
        let mut ended = 0;
        let mut uncounted = Vec::new();
        for running in self.running.values_mut().filter(|running| whom(running)) {
            let (repeat, retry) = (running.repeat.take(), running.retry.take());
            if repeat.is_some() {
                uncounted.push(running.lane.clone());
            }
            if repeat.is_some() || retry.is_some() {
                work.ledger.write(store::let_end(running.request));
                ended += 1;
            }
        }
        uncounted.iter().for_each(|lane| self.uncount(&lane.bundle, lane.kind));
        ended
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
        let RequestRecord { id, bundle, request, attempt, .. } = &stored.record;
        if *attempt == 1 || request.repeat.is_some() {
            self.uncount(bundle, request.kind.name());
        }
        work.thinned.insert(lane_of(&stored.record));
        work.moved.retain(|moved| moved.record.id != *id);
        work.happenings.push(What::Cancelled {
            bundle: bundle.clone(),
            identifier: request.identifier.clone(),
            request: *id,
            cause,
        });
    }

    /// Cancels what a bundle no longer permits; says how many requests that were.
    pub(super) fn cancel_unpermitted(
        &mut self,
        now: Now,
        bundle: &BundleId,
        permits: &Permits,
        cause: CancelCause,
        work: &mut Work,
    ) -> Result<u64, StoreError> {
        let mut cancelled = 0;
        let mut pending = self.store.pending_without_input(bundle)?;
        pending.extend(work.ledger.fresh_requests().filter(|stored| stored.record.bundle == *bundle).cloned());
        for stored in pending {
            let request = &stored.record.request;
            if permits.still_permits(self.policy.profile, request) {
                continue;
            }
            let identifier = request.identifier.clone();
            // Read before it is ended, so that what stands behind it is seen to be the next.
            work.ledger.unfinished(&mut self.store, bundle, &identifier)?;
            if let Some(stored) = work.ledger.as_it_stands(stored) {
                work.ledger.end(&stored);
                self.forget_pending(&stored, cause, work);
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
        self.remove_schedules(bundle, work)?;
        work.ledger.write_all(store::remove_bundle(bundle, keep_data));
        if self.paces.remove(bundle).is_some() {
            work.ledger.write(store::remove_pace(bundle));
        }
        self.let_end(|running| running.lane.bundle == *bundle, work);
        self.bundles.remove(bundle);
        self.set_gate(now.wall, bundle);
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
            let stands = self.how_they_stand(&record.bundle, &unmet, work)?;
            let unfinished = work.ledger.unfinished(&mut self.store, &record.bundle, &record.request.identifier)?;
            let behind = older(unfinished, record.id);
            let reasons = reasons(now, self.world(), &lane_of(record), holds_of(record, &stands, behind));
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
pub(super) fn is_unlaunched(stored: &StoredRequest) -> bool {
    stored.stage != Stage::Launched && stored.record.attempt == 1
}

/// The dates in whole milliseconds, as they are stored; never earlier than asked for. Continued work has no floor.
fn in_whole_milliseconds(request: Request) -> Request {
    let earliest_begin = match request.kind.name() {
        KindName::ContinuedProcessing => None,
        KindName::AppRefresh | KindName::Processing | KindName::HealthResearch => request.earliest_begin,
    };
    let [earliest_begin, latest_begin] =
        [earliest_begin, request.latest_begin].map(|date| date.map(whole_milliseconds));
    Request { earliest_begin, latest_begin, ..request }
}

fn whole_milliseconds(floor: Timestamp) -> Timestamp {
    let floored = Timestamp::from_millisecond(floor.as_millisecond()).unwrap_or(floor);
    if floored < floor {
        Timestamp::from_millisecond(floor.as_millisecond().saturating_add(1)).unwrap_or(floor)
    } else {
        floored
    }
}

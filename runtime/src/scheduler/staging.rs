//! A bundle that is being changed: what its `activate` asks for is answered at once and done only when the change is settled,
//! in the same commit. Until then nothing of the bundle is launched, submitted or cancelled, so that the answers stay true.

use std::{collections::BTreeMap, mem, sync::Arc};

use super::{
    core::{Core, Installed, Work},
    event::{Change, Changed, Event, SchedulerError},
};
use crate::{
    bundle::Bundle,
    rules::*,
    store::{self, StoreError, StoredRequest},
};

/// The one bundle that is being changed.
pub(super) struct Staging {
    /// As it is to be.
    installed: Installed,
    /// What would stand in the ledger if all that was asked had been done. It gives answers, and is never committed.
    work: Work,
    /// Its pending requests that were never launched, as they would be.
    pending: BTreeMap<KindName, u64>,
    asked: Vec<Asked>,
    /// What others asked of the bundle meanwhile.
    held: Vec<Event>,
}

/// What `activate` asked for, in order.
enum Asked {
    Submit { id: RequestId, request: Box<Request> },
    Cancel { identifier: Option<Identifier> },
}

impl Staging {
    fn id(&self) -> &BundleId {
        self.installed.bundle.id()
    }
}

impl Core {
    /// Begins to change a bundle. What was begun before and never settled is forgotten.
    pub(super) fn stage(&mut self, now: Now, bundle: Arc<Bundle>, work: &mut Work) -> Result<(), SchedulerError> {
        self.abandon(now, work)?;
        let id = bundle.id().clone();
        let changes = self.bundles.get(&id).is_some_and(|old| old.bundle.digest != bundle.digest);
        let of_bundle =
            |((owner, kind), count): (&(BundleId, KindName), &u64)| (*owner == id).then_some((*kind, *count));
        let mut staging = Staging {
            pending: self.pending.iter().filter_map(of_bundle).collect(),
            installed: Installed::new(bundle, true),
            work: Work::rehearsed(),
            asked: Vec::new(),
            held: Vec::new(),
        };
        if changes {
            let permits = staging.installed.permits.clone();
            self.as_staged(&mut staging, |core, work| {
                core.cancel_unpermitted(now, &id, &permits, CancelCause::BundleChanged, work)
            })?;
        }
        let since = self.closed.get(&id).map_or(now.wall, |gate| gate.since);
        if let Some(installed) = self.bundles.get(&id) {
            self.closed.insert(id, Gate { changing: true, ..gate(since, installed) });
        }
        self.staging = Some(staging);
        Ok(())
    }

    /// What the answer to a submission of its `activate` is, and will be when the change is settled.
    pub(super) fn rehearse_submit(
        &mut self,
        now: Now,
        bundle: &BundleId,
        request: Request,
    ) -> Result<Submission, SchedulerError> {
        let mut staging = self.take_staging(bundle)?;
        let wanted = request.clone();
        let submit = |core: &mut Core, work: &mut Work| core.submit(now, Some(bundle.clone()), wanted, None, work);
        let answer = self.as_staged(&mut staging, submit);
        if let Ok(submission) = &answer {
            staging.asked.push(Asked::Submit { id: submission.request, request: Box::new(request) });
        }
        self.staging = Some(staging);
        answer
    }

    pub(super) fn rehearse_cancel(
        &mut self,
        now: Now,
        bundle: &BundleId,
        identifier: Option<Identifier>,
    ) -> Result<(), SchedulerError> {
        let mut staging = self.take_staging(bundle)?;
        let whose = identifier.clone();
        let cancel =
            |core: &mut Core, work: &mut Work| core.cancel(now, Some(bundle.clone()), whose, CancelCause::Bundle, work);
        let answer = self.as_staged(&mut staging, cancel);
        staging.asked.push(Asked::Cancel { identifier });
        self.staging = Some(staging);
        answer.map(|_| ())
    }

    /// The pending requests of a bundle as its `activate` sees them, at most `limit`.
    pub fn rehearsed_requests(&mut self, bundle: &BundleId, limit: usize) -> Result<Vec<Request>, SchedulerError> {
        let Some(staging) = self.staging.as_ref().filter(|staging| staging.id() == bundle) else {
            return self.pending_requests(bundle, limit);
        };
        let kept = self.store.pending(Some(bundle), limit)?;
        let ledger = &staging.work.ledger;
        let mut pending: Vec<StoredRequest> =
            kept.into_iter().filter_map(|stored| ledger.as_it_stands(stored)).collect();
        pending.extend(ledger.fresh_requests().cloned());
        pending.sort_by(|a, b| {
            (&a.record.request.identifier, a.record.id).cmp(&(&b.record.request.identifier, b.record.id))
        });
        pending.truncate(limit);
        Ok(pending.into_iter().map(|stored| stored.record.request).collect())
    }

    /// The bundle that is being changed.
    pub(super) fn changing(&self) -> Option<&BundleId> {
        self.staging.as_ref().map(Staging::id)
    }

    /// Ends a change without making it: everything is as before.
    pub(super) fn abandon(&mut self, now: Now, work: &mut Work) -> Result<(), StoreError> {
        let Some(staging) = self.staging.take() else { return Ok(()) };
        self.set_gate(now.wall, staging.id());
        self.take_held(now, staging.held, work)
    }

    /// Puts a bundle as it is to be. What the version before permitted and this one does not is cancelled, and what was
    /// rehearsed for it is done.
    pub(super) fn change(&mut self, now: Now, change: Change, work: &mut Work) -> Result<Changed, SchedulerError> {
        let (id, expire_running) = (change.bundle.id().clone(), change.expire_running);
        let Settling { asked, held } = self.unstage(now, &id);
        let put = self.put(now, change, asked, work);
        // Whoever waited for the change hears of it however it went.
        let taken = self.take_held(now, held, work);
        let cancelled = put?;
        taken?;
        // A study that nobody is enrolled in any more is over at once.
        let withdrawn = self.is_withdrawn(&id, KindName::HealthResearch);
        let withdrawn = |running: &Running| withdrawn && running.lane.kind == KindName::HealthResearch;
        self.let_end(|running| running.lane.bundle == id && withdrawn(running), work);
        let expired = self.expire_all(now, ExpirationReason::Cancelled, work, |running| {
            running.lane.bundle == id && (expire_running || withdrawn(running))
        });
        let running = self.running.values().filter(|running| running.lane.bundle == id).count() as u64;
        Ok(Changed { cancelled, expired, running })
    }

    /// Answers how many requests are no longer permitted.
    fn put(&mut self, now: Now, change: Change, asked: Vec<Asked>, work: &mut Work) -> Result<u64, StoreError> {
        let Change { row, bundle, expire_running: _, told } = change;
        let id = bundle.id().clone();
        work.remember_bundles(self);
        work.ledger.write_all(store::put_bundle(&row));
        let installed = Installed::new(bundle, row.enabled);
        let permits = installed.permits.clone();
        let cause = self.bundles.get(&id).and_then(|old| {
            if old.bundle.digest != installed.bundle.digest {
                Some(CancelCause::BundleChanged)
            } else {
                (old.permits.enrolled && !permits.enrolled).then_some(CancelCause::EnrolmentWithdrawn)
            }
        });
        let cancelled = match cause {
            Some(cause) => self.cancel_unpermitted(now, &id, &permits, cause, work)?,
            None => 0,
        };
        self.bundles.insert(id.clone(), installed);
        self.set_gate(now.wall, &id);
        work.happenings.extend(told);
        self.change_schedules(now, &id, work)?;
        self.perform(now, &id, asked, work)?;
        Ok(cancelled)
    }

    /// Does what was rehearsed for a bundle that itself stays as it is.
    pub(super) fn apply(&mut self, now: Now, bundle: &BundleId, work: &mut Work) -> Result<(), SchedulerError> {
        let Settling { asked, held } = self.unstage(now, bundle);
        let performed = self.perform(now, bundle, asked, work);
        let taken = self.take_held(now, held, work);
        performed?;
        Ok(taken?)
    }

    /// Keeps what is asked of the bundle that is being changed for later; gives everything else back.
    pub(super) fn hold(&mut self, event: Event) -> Option<Event> {
        let (bundle, identifier) = if let Event::Submit { bundle, request, .. } = &event {
            (bundle.as_ref(), Some(&request.identifier))
        } else if let Event::Cancel { bundle, identifier, .. } = &event {
            (bundle.as_ref(), identifier.as_ref())
        } else {
            return Some(event);
        };
        let owner = identifier.and_then(|identifier| self.owner(identifier)).map(|installed| installed.bundle.id());
        let whose = bundle.or(owner).cloned();
        match &mut self.staging {
            Some(staging) if whose.as_ref() == Some(staging.id()) => staging.held.push(event),
            Some(_) | None => return Some(event),
        }
        None
    }

    /// Closes or opens a bundle's lanes, as its grants and its operator would have it.
    pub(super) fn set_gate(&mut self, since: Timestamp, bundle: &BundleId) {
        let since = self.closed.get(bundle).map_or(since, |gate| gate.since);
        match self.bundles.get(bundle).map(|installed| gate(since, installed)).filter(|gate| !gate.is_open()) {
            Some(gate) => self.closed.insert(bundle.clone(), gate),
            None => self.closed.remove(bundle),
        };
    }

    /// Whether tasks of a kind may not go on, since this machine is not enrolled in the bundle's study.
    pub(super) fn is_withdrawn(&self, bundle: &BundleId, kind: KindName) -> bool {
        kind == KindName::HealthResearch && self.bundles.get(bundle).is_none_or(|installed| !installed.permits.enrolled)
    }

    fn unstage(&mut self, now: Now, bundle: &BundleId) -> Settling {
        match self.staging.take_if(|staging| staging.id() == bundle) {
            Some(Staging { asked, held, .. }) => {
                self.set_gate(now.wall, bundle);
                Settling { asked, held }
            }
            None => Settling { asked: Vec::new(), held: Vec::new() },
        }
    }

    /// What `activate` was told holds or nothing does: after an error no part of the step may be committed.
    fn perform(&mut self, now: Now, bundle: &BundleId, asked: Vec<Asked>, work: &mut Work) -> Result<(), StoreError> {
        for asked in asked {
            let done = match asked {
                Asked::Submit { id, request } => {
                    self.submit(now, Some(bundle.clone()), *request, Some(id), work).map(|_| ())
                }
                Asked::Cancel { identifier } => {
                    self.cancel(now, Some(bundle.clone()), identifier, CancelCause::Bundle, work).map(|_| ())
                }
            };
            done.map_err(|error| match error {
                SchedulerError::Store(error) => error,
                refused @ (SchedulerError::Refused(_) | SchedulerError::Unknown(_) | SchedulerError::Stopping) => {
                    let message = format!("`activate` of {bundle} was promised what cannot be kept now: {refused}");
                    StoreError::Withdrawn(message)
                }
            })?;
        }
        Ok(())
    }

    fn take_held(&mut self, now: Now, held: Vec<Event>, work: &mut Work) -> Result<(), StoreError> {
        // After a failure the rest is taken all the same, so that every caller hears of it.
        let failures: Vec<StoreError> =
            held.into_iter().filter_map(|event| self.take(now, event, work).err()).collect();
        failures.into_iter().next().map_or(Ok(()), Err)
    }

    fn take_staging(&mut self, bundle: &BundleId) -> Result<Staging, SchedulerError> {
        let over =
            || Refusal { code: RefusalCode::Unavailable, message: format!("the activation of {bundle} is over") };
        self.staging.take_if(|staging| staging.id() == bundle).ok_or_else(|| over().into())
    }

    /// Lets `act` see the bundle as it is to be. What it counts is the staging's own.
    fn as_staged<T>(&mut self, staging: &mut Staging, act: impl FnOnce(&mut Core, &mut Work) -> T) -> T {
        let id = staging.id().clone();
        let before = self.bundles.insert(id.clone(), staging.installed.clone());
        self.swap_counts(&id, &mut staging.pending);
        let answer = act(self, &mut staging.work);
        self.swap_counts(&id, &mut staging.pending);
        match before {
            Some(before) => self.bundles.insert(id, before),
            None => self.bundles.remove(&id),
        };
        answer
    }

    fn swap_counts(&mut self, bundle: &BundleId, counts: &mut BTreeMap<KindName, u64>) {
        for kind in KindName::ALL {
            let here = self.pending.entry((bundle.clone(), *kind)).or_default();
            mem::swap(here, counts.entry(*kind).or_default());
        }
    }
}

/// What waits for a change to be settled.
struct Settling {
    asked: Vec<Asked>,
    held: Vec<Event>,
}

/// Whether anything of the bundle may be launched, and why not.
fn gate(since: Timestamp, installed: &Installed) -> Gate {
    let Installed { bundle, permits: _, enabled } = installed;
    let missing = bundle.grants.missing(&bundle.manifest);
    let missing = missing.iter().map(|ask| Missing { ask: ask.to_string(), option: ask.option() }).collect();
    Gate { enabled: *enabled, missing, changing: false, since }
}

//! What is promised in a test: requests, checkpoints, what has succeeded; and the task that runs.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    time::{Duration, SystemTime},
};

use super::{
    folders::Folders,
    records::{Condition, Ended, Outcome, Pending, Profile, Reason, Submitted},
    rules::{self, Permits, Submitter, Unfinished},
    running::{Cut, Plan, Running},
};
use crate::{ExpirationReason, Kind, Request, Submission, SubmitError};

pub(super) struct World {
    pub(super) now: SystemTime,
    pub(super) profile: Profile,
    pub(super) enrolled: bool,
    pub(super) lacking: Vec<Condition>,
    pub(super) plans: BTreeMap<String, Vec<Plan>>,
    pub(super) checkpoints: BTreeMap<String, Vec<u8>>,
    pub(super) folders: Folders,
    pub(super) running: Option<Running>,
    permitted: Vec<&'static str>,
    /// In the order of submission.
    unfinished: Vec<Unfinished>,
    succeeded: BTreeSet<String>,
    requests: u64,
    tasks: u64,
}

/// What a task is launched with.
pub(super) struct Launch {
    pub(super) identifier: String,
    pub(super) input: Vec<u8>,
}

/// How a handler came to its end.
pub(super) enum End {
    Returned(Result<Vec<u8>, String>),
    Cut(Cut),
    Panicked(String),
}

impl World {
    pub(super) fn new(permitted: Vec<&'static str>) -> io::Result<World> {
        /// The first moment of 2026: a date that people can read in a message.
        const START: Duration = Duration::from_secs(1_767_225_600);
        Ok(World {
            now: SystemTime::UNIX_EPOCH + START,
            profile: Profile::default(),
            enrolled: false,
            lacking: Vec::new(),
            plans: BTreeMap::new(),
            checkpoints: BTreeMap::new(),
            folders: Folders::new()?,
            running: None,
            permitted,
            unfinished: Vec::new(),
            succeeded: BTreeSet::new(),
            requests: 0,
            tasks: 0,
        })
    }

    pub(super) fn submit(&mut self, submitter: Submitter, request: Request) -> Result<Submission, SubmitError> {
        let permits = Permits { profile: self.profile, identifiers: &self.permitted, enrolled: self.enrolled };
        rules::admit(permits, &self.unfinished, submitter, &request)?;
        let same = |other: &Unfinished| other.request.identifier == request.identifier && other.is_replaceable();
        let mut others = self.unfinished.clone();
        others.retain(|other| !same(other));
        let replaced = others.len() < self.unfinished.len();
        // What a person waits for has no floor.
        let floor = request.earliest_begin.filter(|_| !matches!(request.kind, Kind::ContinuedProcessing(_)));
        let fresh = self.fresh(request, floor, &others);
        rules::admit_immediate(&fresh.request, &self.reasons_beside(&others, &fresh))?;
        self.unfinished = others;
        self.requests = fresh.id;
        if let Some(running) = &mut self.running {
            running.submissions.push(Submitted { request: fresh.request.clone(), replaced });
        }
        let request_id = fresh.id.to_string();
        self.unfinished.push(fresh);
        Ok(Submission { request_id, replaced })
    }

    /// A request that has just been made, beside what is unfinished.
    fn fresh(&self, request: Request, floor: Option<SystemTime>, others: &[Unfinished]) -> Unfinished {
        let is_unfinished = |earlier: &str| others.iter().any(|other| other.request.identifier == earlier);
        let mut unmet = request.run_after.clone();
        unmet.retain(|earlier| is_unfinished(earlier) || !self.succeeded.contains(earlier));
        let id = self.requests + 1;
        Unfinished { id, request, submitted: self.now, floor, launches: 0, failures: 0, running: false, unmet }
    }

    /// The requests as they stand, for [`World::restore`].
    pub(super) fn requests(&self) -> Vec<Unfinished> {
        self.unfinished.clone()
    }

    /// Undoes what was submitted and taken back since. Numbers that were given are not given again.
    pub(super) fn restore(&mut self, requests: Vec<Unfinished>) {
        self.unfinished = requests;
    }

    /// Takes back what is pending: of one identifier, or all. What runs of these is neither tried again nor repeated.
    pub(super) fn cancel(&mut self, identifier: Option<&str>) {
        let is_meant =
            |request: &Unfinished| identifier.is_none_or(|identifier| request.request.identifier == identifier);
        self.unfinished.retain(|request| request.running || !is_meant(request));
        for running in self.unfinished.iter_mut().filter(|request| is_meant(request)) {
            running.request.repeat = None;
            running.request.retry = None;
        }
    }

    pub(super) fn pending(&self) -> Vec<Pending> {
        let pending = self.unfinished.iter().filter(|request| !request.running);
        pending
            .map(|request| Pending {
                id: request.id,
                request: request.request.clone(),
                launches: request.launches,
                reasons: self.reasons(request),
            })
            .collect()
    }

    fn reasons(&self, request: &Unfinished) -> Vec<Reason> {
        self.reasons_beside(&self.unfinished, request)
    }

    fn reasons_beside(&self, others: &[Unfinished], request: &Unfinished) -> Vec<Reason> {
        rules::reasons(self.now, |condition| !self.lacking.contains(&condition), others, request)
    }

    /// The next moment at which something that is pending may become due, or urgent.
    pub(super) fn next_date(&self) -> Option<SystemTime> {
        let pending = self.unfinished.iter().filter(|request| !request.running);
        let dates = pending.flat_map(|request| [request.floor, request.request.latest_begin]);
        dates.flatten().filter(|date| *date > self.now).min()
    }

    /// The request to launch next, of those that nothing holds back.
    pub(super) fn next_due(&self) -> Option<u64> {
        let due = self.unfinished.iter().filter(|request| !request.running && self.reasons(request).is_empty());
        due.min_by_key(|request| rules::turn(request, self.now)).map(|request| request.id)
    }

    /// Makes a pending request the running task.
    pub(super) fn launch(&mut self, request: u64) -> Option<Launch> {
        let request = self.unfinished.iter_mut().find(|other| other.id == request)?;
        request.running = true;
        request.launches += 1;
        self.tasks += 1;
        let Request { identifier, kind, input, .. } = request.request.clone();
        let plans = self.plans.remove(&identifier).unwrap_or_default();
        self.running = Some(Running::new(self.tasks, identifier.clone(), kind, request.launches, self.now, plans));
        Some(Launch { identifier, input })
    }

    /// Ends the running task, and settles its request or brings it back.
    pub(super) fn settle(&mut self, running: Running, end: End) -> Ended {
        let Running { id, identifier, attempt, launched, expiring, progress, titles, checkpoints, submissions, .. } =
            running;
        let outcome = outcome(end, expiring.map(|(reason, _)| reason));
        let place = self.unfinished.iter().position(|request| request.running);
        let mut request = self.unfinished.remove(place.expect("the request of a running task is not settled"));
        request.running = false;
        let comes_back = match &outcome {
            Outcome::Interrupted | Outcome::Expired { reason: ExpirationReason::HostStopping, .. } => {
                // Launches after failures are counted by themselves.
                attempt - request.failures <= rules::INTERRUPTIONS
            }
            Outcome::Failed { .. } | Outcome::Trapped { .. } => {
                request.failures += 1;
                // One that was asked to stop had its chance.
                let retry =
                    request.request.retry.filter(|retry| request.failures < retry.attempts && expiring.is_none());
                request.floor =
                    retry.map(|retry| self.now + rules::rest(retry, request.failures, request.id)).or(request.floor);
                retry.is_some()
            }
            Outcome::Succeeded { .. } | Outcome::Expired { .. } => false,
        };
        if let Outcome::Succeeded { .. } = outcome {
            self.checkpoints.remove(&identifier);
            self.unfinished.iter_mut().for_each(|request| request.unmet.retain(|earlier| *earlier != identifier));
            self.succeeded.insert(identifier.clone());
        }
        if comes_back {
            self.unfinished.push(request);
            self.unfinished.sort_by_key(|request| request.id);
        } else {
            self.repeat(request);
        }
        let took = self.now.duration_since(launched).unwrap_or_default();
        Ended { id, identifier, attempt, outcome, comes_back, took, progress, titles, checkpoints, submissions }
    }

    /// A repeated request that is finished is pending again for its next period, unless a newer one took its place.
    fn repeat(&mut self, finished: Unfinished) {
        let Unfinished { request, submitted, .. } = finished;
        let Some(repeat) = request.repeat else { return };
        if self.unfinished.iter().any(|other| other.request.identifier == request.identifier) {
            return;
        }
        let due = rules::next_due(request.earliest_begin.unwrap_or(submitted), repeat, self.now);
        let floor = due.checked_sub(repeat.flex).unwrap_or(due).max(self.now);
        let request = Request { earliest_begin: Some(due), ..request };
        let fresh = self.fresh(request, Some(floor), &self.unfinished);
        self.requests = fresh.id;
        self.unfinished.push(fresh);
    }

    pub(super) fn save_checkpoint(&mut self, identifier: &str, checkpoint: &[u8]) -> Result<(), String> {
        let (bytes, allowed) = (checkpoint.len(), rules::CHECKPOINT_BYTES);
        if bytes > allowed {
            return Err(format!("the checkpoint has {bytes} bytes, and {allowed} are allowed"));
        }
        self.checkpoints.insert(identifier.to_owned(), checkpoint.to_owned());
        Ok(())
    }

    pub(super) fn plan(&mut self, identifier: &str, plan: Plan) {
        self.plans.entry(identifier.to_owned()).or_default().push(plan);
    }
}

fn outcome(end: End, expiring: Option<ExpirationReason>) -> Outcome {
    let end = match end {
        End::Returned(Ok(output)) if output.len() > rules::OUTPUT_BYTES => {
            let (bytes, kept) = (output.len(), rules::OUTPUT_BYTES);
            End::Returned(Err(format!("the output of {bytes} bytes is larger than the {kept} that are kept")))
        }
        End::Returned(_) | End::Cut(_) | End::Panicked(_) => end,
    };
    match (end, expiring) {
        (End::Returned(returned), Some(reason)) => Outcome::Expired { reason, returned: Some(returned) },
        (End::Returned(Ok(output)), None) => Outcome::Succeeded { output },
        (End::Returned(Err(message)), None) => Outcome::Failed { message },
        (End::Cut(Cut::Interrupted), _) => Outcome::Interrupted,
        (End::Cut(Cut::Stopped), reason) => {
            Outcome::Expired { reason: reason.unwrap_or(ExpirationReason::TimeLimit), returned: None }
        }
        (End::Panicked(message), _) => Outcome::Trapped { message },
    }
}

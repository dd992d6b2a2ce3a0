//! What is promised in a test: requests, checkpoints, what has succeeded; and the task that runs.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    time::{Duration, SystemTime},
};

use super::{
    folders::Folders,
    records::{Condition, Ended, Outcome, Pending, Profile, Submitted},
    rules::{self, Unfinished},
    running::{Cut, Plan, Running},
};
use crate::{ExpirationReason, Request, Submission, SubmitError};

pub(super) struct World {
    pub(super) now: SystemTime,
    pub(super) profile: Profile,
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

    pub(super) fn submit(&mut self, request: Request) -> Result<Submission, SubmitError> {
        rules::admit(self.profile, &self.permitted, &self.unfinished, &request)?;
        let same = |other: &Unfinished| other.request.identifier == request.identifier && other.is_replaceable();
        let before = self.unfinished.len();
        self.unfinished.retain(|other| !same(other));
        let replaced = self.unfinished.len() < before;
        let is_unfinished = |earlier: &str| self.unfinished.iter().any(|other| other.request.identifier == earlier);
        let mut unmet = request.run_after.clone();
        unmet.retain(|earlier| is_unfinished(earlier) || !self.succeeded.contains(earlier));
        self.requests += 1;
        let id = self.requests;
        if let Some(running) = &mut self.running {
            running.submissions.push(Submitted { request: request.clone(), replaced });
        }
        self.unfinished.push(Unfinished { id, request, launches: 0, running: false, unmet });
        Ok(Submission { request_id: id.to_string(), replaced })
    }

    /// The requests as they stand, for [`World::restore`].
    pub(super) fn requests(&self) -> Vec<Unfinished> {
        self.unfinished.clone()
    }

    /// Undoes what was submitted and taken back since. Numbers that were given are not given again.
    pub(super) fn restore(&mut self, requests: Vec<Unfinished>) {
        self.unfinished = requests;
    }

    /// Takes back what is pending: of one identifier, or all.
    pub(super) fn cancel(&mut self, identifier: Option<&str>) {
        self.unfinished.retain(|request| {
            request.running || identifier.is_some_and(|identifier| request.request.identifier != identifier)
        });
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

    fn reasons(&self, request: &Unfinished) -> Vec<super::records::Reason> {
        rules::reasons(self.now, |condition| !self.lacking.contains(&condition), &self.unfinished, request)
    }

    /// The request to launch next, of those that nothing holds back.
    pub(super) fn next_due(&self) -> Option<u64> {
        let due = self.unfinished.iter().filter(|request| !request.running && self.reasons(request).is_empty());
        due.min_by_key(|request| rules::turn(request)).map(|request| request.id)
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
        let comes_back = match &outcome {
            Outcome::Interrupted | Outcome::Expired { reason: ExpirationReason::HostStopping, .. } => {
                attempt <= rules::INTERRUPTIONS
            }
            Outcome::Succeeded { .. } | Outcome::Failed { .. } | Outcome::Expired { .. } | Outcome::Trapped { .. } => {
                false
            }
        };
        if comes_back {
            let unfinished = self.unfinished.iter_mut();
            unfinished.filter(|request| request.running).for_each(|request| request.running = false);
        } else {
            self.unfinished.retain(|request| !request.running);
        }
        if let Outcome::Succeeded { .. } = outcome {
            self.checkpoints.remove(&identifier);
            self.unfinished.iter_mut().for_each(|request| request.unmet.retain(|earlier| *earlier != identifier));
            self.succeeded.insert(identifier.clone());
        }
        let took = self.now.duration_since(launched).unwrap_or_default();
        Ended { id, identifier, attempt, outcome, comes_back, took, progress, titles, checkpoints, submissions }
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

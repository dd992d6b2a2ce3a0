//! What the router answers: requests, tasks, reasons and conditions as JSON objects.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Bytes, Output, Request, Text, bundles::Missing};
use crate::rules::{self, BundleId, ExpirationReason, HistoryWord, Identifier, KindName, Timestamp};

/// Which host answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Always `idlewild`.
    pub name: String,
    pub version: String,
    /// The policy it runs under: `device` or `server`.
    pub profile: String,
    pub state_folder: PathBuf,
}

/// The answer to an accepted submission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submission {
    pub request: u64,
    /// Whether an earlier pending request of the identifier gave way to this one.
    pub replaced: bool,
}

/// How many pending requests a cancel took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancelled {
    pub cancelled: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestRecord {
    pub id: u64,
    pub bundle: Text<BundleId>,
    /// The attempt its next launch will be, or its present one is; from 1.
    pub attempt: u32,
    pub submitted_at: Text<Timestamp>,
    pub request: Request,
}

/// A pending request and why it is not running; no reasons means it is about to be launched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    pub record: RequestRecord,
    pub reasons: Vec<Reason>,
}

/// One reason why a request is not running now. `code` and `message` are always there, the rest where it belongs to the code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    pub code: String,
    /// The rules' own sentence.
    pub message: String,
    /// With `earliest-begin`: the floor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Text<Timestamp>>,
    /// With `run-after`: what has not succeeded yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identifier: Option<Text<Identifier>>,
    /// With `behind`: the request before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<u64>,
    /// With `no-network`, `no-external-power`, `not-idle`: what the machine lacks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<Text<rules::Condition>>,
    /// With a condition: since when it is lacking.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Text<Timestamp>>,
    /// With a condition: where that is known from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// With `no-slot`: how many there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slots: Option<u64>,
    /// With `bundle-disabled`, `not-granted`, `bundle-changing`: whose gate is closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<Text<BundleId>>,
    /// With `not-granted`: what is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<Missing>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    pub id: u64,
    pub request: u64,
    pub bundle: Text<BundleId>,
    pub identifier: Text<Identifier>,
    pub kind: Text<KindName>,
    pub attempt: u32,
    pub launched_at: Text<Timestamp>,
    /// The latest report; null when the guest made none.
    pub progress: Option<Progress>,
    /// Null while it runs.
    pub ended: Option<Ended>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    pub completed: u64,
    pub total: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    pub at: Text<Timestamp>,
    #[serde(flatten)]
    pub outcome: Outcome,
    pub usage: Usage,
}

/// How a task ended. The key `outcome` names it; the other keys stand beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    Succeeded {
        #[serde(flatten)]
        output: Output,
    },
    Failed {
        message: String,
    },
    Expired {
        reason: Text<ExpirationReason>,
        /// Whether the handler returned within its grace; if not, it was stopped by force.
        handled: bool,
        /// What it returned, when it called that a success.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        returned: Option<Output>,
        /// What it said, when it called that a failure.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
    Trapped {
        message: String,
    },
    Interrupted,
}

/// What a task used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Units of the engine's fuel.
    pub fuel: u64,
    /// From launch to end, in microseconds.
    pub wall_us: u64,
    pub peak_memory_bytes: u64,
}

/// Everything known about an identifier now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    pub bundle: Text<BundleId>,
    pub identifier: Text<Identifier>,
    /// Its pending requests, the one to run first before one that waits behind it. Empty: nothing was asked.
    pub waiting: Vec<Waiting>,
    pub running: Option<Task>,
    /// The last task that ended.
    pub last: Option<Task>,
}

/// One condition as last read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    pub condition: Text<rules::Condition>,
    pub holds: bool,
    /// Where the value comes from: a file of the system, or `stated`.
    pub source: String,
    /// Since when it has had this value.
    pub since: Text<Timestamp>,
    /// When it was last read.
    pub read_at: Text<Timestamp>,
}

impl Condition {
    /// All of them, in a fixed order.
    pub fn list(conditions: &rules::Conditions) -> Vec<Condition> {
        let one = |(condition, reading): (rules::Condition, &rules::Reading)| {
            let rules::Reading { holds, source, since, read_at } = reading.clone();
            Condition { condition: Text(condition), holds, source, since: Text(since), read_at: Text(read_at) }
        };
        conditions.iter().map(one).collect()
    }
}

impl Task {
    /// The task without an output too long for a list.
    pub(in crate::api) fn for_list(task: &rules::TaskRecord) -> Task {
        let mut task = Task::from(task);
        if let Some(ended) = &mut task.ended {
            ended.outcome.shorten();
        }
        task
    }
}

impl Outcome {
    pub(super) fn shorten(&mut self) {
        match self {
            Outcome::Succeeded { output } => output.shorten(),
            Outcome::Expired { returned: Some(output), .. } => output.shorten(),
            Outcome::Expired { .. } | Outcome::Failed { .. } | Outcome::Trapped { .. } | Outcome::Interrupted => {}
        }
    }
}

impl From<rules::Submission> for Submission {
    fn from(submission: rules::Submission) -> Submission {
        let rules::Submission { request, replaced } = submission;
        Submission { request: request.0, replaced }
    }
}

impl From<&rules::RequestRecord> for RequestRecord {
    fn from(record: &rules::RequestRecord) -> RequestRecord {
        let rules::RequestRecord { id, bundle, request, attempt, submitted_at } = record;
        RequestRecord {
            id: id.0,
            bundle: Text(bundle.clone()),
            attempt: *attempt,
            submitted_at: Text(*submitted_at),
            request: Request::from(request),
        }
    }
}

impl From<&rules::Waiting> for Waiting {
    fn from(waiting: &rules::Waiting) -> Waiting {
        let rules::Waiting { record, reasons } = waiting;
        Waiting { record: record.into(), reasons: reasons.iter().map(Reason::from).collect() }
    }
}

impl From<&rules::Reason> for Reason {
    fn from(reason: &rules::Reason) -> Reason {
        let plain = Reason {
            code: reason.code().to_owned(),
            message: reason.to_string(),
            at: None,
            identifier: None,
            request: None,
            condition: None,
            since: None,
            source: None,
            slots: None,
            bundle: None,
            missing: None,
        };
        match reason {
            rules::Reason::EarliestBegin { at } => Reason { at: Some(Text(*at)), ..plain },
            rules::Reason::RunAfter { identifier } => Reason { identifier: Some(Text(identifier.clone())), ..plain },
            rules::Reason::Behind { request } => Reason { request: Some(request.0), ..plain },
            rules::Reason::Lacks { condition, since, source } => Reason {
                condition: Some(Text(*condition)),
                since: Some(Text(*since)),
                source: Some(source.clone()),
                ..plain
            },
            rules::Reason::BundleDisabled { bundle } | rules::Reason::BundleChanging { bundle } => {
                Reason { bundle: Some(Text(bundle.clone())), ..plain }
            }
            rules::Reason::NotGranted { bundle, missing } => {
                Reason { bundle: Some(Text(bundle.clone())), missing: Some(missing.clone().into()), ..plain }
            }
            rules::Reason::NoSlot { slots } => Reason { slots: Some(*slots as u64), ..plain },
            rules::Reason::NotLaunching => plain,
        }
    }
}

impl From<&rules::TaskRecord> for Task {
    fn from(task: &rules::TaskRecord) -> Task {
        let rules::TaskRecord { id, request, bundle, identifier, kind, attempt, launched_at, progress, ended } = task;
        Task {
            id: id.0,
            request: request.0,
            bundle: Text(bundle.clone()),
            identifier: Text(identifier.clone()),
            kind: Text(*kind),
            attempt: *attempt,
            launched_at: Text(*launched_at),
            progress: progress.map(Progress::from),
            ended: ended.as_ref().map(Ended::from),
        }
    }
}

impl From<rules::Progress> for Progress {
    fn from(progress: rules::Progress) -> Progress {
        let rules::Progress { completed, total } = progress;
        Progress { completed, total }
    }
}

impl From<&rules::Ended> for Ended {
    fn from(ended: &rules::Ended) -> Ended {
        let rules::Ended { at, outcome, usage } = ended;
        Ended { at: Text(*at), outcome: outcome.into(), usage: (*usage).into() }
    }
}

impl From<&rules::Outcome> for Outcome {
    fn from(outcome: &rules::Outcome) -> Outcome {
        match outcome {
            rules::Outcome::Succeeded { output } => Outcome::Succeeded { output: Output::whole(output) },
            rules::Outcome::Failed { message } => Outcome::Failed { message: message.clone() },
            rules::Outcome::Expired { reason, returned } => Outcome::Expired {
                reason: Text(*reason),
                handled: returned.is_some(),
                returned: match returned {
                    Some(Ok(output)) => Some(Output::whole(output)),
                    Some(Err(_)) | None => None,
                },
                message: match returned {
                    Some(Err(message)) => Some(message.clone()),
                    Some(Ok(_)) | None => None,
                },
            },
            rules::Outcome::Trapped { message } => Outcome::Trapped { message: message.clone() },
            rules::Outcome::Interrupted => Outcome::Interrupted,
        }
    }
}

impl From<rules::Usage> for Usage {
    fn from(usage: rules::Usage) -> Usage {
        let rules::Usage { fuel, wall, peak_memory } = usage;
        Usage { fuel, wall_us: u64::try_from(wall.as_micros()).unwrap_or(u64::MAX), peak_memory_bytes: peak_memory }
    }
}

impl From<&rules::Why> for Why {
    fn from(why: &rules::Why) -> Why {
        let rules::Why { bundle, identifier, waiting, running, last } = why;
        Why {
            bundle: Text(bundle.clone()),
            identifier: Text(identifier.clone()),
            waiting: waiting.iter().map(Waiting::from).collect(),
            running: running.as_ref().map(Task::for_list),
            last: last.as_ref().map(Task::for_list),
        }
    }
}

impl Bytes {
    /// The first line, with what is not UTF-8 as U+FFFD; none when there is nothing to show.
    pub fn first_line(&self) -> Option<String> {
        let line = self.0.split(|byte| *byte == b'\n').next()?;
        let text = String::from_utf8_lossy(line).trim_end().to_owned();
        if text.is_empty() { None } else { Some(text) }
    }
}

/// Something that changed of a bundle or of one of its requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// Greater than those of earlier changes.
    pub id: u64,
    pub at: Text<Timestamp>,
    pub bundle: Text<BundleId>,
    /// Such as `bundle-installed` or `cancelled`.
    pub what: Text<HistoryWord>,
    pub identifier: Option<Text<Identifier>>,
    pub request: Option<u64>,
    /// The cause of a cancellation, the request that replaced this one, the version that was installed.
    pub detail: Option<String>,
}

impl From<rules::HistoryRecord> for HistoryEntry {
    fn from(rules::HistoryRecord { id, at, entry }: rules::HistoryRecord) -> HistoryEntry {
        let rules::HistoryEntry { bundle, what, identifier, request, detail } = entry;
        HistoryEntry {
            id,
            at: Text(at),
            bundle: Text(bundle),
            what: Text(what),
            identifier: identifier.map(Text),
            request: request.map(|request| request.0),
            detail,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::rules::{RequestId, TaskId};

    fn task(outcome: rules::Outcome) -> rules::TaskRecord {
        let at: Timestamp = "2026-07-28T09:00:00Z".parse().unwrap();
        rules::TaskRecord {
            id: TaskId(7),
            request: RequestId(3),
            bundle: BundleId::parse("com.example.a").unwrap(),
            identifier: Identifier::parse("com.example.a.b").unwrap(),
            kind: KindName::Processing,
            attempt: 2,
            launched_at: at,
            progress: Some(rules::Progress { completed: 3, total: 4 }),
            ended: Some(rules::Ended {
                at,
                outcome,
                usage: rules::Usage { fuel: 12_345, wall: Duration::from_micros(1_500), peak_memory: 65_536 },
            }),
        }
    }

    #[test]
    fn each_outcome_comes_back_from_json_as_it_went() {
        let reason = ExpirationReason::TimeLimit;
        let outcomes = [
            (
                rules::Outcome::Succeeded { output: b"40 images".to_vec() },
                r#""outcome":"succeeded","output":{"text":"40 images"},"output_bytes":9"#,
            ),
            (rules::Outcome::Failed { message: "no".into() }, r#""outcome":"failed","message":"no""#),
            (
                rules::Outcome::Expired { reason, returned: None },
                r#""outcome":"expired","reason":"time-limit","handled":false"#,
            ),
            (
                rules::Outcome::Expired { reason, returned: Some(Ok(vec![0xff])) },
                r#""handled":true,"returned":{"output":{"base64":"/w=="},"output_bytes":1}"#,
            ),
            (
                rules::Outcome::Expired { reason, returned: Some(Err("half".into())) },
                r#""handled":true,"message":"half""#,
            ),
            (
                rules::Outcome::Trapped { message: "unreachable".into() },
                r#""outcome":"trapped","message":"unreachable""#,
            ),
            (rules::Outcome::Interrupted, r#""outcome":"interrupted""#),
        ];
        for (outcome, part) in outcomes {
            let task = Task::from(&task(outcome));
            let json = serde_json::to_string(&task).unwrap();
            assert!(json.contains(part), "{json}");
            assert!(json.contains(r#""usage":{"fuel":12345,"wall_us":1500,"peak_memory_bytes":65536}"#), "{json}");
            assert_eq!(serde_json::from_str::<Task>(&json).unwrap(), task);
        }
    }

    #[test]
    fn lists_leave_long_outputs_out() {
        let long = rules::Outcome::Succeeded { output: vec![b'x'; 5_000] };
        let json = serde_json::to_string(&Task::for_list(&task(long))).unwrap();
        assert!(json.contains(r#""outcome":"succeeded","output_bytes":5000"#), "{json}");
    }

    #[test]
    fn a_reason_says_its_code_its_sentence_and_what_belongs_to_it() {
        let at: Timestamp = "2026-07-28T09:00:00Z".parse().unwrap();
        let reason = rules::Reason::Lacks { condition: rules::Condition::Idle, since: at, source: "stated".into() };
        let json = serde_json::to_string(&Reason::from(&reason)).unwrap();
        assert_eq!(
            json,
            format!(
                r#"{{"code":"not-idle","message":"{reason}","condition":"idle","since":"2026-07-28T09:00:00Z","source":"stated"}}"#
            )
        );
        assert_eq!(serde_json::from_str::<Reason>(&json).unwrap(), Reason::from(&reason));
    }

    #[test]
    fn the_first_line_is_what_a_person_sees_of_bytes() {
        assert_eq!(Bytes(b"one\r\ntwo".to_vec()).first_line().as_deref(), Some("one"));
        assert_eq!(Bytes(b"".to_vec()).first_line(), None);
    }
}

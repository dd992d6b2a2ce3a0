//! What happens, one object an event: the same on the events route and in the lines of `serve --json`.

use serde::{Deserialize, Serialize};

use super::{Missing, Outcome, Progress, Reason, ScheduleNews, Text, Usage};
use crate::rules::{
    self, BundleId, CancelCause, Condition, ExpirationReason, Identifier, KindName, ScheduleName, Timestamp,
};

/// Something that happened. The key `event` names it; the other keys stand beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Left out of `missed`, which stands for events whose times are lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Text<Timestamp>>,
    #[serde(flatten)]
    pub what: What,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum What {
    /// A component is compiled, so that its bundle may be installed.
    Compiling {
        bundle: Text<BundleId>,
        version: String,
        /// The component's length.
        bytes: u64,
    },
    Compiled {
        bundle: Text<BundleId>,
        version: String,
    },
    NotCompiled {
        bundle: Text<BundleId>,
        version: String,
        message: String,
    },
    BundleInstalled {
        bundle: Text<BundleId>,
        version: String,
    },
    BundleRolledBack {
        bundle: Text<BundleId>,
        version: String,
    },
    BundleSigned {
        bundle: Text<BundleId>,
        /// By whom, for people.
        signer: String,
    },
    BundleUninstalled {
        bundle: Text<BundleId>,
    },
    DataDropped {
        bundle: Text<BundleId>,
    },
    BundleEnabled {
        bundle: Text<BundleId>,
    },
    BundleDisabled {
        bundle: Text<BundleId>,
    },
    GrantsChanged {
        bundle: Text<BundleId>,
        /// What it asks for and still lacks.
        missing: Vec<Missing>,
    },
    /// The operator enrolled this machine in the bundle's study.
    Enrolled {
        bundle: Text<BundleId>,
        study: String,
    },
    /// The operator withdrew this machine from the bundle's study.
    EnrolmentWithdrawn {
        bundle: Text<BundleId>,
        study: String,
    },
    Submitted {
        bundle: Text<BundleId>,
        identifier: Text<Identifier>,
        request: u64,
        /// The request that gave way to this one.
        replaced: Option<u64>,
    },
    Waiting {
        bundle: Text<BundleId>,
        identifier: Text<Identifier>,
        request: u64,
        reasons: Vec<Reason>,
    },
    Cancelled {
        bundle: Text<BundleId>,
        identifier: Text<Identifier>,
        request: u64,
        cause: Text<CancelCause>,
    },
    Launched {
        bundle: Text<BundleId>,
        identifier: Text<Identifier>,
        request: u64,
        task: u64,
        kind: Text<KindName>,
        attempt: u32,
    },
    Progressed {
        bundle: Text<BundleId>,
        identifier: Text<Identifier>,
        task: u64,
        progress: Progress,
    },
    Titled {
        bundle: Text<BundleId>,
        identifier: Text<Identifier>,
        task: u64,
        title: String,
        subtitle: String,
    },
    Suspended {
        bundle: Text<BundleId>,
        identifier: Text<Identifier>,
        task: u64,
    },
    Resumed {
        bundle: Text<BundleId>,
        identifier: Text<Identifier>,
        task: u64,
    },
    Attached {
        bundle: Text<BundleId>,
        identifier: Text<Identifier>,
        task: u64,
        /// How many clients watch it now.
        watchers: u64,
    },
    Detached {
        bundle: Text<BundleId>,
        identifier: Text<Identifier>,
        task: u64,
        /// How many clients still watch it.
        watchers: u64,
    },
    Expiring {
        bundle: Text<BundleId>,
        identifier: Text<Identifier>,
        task: u64,
        reason: Text<ExpirationReason>,
    },
    Ended {
        bundle: Text<BundleId>,
        identifier: Text<Identifier>,
        task: u64,
        #[serde(flatten)]
        outcome: Outcome,
        usage: Usage,
        /// Whether its request is pending again.
        comes_back: bool,
    },
    ConditionChanged {
        condition: Text<Condition>,
        holds: bool,
        source: String,
    },
    Schedule {
        bundle: Text<BundleId>,
        identifier: Text<Identifier>,
        schedule: Text<ScheduleName>,
        #[serde(flatten)]
        news: ScheduleNews,
    },
    /// This listener fell behind and lost so many events.
    Missed {
        count: u64,
    },
}

impl Event {
    pub(in crate::api) fn missed(count: u64) -> Event {
        Event { at: None, what: What::Missed { count } }
    }
}

impl What {
    /// The event's name, as the key `event` has it.
    pub fn name(&self) -> &'static str {
        match self {
            What::Compiling { .. } => "compiling",
            What::Compiled { .. } => "compiled",
            What::NotCompiled { .. } => "not-compiled",
            What::BundleInstalled { .. } => "bundle-installed",
            What::BundleRolledBack { .. } => "bundle-rolled-back",
            What::BundleSigned { .. } => "bundle-signed",
            What::BundleUninstalled { .. } => "bundle-uninstalled",
            What::DataDropped { .. } => "data-dropped",
            What::BundleEnabled { .. } => "bundle-enabled",
            What::BundleDisabled { .. } => "bundle-disabled",
            What::GrantsChanged { .. } => "grants-changed",
            What::Enrolled { .. } => "enrolled",
            What::EnrolmentWithdrawn { .. } => "enrolment-withdrawn",
            What::Submitted { .. } => "submitted",
            What::Waiting { .. } => "waiting",
            What::Cancelled { .. } => "cancelled",
            What::Launched { .. } => "launched",
            What::Progressed { .. } => "progressed",
            What::Titled { .. } => "titled",
            What::Suspended { .. } => "suspended",
            What::Resumed { .. } => "resumed",
            What::Attached { .. } => "attached",
            What::Detached { .. } => "detached",
            What::Expiring { .. } => "expiring",
            What::Ended { .. } => "ended",
            What::ConditionChanged { .. } => "condition-changed",
            What::Schedule { .. } => "schedule",
            What::Missed { .. } => "missed",
        }
    }
}

impl What {
    /// The task it is about, if it is about one.
    pub fn task(&self) -> Option<u64> {
        match self {
            What::Launched { task, .. }
            | What::Progressed { task, .. }
            | What::Titled { task, .. }
            | What::Suspended { task, .. }
            | What::Resumed { task, .. }
            | What::Attached { task, .. }
            | What::Detached { task, .. }
            | What::Expiring { task, .. }
            | What::Ended { task, .. } => Some(*task),
            What::Compiling { .. }
            | What::Compiled { .. }
            | What::NotCompiled { .. }
            | What::BundleInstalled { .. }
            | What::BundleRolledBack { .. }
            | What::BundleSigned { .. }
            | What::BundleUninstalled { .. }
            | What::DataDropped { .. }
            | What::BundleEnabled { .. }
            | What::BundleDisabled { .. }
            | What::GrantsChanged { .. }
            | What::Enrolled { .. }
            | What::EnrolmentWithdrawn { .. }
            | What::Submitted { .. }
            | What::Waiting { .. }
            | What::Cancelled { .. }
            | What::ConditionChanged { .. }
            | What::Schedule { .. }
            | What::Missed { .. } => None,
        }
    }
}

impl From<&rules::Happening> for Event {
    fn from(happening: &rules::Happening) -> Event {
        Event { at: Some(Text(happening.at)), what: What::from(&happening.what) }
    }
}

impl From<&rules::What> for What {
    fn from(what: &rules::What) -> What {
        match what.clone() {
            rules::What::Compiling { bundle, version, bytes } => {
                What::Compiling { bundle: Text(bundle), version, bytes }
            }
            rules::What::Compiled { bundle, version } => What::Compiled { bundle: Text(bundle), version },
            rules::What::NotCompiled { bundle, version, message } => {
                What::NotCompiled { bundle: Text(bundle), version, message }
            }
            rules::What::BundleInstalled { bundle, version } => What::BundleInstalled { bundle: Text(bundle), version },
            rules::What::BundleRolledBack { bundle, version } => {
                What::BundleRolledBack { bundle: Text(bundle), version }
            }
            rules::What::BundleSigned { bundle, signer } => What::BundleSigned { bundle: Text(bundle), signer },
            rules::What::DataDropped { bundle } => What::DataDropped { bundle: Text(bundle) },
            rules::What::BundleUninstalled { bundle } => What::BundleUninstalled { bundle: Text(bundle) },
            rules::What::BundleEnabled { bundle } => What::BundleEnabled { bundle: Text(bundle) },
            rules::What::BundleDisabled { bundle } => What::BundleDisabled { bundle: Text(bundle) },
            rules::What::GrantsChanged { bundle, missing } => {
                What::GrantsChanged { bundle: Text(bundle), missing: missing.into_iter().map(Missing::from).collect() }
            }
            rules::What::Enrolled { bundle, study } => What::Enrolled { bundle: Text(bundle), study },
            rules::What::EnrolmentWithdrawn { bundle, study } => {
                What::EnrolmentWithdrawn { bundle: Text(bundle), study }
            }
            rules::What::Submitted { bundle, identifier, request, replaced } => What::Submitted {
                bundle: Text(bundle),
                identifier: Text(identifier),
                request: request.0,
                replaced: replaced.map(|request| request.0),
            },
            rules::What::Waiting { bundle, identifier, request, reasons } => What::Waiting {
                bundle: Text(bundle),
                identifier: Text(identifier),
                request: request.0,
                reasons: reasons.iter().map(Reason::from).collect(),
            },
            rules::What::Cancelled { bundle, identifier, request, cause } => What::Cancelled {
                bundle: Text(bundle),
                identifier: Text(identifier),
                request: request.0,
                cause: Text(cause),
            },
            rules::What::Launched { bundle, identifier, request, task, kind, attempt } => What::Launched {
                bundle: Text(bundle),
                identifier: Text(identifier),
                request: request.0,
                task: task.0,
                kind: Text(kind),
                attempt,
            },
            rules::What::Progressed { bundle, identifier, task, progress } => What::Progressed {
                bundle: Text(bundle),
                identifier: Text(identifier),
                task: task.0,
                progress: progress.into(),
            },
            rules::What::Titled { bundle, identifier, task, title } => {
                let rules::Title { title, subtitle } = title;
                What::Titled { bundle: Text(bundle), identifier: Text(identifier), task: task.0, title, subtitle }
            }
            rules::What::Suspended { bundle, identifier, task } => {
                What::Suspended { bundle: Text(bundle), identifier: Text(identifier), task: task.0 }
            }
            rules::What::Resumed { bundle, identifier, task } => {
                What::Resumed { bundle: Text(bundle), identifier: Text(identifier), task: task.0 }
            }
            rules::What::Attached { bundle, identifier, task, watchers } => What::Attached {
                bundle: Text(bundle),
                identifier: Text(identifier),
                task: task.0,
                watchers: watchers as u64,
            },
            rules::What::Detached { bundle, identifier, task, watchers } => What::Detached {
                bundle: Text(bundle),
                identifier: Text(identifier),
                task: task.0,
                watchers: watchers as u64,
            },
            rules::What::Expiring { bundle, identifier, task, reason } => What::Expiring {
                bundle: Text(bundle),
                identifier: Text(identifier),
                task: task.0,
                reason: Text(reason),
            },
            rules::What::Ended { bundle, identifier, task, outcome, usage, comes_back } => {
                let mut outcome = Outcome::from(&outcome);
                outcome.shorten();
                What::Ended {
                    bundle: Text(bundle),
                    identifier: Text(identifier),
                    task: task.0,
                    outcome,
                    usage: usage.into(),
                    comes_back,
                }
            }
            rules::What::Schedule { bundle, identifier, schedule, news } => What::Schedule {
                bundle: Text(bundle),
                identifier: Text(identifier),
                schedule: Text(schedule),
                news: news.into(),
            },
            rules::What::ConditionChanged { condition, holds, source } => {
                What::ConditionChanged { condition: Text(condition), holds, source }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{RequestId, TaskId};

    #[test]
    fn every_event_carries_its_name_and_comes_back_from_json() {
        let bundle = || BundleId::parse("com.example.a").unwrap();
        let identifier = || Identifier::parse("com.example.a.b").unwrap();
        let (request, task) = (RequestId(1), TaskId(2));
        let at: Timestamp = "2026-07-28T09:00:00Z".parse().unwrap();
        let happened = [
            rules::What::Compiling { bundle: bundle(), version: "1.0.0".into(), bytes: 7 },
            rules::What::Compiled { bundle: bundle(), version: "1.0.0".into() },
            rules::What::NotCompiled { bundle: bundle(), version: "1.0.0".into(), message: "too much".into() },
            rules::What::BundleInstalled { bundle: bundle(), version: "1.0.0".into() },
            rules::What::BundleRolledBack { bundle: bundle(), version: "0.9.0".into() },
            rules::What::BundleSigned { bundle: bundle(), signer: "ada (key 1)".into() },
            rules::What::Enrolled { bundle: bundle(), study: "heart".into() },
            rules::What::EnrolmentWithdrawn { bundle: bundle(), study: "heart".into() },
            rules::What::BundleUninstalled { bundle: bundle() },
            rules::What::DataDropped { bundle: bundle() },
            rules::What::BundleEnabled { bundle: bundle() },
            rules::What::BundleDisabled { bundle: bundle() },
            rules::What::GrantsChanged {
                bundle: bundle(),
                missing: vec![rules::Missing {
                    ask: "for the secret `token`".into(),
                    option: "--secret token=FILE".into(),
                }],
            },
            rules::What::Submitted {
                bundle: bundle(),
                identifier: identifier(),
                request,
                replaced: Some(RequestId(9)),
            },
            rules::What::Waiting {
                bundle: bundle(),
                identifier: identifier(),
                request,
                reasons: [rules::Reason::EarliestBegin { at }, rules::Reason::NotLaunching]
                    .map(|reason| rules::Held { reason, since: at })
                    .to_vec(),
            },
            rules::What::Cancelled { bundle: bundle(), identifier: identifier(), request, cause: CancelCause::Person },
            rules::What::Launched {
                bundle: bundle(),
                identifier: identifier(),
                request,
                task,
                kind: KindName::AppRefresh,
                attempt: 1,
            },
            rules::What::Progressed {
                bundle: bundle(),
                identifier: identifier(),
                task,
                progress: rules::Progress { completed: 1, total: 2 },
            },
            rules::What::Titled {
                bundle: bundle(),
                identifier: identifier(),
                task,
                title: rules::Title { title: "Export".into(), subtitle: "to disk".into() },
            },
            rules::What::Suspended { bundle: bundle(), identifier: identifier(), task },
            rules::What::Resumed { bundle: bundle(), identifier: identifier(), task },
            rules::What::Attached { bundle: bundle(), identifier: identifier(), task, watchers: 2 },
            rules::What::Detached { bundle: bundle(), identifier: identifier(), task, watchers: 1 },
            rules::What::Expiring {
                bundle: bundle(),
                identifier: identifier(),
                task,
                reason: ExpirationReason::HostStopping,
            },
            rules::What::Ended {
                bundle: bundle(),
                identifier: identifier(),
                task,
                outcome: rules::Outcome::Succeeded { output: b"ok".to_vec() },
                usage: rules::Usage::default(),
                comes_back: false,
            },
            rules::What::ConditionChanged { condition: Condition::Idle, holds: true, source: "stated".into() },
        ];
        let schedule = |news| rules::What::Schedule {
            bundle: bundle(),
            identifier: identifier(),
            schedule: ScheduleName::parse("nightly").unwrap(),
            news,
        };
        let refusal = rules::Refusal { code: rules::RefusalCode::NotPermitted, message: "no".into() };
        let scheduled = [
            rules::ScheduleNews::Added,
            rules::ScheduleNews::Removed { cause: CancelCause::BundleChanged },
            rules::ScheduleNews::Enabled,
            rules::ScheduleNews::Disabled,
            rules::ScheduleNews::Due { occurrence: at, request },
            rules::ScheduleNews::Refused { occurrence: at, refusal },
            rules::ScheduleNews::Missed { from: at, to: at },
            rules::ScheduleNews::Restarted { from: at },
            rules::ScheduleNews::Stopped { message: "unknown".into() },
        ];
        for what in happened.into_iter().chain(scheduled.map(schedule)) {
            let event = Event::from(&rules::Happening { at, what });
            let json = serde_json::to_string(&event).unwrap();
            assert!(json.starts_with(r#"{"at":"2026-07-28T09:00:00Z","event":""#), "{json}");
            assert!(json.contains(&format!(r#""event":"{}""#, event.what.name())), "{json}");
            assert_eq!(serde_json::from_str::<Event>(&json).unwrap(), event);
        }
        assert_eq!(serde_json::to_string(&Event::missed(3)).unwrap(), r#"{"event":"missed","count":3}"#);
    }
}

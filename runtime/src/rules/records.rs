//! What is known of requests and tasks, and what happens to them: the records every surface shows.

use std::{fmt, time::Duration};

use super::{
    eligibility::Missing,
    explain::Mend,
    schedule::{ScheduleName, ScheduleNews},
    words::*,
};

words! {
    /// Who or what cancelled a request.
    CancelCause {
        /// A person, through a client.
        Person = "person",
        /// The bundle itself.
        Bundle = "bundle",
        /// Its bundle was uninstalled.
        BundleRemoved = "bundle-removed",
        /// Its bundle changed and no longer permits the identifier.
        BundleChanged = "bundle-changed",
        /// The operator withdrew this machine from the study it was for.
        EnrolmentWithdrawn = "enrolment-withdrawn",
    }
}

/// A request as the store holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestRecord {
    pub id: RequestId,
    pub bundle: BundleId,
    pub request: Request,
    /// The attempt its next launch will be, or its present one is; from 1.
    pub attempt: u32,
    /// How often its handler has failed so far.
    pub failures: u32,
    /// Not to be launched before: its earliest begin, the begin of its flex, or the end of a rest.
    pub floor: Option<Timestamp>,
    /// Whether its latest begin is reached.
    pub urgent: bool,
    pub submitted_at: Timestamp,
}

/// A task as the store holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskRecord {
    pub id: TaskId,
    pub request: RequestId,
    pub bundle: BundleId,
    pub identifier: Identifier,
    pub kind: KindName,
    pub attempt: u32,
    pub launched_at: Timestamp,
    /// The latest report, if the guest made one.
    pub progress: Option<Progress>,
    /// What people see of a continued task.
    pub title: Option<Title>,
    /// Whether it is held in place, its conditions gone.
    pub suspended: bool,
    /// None while it runs.
    pub ended: Option<Ended>,
}

/// How and when a task ended, and what it used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    pub at: Timestamp,
    pub outcome: Outcome,
    pub usage: Usage,
}

words! {
    /// How an identifier stands for which another waits.
    Awaited {
        Unasked = "unasked",
        /// Nothing of it is pending, and its last task did not succeed.
        Failed = "failed",
        Pending = "pending",
        Running = "running",
    }
}

/// A reason, and since when it holds a request back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub reason: Reason,
    pub since: Timestamp,
}

/// One reason why a pending request is not running now. People see it verbatim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Its floor lies ahead.
    EarliestBegin { at: Timestamp },
    /// Its handler failed, and it rests before it is tried again.
    Resting { at: Timestamp, failures: u32 },
    /// A named identifier has not succeeded yet.
    RunAfter { identifier: Identifier, stands: Awaited },
    /// An earlier request of the same identifier is running or waiting to run again.
    Behind { request: RequestId },
    /// The machine lacks something the request needs, or the host wishes for.
    Lacks { condition: Condition, source: String },
    /// Something of its bundle was launched just before, and the machine lives off a battery.
    Spaced { at: Timestamp },
    /// Its bundle's tasks have run for as long as they may on one day.
    BudgetSpent { allowed: Duration, at: Timestamp },
    /// A person disabled its bundle.
    BundleDisabled { bundle: BundleId },
    /// Its bundle asks for something that nobody gave it.
    NotGranted { bundle: BundleId, missing: Missing },
    /// Its bundle is being installed anew, enabled or granted something; that takes a moment.
    BundleChanging { bundle: BundleId },
    /// As many tasks run as the host has slots.
    NoSlot { slots: usize },
    /// As many tasks of its kind run as may.
    NoSlotOfKind { kind: KindName, slots: usize },
    /// The host is stopping, or was opened only to be asked.
    NotLaunching,
}

impl Reason {
    /// The reason's name for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Reason::EarliestBegin { .. } => "earliest-begin",
            Reason::Resting { .. } => "resting",
            Reason::Spaced { .. } => "spaced",
            Reason::BudgetSpent { .. } => "budget-spent",
            Reason::NoSlotOfKind { .. } => "no-slot-of-kind",
            Reason::RunAfter { .. } => "run-after",
            Reason::Behind { .. } => "behind",
            Reason::Lacks { condition: Condition::Network, .. } => "no-network",
            Reason::Lacks { condition: Condition::ExternalPower, .. } => "no-external-power",
            Reason::Lacks { condition: Condition::Idle, .. } => "not-idle",
            Reason::Lacks { condition: Condition::Charged, .. } => "low-battery",
            Reason::Lacks { condition: Condition::FullPower, .. } => "power-saving",
            Reason::Lacks { condition: Condition::Cool, .. } => "hot",
            Reason::Lacks { condition: Condition::Roomy, .. } => "short-of-memory",
            Reason::Lacks { condition: Condition::UnlockedOnce, .. } => "locked-since-start",
            Reason::Lacks { condition: Condition::Unlocked, .. } => "locked",
            Reason::BundleDisabled { .. } => "bundle-disabled",
            Reason::NotGranted { .. } => "not-granted",
            Reason::BundleChanging { .. } => "bundle-changing",
            Reason::NoSlot { .. } => "no-slot",
            Reason::NotLaunching => "not-launching",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::EarliestBegin { at } => write!(f, "it may not begin before {at:.0}"),
            Reason::Resting { at, failures } => {
                let times = if *failures == 1 { "once".to_owned() } else { format!("{failures} times") };
                write!(f, "it failed {times} and is tried again at {at:.0}")
            }
            Reason::Spaced { at } => {
                write!(f, "on battery the launches of a bundle are spaced, and its next may be at {at:.0}")
            }
            Reason::BudgetSpent { allowed, at } => write!(
                f,
                "its bundle has used up the {} s its tasks may run in a day, until {at:.0}",
                allowed.as_secs()
            ),
            Reason::NoSlotOfKind { kind, slots } => write!(f, "all {slots} slots for {kind} are taken"),
            Reason::RunAfter { identifier, stands } => {
                let stands = match stands {
                    Awaited::Unasked => "is not asked for",
                    Awaited::Failed => "did not succeed the last time and is not asked for again",
                    Awaited::Pending => "is pending",
                    Awaited::Running => "is running",
                };
                write!(f, "it runs after {identifier} has succeeded, which {stands}")
            }
            Reason::Behind { request } => {
                write!(f, "request {request} of the same identifier is not finished")
            }
            Reason::Lacks { condition, source } => {
                let lack = match condition {
                    Condition::Network => "there is no network",
                    Condition::ExternalPower => "the machine runs on battery",
                    Condition::Idle => "the machine is in use",
                    Condition::Charged => "the battery is low",
                    Condition::FullPower => "the machine saves power",
                    Condition::Cool => "the machine is hot",
                    Condition::Roomy => "the machine is short of memory",
                    Condition::UnlockedOnce => "nobody has unlocked the machine since it started",
                    Condition::Unlocked => "the machine is locked",
                };
                write!(f, "{lack} ({source})")
            }
            Reason::BundleDisabled { bundle } => write!(f, "its bundle {bundle} is disabled"),
            Reason::NotGranted { bundle, missing: Missing { ask, option: _ } } => {
                write!(f, "its bundle {bundle} asks {ask}, which is not granted")
            }
            Reason::BundleChanging { bundle } => write!(f, "its bundle {bundle} is being changed"),
            Reason::NoSlot { slots } => write!(f, "all {slots} slots are taken"),
            Reason::NotLaunching => f.write_str("this host launches nothing now"),
        }
    }
}

/// A pending request and why it is not running; no reasons means it is about to be launched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    pub record: RequestRecord,
    pub reasons: Vec<Held>,
    /// The fewest changes that would let it run.
    pub smallest_change: Vec<Mend>,
    /// When it is looked at again if nothing happens before; none: only when something does.
    pub looked_at: Option<Timestamp>,
}

/// Everything known about an identifier now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    pub bundle: BundleId,
    pub identifier: Identifier,
    /// Its pending requests, the one to run first before one that waits behind it. Empty: nothing was asked.
    pub waiting: Vec<Waiting>,
    pub running: Option<TaskRecord>,
    /// The last task that ended.
    pub last: Option<TaskRecord>,
}

/// Which tasks to list, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskFilter {
    pub identifier: Option<Identifier>,
    pub bundle: Option<BundleId>,
    /// Only tasks older than this one: the last of the page before.
    pub before: Option<TaskId>,
    pub limit: usize,
}

/// Something that happened, told after it is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Happening {
    pub at: Timestamp,
    pub what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A component is compiled, so that its bundle may be installed. One of the two below follows, unless the host stops.
    Compiling {
        bundle: BundleId,
        version: String,
        /// The component's length.
        bytes: u64,
    },
    Compiled {
        bundle: BundleId,
        version: String,
    },
    NotCompiled {
        bundle: BundleId,
        version: String,
        message: String,
    },
    BundleInstalled {
        bundle: BundleId,
        version: String,
    },
    /// A bundle went back to the version before.
    BundleRolledBack {
        bundle: BundleId,
        version: String,
    },
    /// The very version that is installed has been signed since.
    BundleSigned {
        bundle: BundleId,
        signer: String,
    },
    BundleUninstalled {
        bundle: BundleId,
    },
    /// What was kept of a bundle when it was uninstalled is gone.
    DataDropped {
        bundle: BundleId,
    },
    BundleEnabled {
        bundle: BundleId,
    },
    BundleDisabled {
        bundle: BundleId,
    },
    /// What a bundle was given changed.
    GrantsChanged {
        bundle: BundleId,
        /// What it asks for and still lacks.
        missing: Vec<Missing>,
    },
    /// The operator enrolled this machine in the bundle's study.
    Enrolled {
        bundle: BundleId,
        study: String,
    },
    /// The operator withdrew this machine from the bundle's study.
    EnrolmentWithdrawn {
        bundle: BundleId,
        study: String,
    },
    Submitted {
        bundle: BundleId,
        identifier: Identifier,
        request: RequestId,
        replaced: Option<RequestId>,
    },
    /// A request waits; told when it is submitted and when its reasons change.
    Waiting {
        bundle: BundleId,
        identifier: Identifier,
        request: RequestId,
        reasons: Vec<Held>,
    },
    Cancelled {
        bundle: BundleId,
        identifier: Identifier,
        request: RequestId,
        cause: CancelCause,
    },
    Launched {
        bundle: BundleId,
        identifier: Identifier,
        request: RequestId,
        task: TaskId,
        kind: KindName,
        attempt: u32,
    },
    Progressed {
        bundle: BundleId,
        identifier: Identifier,
        task: TaskId,
        progress: Progress,
    },
    /// A continued task says anew what it does.
    Titled {
        bundle: BundleId,
        identifier: Identifier,
        task: TaskId,
        title: Title,
    },
    /// What a task needs is gone, and it is held in place.
    Suspended {
        bundle: BundleId,
        identifier: Identifier,
        task: TaskId,
    },
    /// A held task goes on.
    Resumed {
        bundle: BundleId,
        identifier: Identifier,
        task: TaskId,
    },
    /// A person's client began to watch a task: so many do now. Watched, it is in the foreground.
    Attached {
        bundle: BundleId,
        identifier: Identifier,
        task: TaskId,
        watchers: usize,
    },
    /// A client that watched a task has gone: so many are left. With none it is in the background.
    Detached {
        bundle: BundleId,
        identifier: Identifier,
        task: TaskId,
        watchers: usize,
    },
    Expiring {
        bundle: BundleId,
        identifier: Identifier,
        task: TaskId,
        reason: ExpirationReason,
    },
    Ended {
        bundle: BundleId,
        identifier: Identifier,
        task: TaskId,
        outcome: Outcome,
        usage: Usage,
        /// Whether its request is pending again.
        comes_back: bool,
    },
    ConditionChanged {
        condition: Condition,
        holds: bool,
        source: String,
    },
    /// Something became of a schedule or of its occurrences.
    Schedule {
        bundle: BundleId,
        identifier: Identifier,
        schedule: ScheduleName,
        news: ScheduleNews,
    },
}

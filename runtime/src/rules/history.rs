//! What history keeps of bundles, and of requests that ended without a task. Tasks are a history of their own.

use super::{BundleId, Identifier, RequestId, ScheduleName, ScheduleNews, Timestamp, What};

/// One change, as it is noted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    pub bundle: BundleId,
    pub what: HistoryWord,
    /// Whose request it was, where it was one's.
    pub identifier: Option<Identifier>,
    pub request: Option<RequestId>,
    /// The cause of a cancellation, the request that replaced this one, the version that was installed, the signer, the
    /// schedule.
    pub detail: Option<String>,
}

/// A change as history keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryRecord {
    /// Greater than those of earlier changes.
    pub id: u64,
    pub at: Timestamp,
    pub entry: HistoryEntry,
}

/// Which changes to list, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryFilter {
    pub identifier: Option<Identifier>,
    pub bundle: Option<BundleId>,
    /// Only changes older than this one.
    pub before: Option<u64>,
    pub limit: usize,
}

impl HistoryEntry {
    /// What is to be noted of something that happened; nothing of what a task's own record tells, or of what passes.
    pub fn of(what: &What) -> Option<HistoryEntry> {
        let of_bundle = |bundle: &BundleId, what, detail| {
            Some(HistoryEntry { bundle: bundle.clone(), what, identifier: None, request: None, detail })
        };
        let of_request = |bundle: &BundleId, identifier: &Identifier, request, what, detail: String| {
            let (bundle, identifier) = (bundle.clone(), Some(identifier.clone()));
            Some(HistoryEntry { bundle, what, identifier, request: Some(request), detail: Some(detail) })
        };
        let of_task = |bundle: &BundleId, identifier: &Identifier, what, detail: String| {
            let (bundle, identifier) = (bundle.clone(), Some(identifier.clone()));
            Some(HistoryEntry { bundle, what, identifier, request: None, detail: Some(detail) })
        };
        match what {
            What::BundleInstalled { bundle, version } => {
                of_bundle(bundle, HistoryWord::BundleInstalled, Some(version.clone()))
            }
            What::BundleRolledBack { bundle, version } => {
                of_bundle(bundle, HistoryWord::BundleRolledBack, Some(version.clone()))
            }
            What::BundleSigned { bundle, signer } => {
                of_bundle(bundle, HistoryWord::BundleSigned, Some(format!("by {signer}")))
            }
            What::DataDropped { bundle } => of_bundle(bundle, HistoryWord::DataDropped, None),
            What::BundleUninstalled { bundle } => of_bundle(bundle, HistoryWord::BundleUninstalled, None),
            What::BundleEnabled { bundle } => of_bundle(bundle, HistoryWord::BundleEnabled, None),
            What::BundleDisabled { bundle } => of_bundle(bundle, HistoryWord::BundleDisabled, None),
            What::GrantsChanged { bundle, missing: _ } => of_bundle(bundle, HistoryWord::GrantsChanged, None),
            What::Enrolled { bundle, study } => of_bundle(bundle, HistoryWord::Enrolled, Some(study.clone())),
            What::EnrolmentWithdrawn { bundle, study } => {
                of_bundle(bundle, HistoryWord::EnrolmentWithdrawn, Some(study.clone()))
            }
            What::Cancelled { bundle, identifier, request, cause } => {
                of_request(bundle, identifier, *request, HistoryWord::Cancelled, cause.to_string())
            }
            What::Submitted { bundle, identifier, request, replaced: Some(replaced) } => {
                of_request(bundle, identifier, *replaced, HistoryWord::Replaced, format!("by request {request}"))
            }
            What::Schedule { bundle, identifier, schedule, news } => {
                let (what, detail) = of_schedule(schedule, news)?;
                let (bundle, identifier) = (bundle.clone(), Some(identifier.clone()));
                Some(HistoryEntry { bundle, what, identifier, request: None, detail: Some(detail) })
            }
            What::Suspended { bundle, identifier, task } => {
                of_task(bundle, identifier, HistoryWord::Suspended, format!("task {task}, its conditions lost"))
            }
            What::Resumed { bundle, identifier, task } => {
                of_task(bundle, identifier, HistoryWord::Resumed, format!("task {task}, its conditions back"))
            }
            What::Submitted { replaced: None, .. }
            | What::Compiling { .. }
            | What::Compiled { .. }
            | What::NotCompiled { .. }
            | What::Waiting { .. }
            | What::Launched { .. }
            | What::Progressed { .. }
            | What::Titled { .. }
            | What::Attached { .. }
            | What::Detached { .. }
            | What::Expiring { .. }
            | What::Ended { .. }
            | What::ConditionChanged { .. } => None,
        }
    }
}

/// What is to be noted of a schedule. That an occurrence was submitted is told by what became of its request.
fn of_schedule(schedule: &ScheduleName, news: &ScheduleNews) -> Option<(HistoryWord, String)> {
    Some(match news {
        ScheduleNews::Due { .. } => return None,
        ScheduleNews::Added => (HistoryWord::ScheduleAdded, schedule.to_string()),
        ScheduleNews::Removed { cause } => (HistoryWord::ScheduleRemoved, format!("{schedule}: {cause}")),
        ScheduleNews::Enabled => (HistoryWord::ScheduleEnabled, schedule.to_string()),
        ScheduleNews::Disabled => (HistoryWord::ScheduleDisabled, schedule.to_string()),
        ScheduleNews::Refused { occurrence, refusal } => {
            (HistoryWord::ScheduleRefused, format!("{schedule} at {occurrence:.0}: {refusal}"))
        }
        ScheduleNews::Missed { from, to } if from == to => {
            (HistoryWord::ScheduleMissed, format!("{schedule} at {from:.0}"))
        }
        ScheduleNews::Missed { from, to } => {
            (HistoryWord::ScheduleMissed, format!("{schedule} from {from:.0} to {to:.0}"))
        }
        ScheduleNews::Restarted { from } => {
            (HistoryWord::ScheduleRestarted, format!("{schedule}: the clock was set back from after {from:.0}"))
        }
        ScheduleNews::Stopped { message } => (HistoryWord::ScheduleStopped, format!("{schedule}: {message}")),
    })
}

words! {
    /// What sort of change it was.
    HistoryWord {
        BundleInstalled = "bundle-installed",
        /// A bundle went back; the detail is the version it went back to.
        BundleRolledBack = "bundle-rolled-back",
        /// The installed version was signed; the detail is by whom.
        BundleSigned = "bundle-signed",
        BundleUninstalled = "bundle-uninstalled",
        /// What was kept of an uninstalled bundle went.
        DataDropped = "data-dropped",
        BundleEnabled = "bundle-enabled",
        BundleDisabled = "bundle-disabled",
        GrantsChanged = "grants-changed",
        /// The operator enrolled this machine in a study; the detail is which.
        Enrolled = "enrolled",
        /// The operator withdrew this machine from a study; the detail is which.
        EnrolmentWithdrawn = "enrolment-withdrawn",
        /// A request was taken back; the detail is the cause.
        Cancelled = "cancelled",
        /// A request gave way to a newer one of its identifier.
        Replaced = "replaced",
        /// A running task was held in place.
        Suspended = "suspended",
        /// A held task went on.
        Resumed = "resumed",
        ScheduleAdded = "schedule-added",
        /// The detail is the cause.
        ScheduleRemoved = "schedule-removed",
        ScheduleEnabled = "schedule-enabled",
        ScheduleDisabled = "schedule-disabled",
        /// An occurrence was refused; the detail says why.
        ScheduleRefused = "schedule-refused",
        /// Occurrences came while nobody looked, and do not run.
        ScheduleMissed = "schedule-missed",
        /// The clock was set back by a lot, so that what was seen before is forgotten.
        ScheduleRestarted = "schedule-restarted",
        /// Its time zone is unknown here.
        ScheduleStopped = "schedule-stopped",
    }
}

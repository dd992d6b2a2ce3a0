//! What history keeps of bundles, and of requests that ended without a task. Tasks are a history of their own.

use super::{BundleId, Identifier, RequestId, Timestamp, What};

/// One change, as it is noted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    pub bundle: BundleId,
    pub what: HistoryWord,
    /// Whose request it was, where it was one's.
    pub identifier: Option<Identifier>,
    pub request: Option<RequestId>,
    /// The cause of a cancellation, the request that replaced this one, the version that was installed, the
    /// signer.
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
            What::Cancelled { bundle, identifier, request, cause } => {
                of_request(bundle, identifier, *request, HistoryWord::Cancelled, cause.to_string())
            }
            What::Submitted { bundle, identifier, request, replaced: Some(replaced) } => {
                of_request(bundle, identifier, *replaced, HistoryWord::Replaced, format!("by request {request}"))
            }
            What::Submitted { replaced: None, .. }
            | What::Compiling { .. }
            | What::Compiled { .. }
            | What::NotCompiled { .. }
            | What::Waiting { .. }
            | What::Launched { .. }
            | What::Progressed { .. }
            | What::Titled { .. }
            | What::Suspended { .. }
            | What::Resumed { .. }
            | What::Expiring { .. }
            | What::Ended { .. }
            | What::ConditionChanged { .. } => None,
        }
    }
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
        /// A request was taken back; the detail is the cause.
        Cancelled = "cancelled",
        /// A request gave way to a newer one of its identifier.
        Replaced = "replaced",
    }
}

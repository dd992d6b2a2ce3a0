//! `Host`, the one door for every surface: whatever a person or program may ask of a host goes through here.

use std::path::{Path, PathBuf};

use tokio::sync::broadcast;

use crate::rules::{BundleId, Condition, Identifier, TaskId};
pub use crate::rules::{
    Conditions, Happening, Refusal, RefusalCode, Request, RequestRecord, Submission, TaskFilter, TaskRecord, Waiting,
    What, Why,
};

/// What a host could not do. Each message names the thing and the mend.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// A bundle could not be read, checked or installed; nothing changed.
    #[error("{0}")]
    Bundle(String),
    #[error(transparent)]
    Refused(Refusal),
    /// No such bundle, task, or identifier; the message names it and what is near.
    #[error("{0}")]
    NotFound(String),
    /// The store could not be read or written.
    #[error("{0}")]
    Store(String),
    /// The host is stopping or has stopped.
    #[error("the host is stopping")]
    Stopping,
}

/// The answer to an installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    pub bundle: BundleId,
    pub version: String,
    pub digest: String,
    /// False when the same digest with the same grants was installed already.
    pub changed: bool,
}

/// An installed bundle as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleView {
    pub bundle: BundleId,
    pub version: String,
    pub digest: String,
    pub identifiers: Vec<String>,
    /// Name, access (`read` or `write`) and real folder of each grant.
    pub grants: Vec<(String, &'static str, PathBuf)>,
    pub pending: u64,
    pub running: u64,
}

/// The answer to an uninstallation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uninstalled {
    pub bundle: BundleId,
    /// Pending requests that were cancelled.
    pub cancelled: u64,
    /// Running tasks that were expired.
    pub expired: u64,
}

/// A running host. Cheap to clone; every clone is the same host.
#[derive(Clone)]
pub struct Host {}

impl Host {
    /// Installs the bundle in `source` (a folder, or its `idlewild.toml`), binding each `(name, folder)`. Atomic.
    pub async fn install(&self, source: &Path, grants: &[(String, PathBuf)]) -> Result<Installed, HostError> {
        let _ = (source, grants);
        unimplemented!()
    }

    pub async fn uninstall(&self, bundle: &BundleId) -> Result<Uninstalled, HostError> {
        let _ = bundle;
        unimplemented!()
    }

    pub async fn bundles(&self) -> Result<Vec<BundleView>, HostError> {
        unimplemented!()
    }

    /// Submits a request on behalf of a person. Errors: `Refused`, or `NotFound` when no bundle handles the identifier.
    pub async fn submit(&self, request: Request) -> Result<Submission, HostError> {
        let _ = request;
        unimplemented!()
    }

    /// Cancels the identifier's pending requests; says how many.
    pub async fn cancel(&self, identifier: &Identifier) -> Result<u64, HostError> {
        let _ = identifier;
        unimplemented!()
    }

    /// Pending requests with their reasons, oldest first, at most `limit`.
    pub async fn pending(&self, limit: usize) -> Result<Vec<Waiting>, HostError> {
        let _ = limit;
        unimplemented!()
    }

    pub async fn tasks(&self, filter: TaskFilter) -> Result<Vec<TaskRecord>, HostError> {
        let _ = filter;
        unimplemented!()
    }

    pub async fn task(&self, task: TaskId) -> Result<TaskRecord, HostError> {
        let _ = task;
        unimplemented!()
    }

    /// What the task wrote to stdout and stderr, as bytes.
    pub async fn log(&self, task: TaskId) -> Result<Vec<u8>, HostError> {
        let _ = task;
        unimplemented!()
    }

    pub async fn why(&self, identifier: &Identifier) -> Result<Why, HostError> {
        let _ = identifier;
        unimplemented!()
    }

    pub async fn conditions(&self) -> Result<Conditions, HostError> {
        unimplemented!()
    }

    /// States a condition by hand; none gives it back to the machine's own reading.
    pub async fn state_condition(&self, condition: Condition, holds: Option<bool>) -> Result<Conditions, HostError> {
        let _ = (condition, holds);
        unimplemented!()
    }

    /// What happens from now on. A receiver that falls behind loses the oldest, and is told so.
    pub fn happenings(&self) -> broadcast::Receiver<std::sync::Arc<Happening>> {
        unimplemented!()
    }

    /// Completes once nothing runs and nothing waits for anything but a later date.
    pub async fn done(&self) -> Result<(), HostError> {
        unimplemented!()
    }

    /// Launches nothing more, expires what runs with host-stopping, waits until all has ended (at most the grace), and stops.
    pub async fn drain(&self) {
        unimplemented!()
    }
}

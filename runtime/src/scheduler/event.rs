//! Everything that can wake the scheduler, and what it answers.

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::oneshot;

use super::core::Core;
use crate::{
    bundle::Bundle,
    rules::{
        BundleId, CancelCause, Condition, Conditions, End, Identifier, Now, Progress, Refusal, Request, Submission,
        TaskId, Usage,
    },
    store::{BundleRow, StoreError},
};

/// Why the scheduler did not do as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchedulerError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No such bundle, identifier or task; the message names it.
    #[error("{0}")]
    Unknown(String),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The scheduler has stopped.
    #[error("the host is stopping")]
    Stopping,
}

/// Where an answer goes; given only once what it says is durable.
pub type Reply<T> = oneshot::Sender<Result<T, SchedulerError>>;

/// What a removed bundle left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removed {
    pub cancelled: u64,
    pub expired: u64,
}

/// Counts of a bundle's unfinished work.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    pub pending: u64,
    pub running: u64,
}

/// What is asked of a core between two steps.
pub type Question = Box<dyn FnOnce(Now, &mut Core) + Send>;

/// Everything that can wake the scheduler, besides the clock.
pub enum Event {
    /// `bundle` is none when a person asks: the identifier says whose it is.
    Submit {
        bundle: Option<BundleId>,
        request: Request,
        reply: Reply<Submission>,
    },
    /// Cancels pending requests of one identifier, or all of the bundle's; answers how many.
    Cancel {
        bundle: Option<BundleId>,
        identifier: Option<Identifier>,
        cause: CancelCause,
        reply: Reply<u64>,
    },
    Ended {
        task: TaskId,
        end: End,
        usage: Usage,
    },
    FuelSpent {
        task: TaskId,
    },
    Progressed {
        task: TaskId,
        progress: Progress,
    },
    SaveCheckpoint {
        task: TaskId,
        checkpoint: Vec<u8>,
        reply: Reply<()>,
    },
    /// Puts a bundle in place. Once `settled`, what its manifest no longer permits is cancelled; before, it may still be
    /// taken back.
    Install {
        row: BundleRow,
        bundle: Arc<Bundle>,
        settled: bool,
        reply: Reply<()>,
    },
    Uninstall {
        bundle: BundleId,
        reply: Reply<Removed>,
    },
    /// None takes a statement back.
    StateCondition {
        condition: Condition,
        holds: Option<bool>,
        reply: Reply<Conditions>,
    },
    /// Launch nothing more, and expire what runs.
    Drain {
        reply: Reply<()>,
    },
    /// Answers once nothing runs and nothing waits for anything but a later date.
    Done {
        reply: Reply<()>,
    },
    /// A question, asked after the step that took it up.
    Ask(Question),
}

/// Unfinished work by bundle.
pub type Loads = BTreeMap<BundleId, Load>;

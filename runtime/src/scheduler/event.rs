//! Everything that can wake the scheduler, and what it answers.

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::oneshot;

use super::{
    core::Core,
    schedules::{ScheduleGranted, ScheduleWish},
};
use crate::{
    bundle::Bundle,
    rules::{
        BundleId, CancelCause, Condition, Conditions, End, ExpirationReason, Identifier, Now, Progress, Refusal,
        Request, Submission, TaskId, Usage, What,
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

/// An installed bundle and whether its operator lets it run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstalledBundle {
    pub bundle: Arc<Bundle>,
    pub enabled: bool,
}

/// Names a submission, so that it can be made again without being made twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubmissionKey {
    pub key: String,
    /// Tells whether the same is asked for again.
    pub content: String,
}

/// What a cancel did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cancelled {
    /// Pending requests that were taken back.
    pub pending: u64,
    /// Running tasks that were asked to stop.
    pub expired: u64,
    /// Running requests that will not be repeated or tried again.
    pub ended: u64,
}

/// How a bundle is to stand from now on.
#[derive(Debug, Clone)]
pub struct Change {
    pub row: BundleRow,
    pub bundle: Arc<Bundle>,
    /// Asks what runs of it to stop.
    pub expire_running: bool,
    /// What to tell and note of it.
    pub told: Vec<What>,
}

/// What a change did to the bundle's work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Changed {
    /// Pending requests that its manifest no longer permits.
    pub cancelled: u64,
    /// Running tasks that were asked to stop.
    pub expired: u64,
    /// Tasks that run, these included.
    pub running: u64,
}

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
        /// Given again with the same request, it is answered as it was before, and nothing is done.
        key: Option<SubmissionKey>,
        reply: Reply<Submission>,
    },
    /// Cancels pending requests of one identifier, or all of the bundle's. What runs of them is not tried again and not repeated;
    /// continued work that a person cancels is asked to stop.
    Cancel {
        bundle: Option<BundleId>,
        identifier: Option<Identifier>,
        cause: CancelCause,
        reply: Reply<Cancelled>,
    },
    /// Launches what is pending of an identifier, whatever its dates and the host's wishes. With `force` whatever the machine is
    /// like, too.
    LaunchNow {
        identifier: Identifier,
        force: bool,
        reply: Reply<TaskId>,
    },
    /// Asks what runs of an identifier to stop; answers how many tasks.
    ExpireNow {
        identifier: Identifier,
        reason: ExpirationReason,
        reply: Reply<u64>,
    },
    /// A person's client watches a task: it is in the foreground until as many have gone as came.
    Attach {
        task: TaskId,
        reply: Reply<()>,
    },
    Detach {
        task: TaskId,
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
    Titled {
        task: TaskId,
        title: String,
        subtitle: String,
    },
    SaveCheckpoint {
        task: TaskId,
        checkpoint: Vec<u8>,
        reply: Reply<()>,
    },
    /// Begins to change a bundle: from now on its `activate` is rehearsed, and what others ask of it waits.
    Stage {
        bundle: Arc<Bundle>,
        reply: Reply<()>,
    },
    /// The `activate` of the bundle that is being changed submits.
    RehearseSubmit {
        bundle: BundleId,
        request: Request,
        reply: Reply<Submission>,
    },
    /// The `activate` of the bundle that is being changed cancels one identifier, or all.
    RehearseCancel {
        bundle: BundleId,
        identifier: Option<Identifier>,
        reply: Reply<()>,
    },
    /// Ends the change that was begun without making it.
    Abandon,
    /// Makes a change, with what was rehearsed for it.
    Change {
        change: Change,
        reply: Reply<Changed>,
    },
    /// Does what was rehearsed for a bundle that stays as it is.
    Apply {
        bundle: BundleId,
        reply: Reply<()>,
    },
    Uninstall {
        bundle: BundleId,
        keep_data: bool,
        reply: Reply<Removed>,
    },
    /// What was kept of an uninstalled bundle is to go.
    DropKeptData {
        bundle: BundleId,
        reply: Reply<()>,
    },
    /// None takes a statement back.
    StateCondition {
        condition: Condition,
        holds: Option<bool>,
        reply: Reply<Conditions>,
    },
    /// The machine is looked at now, for somebody who asks what it is like.
    Conditions {
        reply: Reply<Conditions>,
    },
    /// The machine may have changed: it is looked at now rather than at the next sampling, if anything depends on it.
    Look,
    /// Makes, switches or removes a schedule.
    Schedule {
        wish: ScheduleWish,
        reply: Reply<ScheduleGranted>,
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

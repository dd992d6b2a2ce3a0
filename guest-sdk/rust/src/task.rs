//! The running task, as its handler sees it.

use std::{
    error::Error,
    fmt,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::{
    Kind,
    host::{Host, Port},
};

/// The running task: what it was asked for, what it may still use, and what it tells the host. Clones speak of the same task.
#[derive(Debug, Clone)]
pub struct Task {
    launched: Arc<Launched>,
}

/// What the handler was launched with.
#[derive(Debug)]
struct Launched {
    identifier: String,
    input: Vec<u8>,
    /// How often somebody began to tell its progress; the latest may.
    turns: AtomicU64,
}

impl Task {
    pub(crate) fn new(identifier: String, input: Vec<u8>) -> Task {
        Task { launched: Arc::new(Launched { identifier, input, turns: AtomicU64::new(0) }) }
    }

    /// The identifier that was requested: for a wildcard handler, the whole name.
    pub fn identifier(&self) -> &str {
        &self.launched.identifier
    }

    /// The bytes given with the request.
    pub fn input(&self) -> &[u8] {
        &self.launched.input
    }

    /// The number the host gave this task.
    pub fn id(&self) -> String {
        Host::id()
    }

    /// The kind of the request, with the values it was submitted with.
    pub fn kind(&self) -> Kind {
        Host::kind()
    }

    /// How often its request has been launched: 1 the first time, more after an interruption or a retry.
    pub fn attempt(&self) -> u32 {
        Host::attempt()
    }

    /// Time until the task is asked to stop; once it has been, until it is stopped. `None`: no time limit.
    pub fn time_remaining(&self) -> Option<Duration> {
        Host::time_remaining()
    }

    /// Fuel until the task is asked to stop, in units of the host's engine, which do not compare between hosts.
    pub fn fuel_remaining(&self) -> u64 {
        Host::fuel_remaining()
    }

    /// Why the task is asked to stop, once it is. It then has a grace period of some seconds to save what it has and return.
    pub fn expiration(&self) -> Option<ExpirationReason> {
        Host::expiration()
    }

    /// Whether the task is asked to stop. It costs little: ask between two pieces of work.
    pub fn is_expiring(&self) -> bool {
        self.expiration().is_some()
    }

    /// Tells how far the task is, as the contract has it; a total of 0 means that it is not known yet. The host keeps the latest,
    /// and what a [`Progress`](crate::Progress) made before still says is not told. [`Task::progress`] is hard to get wrong; this is for a
    /// handler that counts by itself.
    pub fn set_progress(&self, completed: u64, total: u64) {
        self.next_turn();
        Host::set_progress(completed, total);
    }

    /// Says anew what is being done, for people who watch. Both are replaced.
    pub fn update_title(&self, title: &str, subtitle: &str) {
        Host::update_title(title, subtitle);
    }

    /// Where a folder is that the guest sees: its bundle's own by the name `data`, its task's own by `tmp`, a granted one by the name
    /// the manifest asks for it. In a component that is `/data` and so on; in a test it is where the harness keeps it.
    pub fn folder(&self, name: &str) -> PathBuf {
        Host::folder(name)
    }

    /// What an earlier launch of this identifier saved, if none has succeeded since.
    pub fn checkpoint(&self) -> Option<Vec<u8>> {
        Host::checkpoint()
    }

    /// Keeps bytes for the next launch of this identifier, in place of what was saved before, until a launch succeeds.
    ///
    /// Errors: there are more than the host allows, or they could not be written. What was saved before then still stands.
    pub fn save_checkpoint(&self, checkpoint: impl AsRef<[u8]>) -> Result<(), CheckpointError> {
        Host::save_checkpoint(checkpoint.as_ref()).map_err(|message| CheckpointError { message })
    }

    /// Whoever tells its progress from now on; see [`Task::is_turn`].
    pub(crate) fn next_turn(&self) -> u64 {
        self.launched.turns.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Whether nobody else has begun to tell the progress since this turn.
    pub(crate) fn is_turn(&self, turn: u64) -> bool {
        self.launched.turns.load(Ordering::Relaxed) == turn
    }
}

/// Why a task is asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExpirationReason {
    /// It has used the time its kind allows.
    TimeLimit,
    /// It has used the fuel its kind allows; a little is left to end cleanly.
    FuelLimit,
    /// What it needs of the machine is gone.
    ConditionsLost,
    /// A person or a program cancelled it.
    Cancelled,
    /// A continued task whose progress stood still for too long.
    NoProgress,
    /// Its place is needed by work that goes first.
    Preempted,
    /// Its bundle is being uninstalled.
    BundleRemoved,
    /// The host is shutting down; the request comes back when it starts again.
    HostStopping,
}

impl ExpirationReason {
    /// The word of the contract, such as `time-limit`.
    pub fn as_str(self) -> &'static str {
        match self {
            ExpirationReason::TimeLimit => "time-limit",
            ExpirationReason::FuelLimit => "fuel-limit",
            ExpirationReason::ConditionsLost => "conditions-lost",
            ExpirationReason::Cancelled => "cancelled",
            ExpirationReason::NoProgress => "no-progress",
            ExpirationReason::Preempted => "preempted",
            ExpirationReason::BundleRemoved => "bundle-removed",
            ExpirationReason::HostStopping => "host-stopping",
        }
    }
}

impl fmt::Display for ExpirationReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A checkpoint that was not kept: too large, or not written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointError {
    /// One sentence for people.
    pub message: String,
}

impl fmt::Display for CheckpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for CheckpointError {}

impl From<CheckpointError> for String {
    fn from(error: CheckpointError) -> String {
        error.message
    }
}

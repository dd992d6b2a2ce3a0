//! What a test states and what it finds: conditions, plans, reasons, tasks that ended. The words are the host's.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use super::moments;
use crate::{ExpirationReason, Request};

/// A condition of the machine that a test may state, named for what is good when it holds. At first each holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Condition {
    /// There is a route to other machines.
    Network,
    /// The machine does not live off a battery.
    ExternalPower,
    /// Nobody uses the machine.
    Idle,
    /// The battery is not low.
    Charged,
    /// The machine is not in a mode that saves power.
    FullPower,
    /// The machine is not hot.
    Cool,
    /// There is memory enough.
    Roomy,
    /// A person has unlocked the machine since it started.
    UnlockedOnce,
    /// The machine is unlocked now.
    Unlocked,
}

/// Whose limits are in force.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Profile {
    /// One app-refresh request and ten of each longer kind may be pending, and a wildcard permits none of them.
    Device,
    /// As many may be pending as a test submits, and a wildcard permits every name below it.
    #[default]
    Server,
}

impl Profile {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Profile::Device => "device",
            Profile::Server => "server",
        }
    }
}

/// A moment in the life of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// So long after its launch, as the test's clock goes: while the handler sleeps or waits.
    After(Duration),
    /// When the handler asks for the so-many-th time whether it is to stop, from 1; each look of an `.await` counts as one.
    Asked(u32),
    /// When the handler reports progress for the so-many-th time, from 1.
    Progressed(u32),
}

/// Why a pending request is not running now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// It may not begin before this moment.
    EarliestBegin(SystemTime),
    /// Its handler failed, and it rests before it is tried again.
    Resting { until: SystemTime, failures: u32 },
    /// It runs after this identifier has succeeded.
    RunAfter(String),
    /// This older request of its identifier is not finished.
    Behind(u64),
    /// What it needs of the machine does not hold.
    Lacks(Condition),
}

/// A request that has not been launched, or has come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Its number.
    pub id: u64,
    /// As it was submitted.
    pub request: Request,
    /// How often it has been launched.
    pub launches: u32,
    /// Why it is not running now. None: it is due.
    pub reasons: Vec<Reason>,
}

/// A task that has ended, and all it did on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The task's number.
    pub id: u64,
    /// The identifier that was launched.
    pub identifier: String,
    /// Which launch of its request it was, from 1.
    pub attempt: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// Whether its request is pending again.
    pub comes_back: bool,
    /// How long it took, as the test's clock goes.
    pub took: Duration,
    /// What it reported: completed and total units.
    pub progress: Vec<(u64, u64)>,
    /// The titles and subtitles it gave itself.
    pub titles: Vec<(String, String)>,
    /// The checkpoints it saved.
    pub checkpoints: Vec<Vec<u8>>,
    /// What it submitted, refused submissions left out.
    pub submissions: Vec<Submitted>,
}

/// A request that a task submitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submitted {
    /// What it asked for.
    pub request: Request,
    /// Whether a pending request of the same identifier gave way to it.
    pub replaced: bool,
}

/// How a task ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The handler returned its output.
    Succeeded { output: Vec<u8> },
    /// The handler returned a message.
    Failed { message: String },
    /// It was asked to stop. It then returned something, or was stopped at the end of its grace.
    Expired { reason: ExpirationReason, returned: Option<Result<Vec<u8>, String>> },
    /// The handler panicked.
    Trapped { message: String },
    /// The host died while it ran.
    Interrupted,
}

impl Ended {
    /// The output of a task that succeeded. Panics if it did not.
    #[track_caller]
    pub fn output(&self) -> &[u8] {
        match &self.outcome {
            Outcome::Succeeded { output } => output,
            outcome => panic!("{} did not succeed: {outcome}", self.identifier),
        }
    }

    /// The output of a task that succeeded, as text. Panics if it did not, or if its output is not text.
    #[track_caller]
    pub fn text(&self) -> &str {
        match str::from_utf8(self.output()) {
            Ok(text) => text,
            Err(error) => panic!("the output of {} is not text: {error}", self.identifier),
        }
    }

    /// The output of a task that succeeded, as a value written as JSON. Panics if it did not, or if its output is none.
    #[cfg(feature = "json")]
    #[track_caller]
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> T {
        match serde_json::from_slice(self.output()) {
            Ok(value) => value,
            Err(error) => panic!("the output of {} is not what was expected: {error}", self.identifier),
        }
    }
}

/// In the host's words.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::EarliestBegin(moment) => write!(f, "it may not begin before {}", moments::utc(*moment)),
            Reason::Resting { until, failures } => {
                let times = if *failures == 1 { "once".to_owned() } else { format!("{failures} times") };
                write!(f, "it failed {times} and is tried again at {}", moments::utc(*until))
            }
            Reason::RunAfter(identifier) => write!(f, "it runs after {identifier} has succeeded"),
            Reason::Behind(request) => write!(f, "request {request} of the same identifier is not finished"),
            Reason::Lacks(condition) => f.write_str(match condition {
                Condition::Network => "there is no network (stated)",
                Condition::ExternalPower => "the machine runs on battery (stated)",
                Condition::Idle => "the machine is in use (stated)",
                Condition::Charged => "the battery is low (stated)",
                Condition::FullPower => "the machine saves power (stated)",
                Condition::Cool => "the machine is hot (stated)",
                Condition::Roomy => "the machine is short of memory (stated)",
                Condition::UnlockedOnce => "nobody has unlocked the machine since it started (stated)",
                Condition::Unlocked => "the machine is locked (stated)",
            }),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Succeeded { output } => write!(f, "succeeded: {}", String::from_utf8_lossy(output)),
            Outcome::Failed { message } => write!(f, "failed: {message}"),
            Outcome::Expired { reason, returned: None } => write!(f, "expired: {reason}, stopped"),
            Outcome::Expired { reason, returned: Some(Ok(output)) } => {
                write!(f, "expired: {reason}, returned: {}", String::from_utf8_lossy(output))
            }
            Outcome::Expired { reason, returned: Some(Err(message)) } => {
                write!(f, "expired: {reason}, failed: {message}")
            }
            Outcome::Trapped { message } => write!(f, "trapped: {message}"),
            Outcome::Interrupted => f.write_str("interrupted"),
        }
    }
}

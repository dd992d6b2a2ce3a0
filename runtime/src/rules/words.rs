//! The words of the house: identifiers, requests, tasks, outcomes. The same words stand in WIT, JSON and SQL.

use std::{fmt, sync::Arc, time::Duration};

pub use jiff::Timestamp;

/// A moment, read once: `wall` for dates people and guests name, `uptime` (monotonic) for limits and grace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now {
    pub wall: Timestamp,
    pub uptime: Duration,
}

/// A request's number, given by the store and never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// A task's number, given by the store and never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(pub u64);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A name that is not reverse-DNS: what is wrong with it, in a sentence's tail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` {fault}")]
pub struct NameError {
    pub name: String,
    pub fault: &'static str,
}

/// The longest name a bundle or handler may have, in bytes.
pub const NAME_LIMIT: usize = 255;

fn check_name(name: &str) -> Result<(), NameError> {
    let fault = |fault| Err(NameError { name: name.chars().take(NAME_LIMIT).collect(), fault });
    if name.len() > NAME_LIMIT {
        return fault("is longer than 255 bytes");
    }
    if !name.contains('.') {
        return fault("is not a reverse-DNS name of at least two parts, such as com.example.gallery");
    }
    if name.split('.').any(str::is_empty) {
        return fault("has an empty part between its dots");
    }
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')) {
        return fault("may contain only ASCII letters, digits, hyphens, underscores and dots");
    }
    Ok(())
}

/// The reverse-DNS name of a bundle, such as `com.example.gallery`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BundleId(Arc<str>);

/// The reverse-DNS name of a handler, at or below its bundle's id, such as `com.example.gallery.refresh`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identifier(Arc<str>);

impl BundleId {
    /// Errors: the name is not reverse-DNS.
    pub fn parse(name: &str) -> Result<BundleId, NameError> {
        check_name(name)?;
        Ok(BundleId(name.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Identifier {
    /// Errors: the name is not reverse-DNS.
    pub fn parse(name: &str) -> Result<Identifier, NameError> {
        check_name(name)?;
        Ok(Identifier(name.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this name stands at or below `bundle`.
    pub fn is_within(&self, bundle: &BundleId) -> bool {
        is_within(self.as_str(), bundle)
    }
}

fn is_within(name: &str, bundle: &BundleId) -> bool {
    name.strip_prefix(bundle.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

impl fmt::Display for BundleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One entry of a manifest's `permitted-identifiers`: an identifier, or a prefix and `.*`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pattern {
    stem: Arc<str>,
    wildcard: bool,
}

impl Pattern {
    /// Errors: what stands before an ending `.*` (or the whole) is not reverse-DNS.
    pub fn parse(text: &str) -> Result<Pattern, NameError> {
        let (stem, wildcard) = match text.strip_suffix(".*") {
            Some(stem) => (stem, true),
            None => (text, false),
        };
        check_name(stem).map_err(|error| NameError { name: text.to_owned(), ..error })?;
        Ok(Pattern { stem: stem.into(), wildcard })
    }

    pub fn is_wildcard(&self) -> bool {
        self.wildcard
    }

    /// Whether `identifier` is this name, or below this prefix. Case-sensitive.
    pub fn matches(&self, identifier: &Identifier) -> bool {
        match identifier.as_str().strip_prefix(&*self.stem) {
            Some(rest) if self.wildcard => rest.len() > 1 && rest.starts_with('.'),
            Some(rest) => rest.is_empty(),
            None => false,
        }
    }

    /// Whether some identifier could match both.
    pub fn overlaps(&self, other: &Pattern) -> bool {
        let below = |name: &str, stem: &str| name.strip_prefix(stem).is_some_and(|rest| rest.starts_with('.'));
        match (self.wildcard, other.wildcard) {
            (false, false) => self.stem == other.stem,
            (true, false) => below(&other.stem, &self.stem),
            (false, true) => below(&self.stem, &other.stem),
            (true, true) => self.stem == other.stem || below(&self.stem, &other.stem) || below(&other.stem, &self.stem),
        }
    }

    /// Whether everything this names stands at or below `bundle`.
    pub fn is_within(&self, bundle: &BundleId) -> bool {
        is_within(&self.stem, bundle)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.stem)?;
        if self.wildcard { f.write_str(".*") } else { Ok(()) }
    }
}

/// What sort of work a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Short work that keeps something fresh.
    AppRefresh,
    /// Long work that can wait for a quiet machine.
    Processing(Needs),
    /// As processing, for studies a person enrolled in.
    HealthResearch { needs: Needs, protection_of_required_data: DataProtection },
    /// Work a person asked for and watches.
    ContinuedProcessing(Continued),
}

/// What the machine must offer before a request may run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Needs {
    pub network: bool,
    pub external_power: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataProtection {
    None,
    CompleteUntilFirstUserAuthentication,
    CompleteUnlessOpen,
    Complete,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Continued {
    pub title: String,
    pub subtitle: String,
    /// Whether submission fails when the task cannot start at once, instead of queueing.
    pub fail_unless_immediate: bool,
    pub requires_gpu: bool,
}

/// A kind's name alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KindName {
    AppRefresh,
    Processing,
    HealthResearch,
    ContinuedProcessing,
}

impl Kind {
    pub fn name(&self) -> KindName {
        match self {
            Kind::AppRefresh => KindName::AppRefresh,
            Kind::Processing(_) => KindName::Processing,
            Kind::HealthResearch { .. } => KindName::HealthResearch,
            Kind::ContinuedProcessing(_) => KindName::ContinuedProcessing,
        }
    }

    pub fn needs(&self) -> Needs {
        match self {
            Kind::Processing(needs) | Kind::HealthResearch { needs, .. } => *needs,
            Kind::AppRefresh | Kind::ContinuedProcessing(_) => Needs::default(),
        }
    }
}

/// Defines an enum of fixed words: `as_str`, `parse` and `Display` from one list.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vmeta])* $variant,)* }
        words!(@impl $name { $($variant = $word,)* });
    };
    (@impl $name:ident { $($variant:ident = $word:literal,)* }) => {
        impl $name {
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word,)* }
            }

            pub fn parse(word: &str) -> Option<$name> {
                match word { $($word => Some($name::$variant),)* _ => None }
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words!(@impl KindName {
    AppRefresh = "app-refresh",
    Processing = "processing",
    HealthResearch = "health-research",
    ContinuedProcessing = "continued-processing",
});

words! {
    /// Which of a bundle's ready requests of one kind goes first.
    Priority { Low = "low", Normal = "normal", High = "high", }
}

words! {
    /// A manifest's permission to be run in the background.
    BackgroundMode {
        /// Needed by app-refresh.
        Fetch = "fetch",
        /// Needed by processing and health-research.
        Processing = "processing",
    }
}

words! {
    /// Why a task is asked to stop.
    ExpirationReason {
        TimeLimit = "time-limit",
        FuelLimit = "fuel-limit",
        ConditionsLost = "conditions-lost",
        Cancelled = "cancelled",
        NoProgress = "no-progress",
        Preempted = "preempted",
        BundleRemoved = "bundle-removed",
        HostStopping = "host-stopping",
    }
}

words! {
    /// The codes a submission is refused with; the numbers are the original framework's.
    RefusalCode {
        Unavailable = "unavailable",
        TooManyPendingTaskRequests = "too-many-pending-task-requests",
        NotPermitted = "not-permitted",
        ImmediateRunIneligible = "immediate-run-ineligible",
    }
}

impl RefusalCode {
    /// The original framework's number for this code.
    pub fn number(self) -> u32 {
        match self {
            RefusalCode::Unavailable => 1,
            RefusalCode::TooManyPendingTaskRequests => 2,
            RefusalCode::NotPermitted => 3,
            RefusalCode::ImmediateRunIneligible => 4,
        }
    }
}

/// Why a submission was not accepted: a code for programs, a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    pub code: RefusalCode,
    pub message: String,
}

/// What someone asked for, as they said it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub identifier: Identifier,
    pub kind: Kind,
    /// A floor, never a promise.
    pub earliest_begin: Option<Timestamp>,
    pub latest_begin: Option<Timestamp>,
    pub input: Vec<u8>,
    pub priority: Priority,
    /// Waits until each of these has succeeded.
    pub run_after: Vec<Identifier>,
    pub repeat: Option<Repeat>,
    pub retry: Option<Retry>,
    /// May be held in place while its conditions are gone.
    pub may_suspend: bool,
}

impl Request {
    /// A request with every option neutral.
    pub fn new(identifier: Identifier, kind: Kind) -> Request {
        Request {
            identifier,
            kind,
            earliest_begin: None,
            latest_begin: None,
            input: Vec::new(),
            priority: Priority::Normal,
            run_after: Vec::new(),
            repeat: None,
            retry: None,
            may_suspend: false,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeat {
    pub every: Duration,
    pub flex: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    pub attempts: u32,
    pub first_delay: Duration,
    pub longest_delay: Duration,
}

/// The answer to an accepted submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Submission {
    pub request: RequestId,
    /// Whether an earlier pending request of the identifier gave way to this one.
    pub replaced: bool,
}

/// How far a running task has said it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    pub completed: u64,
    pub total: u64,
}

/// What a task used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Units of the engine's fuel.
    pub fuel: u64,
    /// From launch to end.
    pub wall: Duration,
    /// The most linear memory held at once, over all memories, in bytes.
    pub peak_memory: u64,
}

/// How a task's call came back from the engine, before the rules say what that means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The handler returned its output, or its message of failure.
    Returned(Result<Vec<u8>, String>),
    /// The guest trapped; the message is for its author.
    Trapped(String),
    /// The guest used its last fuel and was stopped there.
    OutOfFuel,
    /// The host stopped the guest at its hard deadline.
    Stopped,
    /// The guest never ran: what it needs could not be had (a granted folder is gone, no memory left).
    NotStarted(String),
}

/// How a task ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Succeeded {
        output: Vec<u8>,
    },
    Failed {
        message: String,
    },
    /// Asked to stop. `returned` is what the handler said within its grace; none means it was stopped by force.
    Expired {
        reason: ExpirationReason,
        returned: Option<Result<Vec<u8>, String>>,
    },
    Trapped {
        message: String,
    },
    /// The host died while the task ran.
    Interrupted,
}

impl Outcome {
    pub fn name(&self) -> &'static str {
        match self {
            Outcome::Succeeded { .. } => "succeeded",
            Outcome::Failed { .. } => "failed",
            Outcome::Expired { .. } => "expired",
            Outcome::Trapped { .. } => "trapped",
            Outcome::Interrupted => "interrupted",
        }
    }
}

/// What one launch may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// Time until the task is asked to stop; none means no limit.
    pub time: Option<Duration>,
    /// Time between being asked and being stopped.
    pub grace: Duration,
    /// Fuel until the task is asked to stop.
    pub fuel: u64,
    /// Fuel it may use after that.
    pub grace_fuel: u64,
    /// Linear memory over all memories, in bytes.
    pub memory: u64,
}

words! {
    /// Something about the machine that decides what may run, named for what is good when it holds.
    Condition {
        /// A route to other machines exists.
        Network = "network",
        /// The machine does not live off a battery.
        ExternalPower = "external-power",
        /// Nobody uses the machine, and nobody but this host has much for it to do.
        Idle = "idle",
        /// There is no battery, or its level is above the low mark.
        Charged = "charged",
        /// The machine is not in a mode that saves power.
        FullPower = "full-power",
        /// No part of the machine is too hot.
        Cool = "cool",
        /// Memory is not short.
        Roomy = "roomy",
        /// A person has unlocked the machine since it started, or nobody locks it.
        UnlockedOnce = "unlocked-once",
        /// The machine is unlocked now, or nobody locks it.
        Unlocked = "unlocked",
    }
}

/// One condition as last read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    pub holds: bool,
    /// Where the value comes from, for people: a file of the system, or `stated`.
    pub source: String,
    /// Since when it has had this value.
    pub since: Timestamp,
    /// When it was last read.
    pub read_at: Timestamp,
}

/// One thing of each condition; none is ever missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EachCondition<T>([T; Condition::ALL.len()]);

/// What the machine is like: every condition as last read.
pub type Conditions = EachCondition<Reading>;

impl<T> EachCondition<T> {
    /// Asks `of` for each in turn.
    pub fn new(mut of: impl FnMut(Condition) -> T) -> EachCondition<T> {
        EachCondition(std::array::from_fn(|at| of(Condition::ALL[at])))
    }

    pub fn of(&self, condition: Condition) -> &T {
        &self.0[condition as usize]
    }

    pub fn of_mut(&mut self, condition: Condition) -> &mut T {
        &mut self.0[condition as usize]
    }

    /// All, in the order of `Condition::ALL`.
    pub fn iter(&self) -> impl Iterator<Item = (Condition, &T)> {
        Condition::ALL.iter().copied().zip(&self.0)
    }
}

impl Conditions {
    pub fn reading(&self, condition: Condition) -> &Reading {
        self.of(condition)
    }
}

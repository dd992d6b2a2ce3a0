//! Asking the host for work.

use std::{
    error::Error,
    fmt,
    time::{Duration, SystemTime},
};

use crate::host::{Host, Port};

/// What a bundle asks the host to run. Made by one of the four constructors, with every option neutral, and refined from there;
/// options that only some kinds have are only there for those.
///
/// ```no_run
/// # use std::time::Duration;
/// # use idlewild_guest::Request;
/// let submission = Request::processing("com.example.gallery.image-count")
///     .requires_external_power()
///     .earliest_begin_in(Duration::from_secs(15 * 60))
///     .input("all folders")
///     .submit()?;
/// assert!(!submission.replaced);
/// # Ok::<(), idlewild_guest::SubmitError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Request<K = Kind> {
    /// The handler to run: a whole name, never one that ends in `.*`.
    pub identifier: String,
    /// What sort of work it is.
    pub kind: K,
    /// Not to be launched before; a floor, never a promise. Whole milliseconds since 1970.
    pub earliest_begin: Option<SystemTime>,
    /// By when it should have begun.
    pub latest_begin: Option<SystemTime>,
    /// Handed to the handler.
    pub input: Vec<u8>,
    /// Before or after the bundle's other requests.
    pub priority: Priority,
    /// Waits until each of these handlers of the same bundle has succeeded.
    pub run_after: Vec<String>,
    /// Asks for the same again after each end.
    pub repeat: Option<Repeat>,
    /// Launches again after a failure or a trap.
    pub retry: Option<Retry>,
    /// May be held in place while its conditions are gone, instead of being expired.
    pub may_suspend: bool,
}

/// Short work, some thirty seconds, that keeps something fresh.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AppRefresh;

/// Long work that waits for an idle machine, and what it needs for as long as it runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Processing {
    /// A route to other machines.
    pub requires_network: bool,
    /// The machine does not live off a battery.
    pub requires_external_power: bool,
}

/// As processing, for a study a person enrolled in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HealthResearch {
    /// A route to other machines.
    pub requires_network: bool,
    /// The machine does not live off a battery.
    pub requires_external_power: bool,
    /// How far the protection of a person's files must be lifted.
    pub protection_of_required_data: DataProtection,
}

/// Work a person asked for and can watch and cancel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContinuedProcessing {
    /// What is being done, for the person who asked.
    pub title: String,
    /// More about it.
    pub subtitle: String,
    /// Whether submission fails when the task cannot start at once, instead of queueing.
    pub fail_unless_immediate: bool,
    /// Whether it uses the graphics processor.
    pub requires_gpu: bool,
}

/// What sort of work a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Short work, some thirty seconds, that keeps something fresh.
    AppRefresh,
    /// Long work that waits for an idle machine.
    Processing(Processing),
    /// As processing, for a study a person enrolled in.
    HealthResearch(HealthResearch),
    /// Work a person asked for and can watch and cancel.
    ContinuedProcessing(ContinuedProcessing),
}

/// How far the protection of a person's files must be lifted before the task can read what it needs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DataProtection {
    /// Files that are never protected.
    None,
    /// Files that can be read once a person has unlocked the machine since it started.
    #[default]
    CompleteUntilFirstUserAuthentication,
    /// Files that can be read while the machine is unlocked, or that were opened before it was locked.
    CompleteUnlessOpen,
    /// Files that can be read only while the machine is unlocked.
    Complete,
}

/// Which of a bundle's ready requests goes first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Priority {
    /// After the others.
    Low,
    /// In the order of submission.
    #[default]
    Normal,
    /// Before the others.
    High,
}

/// A request that is pending again as soon as it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeat {
    /// From one earliest begin to the next.
    pub every: Duration,
    /// How much before the end of each period it may already begin.
    pub flex: Duration,
}

/// Further launches after a failure or a trap, each wait twice the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// Launches in all, the first one included.
    pub attempts: u32,
    /// The wait before the second launch.
    pub first_delay: Duration,
    /// The longest wait before any launch.
    pub longest_delay: Duration,
}

/// The answer to an accepted request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// The number the host gave the request.
    pub request_id: String,
    /// Whether a pending request of the same identifier gave way to this one.
    pub replaced: bool,
}

/// A request that was not accepted. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubmitError {
    /// For programs.
    pub code: SubmitErrorCode,
    /// For people: one sentence that names the thing and the mend.
    pub message: String,
}

/// Why a request was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SubmitErrorCode {
    /// The host takes no requests from here or now.
    Unavailable,
    /// The bundle has as many pending requests of this kind as it may have.
    TooManyPendingTaskRequests,
    /// The manifest does not permit the identifier or the kind, or the host does not have what is asked for.
    NotPermitted,
    /// A continued request that would rather fail than wait, and cannot start now.
    ImmediateRunIneligible,
}

impl Request {
    /// A request for short work that keeps something fresh.
    pub fn app_refresh(identifier: impl Into<String>) -> Request<AppRefresh> {
        Request::neutral(identifier.into(), AppRefresh)
    }

    /// A request for long work that waits for an idle machine.
    pub fn processing(identifier: impl Into<String>) -> Request<Processing> {
        Request::neutral(identifier.into(), Processing::default())
    }

    /// A request for work on a study a person enrolled in.
    pub fn health_research(identifier: impl Into<String>) -> Request<HealthResearch> {
        Request::neutral(identifier.into(), HealthResearch::default())
    }

    /// A request for work a person asked for, with the title they are shown.
    pub fn continued_processing(
        identifier: impl Into<String>,
        title: impl Into<String>,
        subtitle: impl Into<String>,
    ) -> Request<ContinuedProcessing> {
        let kind = ContinuedProcessing { title: title.into(), subtitle: subtitle.into(), ..Default::default() };
        Request::neutral(identifier.into(), kind)
    }
}

impl<K> Request<K> {
    fn neutral(identifier: String, kind: K) -> Request<K> {
        Request {
            identifier,
            kind,
            earliest_begin: None,
            latest_begin: None,
            input: Vec::new(),
            priority: Priority::default(),
            run_after: Vec::new(),
            repeat: None,
            retry: None,
            may_suspend: false,
        }
    }

    /// Not to be launched before this moment. Ignored for continued processing.
    pub fn earliest_begin(self, moment: SystemTime) -> Self {
        Request { earliest_begin: Some(moment), ..self }
    }

    /// Not to be launched before this much time has passed from now.
    pub fn earliest_begin_in(self, delay: Duration) -> Self {
        self.earliest_begin(Host::now() + delay)
    }

    /// By when it should have begun. The host then stops waiting for a better moment, but never runs without what the kind needs.
    pub fn latest_begin(self, moment: SystemTime) -> Self {
        Request { latest_begin: Some(moment), ..self }
    }

    /// By when, from now, it should have begun; see [`latest_begin`](Request::latest_begin()).
    pub fn latest_begin_in(self, delay: Duration) -> Self {
        self.latest_begin(Host::now() + delay)
    }

    /// Bytes handed to the handler, at most 64 KiB unless the host says otherwise.
    pub fn input(self, input: impl Into<Vec<u8>>) -> Self {
        Request { input: input.into(), ..self }
    }

    /// Before or after the bundle's other requests.
    pub fn priority(self, priority: Priority) -> Self {
        Request { priority, ..self }
    }

    /// Waits until this handler of the same bundle has succeeded; said again, for that one too.
    pub fn run_after(mut self, identifier: impl Into<String>) -> Self {
        self.run_after.push(identifier.into());
        self
    }

    /// Asks for the same again after each end, this long from one earliest begin to the next.
    pub fn repeat_every(self, every: Duration) -> Self {
        self.repeat(Repeat { every, flex: Duration::ZERO })
    }

    /// Asks for the same again after each end.
    pub fn repeat(self, repeat: Repeat) -> Self {
        Request { repeat: Some(repeat), ..self }
    }

    /// Launches again after a failure or a trap.
    pub fn retry(self, retry: Retry) -> Self {
        Request { retry: Some(retry), ..self }
    }

    /// May be held in place while its conditions are gone, its allowed time stopped, instead of being expired.
    pub fn may_suspend(self) -> Self {
        Request { may_suspend: true, ..self }
    }
}

impl<K: Into<Kind>> Request<K> {
    /// Makes the request pending, in place of an earlier pending one of the same identifier. When this returns, it is durable.
    ///
    /// Errors: the host refuses it, and says why. An earlier pending request of the identifier still stands.
    pub fn submit(self) -> Result<Submission, SubmitError> {
        Host::submit(self.into_any())
    }
}

impl<K: Into<Kind>> Request<K> {
    /// The same request, its kind told apart by its value only.
    pub fn into_any(self) -> Request {
        let Request {
            identifier,
            kind,
            earliest_begin,
            latest_begin,
            input,
            priority,
            run_after,
            repeat,
            retry,
            may_suspend,
        } = self;
        let kind = kind.into();
        Request {
            identifier,
            kind,
            earliest_begin,
            latest_begin,
            input,
            priority,
            run_after,
            repeat,
            retry,
            may_suspend,
        }
    }
}

impl Request<Processing> {
    /// Runs only while there is a route to other machines.
    pub fn requires_network(mut self) -> Self {
        self.kind.requires_network = true;
        self
    }

    /// Runs only while the machine does not live off a battery.
    pub fn requires_external_power(mut self) -> Self {
        self.kind.requires_external_power = true;
        self
    }
}

impl Request<HealthResearch> {
    /// Runs only while there is a route to other machines.
    pub fn requires_network(mut self) -> Self {
        self.kind.requires_network = true;
        self
    }

    /// Runs only while the machine does not live off a battery.
    pub fn requires_external_power(mut self) -> Self {
        self.kind.requires_external_power = true;
        self
    }

    /// Runs only while the protection of a person's files is lifted this far.
    pub fn protection_of_required_data(mut self, protection: DataProtection) -> Self {
        self.kind.protection_of_required_data = protection;
        self
    }
}

impl Request<ContinuedProcessing> {
    /// Fails at submission when the task cannot start at once, instead of queueing.
    pub fn fail_unless_immediate(mut self) -> Self {
        self.kind.fail_unless_immediate = true;
        self
    }

    /// Uses the graphics processor; ask [`supports_gpu`] first.
    pub fn requires_gpu(mut self) -> Self {
        self.kind.requires_gpu = true;
        self
    }
}

/// Takes back the bundle's pending request of this identifier. Unknown ones are ignored and a running task goes on.
pub fn cancel(identifier: &str) {
    Host::cancel(identifier);
}

/// Takes back every pending request of the bundle. Running tasks go on.
pub fn cancel_all() {
    Host::cancel_all();
}

/// The bundle's requests that have not been launched, in the order of their submission.
pub fn pending() -> Vec<Request> {
    Host::pending()
}

/// Whether continued requests may ask for the graphics processor on this host.
pub fn supports_gpu() -> bool {
    Host::supports_gpu()
}

impl Kind {
    /// The word of the contract, such as `app-refresh`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Kind::AppRefresh => "app-refresh",
            Kind::Processing(_) => "processing",
            Kind::HealthResearch(_) => "health-research",
            Kind::ContinuedProcessing(_) => "continued-processing",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl SubmitErrorCode {
    /// The word of the contract, such as `not-permitted`.
    pub fn as_str(self) -> &'static str {
        match self {
            SubmitErrorCode::Unavailable => "unavailable",
            SubmitErrorCode::TooManyPendingTaskRequests => "too-many-pending-task-requests",
            SubmitErrorCode::NotPermitted => "not-permitted",
            SubmitErrorCode::ImmediateRunIneligible => "immediate-run-ineligible",
        }
    }
}

impl fmt::Display for SubmitErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for SubmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SubmitError { code, message } = self;
        write!(f, "{code}: {message}")
    }
}

impl Error for SubmitError {}

impl From<SubmitError> for String {
    fn from(error: SubmitError) -> String {
        error.to_string()
    }
}

impl From<AppRefresh> for Kind {
    fn from(AppRefresh: AppRefresh) -> Kind {
        Kind::AppRefresh
    }
}

impl From<Processing> for Kind {
    fn from(processing: Processing) -> Kind {
        Kind::Processing(processing)
    }
}

impl From<HealthResearch> for Kind {
    fn from(health_research: HealthResearch) -> Kind {
        Kind::HealthResearch(health_research)
    }
}

impl From<ContinuedProcessing> for Kind {
    fn from(continued_processing: ContinuedProcessing) -> Kind {
        Kind::ContinuedProcessing(continued_processing)
    }
}

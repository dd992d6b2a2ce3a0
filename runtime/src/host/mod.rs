//! `Host`, the one door for every surface: whatever a person or program may ask of a host goes through here.

mod bundles;
mod error;
mod install;
mod kept_grants;
mod log;
mod schedules;
mod settle;
mod trust;

use std::{path::PathBuf, sync::Arc, time::Duration};

use sha2::{Digest as _, Sha256};
use tokio::sync::{Mutex, broadcast};

pub use self::{
    bundles::TakenBack,
    error::HostError,
    log::GrowingLog,
    schedules::{Occurrence, ScheduleFilter, ScheduleGranted, ScheduleView},
    trust::InstalledInspection,
};
pub use crate::bundle::{
    Access, Ask, DirectoryAsk, DirectoryGrant, GrantOffer, Grants, HttpGrant, Import, Inspection, Manifest, Need,
    Origin, Producer, SecretGrant, SecretHeader, SecretSource, SignaturePolicy, SignatureView, Trust, TrustedKey,
    Verdict,
};
pub use crate::rules::{
    BundleState, Conditions, Gate, Happening, HistoryEntry, HistoryFilter, HistoryRecord, Missing, Policy, Refusal,
    RefusalCode, Request, RequestRecord, Submission, TaskFilter, TaskRecord, Waiting, What, Why,
};
pub use crate::scheduler::Cancelled;
use crate::{
    bundle::{Bundle, StateFolder},
    clock::Clock,
    conditions::Observer,
    engine::Engine,
    rules::{BundleId, CancelCause, Condition, ExpirationReason, Identifier, TaskId},
    scheduler::{self, Core, Event, Mailbox, Scheduler, SchedulerError, SubmissionKey},
    spelling,
    store::Store,
};

/// How many happenings a slow watcher may fall behind before it loses the oldest.
const HAPPENINGS_KEPT: usize = 4_096;

/// A bundle to install.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Installation {
    /// A folder, or its `idlewild.toml`.
    pub source: PathBuf,
    pub grants: Vec<GrantOffer>,
    /// Whether an older version may take a newer one's place.
    pub allow_downgrade: bool,
    /// Whether it may come from another signer than what it replaces, or from none.
    pub allow_other_signer: bool,
    /// Whether it is an error that none of its id is installed.
    pub must_be_installed: bool,
}

/// The answer to an installation, an upgrade or a rollback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    pub bundle: BundleId,
    pub version: String,
    pub digest: String,
    /// What its signature came to.
    pub signature: Verdict,
    /// False when the same digest with the same grants was installed already.
    pub changed: bool,
    /// The version whose place it took, if it took one's.
    pub before: Option<String>,
    pub enabled: bool,
    /// What it asks for and waits for.
    pub missing: Vec<Missing>,
    /// Pending requests that were cancelled, because it no longer permits them.
    pub cancelled: u64,
}

/// An installed bundle as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleView {
    pub bundle: BundleId,
    pub version: String,
    /// The version that a rollback goes to.
    pub previous: Option<String>,
    pub digest: String,
    /// The key that signed it.
    pub signer: Option<String>,
    pub identifiers: Vec<String>,
    pub grants: Grants,
    pub enabled: bool,
    /// What it asks for and was not given, and waits for.
    pub missing: Vec<Missing>,
    pub pending: u64,
    pub running: u64,
}

/// An installed bundle, with what takes longer to find out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleDetail {
    pub view: BundleView,
    /// All it asks for.
    pub asks: Vec<Asked>,
    /// The length of all files in its `/data`; none when that cannot be counted.
    pub data_bytes: Option<u64>,
}

/// Something a bundle asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub name: String,
    /// As it stands behind "it asks".
    pub ask: String,
    /// What gives it, as an option of the command line.
    pub option: String,
    pub granted: bool,
}

/// The answer to enabling or disabling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switched {
    pub bundle: BundleId,
    pub enabled: bool,
    /// False when it was so already.
    pub changed: bool,
    /// What it asks for and waits for.
    pub missing: Vec<Missing>,
    /// Running tasks that were asked to stop.
    pub expired: u64,
    /// Tasks of it that run.
    pub running: u64,
}

/// The answer to a change of grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    pub changed: bool,
    /// Pending requests that were cancelled, because this machine was withdrawn from their study.
    pub cancelled: u64,
    /// Running tasks that were asked to stop for that.
    pub expired: u64,
    pub detail: BundleDetail,
}

/// The answer to an uninstallation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uninstalled {
    pub bundle: BundleId,
    /// Pending requests that were cancelled.
    pub cancelled: u64,
    /// Running tasks that were expired.
    pub expired: u64,
    /// Whether its data waits for it to be installed again.
    pub kept_data: bool,
}

/// What a host is made of. Every port may be an embedder's own.
pub struct Parts {
    pub state: Arc<StateFolder>,
    pub clock: Arc<dyn Clock>,
    pub engine: Arc<dyn Engine>,
    pub observer: Observer,
    pub store: Store,
    pub policy: Policy,
    /// How often a log that is followed is looked at.
    pub log_every: Duration,
    /// False opens the state for questions and submissions only: nothing is launched.
    pub launching: bool,
}

/// A running host. Cheap to clone; every clone is the same host.
#[derive(Clone)]
pub struct Host {
    inner: Arc<Inner>,
}

struct Inner {
    mailbox: Mailbox,
    scheduler: std::sync::Mutex<Scheduler>,
    happenings: broadcast::Sender<Arc<Happening>>,
    /// Hears what happens before anybody can watch, until the first watcher takes it over.
    first: std::sync::Mutex<Option<broadcast::Receiver<Arc<Happening>>>>,
    engine: Arc<dyn Engine>,
    state: Arc<StateFolder>,
    clock: Arc<dyn Clock>,
    policy: Policy,
    log_every: Duration,
    /// One bundle is installed or uninstalled at a time.
    installing: Mutex<()>,
    /// Held while files of the state folder are changed, to their end: who asked for it may have gone away.
    changing_files: Arc<Mutex<()>>,
}

impl Host {
    /// Takes up what the state holds and starts the scheduler. Who serves calls `activate_idle` once it can be reached.
    pub async fn start(parts: Parts) -> Result<Host, HostError> {
        let Parts { state, clock, engine, observer, mut store, policy, log_every, launching } = parts;
        let policy = Policy { slots: policy.slots.min(engine.slots()), ..policy };
        settle::sweep(&state, &mut store)?;
        let bundles = store.bundles()?.iter().map(install::restore).collect::<Result<_, _>>()?;
        let mailbox = Mailbox::new(clock.clone());
        let (happenings, first) = broadcast::channel(HAPPENINGS_KEPT);
        let tell = happenings.clone();
        let logs = state.clone();
        let parts = scheduler::Parts {
            policy: policy.clone(),
            store,
            observer,
            engine: engine.clone(),
            services: Arc::new(mailbox.clone()),
            bundles,
            launching,
            tell: Box::new(move |happening| {
                // Nobody may be watching.
                let _ = tell.send(Arc::new(happening));
            }),
            forget: Box::new(move |tasks| forget_logs(&logs, tasks)),
        };
        let core = Core::new(clock.now(), parts)?;
        let scheduler = Scheduler::start(core, mailbox.clone(), clock.clone())
            .map_err(|error| HostError::Store(format!("no thread for the scheduler: {error}")))?;
        let inner = Inner {
            mailbox,
            scheduler: std::sync::Mutex::new(scheduler),
            happenings,
            first: std::sync::Mutex::new(Some(first)),
            engine,
            state,
            clock,
            policy,
            log_every,
            installing: Mutex::new(()),
            changing_files: Arc::default(),
        };
        let host = Host { inner: Arc::new(inner) };
        Ok(host)
    }

    /// The policy in force.
    pub fn policy(&self) -> &Policy {
        &self.inner.policy
    }

    /// Submits a request on behalf of a person. Errors: `Refused`, or `NotFound` when no bundle permits the identifier.
    pub async fn submit(&self, request: Request) -> Result<Submission, HostError> {
        let identifier = request.identifier.clone();
        self.submit_with(identifier, request, None).await
    }

    /// Submits a request under a key. Made again under it within its time, the same submission is answered as the first was, and
    /// nothing is done; another is refused. `content` is the submission as the person's client made it.
    pub async fn submit_once(&self, request: Request, key: String, content: &[u8]) -> Result<Submission, HostError> {
        let content = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
        let identifier = request.identifier.clone();
        self.submit_with(identifier, request, Some(SubmissionKey { key, content })).await
    }

    async fn submit_with(
        &self,
        identifier: Identifier,
        request: Request,
        key: Option<SubmissionKey>,
    ) -> Result<Submission, HostError> {
        let submitted = self.inner.mailbox.call(|reply| Event::Submit { bundle: None, request, key, reply }).await;
        self.or_nearest(&identifier, submitted).await
    }

    /// Launches the identifier's pending request at once, whatever its dates and the host's wishes; with `force` whatever the
    /// machine is like, too. For development: the original has it for its debugger alone. Errors: `NotFound` when nothing is
    /// pending; `Refused` with the reason that stands above a person's wish.
    pub async fn launch(&self, identifier: &Identifier, force: bool) -> Result<TaskId, HostError> {
        let asked = identifier.clone();
        let launched = self.inner.mailbox.call(|reply| Event::LaunchNow { identifier: asked, force, reply }).await;
        self.or_nearest(identifier, launched).await
    }

    /// Asks what runs of the identifier to stop, for a reason of the asker's choice; says how many tasks. Errors: `NotFound` when
    /// nothing of it runs.
    pub async fn expire(&self, identifier: &Identifier, reason: ExpirationReason) -> Result<u64, HostError> {
        let asked = identifier.clone();
        let expired = self.inner.mailbox.call(|reply| Event::ExpireNow { identifier: asked, reason, reply }).await;
        self.or_nearest(identifier, expired).await
    }

    /// Lets a person's client watch a task: it is in the foreground until the answer is dropped. Errors: `NotFound` when it does
    /// not run.
    pub async fn attach(&self, task: TaskId) -> Result<Attachment, HostError> {
        let mailbox = self.inner.mailbox.clone();
        // On a task of its own: who goes away before the answer came has gone all the same.
        let attached = tokio::spawn(async move {
            mailbox.call(|reply| Event::Attach { task, reply }).await?;
            Ok(Attachment { task, mailbox })
        });
        attached.await.map_err(|_| HostError::Stopping)?
    }

    /// Cancels the identifier's pending requests. A running task goes on, but is neither tried again nor repeated; continued
    /// work is asked to stop.
    pub async fn cancel(&self, identifier: &Identifier) -> Result<Cancelled, HostError> {
        self.why(identifier).await?;
        let identifier = Some(identifier.clone());
        let cancel = |reply| Event::Cancel { bundle: None, identifier, cause: CancelCause::Person, reply };
        Ok(self.inner.mailbox.call(cancel).await?)
    }

    /// Pending requests with their reasons, oldest first, at most `limit`.
    pub async fn pending(&self, limit: usize) -> Result<Vec<Waiting>, HostError> {
        Ok(self.inner.mailbox.ask(move |now, core| core.waiting(now, limit)).await?)
    }

    pub async fn tasks(&self, filter: TaskFilter) -> Result<Vec<TaskRecord>, HostError> {
        Ok(self.inner.mailbox.ask(move |_, core| core.tasks(&filter)).await?)
    }

    /// What changed of bundles and requests, newest first.
    pub async fn history(&self, filter: HistoryFilter) -> Result<Vec<HistoryRecord>, HostError> {
        Ok(self.inner.mailbox.ask(move |_, core| core.history(&filter)).await?)
    }

    pub async fn task(&self, task: TaskId) -> Result<TaskRecord, HostError> {
        let record = self.inner.mailbox.ask(move |_, core| core.task(task)).await?;
        record.ok_or_else(|| {
            HostError::NotFound(format!("no task {task} is known: `idlewild tasks` lists those that history keeps"))
        })
    }

    /// Why the identifier's requests are not running, what of it runs, and how its last task ended.
    pub async fn why(&self, identifier: &Identifier) -> Result<Why, HostError> {
        let asked = identifier.clone();
        let why = self.inner.mailbox.ask(move |now, core| core.why(now, &asked)).await;
        self.or_nearest(identifier, why).await
    }

    /// An answer; or, where the identifier is unknown, an error that names the one it may have been meant to be.
    async fn or_nearest<T>(&self, identifier: &Identifier, answer: Result<T, SchedulerError>) -> Result<T, HostError> {
        let message = match answer {
            Err(SchedulerError::Unknown(message)) => message,
            answer => return Ok(answer?),
        };
        let near = self.bundles().await?.iter().find_map(|bundle| nearest(bundle, identifier));
        Err(HostError::NotFound(match near {
            Some(near) => format!("{message}; did you mean {near}?"),
            None => message,
        }))
    }

    /// What the machine is like, read anew.
    pub async fn conditions(&self) -> Result<Conditions, HostError> {
        Ok(self.inner.mailbox.call(|reply| Event::Conditions { reply }).await?)
    }

    /// Says that the machine may have changed. It is looked at soon, if anything depends on it. Never blocks.
    pub fn look(&self) {
        self.inner.mailbox.send(Event::Look);
    }

    /// States a condition by hand; none gives it back to the machine's own reading.
    pub async fn state_condition(&self, condition: Condition, holds: Option<bool>) -> Result<Conditions, HostError> {
        Ok(self.inner.mailbox.call(|reply| Event::StateCondition { condition, holds, reply }).await?)
    }

    /// What happens from the start, launches of what was pending included. Only the first who asks is told so much; anybody
    /// else hears what happens from now on.
    pub fn happenings_from_start(&self) -> broadcast::Receiver<Arc<Happening>> {
        let first = self.inner.first.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        first.unwrap_or_else(|| self.happenings())
    }

    /// What happens from now on. A receiver that falls behind loses the oldest, and is told so.
    pub fn happenings(&self) -> broadcast::Receiver<Arc<Happening>> {
        self.inner.happenings.subscribe()
    }

    /// Completes once nothing runs and nothing waits for anything but a later date.
    pub async fn done(&self) -> Result<(), HostError> {
        Ok(self.inner.mailbox.call(|reply| Event::Done { reply }).await?)
    }

    /// Launches nothing more, expires what runs with host-stopping, waits until all has ended (at most the grace), and stops.
    pub async fn drain(&self) {
        // The one error is that it has stopped already.
        let _ = self.inner.mailbox.call(|reply| Event::Drain { reply }).await;
        self.inner.scheduler.lock().unwrap_or_else(std::sync::PoisonError::into_inner).stop();
    }
}

/// A person's client that watches a task. Dropped, it has gone.
pub struct Attachment {
    task: TaskId,
    mailbox: Mailbox,
}

impl Drop for Attachment {
    fn drop(&mut self) {
        self.mailbox.send(Event::Detach { task: self.task });
    }
}

/// All that a bundle asks for.
fn asked(bundle: &Bundle) -> Vec<Asked> {
    let asked = |ask: Ask| {
        let granted = bundle.grants.has(&ask);
        Asked { name: ask.name(), ask: ask.to_string(), option: ask.option(), granted }
    };
    bundle.manifest.asks().into_iter().map(asked).collect()
}

/// What a bundle asks for and was not given, and waits for.
fn missing(bundle: &Bundle) -> Vec<Missing> {
    let missing = bundle.grants.missing(&bundle.manifest);
    missing.iter().map(|ask| Missing { ask: ask.to_string(), option: ask.option() }).collect()
}

/// The identifier of a bundle that this one may have been meant to be. The bundle's own part, which all have in common, says
/// nothing of how alike they are.
fn nearest(bundle: &BundleView, identifier: &Identifier) -> Option<String> {
    let id = bundle.bundle.as_str();
    let tail = identifier.as_str().strip_prefix(id)?;
    let tails = bundle.identifiers.iter().filter_map(|known| known.strip_prefix(id));
    spelling::nearest(tail, tails).map(|near| format!("{id}{near}"))
}

fn forget_logs(state: &StateFolder, tasks: &[TaskId]) {
    for task in tasks {
        if let Err(error) = state.remove_log(*task) {
            tracing::warn!(%task, %error, "log-not-removed");
        }
    }
}

//! Where guests run. The port is here; the wasmtime engine stands beside it, and a scripted one serves the scheduler's tests.
//! The engine never decides: it launches what it is told, meters it, passes on what a guest asks, and stops it on time.

mod app;
mod cache;
mod call;
mod compile;
mod contract;
mod deadlines;
mod ending;
mod environment;
mod epoch;
mod fault;
mod folders;
mod gate;
mod http;
mod imports;
mod link;
mod linked;
mod log;
mod meter;
mod quota;
mod settings;
mod signature;
mod wasm;
mod watch;

use std::{fmt, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;

use crate::{
    bundle::Bundle,
    rules::{
        Allowance, BundleId, End, ExpirationReason, Identifier, Kind, Pattern, Progress, Refusal, Request, Submission,
        TaskId, Usage,
    },
};

#[doc(hidden)]
pub use self::link::tuned;
pub use self::{
    compile::compile_component,
    settings::EngineSettings,
    wasm::{EngineError, EngineParts, WasmEngine},
};
pub use crate::bundle::World;

/// One task to run.
pub struct Launch {
    pub task: TaskId,
    pub bundle: Arc<Bundle>,
    pub identifier: Identifier,
    pub kind: Kind,
    /// 1 the first time a request is launched.
    pub attempt: u32,
    pub input: Vec<u8>,
    pub allowance: Allowance,
    /// Whether a person watches: see `Engine::set_foreground`.
    pub foreground: bool,
}

/// Runs guests. Every launch ends in exactly one `Services::ended`, whatever the guest does.
pub trait Engine: Send + Sync {
    /// How many tasks may run at once.
    fn slots(&self) -> usize;

    /// Compiles a component, checks what it imports and exports, and asks it what it registers.
    /// The compiled code is kept under `digest` for later launches.
    fn examine<'a>(
        &'a self,
        digest: &'a str,
        component: &'a [u8],
    ) -> BoxFuture<'a, Result<Vec<Pattern>, ComponentError>>;

    /// Whether `examine` would find the component's code, rather than take the time to compile it.
    fn is_compiled(&self, digest: &str) -> bool;

    /// Calls the bundle's `activate`, with the allowance of a short task. Errors: what it said, or why it could not.
    fn activate(
        &self,
        bundle: Arc<Bundle>,
        allowance: Allowance,
        services: Arc<dyn Services>,
    ) -> BoxFuture<'_, Result<(), String>>;

    /// Starts a task and returns at once.
    fn launch(&self, launch: Launch, services: Arc<dyn Services>);

    /// Lets the guest see `reason`, and stops it when the clock's uptime reaches `stop_at`. Unknown tasks are ignored: they just ended.
    fn expire(&self, task: TaskId, reason: ExpirationReason, stop_at: Duration);

    /// Holds a task, whether it computes or waits, until `resume`. It keeps its slot and whatever it has open, uses neither
    /// fuel nor processor, and its allowed time stands still: what was left of it at `suspend` is left at `resume`, by the
    /// clock's uptime, which is also how a scheduler must count that moves a limit of its own. `Usage::wall` goes on.
    ///
    /// How long a task may be held is the scheduler's to say. An expiration resumes it, so that it has its grace for
    /// coming to an end, and from then on it cannot be held any more.
    fn suspend(&self, task: TaskId);

    /// Lets a suspended task go on, with what it waited for and was woken by meanwhile.
    fn resume(&self, task: TaskId);

    /// Whether a person watches a task: then its turns go before those in the background, which still get theirs.
    fn set_foreground(&self, task: TaskId, foreground: bool);
}

/// Who asks something of the scheduler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asker {
    /// A running task.
    Task(TaskId, BundleId),
    /// A bundle's `activate`.
    Activation(BundleId),
}

/// What the engine tells and asks on behalf of guests. Telling never blocks; an answer comes when it is durable.
pub trait Services: Send + Sync {
    fn ended(&self, task: TaskId, end: End, usage: Usage);
    /// The task has used the fuel of its allowance.
    fn fuel_spent(&self, task: TaskId);
    fn progressed(&self, task: TaskId, progress: Progress);
    /// The task says anew what it does; both are cut to the bytes of a title. No oftener than progress, and the last is told.
    fn titled(&self, task: TaskId, title: String, subtitle: String);
    fn submit(&self, asker: Asker, request: Request) -> BoxFuture<'static, Result<Submission, Refusal>>;
    /// Cancels the bundle's pending request of that identifier, or all of the bundle's.
    fn cancel(&self, asker: Asker, identifier: Option<Identifier>) -> BoxFuture<'static, ()>;
    /// The bundle's requests that were not launched yet.
    fn pending(&self, asker: Asker) -> BoxFuture<'static, Vec<Request>>;
    fn checkpoint(&self, task: TaskId) -> BoxFuture<'static, Option<Vec<u8>>>;
    fn save_checkpoint(&self, task: TaskId, checkpoint: Vec<u8>) -> BoxFuture<'static, Result<(), String>>;
}

/// Why a component cannot be a bundle's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ComponentError {
    /// Not a WebAssembly component, or one the engine cannot compile.
    #[error("not a WebAssembly component this host can run: {0}")]
    Invalid(String),
    /// It may be a component, but compiling it came to no good end: it takes too much, or the compiler died of it.
    #[error("the component cannot be compiled: {0}")]
    NotCompiled(String),
    /// The exports of neither world.
    #[error(
        "the component exports neither `idlewild:background-tasks/handler@0.1.0` nor \
         `idlewild:background-tasks/async-handler@0.1.0`, so there is nothing to launch"
    )]
    NoWorld,
    /// The exports of both worlds.
    #[error(
        "the component exports both `idlewild:background-tasks/handler@0.1.0` and \
         `idlewild:background-tasks/async-handler@0.1.0`, so it is not clear which to launch"
    )]
    BothWorlds,
    /// Not all that its world asks for; what is missing is named.
    #[error("the component does not export {names}, which world `{world}` asks for")]
    MissingExport { names: String, world: World },
    /// A function of its world that takes or gives something else, or is async where it must not be, or the other way round.
    #[error("the component exports {name} as {is}, which must be `{must_be}`")]
    MistypedExport { name: String, is: String, must_be: &'static str },
    /// An import this host does not offer.
    #[error("the component imports {0}, which this host does not offer")]
    UnknownImport(String),
    /// `register` trapped, ran too long, or returned names that are none.
    #[error("`register` did not return identifiers: {0}")]
    Register(String),
}

impl fmt::Debug for Launch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Launch({} {} attempt {})", self.task, self.identifier, self.attempt)
    }
}

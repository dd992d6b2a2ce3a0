//! The wasmtime engine: examines, activates, launches, expires. Guests run on a runtime of their own, behind the gate.

use std::{
    collections::HashMap,
    io,
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use cap_std::fs::Dir;
use futures_util::future::BoxFuture;
use tokio::{
    runtime::{Builder, Handle, Runtime},
    sync::{Semaphore, oneshot},
};
use wasmtime::component::Linker;

use crate::{
    bundle::Bundle,
    clock::Clock,
    rules::{Allowance, End, ExpirationReason, Pattern, TaskId},
};

use super::{
    ComponentError, Engine, Launch, Services,
    app::App,
    cache::CodeCache,
    call,
    compile::{Code, Compiler},
    contract::Titles,
    deadlines::{Deadlines, Due},
    ending::Ending,
    environment::Given,
    epoch::{Beat, Ticker},
    fault::{bounded, size},
    folders::{Folders, Places, Scratch},
    gate::{Gate, Seat, Turns},
    http::{Http, Network, Reach},
    imports::{Guest, GuestParts, Launched, Role},
    link,
    linked::Linked,
    log::Log,
    meter::{Bounds, FuelMeter},
    quota::{Accounts, Files, Quota},
    settings::EngineSettings,
    watch::{Report, Watch},
};

/// What the engine is made of.
pub struct EngineParts {
    pub clock: Arc<dyn Clock>,
    /// Where timers run and components are loaded; never where guests run.
    pub control: Handle,
    /// Components, as `<digest>.wasm`.
    pub components: Dir,
    /// Where the folder `cache` with compiled code stands, or is made. It may be deleted at any time.
    pub home: Dir,
    /// The program that compiles, by its absolute path: `idlewild` itself, of this very version, or one that calls
    /// `compile_component`.
    pub compiler: PathBuf,
    /// One folder per bundle, which its guests see as `/data`.
    pub data: Dir,
    /// Logs: `<task>.log`, and `activate-<bundle>.log`.
    pub logs: Dir,
    /// One folder per running task, which its guest sees as `/tmp`. Empty at the start.
    pub tmp: Dir,
    /// Where the service manager put the host's credentials, if it did.
    pub credentials: Option<PathBuf>,
    pub settings: EngineSettings,
}

/// Why the engine cannot start.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("wasmtime cannot be set up: {0}")]
    SetUp(String),
    #[error("{what} cannot be used")]
    Folder { what: &'static str, source: io::Error },
    #[error("the engine's threads cannot be started")]
    Threads(#[source] io::Error),
}

/// Runs guests with wasmtime. Dropping it stops what runs and joins its threads.
pub struct WasmEngine {
    works: Arc<Works>,
    /// None once stopped.
    threads: Mutex<Option<Threads>>,
}

struct Threads {
    turns: Turns,
    guests: Runtime,
    ticker: Ticker,
}

/// What every call needs.
struct Works {
    settings: EngineSettings,
    clock: Arc<dyn Clock>,
    control: Handle,
    code: Code,
    linker: Linker<Guest>,
    linked: Linked<App>,
    gate: Arc<Gate>,
    deadlines: Arc<Deadlines>,
    places: Arc<Places>,
    logs: Arc<Dir>,
    credentials: Option<PathBuf>,
    network: Arc<Network>,
    side_calls: Arc<Semaphore>,
    /// How many there were: each has a `/tmp` of another name.
    activations: AtomicU64,
    running: Running,
}

/// The tasks whose end was not told yet, for whoever expires them and for who waits until there are none.
#[derive(Clone, Default)]
pub(super) struct Running {
    tasks: Arc<Mutex<HashMap<TaskId, Arc<Watch>>>>,
    fewer: Arc<Condvar>,
}

impl Running {
    pub(super) fn remove(&self, task: TaskId) {
        let mut tasks = self.tasks();
        tasks.remove(&task);
        // Whoever waits, waits for none; each ring is a call of the kernel.
        if tasks.is_empty() {
            self.fewer.notify_all();
        }
    }

    fn watch(&self, task: TaskId) -> Option<Arc<Watch>> {
        self.tasks().get(&task).cloned()
    }

    /// Waits until every end is told, but not longer than `patience`.
    fn wait_for_none(&self, patience: Duration) {
        drop(self.fewer.wait_timeout_while(self.tasks(), patience, |tasks| !tasks.is_empty()));
    }

    fn tasks(&self) -> MutexGuard<'_, HashMap<TaskId, Arc<Watch>>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WasmEngine {
    pub fn start(parts: EngineParts) -> Result<WasmEngine, EngineError> {
        let EngineParts { clock, control, components, home, compiler, data, logs, tmp, credentials, settings } = parts;
        let wasm = link::engine(&settings).map_err(call::set_up)?;
        let linker = link::linker(&wasm).map_err(call::set_up)?;
        let folder = |what| move |source| EngineError::Folder { what, source };
        let compiling = link::compiling_engine().map_err(call::set_up)?;
        let cache = CodeCache::open(wasm.clone(), &compiling, home, settings.cache_limit);
        let cache = cache.map_err(folder("the folder of compiled code"))?;
        let compiler = Compiler::new(compiler, clock.clone(), control.clone(), settings.clone());
        let beat = Arc::new(Beat::new());
        let guests = guests_runtime(&settings).map_err(EngineError::Threads)?;
        let ticker = Ticker::start(beat.clone(), settings.epoch_tick, move || wasm.increment_epoch())
            .map_err(EngineError::Threads)?;
        let gate = Gate::new(beat);
        let turns = Turns::start(gate.clone(), settings.turns, guests.handle()).map_err(EngineError::Threads)?;
        let places = Places {
            data,
            tmp,
            accounts: Accounts::default(),
            data_quota: Quota { bytes: settings.data_bytes, entries: settings.data_entries },
            tmp_quota: Quota { bytes: settings.tmp_bytes, entries: settings.tmp_entries },
            recount_after: settings.recount_after,
            clock: clock.clone(),
        };
        let works = Works {
            linked: Linked::new(settings.linked_components, settings.linked_code, App::code_size),
            gate,
            deadlines: Arc::new(Deadlines::start(&control, clock.clone())),
            places: Arc::new(places),
            activations: AtomicU64::new(0),
            logs: Arc::new(logs),
            credentials,
            network: Arc::new(Network::new(&settings, clock.clone())),
            side_calls: Arc::new(Semaphore::new(settings.side_calls)),
            running: Running::default(),
            code: Code::new(components, cache, compiler),
            settings,
            clock,
            control,
            linker,
        };
        Ok(WasmEngine { works: Arc::new(works), threads: Mutex::new(Some(Threads { turns, guests, ticker })) })
    }

    /// Stops what runs, each with `End::Stopped`, and joins the threads. What is launched afterwards is stopped at once.
    pub fn stop(&self) {
        let Some(threads) = self.threads.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        let patience = self.works.settings.stop_patience;
        let works = self.works.clone();
        // On a thread of its own, because a runtime may not be waited for inside another. The ticker beats until the turns are
        // over: it is what makes computing guests yield.
        let stopping = thread::Builder::new().name("idlewild-stop".to_owned()).spawn(move || {
            let Threads { turns, guests, ticker } = threads;
            drop(turns);
            // Only now: who waited for a compiler was stopped, and did not find a component that cannot be compiled.
            works.code.stop();
            drop(ticker);
            guests.shutdown_timeout(patience);
        });
        if let Ok(stopping) = stopping {
            stopping.join().ok();
        }
        self.works.running.wait_for_none(patience);
    }
}

impl Drop for WasmEngine {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What guests wait for: timers and file operations. Guests themselves are polled by the gate, so nothing here waits for them.
fn guests_runtime(settings: &EngineSettings) -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .thread_name("idlewild-guests")
        .worker_threads(1)
        .max_blocking_threads(settings.blocking_threads.max(1))
        .enable_all()
        .build()
}

impl Engine for WasmEngine {
    fn slots(&self) -> usize {
        self.works.settings.slots
    }

    fn examine<'a>(
        &'a self,
        digest: &'a str,
        component: &'a [u8],
    ) -> BoxFuture<'a, Result<Vec<Pattern>, ComponentError>> {
        Box::pin(async move {
            let component = self.works.code.examine(digest, component).await?;
            let linked = Arc::new(App::link(&self.works.linker, &component)?);
            let linked = self.works.linked.get::<ComponentError>(digest, async { Ok(linked) }).await?;
            register(&self.works, linked).await
        })
    }

    fn is_compiled(&self, digest: &str) -> bool {
        self.works.code.is_compiled(digest)
    }

    fn activate(
        &self,
        bundle: Arc<Bundle>,
        allowance: Allowance,
        services: Arc<dyn Services>,
    ) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(activate(&self.works, bundle, allowance, services))
    }

    fn launch(&self, launch: Launch, services: Arc<dyn Services>) {
        let works = self.works.clone();
        let started = works.clock.now().uptime;
        let task = launch.task;
        let hear = services.clone();
        let watch = Watch::new(
            works.gate.seat(),
            works.settings.progress_interval,
            Some(Box::new(move |report| match report {
                Report::Progress(progress) => hear.progressed(task, progress),
                Report::Titles { title, subtitle } => hear.titled(task, title, subtitle),
            })),
        );
        works.running.tasks().insert(task, watch.clone());
        watch.seat.set_foreground(launch.foreground);
        if let Some(time) = launch.allowance.time {
            watch.allow(started + time, started + time + launch.allowance.grace);
            watch.arm(&works.deadlines);
        }
        let ending = Ending {
            task,
            started,
            end: None,
            watch,
            scratch: Scratch::new(&works.places, &task.to_string()),
            services,
            clock: works.clock.clone(),
            deadlines: works.deadlines.clone(),
            running: works.running.clone(),
            control: works.control.clone(),
        };
        let gate = works.gate.clone();
        let seat = ending.watch.seat.clone();
        gate.admit(&seat, Box::pin(run(works, launch, ending)));
    }

    fn expire(&self, task: TaskId, reason: ExpirationReason, stop_at: Duration) {
        let Some(watch) = self.works.running.watch(task) else { return };
        watch.expire(self.works.clock.now().uptime, reason, stop_at);
        watch.arm(&self.works.deadlines);
    }

    fn suspend(&self, task: TaskId) {
        let Some(watch) = self.works.running.watch(task) else { return };
        watch.suspend(self.works.clock.now().uptime);
        watch.arm(&self.works.deadlines);
    }

    fn resume(&self, task: TaskId) {
        let Some(watch) = self.works.running.watch(task) else { return };
        watch.resume(self.works.clock.now().uptime);
        watch.arm(&self.works.deadlines);
    }

    fn set_foreground(&self, task: TaskId, foreground: bool) {
        let Some(watch) = self.works.running.watch(task) else { return };
        watch.seat.set_foreground(foreground);
    }
}

/// A task, from its launch to its end. Dropped on the way, it was stopped.
async fn run(works: Arc<Works>, launch: Launch, mut ending: Ending) {
    ending.end = Some(run_launch(&works, launch, &ending).await);
}

async fn run_launch(works: &Works, launch: Launch, ending: &Ending) -> End {
    let Ending { watch, scratch, services, .. } = ending;
    let Launch { task, bundle, identifier, kind, attempt, input, allowance, foreground: _ } = launch;
    let component = match works.component(&bundle.digest).await {
        Ok(component) => component,
        Err(message) => return End::NotStarted(message),
    };
    let log = Log::file(works.logs.clone(), format!("{task}.log"), works.settings.log_limit);
    let means = match works.means(&bundle, scratch.clone(), log.clone()).await {
        Ok(means) => means,
        Err(message) => return End::NotStarted(message),
    };
    let role = Role::Launched(Launched {
        task,
        bundle: bundle.manifest.id.clone(),
        kind,
        attempt,
        services: services.clone(),
    });
    let secrets = means.given.secrets.clone();
    let log = log.without(secrets.clone());
    let _log_end = log.end();
    let guest = works.guest(role, log, Some(means), watch, &allowance);
    let answer = call::launch(&works.settings, &component, guest, identifier.to_string(), input).await;
    // Before a message is cut to its length: what is left of a secret would not be found.
    let answer = answer.map(|returned| returned.map_err(|message| secrets.redact_text(message)));
    let end = match call::end(&works.settings, &allowance, &watch.tally, answer) {
        End::Trapped(message) => End::Trapped(secrets.redact_text(message)),
        end @ (End::Returned(_) | End::NotStarted(_) | End::OutOfFuel | End::Stopped) => end,
    };
    if end == End::OutOfFuel && watch.tally.tell_fuel_spent() {
        services.fuel_spent(task);
    }
    end
}

async fn register(works: &Arc<Works>, component: Arc<App>) -> Result<Vec<Pattern>, ComponentError> {
    let settings = &works.settings;
    let allowance = Allowance {
        time: Some(settings.register_time),
        grace: Duration::ZERO,
        fuel: settings.register_fuel,
        grace_fuel: 0,
        memory: settings.register_memory,
    };
    let log = Log::memory(settings.trap_limit as u64);
    let watch = Watch::new(works.gate.seat(), settings.progress_interval, None);
    let guest = works.guest(Role::Registering, log.clone(), None, &watch, &allowance);
    let call = {
        let works = works.clone();
        async move { call::register(&works.settings, &component, guest).await }
    };
    let names = match works.aside(&allowance, &watch, call).await {
        Some(Ok(names)) => names,
        Some(Err(error)) => {
            let message = call::said(settings, allowance.memory, &watch.tally, &error);
            return Err(ComponentError::Register(with_what_it_printed(message, &log.kept(), settings.trap_limit)));
        }
        None => {
            let message = format!("it did not return within {} s", settings.register_time.as_secs_f32());
            return Err(ComponentError::Register(message));
        }
    };
    let patterns = names.iter().map(|name| Pattern::parse(name)).collect::<Result<_, _>>();
    patterns.map_err(|error| ComponentError::Register(error.to_string()))
}

async fn activate(
    works: &Arc<Works>,
    bundle: Arc<Bundle>,
    allowance: Allowance,
    services: Arc<dyn Services>,
) -> Result<(), String> {
    let id = bundle.manifest.id.clone();
    let component = works.component(&bundle.digest).await?;
    let number = works.activations.fetch_add(1, Ordering::Relaxed);
    let scratch = Scratch::new(&works.places, &format!("activate-{id}-{number}"));
    let log_name = format!("activate-{id}.log");
    works.logs.remove_file(&log_name).ok();
    let log = Log::file(works.logs.clone(), log_name.clone(), works.settings.log_limit);
    // Installing needs no secret to be at hand and no server to be up: whoever installs may not be who serves.
    let means = Means {
        folders: Folders::open(&works.places, &bundle, scratch.clone(), log.clone())?,
        given: Given::configuration(&bundle.grants),
        reach: None,
    };
    let tidied = RemoveOnDrop { scratch, control: works.control.clone() };
    let watch = Watch::new(works.gate.seat(), works.settings.progress_interval, None);
    let guest = works.guest(Role::Activating { bundle: id, services }, log, Some(means), &watch, &allowance);
    let call = {
        let works = works.clone();
        async move {
            let answer = call::activate(&works.settings, &component, guest).await;
            tidied.now().await;
            answer
        }
    };
    let activated = match works.aside(&allowance, &watch, call).await {
        Some(Ok(answer)) => answer,
        Some(Err(error)) => Err(call::said(&works.settings, allowance.memory, &watch.tally, &error)),
        None => Err("activate was stopped: it took longer than it may, or the host is stopping".to_owned()),
    };
    // A bundle that is not installed has no log to look into: the message takes the words along.
    activated.map_err(|message| {
        let printed = works.logs.read(&log_name).unwrap_or_default();
        works.logs.remove_file(&log_name).ok();
        with_what_it_printed(message, String::from_utf8_lossy(&printed).trim(), works.settings.trap_limit)
    })
}

fn with_what_it_printed(message: String, printed: &str, limit: usize) -> String {
    match printed {
        "" => message,
        printed => format!("{message}; it printed: {}", bounded(printed.to_owned(), limit)),
    }
}

/// What a call has on its bundle's behalf. `register` has nothing.
struct Means {
    folders: Folders,
    given: Given,
    /// In `launch` alone.
    reach: Option<Reach>,
}

/// Removes the `/tmp` of a call that is no task, wherever the call was stopped.
struct RemoveOnDrop {
    scratch: Scratch,
    control: Handle,
}

impl RemoveOnDrop {
    async fn now(&self) {
        let scratch = self.scratch.clone();
        self.control.spawn_blocking(move || scratch.remove()).await.ok();
    }
}

impl Drop for RemoveOnDrop {
    fn drop(&mut self) {
        if self.scratch.exists() {
            let scratch = self.scratch.clone();
            self.control.spawn_blocking(move || scratch.remove());
        }
    }
}

impl Works {
    /// The linked component of an installed bundle. Errors: why there is none, for people.
    async fn component(&self, digest: &str) -> Result<Arc<App>, String> {
        self.linked
            .get(digest, async {
                let component = self.code.load(digest).await?;
                App::link(&self.linker, &component).map(Arc::new).map_err(|error| error.to_string())
            })
            .await
    }

    /// Opens and reads what the bundle was granted, for `launch`. Errors: what cannot be, named.
    async fn means(&self, bundle: &Arc<Bundle>, scratch: Scratch, log: Log) -> Result<Means, String> {
        let folders = Folders::open(&self.places, bundle, scratch, log)?;
        let mut given = self.given(bundle).await?;
        let reach = Reach::of(bundle, std::mem::take(&mut given.headers));
        Ok(Means { folders, given, reach: Some(reach) })
    }

    /// Reading secrets may block, so it happens beside the guests.
    async fn given(&self, bundle: &Arc<Bundle>) -> Result<Given, String> {
        if bundle.grants.secrets.is_empty() {
            return Ok(Given::configuration(&bundle.grants));
        }
        let (bundle, credentials) = (bundle.clone(), self.credentials.clone());
        let read = move || Given::read(&bundle.grants, credentials.as_deref());
        self.control.spawn_blocking(read).await.unwrap_or_else(|error| Err(error.to_string()))
    }

    fn guest(&self, role: Role, log: Log, means: Option<Means>, watch: &Arc<Watch>, allowance: &Allowance) -> Guest {
        let (folders, reach, Given { variables, secrets, .. }) = match means {
            Some(Means { folders, reach, given }) => (Some(folders), reach, given),
            None => (None, None, Given::default()),
        };
        let log = log.without(secrets.clone());
        Guest::new(GuestParts {
            role,
            http: Http::new(self.network.clone(), reach, log.clone()),
            log,
            handles: self.settings.handles,
            variables,
            files: Files::new(folders, self.settings.listings),
            titles: Titles { limit: self.settings.title_limit, secrets },
            submissions: self.settings.submissions,
            clock: self.clock.clone(),
            deadlines: self.deadlines.clone(),
            watch: watch.clone(),
            fuel: FuelMeter::new(allowance.fuel, allowance.grace_fuel, watch.tally.clone()),
            bounds: Bounds::new(allowance.memory, &self.settings, watch.tally.clone()),
        })
    }

    /// Passes a call that is no task through the gate; none if it was stopped, because its time and grace were over or the
    /// engine stopped. Dropping this ends the call.
    async fn aside<T: Send + 'static>(
        &self,
        allowance: &Allowance,
        watch: &Arc<Watch>,
        call: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let permit = self.side_calls.clone().acquire_owned().await.ok()?;
        let deadline = allowance.time.map(|time| {
            let stop_at = self.clock.now().uptime + time + allowance.grace;
            self.deadlines.set(stop_at, Due::Stop, watch.clone())
        });
        let (sender, receiver) = oneshot::channel();
        let call = async move {
            let answer = call.await;
            drop(permit);
            sender.send(answer).ok();
        };
        let stop = StopOnDrop(watch.seat.clone());
        self.gate.admit(&watch.seat, Box::pin(call));
        let answer = receiver.await.ok();
        drop(stop);
        if let Some(key) = deadline {
            self.deadlines.clear(key);
        }
        answer
    }
}

struct StopOnDrop(Arc<Seat>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl std::fmt::Debug for WasmEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let memory = size(self.works.settings.register_memory);
        write!(
            f,
            "WasmEngine({} slots, {} turns, register in {memory})",
            self.works.settings.slots, self.works.settings.turns
        )
    }
}

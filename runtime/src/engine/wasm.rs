//! The wasmtime engine: examines, activates, launches, expires. Guests run on a runtime of their own, behind the gate.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use cap_std::fs::Dir;
use futures_util::future::BoxFuture;
use tokio::{
    runtime::{Builder, Handle, Runtime},
    sync::{Semaphore, oneshot},
};
use wasmtime::component::{Component, Linker};

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
    deadlines::{Deadlines, Due},
    ending::Ending,
    epoch::{Beat, Ticker},
    fault::{bounded, size},
    folders::{Folders, Places, Scratch},
    gate::{Gate, Seat, Turns},
    imports::{Guest, GuestParts, Launched, Role},
    link,
    linked::Linked,
    log::Log,
    meter::{Bounds, FuelMeter},
    settings::EngineSettings,
    watch::Watch,
};

/// What the engine is made of.
pub struct EngineParts {
    pub clock: Arc<dyn Clock>,
    /// Where timers run and components are compiled; never where guests run.
    pub control: Handle,
    /// Components, as `<digest>.wasm`.
    pub components: Dir,
    /// Compiled code. It may be deleted at any time.
    pub cache: Dir,
    /// One folder per bundle, which its guests see as `/data`.
    pub data: Dir,
    /// Logs: `<task>.log`, and `activate-<bundle>.log`.
    pub logs: Dir,
    /// One folder per running task, which its guest sees as `/tmp`. Empty at the start.
    pub tmp: Dir,
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
    code: Arc<CodeCache>,
    linker: Linker<Guest>,
    linked: Linked<App>,
    gate: Arc<Gate>,
    deadlines: Arc<Deadlines>,
    places: Arc<Places>,
    logs: Arc<Dir>,
    side_calls: Arc<Semaphore>,
    running: Running,
}

/// The running tasks, for whoever expires them.
#[derive(Clone, Default)]
pub(super) struct Running {
    tasks: Arc<Mutex<HashMap<TaskId, Arc<Watch>>>>,
}

impl Running {
    pub(super) fn remove(&self, task: TaskId) {
        self.tasks().remove(&task);
    }

    fn tasks(&self) -> MutexGuard<'_, HashMap<TaskId, Arc<Watch>>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WasmEngine {
    pub fn start(parts: EngineParts) -> Result<WasmEngine, EngineError> {
        let EngineParts { clock, control, components, cache, data, logs, tmp, settings } = parts;
        let wasm = link::engine(&settings).map_err(call::set_up)?;
        let linker = link::linker(&wasm).map_err(call::set_up)?;
        let folder = |what| move |source| EngineError::Folder { what, source };
        let code = CodeCache::open(wasm.clone(), components, cache).map_err(folder("the folder of compiled code"))?;
        let beat = Arc::new(Beat::new());
        let guests = guests_runtime(&settings).map_err(EngineError::Threads)?;
        let ticker = Ticker::start(beat.clone(), settings.epoch_tick, move || wasm.increment_epoch())
            .map_err(EngineError::Threads)?;
        let gate = Gate::new(beat);
        let turns = Turns::start(gate.clone(), settings.turns, guests.handle()).map_err(EngineError::Threads)?;
        let works = Works {
            linked: Linked::new(settings.linked_components),
            gate,
            deadlines: Arc::new(Deadlines::start(&control, clock.clone())),
            places: Arc::new(Places { data, tmp: Arc::new(tmp) }),
            logs: Arc::new(logs),
            side_calls: Arc::new(Semaphore::new(settings.side_calls)),
            running: Running::default(),
            code: Arc::new(code),
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
        // On a thread of its own, because a runtime may not be waited for inside another. The ticker beats until the turns are
        // over: it is what makes computing guests yield.
        let stopping = thread::Builder::new().name("idlewild-stop".to_owned()).spawn(move || {
            let Threads { turns, guests, ticker } = threads;
            drop(turns);
            drop(ticker);
            guests.shutdown_timeout(patience);
        });
        if let Ok(stopping) = stopping {
            stopping.join().ok();
        }
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
            let bytes = component.to_vec();
            let code = self.works.code.clone();
            let key = digest.to_owned();
            let examined = self.works.control.spawn_blocking(move || code.examine(&key, &bytes)).await;
            let component = examined.map_err(|error| ComponentError::Invalid(error.to_string()))??;
            let linked = Arc::new(App::link(&self.works.linker, &component)?);
            let linked = self.works.linked.get::<ComponentError>(digest, async { Ok(linked) }).await?;
            register(&self.works, linked).await
        })
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
            Some(Box::new(move |progress| hear.progressed(task, progress))),
        );
        works.running.tasks().insert(task, watch.clone());
        let deadline = launch.allowance.time.map(|time| {
            let stop_at = started + time + launch.allowance.grace;
            watch.stop_no_later_than(stop_at);
            works.deadlines.set(stop_at, Due::Stop, watch.clone())
        });
        let ending = Ending {
            task,
            started,
            deadline,
            end: None,
            watch,
            scratch: Scratch::new(&works.places, &task.to_string()),
            services,
            clock: works.clock.clone(),
            deadlines: works.deadlines.clone(),
            running: works.running.clone(),
        };
        let gate = works.gate.clone();
        let seat = ending.watch.seat.clone();
        gate.admit(&seat, Box::pin(run(works, launch, ending)));
    }

    fn expire(&self, task: TaskId, reason: ExpirationReason, stop_at: Duration) {
        let Some(watch) = self.works.running.tasks().get(&task).cloned() else { return };
        watch.expire(reason);
        watch.stop_no_later_than(stop_at);
        self.works.deadlines.set(stop_at, Due::Stop, watch);
    }
}

/// A task, from its launch to its end. Dropped on the way, it was stopped.
async fn run(works: Arc<Works>, launch: Launch, mut ending: Ending) {
    let end = run_launch(&works, launch, &ending).await;
    ending.end = Some(end);
    if ending.scratch.exists() {
        let scratch = ending.scratch.clone();
        works.control.spawn_blocking(move || scratch.remove()).await.ok();
    }
}

async fn run_launch(works: &Works, launch: Launch, ending: &Ending) -> End {
    let Ending { started, watch, scratch, services, .. } = ending;
    let Launch { task, bundle, identifier, kind, attempt, input, allowance } = launch;
    let component = match works.component(&bundle.digest).await {
        Ok(component) => component,
        Err(message) => return End::NotStarted(message),
    };
    let folders = match Folders::open(&works.places, &bundle, scratch.clone()) {
        Ok(folders) => folders,
        Err(message) => return End::NotStarted(message),
    };
    let role = Role::Launched(Launched {
        task,
        bundle: bundle.manifest.id.clone(),
        kind,
        attempt,
        expires_at: allowance.time.map(|time| *started + time),
        services: services.clone(),
    });
    let log = Log::file(works.logs.clone(), format!("{task}.log"), works.settings.log_limit);
    let guest = works.guest(role, log, Some(folders), watch, &allowance);
    let answer = call::launch(&works.settings, &component, guest, identifier.to_string(), input).await;
    let end = call::end(&works.settings, &allowance, &watch.tally, answer);
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
    let scratch = Scratch::new(&works.places, &format!("activate-{id}"));
    let removed = RemoveOnDrop(scratch.clone());
    let folders = Folders::open(&works.places, &bundle, scratch)?;
    let log_name = format!("activate-{id}.log");
    works.logs.remove_file(&log_name).ok();
    let log = Log::file(works.logs.clone(), log_name.clone(), works.settings.log_limit);
    let watch = Watch::new(works.gate.seat(), works.settings.progress_interval, None);
    let guest = works.guest(Role::Activating { bundle: id, services }, log, Some(folders), &watch, &allowance);
    let call = {
        let works = works.clone();
        async move {
            let _removed = removed;
            call::activate(&works.settings, &component, guest).await
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

struct RemoveOnDrop(Scratch);

impl Drop for RemoveOnDrop {
    fn drop(&mut self) {
        self.0.remove();
    }
}

impl Works {
    /// The linked component of an installed bundle. Errors: why there is none, for people.
    async fn component(&self, digest: &str) -> Result<Arc<App>, String> {
        self.linked
            .get(digest, async {
                let component = self.load(digest).await?;
                App::link(&self.linker, &component).map(Arc::new).map_err(|error| error.to_string())
            })
            .await
    }

    async fn load(&self, digest: &str) -> Result<Component, String> {
        let code = self.code.clone();
        let digest = digest.to_owned();
        let loaded = self.control.spawn_blocking(move || code.load(&digest)).await;
        loaded.unwrap_or_else(|error| Err(error.to_string()))
    }

    fn guest(
        &self,
        role: Role,
        log: Log,
        folders: Option<Folders>,
        watch: &Arc<Watch>,
        allowance: &Allowance,
    ) -> Guest {
        Guest::new(GuestParts {
            role,
            log,
            handles: self.settings.handles,
            folders,
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

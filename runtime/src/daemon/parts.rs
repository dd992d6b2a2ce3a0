//! The parts a host is made of, and what the command line needs of rooms it does not enter.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{DaemonOptions, grants::Asks};
use crate::{
    api::wire,
    bundle::{self, StateFolder},
    clock::{Clock, SystemClock},
    conditions::{LinuxProbe, Observer, Watcher},
    config::{self, Settings},
    engine::{EngineParts, EngineSettings, WasmEngine},
    host::{self, Host},
    rules::{TaskFilter, Timestamp},
    store::{Sqlite, Store},
};

pub use crate::{conditions::parse_assumption, engine::compile_component};

/// The program that runs, even after its file was replaced by another version's.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// What a daemon is built around.
pub(super) struct Parts {
    pub(super) host: Host,
    pub(super) about: wire::About,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) grace: Duration,
    /// The newest task of the runs before this one; 0 when there was none.
    pub(super) newest_before: u64,
    /// None where the kernel tells nothing: then the machine is only sampled.
    pub(super) watcher: Option<Watcher>,
}

/// Locks the state folder, opens what is in it, and starts the host.
pub(super) async fn start(options: &DaemonOptions) -> anyhow::Result<Parts> {
    let DaemonOptions { state, assumptions, launching } = options;
    allow_open_files();
    let root = Path::new("/");
    let settings = Settings::new(config::profile_of_machine(root));
    let state = Arc::new(StateFolder::open(state)?);
    let mut store = Store::open(Box::new(Sqlite::open(&state.database_path())?))?;
    // Asked before the host launches anything.
    let newest = store.tasks(&TaskFilter { identifier: None, bundle: None, before: None, limit: 1 })?;
    let newest_before = newest.first().map(|task| task.id.0).unwrap_or_default();
    let clock: Arc<dyn Clock> = SystemClock::start();
    let now = clock.now();
    let mut observer = Observer::new(Box::new(LinuxProbe::new(root, settings.outlook())), now);
    for (condition, holds) in assumptions {
        observer.state(now, *condition, *holds);
    }
    let engine = Arc::new(WasmEngine::start(engine_parts(&state, &settings, clock.clone())?)?);
    let about = wire::About {
        name: env!("CARGO_PKG_NAME").to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        profile: settings.profile.to_string(),
        state_folder: state.path().to_owned(),
    };
    let parts = host::Parts {
        state,
        clock: clock.clone(),
        engine,
        observer,
        store,
        policy: settings.policy(),
        log_every: settings.log_every,
        launching: *launching,
    };
    let host = Host::start(parts).await?;
    let watcher = if *launching { watch(&host) } else { None };
    Ok(Parts { host, about, clock, grace: settings.grace, newest_before, watcher })
}

/// Has the host look at the machine whenever the kernel says that it has changed.
fn watch(host: &Host) -> Option<Watcher> {
    let host = host.clone();
    let watcher = Watcher::start(move || host.look());
    watcher.inspect_err(|error| tracing::warn!(%error, "kernel-not-heard")).ok()
}

/// Many tasks hold many files: takes all the system allows this process, where it begins with less.
fn allow_open_files() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current < limit.maximum {
        let wanted = Rlimit { current: limit.maximum, maximum: limit.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, wanted) {
            tracing::warn!(%error, "open-files-not-raised");
        }
    }
}

fn engine_parts(state: &StateFolder, settings: &Settings, clock: Arc<dyn Clock>) -> anyhow::Result<EngineParts> {
    Ok(EngineParts {
        clock,
        control: tokio::runtime::Handle::current(),
        components: state.components.try_clone()?,
        home: state.home.try_clone()?,
        compiler: PathBuf::from(THIS_PROGRAM),
        data: state.data.try_clone()?,
        logs: state.logs.try_clone()?,
        tmp: state.tmp.try_clone()?,
        credentials: config::credentials_folder(),
        settings: EngineSettings {
            slots: settings.slots,
            log_limit: settings.log_bytes,
            output_limit: settings.output_bytes,
            http_requests: settings.http_requests,
            http_request_limit: settings.http_request_bytes,
            http_response_limit: settings.http_response_bytes,
            http_headers_limit: settings.http_headers_bytes,
            http_connect_time: settings.http_connect_time,
            http_first_byte_time: settings.http_first_byte_time,
            http_between_bytes_time: settings.http_between_bytes_time,
            data_bytes: settings.data_bytes,
            data_entries: settings.data_entries,
            tmp_bytes: settings.tmp_bytes,
            tmp_entries: settings.tmp_entries,
            submissions: settings.submissions,
            title_limit: settings.title_bytes,
            progress_interval: settings.progress_every,
            hostcall_fuel: settings.call_bytes,
            handles: settings.handles,
            component_handles: settings.component_handles,
            listings: settings.listings,
            stack: settings.stack_bytes,
            core_instances: settings.core_instances,
            memories: settings.memories,
            tables: settings.tables,
            table_elements: settings.table_elements,
            compile_time: settings.compile_time,
            compile_patience: settings.compile_patience,
            compile_memory: settings.compile_memory,
            code_limit: settings.code_bytes,
            cache_limit: settings.cache_bytes,
            linked_code: settings.linked_bytes,
            ..EngineSettings::default()
        },
    })
}

/// The state folder when none is named.
pub fn state_folder() -> anyhow::Result<PathBuf> {
    Ok(config::default_state_folder()?)
}

/// Where the host of a state folder is reached.
pub(super) fn socket(state: &Path) -> anyhow::Result<PathBuf> {
    Ok(StateFolder::socket_path(state)?)
}

/// Whether some process has the state folder open.
pub(super) fn is_in_use(state: &Path) -> anyhow::Result<bool> {
    Ok(StateFolder::is_in_use(state)?)
}

pub(super) fn clock() -> Arc<dyn Clock> {
    SystemClock::start()
}

/// The date and time, for floors that are said as a length of time.
pub fn now() -> Timestamp {
    clock().now().wall
}

/// Reads what the bundle at `source` asks for.
pub(super) fn asks(source: &Path) -> anyhow::Result<Asks> {
    let manifest = bundle::read(source)?.manifest;
    Ok(Asks { bundle: manifest.id.to_string(), asks: manifest.asks() })
}

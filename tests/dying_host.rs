//! A host that dies at a chosen step: `dying-host STATE DEED STEP`. A step is a moment before or after each commit and before
//! or after each thing the engine is asked for; there the process kills itself, as `kill -9` does. The host itself is the
//! real one, on a real folder and database; only its engine is played, by a bundle whose `activate` submits its own version.
//! The deed `look` does nothing and says how things stand.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a process of a test")]

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::{FutureExt, future::BoxFuture};
use idlewild::{
    bundle::{Bundle, StateFolder},
    clock::{Clock, SystemClock},
    conditions::{FixedProbe, Observer},
    config::Settings,
    engine::{Asker, ComponentError, Engine, Launch, Services},
    host::{GrantOffer, Host, HostError, Installation, Parts, TakenBack},
    rules::*,
    store::{Database, Sqlite, Statement, Store, StoreError, Value},
};
use wasm_encoder::CustomSection;

/// Counts the steps, and ends the process at the chosen one.
#[derive(Clone)]
struct Life {
    left: Arc<AtomicU64>,
}

impl Life {
    fn step(&self) {
        if self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).unwrap();
            loop {
                std::thread::park();
            }
        }
    }
}

struct MortalDatabase {
    sqlite: Sqlite,
    life: Life,
}

impl Database for MortalDatabase {
    fn query(&mut self, sql: &'static str, values: &[Value]) -> Result<Vec<Vec<Value>>, StoreError> {
        self.sqlite.query(sql, values)
    }

    fn commit(&mut self, statements: &[Statement]) -> Result<(), StoreError> {
        if statements.is_empty() {
            return Ok(());
        }
        self.life.step();
        let committed = self.sqlite.commit(statements);
        self.life.step();
        committed
    }
}

struct PlayedEngine {
    state: PathBuf,
    life: Life,
}

const WORK: &str = "com.example.dying.work";

impl Engine for PlayedEngine {
    fn slots(&self) -> usize {
        4
    }

    /// Leaves compiled code behind, as the real one does.
    fn examine<'a>(&'a self, digest: &'a str, _: &'a [u8]) -> BoxFuture<'a, Result<Vec<Pattern>, ComponentError>> {
        async move {
            self.life.step();
            fs::write(self.state.join("cache").join(format!("{digest}-compiled")), "code").unwrap();
            self.life.step();
            Ok(vec![Pattern::parse(WORK).unwrap()])
        }
        .boxed()
    }

    fn is_compiled(&self, digest: &str) -> bool {
        self.state.join("cache").join(format!("{digest}-compiled")).exists()
    }

    fn activate(
        &self,
        bundle: Arc<Bundle>,
        _: Allowance,
        services: Arc<dyn Services>,
    ) -> BoxFuture<'_, Result<(), String>> {
        async move {
            self.life.step();
            let data = self.state.join("data").join(bundle.id().as_str());
            fs::create_dir_all(&data).unwrap();
            fs::write(data.join("touched"), "").unwrap();
            self.life.step();
            let asker = Asker::Activation(bundle.id().clone());
            let request = Request {
                earliest_begin: Some("2100-01-01T00:00:00Z".parse().unwrap()),
                input: bundle.manifest.version.clone().into_bytes(),
                ..Request::new(Identifier::parse(WORK).unwrap(), Kind::AppRefresh)
            };
            services.submit(asker, request).await.map_err(|refusal| refusal.to_string())?;
            self.life.step();
            Ok(())
        }
        .boxed()
    }

    fn launch(&self, _: Launch, _: Arc<dyn Services>) {}

    fn expire(&self, _: TaskId, _: ExpirationReason, _: Duration) {}

    fn suspend(&self, _: TaskId) {}

    fn resume(&self, _: TaskId) {}

    fn set_foreground(&self, _: TaskId, _: bool) {}
}

async fn open(state: &Path, life: Life) -> Host {
    let clock: Arc<dyn Clock> = SystemClock::start();
    let folder = Arc::new(StateFolder::open(state).unwrap());
    let sqlite = Sqlite::open(&folder.database_path()).unwrap();
    let parts = Parts {
        state: folder,
        clock: clock.clone(),
        engine: Arc::new(PlayedEngine { state: state.to_owned(), life: life.clone() }),
        observer: Observer::new(Box::new(FixedProbe::default()), clock.now()),
        store: Store::open(Box::new(MortalDatabase { sqlite, life })).unwrap(),
        policy: Settings::new(Profile::Server).policy(),
        log_every: Settings::new(Profile::Server).log_every,
        launching: false,
    };
    Host::start(parts).await.unwrap()
}

/// A bundle of that version, in a folder beside the state; the second asks for more.
/// A component that is good for nothing but to be told apart.
fn component(version: &str) -> Vec<u8> {
    let mut component = wasm_encoder::Component::new();
    component.section(&CustomSection { name: "version".into(), data: version.as_bytes().into() });
    component.finish()
}

fn version(state: &Path, version: &str, asks: &str) -> PathBuf {
    let folder = state.with_file_name(format!("bundle-{version}"));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("dying.wasm"), component(version)).unwrap();
    let manifest = format!(
        "[bundle]\nid = \"com.example.dying\"\nversion = \"{version}\"\ncomponent = \"dying.wasm\"\n\
         [scheduling]\npermitted-identifiers = [\"{WORK}\"]\n[capabilities]\nconfig = [{asks}]\n"
    );
    fs::write(folder.join("idlewild.toml"), manifest).unwrap();
    folder
}

async fn install(host: &Host, source: PathBuf, grants: &[(&str, &str)]) -> Result<(), HostError> {
    let offer = |(name, value): &(&str, &str)| GrantOffer::Config { name: (*name).into(), value: (*value).into() };
    let grants = grants.iter().map(offer).collect();
    host.install(&Installation { source, grants, ..Installation::default() }).await.map(|_| ())
}

async fn act(host: &Host, state: &Path, deed: &str) -> Result<(), HostError> {
    let id = BundleId::parse("com.example.dying").unwrap();
    let (one, two) = (version(state, "1.0.0", "\"a\""), version(state, "2.0.0", "\"a\", \"b\""));
    let give = |name: &str, value: &str| vec![GrantOffer::Config { name: name.into(), value: value.into() }];
    match deed {
        "look" => {}
        "install" => install(host, one, &[("a", "1")]).await?,
        "upgrade" => install(host, two, &[("b", "1")]).await?,
        "upgrade-that-waits" => install(host, two, &[]).await?,
        "grant" => drop(host.change_grants(&id, &give("b", "1"), &TakenBack::default()).await?),
        "revoke" => drop(
            host.change_grants(&id, &[], &TakenBack { revoked: vec!["a".to_owned()], ..TakenBack::default() }).await?,
        ),
        "rollback" => drop(host.rollback(&id).await?),
        "disable" => drop(host.disable(&id, false).await?),
        "enable" => drop(host.enable(&id).await?),
        "uninstall" => drop(host.uninstall(&id, false).await?),
        "uninstall-and-keep" => drop(host.uninstall(&id, true).await?),
        other => panic!("no such deed: {other}"),
    }
    Ok(())
}

async fn look(host: &Host) {
    for view in host.bundles().await.unwrap() {
        let state =
            Gate { enabled: view.enabled, missing: view.missing, changing: false, since: Timestamp::UNIX_EPOCH }
                .state();
        let granted: Vec<_> = view.grants.config.keys().collect();
        println!("{} {state}, before {:?}, granted {granted:?}, digest {}", view.version, view.previous, view.digest);
    }
    for waiting in host.pending(100).await.unwrap() {
        println!("pending {:?}", String::from_utf8_lossy(&waiting.record.request.input));
    }
}

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [state, deed, step] = arguments.as_slice() else { panic!("dying-host STATE DEED STEP") };
    let life = Life { left: Arc::new(AtomicU64::new(step.parse().unwrap())) };
    let state = PathBuf::from(state);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let host = open(&state, life).await;
        act(&host, &state, deed).await.unwrap();
        if deed == "look" {
            look(&host).await;
        }
        host.drain().await;
    });
}

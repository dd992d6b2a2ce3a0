//! What a task costs end to end: submitted, launched durably, run as a real guest, recorded. `cargo bench --bench tasks`.
//! The shipped profile `server`, SQLite on this folder's disk, and the disk's own speed beside it.

#![allow(clippy::print_stdout, reason = "a bench prints its figures")]
#![allow(clippy::unwrap_used, reason = "a bench may fail")]

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures_util::future::join_all;
use idlewild::{
    bundle::{GrantOffer, StateFolder},
    clock::{Clock, SystemClock},
    conditions::{FixedProbe, Observer},
    config::Settings,
    engine::{EngineParts, EngineSettings, WasmEngine},
    host::{Host, Installation, Parts},
    rules::{Identifier, Kind, Profile, Request, What},
    store::{Sqlite, Store},
};
use rustix::time::{ClockId, clock_gettime};

/// Tasks of one measurement.
const TASKS: usize = 20_000;
/// How many submitters ask at once.
const SUBMITTERS: [usize; 3] = [1, 16, 128];
/// Submissions, one at a time, whose time to the launch is measured.
const SINGLE: usize = 1_000;
/// Commits of the disk's own measurement.
const SYNCS: u32 = 500;

fn main() {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    let bundle = target.join("bundles/behaviours");
    assert!(bundle.is_dir(), "{} is missing: `make bench` builds it", bundle.display());
    let folder = tempfile::tempdir_in(&target).unwrap();
    let clock = SystemClock::start();
    let sync = time_of_sync(&*clock, folder.path());
    println!("one fsync of a small append: {:.0} µs", sync.as_secs_f64() * 1e6);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let host = start(clock.clone(), &folder.path().join("state")).await;
        let shared = folder.path().join("shared");
        fs::create_dir(&shared).unwrap();
        let grants = vec![GrantOffer::Directory { name: "shared".to_owned(), path: shared }];
        let installation = Installation { source: bundle, grants, ..Installation::default() };
        host.install(&installation).await.unwrap();
        for submitters in SUBMITTERS {
            let used = processor_time();
            let rate = through(&host, &*clock, submitters).await;
            let ratio = rate * sync.as_secs_f64();
            let each = (processor_time() - used).as_secs_f64() * 1e6 / TASKS as f64;
            println!(
                "durable no-op tasks, {submitters} submitters: {rate:.0} a second, {ratio:.2} in the time of one fsync, \
                 {each:.0} µs of processor time each"
            );
        }
        let mut times = latencies(&host, &*clock).await;
        times.sort();
        let (median, late) = (times[SINGLE / 2], times[SINGLE * 99 / 100]);
        println!(
            "submit to launch, one at a time: p50 {:.0} µs ({:.1} fsyncs), p99 {:.0} µs",
            median.as_secs_f64() * 1e6,
            median.as_secs_f64() / sync.as_secs_f64(),
            late.as_secs_f64() * 1e6
        );
        host.drain().await;
    });
}

async fn start(clock: Arc<SystemClock>, state: &Path) -> Host {
    let state = Arc::new(StateFolder::open(state).unwrap());
    let settings = Settings::new(Profile::Server);
    let engine = WasmEngine::start(EngineParts {
        clock: clock.clone(),
        control: tokio::runtime::Handle::current(),
        components: state.components.try_clone().unwrap(),
        home: state.home.try_clone().unwrap(),
        compiler: PathBuf::from(env!("CARGO_BIN_EXE_idlewild")),
        data: state.data.try_clone().unwrap(),
        logs: state.logs.try_clone().unwrap(),
        tmp: state.tmp.try_clone().unwrap(),
        credentials: None,
        settings: EngineSettings::default(),
    })
    .unwrap();
    let store = Store::open(Box::new(Sqlite::open(&state.database_path()).unwrap())).unwrap();
    let observer = Observer::new(Box::new(FixedProbe::default()), clock.now());
    let policy = settings.policy();
    let (engine, log_every) = (Arc::new(engine), settings.log_every);
    Host::start(Parts { state, clock, engine, observer, store, policy, log_every, launching: true }).await.unwrap()
}

fn request(number: usize) -> Request {
    Request::new(Identifier::parse(&format!("test.behaviours.nothing.{number}")).unwrap(), Kind::AppRefresh)
}

/// Tasks a second, from the first submission to the last end.
async fn through(host: &Host, clock: &dyn Clock, submitters: usize) -> f64 {
    let before = clock.now().uptime;
    let each = TASKS / submitters;
    let submitting = (0..submitters).map(|submitter| {
        let host = host.clone();
        tokio::spawn(async move {
            for number in 0..each {
                host.submit(request(submitter * each + number)).await.unwrap();
            }
        })
    });
    join_all(submitting.collect::<Vec<_>>()).await;
    host.done().await.unwrap();
    (submitters * each) as f64 / (clock.now().uptime - before).as_secs_f64()
}

/// From the call of `submit` to the moment the launch is durable and told.
async fn latencies(host: &Host, clock: &dyn Clock) -> Vec<Duration> {
    let mut times = Vec::new();
    for number in 0..SINGLE {
        let mut happenings = host.happenings();
        let before = clock.now().uptime;
        let submitted = host.submit(request(number));
        let launched = async {
            while !matches!(happenings.recv().await.unwrap().what, What::Launched { .. }) {}
            clock.now().uptime - before
        };
        let (submitted, time) = tokio::join!(submitted, launched);
        submitted.unwrap();
        times.push(time);
        host.done().await.unwrap();
    }
    times
}

/// What this process has used of the processors: on a busy machine it tells more than the clock.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn time_of_sync(clock: &dyn Clock, folder: &Path) -> Duration {
    let path: PathBuf = folder.join("syncs");
    let mut file = fs::File::create(path).unwrap();
    let before = clock.now().uptime;
    for _ in 0..SYNCS {
        file.write_all(&[7; 4_096]).unwrap();
        file.sync_data().unwrap();
    }
    (clock.now().uptime - before) / SYNCS
}

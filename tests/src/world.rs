//! A scheduler in a box: manual clock, scripted engine, a database in memory, steps made by hand.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use idlewild::{
    bundle::{Bundle, Grants, Manifest},
    clock::{Clock, ManualClock, Until},
    conditions::{FixedProbe, Observer, Probe, Sample},
    rules::*,
    scheduler::{Cancelled, Change, Changed, Core, Event, InstalledBundle, Mailbox, Parts, Reply, SchedulerError},
    store::{BundleRow, Database, Statement, VersionRow, put_bundle},
};
use tokio::sync::oneshot;

use crate::{ScriptedEngine, SharedDatabase};

/// When every test begins.
pub const START: &str = "2026-03-01T12:00:00Z";

pub fn id(name: &str) -> Identifier {
    Identifier::parse(name).unwrap()
}

pub fn bundle_id(name: &str) -> BundleId {
    BundleId::parse(name).unwrap()
}

/// A policy with small numbers, so that a test reaches them.
pub fn policy(profile: Profile) -> Policy {
    let allowance = Allowance {
        time: Some(Duration::from_secs(30)),
        grace: Duration::from_secs(5),
        fuel: 1_000_000,
        grace_fuel: 1_000,
        memory: 64 << 20,
    };
    let (pending_app_refresh, pending_processing) = match profile {
        Profile::Device => (1, 10),
        Profile::Server => (1_000_000, 1_000_000),
    };
    let processing = Allowance { time: Some(Duration::from_secs(600)), ..allowance };
    Policy {
        profile,
        slots: 4,
        at_once: ByKind { app_refresh: 4, processing: 4, health_research: 4, continued_processing: 2 },
        pending: ByKind {
            app_refresh: pending_app_refresh,
            processing: pending_processing,
            health_research: pending_processing,
            continued_processing: 5,
        },
        app_refresh: allowance,
        processing,
        continued_processing: Allowance { time: None, ..allowance },
        stall: Duration::from_secs(60),
        suspension: Duration::from_secs(300),
        suspended: 2,
        attempts: 10,
        spacing: Duration::ZERO,
        daily_time: None,
        starvation: Duration::from_secs(1_800),
        coalescing: Duration::ZERO,
        keys: Duration::from_secs(86_400),
        launches: 5,
        input: 65_536,
        checkpoint: 1 << 20,
        run_after: 16,
        sampling: Duration::from_secs(5),
        history_tasks: 10_000,
        history_age: Duration::from_secs(30 * 86_400),
        history_changes: 3,
        schedules: SchedulePolicy {
            schedules: 100,
            missed_runs: 3,
            missed_after: Duration::from_secs(60),
            clock_set_back: Duration::from_secs(86_400),
        },
    }
}

/// A bundle that permits `patterns` and both background modes.
pub fn bundle(name: &str, patterns: &[&str]) -> Arc<Bundle> {
    bundle_asking(name, patterns, "")
}

/// The same, asking for what a manifest's `[capabilities]` say.
pub fn bundle_asking(name: &str, patterns: &[&str], capabilities: &str) -> Arc<Bundle> {
    let manifest = format!(
        "[bundle]\nid = \"{name}\"\nversion = \"1.0.0\"\ncomponent = \"guest.wasm\"\n\
         [scheduling]\npermitted-identifiers = {patterns:?}\n\
         [capabilities]\n{capabilities}"
    );
    let mut hasher = DefaultHasher::new();
    manifest.hash(&mut hasher);
    Arc::new(Bundle {
        manifest: Manifest::parse(&manifest).unwrap(),
        digest: format!("{:064x}", hasher.finish()),
        grants: Grants::default(),
    })
}

/// The machine a world runs on; a test changes what it lacks, and reads how often it was looked at.
#[derive(Debug, Clone, Default)]
pub struct Machine {
    pub lacking: Arc<Mutex<Vec<Condition>>>,
    pub looks: Arc<AtomicUsize>,
}

impl Probe for Machine {
    fn look(&mut self, now: Now) -> Sample {
        self.looks.fetch_add(1, Ordering::Relaxed);
        FixedProbe::without(&self.lacking.lock().unwrap()).look(now)
    }
}

/// A scheduler whose steps the test makes.
pub struct World {
    pub clock: Arc<ManualClock>,
    pub engine: Arc<ScriptedEngine>,
    pub database: SharedDatabase,
    pub core: Core,
    pub machine: Machine,
    pub told: Arc<Mutex<Vec<Happening>>>,
    /// Every bundle that was ever installed; rows name them by their place.
    known: Vec<Arc<Bundle>>,
    policy: Policy,
    events: Vec<Event>,
}

impl World {
    /// Everything holds: network, power, idle.
    pub fn new(policy: Policy, bundles: Vec<Arc<Bundle>>) -> World {
        World::on(SharedDatabase::new(), policy, bundles)
    }

    /// The same on an empty database of the caller's.
    pub fn on(mut database: SharedDatabase, policy: Policy, bundles: Vec<Arc<Bundle>>) -> World {
        let clock = ManualClock::new(START.parse().unwrap());
        let engine = Arc::new(ScriptedEngine::default());
        let rows: Vec<Statement> =
            bundles.iter().enumerate().flat_map(|(place, bundle)| put_bundle(&row(bundle, place, true))).collect();
        database.commit(&rows).unwrap();
        let told = Arc::default();
        let machine = Machine::default();
        let core = core(&clock, &engine, &database, &policy, &bundles, &machine, &told);
        World { clock, engine, database, core, machine, told, known: bundles, policy, events: Vec::new() }
    }

    /// The host dies with everything in its memory, and starts again on the same database.
    pub fn crash(&mut self) {
        self.engine = Arc::new(ScriptedEngine::default());
        self.events.clear();
        self.core =
            core(&self.clock, &self.engine, &self.database, &self.policy, &self.known, &self.machine, &self.told);
    }

    pub fn now(&self) -> Now {
        self.clock.now()
    }

    pub fn send(&mut self, event: Event) {
        self.events.push(event);
    }

    /// Makes one step; says whether another can do more at once.
    pub fn step(&mut self) -> bool {
        let events = std::mem::take(&mut self.events);
        self.core.step(self.clock.now(), events)
    }

    /// Steps until nothing more can be done at this moment.
    pub fn settle(&mut self) {
        for _ in 0..1_000 {
            if !self.step() {
                return;
            }
        }
        panic!("a thousand steps without rest");
    }

    /// Jumps to the next moment the scheduler asks to be woken at, if any, and settles.
    pub fn jump(&mut self) -> bool {
        let Until { wall, uptime } = self.core.next_wake_up();
        let now = self.now();
        let until_wall = wall.map(|at| at.duration_since(now.wall)).map(|gap| gap.unsigned_abs());
        let until_uptime = uptime.map(|at| at.saturating_sub(now.uptime));
        let Some(gap) = until_wall.into_iter().chain(until_uptime).min() else { return false };
        self.clock.advance(gap.max(Duration::from_millis(1)));
        self.settle();
        true
    }

    /// Sends an event, settles, and returns the answer.
    pub fn call<T>(&mut self, make: impl FnOnce(Reply<T>) -> Event) -> Result<T, SchedulerError> {
        let (reply, mut answer) = oneshot::channel();
        self.send(make(reply));
        self.settle();
        answer.try_recv().expect("the scheduler answers every call")
    }

    pub fn submit(&mut self, request: Request) -> Result<Submission, SchedulerError> {
        self.call(|reply| Event::Submit { bundle: None, request, key: None, reply })
    }

    /// As `bundle` itself submits.
    pub fn submit_as(&mut self, bundle: &str, request: Request) -> Result<Submission, SchedulerError> {
        let bundle = Some(bundle_id(bundle));
        self.call(|reply| Event::Submit { bundle, request, key: None, reply })
    }

    /// A person's cancel; says how many pending requests it took.
    pub fn cancel(&mut self, identifier: &str) -> u64 {
        self.cancel_all_of(identifier).pending
    }

    pub fn cancel_all_of(&mut self, identifier: &str) -> Cancelled {
        let identifier = Some(id(identifier));
        self.call(|reply| Event::Cancel { bundle: None, identifier, cause: CancelCause::Person, reply }).unwrap()
    }

    pub fn state(&mut self, condition: Condition, holds: bool) {
        self.call(|reply| Event::StateCondition { condition, holds: Some(holds), reply }).unwrap();
    }

    pub fn install(&mut self, bundle: &Arc<Bundle>) -> Changed {
        self.change(bundle, true, false).unwrap()
    }

    /// Puts a bundle as it is to be.
    pub fn change(
        &mut self,
        bundle: &Arc<Bundle>,
        enabled: bool,
        expire_running: bool,
    ) -> Result<Changed, SchedulerError> {
        let row = row(bundle, self.known.len(), enabled);
        self.known.push(bundle.clone());
        let told =
            vec![What::BundleInstalled { bundle: bundle.id().clone(), version: bundle.manifest.version.clone() }];
        let change = Change { row, bundle: bundle.clone(), expire_running, told };
        self.call(|reply| Event::Change { change, reply })
    }

    /// Begins to change a bundle, whose `activate` the test plays.
    pub fn stage(&mut self, bundle: &Arc<Bundle>) {
        let bundle = bundle.clone();
        self.call(|reply| Event::Stage { bundle, reply }).unwrap();
    }

    /// The `activate` of the bundle that is being changed submits.
    pub fn rehearse(&mut self, bundle: &str, request: Request) -> Result<Submission, SchedulerError> {
        let bundle = bundle_id(bundle);
        self.call(|reply| Event::RehearseSubmit { bundle, request, reply })
    }

    /// The running guest of an identifier ends.
    pub fn end(&mut self, identifier: &str, end: End) -> TaskId {
        let task = self.running(identifier).unwrap_or_else(|| panic!("{identifier} does not run"));
        self.engine.take(task);
        self.send(Event::Ended { task, end, usage: Usage::default() });
        self.settle();
        task
    }

    /// The running task of an identifier.
    pub fn running(&self, identifier: &str) -> Option<TaskId> {
        let running = self.engine.running.lock().unwrap();
        running.values().find(|script| script.launch.identifier == id(identifier)).map(|script| script.launch.task)
    }

    pub fn why(&mut self, identifier: &str) -> Why {
        let now = self.now();
        self.core.why(now, &id(identifier)).unwrap()
    }

    /// The names of the reasons why the first waiting request of an identifier does not run.
    pub fn reasons(&mut self, identifier: &str) -> Vec<&'static str> {
        let why = self.why(identifier);
        why.waiting
            .first()
            .map(|waiting| waiting.reasons.iter().map(|held| held.reason.code()).collect())
            .unwrap_or_default()
    }

    /// How the last task of an identifier ended.
    pub fn outcome(&mut self, identifier: &str) -> Outcome {
        self.why(identifier).last.expect("a task of it ended").ended.expect("the last one ended").outcome
    }
}

fn row(bundle: &Bundle, place: usize, enabled: bool) -> BundleRow {
    let current = VersionRow {
        digest: bundle.digest.clone(),
        manifest: place.to_string(),
        grants: String::new(),
        installed_at: START.parse().unwrap(),
        signer: None,
    };
    BundleRow { id: bundle.id().clone(), current, enabled, previous: None }
}

fn core(
    clock: &Arc<ManualClock>,
    engine: &Arc<ScriptedEngine>,
    database: &SharedDatabase,
    policy: &Policy,
    known: &[Arc<Bundle>],
    machine: &Machine,
    told: &Arc<Mutex<Vec<Happening>>>,
) -> Core {
    let now = clock.now();
    let told = told.clone();
    let mut store = database.store();
    let installed = |BundleRow { current, enabled, .. }| {
        let place: usize = current.manifest.parse().unwrap();
        InstalledBundle { bundle: known[place].clone(), enabled }
    };
    let bundles = store.bundles().unwrap().into_iter().map(installed).collect();
    Core::new(
        now,
        Parts {
            policy: policy.clone(),
            store,
            observer: Observer::new(Box::new(machine.clone()), now),
            engine: engine.clone(),
            services: Arc::new(Mailbox::new(clock.clone())),
            bundles,
            launching: true,
            tell: Box::new(move |happening| told.lock().unwrap().push(happening)),
            forget: Box::new(|_| {}),
        },
    )
    .unwrap()
}

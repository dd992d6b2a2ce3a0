//! Many lives of a scheduler, drawn from a seed: submissions, ends, cancels, changing conditions, changing bundles, full
//! disks, deaths.
//! A life that breaks a promise prints its seed; `IDLEWILD_SEED=N` lives that one alone.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use fastrand::Rng;
use idlewild::{bundle::Bundle, rules::*, scheduler::Event};
use idlewild_tests::{World, bundle, bundle_asking, bundle_id, id, policy};
use tokio::sync::oneshot;

const LIVES: u64 = 100;
const MOMENTS: usize = 250;

const GALLERY: [&str; 5] = [
    "com.example.gallery.a",
    "com.example.gallery.b",
    "com.example.gallery.c",
    "com.example.gallery.d",
    "com.example.gallery.export",
];
const NOTES: [&str; 3] = ["org.notes.sync.x", "org.notes.sync.y", "org.notes.index"];

#[test]
fn every_life_keeps_every_promise() {
    #[expect(clippy::disallowed_methods, reason = "a person gives the seed of a life that failed")]
    let chosen = std::env::var("IDLEWILD_SEED").ok().map(|seed| seed.parse().expect("a seed is a number"));
    let seeds: Vec<u64> = chosen.map_or_else(|| (0..LIVES).collect(), |seed| vec![seed]);
    let (mut launches, mut changes) = (0, 0);
    for seed in seeds {
        let outcome = std::panic::catch_unwind(|| Life::new(seed).live());
        match outcome {
            Ok((launched, changed)) => {
                launches += launched;
                changes += changed;
            }
            Err(panic) => {
                println!("a promise was broken in the life of seed {seed}: IDLEWILD_SEED={seed}");
                std::panic::resume_unwind(panic);
            }
        }
    }
    println!("{launches} launches, {changes} smallest changes");
    assert!(changes > 20, "smallest changes that are never made prove nothing");
    assert!(launches > 1_000, "lives in which nothing happens prove nothing");
}

/// What the outside knows of a request.
#[derive(Debug, Clone)]
struct Promise {
    floor: Option<Timestamp>,
    identifier: Identifier,
}

struct Life {
    rng: Rng,
    world: World,
    policy: Policy,
    /// Requests that were accepted and must end somehow.
    promises: BTreeMap<RequestId, Promise>,
    /// Every way a bundle may stand, the whole one first.
    versions: [Vec<Arc<Bundle>>; 2],
    /// Bundles of which nothing may be launched.
    closed: BTreeSet<BundleId>,
    /// Requests whose submission was under way when the host died.
    doubtful: bool,
    heard: usize,
    launches: usize,
    /// Smallest changes that were made and launched what they were to launch.
    changes: usize,
    seen: BTreeSet<TaskId>,
    /// Tasks that a person launched before their time.
    hurried: BTreeSet<TaskId>,
    /// Tasks that were told to have ended.
    ended: BTreeSet<TaskId>,
}

impl Life {
    fn new(seed: u64) -> Life {
        let mut rng = Rng::with_seed(seed);
        let profile = if rng.bool() { Profile::Device } else { Profile::Server };
        let mut policy = policy(profile);
        if rng.bool() {
            policy.spacing = Duration::from_secs(rng.u64(0..900));
            policy.daily_time = Some(Duration::from_secs(rng.u64(60..20_000)));
            policy.coalescing = Duration::from_secs(rng.u64(0..120));
            policy.at_once.processing = rng.usize(1..5);
            policy.starvation = Duration::from_secs(rng.u64(0..4_000));
        }
        let secretive = |name, patterns: &[&str]| bundle_asking(name, patterns, "secrets = [\"token\"]");
        let notes = ["org.notes.sync.*", "org.notes.index"];
        let versions = [
            vec![
                bundle("com.example.gallery", &GALLERY),
                bundle("com.example.gallery", &GALLERY[..2]),
                secretive("com.example.gallery", &GALLERY),
            ],
            vec![bundle("org.notes", &notes), bundle("org.notes", &notes[..1]), secretive("org.notes", &notes)],
        ];
        let world = World::new(policy.clone(), versions.iter().map(|versions| versions[0].clone()).collect());
        Life {
            rng,
            world,
            policy,
            promises: BTreeMap::new(),
            versions,
            closed: BTreeSet::new(),
            doubtful: false,
            heard: 0,
            launches: 0,
            changes: 0,
            seen: BTreeSet::new(),
            hurried: BTreeSet::new(),
            ended: BTreeSet::new(),
        }
    }

    fn live(mut self) -> (usize, usize) {
        for _ in 0..MOMENTS {
            self.moment();
            self.check();
        }
        self.finish()
    }

    fn moment(&mut self) {
        match self.rng.u32(0..100) {
            0..40 => self.batch(),
            40..62 => self.end_some(),
            62..72 => {
                let _ = self.world.jump();
            }
            72..80 => {
                self.world.clock.advance(Duration::from_secs(self.rng.u64(1..3_000)));
                self.world.settle();
            }
            80..82 => self.make_the_smallest_change(),
            82..88 => {
                let condition = *self.rng.choice(Condition::ALL).unwrap();
                let holds = self.rng.u32(0..3) > 0;
                self.world.state(condition, holds);
            }
            88..90 => self.hurry(),
            90..93 => self.disk_full(),
            93..96 => self.change_bundle(),
            _ => self.crash(),
        }
    }

    /// A few things at once, so that one step must take them together.
    fn batch(&mut self) {
        let mut answers = Vec::new();
        for _ in 0..self.rng.usize(1..6) {
            match self.rng.u32(0..10) {
                0 => {
                    let identifier = Some(self.identifier());
                    self.cancel(None, identifier);
                }
                1 if self.rng.u32(0..4) == 0 => self.cancel(Some(bundle_id("org.notes")), None),
                2 => self.end_one(),
                _ => {
                    let request = self.request();
                    let (reply, answer) = oneshot::channel();
                    let promise = Promise { floor: request.earliest_begin, identifier: request.identifier.clone() };
                    self.world.send(Event::Submit { bundle: None, request, key: None, reply });
                    answers.push((promise, answer));
                }
            }
        }
        self.world.settle();
        for (promise, mut answer) in answers {
            match answer.try_recv().expect("every caller is answered") {
                Ok(submission) => {
                    // Cancelled or replaced within its own step: the telling came before the answer was read.
                    self.promises.insert(submission.request, promise);
                }
                Err(error) => assert!(!error.to_string().is_empty()),
            }
        }
        self.listen();
    }

    fn identifier(&mut self) -> Identifier {
        let names = if self.rng.bool() { &GALLERY[..] } else { &NOTES[..] };
        id(self.rng.choice(names).unwrap())
    }

    fn request(&mut self) -> Request {
        let identifier = self.identifier();
        let kind = match self.rng.u32(0..10) {
            0..4 => Kind::AppRefresh,
            4..8 => Kind::Processing(Needs { network: self.rng.bool(), external_power: self.rng.bool() }),
            _ => Kind::ContinuedProcessing(Continued {
                title: "Export".to_owned(),
                subtitle: String::new(),
                fail_unless_immediate: self.rng.bool(),
                requires_gpu: false,
            }),
        };
        let continued = kind.name() == KindName::ContinuedProcessing;
        let mut request = Request::new(identifier, kind);
        if self.rng.u32(0..3) == 0 && !continued {
            let ahead = Duration::from_millis(self.rng.u64(0..7_200_000));
            request.earliest_begin = Some(self.world.now().wall + ahead);
        }
        if self.rng.u32(0..4) == 0 {
            let earlier = self.identifier();
            request.run_after.push(earlier);
        }
        if self.rng.u32(0..4) == 0 {
            let ahead = Duration::from_millis(self.rng.u64(0..7_200_000));
            request.latest_begin = Some(request.earliest_begin.unwrap_or(self.world.now().wall) + ahead);
        } else if self.rng.u32(0..6) == 0 && !continued {
            let every = self.rng.u64(60..7_200);
            let flex = Duration::from_secs(self.rng.u64(0..every));
            request.repeat = Some(Repeat { every: Duration::from_secs(every), flex });
        }
        if self.rng.u32(0..4) == 0 {
            let first_delay = Duration::from_secs(self.rng.u64(0..600));
            let longest_delay = first_delay + Duration::from_secs(self.rng.u64(0..600));
            request.retry = Some(Retry { attempts: self.rng.u32(1..5), first_delay, longest_delay });
        }
        request.may_suspend = self.rng.u32(0..3) == 0;
        request.priority = *self.rng.choice(Priority::ALL).unwrap();
        request
    }

    fn cancel(&mut self, bundle: Option<BundleId>, identifier: Option<Identifier>) {
        let (reply, _answer) = oneshot::channel();
        self.world.send(Event::Cancel { bundle, identifier, cause: CancelCause::Person, reply });
    }

    fn end_one(&mut self) {
        let tasks = self.world.engine.tasks();
        let Some(task) = self.rng.choice(&tasks) else { return };
        let end = match self.rng.u32(0..12) {
            0 => End::Returned(Err("no luck".to_owned())),
            1 => End::Trapped("unreachable".to_owned()),
            2 => End::OutOfFuel,
            3 => End::Stopped,
            4 => End::NotStarted("the folder is gone".to_owned()),
            _ => End::Returned(Ok(b"done".to_vec())),
        };
        self.end(*task, end);
    }

    /// A person launches something before its time, ends something before its time, or sees it advance.
    fn hurry(&mut self) {
        let identifier = self.identifier();
        match self.rng.u32(0..3) {
            0 => {
                let force = self.rng.bool();
                let launched = self.world.call(|reply| Event::LaunchNow { identifier, force, reply });
                self.hurried.extend(launched.ok());
            }
            1 => {
                let reason = *self.rng.choice(ExpirationReason::ALL).unwrap();
                let _ = self.world.call(|reply| Event::ExpireNow { identifier, reason, reply });
            }
            _ => {
                let tasks = self.world.engine.tasks();
                for task in tasks {
                    let progress = Progress { completed: self.rng.u64(0..1_000), total: 1_000 };
                    self.world.send(Event::Progressed { task, progress });
                }
                self.world.settle();
            }
        }
        self.listen();
    }

    /// Makes what the host calls the smallest change for something that waits, and sees whether it runs.
    fn make_the_smallest_change(&mut self) {
        self.world.settle();
        let now = self.world.now();
        let waiting = self.world.core.waiting(now, 1_000).unwrap();
        let Some(waiting) = self.rng.choice(&waiting).cloned() else { return };
        let request = waiting.record.id;
        for mend in &waiting.smallest_change {
            match mend {
                Mend::Condition { condition } => self.world.state(*condition, true),
                Mend::Wait { until } => {
                    let left = until.duration_since(self.world.now().wall);
                    self.world.clock.advance(left.unsigned_abs());
                    self.world.settle();
                }
                Mend::Enable { bundle } | Mend::Grant { bundle, .. } | Mend::Settle { bundle } => {
                    let versions = self.versions.clone();
                    let whole =
                        versions.iter().map(|versions| &versions[0]).find(|whole| whole.id() == bundle).unwrap();
                    self.world.install(whole);
                    self.closed.remove(bundle);
                }
                Mend::End { kind } => {
                    let running = self.world.core.running().find(|task| kind.is_none_or(|kind| task.lane.kind == kind));
                    let task = running.expect("one runs, since there is no room").task;
                    self.end(task, End::Returned(Ok(Vec::new())));
                    self.world.settle();
                }
                // These take more than one step of the world.
                Mend::Finish { .. } | Mend::Succeed { .. } | Mend::Serve => return self.listen(),
            }
        }
        self.listen();
        let now = self.world.now();
        let waiting = self.world.core.waiting(now, 10_000).unwrap();
        let Some(still) = waiting.iter().find(|waiting| waiting.record.id == request) else {
            self.changes += 1;
            return;
        };
        // While it was made, others may have taken the room or the time of the bundle.
        for held in &still.reasons {
            let by_others = matches!(
                held.reason,
                Reason::NoSlot { .. }
                    | Reason::NoSlotOfKind { .. }
                    | Reason::Spaced { .. }
                    | Reason::BudgetSpent { .. }
                    | Reason::Resting { .. }
            );
            assert!(by_others, "the smallest change was made, and {still:?} waits");
        }
    }

    fn end(&mut self, task: TaskId, end: End) {
        self.world.engine.take(task);
        self.world.send(Event::Ended { task, end, usage: Usage::default() });
    }

    fn end_some(&mut self) {
        for _ in 0..self.rng.usize(1..4) {
            self.end_one();
        }
        self.world.settle();
        self.listen();
    }

    /// A bundle is upgraded, enabled, disabled, given or denied something; its `activate` submits; others submit meanwhile. It
    /// comes true as a whole or not at all.
    fn change_bundle(&mut self) {
        self.listen();
        let versions = &self.versions[self.rng.usize(0..2)];
        let bundle = self.rng.choice(versions).unwrap().clone();
        let enabled = self.rng.u32(0..3) > 0;
        let mut rehearsed = Vec::new();
        let mut held = None;
        if self.rng.bool() {
            self.world.stage(&bundle);
            for _ in 0..self.rng.usize(0..5) {
                let request = self.request();
                let promise = Promise { floor: request.earliest_begin, identifier: request.identifier.clone() };
                if let Ok(submission) = self.world.rehearse(bundle.id().as_str(), request) {
                    rehearsed.push((submission.request, promise));
                }
            }
            let request = self.request();
            let promise = Promise { floor: request.earliest_begin, identifier: request.identifier.clone() };
            let (reply, answer) = oneshot::channel();
            self.world.send(Event::Submit { bundle: None, request, key: None, reply });
            held = Some((promise, answer));
            self.end_some();
            match self.rng.u32(0..4) {
                0 => {
                    self.world.send(Event::Abandon);
                    self.world.settle();
                }
                1 => {
                    self.doubtful = true;
                    self.crash();
                    held = None;
                }
                _ => {}
            }
        }
        self.listen();
        let full = self.rng.u32(0..5) == 0;
        self.world.database.set_full(full);
        let expire_running = self.rng.bool();
        match self.world.change(&bundle, enabled, expire_running) {
            Ok(_) => {
                let open = enabled && bundle.grants.missing(&bundle.manifest).is_empty();
                match open {
                    true => self.closed.remove(bundle.id()),
                    false => self.closed.insert(bundle.id().clone()),
                };
                // What was abandoned or died was never submitted; its number comes up nowhere.
                let told = self.world.told.lock().unwrap();
                let submitted = |id| {
                    told.iter()
                        .any(|happening| matches!(happening.what, What::Submitted { request, .. } if request == id))
                };
                rehearsed.retain(|(id, _)| submitted(*id));
                drop(told);
                self.promises.extend(rehearsed);
            }
            Err(error) => assert!(full, "{error}"),
        }
        self.world.database.set_full(false);
        self.world.clock.advance(Duration::from_secs(2));
        self.world.settle();
        if let Some((promise, mut answer)) = held
            && let Ok(submission) = answer.try_recv().expect("who was held is answered")
        {
            self.promises.insert(submission.request, promise);
        }
        self.listen();
    }

    /// Commits fail for a while; callers are told, reports of the engine are kept.
    fn disk_full(&mut self) {
        self.world.database.set_full(true);
        self.batch();
        self.end_some();
        self.world.database.set_full(false);
        self.world.clock.advance(Duration::from_secs(2));
        self.world.settle();
        self.listen();
    }

    /// The host dies: before its commit, after it, or in peace.
    fn crash(&mut self) {
        let request = self.request();
        let (reply, _answer) = oneshot::channel();
        match self.rng.u32(0..3) {
            0 => {
                self.world.database.set_full(true);
                self.world.send(Event::Submit { bundle: None, request, key: None, reply });
                self.end_one();
                self.world.step();
                self.world.database.set_full(false);
            }
            1 => {
                self.world.send(Event::Submit { bundle: None, request, key: None, reply });
                self.end_one();
                self.world.step();
                self.doubtful = true;
            }
            _ => {}
        }
        self.listen();
        self.world.crash();
        self.seen.clear();
        self.world.settle();
        self.listen();
    }

    /// Takes in what was told since the last time.
    fn listen(&mut self) {
        let told = self.world.told.clone();
        let told = told.lock().unwrap();
        for happening in &told[self.heard..] {
            match &happening.what {
                What::Submitted { replaced, .. } => {
                    if let Some(replaced) = replaced {
                        self.promises.remove(replaced);
                    }
                }
                What::Cancelled { request, .. } => {
                    self.promises.remove(request);
                }
                What::Launched { request, bundle, task, .. } => {
                    self.launches += 1;
                    assert!(!self.closed.contains(bundle), "something of {bundle} was launched behind its closed gate");
                    // Who launched it before its time has waived its floor for all that comes of it.
                    if let Some(promise) = self.promises.get_mut(request).filter(|_| self.hurried.contains(task)) {
                        promise.floor = None;
                    }
                    if let Some(floor) = self.promises.get(request).and_then(|promise| promise.floor) {
                        assert!(happening.at >= floor, "request {request} was launched before its floor");
                    }
                }
                What::Ended { task, .. } => assert!(self.ended.insert(*task), "task {task} ended twice"),
                What::Expiring { .. }
                | What::Waiting { .. }
                | What::Progressed { .. }
                | What::Titled { .. }
                | What::Suspended { .. }
                | What::Resumed { .. }
                | What::Attached { .. }
                | What::Detached { .. }
                | What::ConditionChanged { .. }
                | What::Schedule { .. }
                | What::BundleInstalled { .. }
                | What::BundleRolledBack { .. }
                | What::BundleSigned { .. }
                | What::DataDropped { .. }
                | What::BundleUninstalled { .. }
                | What::Compiling { .. }
                | What::Compiled { .. }
                | What::NotCompiled { .. }
                | What::BundleEnabled { .. }
                | What::BundleDisabled { .. }
                | What::GrantsChanged { .. }
                | What::Enrolled { .. }
                | What::EnrolmentWithdrawn { .. } => {}
            }
        }
        self.heard = told.len();
    }

    /// What must hold whenever nothing more can be done at a moment.
    fn check(&mut self) {
        self.world.settle();
        self.listen();
        let now = self.world.now();
        let conditions = self.world.core.conditions().clone();
        let running: Vec<Running> = self.world.core.running().cloned().collect();
        assert!(running.len() <= self.policy.slots, "more tasks than slots");
        let identifiers: BTreeSet<&Identifier> = running.iter().map(|running| &running.identifier).collect();
        assert_eq!(identifiers.len(), running.len(), "two tasks of one identifier run at once");
        let mut engine_tasks = self.world.engine.tasks();
        engine_tasks.sort();
        let known: Vec<TaskId> = running.iter().map(|running| running.task).collect();
        assert_eq!(engine_tasks, known, "the engine and the scheduler disagree about what runs");
        for running in &running {
            let record = self.world.core.task(running.task).unwrap().expect("a launch is on disk");
            assert!(record.ended.is_none());
            let lacking = needed(&running.lane).any(|condition| !conditions.reading(condition).holds);
            let let_go_on = running.forced || running.suspended.is_some();
            assert!(!lacking || running.expiring.is_some() || let_go_on, "a task runs on without what it needs");
            let told = self.world.engine.running.lock().unwrap()[&running.task].suspended;
            assert_eq!(running.suspended.is_some(), told, "the engine and the scheduler disagree about what is held");
            if self.seen.insert(running.task) {
                assert!(running.launched.wall <= now.wall);
            }
        }
        assert!(running.iter().filter(|running| running.suspended.is_some()).count() <= self.policy.suspended);
        for kind in KindName::ALL {
            let of_kind = running.iter().filter(|running| running.lane.kind == *kind).count();
            assert!(of_kind <= self.policy.at_once.of(*kind), "{of_kind} tasks of {kind} run at once");
        }
        let mut counts: BTreeMap<(BundleId, KindName), u64> = BTreeMap::new();
        for waiting in self.world.core.waiting(now, 10_000).unwrap() {
            if waiting.reasons.is_empty() {
                let told = self.world.told.lock().unwrap();
                let about = format!("{:?}", waiting.record.request.identifier);
                let story: Vec<String> = told
                    .iter()
                    .map(|happening| format!("{happening:?}"))
                    .filter(|line| line.contains(&about))
                    .collect();
                panic!("{waiting:?} is eligible and was not launched; its story:\n{}", story.join("\n"));
            }
            if waiting.record.attempt == 1 {
                *counts.entry((waiting.record.bundle, waiting.record.request.kind.name())).or_default() += 1;
            }
        }
        for ((bundle, kind), count) in counts {
            assert!(count <= self.policy.pending.of(kind), "{bundle} has {count} pending of {kind}");
        }
    }

    /// The rest of the life is peaceful: whatever was promised must come to an end.
    fn finish(mut self) -> (usize, usize) {
        for condition in Condition::ALL {
            self.world.state(*condition, true);
        }
        self.listen();
        self.closed.clear();
        for versions in self.versions.clone() {
            self.world.install(&versions[0]);
        }
        // What repeats would go on for ever.
        let now = self.world.now();
        let waiting = self.world.core.waiting(now, 10_000).unwrap();
        let mut repeating: BTreeSet<Identifier> = waiting
            .iter()
            .filter(|waiting| waiting.record.request.repeat.is_some())
            .map(|waiting| waiting.record.request.identifier.clone())
            .collect();
        let running = self.world.core.running().filter(|running| running.repeat.is_some());
        repeating.extend(running.map(|running| running.identifier.clone()));
        for identifier in repeating {
            self.cancel(None, Some(identifier));
        }
        self.world.settle();
        self.listen();
        for _ in 0..500 {
            for task in self.world.engine.tasks() {
                self.world.engine.take(task);
                let end = End::Returned(Ok(Vec::new()));
                self.world.send(Event::Ended { task, end, usage: Usage::default() });
            }
            self.world.settle();
            self.check();
            if !self.world.jump() && self.world.engine.tasks().is_empty() {
                break;
            }
        }
        self.listen();
        let now = self.world.now();
        let left = self.world.core.waiting(now, 10_000).unwrap();
        // Only one thing may wait for ever: for the success of an identifier nobody asks for, or in a circle.
        for waiting in &left {
            let waits_for_another = waiting
                .reasons
                .iter()
                .any(|reason| matches!(reason.reason, Reason::RunAfter { .. } | Reason::Behind { .. }));
            assert!(waits_for_another, "{waiting:?} never ran");
        }
        let filter = TaskFilter { identifier: None, bundle: None, before: None, limit: 100_000 };
        let tasks = self.world.core.tasks(&filter).unwrap();
        assert!(tasks.iter().all(|task| task.ended.is_some()), "a task never ended");
        let settled: BTreeSet<RequestId> = tasks.iter().map(|task| task.request).collect();
        let waiting: BTreeSet<RequestId> = left.iter().map(|waiting| waiting.record.id).collect();
        for (request, promise) in &self.promises {
            assert!(
                settled.contains(request) || waiting.contains(request),
                "request {request} of {} was accepted and is lost",
                promise.identifier
            );
        }
        let mut attempts: BTreeMap<RequestId, Vec<u32>> = BTreeMap::new();
        for task in tasks.iter().rev() {
            attempts.entry(task.request).or_default().push(task.attempt);
        }
        for (request, attempts) in attempts {
            let expected: Vec<u32> = (1..=attempts.len() as u32).collect();
            assert_eq!(attempts, expected, "the attempts of request {request} do not count up");
            assert!(attempts.len() as u32 <= self.policy.launches + self.policy.attempts);
        }
        (self.launches, self.changes)
    }
}

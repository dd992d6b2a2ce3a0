//! The whole host on a real folder, with real guests of either world and a clock moved by hand: what of the contract only these
//! together can show. Nobody sleeps: a guest says that it is there, and then time passes.

use std::{path::PathBuf, sync::Arc, time::Duration};

use cap_std::fs::Dir;
use idlewild::{
    bundle::StateFolder,
    clock::{Clock, ManualClock},
    conditions::{FixedProbe, Observer},
    config::Settings,
    engine::{EngineParts, EngineSettings, WasmEngine},
    host::{GrantOffer, Happening, Host, HostError, Installation, Parts},
    rules::*,
    store::{Sqlite, Store},
};
use idlewild_tests::{START, built_bundle, id};
use tempfile::TempDir;
use tokio::{
    runtime::Runtime,
    sync::broadcast::{Receiver, error::RecvError},
};

/// Longer than anything here takes, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);

const SHOWS: &str = "test.behaviours.shows-its-work";

struct Whole {
    host: Host,
    engine: Arc<WasmEngine>,
    clock: Arc<ManualClock>,
    heard: Receiver<Arc<Happening>>,
    runtime: Runtime,
    _folder: TempDir,
}

impl Whole {
    /// A host of the profile `device` for the behaviours of each world, with the numbers it has by default.
    fn both() -> impl Iterator<Item = Whole> {
        ["behaviours", "async-behaviours"].into_iter().map(|bundle| {
            println!("with {bundle}");
            Whole::with(bundle)
        })
    }

    fn with(bundle: &str) -> Whole {
        let folder = tempfile::tempdir().unwrap();
        let runtime = Runtime::new().unwrap();
        let clock = ManualClock::new(START.parse().unwrap());
        let settings = Settings::new(Profile::Device);
        let state = Arc::new(StateFolder::open(&folder.path().join("state")).unwrap());
        let copy = |folder: &Dir| folder.try_clone().unwrap();
        let engine = Arc::new(
            WasmEngine::start(EngineParts {
                clock: clock.clone(),
                control: runtime.handle().clone(),
                components: copy(&state.components),
                home: copy(&state.home),
                compiler: idlewild_tests::binary(),
                data: copy(&state.data),
                logs: copy(&state.logs),
                tmp: copy(&state.tmp),
                credentials: None,
                // Time stands still, so that what is thinned would wait for ever.
                settings: EngineSettings { progress_interval: Duration::ZERO, ..EngineSettings::default() },
            })
            .unwrap(),
        );
        let parts = Parts {
            clock: clock.clone(),
            engine: engine.clone(),
            observer: Observer::new(Box::new(FixedProbe::default()), clock.now()),
            store: Store::open(Box::new(Sqlite::open(&state.database_path()).unwrap())).unwrap(),
            policy: settings.policy(),
            log_every: settings.log_every,
            launching: true,
            state,
        };
        let host = runtime.block_on(Host::start(parts)).unwrap();
        let shared = GrantOffer::Directory { name: "shared".to_owned(), path: folder.path().to_owned() };
        let source: PathBuf = built_bundle(bundle);
        let installation = Installation { source, grants: vec![shared], ..Installation::default() };
        let heard = host.happenings();
        runtime.block_on(host.install(&installation)).unwrap();
        Whole { host, engine, clock, heard, runtime, _folder: folder }
    }

    fn submit(&self, request: Request) -> Submission {
        self.runtime.block_on(self.host.submit(request)).unwrap()
    }

    fn task(&self, task: TaskId) -> TaskRecord {
        self.runtime.block_on(self.host.task(task)).unwrap()
    }

    fn why(&self, identifier: &str) -> Why {
        self.runtime.block_on(self.host.why(&id(identifier))).unwrap()
    }

    fn state(&self, condition: Condition, holds: bool) {
        self.runtime.block_on(self.host.state_condition(condition, Some(holds))).unwrap();
    }

    /// Lets time pass, to where the scheduler has done all that follows from it.
    fn pass(&self, time: Duration) {
        self.clock.settled();
        self.clock.advance(time);
        self.clock.settled();
    }

    /// Waits for the next thing that happened of which `find` makes something. What comes before is passed by.
    #[expect(clippy::disallowed_methods, reason = "this bounds how long a failing story takes, by no clock of its own")]
    fn wait<T>(&mut self, find: impl Fn(&What) -> Option<T>) -> T {
        loop {
            let heard = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, self.heard.recv()).await });
            match heard.expect("something happens") {
                Ok(happening) => {
                    if let Some(found) = find(&happening.what) {
                        return found;
                    }
                }
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => panic!("the host is gone"),
            }
        }
    }

    fn launched(&mut self) -> (TaskId, u32) {
        self.wait(|what| match what {
            What::Launched { task, attempt, .. } => Some((*task, *attempt)),
            _ => None,
        })
    }

    fn progressed(&mut self) -> Progress {
        self.wait(|what| match what {
            What::Progressed { progress, .. } => Some(*progress),
            _ => None,
        })
    }

    fn expiring(&mut self) -> ExpirationReason {
        self.wait(|what| match what {
            What::Expiring { reason, .. } => Some(*reason),
            _ => None,
        })
    }

    /// How the next task ends, and whether its request comes back.
    fn ended(&mut self) -> (Outcome, bool) {
        self.wait(|what| match what {
            What::Ended { outcome, comes_back, .. } => Some((outcome.clone(), *comes_back)),
            _ => None,
        })
    }

    /// Launches a behaviour that shows its work, and waits until it has.
    fn show(&mut self, request: Request) -> TaskId {
        self.submit(request);
        let (task, _) = self.launched();
        assert_eq!(self.progressed(), Progress { completed: 1, total: 3 });
        task
    }
}

impl Drop for Whole {
    /// A story that fails leaves nobody running.
    fn drop(&mut self) {
        self.engine.stop();
    }
}

fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

fn export(identifier: &str, input: &str) -> Request {
    let (title, subtitle) = ("Export".to_owned(), "to disk".to_owned());
    let continued = Continued { title, subtitle, fail_unless_immediate: false, requires_gpu: false };
    Request { input: input.into(), ..Request::new(id(identifier), Kind::ContinuedProcessing(continued)) }
}

fn processing(identifier: &str, input: &str) -> Request {
    Request { input: input.into(), ..Request::new(id(identifier), Kind::Processing(Needs::default())) }
}

fn expired(reason: ExpirationReason, returned: Option<Result<&str, &str>>) -> Outcome {
    let returned = returned.map(|said| said.map(|text| text.as_bytes().to_vec()).map_err(str::to_owned));
    Outcome::Expired { reason, returned }
}

#[test]
fn what_a_person_asked_for_is_seen_while_it_runs_and_expires_when_it_stands_still() {
    for mut whole in Whole::both() {
        whole.submit(export(SHOWS, ""));
        let (task, _) = whole.launched();
        let title = whole.wait(|what| match what {
            What::Titled { title, .. } => Some(title.clone()),
            _ => None,
        });
        assert_eq!(title, Title { title: "Showing".to_owned(), subtitle: "1 of 3".to_owned() });
        let progress = whole.progressed();
        let seen = whole.task(task);
        assert_eq!(
            (seen.kind, seen.title, seen.progress),
            (KindName::ContinuedProcessing, Some(title), Some(progress))
        );
        whole.pass(seconds(59));
        assert_eq!(whole.task(task).ended, None);
        whole.pass(seconds(1));
        assert_eq!(whole.expiring(), ExpirationReason::NoProgress);
        let outcome = expired(ExpirationReason::NoProgress, Some(Ok("tidied: no-progress")));
        assert_eq!(whole.ended(), (outcome, false));
    }
}

#[test]
fn a_person_cancels_what_runs_and_the_guest_is_told_who_did() {
    for mut whole in Whole::both() {
        let task = whole.show(export(SHOWS, ""));
        let cancelled = whole.runtime.block_on(whole.host.cancel(&id(SHOWS))).unwrap();
        assert_eq!((cancelled.pending, cancelled.expired), (0, 1));
        let outcome = expired(ExpirationReason::Cancelled, Some(Ok("tidied: cancelled")));
        assert_eq!(whole.ended(), (outcome.clone(), false));
        assert_eq!(whole.task(task).ended.unwrap().outcome, outcome);
    }
}

#[test]
fn a_wildcard_serves_what_a_person_asks_for_and_on_a_device_nothing_else() {
    for mut whole in Whole::both() {
        whole.submit(export("test.behaviours.nothing.0f3a", ""));
        assert_eq!(whole.ended(), (Outcome::Succeeded { output: Vec::new() }, false));
        let refresh = Request::new(id("test.behaviours.nothing.0f3a"), Kind::AppRefresh);
        let refused = whole.runtime.block_on(whole.host.submit(refresh));
        assert!(matches!(&refused, Err(HostError::Refused(refusal)) if refusal.code.number() == 3), "{refused:?}");
    }
}

#[test]
fn a_task_that_asks_for_continued_work_hears_that_a_person_must() {
    for mut whole in Whole::both() {
        whole.submit(Request::new(id("test.behaviours.asks-for-continued"), Kind::AppRefresh));
        let (Outcome::Succeeded { output }, _) = whole.ended() else { panic!("it gives back the refusal") };
        let said = String::from_utf8(output).unwrap();
        assert!(said.starts_with("not-permitted: ") && said.contains("asked for by a person"), "{said}");
    }
}

#[test]
fn whatever_a_guest_is_at_it_ends_with_its_grace_and_that_is_recorded_as_forced() {
    for mut whole in Whole::both() {
        for at in ["sleeps", "awaits", "computes"] {
            let request = Request { input: at.into(), ..Request::new(id(SHOWS), Kind::AppRefresh) };
            let task = whole.show(request);
            whole.pass(seconds(30));
            assert_eq!(whole.expiring(), ExpirationReason::TimeLimit, "{at}");
            assert_eq!(whole.task(task).ended, None, "it has its grace: {at}");
            whole.pass(seconds(5));
            assert_eq!(whole.ended(), (expired(ExpirationReason::TimeLimit, None), false), "{at}");
            let record = whole.task(task).ended.unwrap();
            assert!(record.usage.fuel > 0 && record.usage.wall == seconds(35), "{at}: {record:?}");
        }
    }
}

#[test]
fn what_a_guest_returns_within_its_grace_is_kept_with_its_expiration() {
    for mut whole in Whole::both() {
        for (how, said) in [("succeeds", Ok("tidied: time-limit")), ("fails", Err("tidied: time-limit"))] {
            let request = Request { input: how.into(), ..Request::new(id(SHOWS), Kind::AppRefresh) };
            let task = whole.show(request);
            whole.pass(seconds(30));
            let outcome = expired(ExpirationReason::TimeLimit, Some(said));
            assert_eq!(whole.ended(), (outcome.clone(), false), "{how}");
            assert_eq!(whole.task(task).ended.unwrap().outcome, outcome, "{how}");
        }
    }
}

#[test]
fn a_guest_that_fails_is_launched_again_after_each_rest_and_then_no_more() {
    for mut whole in Whole::both() {
        let identifier = "test.behaviours.fails";
        let retry = Some(Retry { attempts: 3, first_delay: seconds(600), longest_delay: seconds(6_000) });
        let request = Request::new(id(identifier), Kind::AppRefresh);
        let submitted = whole.submit(Request { retry, ..request }).request;
        for attempt in 1..=3 {
            assert_eq!(whole.launched().1, attempt);
            let (outcome, comes_back) = whole.ended();
            assert_eq!(outcome, Outcome::Failed { message: "failed on purpose".to_owned() });
            assert_eq!(comes_back, attempt < 3);
            if comes_back {
                let why = whole.why(identifier);
                let [waiting] = &why.waiting[..] else { panic!("{why:?}") };
                assert_eq!(waiting.record.id, submitted, "it is the same request");
                assert_eq!(waiting.reasons[0].reason.code(), "resting");
                let rest = waiting.looked_at.unwrap().duration_since(whole.clock.now().wall).unsigned_abs();
                let least = seconds(600 << (attempt - 1)) * 9 / 10;
                assert!(rest >= least && rest <= least * 10 / 9 + seconds(60), "rest {attempt} is {rest:?}");
                whole.pass(rest);
            }
        }
        assert!(whole.why(identifier).waiting.is_empty());
    }
}

#[test]
fn a_guest_whose_machine_is_used_is_held_in_place_and_comes_to_the_same_answer() {
    for mut whole in Whole::both() {
        let identifier = "test.behaviours.computes";
        whole.submit(processing(identifier, "300"));
        let undisturbed = whole.ended();
        assert!(matches!(undisturbed, (Outcome::Succeeded { .. }, false)), "{undisturbed:?}");
        whole.submit(Request { may_suspend: true, ..processing(identifier, "300") });
        let (task, _) = whole.launched();
        whole.progressed();
        whole.state(Condition::Idle, false);
        whole.wait(|what| matches!(what, What::Suspended { .. }).then_some(()));
        assert!(whole.task(task).suspended);
        // Twice the time it may run, short of the time it may be held.
        whole.pass(seconds(20 * 60));
        assert!(whole.task(task).suspended);
        whole.state(Condition::Idle, true);
        whole.wait(|what| matches!(what, What::Resumed { .. }).then_some(()));
        assert_eq!(whole.ended(), undisturbed);
    }
}

#[test]
fn a_guest_that_is_held_for_too_long_wakes_to_tidy_up() {
    for mut whole in Whole::both() {
        let task = whole.show(Request { may_suspend: true, ..processing(SHOWS, "") });
        whole.state(Condition::Idle, false);
        whole.wait(|what| matches!(what, What::Suspended { .. }).then_some(()));
        whole.pass(seconds(30 * 60));
        assert_eq!(whole.expiring(), ExpirationReason::ConditionsLost);
        let outcome = expired(ExpirationReason::ConditionsLost, Some(Ok("tidied: conditions-lost")));
        assert_eq!(whole.ended(), (outcome, false));
        assert!(!whole.task(task).suspended);
    }
}

//! The scheduler whole: manual clock, scripted engine, a database in memory. No sleeping.
#![allow(clippy::unwrap_used)]

#[path = "scheduler/bundles.rs"]
mod bundles;
#[path = "scheduler/schedules.rs"]
mod schedules;
#[path = "scheduler/studies.rs"]
mod studies;

use std::{sync::atomic::Ordering, time::Duration};

use idlewild::{
    bundle::{Bundle, Grants},
    rules::*,
    scheduler::{Event, SchedulerError},
};
use idlewild_tests::{World, bundle, bundle_id, id, policy};

const COUNT: &str = "com.example.gallery.image-count";
const REFRESH: &str = "com.example.gallery.refresh";
const THIRD: &str = "com.example.gallery.third";
const GALLERY: &str = "com.example.gallery";

fn world() -> World {
    world_of(Profile::Device)
}

fn world_of(profile: Profile) -> World {
    let gallery = bundle("com.example.gallery", &[COUNT, REFRESH, THIRD, "com.example.gallery.many.*"]);
    World::new(policy(profile), vec![gallery])
}

fn refresh(identifier: &str) -> Request {
    Request::new(id(identifier), Kind::AppRefresh)
}

fn processing(identifier: &str) -> Request {
    Request::new(id(identifier), Kind::Processing(Needs::default()))
}

fn ok() -> End {
    End::Returned(Ok(b"done".to_vec()))
}

#[test]
fn an_eligible_request_runs_at_once_and_costs_one_step() {
    let mut world = world();
    world.send(Event::Submit {
        bundle: None,
        request: refresh(REFRESH),
        key: None,
        reply: tokio::sync::oneshot::channel().0,
    });
    world.step();
    let task = world.running(REFRESH).expect("launched by the step that took it up");
    assert!(world.core.task(task).unwrap().is_some(), "and on disk before it ran");
    world.end(REFRESH, ok());
    assert_eq!(world.outcome(REFRESH), Outcome::Succeeded { output: b"done".to_vec() });
}

#[test]
fn never_before_the_floor() {
    let mut world = world();
    let floor = world.now().wall + Duration::from_secs(900);
    world.submit(Request { earliest_begin: Some(floor), ..refresh(REFRESH) }).unwrap();
    assert_eq!(world.reasons(REFRESH), ["earliest-begin"]);
    world.clock.advance(Duration::from_secs(899));
    world.settle();
    assert!(world.running(REFRESH).is_none());
    assert_eq!(world.core.next_wake_up().wall, Some(floor), "it wakes for the floor and for nothing before");
    assert_eq!(world.core.next_wake_up().uptime, None);
    assert!(world.jump());
    assert!(world.running(REFRESH).is_some());
}

#[test]
fn a_clock_set_forward_ripens_and_one_set_back_waits() {
    let mut world = world();
    let floor = world.now().wall + Duration::from_secs(900);
    world.submit(Request { earliest_begin: Some(floor), ..refresh(REFRESH) }).unwrap();
    world.clock.set_wall(floor - Duration::from_secs(3_600));
    world.settle();
    assert!(world.running(REFRESH).is_none());
    world.clock.set_wall(floor);
    world.settle();
    assert!(world.running(REFRESH).is_some());
}

#[test]
fn a_newer_request_replaces_a_pending_one_and_says_so() {
    let mut world = world();
    let floor = world.now().wall + Duration::from_secs(900);
    let first = world.submit(Request { earliest_begin: Some(floor), ..refresh(REFRESH) }).unwrap();
    assert!(!first.replaced);
    let second = world.submit(refresh(REFRESH)).unwrap();
    assert!(second.replaced);
    world.end(REFRESH, ok());
    world.clock.advance(Duration::from_secs(10_000));
    world.settle();
    assert!(world.running(REFRESH).is_none(), "the replaced one never runs");
}

#[test]
fn a_request_made_while_its_like_runs_waits_behind_it() {
    let mut world = world();
    let first = world.submit(refresh(REFRESH)).unwrap();
    let second = world.submit(Request { input: b"second".to_vec(), ..refresh(REFRESH) }).unwrap();
    assert!(!second.replaced);
    assert_eq!(world.reasons(REFRESH), ["behind"]);
    let why = world.why(REFRESH);
    assert_eq!(why.waiting[0].reasons[0].reason, Reason::Behind { request: first.request });
    world.end(REFRESH, End::Trapped("oh".to_owned()));
    let task = world.running(REFRESH).expect("now the second runs");
    assert_eq!(world.engine.running.lock().unwrap()[&task].launch.input, b"second");
}

#[test]
fn processing_waits_for_idle_and_expires_when_it_ends() {
    let mut world = world();
    world.state(Condition::Idle, false);
    world.submit(processing(COUNT)).unwrap();
    assert_eq!(world.reasons(COUNT), ["not-idle"]);
    world.submit(refresh(REFRESH)).unwrap();
    assert!(world.running(REFRESH).is_some(), "an app-refresh runs whatever the machine is doing");
    world.state(Condition::Idle, true);
    let task = world.running(COUNT).expect("now it runs");
    world.state(Condition::Idle, false);
    let (reason, _) = world.engine.running.lock().unwrap()[&task].expiring.expect("it was asked to stop");
    assert_eq!(reason, ExpirationReason::ConditionsLost);
    assert!(
        world.engine.running.lock().unwrap().values().any(|script| script.expiring.is_none()),
        "the refresh goes on"
    );
    world.end(COUNT, ok());
    let returned = Some(Ok(b"done".to_vec()));
    assert_eq!(world.outcome(COUNT), Outcome::Expired { reason: ExpirationReason::ConditionsLost, returned });
    assert!(world.why(COUNT).waiting.is_empty(), "one shot: nothing asks again by itself");
}

#[test]
fn a_task_past_its_time_is_asked_to_stop_with_a_grace() {
    let mut world = world();
    world.submit(refresh(REFRESH)).unwrap();
    let launched = world.now().uptime;
    assert_eq!(world.core.next_wake_up().uptime, Some(launched + Duration::from_secs(30)));
    assert!(world.jump());
    let task = world.running(REFRESH).unwrap();
    let expiring = world.engine.running.lock().unwrap()[&task].expiring;
    assert_eq!(expiring, Some((ExpirationReason::TimeLimit, launched + Duration::from_secs(35))));
    world.end(REFRESH, End::Stopped);
    assert_eq!(world.outcome(REFRESH), Outcome::Expired { reason: ExpirationReason::TimeLimit, returned: None });
}

#[test]
fn a_task_without_fuel_is_asked_to_stop() {
    let mut world = world();
    world.submit(refresh(REFRESH)).unwrap();
    let task = world.running(REFRESH).unwrap();
    world.send(Event::FuelSpent { task });
    world.settle();
    let (reason, _) = world.engine.running.lock().unwrap()[&task].expiring.unwrap();
    assert_eq!(reason, ExpirationReason::FuelLimit);
}

#[test]
fn what_runs_after_waits_for_the_next_success() {
    let mut world = world();
    let after = |identifier: &str| Request { run_after: vec![id(COUNT)], ..refresh(identifier) };
    world.submit(processing(COUNT)).unwrap();
    world.submit(after(REFRESH)).unwrap();
    assert_eq!(world.reasons(REFRESH), ["run-after"]);
    world.end(COUNT, End::Returned(Err("no folder".to_owned())));
    assert_eq!(world.reasons(REFRESH), ["run-after"], "a failure is no success");
    world.submit(processing(COUNT)).unwrap();
    world.end(COUNT, ok());
    assert!(world.running(REFRESH).is_some());
    world.end(REFRESH, ok());
    world.submit(after(REFRESH)).unwrap();
    assert!(world.running(REFRESH).is_some(), "it has succeeded and nothing of it is unfinished");
}

#[test]
fn the_gallery_resubmits_itself_round_after_round() {
    let mut world = world();
    let again = |world: &World, request: Request| Request {
        earliest_begin: Some(world.now().wall + Duration::from_secs(900)),
        ..request
    };
    let after = Request { run_after: vec![id(COUNT)], ..refresh(REFRESH) };
    world.submit(processing(COUNT)).unwrap();
    world.submit(after.clone()).unwrap();
    for round in 1..=5 {
        world.submit(again(&world, processing(COUNT))).unwrap();
        world.end(COUNT, ok());
        assert!(world.running(REFRESH).is_some(), "round {round}");
        world.submit(again(&world, after.clone())).unwrap();
        world.end(REFRESH, ok());
        assert!(world.running(COUNT).is_none() && world.running(REFRESH).is_none());
        assert!(world.jump());
        assert!(world.running(COUNT).is_some(), "round {round}");
    }
}

#[test]
fn cancel_takes_what_is_pending_and_leaves_what_runs() {
    let mut world = world();
    world.submit(refresh(REFRESH)).unwrap();
    world.submit(refresh(REFRESH)).unwrap();
    assert_eq!(world.cancel(REFRESH), 1);
    assert!(world.running(REFRESH).is_some());
    assert_eq!(world.cancel(REFRESH), 0, "cancelling nothing is nothing");
    world.end(REFRESH, ok());
    assert!(world.running(REFRESH).is_none());
}

#[test]
fn a_killed_host_loses_nothing_and_tries_again() {
    let mut world = world();
    world.submit(refresh(REFRESH)).unwrap();
    world.submit(Request { input: b"newer".to_vec(), ..refresh(REFRESH) }).unwrap();
    world.crash();
    let interrupted = world.why(REFRESH).last.unwrap();
    assert_eq!(interrupted.ended.unwrap().outcome, Outcome::Interrupted);
    let told = world.told.lock().unwrap().last().unwrap().what.clone();
    assert!(matches!(told, What::Ended { outcome: Outcome::Interrupted, comes_back: true, .. }), "{told:?}");
    world.settle();
    let task = world.running(REFRESH).unwrap();
    assert_eq!(world.engine.running.lock().unwrap()[&task].launch.attempt, 2);
    assert_eq!(world.reasons(REFRESH), ["behind"], "the newer one waits behind the comeback");
    world.end(REFRESH, ok());
    let task = world.running(REFRESH).unwrap();
    let running = world.engine.running.lock().unwrap();
    assert_eq!((running[&task].launch.attempt, &running[&task].launch.input[..]), (1, &b"newer"[..]));
}

#[test]
fn what_kills_its_host_does_so_a_bounded_number_of_times() {
    let mut world = world();
    world.submit(refresh(REFRESH)).unwrap();
    for attempt in 1..=5 {
        let task = world.running(REFRESH).unwrap_or_else(|| panic!("attempt {attempt} runs"));
        assert_eq!(world.engine.running.lock().unwrap()[&task].launch.attempt, attempt);
        world.crash();
        world.settle();
    }
    assert!(world.running(REFRESH).is_none());
    assert_eq!(world.outcome(REFRESH), Outcome::Interrupted);
    world.submit(refresh(REFRESH)).unwrap();
    assert!(world.running(REFRESH).is_some(), "a new request is a new chance");
}

#[test]
fn a_change_of_the_machine_is_seen_at_once_and_only_while_something_depends_on_it() {
    let mut world = world();
    let looks = |world: &World| world.machine.looks.load(Ordering::Relaxed);
    let lack = |world: &World, lacking: &[Condition]| *world.machine.lacking.lock().unwrap() = lacking.to_vec();
    let change = |world: &mut World| {
        // What comes together is one change.
        world.send(Event::Look);
        world.send(Event::Look);
        world.settle();
    };
    lack(&world, &[Condition::Idle]);
    change(&mut world);
    assert_eq!(looks(&world), 1, "only that of the start: nothing depends on the machine");
    world.submit(refresh(REFRESH)).unwrap();
    change(&mut world);
    assert_eq!(looks(&world), 2, "once before a launch, and not for a refresh that runs");
    assert!(world.core.next_wake_up().uptime.is_some_and(|at| at > Duration::from_secs(5)), "nor is it sampled");

    world.submit(processing(COUNT)).unwrap();
    assert_eq!(world.reasons(COUNT), ["not-idle"], "what it was told of meanwhile, it looks at before it launches");
    assert_eq!(looks(&world), 3);
    lack(&world, &[]);
    change(&mut world);
    assert!(world.running(COUNT).is_some(), "what waited runs without any time passing");
    assert_eq!(looks(&world), 4);
    lack(&world, &[Condition::Idle]);
    change(&mut world);
    let task = world.running(COUNT).unwrap();
    let (reason, _) = world.engine.running.lock().unwrap()[&task].expiring.expect("it was asked to stop");
    assert_eq!(reason, ExpirationReason::ConditionsLost);
}

#[test]
fn what_comes_after_a_long_rest_is_not_launched_by_what_the_machine_was_like_before() {
    for delay in [0, 60] {
        let mut world = world();
        world.machine.lacking.lock().unwrap().push(Condition::Idle);
        world.clock.advance(Duration::from_secs(3_600));
        let earliest_begin = Some(world.now().wall + Duration::from_secs(delay));
        world.submit(Request { earliest_begin, ..processing(COUNT) }).unwrap();
        world.clock.advance(Duration::from_secs(delay));
        world.settle();
        assert_eq!(world.reasons(COUNT), ["not-idle"], "after {delay} s");
    }
}

#[test]
fn a_comeback_is_not_counted_and_not_replaced() {
    let mut world = world();
    world.submit(processing(COUNT)).unwrap();
    world.state(Condition::Idle, false);
    world.crash();
    world.state(Condition::Idle, false);
    assert_eq!(world.reasons(COUNT), ["not-idle"]);
    let newer = world.submit(processing(COUNT)).unwrap();
    assert!(!newer.replaced);
    assert_eq!(world.why(COUNT).waiting.len(), 2);
    assert_eq!(world.cancel(COUNT), 2, "cancel takes both");
}

#[test]
fn a_full_disk_refuses_submissions_and_keeps_what_ran() {
    let mut world = world();
    world.submit(refresh(REFRESH)).unwrap();
    let task = world.running(REFRESH).unwrap();
    world.database.set_full(true);
    world.engine.take(task);
    world.send(Event::Ended { task, end: ok(), usage: Usage::default() });
    let refused = world.submit(processing(COUNT));
    assert!(matches!(refused, Err(SchedulerError::Store(_))), "{refused:?}");
    assert!(world.running(COUNT).is_none());
    world.database.set_full(false);
    assert!(world.jump(), "it tries again by itself");
    assert_eq!(world.outcome(REFRESH), Outcome::Succeeded { output: b"done".to_vec() });
}

#[test]
fn slots_bound_what_runs_and_priority_orders_a_lane() {
    let mut world = world_of(Profile::Server);
    world.state(Condition::Idle, false);
    for (name, priority) in [
        ("1", Priority::Low),
        ("2", Priority::Normal),
        ("3", Priority::High),
        ("4", Priority::Normal),
        ("5", Priority::Low),
    ] {
        let identifier = format!("com.example.gallery.many.{name}");
        world.submit(Request { priority, ..processing(&identifier) }).unwrap();
    }
    world.state(Condition::Idle, true);
    assert_eq!(world.engine.tasks().len(), 4, "as many as there are slots");
    assert_eq!(world.reasons("com.example.gallery.many.5"), ["no-slot"], "the youngest of the lowest waits");
    world.end("com.example.gallery.many.3", ok());
    assert!(world.running("com.example.gallery.many.5").is_some());
}

#[test]
fn a_removed_bundle_leaves_nothing_behind() {
    let mut world = world();
    let gallery = bundle_id("com.example.gallery");
    world.submit(refresh(REFRESH)).unwrap();
    world.submit(refresh(REFRESH)).unwrap();
    let removed = world.call(|reply| Event::Uninstall { bundle: gallery, keep_data: false, reply }).unwrap();
    assert_eq!((removed.cancelled, removed.expired), (1, 1));
    let task = world.running(REFRESH).unwrap();
    let (reason, _) = world.engine.running.lock().unwrap()[&task].expiring.unwrap();
    assert_eq!(reason, ExpirationReason::BundleRemoved);
    world.end(REFRESH, ok());
    assert!(matches!(world.submit(refresh(REFRESH)), Err(SchedulerError::Unknown(_))));
    let now = world.now();
    assert!(world.core.waiting(now, 10).unwrap().is_empty());
}

#[test]
fn a_draining_host_stops_what_runs_and_keeps_its_request() {
    let mut world = world();
    world.submit(refresh(REFRESH)).unwrap();
    let (reply, mut drained) = tokio::sync::oneshot::channel();
    world.send(Event::Drain { reply });
    world.settle();
    assert!(drained.try_recv().is_err(), "not yet: a task has its grace");
    world.end(REFRESH, ok());
    drained.try_recv().unwrap().unwrap();
    assert_eq!(world.reasons(REFRESH), ["not-launching"]);
    world.crash();
    world.settle();
    let task = world.running(REFRESH).unwrap();
    assert_eq!(world.engine.running.lock().unwrap()[&task].launch.attempt, 2);
}

#[test]
fn done_means_nothing_waits_for_anything_but_a_later_date() {
    let mut world = world();
    world.state(Condition::Idle, false);
    world.submit(processing(COUNT)).unwrap();
    let floor = world.now().wall + Duration::from_secs(900);
    world.submit(Request { earliest_begin: Some(floor), ..refresh(REFRESH) }).unwrap();
    let (reply, mut done) = tokio::sync::oneshot::channel();
    world.send(Event::Done { reply });
    world.settle();
    assert!(done.try_recv().is_err(), "one waits for the machine");
    world.state(Condition::Idle, true);
    assert!(done.try_recv().is_err(), "and then runs");
    world.end(COUNT, ok());
    done.try_recv().unwrap().unwrap();
}

#[test]
fn history_is_bounded() {
    let mut policy = policy(Profile::Server);
    policy.history_tasks = 10;
    let mut world = World::new(policy, vec![bundle("com.example.gallery", &[REFRESH])]);
    for _ in 0..400 {
        world.submit(refresh(REFRESH)).unwrap();
        world.end(REFRESH, ok());
    }
    let filter = TaskFilter { identifier: None, bundle: None, before: None, limit: 10_000 };
    let kept = world.core.tasks(&filter).unwrap();
    assert!(kept.len() <= 10 + 256, "{} tasks are kept", kept.len());
    assert_eq!(kept[0].id, TaskId(400), "the newest are");
}

#[test]
fn old_tasks_are_forgotten_when_later_ones_end() {
    let mut world = world();
    world.submit(refresh(REFRESH)).unwrap();
    let old = world.end(REFRESH, ok());
    world.clock.advance(Duration::from_secs(31 * 86_400));
    world.submit(refresh(THIRD)).unwrap();
    world.end(THIRD, ok());
    assert!(world.core.task(old).unwrap().is_none());
}

#[test]
fn a_host_drains_though_its_disk_is_full() {
    let mut world = world();
    world.submit(refresh(REFRESH)).unwrap();
    world.submit(processing(COUNT)).unwrap();
    world.database.set_full(true);
    let (reply, mut drained) = tokio::sync::oneshot::channel();
    world.send(Event::Drain { reply });
    for identifier in [REFRESH, COUNT] {
        let task = world.running(identifier).unwrap();
        world.step();
        let (reason, _) = world.engine.running.lock().unwrap()[&task].expiring.expect("asked, recorded or not");
        assert_eq!(reason, ExpirationReason::HostStopping);
        world.end(identifier, ok());
    }
    drained.try_recv().expect("it stops all the same").unwrap();
    world.database.set_full(false);
    world.crash();
    world.settle();
    let task = world.running(REFRESH).expect("what could not be recorded was interrupted and comes back");
    assert_eq!(world.engine.running.lock().unwrap()[&task].launch.attempt, 2);
}

#[test]
fn what_stands_behind_a_cancelled_comeback_is_set_free() {
    let mut world = world();
    world.submit(processing(COUNT)).unwrap();
    world.state(Condition::Idle, false);
    world.crash();
    world.state(Condition::Idle, false);
    world.submit(refresh(COUNT)).unwrap();
    assert_eq!(world.reasons(COUNT), ["not-idle"]);
    let mut manifest = bundle("com.example.gallery", &[COUNT]).manifest.clone();
    manifest.background_modes = vec![BackgroundMode::Fetch];
    let fetching = std::sync::Arc::new(Bundle { manifest, digest: "1".repeat(64), grants: Grants::default() });
    world.install(&fetching);
    let task = world.running(COUNT).expect("the app-refresh runs");
    assert_eq!(world.engine.running.lock().unwrap()[&task].launch.kind, Kind::AppRefresh);
}

#[test]
fn a_removed_bundle_keeps_no_checkpoint() {
    let mut world = world();
    world.submit(refresh(REFRESH)).unwrap();
    let task = world.running(REFRESH).unwrap();
    let gallery = bundle_id("com.example.gallery");
    world.call(|reply| Event::Uninstall { bundle: gallery, keep_data: false, reply }).unwrap();
    let saved = world.call(|reply| Event::SaveCheckpoint { task, checkpoint: b"late".to_vec(), reply });
    assert!(matches!(saved, Err(SchedulerError::Unknown(_))), "{saved:?}");
}

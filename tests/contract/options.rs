//! What goes beyond the original: retry, repeat, latest begin, priority, run-after.

use super::*;

fn retry(attempts: u32) -> Option<Retry> {
    Some(Retry { attempts, first_delay: seconds(100), longest_delay: seconds(150) })
}

fn repeat(every: u64, flex: u64) -> Option<Repeat> {
    Some(Repeat { every: seconds(every), flex: seconds(flex) })
}

#[test]
fn a_failure_is_tried_again_after_a_rest_and_not_for_ever() {
    let mut world = world();
    world.submit(Request { retry: retry(3), input: b"same".to_vec(), ..refresh(REFRESH) }).unwrap();
    for (attempt, longest) in [(1, 100), (2, 150)] {
        assert_eq!(world.attempt(REFRESH), attempt);
        world.end(REFRESH, if attempt == 1 { failed() } else { End::Trapped("oh".to_owned()) });
        assert_eq!(world.reasons(REFRESH), ["resting"]);
        let why = world.why(REFRESH);
        assert_eq!((why.waiting[0].record.failures, why.waiting[0].record.attempt), (attempt, attempt + 1));
        world.pass(seconds(longest * 9 / 10 - 1));
        assert!(world.running(REFRESH).is_none());
        assert!(world.jump());
    }
    let task = world.running(REFRESH).unwrap();
    assert_eq!(world.engine.running.lock().unwrap()[&task].launch.input, b"same");
    world.end(REFRESH, failed());
    assert!(world.why(REFRESH).waiting.is_empty(), "the third was the last");
    assert_eq!(world.outcome(REFRESH), Outcome::Failed { message: "no luck".to_owned() });
}

#[test]
fn a_success_ends_the_trying_and_so_does_a_cancel() {
    let mut world = world();
    world.submit(Request { retry: retry(9), ..refresh(REFRESH) }).unwrap();
    world.end(REFRESH, failed());
    world.jump();
    world.end(REFRESH, ok());
    assert!(world.why(REFRESH).waiting.is_empty());
    world.submit(Request { retry: retry(9), ..refresh(REFRESH) }).unwrap();
    world.end(REFRESH, failed());
    assert_eq!(world.cancel(REFRESH), 1, "at rest it is pending");
    world.submit(Request { retry: retry(9), ..refresh(REFRESH) }).unwrap();
    assert_eq!(world.cancel_all_of(REFRESH).ended, 1);
    world.end(REFRESH, failed());
    assert!(world.why(REFRESH).waiting.is_empty(), "cancelled while it ran, it is not tried again");
}

#[test]
fn a_request_at_rest_survives_its_host() {
    let mut world = world();
    world.submit(Request { retry: retry(2), ..refresh(REFRESH) }).unwrap();
    world.end(REFRESH, failed());
    world.crash();
    world.settle();
    assert_eq!(world.reasons(REFRESH), ["resting"]);
    assert!(world.jump());
    assert_eq!(world.attempt(REFRESH), 2);
    world.crash();
    world.settle();
    assert_eq!(world.attempt(REFRESH), 3, "interrupted, it comes back at once");
    world.end(REFRESH, failed());
    assert!(world.why(REFRESH).waiting.is_empty(), "and its one retry is used up");
}

#[test]
fn a_newer_request_waits_behind_one_at_rest_and_replaces_it_not() {
    let mut world = world();
    let old = world.submit(Request { retry: retry(2), ..refresh(REFRESH) }).unwrap();
    world.end(REFRESH, failed());
    let newer = world.submit(refresh(REFRESH)).unwrap();
    assert!(!newer.replaced);
    let why = world.why(REFRESH);
    assert_eq!(why.waiting[1].reasons[0].reason, Reason::Behind { request: old.request });
    world.jump();
    world.end(REFRESH, ok());
    assert_eq!(world.attempt(REFRESH), 1, "the newer one runs now");
}

#[test]
fn what_expired_is_not_tried_again() {
    let mut world = world();
    world.submit(Request { retry: retry(9), ..refresh(REFRESH) }).unwrap();
    world.pass(seconds(30));
    world.end(REFRESH, failed());
    assert!(matches!(world.outcome(REFRESH), Outcome::Expired { reason: ExpirationReason::TimeLimit, .. }));
    assert!(world.why(REFRESH).waiting.is_empty());
}

#[test]
fn a_repetition_asks_again_after_each_end_and_keeps_its_beat() {
    let mut world = world();
    let begin = world.now().wall;
    world.submit(Request { repeat: repeat(3_600, 0), input: b"again".to_vec(), ..refresh(REFRESH) }).unwrap();
    for (round, end) in [(1, ok()), (2, failed()), (3, End::Stopped), (4, ok())] {
        world.pass(seconds(20));
        world.end(REFRESH, end);
        let due = begin + seconds(3_600 * round);
        let why = world.why(REFRESH);
        assert_eq!(why.waiting[0].record.request.earliest_begin, Some(due));
        assert_eq!(world.core.next_wake_up().wall, Some(due));
        assert!(world.jump());
        let task = world.running(REFRESH).expect("due");
        assert_eq!(world.engine.running.lock().unwrap()[&task].launch.input, b"again");
    }
    // The host was away for long.
    world.pass(seconds(7 * 3_600));
    world.end(REFRESH, ok());
    let next = world.why(REFRESH).waiting[0].record.request.earliest_begin;
    assert_eq!(next, Some(begin + seconds(12 * 3_600)), "what has passed is skipped");
}

#[test]
fn with_a_flex_it_shares_the_moment_of_other_work() {
    let mut world = world();
    let begin = world.now().wall;
    world.submit(Request { repeat: repeat(3_600, 600), ..refresh(REFRESH) }).unwrap();
    world.end(REFRESH, ok());
    let wake = world.core.next_wake_up().wall.unwrap();
    assert!(wake >= begin + seconds(3_000) && wake <= begin + seconds(3_600), "{wake}");
    world.pass(seconds(2_999));
    world.submit(processing(COUNT)).unwrap();
    assert!(world.running(REFRESH).is_none(), "not before its flex");
    world.pass(seconds(1));
    assert!(world.running(REFRESH).is_some(), "the host is awake all the same");
    world.end(REFRESH, ok());
    let due = world.why(REFRESH).waiting[0].record.request.earliest_begin;
    assert_eq!(due, Some(begin + seconds(7_200)), "the beat is that of its due dates");
}

#[test]
fn a_repetition_keeps_its_place_survives_its_host_and_ends_with_a_cancel() {
    let mut world = world();
    world.submit(Request { repeat: repeat(60, 0), ..refresh(REFRESH) }).unwrap();
    let (number, _) = refusal(world.submit(refresh(&more(1))));
    assert_eq!(number, 2, "a device has one place, and it is kept");
    world.crash();
    world.settle();
    assert_eq!(world.attempt(REFRESH), 2);
    let (number, _) = refusal(world.submit(refresh(&more(1))));
    assert_eq!(number, 2);
    world.end(REFRESH, ok());
    assert_eq!(world.reasons(REFRESH), ["earliest-begin"]);
    world.jump();
    assert_eq!(world.cancel_all_of(REFRESH).ended, 1);
    assert!(world.running(REFRESH).is_some(), "what runs goes on");
    world.submit(refresh(&more(1))).expect("and its place is free");
    world.end(REFRESH, ok());
    assert!(world.why(REFRESH).waiting.is_empty());
}

#[test]
fn a_newer_request_takes_the_place_of_a_repetition() {
    let mut world = world();
    world.submit(Request { repeat: repeat(60, 0), ..refresh(REFRESH) }).unwrap();
    world.end(REFRESH, ok());
    assert!(world.submit(refresh(REFRESH)).unwrap().replaced);
    world.end(REFRESH, ok());
    assert!(world.why(REFRESH).waiting.is_empty());
}

#[test]
fn by_its_latest_begin_it_waits_for_no_better_moment_but_for_what_it_needs() {
    let mut world = world();
    let latest = world.now().wall + seconds(900);
    world.state(Condition::Idle, false);
    world.state(Condition::Network, false);
    world.submit(Request { latest_begin: Some(latest), ..needing(COUNT, true, false) }).unwrap();
    assert_eq!(world.reasons(COUNT), ["no-network", "not-idle"]);
    world.clock.set_wall(latest - seconds(1));
    world.settle();
    assert_eq!(world.core.next_wake_up().wall, Some(latest));
    world.clock.set_wall(latest);
    world.settle();
    assert_eq!(world.reasons(COUNT), ["no-network"]);
    assert!(world.why(COUNT).waiting[0].record.urgent);
    world.crash();
    world.state(Condition::Idle, false);
    world.state(Condition::Network, true);
    assert!(world.running(COUNT).is_some());
    assert_eq!(world.expiring(COUNT), None, "use of the machine does not end it");
    world.state(Condition::Network, false);
    assert_eq!(world.expiring(COUNT), Some(ExpirationReason::ConditionsLost), "what it needs does");
}

#[test]
fn a_latest_begin_that_has_passed_is_urgent_from_the_start() {
    let mut world = world();
    world.state(Condition::Idle, false);
    let past = Some(world.now().wall - seconds(1));
    world.submit(Request { latest_begin: past, ..processing(COUNT) }).unwrap();
    assert!(world.running(COUNT).is_some());
}

#[test]
fn what_runs_after_says_how_that_one_stands() {
    let mut world = world();
    let after = || Request { run_after: vec![id(COUNT)], ..refresh(REFRESH) };
    let stands = |world: &mut World| match &world.why(REFRESH).waiting[0].reasons[0].reason {
        Reason::RunAfter { stands, .. } => *stands,
        reason => panic!("{reason:?}"),
    };
    world.submit(after()).unwrap();
    assert_eq!(stands(&mut world), Awaited::Unasked);
    world.state(Condition::Idle, false);
    world.submit(processing(COUNT)).unwrap();
    assert_eq!(stands(&mut world), Awaited::Pending);
    world.state(Condition::Idle, true);
    assert_eq!(stands(&mut world), Awaited::Running);
    world.end(COUNT, failed());
    assert_eq!(stands(&mut world), Awaited::Failed, "it waits on, and says so");
    world.submit(processing(COUNT)).unwrap();
    world.cancel(COUNT);
    world.end(COUNT, ok());
    assert!(world.running(REFRESH).is_some());
}

#[test]
fn a_repetition_outlives_a_round_that_kills_its_host() {
    let mut world = world();
    world.submit(Request { repeat: repeat(3_600, 0), ..refresh(REFRESH) }).unwrap();
    for _ in 1..=5 {
        assert!(world.running(REFRESH).is_some());
        world.crash();
        world.settle();
    }
    assert!(world.running(REFRESH).is_none(), "this round is given up");
    assert_eq!(world.reasons(REFRESH), ["earliest-begin"]);
    let (number, _) = refusal(world.submit(refresh(&more(1))));
    assert_eq!(number, 2, "and it keeps its place");
    assert!(world.jump());
    assert_eq!(world.attempt(REFRESH), 1);
}

#[test]
fn what_becomes_urgent_in_the_step_that_launches_it_is_not_stopped_for_a_wish() {
    let mut world = world_with(|policy| policy.slots = 1);
    let latest_begin = Some(world.now().wall + seconds(20));
    world.submit(refresh(REFRESH)).unwrap();
    world.submit(Request { latest_begin, ..processing(COUNT) }).unwrap();
    world.clock.advance(seconds(20));
    world.end(REFRESH, ok());
    assert!(world.running(COUNT).is_some());
    world.state(Condition::Idle, false);
    assert_eq!(world.expiring(COUNT), None);
}

//! What becomes of running tasks.

use super::*;

fn running(kind: &Kind) -> Running {
    let policy = policy(Profile::Device);
    let continued = kind.name() == KindName::ContinuedProcessing;
    Running {
        task: TaskId(1),
        request: RequestId(1),
        lane: lane(kind),
        identifier: id("com.x.a"),
        attempt: 1,
        failures: 0,
        launched: now(),
        allowance: policy.allowance(kind.name(), kind.needs(), None),
        fuel_spent: false,
        progress: None,
        advanced: continued.then_some(Advance { uptime: now().uptime, completed: 0 }),
        title: None,
        watchers: 0,
        may_suspend: false,
        suspended: None,
        held: Duration::ZERO,
        expiring: None,
        forced: false,
        retry: None,
        repeat: None,
        followed: false,
    }
}

const PLAIN: Kind = Kind::Processing(Needs { network: false, external_power: false });
const ONLINE: Kind = Kind::Processing(Needs { network: true, external_power: false });

#[test]
fn a_task_gets_one_order_at_one_time() {
    use Condition::{Charged, Cool, ExternalPower, FullPower, Idle, Network, Roomy, Unlocked, UnlockedOnce};
    use ExpirationReason::{ConditionsLost, FuelLimit, NoProgress, TimeLimit};
    let urgent = |kind| {
        let mut task = running(kind);
        task.lane.urgent = true;
        task
    };
    let patient = |kind| Running { may_suspend: true, ..running(kind) };
    let research = |protection| running(&study(protection));
    let expire = |reason| Some(Order::Expire(reason));
    let cases: Vec<(&str, Running, u64, &[Condition], usize, Option<Order>)> = vec![
        ("in time", running(&Kind::AppRefresh), 29, &[], 0, None),
        ("out of time", running(&Kind::AppRefresh), 30, &[], 0, expire(TimeLimit)),
        ("processing has longer", running(&PLAIN), 599, &[], 0, None),
        ("research has as long", research(DataProtection::None), 600, &[], 0, expire(TimeLimit)),
        ("continued work has no limit but its progress", running(&export()), 59, &[], 0, None),
        ("continued work that stands still", running(&export()), 60, &[], 0, expire(NoProgress)),
        ("out of fuel", Running { fuel_spent: true, ..running(&PLAIN) }, 1, &[], 0, expire(FuelLimit)),
        ("the machine is used", running(&PLAIN), 1, &[Idle], 0, expire(ConditionsLost)),
        ("a refresh does not mind", running(&Kind::AppRefresh), 1, Condition::ALL, 0, None),
        ("nor does what a person asked for", running(&export()), 1, Condition::ALL, 0, None),
        ("its network is gone", running(&ONLINE), 1, &[Network], 0, expire(ConditionsLost)),
        ("it never needed a network", running(&PLAIN), 1, &[Network, ExternalPower], 0, None),
        ("a machine that became hot", running(&PLAIN), 1, &[Cool], 0, expire(ConditionsLost)),
        ("a machine short of memory", running(&PLAIN), 1, &[Roomy], 0, expire(ConditionsLost)),
        ("a low battery ends nothing", running(&PLAIN), 1, &[Charged, FullPower], 0, None),
        ("what became urgent does not mind use", urgent(&PLAIN), 1, &[Idle], 0, None),
        ("but still needs its network", urgent(&ONLINE), 1, &[Network], 0, expire(ConditionsLost)),
        ("data that is locked again", research(DataProtection::Complete), 1, &[Unlocked], 0, expire(ConditionsLost)),
        ("files that stay open", research(DataProtection::CompleteUnlessOpen), 1, &[Unlocked], 0, None),
        (
            "files that were never unlocked",
            research(DataProtection::CompleteUntilFirstUserAuthentication),
            1,
            &[UnlockedOnce],
            0,
            expire(ConditionsLost),
        ),
        ("forced by a person", Running { forced: true, ..running(&ONLINE) }, 1, Condition::ALL, 0, None),
        ("held in place", patient(&PLAIN), 1, &[Idle], 1, Some(Order::Suspend)),
        ("too many are held", patient(&PLAIN), 1, &[Idle], 2, expire(ConditionsLost)),
    ];
    let policy = policy(Profile::Device);
    for (what, mut task, seconds, lacking, held, expected) in cases {
        let conditions = all_but(lacking);
        assert_eq!(task.order(later(seconds), &policy, &conditions, held), expected, "{what}");
        if let Some(Order::Expire(reason)) = expected {
            let now = later(seconds);
            let expiring = task.expire(now, reason);
            assert_eq!(expiring.stop_at, now.uptime + Duration::from_secs(5), "{what}: the grace");
            assert_eq!(task.order(later(10_000), &policy, &conditions, held), None, "{what}: asked once");
            let again = task.expire(later(3), ExpirationReason::Cancelled);
            assert_eq!(again, expiring, "{what}: the first reason and the first end stay");
        }
    }
}

#[test]
fn tasks_asked_at_one_moment_share_one_end() {
    let ends: Vec<Duration> = [Kind::AppRefresh, PLAIN, export()]
        .iter()
        .map(|kind| running(kind).expire(later(7), ExpirationReason::BundleRemoved).stop_at)
        .collect();
    assert_eq!(ends, [later(12).uptime; 3]);
}

#[test]
fn what_is_held_in_place_keeps_the_time_it_had() {
    let policy = policy(Profile::Device);
    let (all, in_use) = (all_but(&[]), all_but(&[Condition::Idle]));
    let mut task = Running { may_suspend: true, ..running(&PLAIN) };
    task.suspend(later(100));
    assert_eq!(task.time_limit(), None);
    assert_eq!(task.order(later(399), &policy, &in_use, 1), None, "its time stands still");
    assert_eq!(task.next_order(&policy), Some(later(400).uptime));
    let too_long = Some(Order::Expire(ExpirationReason::ConditionsLost));
    assert_eq!(task.order(later(400), &policy, &in_use, 1), too_long);
    assert_eq!(task.order(later(300), &policy, &all, 1), Some(Order::Resume));
    task.resume(later(300));
    assert_eq!(task.time_limit(), Some(later(800).uptime), "600 s of its own and 200 s held");
    task.suspend(later(400));
    let expiring = task.expire(later(450), ExpirationReason::Cancelled);
    assert_eq!((task.suspended, expiring.stop_at), (None, later(455).uptime), "it goes on, to end cleanly");
}

#[test]
fn only_what_goes_further_than_ever_is_an_advance() {
    let policy = policy(Profile::Device);
    let mut task = running(&export());
    let reports = [(30, 5, 100, 90), (50, 5, 200, 90), (60, 4, 100, 90), (89, 6, 100, 149), (100, 0, 0, 149)];
    for (at, completed, total, limit) in reports {
        task.report(later(at), Progress { completed, total });
        assert_eq!(task.stall_limit(&policy), Some(later(limit).uptime), "{completed} of {total} at {at}");
    }
    task.suspend(later(110));
    assert_eq!(task.stall_limit(&policy), None);
    task.resume(later(210));
    assert_eq!(task.stall_limit(&policy), Some(later(249).uptime), "what was held is no standstill");
    let same = Progress { completed: 0, total: 0 };
    assert!(!task.report(later(211), same), "the same again is no news");
}

#[test]
fn under_pressure_those_with_the_least_progress_give_way_first() {
    let task = |number, progress: Option<(u64, u64)>, watchers| Running {
        task: TaskId(number),
        progress: progress.map(|(completed, total)| Progress { completed, total }),
        watchers,
        ..running(&export())
    };
    let mut tasks = [
        task(1, Some((90, 100)), 0),
        task(2, Some((1, 2)), 0),
        task(3, Some((5, 0)), 1),
        task(4, None, 0),
        task(5, None, 0),
        Running { task: TaskId(6), ..running(&PLAIN) },
    ];
    let mut order = Vec::new();
    while let Some(next) = first_to_give_way(tasks.iter()) {
        order.push(next.0);
        tasks.iter_mut().filter(|task| task.task == next).for_each(|task| {
            task.expire(now(), ExpirationReason::Preempted);
        });
    }
    assert_eq!(order, [5, 4, 3, 2, 1], "nobody's before somebody's, the younger first; no processing");
    assert!(!is_pressed(&all_but(&[Condition::Idle])));
    assert!(is_pressed(&all_but(&[Condition::Cool])) && is_pressed(&all_but(&[Condition::Roomy])));
}

#[test]
fn an_end_means_an_outcome() {
    let ok = || End::Returned(Ok(b"done".to_vec()));
    let err = || End::Returned(Err("no".to_owned()));
    let expired = |reason, returned| Outcome::Expired { reason, returned };
    use ExpirationReason::{FuelLimit, HostStopping, TimeLimit};
    let cases: Vec<(End, Option<ExpirationReason>, u32, Outcome, Then)> = vec![
        (ok(), None, 1, Outcome::Succeeded { output: b"done".to_vec() }, Then::Settled),
        (err(), None, 1, Outcome::Failed { message: "no".to_owned() }, Then::Settled),
        (ok(), Some(TimeLimit), 1, expired(TimeLimit, Some(Ok(b"done".to_vec()))), Then::Settled),
        (err(), Some(TimeLimit), 1, expired(TimeLimit, Some(Err("no".to_owned()))), Then::Settled),
        (End::Stopped, Some(FuelLimit), 1, expired(FuelLimit, None), Then::Settled),
        (End::Stopped, None, 1, expired(TimeLimit, None), Then::Settled),
        (End::OutOfFuel, None, 1, expired(FuelLimit, None), Then::Settled),
        (End::OutOfFuel, Some(HostStopping), 1, expired(HostStopping, None), Then::ComesBack),
        (End::Trapped("oh".to_owned()), None, 1, Outcome::Trapped { message: "oh".to_owned() }, Then::Settled),
        (End::NotStarted("gone".to_owned()), None, 1, Outcome::Failed { message: "gone".to_owned() }, Then::Settled),
        (ok(), Some(HostStopping), 1, expired(HostStopping, Some(Ok(b"done".to_vec()))), Then::ComesBack),
        (End::Stopped, Some(HostStopping), 4, expired(HostStopping, None), Then::ComesBack),
        (End::Stopped, Some(HostStopping), 5, expired(HostStopping, None), Then::Settled),
    ];
    let policy = policy(Profile::Device);
    for (end, reason, attempt, outcome, then) in cases {
        let mut task = Running { attempt, ..running(&Kind::AppRefresh) };
        if let Some(reason) = reason {
            task.expire(now(), reason);
        }
        assert_eq!(task.settle(&policy, &end), (outcome, then), "{end:?} with {reason:?} at attempt {attempt}");
    }
}

#[test]
fn a_failure_is_tried_again_as_often_as_was_asked() {
    let retry = Retry { attempts: 3, first_delay: Duration::from_secs(10), longest_delay: Duration::from_secs(15) };
    let failed = || End::Returned(Err("no".to_owned()));
    let policy = policy(Profile::Device);
    let task = |failures| Running { failures, attempt: failures + 1, retry: Some(retry), ..running(&Kind::AppRefresh) };
    for (end, failures, rests) in [
        (failed(), 0, Some(10)),
        (End::Trapped("oh".to_owned()), 1, Some(15)),
        (End::NotStarted("gone".to_owned()), 1, Some(15)),
        (failed(), 2, None),
        (End::Returned(Ok(vec![])), 0, None),
        (End::OutOfFuel, 0, None),
        (End::Stopped, 0, None),
    ] {
        let (_, then) = task(failures).settle(&policy, &end);
        match (then, rests) {
            (Then::Settled, None) => {}
            (Then::Retries { rest }, Some(longest)) => {
                let longest = Duration::from_secs(longest);
                assert!(rest <= longest && rest > longest * 9 / 10, "{end:?} after {failures}: {rest:?}");
            }
            (then, _) => panic!("{end:?} after {failures} failures: {then:?}"),
        }
    }
    let mut stopped = task(0);
    stopped.expire(now(), ExpirationReason::TimeLimit);
    assert_eq!(stopped.settle(&policy, &failed()).1, Then::Settled, "a task that was asked to stop had its chance");
    let retried = Running { attempt: 7, failures: 3, retry: Some(retry), ..running(&Kind::AppRefresh) };
    let interrupted = Running { expiring: None, ..retried };
    assert_eq!(after_interruption(&policy, interrupted.attempt, interrupted.failures), Then::ComesBack);
    assert_eq!(after_interruption(&policy, 8, 3), Then::Settled, "failures do not use up interruptions");
}

#[test]
fn rests_double_and_differ_but_never_change() {
    let retry = Retry { attempts: 99, first_delay: Duration::from_secs(8), longest_delay: Duration::from_secs(3_600) };
    let mut rests = BTreeMap::new();
    for request in 1..=200 {
        for failures in 1..=40 {
            let rest = rest(retry, failures, RequestId(request));
            let whole = Duration::from_secs(8 * 2_u64.pow((failures - 1).min(20))).min(retry.longest_delay);
            assert!(rest <= whole && rest >= whole * 9 / 10, "{rest:?} after {failures}");
            assert_eq!(rest, idlewild::rules::rest(retry, failures, RequestId(request)));
            rests.entry(failures).or_insert_with(std::collections::BTreeSet::new).insert(rest);
        }
    }
    assert!(rests.values().all(|different| different.len() > 100), "what failed together does not come back together");
}

#[test]
fn a_repetition_keeps_its_beat_and_skips_what_has_passed() {
    let repeat = Repeat { every: Duration::from_secs(60), flex: Duration::ZERO };
    let due = now().wall;
    for (ended, next) in [(0, 60), (1, 60), (59, 60), (60, 120), (61, 120), (3_601, 3_660)] {
        assert_eq!(next_due(due, repeat, later(ended)), Some(later(next).wall), "ended after {ended} s");
    }
    let set_back = Now { wall: due - Duration::from_secs(500), ..now() };
    assert_eq!(next_due(due, repeat, set_back), Some(later(60).wall), "a clock set back repeats no period");
    let endless = Repeat { every: Duration::MAX, flex: Duration::ZERO };
    assert_eq!(next_due(due, endless, now()), None);
}

#[test]
fn only_what_insists_on_external_power_may_compute_without_limit() {
    let policy = policy(Profile::Device);
    let needs = |external_power| Needs { network: false, external_power };
    let allowance = |needs| policy.allowance(KindName::Processing, needs, Some(1 << 20));
    assert_eq!(allowance(needs(false)).fuel, 1_000_000);
    assert!(allowance(needs(true)).fuel > u64::from(u32::MAX) << 20);
    assert_eq!(allowance(needs(true)).time, Some(Duration::from_secs(600)), "its time is limited all the same");
    assert_eq!(allowance(needs(true)).memory, 1 << 20);
    assert_eq!(policy.allowance(KindName::ContinuedProcessing, Needs::default(), None).time, None);
}

#[test]
fn requests_of_one_tolerance_meet() {
    let policy = policy(Profile::Device);
    let at = |seconds: i64| Timestamp::from_second(1_000_000_000 + seconds).unwrap();
    let minute = Duration::from_secs(60);
    // 1_000_000_000 is 40 s past a multiple of 60.
    for (floor, tolerance, latest, woken) in [
        (0, Duration::ZERO, None, 0),
        (0, minute, None, 20),
        (19, minute, None, 20),
        (20, minute, None, 20),
        (21, minute, None, 80),
        (21, minute, Some(30), 30),
        (21, minute, Some(10), 21),
    ] {
        let wake_at = policy.wake_at(at(floor), tolerance, latest.map(at));
        assert_eq!(wake_at, at(woken), "floor {floor}, tolerance {tolerance:?}, latest {latest:?}");
    }
}

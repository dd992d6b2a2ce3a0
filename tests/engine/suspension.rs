//! Tasks that are held in place and go on: whatever they were doing, in both worlds.

use std::time::Duration;

use idlewild::{
    bundle::{HttpGrant, Origin},
    clock,
    engine::{Engine, EngineSettings, World},
    rules::{Allowance, End, ExpirationReason, Progress, TaskId},
};
use idlewild_tests::Server;

use crate::house::{Heard, House, allowance, guest, returned};

const SOON: Duration = Duration::from_millis(100);
/// Longer than a report waits to be heard, and than a guest computes on until it yields.
const A_WHILE: Duration = Duration::from_millis(500);
const GRACE: Duration = Duration::from_secs(30);

fn suspend(house: &House, task: TaskId) {
    house.engine.suspend(task);
    // What was under way when it was suspended may still be heard.
    house.heard_within(A_WHILE);
}

fn expire(house: &House, task: TaskId, grace: Duration) {
    house.engine.expire(task, ExpirationReason::ConditionsLost, house.clock.now().uptime + grace);
}

/// Until the first of two reports of a guest that goes on waiting.
fn until_it_waits(house: &House, task: TaskId) {
    assert_eq!(house.next(), Heard::Progressed(task, Progress { completed: 1, total: 2 }));
}

#[test]
fn a_guest_that_computes_stands_still_and_comes_to_the_same_answer() {
    for mut house in House::both() {
        let undisturbed = house.launch_with("computes", "500");
        let (answer, used, _) = house.end(undisturbed);
        assert!(matches!(answer, End::Returned(Ok(_))), "{answer:?}");
        let task = house.launch_with("computes", "500");
        let Heard::Progressed(_, Progress { completed, .. }) = house.next() else { panic!("it reports") };
        assert!(completed < 500, "there is time to suspend it");
        suspend(&house, task);
        assert_eq!(house.heard_within(A_WHILE), []);
        house.engine.resume(task);
        let (end, usage, _) = house.end(task);
        assert_eq!(end, answer);
        assert!(usage.fuel.abs_diff(used.fuel) < used.fuel / 100, "held, it uses no fuel: {usage:?}, {used:?}");
        assert!(usage.wall >= 2 * A_WHILE, "the time it was held is on its wall clock: {usage:?}");
    }
}

#[test]
fn a_guest_that_waits_stays_and_is_woken_when_it_goes_on() {
    for mut house in House::both() {
        for behaviour in ["tells-its-time", "writes-clock"] {
            let task = house.launch(behaviour, allowance());
            clock::pause(SOON / 10);
            suspend(&house, task);
            assert_eq!(house.heard_within(A_WHILE), [], "{behaviour}");
            house.engine.resume(task);
            assert!(matches!(house.end(task).0, End::Returned(Ok(_))), "{behaviour}");
        }
    }
}

#[test]
fn a_guest_that_is_suspended_before_its_first_instruction_begins_when_it_goes_on() {
    for mut house in House::both() {
        // Its component is still being compiled, which takes its time.
        let task = house.launch("succeeds", allowance());
        house.engine.suspend(task);
        assert_eq!(house.heard_within(4 * A_WHILE), []);
        house.engine.resume(task);
        assert_eq!(house.end(task).0, returned("some input"));
    }
}

#[test]
fn a_guest_that_awaits_its_work_and_its_end_goes_on_with_both() {
    let mut house = House::of(World::Async, EngineSettings::default());
    house.install("awaiting", &guest("awaiting"));
    let mut launch = |milliseconds: &str| {
        let task = house.launch_of("awaiting", "test.awaiting.work-or-end", milliseconds.into(), allowance());
        clock::pause(SOON);
        suspend(&house, task);
        task
    };
    let [worked, asked] = [launch("300"), launch("3600000")];
    assert_eq!(house.heard_within(A_WHILE), []);
    house.engine.resume(worked);
    assert_eq!(house.end(worked).0, returned("worked"));
    expire(&house, asked, GRACE);
    assert_eq!(house.end(asked).0, returned("tidied: ExpirationReason::ConditionsLost"));
}

#[test]
fn a_submission_that_is_answered_meanwhile_is_heard_when_the_guest_goes_on() {
    for mut house in House::both() {
        house.answer_submissions(false);
        let task = house.launch("resubmits", allowance());
        assert!(matches!(house.next(), Heard::Submitted(..)));
        suspend(&house, task);
        house.answer_submissions(true);
        assert_eq!(house.heard_within(A_WHILE), []);
        house.engine.resume(task);
        assert_eq!(house.end(task).0, returned("replaced: false"));
    }
}

#[test]
fn a_body_that_arrives_meanwhile_is_read_when_the_guest_goes_on() {
    for (world, component) in [(World::Sync, "web"), (World::Async, "awaiting_web")] {
        let server = Server::http();
        let origin = format!("http://127.0.0.1:{}", server.port);
        let mut house = House::of(world, EngineSettings::default());
        house.install(component, &guest(component));
        house.given.http = vec![HttpGrant { origin: Origin::parse(&origin).unwrap(), private: false }];
        let ask = format!("GET {origin}/held").into_bytes();
        let task = house.launch_of(component, "test.web.fetches", ask, allowance());
        while server.asked().is_empty() {
            clock::pause(SOON / 10);
        }
        suspend(&house, task);
        server.let_go();
        assert_eq!(house.heard_within(A_WHILE), []);
        house.engine.resume(task);
        assert_eq!(house.end(task).0, returned("200 half whole"));
    }
}

#[test]
fn an_expiration_lets_a_suspended_guest_tidy_up_and_it_is_not_held_again() {
    for mut house in House::both() {
        let waiting = house.launch("waits-for-its-end", allowance());
        until_it_waits(&house, waiting);
        let computing = house.launch("eats-fuel", allowance());
        clock::pause(SOON);
        let noticed = End::Returned(Err("stopped before its fuel was spent: conditions-lost".to_owned()));
        for (task, said) in [(waiting, returned("the time, then conditions-lost")), (computing, noticed)] {
            suspend(&house, task);
            expire(&house, task, GRACE);
            house.engine.suspend(task);
            let (end, usage, _) = house.end(task);
            assert_eq!(end, said);
            assert!(usage.wall < GRACE, "{usage:?}");
        }
    }
}

#[test]
fn a_stop_ends_a_suspended_guest_at_once() {
    for mut house in House::both() {
        house.run("succeeds");
        for behaviour in ["spins-bare", "spins-calling", "sleeps", "ignores-expiration-awaiting"] {
            let task = house.launch(behaviour, allowance());
            clock::pause(SOON);
            suspend(&house, task);
            expire(&house, task, Duration::ZERO);
            let asked = house.clock.now().uptime;
            assert_eq!(house.end(task).0, End::Stopped, "{behaviour}");
            let late = house.clock.now().uptime - asked;
            assert!(late < A_WHILE, "{behaviour} {late:?}");
        }
        let left = house.launch("spins-bare", allowance());
        suspend(&house, left);
        house.engine.stop();
        assert_eq!(house.end(left).0, End::Stopped);
    }
}

#[test]
fn the_time_a_guest_is_held_is_not_taken_from_it() {
    for mut house in House::both() {
        let task = house.launch("tells-its-time", allowance());
        until_it_waits(&house, task);
        house.engine.suspend(task);
        clock::pause(4 * A_WHILE);
        house.engine.resume(task);
        let End::Returned(Ok(said)) = house.end(task).0 else { panic!("it returns") };
        let said = String::from_utf8(said).unwrap();
        let (before, after) = said.split_once(' ').unwrap();
        let spent = before.parse::<u64>().unwrap() - after.parse::<u64>().unwrap();
        assert!(spent < 2_000, "the sleep is over long before it goes on: {said}");
    }
}

#[test]
fn a_suspended_guest_outlives_its_time_and_is_stopped_by_the_engine_itself_afterwards() {
    for mut house in House::both() {
        house.run("succeeds");
        let task = house.launch("sleeps", Allowance { time: Some(SOON), grace: SOON, ..allowance() });
        house.engine.suspend(task);
        assert_eq!(house.heard_within(A_WHILE), []);
        house.engine.resume(task);
        let (end, usage, _) = house.end(task);
        assert_eq!(end, End::Stopped);
        assert!(usage.wall >= A_WHILE + 2 * SOON && usage.wall < A_WHILE + 20 * SOON, "{usage:?}");
    }
}

#[test]
fn a_hundred_suspended_guests_hold_no_turn() {
    let settings = EngineSettings { slots: 128, turns: 1, ..EngineSettings::default() };
    for mut house in House::both_with(settings) {
        house.run("succeeds");
        let alone = house.launch_with("computes", "50");
        let (_, alone, _) = house.end(alone);
        let spin = |number: usize| ["spins-bare", "spins-calling", "sleeps", "waits-for-its-end"][number % 4];
        let held: Vec<_> = (0..100).map(|number| house.launch(spin(number), allowance())).collect();
        clock::pause(SOON);
        for task in &held {
            house.engine.suspend(*task);
        }
        house.heard_within(A_WHILE);
        let among = house.launch_with("computes", "50");
        let (_, among, before) = house.end(among);
        assert!(before.iter().all(|heard| matches!(heard, Heard::Progressed(..))), "{before:?}");
        assert!(among.wall < 4 * alone.wall + A_WHILE, "{among:?}, alone {alone:?}");
        for task in held {
            expire(&house, task, Duration::ZERO);
            house.end(task);
        }
    }
}

#[test]
fn suspending_and_resuming_what_ended_is_nothing() {
    let mut house = House::new();
    house.run("succeeds");
    for task in [TaskId(1), TaskId(99)] {
        house.engine.suspend(task);
        house.engine.resume(task);
        house.engine.set_foreground(task, true);
    }
    assert_eq!(house.run("succeeds"), returned("some input"));
}

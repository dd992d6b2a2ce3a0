//! Guests that will not stop, and guests that take what they can. Bounds on time are coarse: what matters is that it ends.

use std::time::Duration;

use idlewild::{
    clock,
    engine::{Engine, EngineSettings},
    rules::{Allowance, End, ExpirationReason},
};

use crate::house::{Heard, House, allowance, guest, returned};

const SOON: Duration = Duration::from_millis(100);
const COARSE: Duration = Duration::from_secs(2);

const ENDLESS: [&str; 4] = ["spins-bare", "spins-calling", "sleeps", "ignores-expiration-awaiting"];

#[test]
fn every_endless_guest_is_stopped_by_the_engine_itself() {
    for mut house in House::both() {
        house.run("succeeds");
        for behaviour in ENDLESS {
            let task = house.launch(behaviour, Allowance { time: Some(SOON), grace: SOON, ..allowance() });
            let (end, usage, _) = house.end(task);
            assert_eq!(end, End::Stopped, "{behaviour}");
            assert!(usage.wall >= 2 * SOON && usage.wall < 2 * SOON + COARSE, "{behaviour} {usage:?}");
            assert!(usage.fuel > 0, "{behaviour} {usage:?}");
        }
        assert!(house.entries("tmp").is_empty());
    }
}

#[test]
fn every_endless_guest_is_stopped_when_its_expiration_says() {
    for mut house in House::both() {
        house.run("succeeds");
        for behaviour in ENDLESS {
            let task = house.launch(behaviour, Allowance { time: None, ..allowance() });
            let stop_at = house.clock.now().uptime + SOON;
            house.engine.expire(task, ExpirationReason::Preempted, stop_at);
            let (end, usage, _) = house.end(task);
            assert_eq!(end, End::Stopped, "{behaviour}");
            assert!(usage.wall < SOON + COARSE, "{behaviour} {usage:?}");
        }
    }
}

#[test]
fn a_hundred_spinners_end_on_time_and_innocent_tasks_get_through() {
    const SPINNERS: usize = 100;
    let settings = EngineSettings { slots: 128, ..EngineSettings::default() };
    for mut house in House::both_with(settings) {
        house.run("succeeds");
        let spin = |number| if number % 2 == 0 { "spins-bare" } else { "spins-calling" };
        let spinners: Vec<_> =
            (0..SPINNERS).map(|number| house.launch(spin(number), Allowance { time: None, ..allowance() })).collect();
        // Until none of them is a newcomer any more: what arrives together with a hundred others waits among them.
        clock::pause(COARSE);
        let mut innocent_times = Vec::new();
        for _ in 0..21 {
            let innocent = house.launch("succeeds", allowance());
            let (end, usage, before) = house.end(innocent);
            assert_eq!(end, returned("some input"));
            assert!(before.is_empty(), "a spinner ended early");
            innocent_times.push(usage.wall);
        }
        let stop_at = house.clock.now().uptime + SOON;
        for task in &spinners {
            house.engine.expire(*task, ExpirationReason::Preempted, stop_at);
        }
        for _ in &spinners {
            let Heard::Ended(_, End::Stopped, _) = house.next() else { panic!("a spinner is stopped") };
        }
        let late = house.clock.now().uptime.saturating_sub(stop_at);
        innocent_times.sort();
        // The median, because a machine that is busy with other things holds up a single task as it likes.
        assert!(
            innocent_times[10] < Duration::from_millis(300) && late < COARSE,
            "{innocent_times:?}; the latest spinner: {late:?}"
        );
    }
}

#[test]
fn the_last_fuel_is_the_end_and_spent_fuel_is_told_even_then() {
    for mut house in House::both() {
        let allowance = Allowance { fuel: 20_000_000, grace_fuel: 1_000_000, ..allowance() };
        for behaviour in ["spins-bare", "spins-calling"] {
            let task = house.launch(behaviour, allowance);
            let (end, usage, before) = house.end(task);
            assert_eq!(end, End::OutOfFuel, "{behaviour}");
            assert_eq!(before, [Heard::FuelSpent(task)], "{behaviour}");
            assert!(usage.fuel >= 20_900_000, "{behaviour} {usage:?}");
        }
    }
}

#[test]
fn memory_ends_at_the_allowance_and_the_message_says_so() {
    for mut house in House::both() {
        let task = house.launch("eats-memory", allowance());
        let (end, usage, _) = house.end(task);
        let End::Trapped(message) = end else { panic!("it traps: {end:?}") };
        assert!(message.contains("its 64 MiB of memory"), "{message}");
        assert!(usage.peak_memory > 32 << 20 && usage.peak_memory <= 64 << 20, "{usage:?}");
    }
}

#[test]
fn a_guest_larger_than_its_allowance_from_the_start_is_told_why() {
    for mut house in House::both() {
        let task = house.launch("succeeds", Allowance { memory: 64 << 10, ..allowance() });
        let (end, ..) = house.end(task);
        assert!(matches!(&end, End::Trapped(message) if message.contains("its 64 KiB of memory")), "{end:?}");
    }
}

#[test]
fn a_flood_of_words_is_cut_at_the_limit_and_the_guest_does_not_notice() {
    for mut house in House::both() {
        assert_eq!(house.run("floods-log"), returned(""));
        let log = house.file("logs/1.log");
        assert!(log.len() > 1 << 20 && log.len() < (1 << 20) + 200, "{}", log.len());
        assert!(log.ends_with("the rest is left out]\n"));
    }
}

#[test]
fn a_log_that_cannot_be_written_is_dropped() {
    for mut house in House::both() {
        std::fs::remove_dir_all(house.state.path().join("logs")).unwrap();
        assert_eq!(house.run("succeeds"), returned("some input"));
    }
}

#[test]
fn stopping_the_engine_ends_each_task_once() {
    for mut house in House::both() {
        house.run("succeeds");
        let running = ENDLESS.map(|behaviour| house.launch(behaviour, allowance()));
        std::thread::yield_now();
        house.engine.stop();
        let late = house.launch("succeeds", allowance());
        drop(house.engine);
        drop(house.ear);
        let ended: Vec<_> = house.heard.iter().collect();
        for task in running.into_iter().chain([late]) {
            let of_task =
                ended.iter().filter(|heard| matches!(heard, Heard::Ended(ended, End::Stopped, _) if *ended == task));
            assert_eq!(of_task.count(), 1, "{task}: {ended:?}");
        }
        assert_eq!(ended.len(), 5);
    }
}

#[test]
fn a_component_that_is_gone_or_damaged_is_a_task_that_never_started() {
    let mut house = House::new();
    let task = house.launch_of("absent", "test.behaviours.succeeds", Vec::new(), allowance());
    let (end, ..) = house.end(task);
    assert!(matches!(&end, End::NotStarted(message) if message.contains("absent.wasm")), "{end:?}");
    let component = guest("behaviours");
    house.install("half", &component[..component.len() / 2]);
    let task = house.launch_of("half", "test.behaviours.succeeds", Vec::new(), allowance());
    assert!(matches!(house.end(task).0, End::NotStarted(_)));
}

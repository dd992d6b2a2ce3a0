//! Real guests, good and hostile, through the real engine.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may fail, and say why")]

#[path = "engine/awaiting.rs"]
mod awaiting;
#[path = "engine/compiling.rs"]
mod compiling;
#[path = "engine/components.rs"]
mod components;
#[path = "engine/foreground.rs"]
mod foreground;
#[path = "engine/hostile.rs"]
mod hostile;
#[path = "engine/house.rs"]
mod house;
#[path = "engine/kept_code.rs"]
mod kept_code;
#[path = "engine/limits.rs"]
mod limits;
#[path = "engine/quota.rs"]
mod quota;
#[path = "engine/suspension.rs"]
mod suspension;
#[path = "engine/web.rs"]
mod web;
#[path = "engine/whole.rs"]
mod whole;

use std::{fs, time::Duration};

use house::{Heard, House, allowance, grant, returned, written};
use idlewild::{
    bundle::Access,
    clock,
    engine::{Asker, Engine},
    rules::{Allowance, BundleId, End, ExpirationReason, Progress},
};

#[test]
fn a_task_returns_its_output_and_leaves_its_log_and_usage() {
    for mut house in House::both() {
        let task = house.launch("succeeds", allowance());
        let (end, usage, before) = house.end(task);
        assert_eq!(end, returned("some input"));
        assert_eq!(before, []);
        assert_eq!(house.file("logs/1.log"), "a line on standard output\na line on standard error\n");
        assert!(usage.fuel > 100 && usage.fuel < 10_000_000, "{usage:?}");
        assert!(usage.peak_memory >= 64 << 10 && usage.peak_memory < 64 << 20, "{usage:?}");
        assert!(usage.wall > Duration::ZERO, "{usage:?}");
    }
}

#[test]
fn a_task_without_a_word_leaves_no_log() {
    for mut house in House::both() {
        assert_eq!(house.run("fails"), End::Returned(Err("failed on purpose".to_owned())));
        assert!(house.entries("logs").is_empty());
    }
}

#[test]
fn a_panic_is_a_trap_and_its_message_is_in_the_log() {
    for mut house in House::both() {
        let End::Trapped(message) = house.run("traps") else { panic!("it traps") };
        assert!(message.contains("panic"), "{message}");
        assert!(house.file("logs/1.log").contains("trapped on purpose"));
    }
}

#[test]
fn a_trap_is_told_with_its_cause_and_a_short_stack() {
    let mut house = House::new();
    let functions = "(func $read_far_away (result i32) (i32.load (i32.const 0x7fff0000)))
        (func $launch (param i32 i32 i32 i32) (result i32) call $read_far_away)";
    house.install("trap", &written("", functions));
    let task = house.launch_of("trap", "test.behaviours.any", Vec::new(), allowance());
    let message = "wasm trap: out of bounds memory access\n  at read_far_away\n  at launch".to_owned();
    assert_eq!(house.end(task).0, End::Trapped(message));
}

#[test]
fn endless_recursion_is_a_trap_with_a_message_of_bounded_length() {
    let mut house = House::new();
    let functions = "(func $launch (param i32 i32 i32 i32) (result i32)
        (call $launch (local.get 0) (local.get 1) (local.get 2) (local.get 3)) i32.const 1 i32.add)";
    house.install("recursion", &written("", functions));
    let task = house.launch_of("recursion", "test.behaviours.any", Vec::new(), allowance());
    let End::Trapped(message) = house.end(task).0 else { panic!("it traps") };
    assert!(message.contains("used up its stack") && message.len() < 4096, "{message}");
}

#[test]
fn a_failure_of_the_host_itself_ends_the_task_once() {
    for mut house in House::both() {
        house.fail_on_submit();
        let task = house.launch("resubmits", allowance());
        let (end, ..) = house.end(task);
        assert!(matches!(&end, End::Trapped(message) if message.contains("the host itself failed")), "{end:?}");
        assert_eq!(house.run("fails"), End::Returned(Err("failed on purpose".to_owned())));
    }
}

#[test]
fn an_exit_is_a_trap_that_says_so() {
    for mut house in House::both() {
        let end = house.run("exits");
        assert_eq!(end, End::Trapped("the guest exited with a failure code instead of returning".to_owned()));
    }
}

#[test]
fn a_task_knows_itself_and_its_clocks_run() {
    for mut house in House::both() {
        assert_eq!(house.run("reports-attempt"), returned("attempt 1 task 1 app-refresh"));
        let End::Returned(Ok(clocks)) = house.run("writes-clock") else { panic!("it returns") };
        assert!(String::from_utf8(clocks).unwrap().contains("slept "));
    }
}

#[test]
fn a_task_that_sees_its_expiration_ends_in_its_own_words() {
    for mut house in House::both() {
        let task = house.launch("polls-expiration", allowance());
        let stop_at = house.clock.now().uptime + Duration::from_secs(30);
        house.engine.expire(task, ExpirationReason::Cancelled, stop_at);
        house.engine.expire(task, ExpirationReason::HostStopping, stop_at);
        assert_eq!(house.end(task).0, returned("tidied: cancelled"));
    }
}

#[test]
fn a_task_that_waits_for_its_end_or_a_time_is_woken_by_either() {
    for mut house in House::both() {
        let task = house.launch("waits-for-its-end", allowance());
        assert_eq!(house.next(), Heard::Progressed(task, Progress { completed: 1, total: 2 }));
        // Until it waits again, so that it has to be woken.
        clock::pause(Duration::from_millis(50));
        house.engine.expire(task, ExpirationReason::ConditionsLost, house.clock.now().uptime + Duration::from_secs(30));
        let (end, usage, _) = house.end(task);
        assert_eq!(end, returned("the time, then conditions-lost"));
        assert!(usage.wall < Duration::from_secs(20), "{usage:?}");
    }
}

/// What every function of the contract answers, which is the same in both worlds.
const EVERYTHING: &str = "\
task 1 of test.behaviours.asks-everything with 10 bytes
kind app-refresh, attempt 1
time true
expiration None
checkpoint None
save Ok(())
checkpoint Some([107, 101, 112, 116])
save too much Err(CheckpointError { message: \"larger than 1 MiB\" })
submit test.behaviours.succeeds request 7, replaced false
submit test.behaviours.fails request 7, replaced false
submit test.behaviours.succeeds request 7, replaced true
submit test.behaviours.unheard-of not-permitted
submit no name not-permitted
pending test.behaviours.fails test.behaviours.succeeds
pending test.behaviours.fails
pending \n\
gpu false
fuel true";

#[test]
fn every_host_function_answers_the_same_in_both_worlds() {
    for mut house in House::both() {
        let task = house.launch("asks-everything", allowance());
        let (end, _, before) = house.end(task);
        let End::Returned(Ok(said)) = end else { panic!("{end:?}") };
        assert_eq!(String::from_utf8(said).unwrap(), EVERYTHING);
        assert!(before.contains(&Heard::Progressed(task, Progress { completed: 10, total: 10 })), "{before:?}");
        let is_title = |heard: &&Heard| matches!(heard, Heard::Titled(..));
        let Some(Heard::Titled(_, title, subtitle)) = before.iter().find(is_title) else { panic!("{before:?}") };
        assert!(title.starts_with("Asking Asking ") && title.len() <= 256, "a long one is cut: {title}");
        assert_eq!(subtitle, "everything");
    }
}

#[test]
fn expiring_a_task_that_ended_is_nothing() {
    let mut house = House::new();
    house.run("succeeds");
    house.engine.expire(idlewild::rules::TaskId(1), ExpirationReason::Cancelled, Duration::ZERO);
    assert_eq!(house.run("succeeds"), returned("some input"));
}

#[test]
fn spent_fuel_is_told_once_and_the_grace_is_enough_to_end_well() {
    for mut house in House::both() {
        let task = house.launch("eats-fuel", Allowance { fuel: 100_000_000, grace_fuel: 1 << 34, ..allowance() });
        assert_eq!(house.next(), Heard::FuelSpent(task));
        let stop_at = house.clock.now().uptime + Duration::from_secs(30);
        house.engine.expire(task, ExpirationReason::FuelLimit, stop_at);
        let (end, usage, more) = house.end(task);
        assert_eq!(end, returned("stopped: fuel-limit"));
        assert_eq!(more, []);
        assert!(usage.fuel >= 100_000_000, "{usage:?}");
    }
}

#[test]
fn a_task_submits_asks_and_cancels_as_itself() {
    for mut house in House::both() {
        assert_eq!(house.run("resubmits"), returned("replaced: false"));
        let task = house.launch("resubmits", allowance());
        let (end, _, before) = house.end(task);
        assert_eq!(end, returned("replaced: true"));
        let bundle = BundleId::parse("test.behaviours").unwrap();
        let [Heard::Submitted(asker, request)] = &before[..] else { panic!("one submission: {before:?}") };
        assert_eq!(*asker, Asker::Task(task, bundle));
        assert_eq!(request.identifier.as_str(), "test.behaviours.resubmits");
        assert!(request.earliest_begin.is_some());
        let pending = "test.behaviours.resubmits app-refresh\ntest.behaviours.succeeds processing";
        assert_eq!(house.run("asks-pending"), returned(pending));
        assert_eq!(house.run("submits-not-permitted"), returned("not-permitted"));
    }
}

#[test]
fn progress_and_titles_are_heard_and_the_last_of_each_is_never_lost() {
    for mut house in House::both() {
        let task = house.launch("reports-progress", allowance());
        let (end, _, before) = house.end(task);
        assert_eq!(end, returned(""));
        let titles = before.iter().filter(|heard| matches!(heard, Heard::Titled(..))).count();
        assert!(titles < 10 && before.len() - titles < 10, "reports are thinned: {before:?}");
        let last_title = Heard::Titled(task, "Counting".to_owned(), "10 of 10".to_owned());
        assert!(before.contains(&last_title), "{before:?}");
        assert_eq!(before.last(), Some(&Heard::Progressed(task, Progress { completed: 10, total: 10 })));
    }
}

#[test]
fn checkpoints_pass_both_ways_and_an_oversized_one_is_refused_to_the_guest() {
    for mut house in House::both() {
        assert!(matches!(house.run("checkpoints"), End::Returned(Err(message)) if message.contains("come back")));
        assert_eq!(house.run("saves-too-much"), returned("larger than 1 MiB"));
    }
}

#[test]
fn an_output_beyond_the_limit_fails_the_task_with_a_sentence() {
    for mut house in House::both() {
        let end = house.run("returns-too-much");
        let message = "the output of 1048577 bytes is larger than the 1 MiB that are kept".to_owned();
        assert_eq!(end, End::Returned(Err(message)));
    }
}

#[test]
fn data_persists_tmp_does_not_and_nothing_else_is_reachable() {
    for mut house in House::both() {
        assert_eq!(house.run("remembers"), returned("1"));
        assert_eq!(house.run("remembers"), returned("2"));
        assert_eq!(house.file("data/test.behaviours/count"), "2");
        let End::Returned(Ok(tries)) = house.run("escapes") else { panic!("it returns") };
        let tries = String::from_utf8(tries).unwrap();
        assert!(!tries.contains("reached"), "{tries}");
        assert!(house.entries("tmp").is_empty(), "each /tmp is removed with its task");
    }
}

#[test]
fn a_link_planted_in_data_leads_nowhere() {
    for mut house in House::both() {
        fs::create_dir_all(house.state.path().join("data/test.behaviours")).unwrap();
        let secret = house.state.path().join("secret");
        fs::write(&secret, "41").unwrap();
        std::os::unix::fs::symlink(&secret, house.state.path().join("data/test.behaviours/count")).unwrap();
        let end = house.run("remembers");
        assert!(matches!(end, End::Returned(Err(_))), "{end:?}");
        assert_eq!(house.file("secret"), "41");
    }
}

#[test]
fn a_granted_folder_is_seen_under_its_name_and_named_when_it_is_gone() {
    for mut house in House::both() {
        let shared = house.state.path().join("shared");
        fs::create_dir(&shared).unwrap();
        fs::write(shared.join("b"), "").unwrap();
        fs::write(shared.join("a"), "").unwrap();
        house.grants = vec![grant("shared", Access::Read, &shared)];
        assert_eq!(house.run("reads-grant"), returned("a\nb"));
        fs::remove_dir_all(&shared).unwrap();
        let End::NotStarted(message) = house.run("reads-grant") else { panic!("it cannot start") };
        assert!(message.contains("`shared`") && message.contains(shared.to_str().unwrap()), "{message}");
    }
}

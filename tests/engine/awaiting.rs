//! What only an asynchronous guest can do: await its work and its end together, and have WASI 0.3. It is written by hand, in
//! `tests/guests/awaiting`.

use std::{fs, time::Duration};

use idlewild::{
    clock,
    engine::{Engine, EngineSettings, World},
    rules::{Allowance, End, ExpirationReason, Progress, TaskId},
};

use crate::house::{Heard, House, allowance, guest, returned};

const SOON: Duration = Duration::from_millis(100);
const GRACE: Duration = Duration::from_secs(20);

struct Awaiting(House);

impl Awaiting {
    fn new() -> Awaiting {
        Awaiting::with(EngineSettings::default())
    }

    fn with(settings: EngineSettings) -> Awaiting {
        let house = House::of(World::Async, settings);
        house.install("awaiting", &guest("awaiting"));
        Awaiting(house)
    }

    fn launch(&mut self, behaviour: &str, input: &str, allowance: Allowance) -> TaskId {
        self.0.launch_of("awaiting", &format!("test.awaiting.{behaviour}"), input.into(), allowance)
    }

    fn run(&mut self, behaviour: &str, input: &str) -> End {
        let task = self.launch(behaviour, input, allowance());
        self.0.end(task).0
    }

    fn expire(&self, task: TaskId, reason: ExpirationReason, grace: Duration) {
        self.0.engine.expire(task, reason, self.0.clock.now().uptime + grace);
    }
}

#[test]
fn work_that_ends_first_is_the_end() {
    assert_eq!(Awaiting::new().run("work-or-end", "1"), returned("worked"));
}

#[test]
fn a_guest_that_awaits_its_work_and_its_end_tidies_up_within_its_grace() {
    let mut awaiting = Awaiting::new();
    awaiting.run("work-or-end", "1");
    let hour = (60 * 60 * 1000).to_string();
    // Whether it is asked before its first instruction, or while it waits.
    for pause in [Duration::ZERO, SOON] {
        let task = awaiting.launch("work-or-end", &hour, allowance());
        clock::pause(pause);
        awaiting.expire(task, ExpirationReason::HostStopping, GRACE);
        let (end, usage, _) = awaiting.0.end(task);
        assert_eq!(end, returned("tidied: ExpirationReason::HostStopping"));
        assert!(usage.wall < GRACE / 2, "{usage:?}");
    }
}

#[test]
fn who_was_asked_is_told_at_every_wait() {
    let mut awaiting = Awaiting::new();
    let task = awaiting.launch("waits-again", "", allowance());
    awaiting.expire(task, ExpirationReason::Cancelled, GRACE);
    let cancelled = "ExpirationReason::Cancelled";
    assert_eq!(awaiting.0.end(task).0, returned(&format!("[{cancelled}, {cancelled}] {cancelled}")));
}

#[test]
fn a_guest_that_awaits_on_is_stopped() {
    let mut awaiting = Awaiting::new();
    awaiting.run("work-or-end", "1");
    for behaviour in ["awaits-for-ever", "ignores-its-end", "spins-while-it-waits"] {
        let task = awaiting.launch(behaviour, "", Allowance { time: None, ..allowance() });
        clock::pause(SOON);
        awaiting.expire(task, ExpirationReason::Preempted, SOON);
        let (end, usage, _) = awaiting.0.end(task);
        assert_eq!(end, End::Stopped, "{behaviour}");
        assert!(usage.wall >= 2 * SOON && usage.fuel > 0, "{behaviour} {usage:?}");
    }
    assert!(awaiting.0.entries("tmp").is_empty());
}

#[test]
fn who_computes_does_not_delay_who_awaits() {
    let settings = EngineSettings { turns: 2, ..EngineSettings::default() };
    let mut awaiting = Awaiting::with(settings);
    awaiting.run("work-or-end", "1");
    let spinners: Vec<_> = (0..4).map(|_| awaiting.launch("spins-while-it-waits", "", allowance())).collect();
    let waiting = awaiting.launch("work-or-end", &(60 * 60 * 1000).to_string(), allowance());
    clock::pause(2 * SOON);
    awaiting.expire(waiting, ExpirationReason::Cancelled, GRACE);
    let asked = awaiting.0.clock.now().uptime;
    assert_eq!(awaiting.0.end(waiting).0, returned("tidied: ExpirationReason::Cancelled"));
    let answered = awaiting.0.clock.now().uptime - asked;
    assert!(answered < Duration::from_secs(2), "it took {answered:?}");
    for spinner in spinners {
        awaiting.expire(spinner, ExpirationReason::Cancelled, Duration::ZERO);
        assert_eq!(awaiting.0.end(spinner).0, End::Stopped);
    }
}

#[test]
fn fuel_is_read_right_between_waits() {
    let mut awaiting = Awaiting::new();
    let task = awaiting.launch("computes-then-waits", "", allowance());
    let (end, usage, _) = awaiting.0.end(task);
    let End::Returned(Ok(said)) = end else { panic!("{end:?}") };
    let left: Vec<u64> = String::from_utf8(said).unwrap().split(' ').map(|left| left.parse().unwrap()).collect();
    let used: Vec<u64> = left.windows(2).map(|pair| pair[0] - pair[1]).collect();
    let [least, most] = [used.iter().min().unwrap(), used.iter().max().unwrap()];
    assert!(*least > 5_000_000 && most - least < least / 10, "the same work costs the same: {used:?}");
    let told = allowance().fuel - left.last().unwrap();
    assert!(usage.fuel >= told && usage.fuel < told + 100_000, "{usage:?}, {told} told");
}

#[test]
fn a_trap_beside_a_wait_is_told() {
    let mut awaiting = Awaiting::new();
    let End::Trapped(message) = awaiting.run("traps-while-it-waits", "") else { panic!("it traps") };
    assert!(message.contains("panic"), "{message}");
    assert!(awaiting.0.file("logs/1.log").contains("trapped on purpose, while waiting"));
}

#[test]
fn who_awaits_what_nobody_can_give_traps_at_once() {
    let mut awaiting = Awaiting::new();
    let End::Trapped(message) = awaiting.run("awaits-nothing", "") else { panic!("it traps") };
    assert!(message.contains("panic"), "{message}");
}

/// A component whose `launch` awaits a set in which nothing is, as no runtime of a language would.
const AWAITS_AN_EMPTY_SET: &str = r#"(component
    (core func $set (canon waitable-set.new))
    (core module $m
        (import "" "set" (func $set (result i32)))
        (memory (export "memory") 1)
        (func (export "launch") (param i32 i32 i32 i32) (result i32)
            (i32.or (i32.shl (call $set) (i32.const 4)) (i32.const 2)))
        (func (export "callback") (param i32 i32 i32) (result i32) unreachable)
        (func (export "none") (result i32) i32.const 0)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 16))
    (core instance $i (instantiate $m (with "" (instance (export "set" (func $set))))))
    (func $register (result (list string)) (canon lift (core func $i "none") (memory (core memory $i "memory"))))
    (func $activate (result (result (error string)))
        (canon lift (core func $i "none") (memory (core memory $i "memory"))))
    (func $launch async (param "identifier" string) (param "input" (list u8)) (result (result (list u8) (error string)))
        (canon lift (core func $i "launch") async (callback (core func $i "callback"))
            (memory (core memory $i "memory")) (realloc (core func $i "realloc"))))
    (instance $registration (export "register" (func $register)) (export "activate" (func $activate)))
    (instance $handler (export "launch" (func $launch)))
    (export "idlewild:background-tasks/registration@0.1.0" (instance $registration))
    (export "idlewild:background-tasks/async-handler@0.1.0" (instance $handler)))"#;

#[test]
fn who_awaits_nothing_at_all_ends_at_once_and_is_told_so() {
    let mut awaiting = Awaiting::new();
    let component = wat::parse_str(AWAITS_AN_EMPTY_SET).expect("well-formed text");
    assert_eq!(awaiting.0.examine_as("empty-set", &component), Ok(Vec::new()));
    awaiting.0.install("empty-set", &component);
    let task = awaiting.0.launch_of("empty-set", "test.awaiting.any", Vec::new(), allowance());
    let (end, usage, _) = awaiting.0.end(task);
    let End::Trapped(message) = end else { panic!("it traps: {end:?}") };
    assert!(message.starts_with("the guest awaits, and nothing is left that could ever wake it"), "{message}");
    assert!(usage.wall < GRACE, "{usage:?}");
}

#[test]
fn waits_are_bounded() {
    let settings = EngineSettings { component_handles: 100, ..EngineSettings::default() };
    let mut awaiting = Awaiting::with(settings);
    assert_eq!(awaiting.run("work-or-end", "1"), returned("worked"), "a decent guest has room");
    let task = awaiting.launch("waits-without-end", "", allowance());
    let (end, _, before) = awaiting.0.end(task);
    assert!(matches!(&end, End::Trapped(message) if message.contains("handle limit exceeded")), "{end:?}");
    let Some(Heard::Progressed(_, Progress { completed, .. })) = before.last() else { panic!("{before:?}") };
    assert!((50..100).contains(completed), "{completed} waits");
}

#[test]
fn what_wasi_0_3_is_not_granted_is_denied() {
    let mut awaiting = Awaiting::new();
    fs::write(awaiting.0.state.path().join("lock"), "").unwrap();
    let End::Returned(Ok(tries)) = awaiting.run("is-denied", "") else { panic!("it returns") };
    let tries = String::from_utf8(tries).unwrap();
    assert!(!tries.contains("reached") && tries.lines().count() == 10, "{tries}");
}

#[test]
fn both_versions_of_wasi_see_the_same_data_and_write_the_same_log() {
    let mut awaiting = Awaiting::new();
    assert_eq!(awaiting.run("copies", "from one to the other"), returned("from one to the other"));
    assert_eq!(awaiting.0.file("data/test.behaviours/back"), "from one to the other");
    assert_eq!(awaiting.run("prints", "a line\n"), returned("0 left, Ok(())"));
    assert_eq!(awaiting.0.file("logs/2.log"), "a line\n");
    assert!(awaiting.0.entries("tmp").is_empty());
}

#[test]
fn stopping_the_engine_ends_who_awaits_once() {
    let mut awaiting = Awaiting::new();
    awaiting.run("work-or-end", "1");
    let running: Vec<_> = ["awaits-for-ever", "ignores-its-end", "spins-while-it-waits"]
        .map(|behaviour| awaiting.launch(behaviour, "", allowance()))
        .into();
    let Awaiting(house) = awaiting;
    house.engine.stop();
    drop(house.engine);
    drop(house.ear);
    let ended: Vec<_> = house.heard.iter().collect();
    assert_eq!(ended.len(), running.len(), "{ended:?}");
    for task in running {
        let is_it = |heard: &&Heard| matches!(heard, Heard::Ended(ended, End::Stopped, _) if *ended == task);
        assert_eq!(ended.iter().filter(is_it).count(), 1, "{task}: {ended:?}");
    }
}

/// A component of fourteen: a head that calls the thirteen others and never returns, and these, each of which waits on a stack
/// of its own.
fn many_stacks() -> Vec<u8> {
    let numbers = || 0..13;
    let each = |line: fn(usize) -> String| numbers().map(line).collect::<Vec<_>>().join("\n");
    let text = format!(
        r#"(component
            (import "wasi:clocks/monotonic-clock@0.3.0" (instance $clock
                (export "wait-for" (func async (param "how-long" u64)))))
            (alias export $clock "wait-for" (func $wait))
            (component $part
                (import "wait" (func $wait async (param "how-long" u64)))
                (core func $wait' (canon lower (func $wait)))
                (core module $m
                    (import "" "wait" (func $wait (param i64)))
                    (func (export "block") (call $wait (i64.const 0x7fff_ffff_ffff))))
                (core instance $i (instantiate $m (with "" (instance (export "wait" (func $wait'))))))
                (func (export "block") async (canon lift (core func $i "block"))))
            (component $head
                {imports}
                {lowered}
                (core func $set (canon waitable-set.new))
                (core module $m
                    (import "" "set" (func $set (result i32)))
                    {core_imports}
                    (memory (export "memory") 1)
                    (func (export "launch") (param i32 i32 i32 i32) (result i32)
                        {calls}
                        (i32.or (i32.shl (call $set) (i32.const 4)) (i32.const 2)))
                    (func (export "callback") (param i32 i32 i32) (result i32) unreachable)
                    (func (export "none") (result i32) i32.const 0)
                    (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 16))
                (core instance $i (instantiate $m (with "" (instance (export "set" (func $set)) {core_given}))))
                (func (export "register") (result (list string))
                    (canon lift (core func $i "none") (memory (core memory $i "memory"))))
                (func (export "activate") (result (result (error string)))
                    (canon lift (core func $i "none") (memory (core memory $i "memory"))))
                (func (export "launch") async (param "identifier" string) (param "input" (list u8))
                    (result (result (list u8) (error string)))
                    (canon lift (core func $i "launch") async (callback (core func $i "callback"))
                        (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))
            {parts}
            (instance $whole (instantiate $head {given}))
            (instance $registration (export "register" (func $whole "register")) (export "activate" (func $whole "activate")))
            (instance $handler (export "launch" (func $whole "launch")))
            (export "idlewild:background-tasks/registration@0.1.0" (instance $registration))
            (export "idlewild:background-tasks/async-handler@0.1.0" (instance $handler)))"#,
        imports = each(|number| format!(r#"(import "block{number}" (func $block{number} async))"#)),
        lowered = each(|number| format!("(core func $block{number}' (canon lower (func $block{number}) async))")),
        core_imports = each(|number| format!(r#"(import "" "{number}" (func $block{number} (result i32)))"#)),
        calls = each(|number| format!("(drop (call $block{number}))")),
        core_given = each(|number| format!(r#"(export "{number}" (func $block{number}'))"#)),
        parts = each(|number| format!(r#"(instance $part{number} (instantiate $part (with "wait" (func $wait))))"#)),
        given = each(|number| format!(r#"(with "block{number}" (func $part{number} "block"))"#)),
    );
    wat::parse_str(text).expect("well-formed text")
}

#[test]
fn a_task_of_many_waiting_parts_leaves_the_others_their_stacks() {
    let settings = EngineSettings { slots: 4, side_calls: 1, ..EngineSettings::default() };
    let mut awaiting = Awaiting::with(settings);
    awaiting.0.install("many-stacks", &many_stacks());
    let greedy: Vec<_> = (0..3)
        .map(|_| awaiting.0.launch_of("many-stacks", "test.awaiting.many-stacks", Vec::new(), allowance()))
        .collect();
    clock::pause(2 * SOON);
    let decent = awaiting.launch("work-or-end", "1", allowance());
    let (end, _, before) = awaiting.0.end(decent);
    assert_eq!(end, returned("worked"));
    assert_eq!(before, [], "the others still wait");
    for task in greedy {
        awaiting.expire(task, ExpirationReason::Cancelled, Duration::ZERO);
        assert_eq!(awaiting.0.end(task).0, End::Stopped);
    }
}

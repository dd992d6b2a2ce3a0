//! Every limit for what a guest can ask of its host, each with the guest that runs into it and the words it meets.

use idlewild::{
    engine::{EngineSettings, World},
    rules::End,
};

use crate::house::{House, allowance, guest, returned, written};

/// How a behaviour ends that is to run into a limit of `settings`.
fn end_of(settings: &EngineSettings, behaviour: &str, input: &str) -> Vec<End> {
    let run = |mut house: House| {
        let component = house.behaviours();
        house.install(component, &guest(component));
        let name = format!("test.behaviours.{behaviour}");
        let task = house.launch_of(component, &name, input.into(), allowance());
        house.end(task).0
    };
    House::both_with(settings.clone()).map(run).collect()
}

fn trap_of(settings: &EngineSettings, functions: &str) -> String {
    let mut house = House::of(World::Sync, settings.clone());
    house.install("limit", &written("", functions));
    let task = house.launch_of("limit", "test.behaviours.any", Vec::new(), allowance());
    let (end, ..) = house.end(task);
    let End::Trapped(message) = end else { panic!("it traps: {end:?}") };
    message
}

#[test]
fn open_files_end_at_their_number() {
    for end in end_of(&EngineSettings { handles: 40, ..EngineSettings::default() }, "opens-too-many", "") {
        let End::Trapped(message) = end else { panic!("it traps: {end:?}") };
        let says = "the guest holds 40 files, streams and the like open at once, and may hold no more";
        assert!(message.starts_with(says), "{message}");
    }
}

#[test]
fn listings_end_at_their_number() {
    for end in end_of(&EngineSettings { listings: 5, ..EngineSettings::default() }, "lists-too-many", "") {
        assert_eq!(end, returned("5 listings, OutOfMemory"));
    }
}

#[test]
fn what_is_handed_over_in_one_call_ends_at_its_size() {
    let settings = EngineSettings::default();
    for end in end_of(&settings, "talks-at-length", &(1 << 20).to_string()) {
        assert_eq!(end, returned("said"), "a long title is the guest's to give; nobody keeps it whole");
    }
    for end in end_of(&settings, "talks-at-length", &(3 << 20).to_string()) {
        let End::Trapped(message) = end else { panic!("it traps: {end:?}") };
        let says = "the guest handed over more than 2 MiB in one call, and may hand over no more";
        assert!(message.starts_with(says), "{message}");
    }
}

#[test]
fn submissions_end_at_their_number() {
    for end in end_of(&EngineSettings { submissions: 3, ..EngineSettings::default() }, "submits-without-end", "") {
        let End::Returned(Ok(said)) = end else { panic!("it returns: {end:?}") };
        let said = String::from_utf8(said).unwrap();
        assert!(said.starts_with("3 submitted, then ") && said.contains("one launch may submit 3 requests"), "{said}");
    }
}

#[test]
fn recursion_ends_with_the_stack() {
    for end in end_of(&EngineSettings::default(), "recurses", "") {
        let End::Trapped(message) = end else { panic!("it traps: {end:?}") };
        assert!(message.starts_with("the guest used up its stack (endless recursion?)"), "{message}");
    }
}

#[test]
fn the_stack_is_as_large_as_the_settings_say() {
    let functions = "(func $deep (param i32) (result i32)
            (if (result i32) (local.get 0)
                (then (i32.add (call $deep (i32.sub (local.get 0) (i32.const 1))) (i32.const 1)))
                (else (i32.const 0))))
        (func $launch (param i32 i32 i32 i32) (result i32) (drop (call $deep (i32.const 5000))) i32.const 0)";
    let small = EngineSettings { stack: 64 << 10, ..EngineSettings::default() };
    assert!(trap_of(&small, functions).contains("used up its stack"));
    let mut house = House::of(World::Sync, EngineSettings::default());
    house.install("limit", &written("", functions));
    let task = house.launch_of("limit", "test.behaviours.any", Vec::new(), allowance());
    assert_eq!(house.end(task).0, returned(""));
}

#[test]
fn table_elements_end_at_their_number_however_many_tables_hold_them() {
    let settings = EngineSettings { table_elements: 1_000, ..EngineSettings::default() };
    let functions = "(table $one 600 funcref) (table $two 300 funcref)
        (func $launch (param i32 i32 i32 i32) (result i32)
            (if (i32.ne (table.grow $one (ref.null func) (i32.const 100)) (i32.const 600)) (then return (i32.const 1)))
            (if (i32.eq (table.grow $two (ref.null func) (i32.const 1)) (i32.const -1)) (then unreachable))
            i32.const 0)";
    let functions = functions.replace("(then return (i32.const 1))", "(then (return (i32.const 1)))");
    let message = trap_of(&settings, &functions);
    assert!(message.starts_with("the guest asked for more than its 1000 table elements, then: "), "{message}");
}

#[test]
fn memory_ends_at_the_allowance_however_many_memories_hold_it() {
    let functions = "(memory $more 1)
        (func $launch (param i32 i32 i32 i32) (result i32)
            (if (i32.eq (memory.grow $more (i32.const 600)) (i32.const -1)) (then unreachable))
            (if (i32.eq (memory.grow 0 (i32.const 600)) (i32.const -1)) (then unreachable))
            i32.const 0)";
    let message = trap_of(&EngineSettings::default(), functions);
    assert!(message.starts_with("the guest asked for more than its 64 MiB of memory, then: "), "{message}");
}

/// A component is held to these before it runs: whoever installs it is told.
#[test]
fn instances_memories_and_tables_end_at_their_number() {
    let settings = EngineSettings { core_instances: 3, memories: 2, tables: 2, ..EngineSettings::default() };
    let house = House::of(World::Sync, settings);
    let more = |what: &str, many: usize| {
        format!("(core module $more {}) (core instance (instantiate $more))", what.repeat(many))
    };
    let launch = "(func $launch (param i32 i32 i32 i32) (result i32) i32.const 0)";
    for (imports, says) in [
        (more("", 0), None),
        (
            format!("(core module $more) {}", "(core instance (instantiate $more))".repeat(3)),
            Some("core module instances"),
        ),
        (more("(memory 1)", 2), Some("linear memories")),
        (more("(table 1 funcref)", 3), Some("tables")),
    ] {
        let examined = house.examine_as(&format!("{says:?}"), &written(&imports, launch));
        match (says, examined) {
            (None, examined) => assert!(examined.is_ok(), "{examined:?}"),
            (Some(says), Err(error)) => {
                let error = error.to_string();
                assert!(error.contains(says) && error.contains("exceed"), "{error}");
            }
            (Some(says), Ok(_)) => panic!("too many {says} are let in"),
        }
    }
}

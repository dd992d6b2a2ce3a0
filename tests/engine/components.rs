//! What the engine says of components before any task runs: examining, activating, and keeping their code.

use std::{fs, time::Duration};

use idlewild::{
    bundle::Manifest,
    engine::{ComponentError, EngineSettings, World},
};

use crate::house::{House, allowance, guest, returned, written, written_text};

fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("well-formed text")
}

#[test]
fn a_good_component_says_what_it_registers() {
    for house in House::both() {
        let mut registered = house.examine(&guest(house.behaviours())).expect("a good component");
        let manifest = Manifest::parse(include_str!("../guests/idlewild.toml")).expect("a good manifest");
        let mut permitted = manifest.permitted_identifiers;
        registered.sort();
        permitted.sort();
        assert_eq!(registered, permitted);
    }
}

#[test]
fn what_is_no_component_is_refused_in_a_sentence() {
    let house = House::new();
    let cases: [(Vec<u8>, &str); 5] = [
        (Vec::new(), "the file is empty"),
        (b"#!/bin/sh\nexit 1\n".to_vec(), "does not begin as WebAssembly does"),
        (wat("(module)"), "it is a core module"),
        (b"\0asm\x63\0\x01\0".to_vec(), "a version of the component model"),
        (guest("behaviours")[..5000].to_vec(), ""),
    ];
    for (bytes, said) in cases {
        let error = house.examine(&bytes).expect_err("no component");
        assert!(matches!(&error, ComponentError::Invalid(message) if message.contains(said)), "{error}");
    }
}

#[test]
fn a_component_of_no_world_or_of_both_is_told_what_to_export() {
    let house = House::new();
    for (digest, component) in [("empty", wat("(component)")), ("exports-nothing", guest("exports_nothing"))] {
        assert_eq!(house.examine_as(digest, &component), Err(ComponentError::NoWorld));
    }
    assert_eq!(house.examine(&guest("exports_both")), Err(ComponentError::BothWorlds));
    for error in [ComponentError::NoWorld, ComponentError::BothWorlds] {
        let said = error.to_string();
        for interface in ["handler", "async-handler"] {
            assert!(said.contains(&format!("`idlewild:background-tasks/{interface}@0.1.0`")), "{said}");
        }
    }
}

#[test]
fn what_a_world_asks_for_and_is_not_exported_is_named() {
    let house = House::new();
    let registration = "`idlewild:background-tasks/registration@0.1.0`".to_owned();
    let launch = |interface: &str| format!("`launch` of `idlewild:background-tasks/{interface}@0.1.0`");
    for (interface, world) in [("handler", World::Sync), ("async-handler", World::Async)] {
        let component = wat(&format!(
            r#"(component (instance $empty) (export "idlewild:background-tasks/{interface}@0.1.0" (instance $empty)))"#
        ));
        let names = format!("{registration}, {}", launch(interface));
        assert_eq!(house.examine_as(interface, &component), Err(ComponentError::MissingExport { names, world }));
    }
}

/// What a component is told whose text differs in this.
fn told_of(interface: &str, from: &str, to: &str) -> String {
    let text = written_text("", "(func $launch (param i32 i32 i32 i32) (result i32) i32.const 0)");
    assert!(text.contains(from), "{from} in {text}");
    let text = text.replace(from, to).replace("background-tasks/handler@", &format!("background-tasks/{interface}@"));
    House::new().examine(&wat(&text)).expect_err("it is not of the world").to_string()
}

#[test]
fn a_function_of_another_type_is_told_with_what_it_is_and_what_it_must_be() {
    const LAUNCH: &str = "func(identifier: string, input: list<u8>) -> result<list<u8>, string>";
    let input = r#"(param "input" (list u8))"#;
    for (interface, word) in [("handler", ""), ("async-handler", "async ")] {
        for (to, is) in [
            (r#"(param "input" string)"#, "input: string"),
            (r#"(param "data" (list u8))"#, "data: list<u8>"),
            (r#"(param "input" (option u32))"#, "input: option<u32>"),
            (r#"(param "input" (tuple char u8))"#, "input: tuple<char, u8>"),
            (r#"(param "more" bool) (param "less" s16)"#, "more: bool, less: s16"),
        ] {
            let is = LAUNCH.replace("input: list<u8>", is);
            let name = format!("`launch` of `idlewild:background-tasks/{interface}@0.1.0`");
            let said = format!("the component exports {name} as `{is}`, which must be `{word}{LAUNCH}`");
            assert_eq!(told_of(interface, input, to), said);
        }
    }
    let activate = "$activate (result (result (error string)))";
    for (from, to, said) in [
        ("$register (result (list string))", "$register (result (list char))", "`func() -> list<char>`"),
        (activate, "$activate (result (result))", "`func() -> result`"),
        (activate, "$activate (result (result string))", "`func() -> result<string>`"),
    ] {
        let told = told_of("handler", from, to);
        let must_be = ["`func() -> list<string>`", "`func() -> result<_, string>`"];
        let is_said = |must_be| told.ends_with(&format!(" as {said}, which must be {must_be}"));
        assert!(must_be.into_iter().any(is_said), "{told}");
    }
}

#[test]
fn a_launch_that_is_async_in_the_wrong_world_is_told() {
    let told = told_of("async-handler", "(func $launch (param", "(func $launch (param");
    assert!(told.contains("as `func(") && told.contains("must be `async func("), "{told}");
    let told = told_of("handler", "(func $launch (param \"identifier\"", "(func $launch async (param \"identifier\"");
    assert!(told.contains("as `async func(") && told.contains("must be `func("), "{told}");
    let told = told_of("handler", "(func $activate (result", "(func $activate async (result");
    assert!(told.contains("as `async func() -> ") && told.contains("must be `func() -> "), "{told}");
}

#[test]
fn what_is_exported_in_place_of_a_function_and_types_of_any_length_are_told() {
    const HANDLER: &str = r#"(instance $handler (export "launch" (func $launch)))"#;
    let told = told_of("handler", HANDLER, r#"(instance $handler (export "launch" (instance $registration)))"#);
    assert!(told.contains("`launch` of `idlewild:background-tasks/handler@0.1.0` as something that is no function, which must be `func("), "{told}");
    let names: String = (0..500).map(|number| format!("\"name{number}\" ")).collect();
    let types = format!(
        r#"(type $mode' (enum {names})) (export $mode "mode" (type $mode'))
        (type $how' (flags "quick" "quiet")) (export $how "how" (type $how'))
        (func $launch (param "how" $how) (param "mode" $mode) (param "rest" (list (result (error u8))))"#
    );
    let with_types = r#"(instance $handler (export "how" (type $how)) (export "mode" (type $mode)) (export "launch" (func $launch)))"#;
    let text = written_text("", "(func $launch (param i32 i32 i32 i32) (result i32) i32.const 0)")
        .replace(r#"(func $launch (param "identifier" string) (param "input" (list u8))"#, &types)
        .replace(HANDLER, with_types);
    let told = House::new().examine(&wat(&text)).expect_err("its types are others").to_string();
    let begins = "as `func(how: flags { quick, quiet }, mode: enum { name0, name1, ";
    assert!(told.contains(begins) && told.contains(" …`, which must be") && told.len() < 600, "{told}");
}

#[test]
fn imports_that_are_not_offered_are_named() {
    let error = House::new().examine(&guest("imports_the_missing")).expect_err("a missing import");
    assert_eq!(error, ComponentError::UnknownImport("`test:missing/thing` with `ask`".to_owned()));
}

#[test]
fn what_register_does_wrong_is_told() {
    let settings = EngineSettings { register_time: Duration::from_millis(200), ..EngineSettings::default() };
    let house = House::with(settings, tempfile::tempdir().expect("a folder"));
    for (component, said) in [
        ("registers_nonsense", "`"),
        ("spins_in_register", "did not return within 0.2 s"),
        ("submits_in_register", "register may not submit"),
        ("subscribes_in_register", "expiration-poll.subscribe was called in register"),
        ("traps_in_register", "it printed:"),
    ] {
        let error = house.examine_as(component, &guest(component)).expect_err(component);
        assert!(matches!(&error, ComponentError::Register(message) if message.contains(said)), "{component}: {error}");
    }
}

#[test]
fn register_ends_with_its_fuel_too() {
    let settings = EngineSettings { register_fuel: 10_000_000, ..EngineSettings::default() };
    let house = House::with(settings, tempfile::tempdir().expect("a folder"));
    let error = house.examine(&guest("spins_in_register")).expect_err("it spins");
    assert!(error.to_string().contains("fuel"), "{error}");
}

#[test]
fn activate_succeeds_fails_and_traps_in_words() {
    let house = House::new();
    for (component, said) in [
        ("behaviours", None),
        ("async_behaviours", None),
        ("fails_to_activate", Some("on purpose")),
        ("traps_in_activate", Some("it printed: ")),
        ("awaits_in_activate", Some("awaited something in a function that is not async")),
        ("waits_in_activate", Some("expiration.wait was called in activate, where no task runs: call it in launch")),
    ] {
        house.install(component, &guest(component));
        let answer = house.activate(component);
        match said {
            None => assert_eq!(answer, Ok(())),
            Some(said) => assert!(matches!(&answer, Err(message) if message.contains(said)), "{answer:?}"),
        }
    }
    assert!(house.entries("logs").is_empty(), "what it printed is in the message");
}

#[test]
fn compiled_code_is_kept_and_damage_is_mended() {
    let settings = EngineSettings { linked_components: 1, ..EngineSettings::default() };
    let mut house = House::with(settings.clone(), tempfile::tempdir().expect("a folder"));
    assert_eq!(house.run("succeeds"), returned("some input"));
    let [kept] = &house.entries("cache")[..] else { panic!("one file is kept") };
    let whole = fs::read(kept).expect("readable");
    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    for damage in [flipped, whole[..whole.len() / 2].to_vec(), Vec::new(), b"foreign".to_vec()] {
        fs::write(kept, damage).expect("writable");
        house = House::with(settings.clone(), house.state);
        assert_eq!(house.run("succeeds"), returned("some input"));
        assert!(fs::read(kept).expect("readable") == whole, "it was compiled anew");
    }
    fs::remove_dir_all(house.state.path().join("cache")).expect("removable");
    house = House::with(settings, house.state);
    assert_eq!(house.run("succeeds"), returned("some input"));
    assert_eq!(house.entries("cache").len(), 1);
}

#[test]
fn kept_code_is_used_without_the_component() {
    let mut house = House::new();
    house.run("succeeds");
    fs::write(house.state.path().join("components/behaviours.wasm"), "no component any more").expect("writable");
    house = House::with(EngineSettings::default(), house.state);
    let task = house.launch("succeeds", allowance());
    assert_eq!(house.end(task).0, returned("some input"));
}

#[test]
fn wasi_of_a_version_that_is_not_offered_is_named() {
    let import = r#"(import "wasi:clocks/monotonic-clock@0.9.0" (instance (export "now" (func (result u64)))))"#;
    let component = written(import, "(func $launch (param i32 i32 i32 i32) (result i32) i32.const 0)");
    let error = House::new().examine(&component).expect_err("an old import");
    assert_eq!(error, ComponentError::UnknownImport("`wasi:clocks/monotonic-clock@0.9.0` with `now`".to_owned()));
}

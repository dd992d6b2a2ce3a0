//! A host that dies while a bundle changes: at each step it makes, and, for the real binary, whenever `kill -9` comes. What
//! the next start finds is the old or the new, whole, with nothing left over.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test may fail, and says where")]

use std::{
    collections::BTreeSet,
    fs,
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use idlewild::clock::{Clock as _, SystemClock};
use idlewild_tests::{Place, built_bundle};

/// Lets the host of `state` do something, and die at a step (0: never). Says what it printed; none when it died.
fn host(state: &Path, deed: &str, step: u64) -> Option<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_dying-host"))
        .arg(state)
        .args([deed, &step.to_string()])
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    match (output.status.code(), output.status.signal()) {
        (Some(0), None) => Some(String::from_utf8(output.stdout).unwrap()),
        (None, Some(9)) => None,
        other => panic!("{deed}, to die at step {step}: {other:?}"),
    }
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            copy_tree(&entry.path(), &target);
        } else if kind.is_file() {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn names(folder: &Path) -> BTreeSet<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// What stands in a state folder after a start: how many versions are kept, of which one is current, and nothing beside them.
fn assert_nothing_is_left_over(state: &Path, digest: Option<&str>, versions: usize, data: &[&str]) {
    let components = names(&state.join("components"));
    assert_eq!(components.len(), versions, "{components:?}");
    if let Some(digest) = digest {
        assert!(components.contains(&format!("{digest}.wasm")), "{digest} is not among {components:?}");
    }
    for compiled in names(&state.join("cache")) {
        let component = format!("{}.wasm", compiled.chars().take(64).collect::<String>());
        let names_a_digest = compiled.chars().take(64).all(|c| c.is_ascii_hexdigit());
        assert!(!names_a_digest || components.contains(&component), "{compiled} was compiled for nobody");
        assert!(!compiled.starts_with('.'), "{compiled} is half written");
    }
    assert!(names(&state.join("tmp")).is_empty());
    let kept = names(&state.join("data"));
    assert!(kept.iter().all(|name| data.contains(&name.as_str())), "{kept:?}");
}

#[test]
fn whichever_step_it_dies_at_the_state_is_the_old_or_the_new() {
    // What comes before, and what is done when the host dies.
    let stories: [(&[&str], &str); 12] = [
        (&[], "install"),
        (&["install"], "upgrade"),
        (&["install"], "upgrade-that-waits"),
        (&["install", "upgrade-that-waits"], "grant"),
        (&["install", "upgrade"], "revoke"),
        (&["install", "upgrade"], "rollback"),
        (&["install", "upgrade", "rollback"], "rollback"),
        (&["install"], "disable"),
        (&["install", "disable"], "enable"),
        (&["install", "upgrade"], "uninstall"),
        (&["install", "upgrade"], "uninstall-and-keep"),
        (&["install", "uninstall-and-keep"], "uninstall"),
    ];
    for (before, deed) in stories {
        let place = Place::new();
        let from = place.path("before/state");
        for deed in before {
            host(&from, deed, 0).unwrap();
        }
        let old = host(&from, "look", 0).unwrap();
        let to = place.path("after/state");
        copy_tree(&from, &to);
        host(&to, deed, 0).unwrap();
        let new = host(&to, "look", 0).unwrap();
        let mut became_new = false;
        let mut step = 1;
        loop {
            let state = place.path(&format!("{step}/state"));
            copy_tree(&from, &state);
            let died = host(&state, deed, step).is_none();
            let found = host(&state, "look", 0).unwrap();
            assert!(
                found == old || found == new,
                "{deed}, died at step {step}: found\n{found}between\n{old}and\n{new}"
            );
            assert!(!became_new || found == new, "{deed}, died at step {step}: it became new at an earlier one");
            became_new |= found == new && old != new;
            let current = found.lines().find_map(|line| line.split(", digest ").nth(1));
            let versions = match current {
                None => 0,
                Some(_) if found.contains("before None") => 1,
                Some(_) => 2,
            };
            let keeps_data =
                current.is_some() || deed == "uninstall-and-keep" || before.contains(&"uninstall-and-keep");
            let data: &[&str] = if keeps_data { &["com.example.dying"] } else { &[] };
            assert_nothing_is_left_over(&state, current, versions, data);
            if !died {
                break;
            }
            // It can be done again, or was done.
            let again = Command::new(env!("CARGO_BIN_EXE_dying-host"))
                .arg(&state)
                .args([deed, "0"])
                .stderr(Stdio::null())
                .output()
                .unwrap();
            assert!(again.status.success() || found == new, "{deed}, again after step {step}");
            step += 1;
        }
        eprintln!("{deed}: {} steps to die at", step - 1);
        assert!(step > 2, "{deed} has no step to die at");
        assert_eq!(became_new, old != new, "{deed} never came true");
    }
}

#[test]
fn data_nobody_kept_goes_with_its_bundle_though_the_host_dies() {
    for (deed, kept) in [("uninstall", false), ("uninstall-and-keep", true)] {
        let place = Place::new();
        let from = place.path("before/state");
        host(&from, "install", 0).unwrap();
        for step in 1.. {
            let state = place.path(&format!("{step}/state"));
            copy_tree(&from, &state);
            let died = host(&state, deed, step).is_none();
            let installed = !host(&state, "look", 0).unwrap().is_empty();
            assert_eq!(state.join("data/com.example.dying").exists(), installed || kept, "{deed}, step {step}");
            if !died {
                break;
            }
        }
    }
}

/// How many moments of each command are tried.
const MOMENTS: u32 = 12;

#[test]
fn the_binary_killed_at_any_moment_leaves_the_old_or_the_new() {
    let place = Place::new();
    let version = |version: &str| {
        let folder = place.copy_of_bundle("hello", version, |manifest| {
            let manifest = manifest.replace("0.1.0", version);
            format!("{manifest}\n[capabilities]\nconfig = [\"name\"]\n")
        });
        folder.to_str().unwrap().to_owned()
    };
    let (one, two) = (version("1.0.0"), version("2.0.0"));
    assert!(built_bundle("hello").exists());
    let stories: [(&[&[&str]], &[&str]); 5] = [
        (&[], &["install", &one, "--set", "name=Ada"]),
        (&[&["install", &one, "--set", "name=Ada"]], &["upgrade", &two]),
        (&[&["install", &one, "--set", "name=Ada"], &["upgrade", &two]], &["rollback", "com.example.hello"]),
        (&[&["install", &one]], &["grants", "com.example.hello", "--set", "name=Ada"]),
        (&[&["install", &one, "--set", "name=Ada"], &["upgrade", &two]], &["uninstall", "com.example.hello"]),
    ];
    let clock = SystemClock::start();
    for (before, deed) in stories {
        let from = Place::new();
        for command in before {
            from.ask_one(command);
        }
        if before.is_empty() {
            from.ask(&["bundles"]);
        }
        let stands = |place: &Place| {
            let mut pending = place.ask(&["pending"]);
            pending
                .iter_mut()
                .for_each(|waiting| waiting["record"] = waiting["record"]["request"]["identifier"].take());
            (place.ask(&["bundles"]), pending.len())
        };
        let old = stands(&from);
        let whole = Place::new();
        copy_tree(&from.state(), &whole.state());
        let began = clock.now().uptime;
        whole.ask_one(deed);
        let took = clock.now().uptime - began;
        let new = stands(&whole);
        for moment in 0..MOMENTS {
            let dying = Place::new();
            copy_tree(&from.state(), &dying.state());
            let mut child = dying.command(deed).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            wait(took * moment / MOMENTS);
            child.kill().unwrap();
            child.wait().unwrap();
            let found = stands(&dying);
            assert!(found == old || found == new, "{deed:?} killed at moment {moment}: {found:?}");
            let digest = found.0.first().and_then(|bundle| bundle["digest"].as_str());
            let versions = found.0.iter().map(|bundle| if bundle["previous"].is_null() { 1 } else { 2 }).sum();
            let data: &[&str] = if digest.is_some() { &["com.example.hello"] } else { &[] };
            assert_nothing_is_left_over(&dying.state(), digest, versions, data);
        }
    }
}

/// Lets another process go on for a while.
fn wait(time: Duration) {
    let (_nobody, silence) = mpsc::channel::<()>();
    let _ = silence.recv_timeout(time);
}

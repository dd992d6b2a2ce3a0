//! Compiling as people meet it: what they see of it, that the host goes on meanwhile, and that nothing is left of it.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test may fail, and says how long it took")]

use std::{fs, path::PathBuf, process::Stdio, thread, time::Duration};

use idlewild::clock::{self, Clock, SystemClock};
use idlewild_tests::{AT_EASE, Answer, Child, Place, Signal, StoppedChild, built_bundle, children, grown};

const LARGE: usize = 20 << 20;

/// The bundle `hello`, grown.
fn large(place: &Place) -> PathBuf {
    let bundle = place.copy_of_bundle("hello", "large", |manifest| manifest);
    let component = bundle.join("hello.wasm");
    fs::write(&component, grown(&fs::read(&component).unwrap(), LARGE)).unwrap();
    bundle
}

/// Looks until there is something to be seen.
fn seen<T>(mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..60_000 {
        if let Some(seen) = look() {
            return seen;
        }
        clock::pause(Duration::from_millis(2));
    }
    panic!("it was never seen");
}

fn child_of(parent: u32) -> Child {
    seen(|| children().into_iter().find(|child| child.parent == parent as i32))
}

/// Its child, stopped once it has bound itself: who expects it to be gone does not see it end by itself.
fn stopped_child_of(parent: u32) -> StoppedChild {
    let child = child_of(parent);
    seen(|| child.is_bound().then_some(()));
    let child = child.stop();
    seen(|| child.stat().first().is_some_and(|state| state == "T").then_some(()));
    child
}

fn gone(child: &Child) {
    seen(|| (!child.lives()).then_some(()));
}

#[test]
fn twenty_megabytes_install_and_whoever_waits_is_told_why() {
    let place = Place::new();
    let bundle = large(&place);
    let clock = SystemClock::start();
    let before = clock.now().uptime;
    let mut install = place.command(&["install", bundle.to_str().unwrap()]);
    let installing = install.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let child = child_of(installing.id());
    let mut peak = String::new();
    seen(|| {
        let status = fs::read_to_string(child.path("status")).unwrap_or_default();
        peak = status.lines().find(|line| line.starts_with("VmHWM:")).map(str::to_owned).unwrap_or(peak.clone());
        (!child.lives()).then_some(())
    });
    let answer = Answer::from(installing.wait_with_output().unwrap());
    eprintln!("{LARGE} bytes installed in {:?}; the child at its peak: {peak}", clock.now().uptime - before);
    assert_eq!(answer.stderr, "compiling com.example.hello 0.1.0 (20.0 MiB)\n");
    assert_eq!((answer.code, answer.text()), (Some(0), "com.example.hello 0.1.0 is installed, not signed\n"));
    place.run(&["uninstall", "com.example.hello"]);
    let components: Vec<_> = fs::read_dir(place.state().join("cache")).unwrap().collect();
    assert!(components.is_empty(), "the code goes with its bundle");
}

#[test]
fn a_host_works_on_while_it_compiles_and_tells_of_it_and_leaves_no_child_when_killed() {
    let place = Place::new();
    place.ask_one(&["install", built_bundle("behaviours").to_str().unwrap(), "--grant", &{
        format!("shared={}", place.folder("shared").display())
    }]);
    let bundle = large(&place);
    let mut host = place.serve(&[&AT_EASE[..], &[bundle.to_str().unwrap()]].concat());
    let compiling = host.wait_until("compiling", |_| true);
    assert_eq!(compiling["bundle"], "com.example.hello");
    assert!(compiling["bytes"].as_u64().unwrap() > LARGE as u64);
    let child = stopped_child_of(host.id());
    let submitted = place.ask_one(&["submit", "test.behaviours.succeeds"]);
    let ended = host.wait_until("ended", |event| event["identifier"] == "test.behaviours.succeeds");
    assert_eq!((ended["outcome"].as_str(), submitted["replaced"].as_bool()), (Some("succeeded"), Some(false)));
    assert!(child.lives(), "the host waits for it");
    host.kill();
    gone(&child);
    assert!(!place.ask(&["bundles"]).iter().any(|bundle| bundle["bundle"] == "com.example.hello"));
}

#[test]
fn a_host_that_is_asked_to_stop_ends_its_child_first() {
    let place = Place::new();
    let bundle = large(&place);
    let mut host = place.serve(&[bundle.to_str().unwrap()]);
    host.wait_until("compiling", |_| true);
    let child = stopped_child_of(host.id());
    host.signal(Signal::TERM);
    assert_eq!(host.end().code, Some(0));
    assert!(!child.lives());
    assert_eq!(place.ask(&["bundles"]), Vec::<serde_json::Value>::new());
}

#[test]
fn an_install_that_is_killed_leaves_no_child_and_nothing_installed() {
    let place = Place::new();
    let bundle = large(&place);
    let mut install = place.command(&["install", bundle.to_str().unwrap()]).spawn().unwrap();
    let child = stopped_child_of(install.id());
    install.kill().unwrap();
    install.wait().unwrap();
    gone(&child);
    assert_eq!(place.ask(&["bundles"]), Vec::<serde_json::Value>::new());
    let left = || fs::read_dir(place.state().join("cache")).unwrap().count();
    assert_eq!(left(), 0, "the next command has tidied up");
}

#[test]
fn programs_are_told_by_events_and_people_by_lines() {
    let place = Place::new();
    let component = fs::read(built_bundle("hello").join("hello.wasm")).unwrap();
    let bundle = place.copy_of_bundle("hello", "two", |manifest| manifest);
    fs::write(bundle.join("hello.wasm"), grown(&component, 2 << 20)).unwrap();
    let mut host = place.serve(&["--assume", "no-idle"]);
    host.ready();
    let asked =
        thread::scope(|scope| scope.spawn(|| place.run(&["install", bundle.to_str().unwrap(), "--json"])).join());
    let answer = asked.unwrap();
    assert_eq!((answer.code, answer.stderr.as_str(), answer.lines().len()), (Some(0), "", 1));
    for event in ["compiling", "compiled", "bundle-installed"] {
        assert_eq!(host.wait_until(event, |_| true)["bundle"], "com.example.hello");
    }
    // The code is there already.
    place.run(&["uninstall", "com.example.hello"]);
    // In the middle lies the code of a module, which only the compiler looks into.
    let mut broken = component.clone();
    broken[component.len() / 2..][..64].fill(0xff);
    fs::write(bundle.join("hello.wasm"), broken).unwrap();
    let refused = place.run(&["install", bundle.to_str().unwrap()]);
    assert_eq!(refused.code, Some(1));
    let told = host.wait_until("not-compiled", |_| true);
    assert!(refused.stderr.contains(told["message"].as_str().unwrap()), "{} / {told}", refused.stderr);
}

#[test]
fn a_bundle_of_compiled_code_is_refused() {
    let place = Place::new();
    place.ask_one(&["install", built_bundle("hello").to_str().unwrap()]);
    let kept = fs::read_dir(place.state().join("cache")).unwrap().next().unwrap().unwrap().path();
    let file = fs::read(kept).unwrap();
    let code = &file[file.windows(4).position(|bytes| bytes == b"\x7fELF").unwrap()..];
    let bundle = place.copy_of_bundle("hello", "compiled", |manifest| manifest);
    fs::write(bundle.join("hello.wasm"), code).unwrap();
    place.run(&["uninstall", "com.example.hello"]);
    let refused = place.run(&["install", bundle.to_str().unwrap()]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("it is compiled code already, which is taken from nobody"), "{}", refused.stderr);
    assert_eq!(place.ask(&["bundles"]), Vec::<serde_json::Value>::new());
}

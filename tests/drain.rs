//! A host that is asked to stop: what runs is told so, gets its grace, is recorded, and comes back.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use idlewild_tests::{HostProcess, Place, Signal, built_bundle};

const SIGNALS: [(Signal, i32); 2] = [(Signal::TERM, 143), (Signal::INT, 130)];

/// A place with the behaviours installed and one of them running.
fn running(behaviour: &str) -> (Place, HostProcess, String) {
    running_of("behaviours", behaviour)
}

/// The same, of either world.
fn running_of(bundle: &str, behaviour: &str) -> (Place, HostProcess, String) {
    let place = Place::new();
    let grant = format!("shared={}", place.folder("shared").display());
    place.ask_one(&["install", built_bundle(bundle).to_str().unwrap(), "--grant", &grant]);
    let identifier = format!("test.behaviours.{behaviour}");
    place.ask_one(&["submit", &identifier]);
    let mut host = place.serve_at_ease(&[]);
    host.wait_for("launched", &identifier);
    (place, host, identifier)
}

#[test]
fn a_running_task_tidies_up_and_comes_back() {
    let worlds = [
        ("behaviours", "polls-expiration", "tidied: host-stopping"),
        ("async-behaviours", "waits-for-its-end", ", then host-stopping"),
    ];
    for ((signal, _), (bundle, behaviour, said)) in SIGNALS.into_iter().zip(worlds) {
        let (place, mut host, identifier) = running_of(bundle, behaviour);
        host.signal(signal);
        host.wait_until("stopping", |notice| notice["running"] == 1);
        assert_eq!(host.wait_for("expiring", &identifier)["reason"], "host-stopping");
        let ended = host.wait_for("ended", &identifier);
        assert_eq!(ended["outcome"], "expired", "{ended}");
        assert_eq!(ended["handled"], true, "{ended}");
        assert!(ended["returned"]["output"]["text"].as_str().unwrap().ends_with(said), "{ended}");
        assert_eq!(ended["comes_back"], true, "{ended}");
        let end = host.end();
        assert_eq!((end.code, end.stderr.as_str()), (Some(0), ""));
        assert!(!place.state().join("host.sock").exists(), "the socket is taken away");

        let waiting = place.ask_one(&["pending"]);
        assert_eq!(waiting["record"]["attempt"], 2, "{waiting}");
        let mut host = place.serve_at_ease(&[]);
        let launched = host.wait_for("launched", &identifier);
        assert_eq!(launched["attempt"], 2, "{launched}");
        assert_eq!(launched["request"], waiting["record"]["id"], "{launched}");
        host.signal(signal);
        assert_eq!(host.end().code, Some(0));
    }
}

#[test]
fn a_host_with_nothing_to_do_stops_at_once() {
    for (signal, _) in SIGNALS {
        let place = Place::new();
        let host = place.serve_at_ease(&[]);
        host.signal(signal);
        let end = host.end();
        assert_eq!((end.code, end.stderr.as_str()), (Some(0), ""));
    }
}

#[test]
fn a_second_signal_stops_at_once() {
    for (signal, code) in SIGNALS {
        let (place, mut host, identifier) = running("ignores-expiration-awaiting");
        host.signal(signal);
        host.wait_for("expiring", &identifier);
        host.signal(signal);
        let end = host.end();
        assert_eq!(end.code, Some(code), "{}", end.stderr);
        assert!(end.events_of("ended", &identifier).is_empty(), "it did not wait for the grace to end");

        let interrupted = place.ask_one(&["tasks"]);
        assert_eq!(interrupted["ended"]["outcome"], "interrupted", "{interrupted}");
        assert_eq!(place.ask_one(&["pending"])["record"]["attempt"], 2);
    }
}

#[test]
fn a_task_that_heeds_nothing_is_stopped_by_force_after_its_grace() {
    let (place, mut host, identifier) = running("spins-calling");
    host.signal(Signal::TERM);
    let notice = host.wait_until("stopping", |_| true);
    assert_eq!(notice["grace_ms"], 5_000);
    let asked = host.wait_for("expiring", &identifier);
    let ended = host.wait_for("ended", &identifier);
    assert_eq!(ended["outcome"], "expired", "{ended}");
    assert_eq!(ended["handled"], false, "{ended}");
    assert_eq!(ended["comes_back"], true, "{ended}");
    let moment =
        |event: &serde_json::Value| event["at"].as_str().unwrap().parse::<idlewild::rules::Timestamp>().unwrap();
    let grace = moment(&ended).duration_since(moment(&asked));
    assert!((4..30).contains(&grace.as_secs()), "{grace:?}");
    assert_eq!(host.end().code, Some(0));

    let task = place.ask_one(&["tasks"]);
    assert_eq!((&task["ended"]["outcome"], &task["ended"]["handled"]), (&"expired".into(), &false.into()), "{task}");
    assert_eq!(place.ask_one(&["pending"])["record"]["attempt"], 2);
}

#[test]
fn nothing_is_launched_while_the_host_stops_and_it_is_still_answered() {
    let (place, mut host, identifier) = running("ignores-expiration-awaiting");
    host.signal(Signal::TERM);
    host.wait_for("expiring", &identifier);
    let accepted = place.ask_one(&["submit", "test.behaviours.succeeds"]);
    let end = host.end();
    assert_eq!(end.code, Some(0));
    assert!(end.events_of("launched", "test.behaviours.succeeds").is_empty());
    let mut host = place.serve_at_ease(&[]);
    let ended = host.wait_for("ended", "test.behaviours.succeeds");
    assert_eq!(ended["outcome"], "succeeded");
    let request = place.ask_one(&["tasks", "--identifier", "test.behaviours.succeeds"])["request"].clone();
    assert_eq!(request, accepted["request"]);
    host.signal(Signal::TERM);
    host.wait_for("expiring", &identifier);
    host.signal(Signal::TERM);
    assert_eq!(host.end().code, Some(143));
}

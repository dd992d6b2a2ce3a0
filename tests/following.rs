//! Requests followed to their end by the real command: its output, its exit code, and what it says meanwhile.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Stdio},
};

use idlewild_tests::{Answer, Place, Signal, built_bundle};
use rustix::process::{Pid, kill_process};
use serde_json::json;

const IDENTIFIER: &str = "test.behaviours.succeeds";

/// A place with the behaviours installed.
fn installed() -> Place {
    let place = Place::new();
    let grant = format!("shared={}", place.folder("shared").display());
    place.ask_one(&["install", built_bundle("behaviours").to_str().unwrap(), "--grant", &grant]);
    place
}

/// The command in a process of its own. It ends by itself once its host does.
fn begin(place: &Place, arguments: &[&str]) -> Child {
    place.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn end(child: Child) -> Answer {
    child.wait_with_output().unwrap().into()
}

#[test]
fn the_output_is_printed_as_it_is_and_the_exit_code_tells_the_outcome() {
    let place = installed();
    let host = place.serve_at_ease(&[]);
    let once = ["submit", IDENTIFIER, "--wait", "--input", "no line's end", "--key", "once"];
    // Made again under its key it is not made twice, and its end is known already.
    for _ in 0..2 {
        let answer = place.run(&once);
        assert_eq!((answer.code, answer.text(), answer.stderr.as_str()), (Some(0), "no line's end", ""));
    }
    assert_eq!(place.ask(&["tasks"]).len(), 1);
    let told = place.ask_one(&once);
    assert_eq!((&told["request"], &told["task"]["ended"]["output"]["text"]), (&json!(1), &json!("no line's end")));

    let failed = place.run(&["submit", "test.behaviours.fails", "--wait"]);
    assert_eq!((failed.code, failed.text()), (Some(3), ""));
    assert!(
        failed.stderr.starts_with("task 2 failed at ") && failed.stderr.ends_with(": failed on purpose\n"),
        "{failed:?}"
    );
    let trapped = place.run(&["submit", "test.behaviours.traps", "--wait", "--json"]);
    assert_eq!((trapped.code, &trapped.lines()[0]["task"]["ended"]["outcome"]), (Some(3), &json!("trapped")));
    // It fails once more before that is its end.
    let again = ["submit", "test.behaviours.fails", "--wait", "--attempts", "2", "--first-delay", "1ms"];
    let failed = place.run(&again);
    assert_eq!(failed.code, Some(3));
    assert!(failed.stderr.contains("task 5, attempt 2 failed at "), "{failed:?}");
    drop(host);
}

#[test]
fn says_why_it_waits_once_and_when_that_changes() {
    let place = installed();
    let host = place.serve_at_ease(&["--assume=no-idle", "--assume=no-network"]);
    let submit = ["submit", IDENTIFIER, "--requires-network", "--wait", "--input", "at last"];
    let mut waiting = begin(&place, &submit);
    let mut lines = BufReader::new(waiting.stderr.take().unwrap()).lines().map(Result::unwrap);
    let launch =
        format!("to run it now all the same: idlewild launch {IDENTIFIER} --force --state {}", place.state().display());
    let mut told = |reasons: &str| {
        assert_eq!(lines.next().unwrap(), format!("request 1 waits: {reasons}"));
        assert_eq!(lines.next().unwrap(), launch);
    };
    told("there is no network (stated); the machine is in use (stated)");
    place.ask(&["conditions", "network=yes"]);
    told("the machine is in use (stated)");
    // That changes nothing of it.
    place.ask(&["conditions", "charged=no"]);
    place.ask(&["conditions", "idle=yes"]);
    let answer = end(waiting);
    assert_eq!(lines.next(), None);
    assert_eq!((answer.code, answer.text()), (Some(0), "at last"));
    drop(host);
}

#[test]
fn who_no_longer_waits_takes_nothing_back() {
    let place = installed();
    let mut host = place.serve_at_ease(&["--assume=no-idle"]);
    let waiting = begin(&place, &["submit", IDENTIFIER, "--kind", "processing", "--wait"]);
    host.wait_for("waiting", IDENTIFIER);
    kill_process(Pid::from_child(&waiting), Signal::INT).unwrap();
    let left = end(waiting);
    assert_eq!((left.code, left.text()), (Some(130), ""));
    assert!(left.stderr.contains(&format!("request 1 of {IDENTIFIER} stays pending; see how it fares: idlewild why")));
    assert_eq!(place.ask_one(&["pending"])["record"]["id"], 1);
}

#[test]
fn what_others_make_of_a_request_is_told() {
    let place = installed();
    let mut host = place.serve_at_ease(&["--assume=no-idle"]);
    let submit = ["submit", IDENTIFIER, "--kind", "processing", "--wait"];
    let first = begin(&place, &submit);
    host.wait_for("waiting", IDENTIFIER);
    let second = begin(&place, &[&submit[..], &["--json"]].concat());
    host.wait_for("submitted", IDENTIFIER);
    let replaced = end(first);
    assert_eq!((replaced.code, replaced.text()), (Some(3), ""));
    assert!(replaced.stderr.ends_with("request 1 gave way to request 2 for the same identifier\n"), "{replaced:?}");
    host.wait_for("waiting", IDENTIFIER);
    place.ask(&["cancel", IDENTIFIER]);
    let cancelled = end(second);
    assert_eq!((cancelled.code, &cancelled.lines()[0]), (Some(3), &json!({"request": 2, "cancelled": "person"})));

    let mut third = begin(&place, &submit);
    let mut lines = BufReader::new(third.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.next().unwrap().starts_with("request 3 waits: "));
    host.kill();
    assert_eq!(end(third).code, Some(1));
    let said = format!("error: the host ended; request 3 of {IDENTIFIER} is as it left it");
    assert_eq!(lines.last(), Some(said));
}

#[test]
fn without_a_host_nothing_is_asked_for_that_nobody_would_do() {
    let place = installed();
    let answer = place.run(&["submit", IDENTIFIER, "--wait"]);
    assert_eq!(answer.code, Some(1));
    assert!(answer.stderr.starts_with("error: no host is running, so there is nothing to wait for: `idlewild serve"));
    assert!(place.ask(&["pending"]).is_empty());
}

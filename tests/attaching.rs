//! Attached is foreground, detached is background: told by the real host, whatever becomes of the client.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, Stdio},
};

use idlewild_tests::{Answer, HostProcess, Place, Signal, built_bundle};
use rustix::process::{Pid, kill_process};
use serde_json::Value;

/// Works until it is asked to stop.
const WORKS: &str = "test.behaviours.polls-expiration";

/// A place with the behaviours installed.
fn installed() -> Place {
    let place = Place::new();
    let grant = format!("shared={}", place.folder("shared").display());
    place.ask_one(&["install", built_bundle("behaviours").to_str().unwrap(), "--grant", &grant]);
    place
}

/// A host at ease in which continued work runs.
fn working(place: &Place) -> HostProcess {
    let mut host = place.serve_at_ease(&[]);
    place.ask_one(&["submit", WORKS, "--title", "Tidying", "--subtitle", "one shelf after the other"]);
    host.wait_for("launched", WORKS);
    host
}

/// A client in a process of its own, once the host has told that so many watch.
fn attach(place: &Place, host: &mut HostProcess, watchers: u64) -> Child {
    let client = place.command(&["attach", WORKS]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    assert_eq!(host.wait_for("attached", WORKS)["watchers"], watchers);
    client
}

fn end(child: Child) -> Answer {
    child.wait_with_output().unwrap().into()
}

fn still_runs(place: &Place) -> bool {
    place.ask_one(&["task", "1"])["ended"] == Value::Null
}

#[test]
fn a_client_that_is_killed_leaves_its_task_in_the_background() {
    let place = installed();
    let mut host = working(&place);
    let mut first = attach(&place, &mut host, 1);
    let mut second = attach(&place, &mut host, 2);
    first.kill().unwrap();
    assert_eq!(host.wait_for("detached", WORKS)["watchers"], 1);
    second.kill().unwrap();
    assert_eq!(host.wait_for("detached", WORKS)["watchers"], 0);
    first.wait().unwrap();
    second.wait().unwrap();
    assert!(still_runs(&place));
}

#[test]
fn who_detaches_leaves_the_task_as_it_is_and_who_stays_sees_its_end() {
    let place = installed();
    let mut host = working(&place);
    let leaves = attach(&place, &mut host, 1);
    kill_process(Pid::from_child(&leaves), Signal::INT).unwrap();
    let left = end(leaves);
    assert_eq!(left.code, Some(130), "{left:?}");
    let again = format!(
        "task 1 goes on in the background; watch it again: idlewild attach 1 --state {}\n",
        place.state().display()
    );
    assert_eq!(left.stderr, again);
    assert_eq!(host.wait_for("detached", WORKS)["watchers"], 0);
    assert!(still_runs(&place));

    let stays = attach(&place, &mut host, 1);
    place.ask(&["expire", WORKS, "--reason", "cancelled"]);
    let seen = end(stays);
    assert_eq!(seen.code, Some(3), "{seen:?}");
    let verbs: Vec<_> = seen.text().lines().map(|line| line.split_whitespace().nth(1).unwrap()).collect();
    assert_eq!(verbs, ["attached", "expiring", "expired"], "{}", seen.text());
    assert!(seen.text().trim_end().ends_with(": tidied: cancelled"), "{}", seen.text());
}

#[test]
fn a_host_that_stops_tells_those_who_watch() {
    let place = installed();
    let mut host = working(&place);
    let client = attach(&place, &mut host, 1);
    host.signal(Signal::TERM);
    assert_eq!(host.end().code, Some(0));
    let seen = end(client);
    assert_eq!(seen.code, Some(3), "{seen:?}");
    assert!(seen.text().contains("task 1: host-stopping"), "{seen:?}");

    let mut host = place.serve_at_ease(&[]);
    host.wait_for("launched", WORKS);
    let client = attach(&place, &mut host, 1);
    host.kill();
    let gone = end(client);
    assert_eq!((gone.code, gone.stderr.as_str()), (Some(1), "error: the host ended while task 2 was watched\n"));
}

#[test]
fn a_request_is_watched_from_its_launch_to_its_end() {
    let place = installed();
    let mut host = place.serve_at_ease(&["--assume=no-idle"]);
    let identifier = "test.behaviours.reports-progress";
    let submit = ["submit", identifier, "--title", "Counting", "--attach"];
    let answer = place.run(&submit);
    assert_eq!((answer.code, answer.stderr.as_str()), (Some(0), ""), "{answer:?}");
    assert!(answer.text().lines().last().unwrap().contains("succeeded"), "{}", answer.text());
    let answer = place.run(&[&submit[..], &["--json"]].concat());
    let lines = answer.lines();
    assert_eq!((answer.code, &lines.last().unwrap()["task"]["ended"]["outcome"]), (Some(0), &"succeeded".into()));

    let submit = ["submit", WORKS, "--kind", "processing", "--attach"];
    let client = place.command(&submit).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    host.wait_for("waiting", WORKS);
    place.ask(&["conditions", "idle=yes"]);
    host.wait_for("attached", WORKS);
    place.ask(&["expire", WORKS]);
    let seen = end(client);
    assert_eq!(seen.code, Some(3), "{seen:?}");
    assert!(seen.stderr.starts_with("request 3 waits: the machine is in use (stated)\n"), "{seen:?}");
    assert_eq!(seen.text().matches("expired ").count(), 1, "{}", seen.text());

    // It fails and comes back, and is watched on.
    let fails = ["submit", "test.behaviours.fails", "--attempts", "2", "--first-delay", "1ms", "--attach", "--json"];
    let answer = place.run(&fails);
    assert_eq!((answer.code, &answer.lines().last().unwrap()["task"]["attempt"]), (Some(3), &2.into()));
}

#[test]
fn what_does_not_run_cannot_be_watched() {
    let place = installed();
    let said = |arguments: &[&str], says: &str| {
        let answer = place.run(arguments);
        assert_eq!(answer.code, Some(1), "{answer:?}");
        assert!(answer.stderr.contains(says), "{answer:?}");
    };
    said(&["attach", "7"], "no host is running, so no task is: `idlewild serve --state ");
    said(&["submit", WORKS, "--attach"], "no host is running, so there is nothing to wait for");
    let host = place.serve_at_ease(&[]);
    said(&["attach", "7"], "task 7 does not run");
    said(&["attach", WORKS], "runs or waits: `idlewild submit test.behaviours.polls-expiration --attach --state ");
    said(&["attach", "test.behaviours.polls-expirations"], "did you mean test.behaviours.polls-expiration?");
    place.ask(&["submit", WORKS, "--in", "2h"]);
    said(&["attach", WORKS], "does not run yet: `idlewild why test.behaviours.polls-expiration --state ");
    drop(host);
}

#[test]
fn a_log_is_followed_while_it_grows_until_the_task_has_ended() {
    let place = installed();
    let mut host = place.serve_at_ease(&[]);
    // It says that it was asked to stop, and goes on until it is stopped.
    let identifier = "test.behaviours.ignores-expiration-awaiting";
    place.ask_one(&["submit", identifier, "--title", "Going on"]);
    host.wait_for("launched", identifier);
    let mut follows = place.command(&["logs", "-f", identifier]).stdout(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(follows.stdout.take().unwrap());
    place.ask(&["expire", identifier]);
    let mut line = String::new();
    log.read_line(&mut line).unwrap();
    assert_eq!(line, "asked to stop, going on\n");
    // It is told before the end, and more is waited for as long as there may be more.
    for _ in 0..2 {
        assert_eq!(follows.try_wait().unwrap(), None);
        assert!(still_runs(&place));
    }
    host.wait_for("ended", identifier);
    log.read_to_string(&mut line).unwrap();
    assert_eq!(follows.wait().unwrap().code(), Some(0));
    let whole = place.run(&["logs", "1"]);
    assert_eq!(line, whole.text());

    let again = place.run(&["logs", "--follow", "1"]);
    assert_eq!((again.code, again.text()), (Some(0), whole.text()));
    let unknown = place.run(&["logs", "--follow", "7"]);
    assert_eq!(unknown.code, Some(1));
    assert!(unknown.stderr.contains("no task 7 is known"), "{unknown:?}");
    drop(host);
    assert_eq!(place.run(&["logs", "-f", "1"]).text(), whole.text());
}

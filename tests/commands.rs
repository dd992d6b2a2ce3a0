//! Commands from outside: the same with a host and without one, and what tasks make of them end to end.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

#[path = "commands/asking.rs"]
mod asking;

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Stdio};

use idlewild::{
    api::{Client, ClientError, wire},
    rules::Condition,
};
use idlewild_tests::{HostEnd, Place, Signal, built_bundle};
use serde_json::{Value, json};

/// A place with the behaviours installed.
fn installed() -> Place {
    let place = Place::new();
    assert_eq!(install(&place, &built_bundle("behaviours"))["changed"], true);
    place
}

fn install(place: &Place, bundle: &Path) -> Value {
    let grant = format!("shared={}", place.folder("shared").display());
    place.ask_one(&["install", bundle.to_str().unwrap(), "--grant", &grant])
}

/// Submits, and serves until nothing is left to do.
fn run_to_end(place: &Place, submissions: &[&[&str]]) -> HostEnd {
    for submission in submissions {
        place.ask_one(&[&["submit"], *submission].concat());
    }
    place.serve_at_ease(&["--exit-when-done"]).end()
}

fn stop(host: idlewild_tests::HostProcess) -> HostEnd {
    host.signal(Signal::TERM);
    let end = host.end();
    assert_eq!((end.code, end.stderr.as_str()), (Some(0), ""));
    end
}

/// What is not the same twice, or depends on whether a host runs, is taken out.
fn without_the_moment(value: &mut Value, place: &str) {
    match value {
        Value::Object(members) => {
            for moment in ["at", "since", "read_at", "launched_at", "submitted_at", "earliest_begin", "floor", "usage"]
            {
                if let Some(moment) = members.get_mut(moment) {
                    *moment = json!(moment.is_null());
                }
            }
            // Without a host nothing is launched, which is a reason; and what the machine is like changes.
            for passing in ["reasons", "smallest_change", "looked_at", "source", "holds"] {
                members.remove(passing);
            }
            members.values_mut().for_each(|member| without_the_moment(member, place));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| without_the_moment(item, place)),
        Value::String(text) => *text = text.replace(place, "PLACE"),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[test]
fn each_command_gives_the_same_json_with_a_host_and_without() {
    let story: [&[&str]; 19] = [
        &["bundles"],
        &["submit", "test.behaviours.fails", "--requires-network", "--in", "2h", "--input", "say it"],
        &["submit", "test.behaviours.fails", "--requires-external-power", "--in", "3h", "--priority", "high"],
        &["submit", "test.behaviours.exits", "--at", "2100-01-01T00:00:00Z", "--run-after", "test.behaviours.fails"],
        &["pending"],
        &["pending", "--limit", "1"],
        &["why", "test.behaviours.exits"],
        &["why", "test.behaviours.succeeds"],
        &["cancel", "test.behaviours.fails"],
        &["cancel", "test.behaviours.fails"],
        &["tasks"],
        &["tasks", "--identifier", "test.behaviours.traps", "--bundle", "test.behaviours", "--limit", "1"],
        &["task", "1"],
        &["logs", "1"],
        &["logs", "test.behaviours.traps"],
        &["conditions"],
        &["uninstall", "test.behaviours"],
        &["bundles"],
        &["tasks"],
    ];
    let tell = |hosted: bool| -> Vec<Vec<Value>> {
        let place = installed();
        assert_eq!(install(&place, &built_bundle("behaviours"))["changed"], false);
        assert_eq!(run_to_end(&place, &[&["test.behaviours.succeeds"]]).code, Some(0));
        assert_eq!(run_to_end(&place, &[&["test.behaviours.traps"]]).code, Some(3));
        let host = hosted.then(|| place.serve_at_ease(&[]));
        let mut told: Vec<_> = story.iter().map(|command| place.ask(command)).collect();
        let path = place.path("");
        told.iter_mut().flatten().for_each(|line| without_the_moment(line, path.to_str().unwrap()));
        host.map(stop);
        told
    };
    let (without, with) = (tell(false), tell(true));
    for ((command, without), with) in story.iter().zip(&without).zip(&with) {
        assert_eq!(without, with, "{command:?}");
    }
    let told = |index: usize| &without[index];
    assert_eq!((&told(1)[0]["replaced"], &told(2)[0]["replaced"]), (&json!(false), &json!(true)));
    assert_eq!(told(4).len(), 2, "{:?}", told(4));
    assert_eq!(told(5).len(), 1);
    assert_eq!(told(6)[0]["waiting"][0]["record"]["request"]["run_after"], json!(["test.behaviours.fails"]));
    assert_eq!(told(7)[0]["last"]["ended"]["outcome"], "succeeded");
    let cancelled = |number: u32| json!({"cancelled": number, "expired": 0, "ended": 0});
    assert_eq!((&told(8)[0], &told(9)[0]), (&cancelled(1), &cancelled(0)));
    assert_eq!(told(10).len(), 2, "{:?}", told(10));
    assert_eq!(told(13)[0]["log"]["text"], "a line on standard output\na line on standard error\n");
    assert!(told(14)[0]["log"]["text"].as_str().unwrap().contains("trapped on purpose"));
    assert_eq!(told(15).len(), Condition::ALL.len(), "{:?}", told(15));
    assert_eq!(told(16)[0], json!({"bundle": "test.behaviours", "cancelled": 1, "expired": 0, "kept_data": false}));
    assert!(told(17).is_empty());
}

#[test]
fn a_second_installation_is_said_to_be_one_and_an_upgrade_cancels_what_is_no_longer_permitted() {
    for hosted in [false, true] {
        let place = installed();
        let host = hosted.then(|| place.serve_at_ease(&[]));
        let grant = format!("shared={}", place.path("shared").display());
        let again = place.run(&["install", built_bundle("behaviours").to_str().unwrap(), "--grant", &grant]);
        assert_eq!(again.code, Some(0), "{}", again.stderr);
        assert_eq!(again.text(), "test.behaviours 0.1.0 was installed already, with the same grants\n");

        let kept = place.ask_one(&["submit", "test.behaviours.fails", "--in", "2h"])["request"].clone();
        place.ask_one(&["submit", "test.behaviours.exits", "--kind", "processing", "--in", "2h"]);
        let fetch_only = place.copy_of_bundle("behaviours", "fetch-only", |manifest| {
            manifest.replace("[\"fetch\", \"processing\"]", "[\"fetch\"]").replace("0.1.0", "0.2.0")
        });
        let installed = install(&place, &fetch_only);
        assert_eq!((&installed["version"], &installed["before"]), (&json!("0.2.0"), &json!("0.1.0")));
        assert_eq!(installed["cancelled"], 1, "{installed}");
        let pending = place.ask_one(&["pending"]);
        assert_eq!(pending["record"]["id"], kept, "{pending}");
        let components = fs::read_dir(place.state().join("components")).unwrap().count();
        assert_eq!(components, 2, "the old version's component is kept for a rollback");
        let noted = place.ask(&["history", "--identifier", "test.behaviours.exits"]);
        assert_eq!(
            (&noted[0]["what"], &noted[0]["detail"]),
            (&json!("cancelled"), &json!("bundle-changed")),
            "{noted:?}"
        );
        if let Some(host) = host {
            let end = stop(host);
            let cancelled = end.events_of("cancelled", "test.behaviours.exits");
            assert_eq!(cancelled[0]["cause"], "bundle-changed", "{cancelled:?}");
        }

        // What the manifest no longer permits is refused, with the original framework's number.
        let refused = place.run(&["submit", "test.behaviours.exits", "--kind", "processing"]);
        assert_eq!(refused.code, Some(1));
        assert_eq!(refused.stderr, "error: processing needs `processing` among the bundle's background-modes\n");
        let host = place.serve_at_ease(&[]);
        let client = Client::Socket(place.state().join("host.sock"));
        let request: wire::Request =
            serde_json::from_value(json!({"identifier": "test.behaviours.exits", "kind": "processing"})).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let answer = runtime.block_on(client.post::<wire::Submission>("/v1/requests", &request));
        let Err(ClientError::Problem(problem)) = answer else { panic!("{answer:?}") };
        assert_eq!((problem.status, problem.code.as_str(), problem.number), (403, "not-permitted", Some(3)));
        stop(host);
    }
}

#[test]
fn uninstalling_cancels_expires_and_drops_the_data() {
    let place = installed();
    assert_eq!(run_to_end(&place, &[&["test.behaviours.remembers"]]).code, Some(0));
    assert_eq!(fs::read_to_string(place.state().join("data/test.behaviours/count")).unwrap(), "1");
    let mut host = place.serve_at_ease(&[]);
    place.ask_one(&["submit", "test.behaviours.fails", "--in", "2h"]);
    place.ask_one(&["submit", "test.behaviours.polls-expiration"]);
    host.wait_for("launched", "test.behaviours.polls-expiration");
    let removed = place.ask_one(&["uninstall", "test.behaviours"]);
    assert_eq!(removed, json!({"bundle": "test.behaviours", "cancelled": 1, "expired": 1, "kept_data": false}));
    let ended = host.wait_for("ended", "test.behaviours.polls-expiration");
    assert_eq!((&ended["reason"], &ended["handled"]), (&json!("bundle-removed"), &json!(true)), "{ended}");
    assert_eq!(ended["comes_back"], false, "{ended}");
    let end = stop(host);
    assert_eq!(end.events_of("cancelled", "test.behaviours.fails")[0]["cause"], "bundle-removed");

    assert!(place.ask(&["bundles"]).is_empty());
    assert!(place.ask(&["pending"]).is_empty());
    for folder in ["components", "data"] {
        assert_eq!(fs::read_dir(place.state().join(folder)).unwrap().count(), 0, "{folder}");
    }
    install(&place, &built_bundle("behaviours"));
    let end = run_to_end(&place, &[&["test.behaviours.remembers"]]);
    assert_eq!(end.events_of("ended", "test.behaviours.remembers")[0]["output"]["text"], "1");
}

#[test]
fn state_and_socket_are_their_owners_alone() {
    let place = Place::new();
    let host = place.serve_at_ease(&[]);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&place.state()), 0o700);
    assert_eq!(mode(&place.state().join("host.sock")), 0o600);
    // What a killed host leaves behind hinders neither a command nor the next host.
    host.kill();
    assert!(place.state().join("host.sock").exists());
    assert!(place.ask(&["bundles"]).is_empty());
    let host = place.serve_at_ease(&[]);
    assert!(place.ask(&["bundles"]).is_empty());
    assert_eq!(mode(&place.state().join("host.sock")), 0o600);
    stop(host);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let place = installed();
    for command in [&["bundles"][..], &["bundles", "--json"], &["conditions"], &["why", "test.behaviours.fails"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let answer = place.command(command).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        let stderr = String::from_utf8(answer.stderr).unwrap();
        assert_eq!((answer.status.code(), stderr.as_str()), (Some(0), ""), "{command:?}");
    }
}

#[test]
fn outcomes_are_told_with_their_cause() {
    let place = installed();
    let processing: &[&str] = &["test.behaviours.submits-not-permitted", "--kind", "processing"];
    let end = run_to_end(
        &place,
        &[
            &["test.behaviours.succeeds", "--input", "some input"],
            &["test.behaviours.fails"],
            &["test.behaviours.traps"],
            &["test.behaviours.resubmits"],
            processing,
        ],
    );
    assert_eq!(end.code, Some(3), "not every task succeeded");
    let ended = |identifier: &str| {
        let events = end.events_of("ended", identifier);
        assert_eq!(events.len(), 1, "{identifier}: {events:?}");
        events[0].clone()
    };
    assert_eq!(ended("test.behaviours.succeeds")["output"]["text"], "some input");
    let failed = ended("test.behaviours.fails");
    assert_eq!((&failed["outcome"], &failed["message"]), (&json!("failed"), &json!("failed on purpose")));
    let trapped = ended("test.behaviours.traps");
    assert_eq!(trapped["outcome"], "trapped");
    assert!(trapped["message"].as_str().unwrap().starts_with("the guest reached code it holds to be unreachable"));
    assert!(place.run(&["logs", "test.behaviours.traps"]).text().contains("trapped on purpose"));
    assert_eq!(ended("test.behaviours.submits-not-permitted")["output"]["text"], "not-permitted");

    // It asked for its next run, a minute later; a person's request takes the place of that one.
    assert_eq!(ended("test.behaviours.resubmits")["output"]["text"], "replaced: false");
    assert_eq!(place.ask_one(&["pending"])["record"]["request"]["identifier"], "test.behaviours.resubmits");
    let said = place.run(&["submit", "test.behaviours.resubmits"]);
    assert!(said.text().contains("is accepted, in place of an earlier one"), "{}", said.text());
    assert!(said.text().contains("no host is running: it waits for `idlewild serve --state "), "{}", said.text());
}

#[test]
fn what_runs_after_another_waits_until_that_has_succeeded() {
    let place = installed();
    let after = "test.behaviours.reports-attempt";
    let mut host = place.serve_at_ease(&[]);
    place.ask_one(&[
        "submit",
        after,
        "--run-after",
        "test.behaviours.succeeds",
        "--run-after",
        "test.behaviours.remembers",
    ]);
    let waiting = host.wait_for("waiting", after);
    let reasons: Vec<&Value> = waiting["reasons"].as_array().unwrap().iter().map(|reason| &reason["code"]).collect();
    assert_eq!(reasons, ["run-after", "run-after"], "{waiting}");
    place.ask_one(&["submit", "test.behaviours.remembers"]);
    host.wait_for("ended", "test.behaviours.remembers");
    let why = place.ask_one(&["why", after]);
    assert_eq!(why["waiting"][0]["reasons"].as_array().unwrap().len(), 1, "{why}");
    assert_eq!(why["waiting"][0]["reasons"][0]["identifier"], "test.behaviours.succeeds");
    place.ask_one(&["submit", "test.behaviours.succeeds"]);
    assert_eq!(host.wait_for("ended", after)["output"]["text"], "attempt 1 task 3 app-refresh");
    stop(host);
}

#[test]
fn processing_waits_for_what_a_person_states_and_expires_when_it_is_gone() {
    let place = installed();
    let identifier = "test.behaviours.polls-expiration";
    let mut host = place.serve(&["--assume", "no-idle", "--assume", "external-power", "--assume", "network"]);
    host.ready();
    place.ask_one(&["submit", identifier, "--kind", "processing"]);
    let waiting = host.wait_for("waiting", identifier);
    assert_eq!(waiting["reasons"][0]["code"], "not-idle", "{waiting}");
    let told = place.run(&["why", identifier]);
    assert!(told.text().contains("idlewild conditions idle=yes"), "{}", told.text());
    place.ask(&["conditions", "idle=yes"]);
    host.wait_for("launched", identifier);
    place.ask(&["conditions", "idle=no"]);
    assert_eq!(host.wait_for("expiring", identifier)["reason"], "conditions-lost");
    assert_eq!(host.wait_for("ended", identifier)["returned"]["output"]["text"], "tidied: conditions-lost");
    stop(host);
}

#[test]
fn every_condition_is_stated_and_released_by_hand() {
    let place = Place::new();
    let mut host = place.serve(&[]);
    host.ready();
    let all = |value: &str| -> Vec<Value> {
        let statements: Vec<String> = Condition::ALL.iter().map(|condition| format!("{condition}={value}")).collect();
        let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
        let told = place.ask(&[&["conditions"], statements.as_slice()].concat());
        let named: Vec<&str> = told.iter().map(|one| one["condition"].as_str().unwrap()).collect();
        assert_eq!(named, Condition::ALL.iter().map(|condition| condition.as_str()).collect::<Vec<_>>());
        told
    };
    for (value, holds) in [("no", false), ("yes", true)] {
        for told in all(value) {
            assert_eq!((&told["holds"], &told["source"]), (&json!(holds), &json!("stated")), "{told}");
        }
    }
    for told in all("auto") {
        assert_ne!(told["source"], "stated", "{told}");
        assert!(!told["source"].as_str().unwrap().is_empty(), "{told}");
    }
    place.ask(&["conditions", "cool=no"]);
    let shown = place.run(&["conditions"]).text().to_owned();
    let cool = shown.lines().find(|line| line.starts_with("cool")).unwrap();
    assert!(cool.contains(" no ") && cool.contains(" ago ") && cool.ends_with("stated"), "{shown}");
    stop(host);
}

#[test]
fn schedules_are_made_shown_and_removed_with_a_host_and_without() {
    let place = installed();
    let identifier = "test.behaviours.succeeds";
    let add =
        ["schedule", "add", "nightly", identifier, "30 2 * * *", "--time-zone", "Europe/Berlin", "--jitter", "10m"];
    let said = place.run(&add);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    assert!(said.text().starts_with("schedule test.behaviours:nightly is added\nit comes next: "), "{}", said.text());
    assert!(said.text().contains("no host is running: it waits for `idlewild serve --state "), "{}", said.text());
    let alone = place.ask(&["schedule", "list"]);
    assert_eq!(place.ask_one(&add)["changed"], false, "once more changes nothing");

    let host = place.serve_at_ease(&[]);
    let mut hosted = place.ask(&["schedule", "list"]);
    assert_eq!(hosted, alone);
    let schedule = hosted.remove(0);
    assert_eq!((&schedule["state"], &schedule["kind"]), (&json!("enabled"), &json!("app-refresh")));
    assert_eq!(schedule["next"].as_array().unwrap().len(), 5);
    let next = place.ask(&["schedule", "next", "test.behaviours:nightly", "--count", "2"]);
    assert_eq!(next[..], schedule["next"].as_array().unwrap()[..2]);
    assert!(next[0]["local"].as_str().unwrap().contains(" 02:30:00 +0"), "{next:?}");
    assert!(next[0]["begins"].as_str().unwrap() > next[0]["at"].as_str().unwrap(), "{next:?}");
    let said = place.run(&["schedule", "next", "test.behaviours:nightly"]);
    assert!(said.text().starts_with("IN Europe/Berlin"), "{}", said.text());
    assert_eq!(place.ask_one(&["schedule", "disable", "test.behaviours:nightly"])["changed"], true);
    let said = place.run(&["schedule", "list"]);
    let row = said.text().lines().nth(1).unwrap();
    assert!(row.starts_with("test.behaviours:nightly  test.behaviours.succeeds  30 2 * * *"), "{row}");
    assert!(row.ends_with("skip    operator  disabled"), "{row}");
    let end = stop(host);
    let news: Vec<_> = end.events_of("schedule", identifier).iter().map(|event| event["what"].clone()).collect();
    assert_eq!(news, ["disabled"]);
    let history = place.ask(&["history", "--identifier", identifier]);
    let words: Vec<_> = history.iter().map(|entry| entry["what"].clone()).collect();
    assert_eq!(words, ["schedule-disabled", "schedule-added"]);
    assert_eq!(place.ask_one(&["schedule", "remove", "test.behaviours:nightly"])["changed"], true);
    assert_eq!(place.run(&["schedule", "list"]).text(), "there is no schedule\n");
}

#[test]
fn what_cannot_be_scheduled_is_answered_with_what_can() {
    let place = installed();
    place.ask_one(&["schedule", "add", "nightly", "test.behaviours.succeeds", "@daily"]);
    let cases: [(&[&str], i32, &str); 8] = [
        (&["add", "x", "test.behaviours.sucseeds", "@daily"], 1, "did you mean test.behaviours.succeeds?"),
        (&["add", "x", "test.behaviours.succeeds", "0 25 * * *"], 2, "its hours are `25`, and may be `*` or 0 to 23"),
        (&["add", "X", "test.behaviours.succeeds", "@daily"], 2, "lower-case letters, digits and hyphens"),
        (
            &["add", "x", "test.behaviours.succeeds", "@daily", "--time-zone", "Europe/Berln"],
            1,
            "this machine knows no time zone Europe/Berln; did you mean Europe/Berlin?",
        ),
        (
            &["add", "x", "test.behaviours.succeeds", "*/5 * * * *", "--jitter", "5m"],
            1,
            "the jitter of schedule x is 5m, and its runs can be only 5m apart",
        ),
        (&["remove", "test.behaviours:nigthly"], 1, "did you mean test.behaviours:nightly?"),
        (&["next", "test.behaviours:nigthly"], 1, "did you mean test.behaviours:nightly?"),
        (&["enable", "nightly"], 2, "write its bundle's id, a colon and its name, such as com.example.gallery:nightly"),
    ];
    for (arguments, code, message) in cases {
        let answer = place.run(&[&["schedule"], arguments].concat());
        assert_eq!(answer.code, Some(code), "{arguments:?}: {}", answer.stderr);
        assert!(answer.stderr.contains(message), "{arguments:?}: {}", answer.stderr);
    }
}

#[test]
fn schedules_of_a_manifest_are_inspected_installed_and_stay_the_manifests() {
    let place = Place::new();
    let with = |schedule: &str| {
        let schedule = schedule.to_owned();
        place.copy_of_bundle("behaviours", "scheduled", move |manifest| {
            format!(
                "{manifest}\n[[schedules]]\nname = \"nightly\"\nidentifier = \"test.behaviours.succeeds\"\n{schedule}"
            )
        })
    };
    let install = |path: &Path| {
        let grant = format!("shared={}", place.folder("shared").display());
        place.run(&["install", path.to_str().unwrap(), "--grant", &grant])
    };
    let bundle = with("calendar = \"@daily\"\ntime-zone = \"Europe/Berln\"\n");
    let refused = install(&bundle);
    assert_eq!(refused.code, Some(1));
    let message = "bundle test.behaviours: schedule nightly: this machine knows no time zone Europe/Berln; did you mean Europe/Berlin?";
    assert!(refused.stderr.contains(message), "{}", refused.stderr);
    let bundle = with("calendar = \"30 2 * * *\"\nmissed = \"once\"\njitter = \"10m\"\n");
    let said = place.run(&["inspect", bundle.to_str().unwrap()]);
    let line = "schedules     nightly: 30 2 * * * UTC, test.behaviours.succeeds as app-refresh, missed once, jitter 10 min 0 s";
    assert!(said.text().contains(line), "{}", said.text());
    let installed = install(&bundle);
    assert_eq!(installed.code, Some(0), "{}", installed.stderr);
    assert_eq!(place.ask_one(&["schedule", "list"])["origin"], "manifest");
    let refused = place.run(&["schedule", "remove", "test.behaviours:nightly"]);
    assert!(
        refused.stderr.contains("`idlewild schedule disable test.behaviours:nightly` keeps it from running"),
        "{}",
        refused.stderr
    );
}

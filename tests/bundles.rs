//! The life of a bundle from outside: versions come and go, grants are given and taken back, and what waits says why.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{fs, path::PathBuf};

use idlewild_tests::{HostEnd, HostProcess, Place, Signal, built_bundle};
use serde_json::{Value, json};

const HELLO: &str = "com.example.hello";
const GREET: &str = "com.example.hello.greet";

fn version_of_hello(place: &Place, version: &str) -> PathBuf {
    place.copy_of_bundle("hello", &format!("hello-{version}"), |manifest| manifest.replace("0.1.0", version))
}

fn text(path: &std::path::Path) -> &str {
    path.to_str().unwrap()
}

fn stop(host: HostProcess) -> HostEnd {
    host.signal(Signal::TERM);
    let end = host.end();
    assert_eq!((end.code, end.stderr.as_str()), (Some(0), ""));
    end
}

/// A command that must fail, and what it says.
fn refused(place: &Place, arguments: &[&str]) -> String {
    let answer = place.run(arguments);
    assert_eq!(answer.code, Some(1), "{arguments:?}: {}{}", answer.text(), answer.stderr);
    answer.stderr
}

fn components(place: &Place) -> usize {
    fs::read_dir(place.state().join("components")).unwrap().count()
}

#[test]
fn a_version_takes_the_place_of_another_and_goes_back() {
    for hosted in [false, true] {
        let place = Place::new();
        let (one, two) = (version_of_hello(&place, "1.0.0"), version_of_hello(&place, "1.1.0"));
        let host = hosted.then(|| place.serve_at_ease(&[]));
        let nothing = refused(&place, &["upgrade", text(&one)]);
        assert!(nothing.contains("is not installed, so there is nothing to upgrade"), "{nothing}");
        let installed = place.ask_one(&["install", text(&one)]);
        assert_eq!((&installed["before"], &installed["state"]), (&Value::Null, &json!("enabled")), "{installed}");
        let none = refused(&place, &["rollback", HELLO]);
        assert!(none.contains("has no version before 1.0.0 to go back to"), "{none}");

        let upgraded = place.ask_one(&["upgrade", text(&two)]);
        assert_eq!((&upgraded["version"], &upgraded["before"]), (&json!("1.1.0"), &json!("1.0.0")), "{upgraded}");
        assert_eq!(place.ask_one(&["upgrade", text(&two)])["changed"], false);
        let older = refused(&place, &["install", text(&one)]);
        assert!(older.contains("version 1.0.0 is older than 1.1.0") && older.contains("--allow-downgrade"), "{older}");
        assert!(older.contains("`idlewild rollback com.example.hello`"), "{older}");
        for (version, previous) in [("1.0.0", "1.1.0"), ("1.1.0", "1.0.0")] {
            assert_eq!(place.ask_one(&["rollback", HELLO])["version"], version);
            let bundle = place.ask_one(&["bundles"]);
            assert_eq!((&bundle["version"], &bundle["previous"]), (&json!(version), &json!(previous)), "{bundle}");
            assert_eq!(bundle["pending"], 1, "its activate submits, and replaces what it had submitted");
            assert_eq!(components(&place), 2);
        }
        assert_eq!(place.ask_one(&["install", text(&one), "--allow-downgrade"])["version"], "1.0.0");

        let rebuilt = place.copy_of_bundle("hello", "rebuilt", |manifest| {
            format!("# built anew\n{}", manifest.replace("0.1.0", "1.0.0"))
        });
        let said = place.run(&["install", text(&rebuilt)]);
        assert_eq!(
            said.text(),
            "com.example.hello 1.0.0 is installed, in place of another build of that version, not signed\n"
        );
        assert_eq!(components(&place), 2, "only the version before is kept");
        host.map(stop);
    }
}

#[test]
fn what_is_asked_and_not_granted_is_waited_for_by_name() {
    let place = Place::new();
    let mut host = place.serve_at_ease(&[]);
    let installed = place.ask_one(&["install", text(&built_bundle("behaviours"))]);
    assert_eq!(installed["state"], "waiting-for-grants", "{installed}");
    assert_eq!(installed["missing"][0]["option"], "--grant shared=PATH");
    place.ask_one(&["submit", "test.behaviours.succeeds"]);
    let waiting = host.wait_for("waiting", "test.behaviours.succeeds");
    assert_eq!(waiting["reasons"][0]["code"], "not-granted", "{waiting}");
    let why = place.run(&["why", "test.behaviours.succeeds"]);
    let reason = "its bundle test.behaviours asks to write the folder `shared`, which is not granted, since ";
    assert!(why.text().contains(reason), "{}", why.text());
    assert!(why.text().contains("idlewild grants test.behaviours --grant shared=PATH --state"), "{}", why.text());
    let listed = place.run(&["grants", "test.behaviours"]);
    assert!(listed.text().contains("to write the folder `shared`  missing\n"), "{}", listed.text());
    let unknown = refused(&place, &["grants", "test.behaviours", "--revoke", "shared"]);
    assert!(unknown.contains("nothing named `shared` is granted"), "{unknown}");

    let shared = format!("shared={}", place.folder("shared").display());
    let granted = place.ask_one(&["grants", "test.behaviours", "--grant", &shared]);
    assert_eq!((&granted["changed"], &granted["state"]), (&json!(true), &json!("enabled")), "{granted}");
    host.wait_for("launched", "test.behaviours.succeeds");
    assert_eq!(place.ask_one(&["grants", "test.behaviours", "--grant", &shared])["changed"], false);

    // What runs keeps what it has; what is launched later waits again.
    place.ask_one(&["submit", "test.behaviours.polls-expiration"]);
    host.wait_for("launched", "test.behaviours.polls-expiration");
    let revoked = place.ask_one(&["grants", "test.behaviours", "--revoke", "shared"]);
    assert_eq!((&revoked["state"], &revoked["running"]), (&json!("waiting-for-grants"), &json!(1)), "{revoked}");
    place.ask_one(&["submit", "test.behaviours.fails"]);
    assert_eq!(place.ask_one(&["why", "test.behaviours.fails"])["waiting"][0]["reasons"][0]["code"], "not-granted");
    stop(host);
}

#[test]
fn a_new_version_that_asks_for_more_waits_with_what_was_pending() {
    let place = Place::new();
    place.ask_one(&["install", text(&version_of_hello(&place, "1.0.0"))]);
    let pending = place.ask_one(&["pending"])["record"]["id"].clone();
    let asking = place.copy_of_bundle("hello", "asking", |manifest| {
        format!("{}\n[capabilities]\nconfig = [\"name\"]\n", manifest.replace("0.1.0", "1.1.0"))
    });
    let upgraded = place.ask_one(&["upgrade", text(&asking)]);
    assert_eq!(upgraded["state"], "waiting-for-grants", "{upgraded}");
    let waiting = place.ask_one(&["pending"]);
    assert_eq!(waiting["record"]["id"], pending, "activate waits too");
    let codes: Vec<&Value> = waiting["reasons"].as_array().unwrap().iter().map(|reason| &reason["code"]).collect();
    assert_eq!(codes, ["earliest-begin", "not-granted", "not-launching"]);
    place.ask_one(&["grants", HELLO, "--set", "name=Ada"]);
    let waiting = place.ask_one(&["pending"]);
    assert!(waiting["record"]["id"].as_u64() > pending.as_u64(), "and runs once it has what it asks for: {waiting}");

    // What the version before never asked for is not in its way; taken back by name, it stays taken back.
    assert_eq!(place.ask_one(&["rollback", HELLO])["state"], "enabled");
    assert_eq!(place.ask_one(&["rollback", HELLO])["state"], "enabled", "its grants were kept with it");
    assert_eq!(place.ask_one(&["grants", HELLO, "--revoke", "name"])["state"], "waiting-for-grants");
    place.ask_one(&["rollback", HELLO]);
    assert_eq!(place.ask_one(&["rollback", HELLO])["state"], "waiting-for-grants");
}

#[test]
fn a_disabled_bundle_waits_and_says_how_to_end_that() {
    let place = Place::new();
    place.ask_one(&["install", text(&built_bundle("hello"))]);
    let disabled = place.ask_one(&["disable", HELLO]);
    assert_eq!((&disabled["changed"], &disabled["state"]), (&json!(true), &json!("disabled")));
    assert_eq!(place.ask_one(&["disable", HELLO])["changed"], false);
    // What was pending stays, and a host that starts neither launches it nor waits for it, nor activates anything.
    let refused = refused(&place, &["submit", GREET]);
    assert!(refused.contains("the bundle is disabled: `idlewild enable`"), "{refused}");
    let end = place.serve_at_ease(&["--exit-when-done"]).end();
    assert!(end.events_of("launched", GREET).is_empty());
    let why = place.run(&["why", GREET]);
    assert!(why.text().contains("its bundle com.example.hello is disabled, since "), "{}", why.text());
    assert!(why.text().contains("    idlewild enable com.example.hello --state"), "{}", why.text());
    let upgraded = place.run(&["upgrade", text(&version_of_hello(&place, "1.0.0"))]);
    assert!(upgraded.text().contains("it is disabled: idlewild enable com.example.hello"), "{}", upgraded.text());
    place.ask_one(&["cancel", GREET]);
    assert_eq!(place.ask_one(&["enable", HELLO])["state"], "enabled");
    assert_eq!(place.ask_one(&["pending"])["record"]["request"]["identifier"], GREET, "its activate submits");
}

#[test]
fn disabling_lets_tasks_finish_unless_it_is_to_be_now() {
    let place = Place::new();
    let shared = format!("shared={}", place.folder("shared").display());
    place.ask_one(&["install", text(&built_bundle("behaviours")), "--grant", &shared]);
    let mut host = place.serve_at_ease(&[]);
    place.ask_one(&["submit", "test.behaviours.polls-expiration"]);
    host.wait_for("launched", "test.behaviours.polls-expiration");
    let disabled = place.run(&["disable", "test.behaviours"]);
    assert_eq!(disabled.text(), "test.behaviours is disabled; 1 running task may finish\n");
    let disabled = place.ask_one(&["disable", "test.behaviours", "--now"]);
    assert_eq!((&disabled["changed"], &disabled["expired"]), (&json!(false), &json!(1)), "{disabled}");
    let ended = host.wait_for("ended", "test.behaviours.polls-expiration");
    assert_eq!((&ended["reason"], &ended["comes_back"]), (&json!("cancelled"), &json!(false)), "{ended}");
    stop(host);
}

#[test]
fn an_upgrade_whose_activate_fails_leaves_everything_as_it_was() {
    for hosted in [false, true] {
        let place = Place::new();
        let host = hosted.then(|| place.serve_at_ease(&[]));
        let version = |version: &str| {
            place
                .copy_of_bundle("misfits/activates_unless_told", version, |manifest| manifest.replace("0.1.0", version))
        };
        place.ask_one(&["install", text(&version("1.0.0"))]);
        place.ask_one(&["submit", "test.misfits.work", "--in", "2h", "--input", "a person's"]);
        place.ask_one(&["submit", "test.misfits.rest", "--kind", "processing", "--in", "2h"]);
        // Reasons change with the machine; the requests must not.
        let stands = || {
            let pending = place.ask(&["pending"]).iter().map(|waiting| waiting["record"].clone()).collect::<Vec<_>>();
            (pending, place.ask(&["bundles"]))
        };
        let before = stands();
        fs::create_dir_all(place.state().join("data/test.misfits")).unwrap();
        fs::write(place.state().join("data/test.misfits/fail"), "").unwrap();
        let failed = refused(&place, &["upgrade", text(&version("1.1.0"))]);
        assert!(failed.contains("`activate` failed: told to fail; replaced: true, pending: 2"), "{failed}");
        assert!(failed.contains("version 1.0.0 stays, with all that was pending"), "{failed}");
        assert_eq!(stands(), before, "exactly as before");
        assert_eq!(components(&place), 1);
        // So with what keeps its id and is no component of the contract at all.
        let nonsense = place
            .copy_of_bundle("misfits/registers_nonsense", "nonsense", |manifest| manifest.replace("0.1.0", "1.2.0"));
        refused(&place, &["upgrade", text(&nonsense)]);
        assert_eq!(stands(), before);

        fs::remove_file(place.state().join("data/test.misfits/fail")).unwrap();
        assert_eq!(place.ask_one(&["upgrade", text(&version("1.1.0"))])["version"], "1.1.0");
        let pending = place.ask(&["pending"]);
        assert_eq!(pending.len(), 2);
        assert_eq!(pending[1]["record"]["request"]["input"]["text"], "submitted by activate");
        host.map(stop);
    }
}

#[test]
fn tasks_finish_on_the_version_they_began_with() {
    let place = Place::new();
    let shared = format!("shared={}", place.folder("shared").display());
    let version =
        |version: &str| place.copy_of_bundle("behaviours", version, |manifest| manifest.replace("0.1.0", version));
    let first = place.ask_one(&["install", text(&version("1.0.0")), "--grant", &shared]);
    let mut host = place.serve_at_ease(&[]);
    place.ask_one(&["submit", "test.behaviours.polls-expiration"]);
    host.wait_for("launched", "test.behaviours.polls-expiration");
    for later in ["1.1.0", "1.2.0"] {
        place.ask_one(&["upgrade", text(&version(later))]);
    }
    let component = place.state().join(format!("components/{}.wasm", first["digest"].as_str().unwrap()));
    assert!(component.exists(), "two versions later its component is still there");
    assert_eq!(place.ask_one(&["bundles"])["running"], 1);
    host.signal(Signal::TERM);
    assert_eq!(host.wait_for("ended", "test.behaviours.polls-expiration")["handled"], true);
    assert_eq!(host.end().code, Some(0));
    place.ask(&["bundles"]);
    assert!(!component.exists(), "the next start finds that nobody needs it");
    assert_eq!(components(&place), 2);
}

#[test]
fn data_that_was_kept_is_found_again_and_goes_when_asked_once_more() {
    let place = Place::new();
    let shared = format!("shared={}", place.folder("shared").display());
    let count = || {
        place.ask_one(&["install", text(&built_bundle("behaviours")), "--grant", &shared]);
        place.ask_one(&["submit", "test.behaviours.remembers"]);
        let end = place.serve_at_ease(&["--exit-when-done"]).end();
        end.events_of("ended", "test.behaviours.remembers")[0]["output"]["text"].clone()
    };
    assert_eq!(count(), "1");
    let removed = place.ask_one(&["uninstall", "test.behaviours", "--keep-data"]);
    assert_eq!(removed["kept_data"], true, "{removed}");
    assert!(place.ask(&["bundles"]).is_empty(), "a start in between finds the data and leaves it");
    assert_eq!(count(), "2");
    place.ask_one(&["uninstall", "test.behaviours", "--keep-data"]);
    assert_eq!(place.ask_one(&["uninstall", "test.behaviours"])["kept_data"], false);
    assert_eq!(fs::read_dir(place.state().join("data")).unwrap().count(), 0);
    refused(&place, &["uninstall", "test.behaviours"]);
    assert_eq!(count(), "1");
}

#[test]
fn serving_a_bundle_again_changes_nothing_and_an_older_one_needs_a_word() {
    let place = Place::new();
    let (one, two) = (version_of_hello(&place, "1.0.0"), version_of_hello(&place, "1.1.0"));
    let end = place.serve_at_ease(&[text(&two), "--exit-when-done"]).end();
    assert_eq!(end.code, Some(0), "{}", end.stderr);
    let pending = place.ask_one(&["pending"])["record"]["id"].clone();
    assert_eq!(place.serve_at_ease(&[text(&two), "--exit-when-done"]).end().code, Some(0));
    assert_eq!(place.ask_one(&["pending"])["record"]["id"], pending);
    let refused = place.serve(&[text(&one), "--exit-when-done"]).end();
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("version 1.0.0 is older than 1.1.0"), "{}", refused.stderr);
    let end = place.serve_at_ease(&[text(&one), "--allow-downgrade", "--exit-when-done"]).end();
    assert_eq!(end.code, Some(0), "{}", end.stderr);
    assert_eq!(place.ask_one(&["bundles"])["version"], "1.0.0");
}

#[test]
fn history_says_in_a_word_of_its_own_what_became_of_a_bundle() {
    let place = Place::new();
    place.ask_one(&["keys", "new", text(&place.path("ada")), "--unencrypted"]);
    place.ask_one(&["keys", "trust", text(&place.path("ada.pub"))]);
    let (one, two) = (version_of_hello(&place, "1.0.0"), version_of_hello(&place, "1.1.0"));
    place.ask_one(&["install", text(&one)]);
    place.ask_one(&["upgrade", text(&two)]);
    place.ask_one(&["sign", text(&two), "--key", text(&place.path("ada.key"))]);
    let signed = place.ask_one(&["install", text(&two)]);
    assert_eq!(place.ask_one(&["install", text(&two)])["changed"], false);
    place.ask_one(&["rollback", HELLO]);
    place.ask_one(&["disable", HELLO]);
    for _ in 0..2 {
        place.ask_one(&["disable", HELLO, "--now"]);
    }
    place.ask_one(&["uninstall", HELLO, "--keep-data"]);
    place.ask_one(&["uninstall", HELLO]);
    let noted: Vec<(String, Value)> = place
        .ask(&["history", "--bundle", HELLO])
        .into_iter()
        .filter(|change| change["request"].is_null())
        .map(|change| (change["what"].as_str().unwrap().to_owned(), change["detail"].clone()))
        .collect();
    let by = format!("by ada (key {})", signed["signature"]["key"].as_str().unwrap());
    let expected = [
        ("data-dropped", Value::Null),
        ("bundle-uninstalled", Value::Null),
        ("bundle-disabled", Value::Null),
        ("bundle-rolled-back", json!("1.0.0")),
        ("bundle-signed", json!(by)),
        ("bundle-installed", json!("1.1.0")),
        ("bundle-installed", json!("1.0.0")),
    ];
    let expected: Vec<(String, Value)> = expected.map(|(what, detail)| (what.to_owned(), detail)).into();
    assert_eq!(noted, expected);
}

const RESEARCH: [&str; 4] = ["--kind", "health-research", "--protection", "complete"];

/// The bundle of behaviours, for a study, and given what it asks for.
fn behaviours_for(place: &Place, study: &str, version: &str) -> PathBuf {
    place.copy_of_bundle("behaviours", &format!("{study}-{version}"), |manifest| {
        let manifest = manifest.replace("0.1.0", version);
        format!("{manifest}\n[entitlements]\nhealth-research = \"{study}\"\n")
    })
}

#[test]
fn a_study_waits_for_its_operator_and_ends_with_the_enrolment() {
    const POLLS: &str = "test.behaviours.polls-expiration";
    const LATER: &str = "test.behaviours.succeeds";
    const OTHER: &str = "test.behaviours.fails";
    let place = Place::new();
    let shared = format!("shared={}", place.folder("shared").display());
    let bundle = behaviours_for(&place, "heart", "1.0.0");
    let installed = place.ask_one(&["install", text(&bundle), "--grant", &shared]);
    assert_eq!((&installed["state"], &installed["missing"]), (&json!("enabled"), &json!([])), "{installed}");
    let mut host = place.serve_at_ease(&["--assume", "unlocked", "--assume", "unlocked-once"]);
    let submit = |identifier, more: &[&'static str]| [&["submit", identifier][..], &RESEARCH, more].concat();
    let refusal = refused(&place, &submit(POLLS, &[]));
    assert!(refusal.contains("`idlewild grants BUNDLE --enrol heart`"), "{refusal}");
    let listed = place.run(&["grants", "test.behaviours"]);
    assert!(listed.text().contains("to enrol this machine in the study `heart`  not enrolled\n"), "{}", listed.text());
    assert!(listed.text().contains("grants test.behaviours --enrol heart"), "{}", listed.text());
    let inspected = place.run(&["inspect", "test.behaviours"]);
    assert!(inspected.text().contains("to health-research, for the study heart\n"), "{}", inspected.text());
    assert!(inspected.text().contains("study heart  (--enrol heart)\n"), "{}", inspected.text());
    assert!(inspected.text().contains("nothing was given: --enrol heart\n"), "{}", inspected.text());

    let enrolled = place.ask_one(&["grants", "test.behaviours", "--enrol", "heart"]);
    assert_eq!(enrolled["changed"], true, "{enrolled}");
    let heard = host.wait_until("enrolled", |_| true);
    assert_eq!((&heard["bundle"], &heard["study"]), (&json!("test.behaviours"), &json!("heart")));
    let study = json!({ "kind": "study", "name": "heart" });
    assert!(place.ask_one(&["bundles"])["grants"].as_array().unwrap().contains(&study));
    place.ask_one(&submit(POLLS, &[]));
    host.wait_for("launched", POLLS);
    place.ask_one(&submit(LATER, &["--in", "2h"]));
    place.ask_one(&["submit", OTHER, "--in", "2h"]);
    assert_eq!(place.ask_one(&["why", LATER])["waiting"][0]["record"]["request"]["kind"], "health-research");

    let withdrawn = place.run(&["grants", "test.behaviours", "--withdraw", "heart"]);
    assert!(
        withdrawn.text().contains("1 request for the study cancelled, 1 task asked to stop\n"),
        "{}",
        withdrawn.text()
    );
    let ended = host.wait_for("ended", POLLS);
    assert_eq!((&ended["reason"], &ended["comes_back"]), (&json!("cancelled"), &json!(false)), "{ended}");
    assert_eq!(place.ask_one(&["pending"])["record"]["request"]["identifier"], OTHER, "all else goes on");
    let noted: Vec<(Value, Value)> = place
        .ask(&["history", "--bundle", "test.behaviours", "--limit", "3"])
        .into_iter()
        .map(|change| (change["what"].clone(), change["detail"].clone()))
        .collect();
    let mut noted_now = noted[..2].to_vec();
    noted_now.sort_by_key(|(what, _)| what.to_string());
    assert_eq!(
        noted_now,
        [(json!("cancelled"), json!("enrolment-withdrawn")), (json!("enrolment-withdrawn"), json!("heart")),]
    );
    assert_eq!(noted[2], (json!("enrolled"), json!("heart")));
    refused(&place, &submit(LATER, &[]));
    stop(host);
}

#[test]
fn an_enrolment_is_kept_over_versions_for_the_same_study_alone() {
    let place = Place::new();
    let shared = format!("shared={}", place.folder("shared").display());
    let version = |study, version| behaviours_for(&place, study, version);
    let enrolled = || {
        let grants = place.ask_one(&["bundles"])["grants"].as_array().unwrap().clone();
        grants.iter().find(|grant| grant["kind"] == "study").map(|grant| grant["name"].as_str().unwrap().to_owned())
    };
    place.ask_one(&["install", text(&version("heart", "1.0.0")), "--grant", &shared, "--enrol", "heart"]);
    assert_eq!(enrolled().as_deref(), Some("heart"));
    place.ask_one(&["upgrade", text(&version("heart", "1.1.0"))]);
    assert_eq!(enrolled().as_deref(), Some("heart"), "the same study");
    place.ask_one(&["upgrade", text(&version("lung", "1.2.0"))]);
    assert_eq!(enrolled(), None, "another is not consented to");
    place.ask_one(&["rollback", "test.behaviours"]);
    assert_eq!(enrolled().as_deref(), Some("heart"), "as it was before");
    // Withdrawn from, going forth and back does not enrol again.
    place.ask_one(&["upgrade", text(&version("heart", "1.3.0"))]);
    place.ask_one(&["grants", "test.behaviours", "--withdraw", "heart"]);
    place.ask_one(&["rollback", "test.behaviours"]);
    assert_eq!(enrolled(), None);
}

//! A new project, as its author meets it: written, tested, built to one file, installed, run.
#![allow(clippy::unwrap_used)]

use std::{fs, path::Path, process::Command};

use idlewild_tests::{Place, Signal};

fn cargo_test(project: &Path) -> String {
    let mut command = Command::new(env!("CARGO"));
    command.args(["test", "--quiet"]).current_dir(project).env_remove("CARGO_TARGET_DIR");
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{said}");
    said
}

#[test]
fn what_is_written_tests_builds_installs_and_runs() {
    let place = Place::new();
    let mut before: Option<String> = None;
    for (work, verb, more) in [("refresh", "refresh", &[][..]), ("long", "process", &["--requires-network"][..])] {
        let name = format!("my-{work}");
        let arguments = [&["new", &name, "--work", work, "--every", "1s"][..], more].concat();
        let written = place.ask_one(&arguments);
        let identifier = format!("com.example.{name}.{verb}");
        assert_eq!(written["identifier"], identifier);

        let project = place.path(&name);
        // What both are built from need be built only once.
        if let Some(before) = &before {
            fs::rename(place.path(before).join("target"), project.join("target")).unwrap();
        }
        let said = cargo_test(&project);
        assert!(!said.contains("warning"), "{said}");
        let built = place.ask_one(&["build", &name]);
        let file = built["file"].as_str().unwrap().to_owned();
        assert_eq!(file, format!("com.example.{name}-0.1.0.wasm"));

        place.ask_one(&["install", &file]);
        let mut host = place.serve_at_ease(&[]);
        let ended = host.wait_for("ended", &identifier);
        assert_eq!(ended["outcome"], "succeeded", "{ended}");
        host.signal(Signal::TERM);
        assert_eq!(host.end().code, Some(0));
        before = Some(name);
    }
}

#[test]
fn a_bad_name_or_an_unsaid_kind_of_work_writes_nothing() {
    let place = Place::new();
    fs::create_dir(place.path("taken")).unwrap();
    let cases: [(&[&str], &str); 6] = [
        (&["new", "Hello", "--work", "long"], "`Hello` is no name for a project"),
        (&["new", "hello"], "--work refresh"),
        (&["new", "taken", "--work", "long"], "taken exists already"),
        (&["new", "hello", "--work", "refresh", "--requires-network"], "--work long"),
        (&["new", "hello", "--work", "long", "--every", "0s"], "less than a second"),
        (&["new", "hello", "--work", "long", "--kit", "."], "is not the guest kit"),
    ];
    for (arguments, message) in cases {
        let answer = place.run(arguments);
        assert_eq!(answer.code, Some(1), "{arguments:?}");
        assert!(answer.stderr.contains(message), "{arguments:?}: {}", answer.stderr);
        assert_eq!(answer.stdout, b"");
    }
    let left: Vec<_> = fs::read_dir(place.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["taken"]);
}

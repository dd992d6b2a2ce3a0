//! Bad input: each gets one clear message that names the thing and the mend, a code other than 0, and changes nothing.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use idlewild::bundle::{self, Offer};
use idlewild_tests::{Answer, Place, Signal, built_bundle};
use serde_json::Value;

/// What was wrong, what is said of it, and with which code.
struct Case {
    arguments: Vec<String>,
    /// Each part stands in the message.
    says: Vec<String>,
    code: i32,
}

fn case(arguments: &[&str], says: &[&str]) -> Case {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    Case { arguments: owned(arguments), says: owned(says), code: 1 }
}

fn usage(arguments: &[&str], says: &[&str]) -> Case {
    Case { code: 2, ..case(arguments, says) }
}

/// One message: a single line after `error: `, and clap's own hint where it was clap who spoke.
fn assert_message(arguments: &[String], answer: &Answer, says: &[String], code: i32) {
    assert_eq!(answer.code, Some(code), "{arguments:?}: {}", answer.stderr);
    assert!(answer.stdout.is_empty(), "{arguments:?} said on stdout: {}", answer.text());
    let message = answer.stderr.strip_suffix("\n").unwrap_or_else(|| panic!("{arguments:?} said nothing"));
    let message = match code {
        2 => message.split("\n\n").next().unwrap(),
        _ => message,
    };
    assert!(message.starts_with("error: ") && (code == 2 || !message.contains('\n')), "{arguments:?}: {message}");
    for part in says {
        assert!(message.contains(part), "{arguments:?} says\n  {message}\nwithout\n  {part}");
    }
    for noise in ["panicked at src", "os error 2): ", "Err(", "Error {", "  at idlewild"] {
        assert!(!message.contains(noise), "{arguments:?}: {message}");
    }
}

/// Everything a bad command could have changed.
fn snapshot(place: &Place) -> (Vec<Value>, Vec<Value>, Vec<Value>, Vec<String>) {
    let kept = |folder: &str| {
        let entries = fs::read_dir(place.state().join(folder)).unwrap();
        entries.map(|entry| format!("{folder}/{}", entry.unwrap().file_name().display())).collect::<Vec<_>>()
    };
    let mut files: Vec<String> = ["components", "data", "logs", "tmp"].iter().flat_map(|folder| kept(folder)).collect();
    files.sort();
    let mut pending = place.ask(&["pending"]);
    // Each command that finds no host is one of its own for a moment, and launches nothing since then.
    for waiting in &mut pending {
        waiting.as_object_mut().unwrap().remove("reasons");
    }
    (place.ask(&["bundles"]), pending, place.ask(&["tasks"]), files)
}

/// Each case changes nothing, with no host and with one.
fn assert_cases(place: &Place, cases: &[Case]) {
    place.ask_one(&["install", built_bundle("hello").to_str().unwrap()]);
    for hosted in [false, true] {
        let host = hosted.then(|| {
            let mut host = place.serve(&["--assume", "no-idle"]);
            host.ready();
            host
        });
        let before = snapshot(place);
        for Case { arguments, says, code } in cases {
            if hosted && arguments[0] == "serve" {
                continue;
            }
            let answer = place.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
            assert_message(arguments, &answer, says, *code);
            assert_eq!(snapshot(place), before, "{arguments:?} changed something");
        }
        if let Some(host) = host {
            host.signal(Signal::TERM);
            assert_eq!(host.end().code, Some(0));
        }
    }
}

/// A bundle of the behaviours whose manifest has `from` replaced.
fn changed(place: &Place, name: &str, from: &str, to: &str) -> PathBuf {
    place.copy_of_bundle("behaviours", name, |manifest| {
        assert!(manifest.contains(from), "{from}");
        manifest.replacen(from, to, 1)
    })
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_bad_manifest_is_named_with_line_and_mend() {
    let place = Place::new();
    let manifests = [
        (
            "key",
            "component =",
            "componnet =",
            "unknown key `componnet` in [bundle] at line 4, column 1; did you mean `component`?",
        ),
        ("section", "[capabilities]", "[capability]", "did you mean `capabilities`?"),
        ("later", "[capabilities]", "[rights]\n[capabilities]", "unknown key `rights`"),
        (
            "identifier",
            "test.behaviours.fails",
            "com.example.fails",
            "must be `test.behaviours` or begin with `test.behaviours.`, and is `com.example.fails`",
        ),
        ("twice", "test.behaviours.fails", "test.behaviours.exits", "repeats `test.behaviours.exits`"),
        ("syntax", "[bundle]", "[bundle", "is not TOML"),
        (
            "study",
            "[capabilities]",
            "[entitlements]\nhealth-research = \"Herz & Lunge\"\n[capabilities]",
            "at most 64 letters",
        ),
        (
            "claim",
            "[capabilities]",
            "[entitlements]\nhealth = \"heart\"\n[capabilities]",
            "unknown key `health` in [entitlements]",
        ),
        ("mode", "\"fetch\"", "\"fecth\"", "did you mean `fetch`?"),
        ("id", "id = \"test.behaviours\"", "id = \"behaviours\"", "is not a reverse-DNS name"),
        ("outside", "behaviours.wasm", "../behaviours.wasm", "inside the bundle folder"),
        ("absent", "behaviours.wasm", "other.wasm", "other.wasm does not exist; build it, or mend `component`"),
    ];
    let paths: Vec<PathBuf> = manifests.iter().map(|(name, from, to, _)| changed(&place, name, from, to)).collect();
    let mut cases = Vec::new();
    for (path, (name, .., says)) in paths.iter().zip(manifests) {
        let manifest = if name == "absent" { "other.wasm" } else { "idlewild.toml" };
        let named = path.join(manifest);
        cases.push(case(&["install", text(path)], &[text(&named), says]));
        cases.push(case(&["serve", text(path)], &[text(&named), says]));
    }
    assert_cases(&place, &cases);
}

#[test]
fn a_file_that_is_no_component_is_told_what_it_is() {
    let place = Place::new();
    let grant = format!("shared={}", place.folder("shared").display());
    let broken = |name: &str, bytes: &[u8]| {
        let path = changed(&place, name, "0.1.0", "0.1.0");
        fs::write(path.join("behaviours.wasm"), bytes).unwrap();
        path
    };
    let whole = fs::read(built_bundle("behaviours").join("behaviours.wasm")).unwrap();
    let module = wat::parse_str("(module (func (export \"launch\")))").unwrap();
    let bundles = [
        (broken("text", b"just some text\n"), "it does not begin as WebAssembly does; name a WebAssembly component"),
        (broken("module", &module), "it is a core module, not a component; build it as a component"),
        (broken("empty", b""), "it is empty; build it again"),
        (broken("torn", &whole[..whole.len() / 2]), "it breaks off inside the section that begins at byte"),
    ];
    let cases: Vec<Case> = bundles
        .iter()
        .map(|(path, says)| {
            let component = path.join("behaviours.wasm");
            case(&["install", text(path), "--grant", &grant], &[text(&component), says])
        })
        .collect();
    assert_cases(&place, &cases);
}

#[test]
fn a_file_that_is_no_packed_bundle_is_told_why() {
    let place = Place::new();
    let real = bundle::read(&built_bundle("behaviours")).unwrap();
    let (text_of, component) = (real.manifest_text.clone(), real.component.clone());
    let pack = |name: &str, manifest: String, component: &[u8]| {
        let path = place.path(name);
        let offer = Offer { manifest_text: manifest, component: component.to_vec(), ..real.clone() };
        fs::write(&path, bundle::pack(&offer)).unwrap();
        path
    };
    let bytes = |name: &str, bytes: &[u8]| {
        let path = place.path(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let module = wat::parse_str("(module)").unwrap();
    let whole = bundle::pack(&real);
    let linked = changed(&place, "linked", "0.1.0", "0.1.0");
    fs::remove_file(linked.join("behaviours.wasm")).unwrap();
    symlink(built_bundle("behaviours").join("behaviours.wasm"), linked.join("behaviours.wasm")).unwrap();
    let foreign = text_of.replace("id = \"test.behaviours\"", "id = \"com.example\"");
    let twice = changed(&place, "twice-packed", "0.1.0", "0.1.0");
    fs::write(twice.join("behaviours.wasm"), &whole).unwrap();
    let files: [(PathBuf, &str); 13] = [
        (bytes("empty.wasm", b""), "it is a file, and not WebAssembly; name the folder"),
        (bytes("text.wasm", b"text"), "it is a file, and not WebAssembly; name the folder"),
        (bytes("head.wasm", b"\0asm"), "it breaks off inside the section that begins at byte 0"),
        (bytes("module.wasm", &module), "it is a core module, not a component; build it as a component"),
        (bytes("newer.wasm", b"\0asm\x0e\0\x01\0"), "it is WebAssembly of a version this host does not know"),
        (bytes("long.wasm", b"\0asm\x0d\0\x01\0\0\xff\xff\xff\xff\x0f"), "it breaks off inside the section"),
        (bytes("torn.wasm", &whole[..whole.len() - 1]), "it breaks off inside the section that begins at byte"),
        (bytes("bare.wasm", &component), "it carries no manifest; pack it: idlewild build FOLDER"),
        (pack("key.wasm", text_of.replace("component =", "componnet ="), &component), "did you mean `component`?"),
        (pack("outside.wasm", text_of.replace("behaviours.wasm", "../x.wasm"), &component), "inside the bundle folder"),
        (pack("foreign.wasm", foreign, &component), "must be `com.example` or begin with `com.example.`"),
        (linked.clone(), "leads out of the bundle folder; copy the file into it instead of linking to it"),
        (twice.clone(), "it carries a manifest of its own; install that file as it is"),
    ];
    let mut cases = Vec::new();
    for (path, says) in &files {
        cases.push(case(&["install", text(path)], &[text(path), says]));
        cases.push(case(&["serve", text(path)], &[text(path), says]));
        cases.push(case(&["verify", text(path)], &[text(path), says]));
    }
    for command in ["build", "sign"] {
        let arguments = [&[command, text(&files[6].0)][..], if command == "sign" { &["--key", "x.key"] } else { &[] }];
        cases.push(case(&arguments.concat(), &[files[6].1]));
    }
    cases.push(case(&["install", "/dev/null"], &["/dev/null is no regular file; put a file there"]));
    cases.push(case(&["inspect", "/dev/null"], &["/dev/null is no regular file; put a file there"]));
    // A name that another installed bundle has, in a file that is well-formed.
    let names = "[bundle]\nid = \"com.example\"\nversion = \"1.0.0\"\ncomponent = \"x.wasm\"\n\
                 [scheduling]\npermitted-identifiers = [\"com.example.hello.greet\"]\n";
    let names = pack("names.wasm", names.to_owned(), &component);
    cases.push(case(
        &["install", text(&names)],
        &["com.example.hello.greet overlaps com.example.hello.greet of the installed"],
    ));
    assert_cases(&place, &cases);
}

#[test]
fn a_component_that_does_not_keep_the_contract_is_told_where() {
    let misfits: [(&str, &[&str]); 15] = [
        ("exports_nothing", &["exports neither `idlewild:background-tasks/handler@0.1.0`", "export `handler`, or"]),
        ("exports_both", &["exports both `idlewild:background-tasks/handler@0.1.0`", "export `handler` alone, or"]),
        ("imports_the_missing", &["imports `test:missing/thing`", "this host does not offer", "without that import"]),
        ("registers_twice", &["registers `test.misfits.work` twice", "keep one handler"]),
        ("registers_unpermitted", &["registers `test.misfits.play`, which the manifest does not permit; add it to"]),
        (
            "registers_too_little",
            &["permits `test.misfits.rest`", "registers no handler", "write the handler or remove"],
        ),
        ("registers_nonsense", &["`no name at all` is not a reverse-DNS name"]),
        ("spins_in_register", &["`register`", "used more than its"]),
        ("submits_in_register", &["register may not submit"]),
        ("subscribes_in_register", &["expiration-poll.subscribe was called in register"]),
        ("traps_in_register", &["`register`", "trapped on purpose, while registering"]),
        (
            "fails_to_activate",
            &["`activate` failed: cannot be activated, on purpose", "nothing was installed, mend the bundle"],
        ),
        ("awaits_in_activate", &["`activate` failed", "in a function that is not async", "nothing was installed"]),
        (
            "waits_in_activate",
            &["`activate` failed", "expiration.wait was called in activate", "nothing was installed"],
        ),
        (
            "traps_in_activate",
            &["`activate` failed", "it printed: ", "trapped on purpose, while activating", "nothing was installed"],
        ),
    ];
    let place = Place::new();
    let mut cases = Vec::new();
    for (misfit, says) in misfits {
        let path = built_bundle(&format!("misfits/{misfit}"));
        cases.push(case(&["install", text(&path)], says));
    }
    let twice = built_bundle("misfits/registers_twice");
    cases.push(case(
        &["serve", text(&twice), "--exit-when-done"],
        &[text(&twice), "registers `test.misfits.work` twice"],
    ));
    assert_cases_of_serve_speak_first(&place, &cases);
}

/// `serve` says on stdout that it serves before it installs; all else holds for it too.
fn assert_cases_of_serve_speak_first(place: &Place, cases: &[Case]) {
    let (serving, others): (Vec<&Case>, Vec<&Case>) = cases.iter().partition(|case| case.arguments[0] == "serve");
    let others: Vec<Case> = others
        .into_iter()
        .map(|Case { arguments, says, code }| Case { arguments: arguments.clone(), says: says.clone(), code: *code })
        .collect();
    assert_cases(place, &others);
    let before = snapshot(place);
    for Case { arguments, says, code } in serving {
        let mut answer = place.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(answer.text().starts_with("idlewild"), "{}", answer.text());
        answer.stdout.clear();
        assert_message(arguments, &answer, says, *code);
        assert_eq!(snapshot(place), before, "{arguments:?} changed something");
    }
}

#[test]
fn a_bad_grant_or_path_is_named() {
    let place = Place::new();
    let behaviours = built_bundle("behaviours");
    let (behaviours, hello) = (text(&behaviours), built_bundle("hello"));
    let (shared, file) = (place.folder("shared"), place.path("file"));
    fs::write(&file, "").unwrap();
    let nowhere = place.path("nowhere");
    let granted = |name: &str, path: &Path| format!("{name}={}", path.display());
    let cases = [
        case(
            &["install", behaviours, "--grant", &granted("share", &shared)],
            &["does not ask for a folder named `share`; did you mean `shared`?"],
        ),
        case(
            &["install", text(&hello), "--grant", &granted("shared", &shared)],
            &["does not ask for a folder named `shared`; it asks for none: leave this grant out"],
        ),
        case(
            &["serve", behaviours, "--grant", &granted("share", &shared)],
            &["no bundle given here asks for a folder named `share`: test.behaviours asks for shared"],
        ),
        case(
            &["install", behaviours, "--grant", &granted("shared", &nowhere)],
            &["cannot grant", text(&nowhere), "No such file", "check the path"],
        ),
        case(
            &["install", behaviours, "--grant", &granted("shared", &file)],
            &["cannot grant", text(&file), "it is no folder"],
        ),
        usage(&["install", behaviours, "--grant", "shared"], &["`shared` is no grant; say NAME=PATH"]),
        case(&["install", text(&nowhere)], &[text(&nowhere), "is no bundle: it does not exist; check the path"]),
        case(&["serve", text(&nowhere)], &[text(&nowhere), "is no bundle: it does not exist; check the path"]),
        case(&["install", text(&shared)], &[text(&shared), "holds no idlewild.toml; name the folder that does"]),
        case(&["install", text(&file)], &[text(&file), "it is a file, and not WebAssembly; name the folder"]),
        case(&["serve", behaviours, behaviours], &["test.behaviours is given twice: leave one out"]),
    ];
    assert_cases(&place, &cases);
}

#[test]
fn a_study_that_is_none_of_the_bundles_is_named() {
    let place = Place::new();
    let heart =
        changed(&place, "heart", "[capabilities]", "[entitlements]\nhealth-research = \"heart\"\n[capabilities]");
    let (heart, hello) = (text(&heart), built_bundle("hello"));
    let asks = "does not ask for a study named `hearth`; did you mean `heart`? it asks for heart";
    let dealt = "no bundle given here asks for a study named `hearth`: test.behaviours asks for heart";
    let cases = [
        case(&["install", heart, "--enrol", "hearth"], &[asks]),
        case(&["serve", heart, "--enrol", "hearth"], &[dealt]),
        case(
            &["install", text(&hello), "--enrol", "heart"],
            &["does not ask for a study named `heart`; it asks for none: leave this grant out"],
        ),
        usage(&["install", heart, "--enrol", "my heart"], &["`my heart` is no grant; say the name of a study"]),
    ];
    assert_cases(&place, &cases);
    place.ask_one(&["install", heart]);
    place.ask_one(&["install", text(&built_bundle("misfits/activates_unless_told"))]);
    let none = "this machine is not enrolled in a study named `heart`: it is enrolled in none";
    assert_cases(
        &place,
        &[
            case(&["grants", "test.behaviours", "--enrol", "hearth"], &[asks]),
            case(&["grants", "test.behaviours", "--withdraw", "heart"], &[none]),
            case(&["grants", "com.example.hello", "--enrol", "heart"], &["it asks for none"]),
            case(
                &["submit", "test.misfits.work", "--kind", "health-research", "--protection", "none"],
                &[
                    "health-research needs the entitlement `health-research`, which names a study, in the bundle's manifest",
                ],
            ),
        ],
    );
    place.ask_one(&["grants", "test.behaviours", "--enrol", "heart"]);
    let other = "not enrolled in a study named `lung`: it is enrolled in `heart`";
    let revoked = "nothing named `heart` is granted";
    assert_cases(
        &place,
        &[
            case(&["grants", "test.behaviours", "--withdraw", "lung"], &[other]),
            case(&["grants", "test.behaviours", "--revoke", "heart"], &[revoked]),
        ],
    );
}

#[test]
fn what_is_not_there_is_named_and_so_is_what_cannot_be_typed() {
    let place = Place::new();
    let unknown = "no installed bundle permits com.example.nothing: `idlewild bundles` lists what is installed";
    let cases = [
        case(&["submit", "com.example.nothing"], &[unknown]),
        case(&["why", "com.example.nothing"], &[unknown]),
        case(&["cancel", "com.example.nothing"], &[unknown]),
        case(&["logs", "com.example.nothing"], &[unknown]),
        case(&["task", "99"], &["no task 99 is known: `idlewild tasks` lists"]),
        case(&["logs", "99"], &["no task 99 is known: `idlewild tasks` lists"]),
        case(
            &["uninstall", "com.example.nothing"],
            &["no bundle com.example.nothing is installed: `idlewild bundles`"],
        ),
        case(&["enable", "com.example.nothing"], &["no bundle com.example.nothing is installed: `idlewild bundles`"]),
        case(&["disable", "com.example.nothing"], &["no bundle com.example.nothing is installed: `idlewild bundles`"]),
        case(&["grants", "com.example.nothing"], &["no bundle com.example.nothing is installed: `idlewild bundles`"]),
        case(&["rollback", "com.example.nothing"], &["no bundle com.example.nothing is installed: `idlewild bundles`"]),
        usage(&["serve", "--assume", "lazy"], &["unknown condition `lazy`; say one of network, no-network"]),
        usage(&["submit", "com.example.hello.greet", "--in", "soon"], &["`soon` is not a length of time, such as 15m"]),
        usage(
            &["submit", "com.example.hello.greet", "--at", "noon"],
            &["`noon` is not an RFC 3339 date and time, such as"],
        ),
        usage(
            &["submit", "com.example.hello.greet", "--kind", "research"],
            &["app-refresh, processing, health-research"],
        ),
        case(&["submit", "com.example.hello.greet", "--kind", "processing"], &["needs `processing` among"]),
        case(&["submit", "com.example.hello.greet", "--kind", "continued-processing"], &["needs a title"]),
        case(
            &["submit", "com.example.hello.greet", "--requires-network", "--kind", "app-refresh"],
            &["requires_network_connectivity does not belong to a request of kind app-refresh"],
        ),
        usage(&["submit", "com.example.hello.greet", "--subtitle", "x"], &["--title"]),
        usage(&["submit", "com.example.hello.greet", "--flex", "1h"], &["--every"]),
        case(&["submit", "com.example.hello.greet", "--every", "10ms"], &["the least is 1s"]),
        case(&["submit", "com.example.hello.greet", "--every", "1h", "--flex", "2h"], &["longer than its period"]),
        case(&["submit", "com.example.hello.greet", "--attempts", "0"], &["say at least 1"]),
        case(&["submit", "com.example.hello.greet", "--attempts", "1000"], &["25 are allowed"]),
        case(
            &["submit", "com.example.hello.greet", "--in", "1h", "--by", "2020-01-01T00:00:00Z"],
            &["lies before earliest-begin"],
        ),
        case(&["launch", "com.example.nothing"], &[unknown]),
        case(&["expire", "com.example.nothing"], &[unknown]),
        case(&["expire", "com.example.hello.greet"], &["nothing of com.example.hello.greet runs"]),
        usage(
            &["expire", "com.example.hello.greet", "--reason", "boredom"],
            &["`boredom` is not a reason of expiration"],
        ),
        usage(&["submit", "hello"], &["`hello` is not a reverse-DNS name"]),
        usage(&["why"], &["IDENTIFIER"]),
        usage(&["pending", "--limit", "0"], &["a limit is a number between 1 and 1000"]),
        usage(&["conditions", "idle"], &["write idle=yes, no or auto"]),
        usage(&["instal"], &["unrecognized subcommand 'instal'"]),
        usage(&["keys", "policy", "never"], &["[possible values: require, warn, off]"]),
        usage(&["keys", "new", "x", "--unencrypted", "--password-file", "x"], &["cannot be used with"]),
        usage(&["sign", "x"], &["--key <FILE>"]),
        case(&["inspect", "com.example.nothing"], &["no bundle com.example.nothing is installed: `idlewild bundles`"]),
        case(&["keys", "remove", "nobody"], &["no key nobody is trusted: `idlewild keys list`"]),
        case(&["keys", "trust", "nowhere.pub"], &["the key nowhere.pub cannot be read", "No such file"]),
        case(&["keys", "new", "nowhere/x", "--unencrypted"], &["cannot write nowhere/x.key", "No such file"]),
    ];
    assert_cases(&place, &cases);
}

#[test]
fn a_state_folder_that_cannot_be_used_is_left_as_it_is() {
    let place = Place::new();
    let hello = built_bundle("hello");
    place.ask_one(&["install", text(&hello)]);

    // In use by another host.
    let mut host = place.serve(&[]);
    host.ready();
    let second = place.run(&["serve"]);
    let says = ["in use by another host (process ".to_owned(), "choose another folder with --state DIR".to_owned()];
    assert_message(&["serve".to_owned()], &second, &says, 1);
    assert_eq!(place.ask(&["bundles"]).len(), 1, "the first still answers");
    host.signal(Signal::TERM);
    assert_eq!(host.end().code, Some(0));

    // Corrupt databases: text, and a real one cut short or overwritten.
    let database = place.state().join("idlewild.db");
    let real = fs::read(&database).unwrap();
    let mut overwritten = real.clone();
    overwritten[8_192..].fill(0xA5);
    for damaged in
        [b"no database at all, but long enough to be looked at".to_vec(), real[..6_000].to_vec(), overwritten]
    {
        fs::write(&database, &damaged).unwrap();
        for command in [&["bundles"][..], &["serve", "--exit-when-done"], &["install", text(&hello)]] {
            let arguments: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
            let says = [text(&database).to_owned(), "damaged".to_owned(), "restore it from a backup".to_owned()];
            assert_message(&arguments, &place.run(command), &says, 1);
            assert!(fs::read(&database).unwrap() == damaged, "{command:?} changed the damaged database");
        }
    }
    fs::write(&database, &real).unwrap();
    assert_eq!(place.ask(&["bundles"]).len(), 1, "the restored database serves again");

    // A path too long for a socket.
    let long = place.path(&"x".repeat(110));
    for command in ["bundles", "serve"] {
        let answer: Answer = std::process::Command::new(idlewild_tests::binary())
            .args([command, "--state", text(&long)])
            .output()
            .unwrap()
            .into();
        let says = [text(&long).to_owned(), "choose a shorter folder with --state DIR".to_owned()];
        assert_message(&[command.to_owned()], &answer, &says, 1);
        assert!(!long.exists(), "{command} made the folder");
    }
}

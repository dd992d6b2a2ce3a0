//! A bundle from folder to file, signed, trusted, installed, inspected; and every way to tamper with it on the way.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
};

use idlewild::bundle;
use idlewild_tests::{Answer, Place, Signal, built_bundle};
use serde_json::{Value, json};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A pair of keys without a password, as files.
fn keys(place: &Place, name: &str) -> (PathBuf, PathBuf) {
    let made = place.ask_one(&["keys", "new", text(&place.path(name)), "--unencrypted"]);
    assert_eq!(made["secret_file"], format!("{}.key", text(&place.path(name))));
    (place.path(&format!("{name}.key")), place.path(&format!("{name}.pub")))
}

/// The built `hello` as a file of this place.
fn packed(place: &Place, name: &str) -> PathBuf {
    let file = place.path(name);
    place.ask_one(&["build", text(&built_bundle("hello")), "--output", text(&file)]);
    file
}

/// A command that must fail with one line that says all of this.
fn refused(place: &Place, arguments: &[&str], says: &[&str]) {
    let Answer { code, stdout, stderr } = place.run(arguments);
    assert_eq!((code, stdout.is_empty()), (Some(1), true), "{arguments:?}: {stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    for part in says {
        assert!(stderr.contains(part), "{arguments:?} says\n  {stderr}without\n  {part}");
    }
}

/// Changes the one place where `from` stands in a file.
fn tamper(file: &Path, from: &[u8], to: &[u8]) {
    let bytes = fs::read(file).unwrap();
    let at = bytes.windows(from.len()).rposition(|window| window == from).unwrap();
    fs::write(file, [&bytes[..at], to, &bytes[at + from.len()..]].concat()).unwrap();
}

#[test]
fn a_bundle_goes_from_folder_to_file_to_host() {
    let place = Place::new();
    let (secret, public) = keys(&place, "ada");
    let hello = built_bundle("hello");
    let built = place.ask_one(&["build", text(&hello)]);
    let file = place.path(built["file"].as_str().unwrap());
    assert_eq!(built["file"], "com.example.hello-0.1.0.wasm");
    assert!(!place.state().exists(), "no state folder is made for it");

    let of_folder = place.ask_one(&["inspect", text(&hello)]);
    let of_file = place.ask_one(&["inspect", text(&file)]);
    assert_eq!(of_folder, of_file, "folder and file are one bundle");
    assert_eq!(of_file["digest"], built["digest"]);
    assert_eq!((&of_file["world"], &of_file["problems"]), (&json!("async-background-app"), &json!([])));
    assert_eq!(of_file["identifiers"], json!(["com.example.hello.greet"]));
    assert_eq!(of_file["signature"]["verdict"], "not signed");

    let signed = place.ask_one(&["sign", text(&file), "--key", text(&secret)]);
    assert_eq!(signed["digest"], built["digest"], "a signature changes no digest");
    let verified = place.ask_one(&["verify", text(&file), "--key", text(&public)]);
    assert_eq!(verified["key"], signed["key"]);
    refused(&place, &["verify", text(&file)], &["com.example.hello", "which is not trusted"]);
    refused(&place, &["verify", text(&hello)], &["com.example.hello", "it is not signed"]);

    for hosted in [false, true] {
        let host = hosted.then(|| place.serve_at_ease(&[]));
        let trusted = place.ask_one(&["keys", "trust", text(&public)]);
        assert_eq!((&trusted["name"], &trusted["changed"]), (&json!("ada"), &json!(!hosted)));
        assert_eq!(place.ask_one(&["keys", "policy", "require"])["policy"], "require");
        assert_eq!(place.ask_one(&["keys", "list"])["keys"][0]["id"], signed["key"]);
        refused(&place, &["install", text(&hello)], &["bundle com.example.hello: it is not signed; sign it"]);
        let installed = place.ask_one(&["install", text(&file)]);
        assert_eq!(installed["digest"], built["digest"]);
        assert_eq!(installed["signature"], json!({"state": "signed", "name": "ada", "key": signed["key"]}));
        let of_id = place.ask_one(&["inspect", "com.example.hello"]);
        assert_eq!(of_id["signature"]["verdict"], format!("signed by ada (key {})", signed["key"].as_str().unwrap()));
        assert_eq!(of_id["installed"], json!({"version": "0.1.0", "grants": [], "missing": []}));
        for same in ["digest", "imports", "producers", "identifiers", "size_bytes", "world"] {
            assert_eq!(of_id[same], of_file[same], "{same}");
        }
        if let Some(host) = host {
            host.signal(Signal::TERM);
            assert_eq!(host.end().code, Some(0));
        }
    }
    let done = place.serve_at_ease(&["--exit-when-done"]).end();
    assert_eq!(done.code, Some(0), "what came as a file runs");
}

#[test]
fn whatever_was_changed_is_refused_before_anything_is_kept() {
    let place = Place::new();
    let (ada, ada_public) = keys(&place, "ada");
    let (eve, eve_public) = keys(&place, "eve");
    place.ask_one(&["keys", "trust", text(&ada_public)]);
    let whole = packed(&place, "whole.wasm");
    let bare = fs::read(&whole).unwrap();
    place.ask_one(&["sign", text(&whole), "--key", text(&ada)]);
    let signature = fs::read(&whole).unwrap()[bare.len()..].to_vec();
    assert!(signature.windows(18).any(|window| window == b"idlewild:signature"));

    let broken = "its signature by ada (key ";
    type Change<'c> = &'c dyn Fn(&Path);
    let cases: [(&str, Change, &str); 9] = [
        ("manifest", &|file| tamper(file, b"version = \"0.1.0\"", b"version = \"0.1.1\""), broken),
        ("component", &|file| tamper(file, b"wit-component", b"wit-Component"), broken),
        ("signature", &|file| tamper(file, b"bundle:com.example.hello", b"bundle:com.example.hallo"), broken),
        (
            "torn",
            &|file| fs::write(file, &fs::read(&whole).unwrap()[..bare.len() + 9]).unwrap(),
            "it breaks off inside",
        ),
        (
            "twice",
            &|file| fs::write(file, [&fs::read(&whole).unwrap()[..], &signature].concat()).unwrap(),
            "it has the section `idlewild:signature` twice",
        ),
        (
            "other",
            &|file| {
                let component = fs::read(built_bundle("behaviours").join("behaviours.wasm")).unwrap();
                let offer = bundle::read(&whole).unwrap();
                fs::write(file, bundle::pack(&bundle::Offer { component, ..offer })).unwrap();
            },
            broken,
        ),
        (
            "swapped",
            &|file| {
                let gallery = bundle::read(&built_bundle("gallery")).unwrap();
                let signature = bundle::read(&whole).unwrap().signature;
                fs::write(file, bundle::pack(&bundle::Offer { signature, ..gallery })).unwrap();
            },
            broken,
        ),
        (
            "garbled",
            &|file| tamper(file, b"untrusted comment: ", b"Untrusted comment: "),
            "its signature cannot be read",
        ),
        (
            "manifest-twice",
            &|file| {
                let bare = bundle::read(&whole).unwrap();
                let once = bundle::pack(&bundle::Offer { signature: None, ..bare.clone() });
                let section = &once[bare.component.len()..];
                fs::write(file, [&once[..], section].concat()).unwrap();
            },
            "it has the section `idlewild:manifest` twice",
        ),
    ];
    for policy in ["warn", "require"] {
        place.ask_one(&["keys", "policy", policy]);
        for (name, change, says) in cases {
            let file = place.path(&format!("{name}.wasm"));
            fs::copy(&whole, &file).unwrap();
            change(&file);
            for command in ["install", "verify"] {
                refused(&place, &[command, text(&file)], &[says]);
            }
            assert!(!place.ask_one(&["inspect", text(&file)])["problems"].as_array().unwrap().is_empty(), "{name}");
            assert!(place.ask(&["bundles"]).is_empty());
            for folder in ["components", "cache", "tmp"] {
                let kept = fs::read_dir(place.state().join(folder)).unwrap();
                assert_eq!(kept.count(), 0, "{name} left something in {folder}");
            }
        }
    }

    // The next version must come from the same signer, whatever else is trusted.
    place.ask_one(&["keys", "trust", text(&eve_public)]);
    place.ask_one(&["keys", "policy", "warn"]);
    place.ask_one(&["install", text(&whole)]);
    let next = place.copy_of_bundle("hello", "next", |manifest| manifest.replace("0.1.0", "0.2.0"));
    let says = "the installed version is signed by ada (key ";
    refused(&place, &["install", text(&next)], &[says, "and this one is not signed"]);
    place.ask_one(&["sign", text(&next), "--key", text(&eve)]);
    refused(&place, &["install", text(&next)], &[says, "and this one is signed by eve (key "]);
    place.ask_one(&["sign", text(&next), "--key", text(&ada)]);
    assert_eq!(place.ask_one(&["install", text(&next)])["version"], "0.2.0");
}

#[test]
fn signing_and_packing_again_change_nothing_else() {
    let place = Place::new();
    let (ada, _) = keys(&place, "ada");
    let file = packed(&place, "one.wasm");
    let bare = bundle::read(&file).unwrap();
    place.ask_one(&["sign", text(&file), "--key", text(&ada)]);
    place.ask_one(&["sign", text(&file), "--key", text(&ada)]);
    let signed = bundle::read(&file).unwrap();
    assert_eq!(bundle::Offer { signature: None, ..signed.clone() }, bare);
    let again = place.path("again.wasm");
    place.ask_one(&["build", text(&file), "-o", text(&again)]);
    assert_eq!(fs::read(&again).unwrap(), fs::read(&file).unwrap(), "a file packs to itself, signature included");

    // A folder's signature stands beside its manifest, and goes into the file.
    let folder = place.copy_of_bundle("hello", "folder", |manifest| manifest);
    let wrote = place.ask_one(&["sign", text(&folder.join("idlewild.toml")), "--key", text(&ada)])["file"].clone();
    assert_eq!(wrote, text(&folder.join("idlewild.minisig")));
    place.ask_one(&["build", text(&folder), "-o", text(&again)]);
    assert_eq!(bundle::read(&again).unwrap(), bundle::read(&folder).unwrap());
}

#[test]
fn a_key_with_a_password_signs_only_with_it() {
    let place = Place::new();
    let file = packed(&place, "one.wasm");
    let (right, wrong) = (place.path("right"), place.path("wrong"));
    fs::write(&right, "correct horse\n").unwrap();
    fs::write(&wrong, "battery staple\n").unwrap();
    let name = place.path("ada");
    place.ask_one(&["keys", "new", text(&name), "--password-file", text(&right)]);
    let key = place.path("ada.key");
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let sign = |more: &[&'static str]| [&["sign", "one.wasm", "--key", "ada.key"], more].concat();
    let before = fs::read(&file).unwrap();
    refused(&place, &sign(&[]), &["no terminal to ask for the password on; give it with --password-file FILE"]);
    refused(&place, &sign(&["--password-file", "wrong"]), &["the key ada.key", "the password is not that of this key"]);
    assert_eq!(fs::read(&file).unwrap(), before);
    place.ask_one(&sign(&["--password-file", "right"]));
    place.ask_one(&["verify", "one.wasm", "--key", "ada.pub"]);

    // No key is ever written over, and none without a password by mistake.
    let again = ["keys", "new", text(&name), "--password-file", "right"];
    refused(&place, &again, &["ada.key exists already; choose another name"]);
    fs::write(place.path("empty"), "\n").unwrap();
    refused(&place, &["keys", "new", "eve", "--password-file", "empty"], &["the password is empty"]);
    refused(&place, &["keys", "new", "eve"], &["no terminal to ask for the password on"]);
    assert!(!place.path("eve.key").exists() && !place.path("eve.pub").exists());
}

#[test]
fn keys_are_named_listed_and_taken_back() {
    let place = Place::new();
    let (_, ada) = keys(&place, "ada");
    let (secret, eve) = keys(&place, "eve");
    let word = fs::read_to_string(&eve).unwrap().lines().nth(1).unwrap().to_owned();
    place.ask_one(&["keys", "trust", text(&ada), "--name", "Ada Lovelace"]);
    place.ask_one(&["keys", "trust", &word, "--name", "eve"]);
    let listed = place.ask_one(&["keys", "list"]);
    let mut names: Vec<&Value> = listed["keys"].as_array().unwrap().iter().map(|key| &key["name"]).collect();
    names.sort_by_key(|name| name.to_string());
    assert_eq!(names, ["Ada Lovelace", "eve"]);
    assert_eq!(listed["policy"], "warn");

    refused(&place, &["keys", "trust", text(&ada)], &["is trusted already, as Ada Lovelace"]);
    refused(&place, &["keys", "trust", text(&secret)], &["eve.key", "it is no public key of minisign"]);
    refused(&place, &["keys", "trust", "nowhere.pub"], &["the key nowhere.pub cannot be read"]);
    refused(&place, &["keys", "trust", text(&ada), "--name", ""], &["`` cannot name a key"]);
    refused(&place, &["keys", "remove", "evee"], &["no key evee is trusted: did you mean eve?"]);
    let removed = place.ask_one(&["keys", "remove", "Ada Lovelace"]);
    assert_eq!(removed["name"], "Ada Lovelace");
    assert_eq!(place.ask_one(&["keys", "list"])["keys"].as_array().unwrap().len(), 1);

    // What is damaged is named, and nothing is installed on the strength of it.
    fs::write(place.state().join("keys/policy"), "requir\n").unwrap();
    let damaged = "keys/policy is damaged; remove that file";
    refused(&place, &["install", text(&built_bundle("hello"))], &[damaged]);
    refused(&place, &["keys", "list"], &[damaged]);
    assert!(place.ask(&["bundles"]).is_empty());
}

#[test]
fn what_cannot_be_written_leaves_no_half_file() {
    let place = Place::new();
    let hello = built_bundle("hello");
    // A folder where the file should be, and a link to where it should not go.
    fs::create_dir(place.path("taken")).unwrap();
    symlink("/dev/full", place.path("full")).unwrap();
    let before = fs::read_dir(place.path("")).unwrap().count();
    refused(&place, &["build", text(&hello), "-o", "taken"], &["cannot write taken: "]);
    refused(&place, &["build", text(&hello), "-o", "nowhere/out.wasm"], &["cannot write nowhere/out.wasm: "]);
    refused(&place, &["build", text(&hello), "-o", "/proc/out.wasm"], &["cannot write /proc/out.wasm: "]);
    assert_eq!(fs::read_dir(place.path("")).unwrap().count(), before);
    // A link is replaced by the file, never written through.
    place.ask_one(&["build", text(&hello), "-o", "full"]);
    assert!(fs::symlink_metadata(place.path("full")).unwrap().is_file());
}

#[test]
fn any_file_is_told_what_it_is_and_why_it_cannot_be_installed() {
    let place = Place::new();
    let whole = fs::read(packed(&place, "whole.wasm")).unwrap();
    let component = fs::read(built_bundle("hello").join("hello.wasm")).unwrap();
    let other = wat::parse_str("(component (import \"wasi:keyvalue/store@0.2.0\" (instance)))").unwrap();
    let cases: [(&str, &[u8], &[&str]); 7] = [
        ("empty", b"", &["it is a file, and not WebAssembly"]),
        ("text", b"just some text", &["it is a file, and not WebAssembly"]),
        ("module", &wat::parse_str("(module)").unwrap(), &["it is a core module, not a component"]),
        ("torn", &whole[..whole.len() / 2], &["it breaks off inside the section that begins at byte"]),
        ("component", &component, &["it carries no manifest; pack it: idlewild build FOLDER"]),
        ("other-world", &other, &["it carries no manifest", "exports neither", "imports `wasi:keyvalue/store@0.2.0`"]),
        ("whole", &whole, &[]),
    ];
    for (name, bytes, reasons) in cases {
        let file = place.path(name);
        fs::write(&file, bytes).unwrap();
        let told = place.ask_one(&["inspect", text(&file)]);
        let problems: Vec<&str> =
            told["problems"].as_array().unwrap().iter().map(|told| told.as_str().unwrap()).collect();
        assert_eq!(problems.len(), reasons.len(), "{name}: {problems:?}");
        for (problem, reason) in problems.iter().zip(reasons) {
            assert!(problem.contains(reason), "{name}: {problem}");
        }
        let for_people = place.run(&["inspect", text(&file)]);
        assert_eq!(for_people.code, Some(0), "{}", for_people.stderr);
        let word = if reasons.is_empty() { "installable   yes" } else { "installable   no: " };
        assert!(for_people.text().contains(word), "{}", for_people.text());
        if let Some(reason) = reasons.first() {
            refused(&place, &["install", text(&file)], &[reason]);
        }
    }
    assert!(place.ask(&["bundles"]).is_empty());
    refused(&place, &["inspect", "nowhere"], &["nowhere is no bundle: it does not exist"]);
    refused(&place, &["inspect", "com.example.nothing"], &["no bundle com.example.nothing is installed"]);
}

#[test]
fn inspect_finds_what_installing_finds_in_real_components() {
    let place = Place::new();
    let installable =
        [("hello", "async-background-app"), ("gallery", "background-app"), ("behaviours", "background-app")];
    for (installable, world) in installable {
        let told = place.ask_one(&["inspect", text(&built_bundle(installable))]);
        assert_eq!(told["world"], world, "{installable}");
        assert_eq!(told["problems"], json!([]), "{installable}");
        assert!(told["imports"].as_array().unwrap().len() > 10, "{told}");
        assert!(!told["producers"].as_array().unwrap().is_empty(), "{told}");
    }
    let asks = place.ask_one(&["inspect", text(&built_bundle("gallery"))])["asks"].clone();
    let gallery = json!({"kind": "directory", "name": "gallery", "access": "read", "option": "--grant gallery=PATH"});
    assert_eq!(asks[0], gallery, "{asks}");
    let misfits = [
        ("imports_the_missing", "imports `test:missing/thing`, which this host does not offer"),
        ("exports_nothing", "exports neither `idlewild:background-tasks/handler@0.1.0` nor"),
    ];
    for (misfit, reason) in misfits {
        let path = built_bundle(&format!("misfits/{misfit}"));
        let told = place.ask_one(&["inspect", text(&path)]);
        assert!(told["problems"].to_string().contains(reason), "{misfit}: {}", told["problems"]);
        assert_eq!(place.run(&["install", text(&path)]).code, Some(1));
    }
}

#[test]
fn an_upgrade_comes_from_the_same_signer_unless_the_operator_says_otherwise() {
    let place = Place::new();
    let (ada, ada_public) = keys(&place, "ada");
    let (eve, eve_public) = keys(&place, "eve");
    for public in [&ada_public, &eve_public] {
        place.ask_one(&["keys", "trust", text(public)]);
    }
    let version = |name: &str, version: &str, key: Option<&Path>| {
        let folder = place.copy_of_bundle("hello", name, |manifest| manifest.replace("0.1.0", version));
        if let Some(key) = key {
            place.ask_one(&["sign", text(&folder), "--key", text(key)]);
        }
        folder
    };
    let first = version("first", "0.1.0", Some(&ada));
    let installed = place.ask_one(&["install", text(&first)]);
    assert_eq!(installed["signature"]["name"], "ada", "{installed}");

    for other in [version("eves", "0.2.0", Some(&eve)), version("nobodys", "0.2.0", None)] {
        refused(&place, &["install", text(&other)], &["ada", "--allow-other-signer"]);
    }
    assert_eq!(place.ask_one(&["bundles"])["version"], "0.1.0", "nothing has changed");
    assert_eq!(place.ask_one(&["install", text(&version("second", "0.2.0", Some(&ada)))])["before"], "0.1.0");

    let eves = version("eves-third", "0.3.0", Some(&eve));
    place.ask_one(&["upgrade", text(&eves), "--allow-other-signer"]);
    let signer = |place: &Place| place.ask_one(&["bundles"])["signer"].as_str().unwrap().to_owned();
    assert!(signer(&place).starts_with("eve (key "), "{}", signer(&place));
    let back = place.ask_one(&["rollback", "com.example.hello"]);
    assert_eq!((&back["version"], &back["signature"]["name"]), (&json!("0.2.0"), &json!("ada")), "{back}");
    refused(&place, &["install", text(&eves)], &["ada", "--allow-other-signer"]);

    // Looking away for one installation does not make anybody the signer.
    place.ask_one(&["keys", "policy", "off"]);
    place.ask_one(&["install", text(&version("unseen", "0.4.0", None))]);
    place.ask_one(&["keys", "policy", "warn"]);
    refused(&place, &["install", text(&version("after", "0.5.0", None))], &["ada", "--allow-other-signer"]);

    // What is required of an installation is required of going back.
    place.ask_one(&["keys", "remove", "ada"]);
    place.ask_one(&["keys", "policy", "require"]);
    refused(&place, &["rollback", "com.example.hello"], &["requires a signature of a trusted key"]);
    assert_eq!(place.ask_one(&["bundles"])["version"], "0.4.0");
}

#[test]
fn kept_data_goes_to_its_signer_unless_the_operator_says_otherwise() {
    for policy in ["warn", "require"] {
        let place = Place::new();
        let (ada, ada_public) = keys(&place, "ada");
        let (eve, eve_public) = keys(&place, "eve");
        for public in [&ada_public, &eve_public] {
            place.ask_one(&["keys", "trust", text(public)]);
        }
        place.ask_one(&["keys", "policy", policy]);
        let signed = |name: &str, key: &Path| {
            let folder = place.copy_of_bundle("hello", name, |manifest| manifest);
            place.ask_one(&["sign", text(&folder), "--key", text(key)]);
            folder
        };
        let (adas, eves) = (signed("adas", &ada), signed("eves", &eve));
        let keep = || place.ask_one(&["uninstall", "com.example.hello", "--keep-data"]);
        place.ask_one(&["install", text(&adas)]);
        keep();
        let says = "the version whose data was kept is signed by ada (key ";
        refused(&place, &["install", text(&eves)], &[says, "--allow-other-signer"]);
        if policy == "warn" {
            refused(&place, &["install", text(&built_bundle("hello"))], &[says, "and this one is not signed"]);
        }
        assert!(place.ask(&["bundles"]).is_empty(), "nothing was installed");
        place.ask_one(&["install", text(&adas)]);
        keep();

        // Looking away for one installation makes nobody the signer.
        place.ask_one(&["keys", "policy", "off"]);
        place.ask_one(&["install", text(&eves)]);
        keep();
        place.ask_one(&["keys", "policy", policy]);
        refused(&place, &["install", text(&eves)], &[says]);
        place.ask_one(&["install", text(&eves), "--allow-other-signer"]);
        keep();
        refused(&place, &["install", text(&adas)], &["data was kept is signed by eve (key "]);

        // What is dropped is nobody's.
        place.ask_one(&["uninstall", "com.example.hello"]);
        place.ask_one(&["install", text(&adas)]);
    }
}

#[test]
fn inspecting_a_file_says_what_the_installed_bundle_of_its_id_was_given_of_its_asks() {
    let place = Place::new();
    let asking = |name: &str, version: &str, config: &str| {
        place.copy_of_bundle("hello", name, |manifest| {
            format!("{}\n[capabilities]\nconfig = {config}\n", manifest.replace("0.1.0", version))
        })
    };
    let (one, two) = (asking("one", "0.1.0", "[\"name\"]"), asking("two", "0.2.0", "[\"name\", \"place\"]"));
    let told = || place.run(&["inspect", text(&two)]).text().to_owned();
    assert!(told().contains("granted       nothing yet: no bundle of this id is installed\n"), "{}", told());
    assert!(!place.state().exists(), "no state folder is made for it");
    place.ask_one(&["install", text(&one), "--set", "name=Ada"]);
    for hosted in [false, true] {
        let host = hosted.then(|| place.serve_at_ease(&[]));
        let inspected = place.ask_one(&["inspect", text(&two)]);
        let name = json!({"kind": "config", "name": "name", "value": "Ada"});
        let installed = json!({"version": "0.1.0", "grants": [name], "missing": ["--set place=VALUE"]});
        assert_eq!(inspected["installed"], installed);
        assert!(told().contains("installed     version 0.1.0, with the grants below\n"), "{}", told());
        assert!(told().contains("missing       nothing was given: --set place=VALUE\n"), "{}", told());
        assert!(told().contains("installable   yes"), "{}", told());
        if let Some(host) = host {
            host.signal(Signal::TERM);
            assert_eq!(host.end().code, Some(0));
        }
    }
}

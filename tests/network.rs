//! The way to the web and the secrets, from outside: what an operator grants on the command line, and who is trusted.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use idlewild_tests::{AT_EASE, Certificate, HostEnd, Place, Server};
use serde_json::Value;

const VALUE: &str = "hush-hush-and-never-a-word";

/// A place with the fixture that fetches, asking for these origins and secrets.
fn place_with(origins: &[&str], secrets: &[&str]) -> Place {
    let place = Place::new();
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/wasm32-wasip2/guest/examples/web.wasm");
    let folder = place.folder("web");
    fs::copy(&built, folder.join("web.wasm")).unwrap_or_else(|_| panic!("{} is not built", built.display()));
    let manifest = format!(
        "[bundle]\nid = \"test.web\"\nversion = \"0.1.0\"\ncomponent = \"web.wasm\"\n\
         [scheduling]\npermitted-identifiers = [\"test.web.fetches\", \"test.web.fetches-at-once\", \
         \"test.web.prints-environment\", \"test.web.opens-sockets\", \"test.web.draws-random\", \
         \"test.web.tells-its-environment\", \"test.web.titles-itself\"]\n\
         [capabilities]\nhttp = {origins:?}\nsecrets = {secrets:?}\n"
    );
    fs::write(folder.join("idlewild.toml"), manifest).unwrap();
    place
}

fn install(place: &Place, grants: &[&str]) {
    place.ask_one(&[&["install", "web"], grants].concat());
}

/// Submits one fetch, and serves until it is over.
fn fetch(place: &Place, environment: &[(&str, &Path)], input: &str) -> (Value, String, HostEnd) {
    place.ask_one(&["submit", "test.web.fetches", "--input", input]);
    // What the machine that runs this trusts is not part of the story.
    let environment = [environment, &[("SSL_CERT_DIR", Path::new(""))]].concat();
    let end = place.serve_in(&environment, &[&AT_EASE[..], &["--exit-when-done"]].concat()).end();
    let task = place.ask_one(&["tasks", "--limit", "1"]);
    let log = place.ask_one(&["logs", "test.web.fetches"])["log"]["text"].as_str().unwrap_or_default().to_owned();
    (task["ended"].clone(), log, end)
}

fn certificates(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tls").join(name)
}

#[test]
fn an_https_server_answers_only_with_a_certificate_this_system_trusts() {
    let nobody = Place::new();
    let nobody = nobody.folder("certificates").join("none.pem");
    fs::write(&nobody, "").unwrap();
    let (authority, stranger) = (certificates("authority.pem"), certificates("expired.pem"));
    let cases = [
        (&authority, Certificate::Good, "200 hello", ""),
        (&authority, Certificate::Expired, "ErrorCode::TlsCertificateError", "expired"),
        (&authority, Certificate::OfAnother, "ErrorCode::TlsCertificateError", "not valid for name"),
        (&stranger, Certificate::Good, "ErrorCode::TlsCertificateError", "of an authority this system does not trust"),
        (&nobody, Certificate::Good, "ErrorCode::ConfigurationError", "no certificate authorities to trust"),
    ];
    for (trusted, certificate, expected, said) in cases {
        let server = Server::https(certificate);
        let origin = format!("https://{}", server.authority);
        let place = place_with(&[&origin], &[]);
        install(&place, &["--allow", &origin]);
        let (ended, log, _) = fetch(&place, &[("SSL_CERT_FILE", trusted)], &format!("GET {origin}/hello"));
        assert_eq!(ended["output"]["text"], expected, "{certificate:?}: {ended} {log}");
        assert!(log.contains(said), "{certificate:?}: {log}");
        assert_eq!(server.asked().len(), usize::from(expected == "200 hello"));
    }
}

#[test]
fn a_handshake_that_never_ends_is_given_up() {
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("https://{}", mute.local_addr().unwrap());
    let place = place_with(&[&origin], &[]);
    install(&place, &["--allow", &origin]);
    let trusted = certificates("authority.pem");
    let (ended, log, _) = fetch(&place, &[("SSL_CERT_FILE", &trusted)], &format!("GET {origin}/hello connect=200"));
    assert_eq!(ended["output"]["text"], "ErrorCode::ConnectionTimeout", "{ended} {log}");
}

#[test]
fn a_name_of_this_machine_is_reached_when_that_was_granted() {
    let server = Server::http();
    let origin = format!("http://localhost:{}", server.port);
    for (option, expected) in [("--allow", "ErrorCode::DestinationIpProhibited"), ("--allow-private", "200 hello")] {
        let place = place_with(&[&origin], &[]);
        install(&place, &[option, &origin]);
        let (ended, log, _) = fetch(&place, &[], &format!("GET {origin}/hello"));
        assert_eq!(ended["output"]["text"], expected, "{ended} {log}");
    }
}

#[test]
fn a_secret_is_in_no_answer_no_log_and_no_file() {
    let server = Server::http();
    let origin = format!("http://{}", server.authority);
    let place = place_with(&[&origin], &["token", "key"]);
    let credentials = place.folder("credentials");
    fs::write(place.path("token"), format!("{VALUE}\n")).unwrap();
    fs::write(credentials.join("key"), format!("{VALUE}-too")).unwrap();
    let bound = format!("token=token,header=Authorization,origin={origin}");
    install(&place, &["--allow", &origin, "--secret", &bound, "--secret", "key=credential:key"]);
    let ask = format!("GET {origin}/hello");
    let (ended, _, end) = fetch(&place, &[("CREDENTIALS_DIRECTORY", &credentials)], &ask);
    assert_eq!(ended["output"]["text"], "200 hello", "{ended}");
    assert!(server.asked()[0].contains(&format!("\r\nauthorization: {VALUE}\r\n")), "{:?}", server.asked());
    for command in [&["bundles"][..], &["tasks"], &["task", "1"], &["logs", "1"], &["why", "test.web.fetches"]] {
        let answer = place.run(&[command, &["--json"]].concat());
        assert!(!format!("{}{}", answer.text(), answer.stderr).contains(VALUE), "{command:?}");
    }
    assert!(!format!("{:?}{}", end.events, end.stderr).contains(VALUE));
    assert_eq!(holding(&place.state(), VALUE), Vec::<PathBuf>::new());
    // The search would have found it.
    assert_eq!(holding(&credentials, VALUE), [credentials.join("key")]);

    fs::remove_file(place.path("token")).unwrap();
    let (ended, ..) = fetch(&place, &[("CREDENTIALS_DIRECTORY", &credentials)], &ask);
    let message = ended["message"].as_str().unwrap_or_default();
    assert!(message.starts_with("the secret `token`, the file ") && message.contains("cannot be read"), "{ended}");
    fs::write(place.path("token"), VALUE).unwrap();
    let (ended, ..) = fetch(&place, &[], &ask);
    let message = ended["message"].as_str().unwrap_or_default();
    assert!(message.starts_with("the secret `key`, the system credential `key`, cannot be read"), "{ended}");
}

/// The files below `folder` that hold `text`.
fn holding(folder: &Path, text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(holding(&path, text));
        } else if let Ok(bytes) = fs::read(&path)
            && bytes.windows(text.len()).any(|window| window == text.as_bytes())
        {
            found.push(path);
        }
    }
    found
}

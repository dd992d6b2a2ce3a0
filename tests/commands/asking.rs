//! What a person asks of a task: every option typed, once and not twice, now rather than later, and no longer.

use std::{
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
};

use super::*;

const SHOWS: &str = "test.behaviours.shows-its-work";
const POLLS: &str = "test.behaviours.polls-expiration";

/// A command that must fail with a message.
fn refused(place: &Place, arguments: &[&str], message: &str) {
    let answer = place.run(arguments);
    assert_eq!(answer.code, Some(1), "{arguments:?}: {} {}", answer.text(), answer.stderr);
    assert!(answer.stderr.contains(message), "{arguments:?}: {}", answer.stderr);
}

#[test]
fn every_option_that_is_typed_comes_back_in_what_is_pending() {
    let place = installed();
    let options = "--kind processing --every 6h --flex 1h --attempts 4 --first-delay 1m --longest-delay 2h --may-suspend \
                   --priority low --requires-network --run-after test.behaviours.succeeds --at 2100-01-01T00:00:00Z";
    let submit: Vec<&str> = ["submit", POLLS].into_iter().chain(options.split_whitespace()).collect();
    place.ask_one(&submit);
    place.ask_one(&["submit", "test.behaviours.fails", "--by", "2100-01-02T00:00:00Z", "--in", "2h"]);
    place.ask_one(&["submit", SHOWS, "--title", "Export", "--subtitle", "to disk", "--input", "awaits"]);
    let pending = place.ask(&["pending"]);
    let [processing, refresh, continued] =
        [0, 1, 2].map(|place: usize| pending[place]["record"]["request"].as_object().unwrap());
    let expect = |request: &serde_json::Map<String, Value>, expected: Value| {
        for (key, value) in expected.as_object().unwrap() {
            assert_eq!(request.get(key), Some(value), "{key} of {request:?}");
        }
    };
    expect(
        processing,
        json!({
            "kind": "processing",
            "requires_network_connectivity": true,
            "requires_external_power": false,
            "earliest_begin": "2100-01-01T00:00:00Z",
            "repeat": {"every_ms": 21_600_000, "flex_ms": 3_600_000},
            "retry": {"attempts": 4, "first_delay_ms": 60_000, "longest_delay_ms": 7_200_000},
            "may_suspend": true,
            "priority": "low",
            "run_after": ["test.behaviours.succeeds"],
        }),
    );
    expect(refresh, json!({"kind": "app-refresh", "latest_begin": "2100-01-02T00:00:00Z", "priority": "normal"}));
    expect(continued, json!({"kind": "continued-processing", "title": "Export", "subtitle": "to disk"}));
    assert!(refresh.get("repeat").is_none() && refresh.get("retry").is_none(), "{refresh:?}");

    let never: [(&[&str], &str); 4] = [
        (&["--every", "10m", "--flex", "11m"], "the flex of repeat is longer than its period"),
        (&["--attempts", "26"], "retry asks for 26 attempts, and 25 are allowed"),
        (&["--in", "2h", "--by", "2001-01-01T00:00:00Z"], "lies before earliest-begin"),
        (&["--title", " "], "continued-processing needs a title"),
    ];
    for (options, message) in never {
        refused(&place, &[&["submit", "test.behaviours.exits"], options].concat(), message);
    }
}

#[test]
fn without_a_host_nothing_is_launched_or_stopped_and_the_message_says_so() {
    let place = installed();
    refused(&place, &["launch", POLLS, "--force"], "no request of test.behaviours.polls-expiration is pending");
    place.ask_one(&["submit", POLLS]);
    for command in [&["launch", POLLS][..], &["launch", POLLS, "--force"]] {
        refused(&place, command, "this host launches nothing now");
    }
    refused(&place, &["expire", POLLS, "--reason", "no-progress"], "nothing of test.behaviours.polls-expiration runs");
    refused(&place, &["launch", "test.behaviours.poll-expiration"], "did you mean test.behaviours.polls-expiration?");
    assert!(place.ask(&["tasks"]).is_empty());
    assert_eq!(place.ask(&["pending"]).len(), 1);
}

#[test]
fn a_person_launches_now_and_forces_it_and_stops_it_with_a_reason() {
    let place = installed();
    let mut host = place.serve_at_ease(&[]);
    refused(&place, &["launch", POLLS], "no request of test.behaviours.polls-expiration is pending");
    place.ask_one(&["submit", POLLS, "--kind", "processing", "--requires-network", "--in", "2h"]);
    place.ask(&["conditions", "network=no"]);
    refused(
        &place,
        &["launch", POLLS],
        "there is no network (stated); `--force` launches it whatever the machine is like",
    );
    place.ask(&["conditions", "network=yes"]);
    let task = place.ask_one(&["launch", POLLS])["task"].clone();
    assert_eq!(host.wait_for("launched", POLLS)["task"], task, "though its date lies ahead");
    place.ask(&["conditions", "network=no"]);
    assert_eq!(host.wait_for("ended", POLLS)["reason"], "conditions-lost", "it is a task like any other");

    place.ask_one(&["submit", POLLS, "--kind", "processing", "--requires-network"]);
    let said = place.run(&["launch", POLLS, "--force"]);
    assert!(said.text().contains("of test.behaviours.polls-expiration is launched"), "{}", said.text());
    host.wait_for("launched", POLLS);
    place.ask(&["conditions", "idle=no"]);
    assert_eq!(place.ask_one(&["why", POLLS])["running"]["ended"], Value::Null, "forced, it is not stopped for it");
    let said = place.run(&["expire", POLLS, "--reason", "preempted"]);
    assert_eq!(said.text(), "1 task of test.behaviours.polls-expiration asked to stop: preempted\n");
    let ended = host.wait_for("ended", POLLS);
    assert_eq!((&ended["reason"], &ended["handled"]), (&json!("preempted"), &json!(true)), "{ended}");
    assert_eq!(ended["returned"]["output"]["text"], "tidied: preempted");
    refused(&place, &["expire", POLLS], "nothing of test.behaviours.polls-expiration runs");
    stop(host);
}

#[test]
fn what_a_person_watches_shows_its_title_and_is_cancelled_by_name() {
    let place = installed();
    let mut host = place.serve_at_ease(&[]);
    place.ask_one(&["submit", SHOWS, "--title", "Export", "--subtitle", "to disk"]);
    let launched = host.wait_for("launched", SHOWS);
    assert_eq!(launched["kind"], "continued-processing");
    let titled = host.wait_for("titled", SHOWS);
    assert_eq!((&titled["title"], &titled["subtitle"]), (&json!("Showing"), &json!("1 of 3")));
    assert_eq!(host.wait_for("progressed", SHOWS)["progress"], json!({"completed": 1, "total": 3}));
    let task = place.ask_one(&["task", &launched["task"].to_string()]);
    assert_eq!((&task["title"], &task["subtitle"]), (&json!("Showing"), &json!("1 of 3")), "{task}");
    assert_eq!(task["progress"], json!({"completed": 1, "total": 3}));
    let said = place.run(&["cancel", SHOWS]);
    assert!(said.text().ends_with("1 running task asked to stop\n"), "{}", said.text());
    let ended = host.wait_for("ended", SHOWS);
    assert_eq!((&ended["reason"], &ended["handled"]), (&json!("cancelled"), &json!(true)), "{ended}");
    stop(host);
}

/// Posts a submission over the socket as any program might, and reads the answer's status and body.
fn post(place: &Place, key: Option<&[u8]>, body: &Value) -> (u16, Value) {
    let mut socket = UnixStream::connect(place.state().join("host.sock")).unwrap();
    let body = body.to_string();
    let length = body.len();
    let mut head = b"POST /v1/requests HTTP/1.1\r\nhost: idlewild\r\nconnection: close\r\n".to_vec();
    head.extend(format!("content-type: application/json\r\ncontent-length: {length}\r\n").bytes());
    if let Some(key) = key {
        head.extend([b"Idempotency-Key: ", key, b"\r\n"].concat());
    }
    socket.write_all(&[&head, b"\r\n".as_slice(), body.as_bytes()].concat()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    (status, serde_json::from_str(body).unwrap())
}

#[test]
fn a_submission_under_a_key_is_made_once_over_http_and_typed() {
    let place = installed();
    let request = |identifier: &str| json!({"identifier": identifier, "kind": "app-refresh", "earliest_begin": "2100-01-01T00:00:00Z"});
    let fails = request("test.behaviours.fails");
    let host = place.serve_at_ease(&[]);
    let (status, first) = post(&place, Some(b"import-7"), &fails);
    assert_eq!((status, &first["replaced"]), (200, &json!(false)), "{first}");
    assert_eq!(post(&place, Some(b"import-7"), &fails), (200, first.clone()), "answered as before");
    let (status, problem) = post(&place, Some(b"import-7"), &request("test.behaviours.exits"));
    assert_eq!((status, &problem["code"], &problem["number"]), (403, &json!("not-permitted"), &json!(3)));
    assert!(problem["detail"].as_str().unwrap().contains("`import-7` was used for another request"), "{problem}");
    let (_, without) = post(&place, None, &fails);
    assert_eq!(without["replaced"], true, "without a key it is another submission");

    let long = [b'k'; 256];
    for bad in [&b""[..], &long, "schlüssel".as_bytes(), b"\x80"] {
        let (status, problem) = post(&place, Some(bad), &fails);
        assert_eq!((status, &problem["code"]), (400, &json!("bad-request")), "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains("1 to 255 printable ASCII characters"), "{problem}");
    }
    assert_eq!(post(&place, Some(&long[1..]), &fails).0, 200, "255 are not too many");
    stop(host);

    let typed = ["submit", "test.behaviours.traps", "--in", "2h", "--key", "typed"];
    let at = ["submit", "test.behaviours.traps", "--at", "2100-01-01T00:00:00Z", "--key", "at"];
    let first = place.ask_one(&at);
    assert_eq!(place.ask_one(&at), first, "a new host remembers, and one that only answers");
    place.ask_one(&typed);
    // A date counted from now is another one each time.
    refused(&place, &typed, "`typed` was used for another request");
}

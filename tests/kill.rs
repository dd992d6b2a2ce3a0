//! A host that is killed: nothing it accepted is lost, and nothing succeeds twice.
//! The moments are drawn from a seed, which is printed; `IDLEWILD_SEED=N` draws the same again.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test may fail, and says its seed")]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::mpsc::{self, Sender},
    thread,
};

use idlewild::{
    api::{Client, wire},
    rules::{Identifier, KindName},
};
use idlewild_tests::{Place, built_bundle};
use serde_json::Value;

fn install(place: &Place) {
    let grant = format!("shared={}", place.folder("shared").display());
    place.ask_one(&["install", built_bundle("behaviours").to_str().unwrap(), "--grant", &grant]);
}

#[test]
fn a_task_killed_with_its_host_comes_back_as_attempt_2() {
    const IDENTIFIER: &str = "test.behaviours.waits-on-first-attempt";
    let place = Place::new();
    install(&place);
    let mut host = place.serve_at_ease(&[]);
    let accepted = place.ask_one(&["submit", IDENTIFIER, "--kind", "processing"])["request"].clone();
    let killed_task = host.wait_for("launched", IDENTIFIER)["task"].clone();
    let later = place.ask_one(&["submit", "test.behaviours.succeeds", "--in", "2h"])["request"].clone();
    assert_eq!(host.kill().signal, Some(9));
    assert!(place.state().join("host.sock").exists(), "a killed host leaves its socket behind");

    // Without a host the interruption is told already, and what was accepted is still there.
    let task = place.ask_one(&["tasks"]);
    assert_eq!(task["ended"]["outcome"], "interrupted", "{task}");
    let pending: Vec<Value> = place.ask(&["pending"]).iter().map(|waiting| waiting["record"]["id"].clone()).collect();
    assert_eq!(pending, [accepted.clone(), later.clone()]);

    let mut host = place.serve_at_ease(&["--exit-when-done"]);
    let launched = host.wait_for("launched", IDENTIFIER);
    assert_eq!((&launched["attempt"], &launched["request"]), (&2.into(), &accepted), "{launched}");
    let ended = host.wait_for("ended", IDENTIFIER);
    assert_eq!(ended["output"]["text"], "attempt 2", "{ended}");
    let end = host.end();
    assert_eq!((end.code, end.stderr.as_str()), (Some(0), ""));

    let tasks = place.ask(&["tasks"]);
    let told: Vec<_> =
        tasks.iter().map(|task| (&task["attempt"], &task["ended"]["outcome"], &task["request"])).collect();
    assert_eq!(
        told,
        [(&2.into(), &"succeeded".into(), &accepted), (&1.into(), &"interrupted".into(), &accepted)],
        "newest first"
    );
    assert_eq!(tasks[1]["id"], killed_task);
    assert_eq!(place.ask_one(&["pending"])["record"]["id"], later);
}

/// How often the host is started and killed.
const LIVES: u64 = 12;
/// From this life on nothing new is submitted that waits for a kill.
const LAST_LIVES: u64 = 8;

/// A request as its submitter knows it.
#[derive(Debug, Clone)]
struct Accepted {
    id: u64,
    identifier: String,
    replaced: bool,
}

/// What one life of the host heard and said.
enum Said {
    Accepted(Accepted),
    /// The host died with this submission, before or after it was kept.
    Unanswered(String),
    Refused,
}

/// Requests that anybody might make, as many as the host takes.
fn submit_until_death(socket: PathBuf, seed: u64, life: u64, say: &Sender<Said>) {
    let mut random = fastrand::Rng::with_seed(seed);
    let client = Client::Socket(socket);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut behaviours = vec![
        "succeeds",
        "fails",
        "traps",
        "remembers",
        "reports-attempt",
        "reports-progress",
        "checkpoints",
        "floods-log",
        "writes-clock",
        "resubmits",
    ];
    if life < LAST_LIVES {
        behaviours.push("waits-on-first-attempt");
    }
    loop {
        let identifier = format!("test.behaviours.{}", behaviours[random.usize(..behaviours.len())]);
        let kind = if random.bool() { KindName::AppRefresh } else { KindName::Processing };
        let mut request = wire::Request::new(Identifier::parse(&identifier).unwrap(), kind);
        request.requires_network_connectivity = kind == KindName::Processing && random.bool();
        if random.u8(..4) == 0 {
            request.earliest_begin = Some(wire::Text("2100-01-01T00:00:00Z".parse().unwrap()));
        }
        let answer = runtime.block_on(client.post::<wire::Submission>("/v1/requests", &request));
        let said = match answer {
            Ok(wire::Submission { request: id, replaced }) => Said::Accepted(Accepted { id, identifier, replaced }),
            Err(idlewild::api::ClientError::Problem(_)) => Said::Refused,
            Err(_) => Said::Unanswered(identifier),
        };
        let dead = matches!(said, Said::Unanswered(_));
        if say.send(said).is_err() || dead {
            return;
        }
    }
}

#[test]
fn nothing_accepted_is_lost_and_nothing_succeeds_twice_whenever_the_host_is_killed() {
    #[expect(clippy::disallowed_methods, reason = "a person gives the seed of a run that failed")]
    let chosen = std::env::var("IDLEWILD_SEED").ok().map(|seed| seed.parse().expect("a seed is a number"));
    let seed = chosen.unwrap_or_else(|| fastrand::u64(..));
    eprintln!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let place = Place::new();
    install(&place);
    let mut accepted: Vec<Accepted> = Vec::new();
    let mut unanswered: BTreeMap<String, u64> = BTreeMap::new();
    for life in 0..LIVES {
        let host = place.serve_at_ease(&[]);
        let (say, heard) = mpsc::channel();
        let (socket, submitter_seed) = (place.state().join("host.sock"), random.u64(..));
        let submitter = thread::spawn(move || submit_until_death(socket, submitter_seed, life, &say));
        let last_word = random.usize(1..40);
        let mut host = Some(host);
        let mut words = 0;
        for said in heard {
            words += 1;
            if words == last_word {
                host.take().unwrap().kill();
            }
            match said {
                Said::Accepted(request) => accepted.push(request),
                Said::Unanswered(identifier) => *unanswered.entry(identifier).or_default() += 1,
                Said::Refused => {}
            }
        }
        submitter.join().unwrap();
        assert!(host.is_none(), "life {life} ended by itself");
    }
    let end = place.serve_at_ease(&["--exit-when-done"]).end();
    assert!(matches!(end.code, Some(0 | 3)), "{:?}: {}", end.code, end.stderr);
    assert_eq!(end.stderr, "");
    let tasks = place.ask(&["tasks", "--limit", "1000"]);
    let pending = place.ask(&["pending", "--limit", "1000"]);
    assert!(tasks.len() < 1_000 && pending.len() < 1_000, "there is more than was read");
    assert!(tasks.iter().any(|task| task["ended"]["outcome"] == "interrupted"), "no kill met a running task");
    assert_lives_were_sound(&tasks, &pending);
    assert_all_accounted_for(&accepted, &unanswered, &tasks, &pending);
    eprintln!("{} accepted, {} tasks, {} pending", accepted.len(), tasks.len(), pending.len());
}

/// Of each request: attempts are counted one by one, all but the last were interrupted, and at most one succeeded.
fn assert_lives_were_sound(tasks: &[Value], pending: &[Value]) {
    let mut by_request: BTreeMap<u64, Vec<&Value>> = BTreeMap::new();
    for task in tasks.iter().rev() {
        by_request.entry(task["request"].as_u64().unwrap()).or_default().push(task);
    }
    let pending: BTreeSet<u64> = pending.iter().map(|waiting| waiting["record"]["id"].as_u64().unwrap()).collect();
    for (request, tasks) in by_request {
        let attempts: Vec<u64> = tasks.iter().map(|task| task["attempt"].as_u64().unwrap()).collect();
        assert_eq!(attempts, (1..=tasks.len() as u64).collect::<Vec<_>>(), "request {request}: {tasks:?}");
        let (last, before) = tasks.split_last().unwrap();
        assert!(before.iter().all(|task| task["ended"]["outcome"] == "interrupted"), "request {request}: {tasks:?}");
        let given_up = tasks.len() == 6;
        assert!(last["ended"]["outcome"] != "interrupted" || given_up, "request {request} was left behind: {tasks:?}");
        assert!(last["ended"]["outcome"].is_string(), "request {request} still runs: {tasks:?}");
        assert!(!pending.contains(&request), "request {request} has ended and is pending");
    }
}

/// Each accepted request has run, is pending, or gave way to a later one of its identifier that is accounted for.
fn assert_all_accounted_for(
    accepted: &[Accepted],
    unanswered: &BTreeMap<String, u64>,
    tasks: &[Value],
    pending: &[Value],
) {
    let mut known: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
    let of_tasks = tasks.iter().map(|task| (&task["identifier"], &task["request"]));
    let of_pending =
        pending.iter().map(|waiting| (&waiting["record"]["request"]["identifier"], &waiting["record"]["id"]));
    for (identifier, request) in of_tasks.chain(of_pending) {
        known.entry(identifier.as_str().unwrap().to_owned()).or_default().insert(request.as_u64().unwrap());
    }
    let mut gone: BTreeMap<&str, u64> = BTreeMap::new();
    for Accepted { id, identifier, .. } in accepted {
        let known = known.get(identifier).unwrap_or_else(|| panic!("nothing is left of {identifier}, not even {id}"));
        if known.contains(id) {
            continue;
        }
        assert!(known.last().unwrap() > id, "request {id} of {identifier} is lost: {known:?}");
        *gone.entry(identifier).or_default() += 1;
    }
    for (identifier, gone) in gone {
        // What a guest submits itself replaces too, and nobody outside counts that.
        if identifier == "test.behaviours.resubmits" {
            continue;
        }
        let replaced = accepted.iter().filter(|request| request.identifier == identifier && request.replaced).count();
        let may_be_gone = replaced as u64 + unanswered.get(identifier).copied().unwrap_or_default();
        assert!(gone <= may_be_gone, "{gone} requests of {identifier} are gone, and {may_be_gone} were replaced");
    }
}

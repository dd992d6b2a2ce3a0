//! The harness of the guest kit goes by the host's rules: the same numbers, and the same answers to the same submissions.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{
    cell::Cell,
    time::{Duration, SystemTime},
};

use idlewild::{
    config::Settings,
    rules::{self, Pattern, Permits, Profile, Standing, Timestamp, admit},
};
use idlewild_guest::{DataProtection, Kind, Repeat, Request, Retry, Submission, SubmitError, test};
use idlewild_tests::id;

thread_local! {
    /// What `activate` submits, and what it is answered.
    static ASKED: Cell<Option<Request>> = const { Cell::new(None) };
    static ANSWER: Cell<Option<Result<Submission, SubmitError>>> = const { Cell::new(None) };
}

#[idlewild_guest::bundle]
mod tasks {
    #[activate]
    fn ask() -> Result<(), String> {
        let request = super::ASKED.take().ok_or("nothing is to be asked")?;
        super::ANSWER.set(Some(request.submit()));
        Ok(())
    }

    #[handler("com.example.a")]
    #[handler("com.example.b")]
    #[handler("com.example.many.*")]
    async fn work() {}
}

#[test]
fn the_harness_has_the_hosts_numbers() {
    let settings = Settings::new(Profile::Server);
    assert_eq!(test::GRACE, settings.grace);
    assert_eq!(test::INTERRUPTIONS, settings.interruptions);
    assert_eq!(test::INPUT_BYTES, settings.input_bytes);
    assert_eq!(test::OUTPUT_BYTES, settings.output_bytes);
    assert_eq!(test::CHECKPOINT_BYTES, settings.checkpoint_bytes);
    assert_eq!(test::ATTEMPTS, settings.attempts);
    assert_eq!(test::STALL, settings.stall_time);
    assert_eq!(test::time_limit(&Kind::ContinuedProcessing(Default::default())), None);
    assert_eq!(test::time_limit(&Kind::AppRefresh), Some(settings.app_refresh_time));
    assert_eq!(test::time_limit(&Kind::Processing(Default::default())), Some(settings.processing_time));
}

type Answer = Result<(), (&'static str, String)>;

fn host_says(profile: Profile, request: &rules::Request) -> Answer {
    host_answers(profile, false, rules::Submitter::Bundle, request)
}

/// What the host answers to a submission for a bundle that has nothing pending.
fn host_answers(profile: Profile, enrolled: bool, submitter: rules::Submitter, request: &rules::Request) -> Answer {
    let health_research = enrolled.then(|| "heart".to_owned());
    let permits = Permits {
        enabled: true,
        entitlements: rules::Entitlements { health_research, ..rules::Entitlements::default() },
        enrolled,
        modes: rules::BackgroundMode::ALL.to_vec(),
        identifiers: tasks::BUNDLE.identifiers().map(|entry| Pattern::parse(entry).unwrap()).collect(),
        memory: None,
    };
    let standing = Standing { replaceable: None, pending: 0 };
    admit(&Settings::new(profile).policy(), &permits, standing, submitter, request)
        .map_err(|refusal| (refusal.code.as_str(), refusal.message))
}

fn harness_says(profile: test::Profile, request: Request) -> Answer {
    harness_answers(profile, false, rules::Submitter::Bundle, request)
}

/// What the harness answers to a person, or to the bundle's own `activate`.
fn harness_answers(profile: test::Profile, enrolled: bool, submitter: rules::Submitter, request: Request) -> Answer {
    let mut host = test::Host::new(tasks::BUNDLE);
    host.set_profile(profile);
    if enrolled {
        host.enrol();
    }
    let answer = match submitter {
        rules::Submitter::Person => host.submit(request),
        rules::Submitter::Bundle => {
            ASKED.set(Some(request));
            host.activate().unwrap();
            ANSWER.take().expect("`activate` submitted it")
        }
    };
    answer.map(drop).map_err(|error| (error.code.as_str(), error.message))
}

#[test]
fn the_harness_answers_as_the_host_does() {
    let mut refused = 0;
    for (identifier, input, run_after) in [
        ("com.example.a", 0, &[][..]),
        ("com.example.a", 65_536, &["com.example.b"]),
        ("com.example.a", 65_537, &[]),
        ("com.example.a", 0, &["com.example.a"]),
        ("com.example.a", 0, &["com.example.c"]),
        ("com.example.a", 0, &["com.example.b"; 17]),
        ("com.example.c", 0, &[]),
        ("com.example.many", 0, &[]),
        ("com.example.many.1", 0, &[]),
        ("com.example.a", 0, &["com.example.many.1"]),
    ] {
        for (profile, named) in [(Profile::Device, test::Profile::Device), (Profile::Server, test::Profile::Server)] {
            let mut asked = rules::Request::new(id(identifier), rules::Kind::AppRefresh);
            asked.input = vec![0; input];
            asked.run_after = run_after.iter().map(|earlier| id(earlier)).collect();
            let request = Request::app_refresh(identifier).input(vec![0; input]);
            let request = run_after.iter().fold(request, |request, earlier| request.run_after(*earlier));
            let answer = harness_says(named, request.into_any());
            assert_eq!(
                answer,
                host_says(profile, &asked),
                "{identifier}, {input} bytes, after {run_after:?}, {profile}"
            );
            refused += u32::from(answer.is_err());
        }
    }
    assert!(refused > 10, "{refused} refusals");
}

/// What the host answers to a guest that submits by a name that is none.
fn host_says_of(name: &str) -> Result<(), (&'static str, String)> {
    let parsed = rules::Identifier::parse(name).map(drop);
    parsed.map_err(|error| ("not-permitted", error.to_string()))
}

#[test]
fn the_harness_refuses_what_is_no_identifier() {
    let long = format!("com.example.many.{}", "x".repeat(240));
    for name in ["com.example.many.*", "com.example.many.ä ö", "com.example.many.a..b", "example", "", long.as_str()]
    {
        let refusal = host_says_of(name);
        assert!(refusal.is_err(), "{name}");
        assert_eq!(harness_says(test::Profile::Server, Request::app_refresh(name).into_any()), refusal);
        let after = Request::app_refresh("com.example.a").run_after(name).into_any();
        assert_eq!(harness_says(test::Profile::Server, after), refusal);
    }
}

/// A moment so many seconds after the harness begins, as both see it.
fn later(seconds: u64) -> (SystemTime, Timestamp) {
    let moment = test::Host::new(tasks::BUNDLE).now() + Duration::from_secs(seconds);
    (moment, moment.try_into().unwrap())
}

/// One request, in the host's words and in the kit's, of which each case changes both.
struct Asked {
    host: rules::Request,
    kit: Request,
}

impl Asked {
    fn new(kind: rules::Kind, kit: Request) -> Asked {
        Asked { host: rules::Request::new(id("com.example.a"), kind), kit }
    }

    fn between(mut self, earliest: u64, latest: u64) -> Asked {
        let ((kit_earliest, host_earliest), (kit_latest, host_latest)) = (later(earliest), later(latest));
        self.kit = self.kit.earliest_begin(kit_earliest).latest_begin(kit_latest);
        (self.host.earliest_begin, self.host.latest_begin) = (Some(host_earliest), Some(host_latest));
        self
    }

    fn repeat(mut self, every_ms: u64, flex_ms: u64) -> Asked {
        let [every, flex] = [every_ms, flex_ms].map(Duration::from_millis);
        self.kit = self.kit.repeat(Repeat { every, flex });
        self.host.repeat = Some(rules::Repeat { every, flex });
        self
    }

    fn retry(mut self, attempts: u32, first: u64, longest: u64) -> Asked {
        let [first_delay, longest_delay] = [first, longest].map(Duration::from_secs);
        self.kit = self.kit.retry(Retry { attempts, first_delay, longest_delay });
        self.host.retry = Some(rules::Retry { attempts, first_delay, longest_delay });
        self
    }

    fn after(mut self, earlier: &str) -> Asked {
        self.kit = self.kit.run_after(earlier);
        self.host.run_after.push(id(earlier));
        self
    }

    fn of(mut self, identifier: &str) -> Asked {
        self.host.identifier = id(identifier);
        self.kit.identifier = identifier.to_owned();
        self
    }
}

fn refresh() -> Asked {
    Asked::new(rules::Kind::AppRefresh, Request::app_refresh("com.example.a").into_any())
}

fn research() -> Asked {
    let needs = rules::Needs::default();
    let kind = rules::Kind::HealthResearch { needs, protection_of_required_data: rules::DataProtection::Complete };
    let kit = Request::health_research("com.example.a").protection_of_required_data(DataProtection::Complete);
    Asked::new(kind, kit.into_any())
}

fn export(title: &str, requires_gpu: bool) -> Asked {
    let continued = rules::Continued {
        title: title.to_owned(),
        subtitle: String::new(),
        fail_unless_immediate: false,
        requires_gpu,
    };
    let mut kit = Request::continued_processing("com.example.a", title, "");
    kit.kind.requires_gpu = requires_gpu;
    Asked::new(rules::Kind::ContinuedProcessing(continued), kit.into_any())
}

#[test]
fn the_harness_judges_options_and_kinds_as_the_host_does() {
    type Make = fn() -> Asked;
    let cases: [(&str, Make); 25] = [
        ("latest after earliest", || refresh().between(60, 60)),
        ("latest before earliest", || refresh().between(3_600, 60)),
        ("repeats", || refresh().repeat(1_000, 1_000)),
        ("repeats too often", || refresh().repeat(999, 0)),
        ("more flex than period", || refresh().repeat(5_000, 5_001)),
        ("repeats and ends", || refresh().between(0, 60).repeat(5_000, 0)),
        ("retries", || refresh().retry(25, 1, 1)),
        ("retries never", || refresh().retry(0, 1, 1)),
        ("retries too often", || refresh().retry(26, 1, 1)),
        ("rests shorter later", || refresh().retry(3, 2, 1)),
        ("the first fault", || refresh().retry(0, 2, 1).repeat(1, 0).between(9, 1)),
        ("research", research),
        ("research with a fault", || research().retry(0, 1, 1)),
        ("research below a wildcard", || research().of("com.example.many.1")),
        ("not permitted", || research().of("com.example.c")),
        ("continued", || export("Export", false)),
        ("continued with a fault", || export("Export", false).retry(0, 1, 1)),
        ("continued below a wildcard", || export("Export", false).of("com.example.many.1")),
        ("continued after what a wildcard permits", || export("Export", false).after("com.example.many.1")),
        ("continued and repeated", || export("Export", false).repeat(5_000, 0)),
        ("continued between dates", || export("Export", false).between(60, 1)),
        ("without a title", || export(" ", false)),
        ("with the graphics processor", || export("Export", true)),
        ("neither title nor processor", || export("", true)),
        ("after itself", || refresh().after("com.example.a")),
    ];
    let mut refused = [0, 0];
    for (case, make) in cases {
        for (profile, named) in [(Profile::Device, test::Profile::Device), (Profile::Server, test::Profile::Server)] {
            for enrolled in [false, true] {
                for submitter in [rules::Submitter::Person, rules::Submitter::Bundle] {
                    let Asked { host, kit } = make();
                    let answer = harness_answers(named, enrolled, submitter, kit);
                    let told = format!("{case}, {profile}, enrolled: {enrolled}, {submitter:?}");
                    assert_eq!(answer, host_answers(profile, enrolled, submitter, &host), "{told}");
                    refused[usize::from(answer.is_err())] += 1;
                }
            }
        }
    }
    assert!(refused.iter().all(|count| *count > 40), "{refused:?}");
}

/// The words of the host's conditions and of the harness's.
const CONDITIONS: [(rules::Condition, test::Condition); 9] = [
    (rules::Condition::Network, test::Condition::Network),
    (rules::Condition::ExternalPower, test::Condition::ExternalPower),
    (rules::Condition::Idle, test::Condition::Idle),
    (rules::Condition::Charged, test::Condition::Charged),
    (rules::Condition::FullPower, test::Condition::FullPower),
    (rules::Condition::Cool, test::Condition::Cool),
    (rules::Condition::Roomy, test::Condition::Roomy),
    (rules::Condition::UnlockedOnce, test::Condition::UnlockedOnce),
    (rules::Condition::Unlocked, test::Condition::Unlocked),
];

#[test]
fn what_waits_for_a_condition_waits_for_it_under_the_harness() {
    assert!(rules::Condition::ALL.iter().all(|word| CONDITIONS.iter().any(|(known, _)| known == word)));
    let needs = rules::Needs { network: true, external_power: true };
    let mut asked = vec![
        refresh(),
        export("Export", false),
        Asked::new(rules::Kind::Processing(rules::Needs::default()), Request::processing("com.example.a").into_any()),
        Asked::new(
            rules::Kind::Processing(needs),
            Request::processing("com.example.a").requires_network().requires_external_power().into_any(),
        ),
    ];
    let levels = [
        (rules::DataProtection::None, DataProtection::None),
        (
            rules::DataProtection::CompleteUntilFirstUserAuthentication,
            DataProtection::CompleteUntilFirstUserAuthentication,
        ),
        (rules::DataProtection::CompleteUnlessOpen, DataProtection::CompleteUnlessOpen),
        (rules::DataProtection::Complete, DataProtection::Complete),
    ];
    asked.extend(levels.map(|(protection_of_required_data, level)| {
        let kit = Request::health_research("com.example.a").protection_of_required_data(level);
        Asked::new(rules::Kind::HealthResearch { needs, protection_of_required_data }, {
            kit.requires_network().requires_external_power().into_any()
        })
    }));
    for Asked { host: request, kit } in &asked {
        for urgent in [false, true] {
            // Every pair of lacks, and each alone.
            for (at, (_, one)) in CONDITIONS.iter().enumerate() {
                for (_, other) in &CONDITIONS[at..] {
                    let lacks = |condition: &rules::Condition| {
                        let (_, named) = CONDITIONS.iter().find(|(known, _)| known == condition).unwrap();
                        named == one || named == other
                    };
                    let mut host = test::Host::new(tasks::BUNDLE);
                    host.enrol();
                    host.state(*one, false);
                    host.state(*other, false);
                    let kit = if urgent { kit.clone().latest_begin(host.now()) } else { kit.clone() };
                    host.submit(kit).unwrap();
                    let mut waits: Vec<test::Condition> = Vec::new();
                    for reason in host.pending().remove(0).reasons {
                        let test::Reason::Lacks(condition) = reason else { panic!("{reason}") };
                        waits.push(condition);
                    }
                    let expected = host_wants(request, urgent, lacks);
                    let of_both = |(known, named): &(rules::Condition, test::Condition)| {
                        (expected.contains(known), waits.contains(named))
                    };
                    for pair in CONDITIONS.iter().map(of_both) {
                        assert_eq!(
                            pair.0, pair.1,
                            "{request:?}, urgent: {urgent}, {one:?}, {other:?}: {expected:?}, {waits:?}"
                        );
                    }
                }
            }
        }
    }
}

/// What a request waits for on a host that lacks some conditions.
fn host_wants(
    request: &rules::Request,
    urgent: bool,
    lacks: impl Fn(&rules::Condition) -> bool,
) -> Vec<rules::Condition> {
    let (_, at) = later(0);
    let reading =
        |condition| rules::Reading { holds: !lacks(&condition), source: "stated".to_owned(), since: at, read_at: at };
    let conditions = rules::Conditions::new(reading);
    let rules::Request { kind, priority, .. } = request;
    let lane = rules::Lane {
        kind: kind.name(),
        bundle: rules::BundleId::parse("com.example").unwrap(),
        needs: kind.needs(),
        protection: kind.protection(),
        priority: *priority,
        urgent,
    };
    rules::lacking(&conditions, &lane).collect()
}

#[test]
fn what_failed_rests_as_long_as_on_the_host() {
    for attempts in 1..=25 {
        for request in [1, 2, 1 << 40] {
            let [first_delay, longest_delay] = [7, 100].map(Duration::from_secs);
            let host = rules::Retry { attempts, first_delay, longest_delay };
            let kit = Retry { attempts, first_delay, longest_delay };
            for failures in 1..=attempts {
                let expected = rules::rest(host, failures, rules::RequestId(request));
                assert_eq!(test::rest(kit, failures, request), expected, "{failures} of {attempts}, request {request}");
            }
        }
    }
}

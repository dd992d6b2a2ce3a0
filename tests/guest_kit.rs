//! The harness of the guest kit goes by the host's rules: the same numbers, and the same answers to the same submissions.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::time::Duration;

use idlewild::{
    config::Settings,
    rules::{self, Pattern, Permits, Profile, Standing, admit},
};
use idlewild_guest::{Kind, Request, test};
use idlewild_tests::id;

#[idlewild_guest::bundle]
mod tasks {
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
    assert_eq!(test::time_limit(&Kind::AppRefresh), Some(settings.app_refresh_time));
    assert_eq!(test::time_limit(&Kind::Processing(Default::default())), Some(settings.processing_time));
}

/// What the host answers to a submission of a bundle that has nothing pending.
fn host_says(profile: Profile, request: &rules::Request) -> Result<(), (&'static str, String)> {
    let permits = Permits {
        enabled: true,
        entitlements: rules::Entitlements::default(),
        enrolled: false,
        modes: rules::BackgroundMode::ALL.to_vec(),
        identifiers: tasks::BUNDLE.identifiers().map(|entry| Pattern::parse(entry).unwrap()).collect(),
        memory: None,
    };
    let standing = Standing { replaceable: None, pending: 0 };
    admit(&Settings::new(profile).policy(), &permits, standing, rules::Submitter::Bundle, request)
        .map_err(|refusal| (refusal.code.as_str(), refusal.message))
}

fn harness_says(profile: test::Profile, request: Request) -> Result<(), (&'static str, String)> {
    let mut host = test::Host::new(tasks::BUNDLE);
    host.set_profile(profile);
    match host.submit(request) {
        Ok(_) => Ok(()),
        Err(error) => Err((error.code.as_str(), error.message)),
    }
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

#[test]
fn what_the_host_does_not_serve_the_harness_refuses_too() {
    let mut asked = rules::Request::new(id("com.example.a"), rules::Kind::AppRefresh);
    asked.latest_begin = Some("2026-03-01T12:00:00Z".parse().unwrap());
    let request = Request::app_refresh("com.example.a").latest_begin_in(Duration::ZERO).into_any();
    let answer = harness_says(test::Profile::Server, request);
    assert!(answer.is_err());
    assert_eq!(answer, host_says(Profile::Server, &asked));
}

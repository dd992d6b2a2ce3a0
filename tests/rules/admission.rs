//! Who may submit what.

use super::*;

fn permits(identifiers: &[&str]) -> Permits {
    Permits {
        enabled: true,
        modes: BackgroundMode::ALL.to_vec(),
        identifiers: identifiers.iter().map(|text| Pattern::parse(text).unwrap()).collect(),
        entitlements: Entitlements::default(),
        enrolled: false,
        memory: None,
    }
}

const NOTHING: Standing = Standing { replaceable: None, pending: 0 };

fn hourly(flex: u64) -> Repeat {
    Repeat { every: Duration::from_secs(3_600), flex: Duration::from_secs(flex) }
}

fn retry(attempts: u32, longest: u64) -> Retry {
    Retry { attempts, first_delay: Duration::from_secs(1), longest_delay: Duration::from_secs(longest) }
}

#[test]
fn admission_says_who_may_submit_what() {
    let named = permits(&["com.x.a", "com.x.b"]);
    let wild = permits(&["com.x.a", "com.x.many.*"]);
    let fetch_only = Permits { modes: vec![BackgroundMode::Fetch], ..named.clone() };
    let with = |change: fn(&mut Request)| {
        let mut request = processing("com.x.a");
        change(&mut request);
        request
    };
    let of = |change: fn(&mut Permits)| {
        let mut permits = named.clone();
        change(&mut permits);
        permits
    };
    let disabled = of(|it| it.enabled = false);
    let entitled = of(|it| it.entitlements.health_research = Some("heart".to_owned()));
    let enrolled = Permits { enrolled: true, ..entitled.clone() };
    let fetching_study = Permits { modes: vec![BackgroundMode::Fetch], ..enrolled.clone() };
    let modeless = of(|it| it.modes.clear());
    let graphic = of(|it| it.entitlements.continued_processing_gpu = true);
    let continued = |change: fn(&mut Continued)| {
        let Kind::ContinuedProcessing(mut continued) = export() else { unreachable!() };
        change(&mut continued);
        Request::new(id("com.x.a"), Kind::ContinuedProcessing(continued))
    };
    let research = Request::new(id("com.x.a"), study(DataProtection::Complete));
    let date = |seconds| Some(later(seconds).wall);
    let pending = |pending| Standing { pending, ..NOTHING };
    let replacing = |kind, pending| Standing { replaceable: Some((RequestId(7), kind)), pending };
    use Profile::{Device, Server};
    // What is asked, by whose permission, beside what: the refusal's number and a piece of its sentence, or none.
    let cases: Vec<(&str, Profile, &Permits, Standing, Request, Option<(u32, &str)>)> = vec![
        ("permitted", Device, &named, NOTHING, refresh("com.x.a"), None),
        (
            "not named",
            Device,
            &named,
            NOTHING,
            refresh("com.x.c"),
            Some((3, "not among the bundle's permitted-identifiers")),
        ),
        ("case matters", Device, &named, NOTHING, refresh("com.x.A"), Some((3, "not among"))),
        ("wildcard on a device", Device, &wild, NOTHING, refresh("com.x.many.1"), Some((3, "only by a wildcard"))),
        ("wildcard on a server", Server, &wild, NOTHING, refresh("com.x.many.1"), None),
        ("the wildcard's stem", Server, &wild, NOTHING, refresh("com.x.many"), Some((3, "not among"))),
        ("mode there", Device, &fetch_only, NOTHING, refresh("com.x.a"), None),
        ("mode missing", Device, &fetch_only, NOTHING, processing("com.x.a"), Some((3, "needs `processing` among"))),
        ("one refresh pending", Device, &named, pending(1), refresh("com.x.a"), Some((2, "profile device allows 1"))),
        ("nine processing pending", Device, &named, pending(9), processing("com.x.a"), None),
        ("ten processing pending", Device, &named, pending(10), processing("com.x.a"), Some((2, "allows 10"))),
        ("room on a server", Server, &named, pending(10), processing("com.x.a"), None),
        ("its like is replaced", Device, &named, replacing(KindName::AppRefresh, 1), refresh("com.x.a"), None),
        (
            "another kind is replaced",
            Device,
            &named,
            replacing(KindName::Processing, 1),
            refresh("com.x.a"),
            Some((2, "cancel one")),
        ),
        ("permission goes before the count", Device, &named, pending(1), refresh("com.x.c"), Some((3, "not among"))),
        ("input as long as allowed", Device, &named, NOTHING, with(|it| it.input = vec![0; 65_536]), None),
        ("input too long", Device, &named, NOTHING, with(|it| it.input = vec![0; 65_537]), Some((3, "65537 bytes"))),
        ("after another", Device, &named, NOTHING, with(|it| it.run_after = vec![id("com.x.b")]), None),
        (
            "after itself",
            Device,
            &named,
            NOTHING,
            with(|it| it.run_after = vec![id("com.x.a")]),
            Some((3, "after itself")),
        ),
        (
            "after a stranger",
            Device,
            &named,
            NOTHING,
            with(|it| it.run_after = vec![id("com.x.z")]),
            Some((3, "names com.x.z")),
        ),
        ("after too many", Device, &named, NOTHING, with(|it| it.run_after = vec![id("com.x.b"); 17]), Some((3, "17"))),
        ("the switch is off", Device, &disabled, NOTHING, refresh("com.x.c"), Some((1, "disabled"))),
        ("not entitled", Device, &named, NOTHING, research.clone(), Some((3, "entitlement `health-research`"))),
        ("not enrolled", Device, &entitled, NOTHING, research.clone(), Some((3, "not enrolled in the study `heart`"))),
        ("enrolled", Device, &enrolled, NOTHING, research.clone(), None),
        (
            "a study needs its mode, too",
            Device,
            &fetching_study,
            NOTHING,
            research,
            Some((3, "needs `processing` among")),
        ),
        ("continued by a person", Device, &named, NOTHING, continued(|_| {}), None),
        ("continued needs no mode", Device, &modeless, NOTHING, continued(|_| {}), None),
        ("no title", Device, &named, NOTHING, continued(|it| it.title = " ".to_owned()), Some((3, "needs a title"))),
        (
            "gpu without entitlement",
            Device,
            &named,
            NOTHING,
            continued(|it| it.requires_gpu = true),
            Some((3, "entitlement")),
        ),
        (
            "gpu on this machine",
            Device,
            &graphic,
            NOTHING,
            continued(|it| it.requires_gpu = true),
            Some((3, "no graphics")),
        ),
        (
            "a wildcard serves continued work on a device",
            Device,
            &wild,
            NOTHING,
            Request { identifier: id("com.x.many.1"), ..continued(|_| {}) },
            None,
        ),
        ("too much continued work", Device, &named, pending(5), continued(|_| {}), Some((2, "allows 5"))),
        (
            "continued work does not repeat",
            Device,
            &named,
            NOTHING,
            Request { repeat: Some(hourly(0)), ..continued(|_| {}) },
            Some((3, "does not repeat")),
        ),
        (
            "latest after earliest",
            Device,
            &named,
            NOTHING,
            Request { earliest_begin: date(9), latest_begin: date(9), ..refresh("com.x.a") },
            None,
        ),
        (
            "latest before earliest",
            Device,
            &named,
            NOTHING,
            Request { earliest_begin: date(9), latest_begin: date(8), ..refresh("com.x.a") },
            Some((3, "lies before earliest-begin")),
        ),
        ("a period", Device, &named, NOTHING, with(|it| it.repeat = Some(hourly(3_600))), None),
        ("too much flex", Device, &named, NOTHING, with(|it| it.repeat = Some(hourly(3_601))), Some((3, "flex"))),
        (
            "a period of nothing",
            Device,
            &named,
            NOTHING,
            with(|it| it.repeat = Some(Repeat { every: Duration::ZERO, flex: Duration::ZERO })),
            Some((3, "the least is 1s")),
        ),
        (
            "one date for many",
            Device,
            &named,
            NOTHING,
            Request { repeat: Some(hourly(0)), latest_begin: date(9), ..refresh("com.x.a") },
            Some((3, "leave one of them out")),
        ),
        ("ten attempts", Device, &named, NOTHING, with(|it| it.retry = Some(retry(10, 5))), None),
        ("no attempt", Device, &named, NOTHING, with(|it| it.retry = Some(retry(0, 5))), Some((3, "0 attempts"))),
        (
            "eleven attempts",
            Device,
            &named,
            NOTHING,
            with(|it| it.retry = Some(retry(11, 5))),
            Some((3, "10 are allowed")),
        ),
        (
            "a longest that is shorter",
            Device,
            &named,
            NOTHING,
            with(|it| it.retry = Some(retry(2, 0))),
            Some((3, "shorter")),
        ),
    ];
    for (what, profile, permits, standing, request, expected) in cases {
        let refusal = admit(&policy(profile), permits, standing, Submitter::Person, &request).err();
        match (&refusal, expected) {
            (None, None) => {}
            (Some(refusal), Some((number, piece))) => {
                assert_eq!(refusal.code.number(), number, "{what}");
                assert!(refusal.message.contains(piece), "{what}: {}", refusal.message);
            }
            (Some(refusal), None) => panic!("{what}: refused with {refusal}"),
            (None, Some(_)) => panic!("{what}: accepted"),
        }
    }
}

#[test]
fn a_task_may_not_ask_for_what_a_person_must() {
    let policy = policy(Profile::Server);
    let request = Request::new(id("com.x.a"), export());
    let permits = permits(&["com.x.a"]);
    let refusal = admit(&policy, &permits, NOTHING, Submitter::Bundle, &request).unwrap_err();
    assert_eq!(refusal.code.number(), 3);
    assert!(refusal.message.contains("asked for by a person"), "{refusal}");
    assert!(admit(&policy, &permits, NOTHING, Submitter::Person, &request).is_ok());
    assert!(admit(&policy, &permits, NOTHING, Submitter::Bundle, &refresh("com.x.a")).is_ok());
}

#[test]
fn only_what_insists_on_starting_at_once_fails_for_want_of_room() {
    let insisting = Kind::ContinuedProcessing(Continued {
        title: "Export".to_owned(),
        subtitle: String::new(),
        fail_unless_immediate: true,
        requires_gpu: false,
    });
    let full = [Reason::NoSlot { slots: 4 }];
    let cases = [
        (Kind::AppRefresh, &full[..], None),
        (export(), &full[..], None),
        (insisting.clone(), &[], None),
        (insisting, &full[..], Some(4)),
    ];
    for (kind, reasons, expected) in cases {
        let refused = admit_immediate(&Request::new(id("com.x.a"), kind.clone()), reasons.iter());
        assert_eq!(refused.err().map(|refusal| refusal.code.number()), expected, "{kind:?} with {reasons:?}");
    }
}

//! The rules, case by case.
#![allow(clippy::unwrap_used, clippy::type_complexity)]

use std::{collections::BTreeMap, time::Duration};

use idlewild::rules::*;
use idlewild_tests::{bundle_id, id, policy};

fn now() -> Now {
    Now { wall: "2026-03-01T12:00:00Z".parse().unwrap(), uptime: Duration::from_secs(100) }
}

fn permits(identifiers: &[&str]) -> Permits {
    Permits {
        modes: BackgroundMode::ALL.to_vec(),
        identifiers: identifiers.iter().map(|text| Pattern::parse(text).unwrap()).collect(),
        memory: None,
    }
}

const NOTHING: Standing = Standing { replaceable: None, pending: 0 };

fn refresh(identifier: &str) -> Request {
    Request::new(id(identifier), Kind::AppRefresh)
}

fn processing(identifier: &str) -> Request {
    Request::new(id(identifier), Kind::Processing(Needs::default()))
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
        (
            "an option that is not served",
            Device,
            &named,
            NOTHING,
            with(|it| {
                it.retry = Some(Retry { attempts: 2, first_delay: Duration::ZERO, longest_delay: Duration::ZERO })
            }),
            Some((3, "does not serve `retry`")),
        ),
        (
            "a study",
            Device,
            &named,
            NOTHING,
            Request::new(
                id("com.x.a"),
                Kind::HealthResearch { needs: Needs::default(), protection_of_required_data: DataProtection::None },
            ),
            Some((3, "entitled")),
        ),
    ];
    for (what, profile, permits, standing, request, expected) in cases {
        let refusal = admit(&policy(profile), permits, standing, &request).err();
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

fn all_but(lacking: &[Condition]) -> Conditions {
    let at = now().wall;
    Conditions::new(|condition| Reading {
        holds: !lacking.contains(&condition),
        source: "stated".to_owned(),
        since: at,
        read_at: at,
    })
}

#[test]
fn every_condition_has_its_own_reading_and_its_own_code() {
    let mut codes = BTreeMap::new();
    for lacking in Condition::ALL {
        let conditions = all_but(&[*lacking]);
        for (condition, reading) in conditions.iter() {
            assert_eq!(reading.holds, condition != *lacking, "{condition} without {lacking}");
            assert_eq!(conditions.reading(condition), reading);
        }
        let Reading { since, source, .. } = conditions.reading(*lacking).clone();
        let reason = Reason::Lacks { condition: *lacking, since, source };
        codes.insert(reason.code(), reason.to_string());
    }
    assert_eq!(codes.len(), Condition::ALL.len(), "{codes:?}");
}

fn lane(kind: &Kind) -> Lane {
    Lane { kind: kind.name(), bundle: bundle_id("com.x"), needs: kind.needs() }
}

#[test]
fn the_predicate_names_every_reason_and_none_when_eligible() {
    let all = all_but(&[]);
    let none = all_but(Condition::ALL);
    let needy = Kind::Processing(Needs { network: true, external_power: true });
    let later = Some(now().wall + Duration::from_secs(60));
    let unmet = [id("com.x.b")];
    let free = Holds { earliest_begin: None, unmet: &[], behind: None };
    let nobody = BTreeMap::new();
    let world = |conditions| World { conditions, closed: &nobody, launching: true, slots: 2, running: 0 };
    let missing =
        |name: &str| Missing { ask: format!("for the secret `{name}`"), option: format!("--secret {name}=FILE") };
    let closed = |gate: Gate| BTreeMap::from([(lane(&Kind::AppRefresh).bundle, gate)]);
    let open = Gate { enabled: true, missing: vec![], changing: false };
    let disabled = closed(Gate { enabled: false, ..open.clone() });
    let lacking = closed(Gate { missing: vec![missing("a"), missing("b")], ..open.clone() });
    let shut = closed(Gate { enabled: false, missing: vec![missing("a")], changing: true });
    let others = BTreeMap::from([(bundle_id("com.elsewhere"), Gate { enabled: false, ..open.clone() })]);
    let cases: Vec<(&str, World<'_>, &Kind, Holds<'_>, Stage, Vec<&str>)> = vec![
        ("eligible", world(&all), &needy, free, Stage::Ready, vec![]),
        ("refresh needs nothing", world(&none), &Kind::AppRefresh, free, Stage::Ready, vec![]),
        (
            "processing needs idle alone",
            world(&none),
            &Kind::Processing(Needs { network: false, external_power: false }),
            free,
            Stage::Ready,
            vec!["not-idle"],
        ),
        (
            "everything it needs is gone",
            world(&none),
            &needy,
            free,
            Stage::Ready,
            vec!["no-network", "no-external-power", "not-idle"],
        ),
        (
            "floor ahead",
            world(&all),
            &needy,
            Holds { earliest_begin: later, ..free },
            Stage::Ripening,
            vec!["earliest-begin"],
        ),
        (
            "floor reached",
            world(&all),
            &needy,
            Holds { earliest_begin: Some(now().wall), ..free },
            Stage::Ready,
            vec![],
        ),
        ("after", world(&all), &needy, Holds { unmet: &unmet, ..free }, Stage::After, vec!["run-after"]),
        (
            "behind, after, and ahead of its floor",
            world(&all),
            &needy,
            Holds { behind: Some(RequestId(3)), unmet: &unmet, earliest_begin: later },
            Stage::Behind,
            vec!["behind", "run-after", "earliest-begin"],
        ),
        ("no slot", World { running: 2, ..world(&all) }, &needy, free, Stage::Ready, vec!["no-slot"]),
        ("disabled", World { closed: &disabled, ..world(&all) }, &needy, free, Stage::Ready, vec!["bundle-disabled"]),
        (
            "a reason for each missing grant",
            World { closed: &lacking, ..world(&none) },
            &needy,
            Holds { earliest_begin: later, ..free },
            Stage::Ripening,
            vec!["earliest-begin", "not-granted", "not-granted", "no-network", "no-external-power", "not-idle"],
        ),
        (
            "all that can close a bundle",
            World { closed: &shut, ..world(&all) },
            &needy,
            free,
            Stage::Ready,
            vec!["bundle-disabled", "not-granted", "bundle-changing"],
        ),
        ("another bundle's gate", World { closed: &others, ..world(&all) }, &needy, free, Stage::Ready, vec![]),
        ("not launching", World { launching: false, ..world(&all) }, &needy, free, Stage::Ready, vec!["not-launching"]),
    ];
    for (what, world, kind, holds, expected_stage, expected) in cases {
        assert_eq!(stage(now(), holds), expected_stage, "{what}");
        let reasons = reasons(now(), world, &lane(kind), holds);
        let codes: Vec<&str> = reasons.iter().map(Reason::code).collect();
        assert_eq!(codes, expected, "{what}");
        assert!(reasons.iter().all(|reason| !reason.to_string().is_empty()));
    }
}

fn running(kind: &Kind) -> Running {
    let policy = policy(Profile::Device);
    Running {
        task: TaskId(1),
        request: RequestId(1),
        lane: lane(kind),
        identifier: id("com.x.a"),
        attempt: 1,
        launched: now(),
        allowance: policy.allowance(kind.name(), None),
        fuel_spent: false,
        progress: None,
        expiring: None,
        followed: false,
    }
}

fn later(seconds: u64) -> Now {
    let time = Duration::from_secs(seconds);
    Now { wall: now().wall + time, uptime: now().uptime + time }
}

#[test]
fn a_task_expires_for_one_reason_at_one_time() {
    let all = all_but(&[]);
    let in_use = all_but(&[Condition::Idle]);
    let offline = all_but(&[Condition::Network]);
    let plain = Kind::Processing(Needs::default());
    let online = Kind::Processing(Needs { network: true, external_power: false });
    use ExpirationReason::{ConditionsLost, FuelLimit, TimeLimit};
    let cases = [
        ("in time", running(&Kind::AppRefresh), later(29), &all, None),
        ("out of time", running(&Kind::AppRefresh), later(30), &all, Some(TimeLimit)),
        ("processing has longer", running(&plain), later(599), &all, None),
        ("out of fuel", Running { fuel_spent: true, ..running(&plain) }, later(1), &all, Some(FuelLimit)),
        ("the machine is used", running(&plain), later(1), &in_use, Some(ConditionsLost)),
        ("a refresh does not mind", running(&Kind::AppRefresh), later(1), &in_use, None),
        ("its network is gone", running(&online), later(1), &offline, Some(ConditionsLost)),
        ("it never needed a network", running(&plain), later(1), &offline, None),
    ];
    for (what, mut task, now, conditions, expected) in cases {
        assert_eq!(task.must_expire(now, conditions), expected, "{what}");
        if let Some(reason) = expected {
            let expiring = task.expire(now, reason);
            assert_eq!(expiring.stop_at, now.uptime + Duration::from_secs(5), "{what}: the grace");
            assert_eq!(task.must_expire(later(10_000), conditions), None, "{what}: asked once");
            let again = task.expire(later(3), ExpirationReason::Cancelled);
            assert_eq!(again, expiring, "{what}: the first reason and the first end stay");
        }
    }
}

#[test]
fn an_end_means_an_outcome() {
    let ok = || End::Returned(Ok(b"done".to_vec()));
    let err = || End::Returned(Err("no".to_owned()));
    let expired = |reason, returned| Outcome::Expired { reason, returned };
    use ExpirationReason::{FuelLimit, HostStopping, TimeLimit};
    let cases: Vec<(End, Option<ExpirationReason>, u32, Outcome, Then)> = vec![
        (ok(), None, 1, Outcome::Succeeded { output: b"done".to_vec() }, Then::Settled),
        (err(), None, 1, Outcome::Failed { message: "no".to_owned() }, Then::Settled),
        (ok(), Some(TimeLimit), 1, expired(TimeLimit, Some(Ok(b"done".to_vec()))), Then::Settled),
        (err(), Some(TimeLimit), 1, expired(TimeLimit, Some(Err("no".to_owned()))), Then::Settled),
        (End::Stopped, Some(FuelLimit), 1, expired(FuelLimit, None), Then::Settled),
        (End::Stopped, None, 1, expired(TimeLimit, None), Then::Settled),
        (End::OutOfFuel, None, 1, expired(FuelLimit, None), Then::Settled),
        (End::OutOfFuel, Some(HostStopping), 1, expired(HostStopping, None), Then::ComesBack),
        (End::Trapped("oh".to_owned()), None, 1, Outcome::Trapped { message: "oh".to_owned() }, Then::Settled),
        (End::NotStarted("gone".to_owned()), None, 1, Outcome::Failed { message: "gone".to_owned() }, Then::Settled),
        (ok(), Some(HostStopping), 1, expired(HostStopping, Some(Ok(b"done".to_vec()))), Then::ComesBack),
        (End::Stopped, Some(HostStopping), 4, expired(HostStopping, None), Then::ComesBack),
        (End::Stopped, Some(HostStopping), 5, expired(HostStopping, None), Then::Settled),
    ];
    let policy = policy(Profile::Device);
    for (end, reason, attempt, outcome, then) in cases {
        let mut task = Running { attempt, ..running(&Kind::AppRefresh) };
        if let Some(reason) = reason {
            task.expire(now(), reason);
        }
        assert_eq!(task.settle(&policy, &end), (outcome, then), "{end:?} with {reason:?} at attempt {attempt}");
    }
}

#[test]
fn slots_are_shared_and_short_work_goes_first() {
    let all = all_but(&[]);
    let in_use = all_but(&[Condition::Idle]);
    let lane = |bundle: &str, kind| Lane { kind, bundle: bundle_id(bundle), needs: Needs::default() };
    let long = lane("com.a", KindName::Processing);
    let short_a = lane("com.a", KindName::AppRefresh);
    let short_b = lane("com.b", KindName::AppRefresh);
    let mut lanes = Lanes::default();
    for lane in [&long, &short_a, &short_b] {
        lanes.enter(lane);
    }
    let nobody = BTreeMap::new();
    let world = |conditions, running| World { conditions, closed: &nobody, launching: true, slots: 4, running };
    let order = |looks: Vec<Look>| looks.into_iter().map(|look| (look.lane, look.limit)).collect::<Vec<_>>();
    let everyone = vec![(short_a.clone(), 2), (short_b.clone(), 2), (long.clone(), 2)];
    assert_eq!(order(lanes.looks(world(&all, 0))), everyone);
    assert_eq!(order(lanes.looks(world(&all, 3))), [(short_a.clone(), 1)], "one slot, one lane");
    assert_eq!(order(lanes.looks(world(&all, 4))), [], "no slot");
    assert_eq!(order(lanes.looks(world(&in_use, 0))), [(short_a.clone(), 2), (short_b.clone(), 2)], "not idle");
    let closed = BTreeMap::from([(bundle_id("com.a"), Gate { enabled: false, missing: vec![], changing: false })]);
    let without_a = World { closed: &closed, ..world(&all, 0) };
    assert_eq!(order(lanes.looks(without_a)), [(short_b.clone(), 4)], "a closed bundle's lanes are passed by");
    lanes.serve(&short_a);
    assert_eq!(order(lanes.looks(world(&all, 3))), [(short_b.clone(), 1)], "the other bundle's turn");
    lanes.serve(&short_b);
    assert_eq!(order(lanes.looks(world(&all, 3))), [(short_a, 1)], "and back");
    lanes.leave(&short_b);
    assert_eq!(lanes.looks(world(&all, 0)).len(), 2);
}

#[test]
fn patterns_match_whole_parts() {
    let cases = [
        ("com.x.a", "com.x.a", true),
        ("com.x.a", "com.x.a.b", false),
        ("com.x.a", "com.x.ab", false),
        ("com.x.*", "com.x.a", true),
        ("com.x.*", "com.x.a.b", true),
        ("com.x.*", "com.x", false),
        ("com.x.*", "com.xy.a", false),
    ];
    for (pattern, identifier, expected) in cases {
        assert_eq!(Pattern::parse(pattern).unwrap().matches(&id(identifier)), expected, "{pattern} {identifier}");
    }
    let overlaps = [
        ("com.x.a", "com.x.a", true),
        ("com.x.a", "com.x.b", false),
        ("com.x.*", "com.x.b", true),
        ("com.x.*", "com.x", false),
        ("com.x.*", "com.x.y.*", true),
        ("com.x.*", "com.y.*", false),
    ];
    for (one, other, expected) in overlaps {
        let (one, other) = (Pattern::parse(one).unwrap(), Pattern::parse(other).unwrap());
        assert_eq!(one.overlaps(&other), expected, "{one} {other}");
        assert_eq!(other.overlaps(&one), expected, "{other} {one}");
    }
    for name in ["", "gallery", "com..x", ".com.x", "com.x.", "com.x y", "com.ü"] {
        assert!(Identifier::parse(name).is_err(), "{name:?}");
    }
}

//! What may run now, and why not.

use super::*;

const FREE: Holds<'_> =
    Holds { submitted_at: Timestamp::UNIX_EPOCH, floor: None, failures: 0, unmet: &[], behind: None };

fn unmet() -> Vec<Unmet> {
    vec![Unmet { identifier: id("com.x.b"), stands: Awaited::Unasked }]
}

fn codes(reasons: &[Held]) -> Vec<&'static str> {
    reasons.iter().map(|held| held.reason.code()).collect()
}

#[test]
fn a_request_is_eligible_or_every_reason_is_named() {
    let needy = Kind::Processing(Needs { network: true, external_power: true });
    let (export, closed_study, open_study) =
        (export(), study(DataProtection::Complete), study(DataProtection::CompleteUnlessOpen));
    let unmet = unmet();
    let ahead = Some(later(60).wall);
    let missing =
        |name: &str| Missing { ask: format!("for the secret `{name}`"), option: format!("--secret {name}=FILE") };
    let open = Gate { enabled: true, missing: vec![], changing: false, since: now().wall };
    let closed = |bundle: &str, gate: Gate| {
        let bundle = bundle_id(bundle);
        move |scene: &mut Scene| {
            scene.closed.insert(bundle, gate);
        }
    };
    let all = || Scene::lacking(&[]);
    let none = || Scene::lacking(Condition::ALL);
    let bare = [Condition::Network, Condition::ExternalPower, Condition::Idle];
    let offline = || Scene::lacking(&bare);
    let cases: Vec<(&str, Scene, &Kind, Holds<'_>, Stage, Vec<&str>)> = vec![
        ("eligible", all(), &needy, FREE, Stage::Ready, vec![]),
        ("refresh needs neither", offline(), &Kind::AppRefresh, FREE, Stage::Ready, vec![]),
        (
            "a refresh waits for a battery, for cool, and for room",
            none(),
            &Kind::AppRefresh,
            FREE,
            Stage::Ready,
            vec!["hot", "short-of-memory", "low-battery", "power-saving"],
        ),
        ("what a person asked for waits for less", none(), &export, FREE, Stage::Ready, vec!["hot", "short-of-memory"]),
        (
            "external power lifts what saves the battery",
            Scene::lacking(&[Condition::Charged, Condition::FullPower]),
            &Kind::AppRefresh,
            FREE,
            Stage::Ready,
            vec![],
        ),
        (
            "processing needs idle alone",
            offline(),
            &Kind::Processing(Needs { network: false, external_power: false }),
            FREE,
            Stage::Ready,
            vec!["not-idle"],
        ),
        (
            "everything it needs is gone",
            offline(),
            &needy,
            FREE,
            Stage::Ready,
            vec!["no-network", "no-external-power", "not-idle"],
        ),
        (
            "research needs its data",
            Scene::lacking(&[Condition::UnlockedOnce, Condition::Unlocked]),
            &closed_study,
            FREE,
            Stage::Ready,
            vec!["locked-since-start", "locked"],
        ),
        (
            "research opens its files first",
            Scene::lacking(&[Condition::Unlocked]),
            &open_study,
            FREE,
            Stage::Ready,
            vec!["locked"],
        ),
        ("floor ahead", all(), &needy, Holds { floor: ahead, ..FREE }, Stage::Ripening, vec!["earliest-begin"]),
        ("at rest", all(), &needy, Holds { floor: ahead, failures: 2, ..FREE }, Stage::Ripening, vec!["resting"]),
        ("floor reached", all(), &needy, Holds { floor: Some(now().wall), ..FREE }, Stage::Ready, vec![]),
        ("after", all(), &needy, Holds { unmet: &unmet, ..FREE }, Stage::After, vec!["run-after"]),
        (
            "behind, after, and ahead of its floor",
            all(),
            &needy,
            Holds { behind: Some(RequestId(3)), unmet: &unmet, floor: ahead, ..FREE },
            Stage::Behind,
            vec!["behind", "run-after", "earliest-begin"],
        ),
        (
            "no slot",
            all().with(|it| it.running = crowd(4, KindName::AppRefresh)),
            &needy,
            FREE,
            Stage::Ready,
            vec!["no-slot"],
        ),
        (
            "no slot of its kind",
            all().with(|it| it.running = crowd(2, KindName::ContinuedProcessing)),
            &export,
            FREE,
            Stage::Ready,
            vec!["no-slot-of-kind"],
        ),
        (
            "slots of another kind",
            all().with(|it| it.running = crowd(2, KindName::ContinuedProcessing)),
            &needy,
            FREE,
            Stage::Ready,
            vec![],
        ),
        (
            "disabled",
            all().with(closed("com.x", Gate { enabled: false, ..open.clone() })),
            &needy,
            FREE,
            Stage::Ready,
            vec!["bundle-disabled"],
        ),
        (
            "a reason for each missing grant",
            offline().with(closed("com.x", Gate { missing: vec![missing("a"), missing("b")], ..open.clone() })),
            &needy,
            Holds { floor: ahead, ..FREE },
            Stage::Ripening,
            vec!["earliest-begin", "not-granted", "not-granted", "no-network", "no-external-power", "not-idle"],
        ),
        (
            "all that can close a bundle",
            all().with(closed(
                "com.x",
                Gate { enabled: false, missing: vec![missing("a")], changing: true, ..open.clone() },
            )),
            &needy,
            FREE,
            Stage::Ready,
            vec!["bundle-disabled", "not-granted", "bundle-changing"],
        ),
        (
            "another bundle's gate",
            all().with(closed("com.elsewhere", Gate { enabled: false, ..open })),
            &needy,
            FREE,
            Stage::Ready,
            vec![],
        ),
        (
            "not launching",
            all().with(|it| it.not_launching = Some(now().wall)),
            &needy,
            FREE,
            Stage::Ready,
            vec!["not-launching"],
        ),
    ];
    for (what, scene, kind, holds, expected_stage, expected) in cases {
        assert_eq!(stage(now(), holds), expected_stage, "{what}");
        let reasons = reasons(now(), scene.world(), &lane(kind), holds);
        assert_eq!(codes(&reasons), expected, "{what}");
        assert!(reasons.iter().all(|held| !held.reason.to_string().is_empty()));
    }
}

#[test]
fn a_latest_begin_outranks_wishes_and_never_needs() {
    let everything = Kind::Processing(Needs { network: true, external_power: true });
    let urgent = Lane { urgent: true, ..lane(&everything) };
    let reasons = reasons(now(), Scene::lacking(Condition::ALL).world(), &urgent, FREE);
    assert_eq!(codes(&reasons), ["no-network", "no-external-power", "hot", "short-of-memory"]);
    let refresh = Lane { urgent: true, ..lane(&Kind::AppRefresh) };
    assert!(!lacking(&all_but(Condition::ALL), &refresh).any(|condition| condition == Condition::Charged));
}

#[test]
fn a_reason_says_since_when() {
    let mut scene = Scene::lacking(&[Condition::Idle]);
    scene.running = Crowd::none();
    (1..=4).for_each(|second| scene.running.add(KindName::Processing, later(second).wall));
    let holds = Holds { submitted_at: later(1).wall, floor: Some(later(9).wall), ..FREE };
    let reasons = reasons(now(), scene.world(), &lane(&Kind::Processing(Needs::default())), holds);
    let since: Vec<(&str, Timestamp)> = reasons.iter().map(|held| (held.reason.code(), held.since)).collect();
    let full = later(4).wall;
    assert_eq!(since, [("earliest-begin", later(1).wall), ("not-idle", now().wall), ("no-slot", full)]);
}

#[test]
fn on_battery_the_launches_of_a_bundle_are_spaced() {
    let spaced = |lacking: &[Condition], ago: u64, lane: &Lane| {
        let mut scene = Scene::lacking(lacking);
        scene.policy.spacing = Duration::from_secs(60);
        scene.paces.insert(bundle_id("com.x"), Pace::new(now().wall - Duration::from_secs(ago)));
        let reasons = lane_reasons(now(), scene.world(), lane);
        reasons.iter().any(|held| matches!(held.reason, Reason::Spaced { .. }))
    };
    let battery = [Condition::ExternalPower];
    let refresh = lane(&Kind::AppRefresh);
    let elsewhere = Lane { bundle: bundle_id("com.y"), ..refresh.clone() };
    for (what, lacking, ago, lane, expected) in [
        ("just before", &battery[..], 59, refresh.clone(), true),
        ("long enough ago", &battery, 60, refresh.clone(), false),
        ("on external power", &[], 1, refresh.clone(), false),
        ("another bundle", &battery, 1, elsewhere, false),
        ("urgent", &battery, 1, Lane { urgent: true, ..refresh }, false),
        ("what a person asked for", &battery, 1, lane(&export()), false),
    ] {
        assert_eq!(spaced(lacking, ago, &lane), expected, "{what}");
    }
}

#[test]
fn a_bundle_runs_only_so_long_on_one_day() {
    let mut scene = Scene::lacking(&[]);
    scene.policy.daily_time = Some(Duration::from_secs(100));
    let mut pace = Pace::new(now().wall);
    let spent = |pace: Pace, now: Now| {
        let scene = scene.clone().with(|scene| {
            scene.paces.insert(bundle_id("com.x"), pace);
        });
        let reasons = lane_reasons(now, scene.world(), &lane(&Kind::AppRefresh));
        reasons.iter().any(|held| matches!(held.reason, Reason::BudgetSpent { .. }))
    };
    pace.spend(now(), Duration::from_secs(60));
    assert!(!spent(pace, now()));
    pace.spend(later(1), Duration::from_secs(40));
    assert!(spent(pace, later(1)));
    // The tests' day begins at noon.
    assert!(spent(pace, later(12 * 3_600 - 1)));
    assert!(!spent(pace, later(12 * 3_600)), "a new day");
    pace.spend(later(12 * 3_600), Duration::from_secs(99));
    assert!(!spent(pace, later(12 * 3_600)), "of which the day before uses up nothing");
}

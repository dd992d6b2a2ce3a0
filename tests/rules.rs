//! The rules, case by case.
#![allow(clippy::unwrap_used, clippy::type_complexity)]

#[path = "rules/admission.rs"]
mod admission;
#[path = "rules/choice.rs"]
mod choice;
#[path = "rules/eligibility.rs"]
mod eligibility;
#[path = "rules/explain.rs"]
mod explain;
#[path = "rules/running.rs"]
mod running;

use std::{collections::BTreeMap, time::Duration};

use idlewild::rules::*;
use idlewild_tests::{bundle_id, id, policy};

fn now() -> Now {
    Now { wall: "2026-03-01T12:00:00Z".parse().unwrap(), uptime: Duration::from_secs(100) }
}

fn later(seconds: u64) -> Now {
    let time = Duration::from_secs(seconds);
    Now { wall: now().wall + time, uptime: now().uptime + time }
}

fn refresh(identifier: &str) -> Request {
    Request::new(id(identifier), Kind::AppRefresh)
}

fn processing(identifier: &str) -> Request {
    Request::new(id(identifier), Kind::Processing(Needs::default()))
}

fn export() -> Kind {
    Kind::ContinuedProcessing(Continued {
        title: "Export".to_owned(),
        subtitle: String::new(),
        fail_unless_immediate: false,
        requires_gpu: false,
    })
}

fn study(protection_of_required_data: DataProtection) -> Kind {
    Kind::HealthResearch { needs: Needs::default(), protection_of_required_data }
}

fn lane(kind: &Kind) -> Lane {
    Lane {
        kind: kind.name(),
        bundle: bundle_id("com.x"),
        needs: kind.needs(),
        protection: kind.protection(),
        priority: Priority::Normal,
        urgent: false,
    }
}

/// What a predicate looks at, owned, so that a case may change a part of it.
#[derive(Clone)]
struct Scene {
    policy: Policy,
    conditions: Conditions,
    closed: BTreeMap<BundleId, Gate>,
    paces: Paces,
    running: Crowd,
    not_launching: Option<Timestamp>,
}

impl Scene {
    fn lacking(conditions: &[Condition]) -> Scene {
        Scene {
            policy: policy(Profile::Device),
            conditions: all_but(conditions),
            closed: BTreeMap::new(),
            paces: Paces::new(),
            running: Crowd::none(),
            not_launching: None,
        }
    }

    fn with(mut self, change: impl FnOnce(&mut Scene)) -> Scene {
        change(&mut self);
        self
    }

    fn world(&self) -> World<'_> {
        World {
            policy: &self.policy,
            conditions: &self.conditions,
            closed: &self.closed,
            paces: &self.paces,
            running: &self.running,
            not_launching: self.not_launching,
        }
    }
}

fn crowd(tasks: usize, kind: KindName) -> Crowd {
    let mut crowd = Crowd::none();
    (0..tasks).for_each(|_| crowd.add(kind, now().wall));
    crowd
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
        let source = conditions.reading(*lacking).source.clone();
        let reason = Reason::Lacks { condition: *lacking, source };
        codes.insert(reason.code(), reason.to_string());
    }
    assert_eq!(codes.len(), Condition::ALL.len(), "{codes:?}");
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

//! Studies: health-research runs only where the operator enrolled the machine, and is over at once when that is withdrawn.

use std::{sync::Arc, time::Duration};

use idlewild::{
    bundle::{Bundle, Grants},
    rules::*,
    scheduler::SchedulerError,
};
use idlewild_tests::{World, bundle_asking, id, policy};

use super::{COUNT, GALLERY, REFRESH, THIRD, ok, refresh};

/// A bundle for the study `heart`, enrolled in it or not.
fn for_heart(is_enrolled: bool) -> Arc<Bundle> {
    for_study("heart", is_enrolled)
}

fn for_study(study: &str, is_enrolled: bool) -> Arc<Bundle> {
    let entitled = format!("[entitlements]\nhealth-research = \"{study}\"\n");
    let bundle = bundle_asking(GALLERY, &[COUNT, REFRESH, THIRD], &entitled);
    let study = is_enrolled.then(|| study.to_owned());
    Arc::new(Bundle { grants: Grants { study, ..Grants::default() }, ..(*bundle).clone() })
}

fn world(is_enrolled: bool) -> World {
    World::new(policy(Profile::Device), vec![for_heart(is_enrolled)])
}

fn research(identifier: &str) -> Request {
    let needs = Needs::default();
    Request::new(id(identifier), Kind::HealthResearch { needs, protection_of_required_data: DataProtection::None })
}

fn later(world: &World) -> Option<Timestamp> {
    Some(world.now().wall + Duration::from_secs(900))
}

fn cancellations(world: &World) -> Vec<(String, CancelCause)> {
    let told = world.told.lock().unwrap();
    let cancelled = |happening: &Happening| match &happening.what {
        What::Cancelled { identifier, cause, .. } => Some((identifier.to_string(), *cause)),
        _ => None,
    };
    told.iter().filter_map(cancelled).collect()
}

#[test]
fn research_is_refused_until_the_machine_is_enrolled_and_nothing_else_waits_for_that() {
    let mut world = world(false);
    let refused = world.submit(research(COUNT)).unwrap_err();
    let SchedulerError::Refused(Refusal { code, message }) = refused else { panic!("{refused:?}") };
    assert_eq!(code, RefusalCode::NotPermitted);
    assert_eq!(
        message,
        "this machine is not enrolled in the study `heart`: its operator enrols it with `idlewild grants BUNDLE --enrol heart`"
    );
    world.submit(refresh(REFRESH)).unwrap();
    assert!(world.running(REFRESH).is_some(), "no gate is closed for want of an enrolment");
    world.install(&for_heart(true));
    world.submit(research(COUNT)).unwrap();
    assert!(world.running(COUNT).is_some());
}

#[test]
fn withdrawing_cancels_what_waits_for_the_study_stops_what_runs_and_leaves_all_else() {
    let mut world = world(true);
    let often = Some(Repeat { every: Duration::from_secs(60), flex: Duration::ZERO });
    world.submit(Request { repeat: often, ..research(COUNT) }).unwrap();
    let earliest_begin = later(&world);
    world.submit(Request { earliest_begin, ..research(THIRD) }).unwrap();
    world.submit(refresh(REFRESH)).unwrap();
    let (running, refreshing) = (world.running(COUNT).unwrap(), world.running(REFRESH).unwrap());
    let changed = world.install(&for_heart(false));
    assert_eq!((changed.cancelled, changed.expired), (1, 1));
    assert_eq!(cancellations(&world), [(THIRD.to_owned(), CancelCause::EnrolmentWithdrawn)]);
    let asked = |task| world.engine.running.lock().unwrap()[&task].expiring.map(|(reason, _)| reason);
    assert_eq!(asked(running), Some(ExpirationReason::Cancelled));
    assert_eq!(asked(refreshing), None, "work of other kinds goes on");
    world.end(COUNT, End::Returned(Err("stopped".to_owned())));
    let returned = Some(Err("stopped".to_owned()));
    assert_eq!(world.outcome(COUNT), Outcome::Expired { reason: ExpirationReason::Cancelled, returned });
    world.end(REFRESH, ok());
    assert!(!world.jump(), "it is not repeated, and nothing else is pending");
    world.install(&for_heart(true));
    world.submit(research(COUNT)).unwrap();
    assert!(world.running(COUNT).is_some(), "who is enrolled again may ask again");
}

#[test]
fn a_host_that_dies_before_research_has_stopped_does_not_bring_it_back() {
    let mut world = world(true);
    world.submit(research(COUNT)).unwrap();
    world.submit(research(COUNT)).unwrap();
    world.submit(refresh(REFRESH)).unwrap();
    assert_eq!(world.install(&for_heart(false)).cancelled, 1, "the one behind it");
    world.crash();
    world.settle();
    assert_eq!(world.outcome(COUNT), Outcome::Interrupted);
    assert!(world.why(COUNT).waiting.is_empty(), "it is over");
    assert!(world.running(COUNT).is_none());
    assert!(world.running(REFRESH).is_some(), "as other interrupted tasks are");
}

#[test]
fn research_that_fails_or_is_drained_after_the_withdrawal_is_not_tried_again() {
    for asked_before in [false, true] {
        let mut world = world(true);
        let second = Duration::from_secs(1);
        let retry = Some(Retry { attempts: 5, first_delay: second, longest_delay: second });
        world.submit(Request { retry, ..research(COUNT) }).unwrap();
        if asked_before {
            world.send(idlewild::scheduler::Event::Drain { reply: tokio::sync::oneshot::channel().0 });
            world.settle();
        }
        world.install(&for_heart(false));
        world.end(COUNT, End::Returned(Err("no".to_owned())));
        assert!(world.why(COUNT).waiting.is_empty(), "asked to stop before: {asked_before}");
    }
}

#[test]
fn a_version_for_another_study_is_another_bundle_that_asks_anew() {
    let mut world = world(true);
    let earliest_begin = later(&world);
    world.submit(Request { earliest_begin, ..research(THIRD) }).unwrap();
    world.submit(Request { earliest_begin, ..refresh(REFRESH) }).unwrap();
    // The same study once more changes nothing.
    world.install(&for_heart(true));
    assert_eq!(cancellations(&world), []);
    world.install(&for_study("lung", false));
    assert_eq!(cancellations(&world), [(THIRD.to_owned(), CancelCause::BundleChanged)]);
    assert_eq!(world.why(REFRESH).waiting.len(), 1);
}

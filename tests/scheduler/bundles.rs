//! Bundles change under a running scheduler: abandoned or settled, disabled, waiting for grants.

use std::{sync::Arc, time::Duration};

use idlewild::{
    bundle::{Bundle, Grants},
    rules::*,
    scheduler::{Event, SchedulerError},
};
use idlewild_tests::{World, bundle, bundle_asking, bundle_id, id};

use super::{COUNT, GALLERY, REFRESH, THIRD, ok, processing, refresh, world, world_of};

#[test]
fn an_upgrade_that_is_abandoned_costs_nothing_and_a_settled_one_cancels_and_submits() {
    let mut world = world();
    let floor = Some(world.now().wall + Duration::from_secs(900));
    let kept = world.submit(Request { earliest_begin: floor, ..refresh(REFRESH) }).unwrap().request;
    let pending = |world: &mut World| {
        let now = world.now();
        let waiting = world.core.waiting(now, 10).unwrap();
        waiting.into_iter().map(|waiting| waiting.record.id).collect::<Vec<_>>()
    };
    let wide = bundle("com.example.gallery", &[COUNT, REFRESH]);
    world.stage(&wide);
    let rehearsed = world.rehearse(GALLERY, Request { input: b"new".to_vec(), ..refresh(REFRESH) }).unwrap();
    assert!(rehearsed.replaced, "it is told what will be");
    let now = world.now();
    let seen = world.core.rehearsed_requests(&bundle_id(GALLERY), 10).unwrap();
    assert_eq!(seen.iter().map(|request| &request.input[..]).collect::<Vec<_>>(), [b"new"]);
    assert_eq!(world.core.waiting(now, 10).unwrap()[0].record.id, kept, "and nothing is so yet");
    world.send(Event::Abandon);
    world.settle();
    assert_eq!(pending(&mut world), [kept], "exactly as before");

    let narrow = bundle("com.example.gallery", &[COUNT]);
    world.stage(&narrow);
    let rehearsed = world.rehearse(GALLERY, Request { earliest_begin: floor, ..refresh(COUNT) }).unwrap();
    assert!(!rehearsed.replaced, "and what is no longer permitted does not count");
    let refused = world.rehearse(GALLERY, refresh(REFRESH)).unwrap_err();
    assert!(matches!(refused, SchedulerError::Refused(Refusal { code: RefusalCode::NotPermitted, .. })), "{refused:?}");
    let changed = world.install(&narrow);
    assert_eq!(changed.cancelled, 1);
    assert_eq!(pending(&mut world), [rehearsed.request], "with the number it was told");
}

#[test]
fn while_a_bundle_changes_nothing_of_it_is_launched_and_what_others_ask_waits() {
    let mut world = world();
    world.state(Condition::Idle, false);
    world.submit(processing(COUNT)).unwrap();
    let wide = bundle("com.example.gallery", &[COUNT, REFRESH]);
    world.stage(&wide);
    world.state(Condition::Idle, true);
    assert_eq!(world.reasons(COUNT), ["bundle-changing"]);
    let (reply, mut person) = tokio::sync::oneshot::channel();
    world.send(Event::Submit { bundle: None, request: refresh(REFRESH), key: None, reply });
    world.settle();
    assert!(person.try_recv().is_err(), "a person waits for the change");
    world.rehearse(GALLERY, Request { input: b"first".to_vec(), ..refresh(REFRESH) }).unwrap();
    world.install(&wide);
    assert!(person.try_recv().unwrap().unwrap().replaced, "and comes after it");
    assert!(world.running(COUNT).is_some() && world.running(REFRESH).is_some());
    let stray = world.rehearse(GALLERY, refresh(REFRESH)).unwrap_err();
    assert!(matches!(stray, SchedulerError::Refused(Refusal { code: RefusalCode::Unavailable, .. })), "{stray:?}");
}

#[test]
fn a_change_that_cannot_be_recorded_changes_nothing() {
    let mut world = world();
    let floor = Some(world.now().wall + Duration::from_secs(900));
    world.submit(Request { earliest_begin: floor, ..refresh(REFRESH) }).unwrap();
    let narrow = bundle("com.example.gallery", &[COUNT]);
    world.stage(&narrow);
    world.rehearse(GALLERY, refresh(COUNT)).unwrap();
    world.database.set_full(true);
    let failed = world.change(&narrow, true, false);
    assert!(matches!(failed, Err(SchedulerError::Store(_))), "{failed:?}");
    world.database.set_full(false);
    world.jump();
    assert_eq!(world.reasons(REFRESH), ["earliest-begin"], "and it is no longer being changed");
    world.submit(processing(THIRD)).expect("the old manifest stands");
}

#[test]
fn a_change_that_cannot_keep_what_activate_was_told_changes_nothing_and_everybody_hears() {
    let mut world = world();
    let floor = Some(world.now().wall + Duration::from_secs(900));
    world.submit(Request { earliest_begin: floor, ..refresh(REFRESH) }).unwrap();
    let before = history(&mut world);
    world.stage(&bundle(GALLERY, &[COUNT, REFRESH]));
    world.rehearse(GALLERY, processing(COUNT)).unwrap();
    let (reply, mut person) = tokio::sync::oneshot::channel();
    world.send(Event::Submit { bundle: None, request: refresh(THIRD), key: None, reply });
    world.settle();
    // What is put in place permits less than what was rehearsed.
    let failed = world.change(&bundle(GALLERY, &[THIRD]), true, false).unwrap_err();
    assert!(failed.to_string().contains("promised what cannot be kept now"), "{failed}");
    assert_eq!(person.try_recv().expect("a person is answered"), Err(failed));
    world.jump();
    assert_eq!(world.reasons(REFRESH), ["earliest-begin"], "what was pending still is");
    assert_eq!(history(&mut world), before);
    world.submit(processing(COUNT)).expect("the old manifest stands");
    world.crash();
    assert_eq!(world.reasons(REFRESH), ["earliest-begin"]);
}

#[test]
fn a_disabled_bundle_takes_no_requests_and_launches_none() {
    let mut world = world_of(Profile::Server);
    let floor = world.now().wall + Duration::from_secs(900);
    world.submit(Request { earliest_begin: Some(floor), ..refresh(REFRESH) }).unwrap();
    world.clock.set_wall(floor - Duration::from_secs(1));
    let gallery = world.core.bundles()[&bundle_id(GALLERY)].clone();
    world.submit(refresh(THIRD)).unwrap();
    let changed = world.change(&gallery, false, false).unwrap();
    assert_eq!((changed.expired, changed.running), (0, 1), "what runs may finish");
    let refused = world.submit(processing(COUNT));
    assert!(
        matches!(&refused, Err(SchedulerError::Refused(refusal)) if refusal.code == RefusalCode::Unavailable),
        "{refused:?}"
    );
    world.clock.set_wall(floor);
    world.settle();
    assert_eq!(world.reasons(REFRESH), ["bundle-disabled"]);
    world.state(Condition::Idle, false);
    assert_eq!(
        world.core.next_wake_up().uptime,
        world.core.running().next().unwrap().time_limit(),
        "nothing else to wake for"
    );
    let (reply, mut done) = tokio::sync::oneshot::channel();
    world.send(Event::Done { reply });
    world.end(THIRD, ok());
    done.try_recv().expect("only its operator can end the wait").unwrap();
    world.crash();
    world.settle();
    assert_eq!(world.reasons(REFRESH), ["bundle-disabled"], "a new host finds it disabled");
    world.change(&gallery, true, false).unwrap();
    assert!(world.running(REFRESH).is_some());
    let changed = world.change(&gallery, false, true).unwrap();
    assert_eq!(changed.expired, 1);
    world.end(REFRESH, End::Stopped);
    assert_eq!(world.outcome(REFRESH), Outcome::Expired { reason: ExpirationReason::Cancelled, returned: None });
}

#[test]
fn what_is_asked_and_not_granted_is_waited_for_by_name() {
    let mut world = world();
    let asking = bundle_asking(GALLERY, &[REFRESH], "config = [\"title\", \"size\"]");
    world.install(&asking);
    world.submit(refresh(REFRESH)).unwrap();
    let reasons = world.why(REFRESH).waiting[0].reasons.clone();
    let options: Vec<&str> = reasons
        .iter()
        .map(|held| match &held.reason {
            Reason::NotGranted { missing, .. } => missing.option.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(options, ["--set title=VALUE", "--set size=VALUE"]);
    let granted = |names: &[&str]| {
        let config = names.iter().map(|name| ((*name).to_owned(), "x".to_owned())).collect();
        Arc::new(Bundle { grants: Grants { config, ..Grants::default() }, ..(*asking).clone() })
    };
    world.install(&granted(&["size"]));
    assert_eq!(world.reasons(REFRESH), ["not-granted"]);
    world.install(&granted(&["size", "title"]));
    assert!(world.running(REFRESH).is_some());
    world.install(&granted(&["title"]));
    world.submit(refresh(REFRESH)).unwrap();
    assert_eq!(world.reasons(REFRESH), ["behind", "not-granted"], "what is taken back closes it again");
}

fn history(world: &mut World) -> Vec<String> {
    let filter = HistoryFilter { identifier: None, bundle: None, before: None, limit: 100 };
    let said = |record: HistoryRecord| {
        let HistoryEntry { bundle: _, what, identifier: _, request, detail } = record.entry;
        let request = request.map(|request| format!(" {request}")).unwrap_or_default();
        format!("{what}{request}: {}", detail.unwrap_or_default())
    };
    world.core.history(&filter).unwrap().into_iter().map(said).collect()
}

#[test]
fn history_keeps_the_newest_changes_and_their_causes() {
    let mut world = world();
    let floor = Some(world.now().wall + Duration::from_secs(900));
    world.submit(Request { earliest_begin: floor, ..refresh(REFRESH) }).unwrap();
    world.submit(Request { earliest_begin: floor, ..refresh(REFRESH) }).unwrap();
    world.cancel(REFRESH);
    assert_eq!(history(&mut world), ["cancelled 2: person", "replaced 1: by request 2"]);
    world.submit(Request { earliest_begin: floor, ..processing(COUNT) }).unwrap();
    world.install(&bundle(GALLERY, &[REFRESH]));
    let newest = ["bundle-installed: 1.0.0", "cancelled 3: bundle-changed", "cancelled 2: person"];
    assert_eq!(history(&mut world), newest, "no more than the policy keeps");
    world.crash();
    assert_eq!(history(&mut world), newest);
    let submission = world.submit(refresh(REFRESH)).unwrap();
    assert_eq!(submission.request, RequestId(4), "no number that history names is given again");
}

#[test]
fn what_was_not_committed_is_not_history() {
    let mut world = world();
    let floor = Some(world.now().wall + Duration::from_secs(900));
    world.submit(Request { earliest_begin: floor, ..refresh(REFRESH) }).unwrap();
    world.database.set_full(true);
    let (reply, _answer) = tokio::sync::oneshot::channel();
    world.send(Event::Cancel { bundle: None, identifier: Some(id(REFRESH)), cause: CancelCause::Person, reply });
    world.step();
    assert_eq!(history(&mut world), Vec::<String>::new());
}

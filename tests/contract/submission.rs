//! Who may submit what, and how often.

use idlewild::scheduler::SubmissionKey;
use idlewild_tests::bundle_asking;

use super::*;

#[test]
fn a_replacement_never_meets_the_limit_and_changes_no_count() {
    let mut world = world();
    let floor = Some(world.now().wall + seconds(900));
    world.submit(Request { earliest_begin: floor, ..refresh(REFRESH) }).unwrap();
    let again = world.submit(Request { earliest_begin: floor, ..refresh(REFRESH) }).unwrap();
    assert!(again.replaced);
    let now = world.now();
    assert_eq!(world.core.waiting(now, 10).unwrap().len(), 1);
}

#[test]
fn a_device_takes_one_refresh_and_ten_processing_requests_of_a_bundle() {
    let mut world = world();
    world.state(Condition::Idle, false);
    let floor = Some(world.now().wall + seconds(900));
    world.submit(Request { earliest_begin: floor, ..refresh(REFRESH) }).unwrap();
    let (number, message) = refusal(world.submit(refresh(&more(1))));
    assert_eq!(number, 2, "{message}");
    for each in 1..=10 {
        world.submit(processing(&more(each))).unwrap();
    }
    let (number, message) = refusal(world.submit(processing(&more(11))));
    assert_eq!(number, 2, "{message}");
    world.submit(Request::new(id("org.notes.sync"), Kind::AppRefresh)).expect("another bundle has its own count");
    world.cancel(&more(3));
    world.submit(processing(&more(11))).expect("a place is free again");
}

#[test]
fn what_is_not_permitted_says_why_under_one_number() {
    let mut world = world();
    let gpu = |mut request: Request| {
        if let Kind::ContinuedProcessing(continued) = &mut request.kind {
            continued.requires_gpu = true;
        }
        request
    };
    let cases = [
        (refresh("com.example.gallery.export.1"), "only by a wildcard"),
        (gpu(export(EXPORT)), "entitlement"),
        (Request { run_after: vec![id("com.example.gallery.else")], ..refresh(REFRESH) }, "run-after names"),
    ];
    for (request, piece) in cases {
        let (number, message) = refusal(world.submit(request));
        assert!(number == 3 && message.contains(piece), "{number}: {message}");
    }
    let strange = world.submit(refresh("com.example.elsewhere"));
    assert!(matches!(strange, Err(SchedulerError::Unknown(_))), "{strange:?}");
    let (number, message) = refusal(world.submit_as(GALLERY, refresh("com.example.elsewhere")));
    assert!(number == 3 && message.contains("not among the bundle's"), "{message}");
}

#[test]
fn a_bundle_without_the_mode_has_no_tasks_of_the_kind() {
    let mut fetching = (*bundle_asking(GALLERY, &[COUNT, REFRESH], "")).clone();
    fetching.manifest.background_modes = vec![BackgroundMode::Fetch];
    let mut world = World::new(policy(Profile::Device), vec![std::sync::Arc::new(fetching)]);
    world.submit(refresh(REFRESH)).unwrap();
    let (number, message) = refusal(world.submit(processing(COUNT)));
    assert!(number == 3 && message.contains("`processing` among"), "{message}");
}

#[test]
fn a_disabled_bundle_is_unavailable() {
    let mut world = world();
    let gallery = world.core.bundles()[&bundle_id(GALLERY)].clone();
    world.change(&gallery, false, false).unwrap();
    let (number, message) = refusal(world.submit(refresh(REFRESH)));
    assert!(number == 1 && message.contains("idlewild enable"), "{message}");
    let (number, _) = refusal(world.submit_as(GALLERY, processing(COUNT)));
    assert_eq!(number, 1);
    world.change(&gallery, true, false).unwrap();
    world.submit(refresh(REFRESH)).unwrap();
}

#[test]
fn a_submission_under_a_key_is_made_once() {
    let mut world = world();
    let keyed = |world: &mut World, key: &str, content: &str| {
        let key = Some(SubmissionKey { key: key.to_owned(), content: content.to_owned() });
        world.call(|reply| Event::Submit { bundle: None, request: refresh(REFRESH), key, reply })
    };
    let first = keyed(&mut world, "a", "x").unwrap();
    world.end(REFRESH, ok());
    assert_eq!(keyed(&mut world, "a", "x").unwrap(), first);
    assert!(world.running(REFRESH).is_none(), "it was answered and not done again");
    let (number, message) = refusal(keyed(&mut world, "a", "y"));
    assert!(number == 3 && message.contains("`a` was used for another request"), "{message}");
    world.crash();
    assert_eq!(keyed(&mut world, "a", "x").unwrap(), first, "a new host remembers");
    let other = keyed(&mut world, "b", "x").unwrap();
    assert_ne!(other.request, first.request);
    world.end(REFRESH, ok());
    world.pass(seconds(86_401));
    let late = keyed(&mut world, "c", "x").unwrap();
    world.end(REFRESH, ok());
    assert_ne!(keyed(&mut world, "a", "x").unwrap().request, first.request, "a day later it is forgotten");
    assert_ne!(late.request, other.request);
}

#[test]
fn two_submissions_under_one_key_in_one_step_are_one() {
    let mut world = world();
    world.state(Condition::Idle, false);
    let mut answers = Vec::new();
    for _ in 0..2 {
        let key = Some(SubmissionKey { key: "k".to_owned(), content: "x".to_owned() });
        let (reply, answer) = tokio::sync::oneshot::channel();
        world.send(Event::Submit { bundle: None, request: processing(COUNT), key, reply });
        answers.push(answer);
    }
    world.settle();
    let answers: Vec<_> = answers.iter_mut().map(|answer| answer.try_recv().unwrap().unwrap()).collect();
    assert_eq!(answers[0], answers[1]);
    assert!(!answers[1].replaced);
}

#[test]
fn a_key_of_a_refused_submission_is_free() {
    let mut world = world();
    let keyed = |world: &mut World, request: Request| {
        let key = Some(SubmissionKey { key: "k".to_owned(), content: "x".to_owned() });
        world.call(|reply| Event::Submit { bundle: None, request, key, reply })
    };
    refusal(keyed(&mut world, refresh(EXPORT)));
    keyed(&mut world, refresh(REFRESH)).unwrap();
}

#[test]
fn cancelling_what_nobody_asked_for_is_nothing() {
    let mut world = world();
    assert_eq!(world.cancel(REFRESH), 0);
    assert_eq!(world.cancel("com.nobody.knows"), 0);
}

//! Work that a person asked for: shown, watched, cancelled, and held to its progress.

use super::*;

#[test]
fn a_task_may_not_ask_for_it() {
    let mut world = world();
    let (number, message) = refusal(world.submit_as(GALLERY, export(EXPORT)));
    assert!(number == 3 && message.contains("asked for by a person"), "{message}");
    world.submit(export(EXPORT)).unwrap();
}

#[test]
fn its_floor_is_ignored_and_a_wildcard_serves_it() {
    let mut world = world();
    let floor = Some(world.now().wall + seconds(900));
    world.submit(Request { earliest_begin: floor, ..export(EXPORT) }).unwrap();
    assert!(world.running(EXPORT).is_some());
}

#[test]
fn queued_ones_start_in_the_order_they_were_asked_for_whoever_asked() {
    let mut world = world();
    let names = ["com.example.gallery.export.1", "com.example.gallery.export.2", "org.notes.export.1"];
    let queued = ["com.example.gallery.export.9", "org.notes.export.8", "com.example.gallery.export.0"];
    for name in names.iter().chain(&queued) {
        world.submit(export(name)).unwrap();
        world.pass(seconds(1));
    }
    assert_eq!(world.reasons(names[2]), ["no-slot-of-kind"], "two run at once");
    let mut order = Vec::new();
    for ended in [names[0], names[1], names[2], queued[0], queued[1]] {
        world.end(ended, ok());
        let waited = names[2..].iter().chain(&queued);
        order.extend(waited.filter(|name| world.running(name).is_some()).copied());
        order.dedup();
    }
    let mut started = Vec::new();
    for name in order {
        if !started.contains(&name) {
            started.push(name);
        }
    }
    assert_eq!(started, [names[2], queued[0], queued[1], queued[2]]);
}

#[test]
fn fail_refuses_where_queue_waits() {
    let mut world = world();
    world.submit(export("com.example.gallery.export.1")).unwrap();
    world.submit(continued("com.example.gallery.export.2", true)).expect("there is room");
    let (number, message) = refusal(world.submit(continued("com.example.gallery.export.3", true)));
    assert!(number == 4 && message.contains("all 2 slots for continued-processing are taken"), "{message}");
    world.submit(export("com.example.gallery.export.3")).expect("never a refusal for want of room");
    world.end("com.example.gallery.export.1", ok());
    world.end("com.example.gallery.export.2", ok());
    world.end("com.example.gallery.export.3", ok());
    world.state(Condition::Cool, false);
    let (number, message) = refusal(world.submit(continued("com.example.gallery.export.3", true)));
    assert!(number == 4 && message.contains("hot"), "{message}");
}

#[test]
fn two_that_insist_in_one_step_get_only_the_room_there_is() {
    let mut world = world_with(|policy| policy.at_once.continued_processing = 1);
    let answers: Vec<_> = ["com.example.gallery.export.1", "com.example.gallery.export.2"]
        .into_iter()
        .map(|name| {
            let (reply, answer) = tokio::sync::oneshot::channel();
            world.send(Event::Submit { bundle: None, request: continued(name, true), key: None, reply });
            answer
        })
        .collect();
    world.settle();
    let answers: Vec<_> = answers.into_iter().map(|mut answer| answer.try_recv().unwrap()).collect();
    assert!(answers[0].is_ok());
    assert_eq!(refusal(answers[1].clone()).0, 4);
    assert!(world.running("com.example.gallery.export.1").is_some());
}

#[test]
fn without_an_advance_it_expires() {
    let mut world = world();
    world.submit(export(EXPORT)).unwrap();
    world.pass(seconds(50));
    world.progress(EXPORT, 1, 10);
    world.pass(seconds(50));
    world.progress(EXPORT, 1, 20);
    assert_eq!(world.expiring(EXPORT), None);
    world.pass(seconds(9));
    assert_eq!(world.expiring(EXPORT), None);
    assert!(world.jump(), "it wakes for the standstill");
    assert_eq!(world.expiring(EXPORT), Some(ExpirationReason::NoProgress), "the same again is no advance");
}

#[test]
fn one_that_advances_has_no_limit_of_time() {
    let mut world = world();
    world.submit(export(EXPORT)).unwrap();
    for step in 1..=1_000 {
        world.pass(seconds(59));
        world.progress(EXPORT, step, 2_000);
    }
    assert_eq!(world.expiring(EXPORT), None);
}

#[test]
fn under_pressure_the_least_advanced_gives_way_one_at_a_time() {
    let mut world = world();
    let [one, two] = ["com.example.gallery.export.1", "com.example.gallery.export.2"];
    world.submit(export(one)).unwrap();
    world.submit(export(two)).unwrap();
    world.progress(one, 1, 10);
    world.progress(two, 9, 10);
    world.state(Condition::Roomy, false);
    assert_eq!(world.expiring(one), Some(ExpirationReason::Preempted));
    assert_eq!(world.expiring(two), None);
    world.pass(seconds(4));
    assert_eq!(world.expiring(two), None, "first it is seen whether that helped");
    world.pass(seconds(1));
    assert_eq!(world.expiring(two), Some(ExpirationReason::Preempted));
}

#[test]
fn pressure_that_ends_spares_the_rest() {
    let mut world = world();
    let [one, two] = ["com.example.gallery.export.1", "com.example.gallery.export.2"];
    world.submit(export(one)).unwrap();
    world.submit(export(two)).unwrap();
    world.progress(one, 1, 10);
    world.state(Condition::Cool, false);
    assert_eq!(world.expiring(two), Some(ExpirationReason::Preempted));
    world.state(Condition::Cool, true);
    world.pass(seconds(30));
    assert_eq!(world.expiring(one), None);
}

#[test]
fn a_persons_cancel_asks_what_runs_to_stop_and_a_bundles_does_not() {
    let mut world = world();
    world.submit(export(EXPORT)).unwrap();
    let bundle = Some(bundle_id(GALLERY));
    let cancel = |bundle, cause| move |reply| Event::Cancel { bundle, identifier: Some(id(EXPORT)), cause, reply };
    world.call(cancel(bundle, CancelCause::Bundle)).unwrap();
    assert_eq!(world.expiring(EXPORT), None);
    let cancelled = world.cancel_all_of(EXPORT);
    assert_eq!((cancelled.pending, cancelled.expired), (0, 1));
    assert_eq!(world.expiring(EXPORT), Some(ExpirationReason::Cancelled), "its own reason");
    world.submit(processing(COUNT)).unwrap();
    assert_eq!(world.cancel_all_of(COUNT).expired, 0, "only what a person asked for is stopped by a cancel");
}

#[test]
fn what_waits_in_the_queue_is_cancelled_by_name() {
    let mut world = world();
    for number in 1..=3 {
        world.submit(export(&format!("com.example.gallery.export.{number}"))).unwrap();
    }
    assert_eq!(world.cancel("com.example.gallery.export.3"), 1);
}

#[test]
fn its_title_is_what_it_last_said() {
    let mut world = world();
    world.submit(export(EXPORT)).unwrap();
    let task = world.running(EXPORT).unwrap();
    let title = |world: &mut World| world.core.task(task).unwrap().unwrap().title.unwrap();
    assert_eq!(title(&mut world), Title { title: "Export".to_owned(), subtitle: "to disk".to_owned() });
    let say = |title: &str| Event::Titled { task, title: title.to_owned(), subtitle: "7 of 9".to_owned() };
    world.send(say("Nearly done"));
    world.settle();
    let said = Title { title: "Nearly done".to_owned(), subtitle: "7 of 9".to_owned() };
    assert_eq!(title(&mut world), said);
    world.end(EXPORT, ok());
    assert_eq!(title(&mut world), said, "and history keeps it");
    world.submit(refresh(REFRESH)).unwrap();
    let task = world.running(REFRESH).unwrap();
    world.send(Event::Titled { task, title: "Loud".to_owned(), subtitle: String::new() });
    world.settle();
    assert_eq!(world.core.task(task).unwrap().unwrap().title, None, "other kinds have none");
}

#[test]
fn watched_is_foreground_and_left_alone_is_background() {
    let mut world = world();
    world.submit(export(EXPORT)).unwrap();
    let task = world.running(EXPORT).unwrap();
    for _ in 0..2 {
        world.call(|reply| Event::Attach { task, reply }).unwrap();
    }
    world.send(Event::Detach { task });
    world.settle();
    assert_eq!(world.told_of(EXPORT), [Told::Foreground(true)], "somebody still watches");
    world.send(Event::Detach { task });
    world.settle();
    assert_eq!(world.told_of(EXPORT), [Told::Foreground(true), Told::Foreground(false)]);
    world.send(Event::Detach { task });
    world.settle();
    world.end(EXPORT, ok());
    let gone = world.call(|reply| Event::Attach { task, reply });
    assert!(matches!(gone, Err(SchedulerError::Unknown(_))), "{gone:?}");
}

#[test]
fn what_a_person_cancelled_does_not_come_back_with_its_host() {
    let mut world = world();
    world.submit(export(EXPORT)).unwrap();
    world.cancel(EXPORT);
    world.crash();
    world.settle();
    assert!(world.running(EXPORT).is_none());
    assert!(world.why(EXPORT).waiting.is_empty());
}

#[test]
fn whether_it_can_start_at_once_is_judged_by_what_the_machine_is_like_now() {
    let mut world = world();
    world.machine.lacking.lock().unwrap().push(Condition::Cool);
    world.pass(seconds(60));
    refusal(world.submit(continued(EXPORT, true)));
    world.machine.lacking.lock().unwrap().clear();
    world.pass(seconds(60));
    world.submit(continued(EXPORT, true)).expect("it has cooled down meanwhile");
}

//! What the machine must be like, and what becomes of a task when it is so no longer.

use super::*;

#[test]
fn needs_gate_the_launch_and_their_loss_ends_the_task() {
    for (condition, network, external_power) in
        [(Condition::Network, true, false), (Condition::ExternalPower, false, true), (Condition::Idle, false, false)]
    {
        let mut world = world();
        world.state(condition, false);
        world.submit(needing(COUNT, network, external_power)).unwrap();
        assert!(world.running(COUNT).is_none(), "{condition} is gone");
        world.state(condition, true);
        assert!(world.running(COUNT).is_some(), "{condition} is there");
        world.state(condition, false);
        assert_eq!(world.expiring(COUNT), Some(ExpirationReason::ConditionsLost), "{condition} was lost");
    }
}

#[test]
fn a_refresh_goes_on_whatever_the_machine_is_doing() {
    let mut world = world();
    world.submit(refresh(REFRESH)).unwrap();
    for condition in Condition::ALL {
        world.state(*condition, false);
    }
    assert_eq!(world.expiring(REFRESH), None);
}

#[test]
fn a_task_that_insists_on_power_may_compute_without_limit() {
    let mut world = world();
    world.submit(needing(COUNT, false, true)).unwrap();
    world.submit(processing(&more(1))).unwrap();
    let fuel = |world: &World, identifier: &str| {
        let task = world.running(identifier).unwrap();
        world.engine.running.lock().unwrap()[&task].launch.allowance.fuel
    };
    assert_eq!(fuel(&world, &more(1)), 1_000_000);
    assert!(fuel(&world, COUNT) > 1 << 50);
}

#[test]
fn a_low_battery_holds_back_what_can_wait_until_there_is_power() {
    let mut world = world();
    world.state(Condition::ExternalPower, false);
    world.state(Condition::Charged, false);
    world.submit(refresh(REFRESH)).unwrap();
    world.submit(export(EXPORT)).unwrap();
    assert_eq!(world.reasons(REFRESH), ["low-battery"]);
    assert!(world.running(EXPORT).is_some(), "what a person asked for runs");
    world.state(Condition::ExternalPower, true);
    assert!(world.running(REFRESH).is_some());
    world.state(Condition::ExternalPower, false);
    assert_eq!(world.expiring(REFRESH), None, "it ends nothing that runs");
}

#[test]
fn what_is_held_in_place_goes_on_when_its_conditions_return() {
    let mut world = world();
    world.submit(Request { may_suspend: true, ..processing(COUNT) }).unwrap();
    let launched = world.now().uptime;
    world.pass(seconds(100));
    world.state(Condition::Idle, false);
    assert_eq!(world.told_of(COUNT), [Told::Suspend]);
    assert_eq!(world.expiring(COUNT), None);
    let task = world.running(COUNT).unwrap();
    assert!(world.core.task(task).unwrap().unwrap().suspended);
    assert_eq!(world.why(COUNT).running.unwrap().id, task, "it keeps its slot");
    world.pass(seconds(200));
    world.state(Condition::Idle, true);
    assert_eq!(world.told_of(COUNT), [Told::Suspend, Told::Resume]);
    let limit = world.core.running().next().unwrap().time_limit();
    assert_eq!(limit, Some(launched + seconds(600 + 200)), "its allowed time stood still");
    world.end(COUNT, ok());
    assert_eq!(world.outcome(COUNT), Outcome::Succeeded { output: b"done".to_vec() });
    let told = world.told.lock().unwrap();
    let names: Vec<bool> = told
        .iter()
        .filter_map(|happening| match happening.what {
            What::Suspended { .. } => Some(true),
            What::Resumed { .. } => Some(false),
            _ => None,
        })
        .collect();
    assert_eq!(names, [true, false]);
    drop(told);
    let filter = HistoryFilter { identifier: Some(id(COUNT)), bundle: None, before: None, limit: 9 };
    let history = world.core.history(&filter).unwrap();
    let words: Vec<_> = history.iter().map(|record| record.entry.what).collect();
    assert_eq!(words, [HistoryWord::Resumed, HistoryWord::Suspended], "newest first");
}

#[test]
fn what_is_held_for_too_long_expires_with_a_grace() {
    let mut world = world();
    world.submit(Request { may_suspend: true, ..processing(COUNT) }).unwrap();
    world.state(Condition::Idle, false);
    world.pass(seconds(299));
    assert_eq!(world.expiring(COUNT), None);
    world.pass(seconds(1));
    assert_eq!(world.expiring(COUNT), Some(ExpirationReason::ConditionsLost));
    world.end(COUNT, ok());
    let returned = Some(Ok(b"done".to_vec()));
    assert_eq!(world.outcome(COUNT), Outcome::Expired { reason: ExpirationReason::ConditionsLost, returned });
}

#[test]
fn only_so_many_are_held_at_once() {
    let mut world = world();
    let names = [1, 2, 3].map(more);
    for name in &names {
        world.submit(Request { may_suspend: true, ..processing(name) }).unwrap();
    }
    world.state(Condition::Idle, false);
    let expiring: Vec<_> = names.iter().map(|name| world.expiring(name)).collect();
    assert_eq!(expiring, [None, None, Some(ExpirationReason::ConditionsLost)]);
}

#[test]
fn a_host_that_stops_asks_what_is_held_too() {
    let mut world = world();
    world.submit(Request { may_suspend: true, ..processing(COUNT) }).unwrap();
    world.state(Condition::Idle, false);
    let (reply, mut drained) = tokio::sync::oneshot::channel();
    world.send(Event::Drain { reply });
    world.settle();
    assert_eq!(world.expiring(COUNT), Some(ExpirationReason::HostStopping));
    world.end(COUNT, ok());
    drained.try_recv().unwrap().unwrap();
    world.crash();
    world.settle();
    assert_eq!(world.attempt(COUNT), 2);
}

#[test]
fn tasks_of_a_bundle_that_expire_together_share_one_end() {
    let mut world = world();
    world.submit(refresh(REFRESH)).unwrap();
    world.pass(seconds(7));
    world.submit(processing(COUNT)).unwrap();
    world.submit(export(EXPORT)).unwrap();
    let gallery = bundle_id(GALLERY);
    world.call(|reply| Event::Uninstall { bundle: gallery, keep_data: false, reply }).unwrap();
    let running = world.engine.running.lock().unwrap();
    let ends: Vec<_> = running.values().map(|script| script.expiring.unwrap()).collect();
    assert_eq!(ends, [(ExpirationReason::BundleRemoved, world.now().uptime + seconds(5)); 3]);
}

#[test]
fn conditions_are_looked_at_only_while_something_depends_on_them() {
    let mut world = world();
    assert_eq!(world.core.next_wake_up().uptime, None, "an idle host wakes for nothing");
    world.state(Condition::Idle, false);
    world.submit(processing(COUNT)).unwrap();
    assert!(world.core.next_wake_up().uptime.is_some());
    world.cancel(COUNT);
    assert_eq!(world.core.next_wake_up().uptime, None);
    let floor = Some(world.now().wall + seconds(9_000));
    world.submit(Request { earliest_begin: floor, ..processing(COUNT) }).unwrap();
    assert_eq!((world.core.next_wake_up().uptime, world.core.next_wake_up().wall), (None, floor));
}

#[test]
fn a_full_disk_forgets_neither_who_watches_nor_who_was_asked_to_stop() {
    let mut world = world();
    world.submit(export(EXPORT)).unwrap();
    let task = world.running(EXPORT).unwrap();
    world.call(|reply| Event::Attach { task, reply }).unwrap();
    world.database.set_full(true);
    world.send(Event::Detach { task });
    let (reply, _answer) = tokio::sync::oneshot::channel();
    world.send(Event::Submit { bundle: None, request: refresh(REFRESH), key: None, reply });
    world.step();
    let (reply, _answer) = tokio::sync::oneshot::channel();
    world.send(Event::Cancel { bundle: None, identifier: Some(id(EXPORT)), cause: CancelCause::Person, reply });
    let (reply, _answer) = tokio::sync::oneshot::channel();
    world.send(Event::Submit { bundle: None, request: refresh(REFRESH), key: None, reply });
    world.step();
    world.database.set_full(false);
    assert_eq!(world.told_of(EXPORT), [Told::Foreground(true), Told::Foreground(false)]);
    assert_eq!(world.expiring(EXPORT), Some(ExpirationReason::Cancelled));
    world.pass(seconds(2));
    world.end(EXPORT, ok());
    let returned = Some(Ok(b"done".to_vec()));
    assert_eq!(world.outcome(EXPORT), Outcome::Expired { reason: ExpirationReason::Cancelled, returned });
}

//! The numbers of the policy, each seen at work.

use super::*;

#[test]
fn each_kind_has_its_slots_and_all_have_theirs() {
    let mut world = world_with(|policy| {
        policy.at_once.processing = 2;
        policy.slots = 3;
    });
    for number in 1..=3 {
        world.submit(processing(&more(number))).unwrap();
    }
    assert_eq!(world.reasons(&more(3)), ["no-slot-of-kind"]);
    world.submit(refresh(REFRESH)).unwrap();
    assert!(world.running(REFRESH).is_some());
    world.submit(Request::new(id("org.notes.sync"), Kind::AppRefresh)).unwrap();
    assert_eq!(world.reasons("org.notes.sync"), ["no-slot"]);
    world.end(&more(1), ok());
    assert!(world.running("org.notes.sync").is_some(), "short work first");
    world.end("org.notes.sync", ok());
    assert!(world.running(&more(3)).is_some());
}

#[test]
fn on_battery_the_launches_of_one_bundle_are_spaced() {
    let mut world = world_with(|policy| policy.spacing = seconds(300));
    world.state(Condition::ExternalPower, false);
    world.submit(refresh(REFRESH)).unwrap();
    world.submit(processing(COUNT)).unwrap();
    assert!(world.running(REFRESH).is_some());
    assert_eq!(world.reasons(COUNT), ["spaced"]);
    world.submit(Request::new(id("org.notes.sync"), Kind::AppRefresh)).unwrap();
    world.submit(export(EXPORT)).unwrap();
    assert!(world.running("org.notes.sync").is_some(), "each bundle by itself");
    assert!(world.running(EXPORT).is_some(), "what a person asked for is not spaced");
    world.crash();
    world.state(Condition::ExternalPower, false);
    let waiting: Vec<_> = [REFRESH, COUNT].iter().map(|name| world.reasons(name)).collect();
    assert!(waiting.iter().all(|reasons| reasons.is_empty() || reasons == &["spaced"]), "{waiting:?}");
    world.pass(seconds(299));
    let running = |world: &World| [REFRESH, COUNT].iter().filter(|name| world.running(name).is_some()).count();
    let before = running(&world);
    assert!(before < 2);
    world.pass(seconds(1));
    assert_eq!(running(&world), before + 1, "a new host remembers the last launch");
    world.state(Condition::ExternalPower, true);
    assert_eq!(running(&world), 2, "on power there is no need to space");
}

#[test]
fn a_spaced_bundle_is_woken_for_when_it_may_run_again() {
    let mut world = world_with(|policy| policy.spacing = seconds(300));
    world.state(Condition::ExternalPower, false);
    world.submit(refresh(REFRESH)).unwrap();
    world.end(REFRESH, ok());
    world.submit(refresh(REFRESH)).unwrap();
    let at = world.now().wall + seconds(300);
    assert_eq!(world.core.next_wake_up().wall, Some(at));
    assert_eq!(world.why(REFRESH).waiting[0].looked_at, Some(at));
    assert!(world.jump());
    assert!(world.running(REFRESH).is_some());
}

#[test]
fn a_bundle_that_has_used_up_its_day_waits_for_the_next() {
    let mut world = world_with(|policy| policy.daily_time = Some(seconds(40)));
    for _ in 0..2 {
        world.submit(refresh(REFRESH)).unwrap();
        world.pass(seconds(20));
        world.end(REFRESH, ok());
    }
    world.submit(refresh(REFRESH)).unwrap();
    assert_eq!(world.reasons(REFRESH), ["budget-spent"]);
    world.submit(export(EXPORT)).unwrap();
    assert!(world.running(EXPORT).is_some(), "what a person asked for costs no budget");
    world.end(EXPORT, ok());
    world.crash();
    world.settle();
    assert_eq!(world.reasons(REFRESH), ["budget-spent"], "a new host remembers");
    assert!(world.jump());
    assert!(world.running(REFRESH).is_some());
    assert_eq!(world.now().wall.to_string(), "2026-03-02T00:00:00Z");
}

#[test]
fn nothing_ready_is_passed_over_beyond_the_starvation_bound() {
    let mut world = world_with(|policy| {
        policy.slots = 1;
        policy.starvation = seconds(100);
    });
    world.submit(refresh(REFRESH)).unwrap();
    world.submit(Request { priority: Priority::Low, ..processing(COUNT) }).unwrap();
    let mut rounds = 0;
    while world.running(COUNT).is_none() {
        world.submit(refresh(REFRESH)).unwrap();
        world.pass(seconds(10));
        world.end(REFRESH, ok());
        rounds += 1;
        assert!(rounds <= 11, "short work came first for ever");
    }
    assert_eq!(rounds, 10);
}

#[test]
fn floors_that_lie_near_each_other_share_a_wake_up() {
    let mut world = world_with(|policy| {
        policy.coalescing = seconds(60);
        policy.slots = 9;
        policy.at_once.processing = 9;
    });
    let begin = world.now().wall;
    for number in 1..=9 {
        let floor = Some(begin + seconds(900 + u64::from(number)));
        world.submit(Request { earliest_begin: floor, ..processing(&more(number)) }).unwrap();
    }
    let mut wakes = 0;
    while world.engine.launched.lock().unwrap().len() < 9 {
        assert!(world.jump());
        wakes += 1;
    }
    assert_eq!(wakes, 1);
    assert!(world.now().wall >= begin + seconds(909));
    world.end(&more(1), ok());
    let floor = world.now().wall + seconds(30);
    world.submit(Request { earliest_begin: Some(floor), ..refresh(REFRESH) }).unwrap();
    world.clock.set_wall(floor);
    world.settle();
    assert!(world.running(REFRESH).is_some(), "awake all the same, it does not wait for company");
}

#[test]
fn a_latest_begin_is_not_put_off_for_company() {
    let mut world = world_with(|policy| policy.coalescing = seconds(3_600));
    let floor = world.now().wall + seconds(10);
    let latest_begin = Some(floor + seconds(5));
    world.submit(Request { earliest_begin: Some(floor), latest_begin, ..refresh(REFRESH) }).unwrap();
    assert_eq!(world.core.next_wake_up().wall, latest_begin);
}

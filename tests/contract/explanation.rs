//! Why not now: since when, what would change it, and when it is looked at again.

use super::*;

fn change(world: &mut World, identifier: &str) -> Vec<Mend> {
    world.why(identifier).waiting[0].smallest_change.clone()
}

#[test]
fn each_reason_says_since_when() {
    let mut world = world();
    let submitted = world.now().wall;
    let floor = Some(submitted + seconds(900));
    world.submit(Request { earliest_begin: floor, ..processing(COUNT) }).unwrap();
    world.pass(seconds(10));
    world.state(Condition::Idle, false);
    let lost = world.now().wall;
    world.pass(seconds(10));
    let since: Vec<_> =
        world.why(COUNT).waiting[0].reasons.iter().map(|held| (held.reason.code(), held.since)).collect();
    assert_eq!(since, [("earliest-begin", submitted), ("not-idle", lost)]);
}

#[test]
fn the_smallest_change_launches_it() {
    let mut world = world();
    world.state(Condition::ExternalPower, false);
    world.state(Condition::Charged, false);
    world.state(Condition::FullPower, false);
    world.submit(refresh(REFRESH)).unwrap();
    assert_eq!(world.reasons(REFRESH), ["low-battery", "power-saving"]);
    assert_eq!(change(&mut world, REFRESH), [Mend::Condition { condition: Condition::ExternalPower }]);
    world.state(Condition::ExternalPower, true);
    assert!(world.running(REFRESH).is_some());
}

#[test]
fn the_smallest_change_may_be_to_wait_for_the_latest_begin() {
    let mut world = world();
    world.state(Condition::Idle, false);
    world.state(Condition::ExternalPower, false);
    world.state(Condition::Charged, false);
    let latest = world.now().wall + seconds(900);
    world.submit(Request { latest_begin: Some(latest), ..processing(COUNT) }).unwrap();
    assert_eq!(change(&mut world, COUNT), [Mend::Wait { until: latest }]);
    world.clock.set_wall(latest);
    world.settle();
    assert!(world.running(COUNT).is_some());
}

#[test]
fn it_says_when_it_is_looked_at_again() {
    let mut world = world();
    let now = world.now().wall;
    let floor = Some(now + seconds(900));
    world.submit(Request { earliest_begin: floor, ..refresh(REFRESH) }).unwrap();
    assert_eq!(world.why(REFRESH).waiting[0].looked_at, floor);
    world.state(Condition::Idle, false);
    world.submit(processing(COUNT)).unwrap();
    let looked_at = world.why(COUNT).waiting[0].looked_at.unwrap();
    assert!(looked_at <= now + seconds(5), "{looked_at}");
    world.submit(Request { run_after: vec![id(COUNT)], ..processing(&more(1)) }).unwrap();
    world.state(Condition::Idle, true);
    assert_eq!(world.why(&more(1)).waiting[0].looked_at, None, "only what happens can change it");
}

#[test]
fn a_disabled_bundle_says_since_when_also_after_a_restart() {
    let mut world = world();
    let floor = Some(world.now().wall + seconds(900));
    world.submit(Request { earliest_begin: floor, ..refresh(REFRESH) }).unwrap();
    world.pass(seconds(10));
    let gallery = world.core.bundles()[&bundle_id(GALLERY)].clone();
    world.change(&gallery, false, false).unwrap();
    let disabled = world.now().wall;
    world.pass(seconds(10));
    let since = |world: &mut World| {
        let why = world.why(REFRESH);
        why.waiting[0].reasons.iter().find(|held| held.reason.code() == "bundle-disabled").unwrap().since
    };
    assert_eq!(since(&mut world), disabled);
    world.crash();
    world.settle();
    assert_eq!(since(&mut world), disabled);
}

#[test]
fn who_asks_what_the_machine_is_like_strands_nothing() {
    let mut world = world();
    world.machine.lacking.lock().unwrap().push(Condition::Idle);
    world.pass(seconds(60));
    world.submit(processing(COUNT)).unwrap();
    assert_eq!(world.reasons(COUNT), ["not-idle"]);
    world.machine.lacking.lock().unwrap().clear();
    world.call(|reply| Event::Conditions { reply }).unwrap();
    assert!(world.running(COUNT).is_some());
}

#[test]
fn many_reasons_are_explained_in_no_time() {
    let mut world = world();
    let run_after: Vec<Identifier> = (1..=16).map(|number| id(&more(number))).collect();
    world.submit(Request { run_after, ..processing(COUNT) }).unwrap();
    assert_eq!(change(&mut world, COUNT).len(), 16);
}

#[test]
fn what_stands_in_no_lane_is_looked_at_on_its_date() {
    let mut world = world();
    world.state(Condition::Idle, false);
    let floor = Some(world.now().wall + seconds(9_000));
    world.submit(Request { earliest_begin: floor, ..processing(COUNT) }).unwrap();
    assert_eq!(world.why(COUNT).waiting[0].looked_at, floor);
}

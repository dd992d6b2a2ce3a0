//! What is launched next.

use super::*;

fn lane_of(bundle: &str, kind: KindName) -> Lane {
    Lane {
        kind,
        bundle: bundle_id(bundle),
        needs: Needs::default(),
        protection: DataProtection::None,
        priority: Priority::Normal,
        urgent: false,
    }
}

fn entered(lanes: &[&Lane]) -> Lanes {
    let mut entered = Lanes::default();
    lanes.iter().for_each(|lane| entered.enter(now(), lane));
    entered
}

fn order(looks: Vec<Look>) -> Vec<(Vec<Lane>, usize)> {
    looks.into_iter().map(|look| (look.lanes, look.limit)).collect()
}

fn one(lane: &Lane, limit: usize) -> (Vec<Lane>, usize) {
    (vec![lane.clone()], limit)
}

#[test]
fn slots_are_shared_and_short_work_goes_first() {
    let long = lane_of("com.a", KindName::Processing);
    let short_a = lane_of("com.a", KindName::AppRefresh);
    let short_b = lane_of("com.b", KindName::AppRefresh);
    let mut lanes = entered(&[&long, &short_a, &short_b]);
    let running = |tasks| Scene::lacking(&[]).with(|it| it.running = crowd(tasks, KindName::HealthResearch));
    let looks = |lanes: &Lanes, scene: &Scene| order(lanes.looks(now(), scene.world()));
    assert_eq!(looks(&lanes, &running(0)), [one(&short_a, 2), one(&short_b, 2), one(&long, 2)]);
    assert_eq!(looks(&lanes, &running(3)), [one(&short_a, 1)], "one slot, one lane");
    assert_eq!(looks(&lanes, &running(4)), [], "no slot");
    let in_use = Scene::lacking(&[Condition::Idle]);
    assert_eq!(looks(&lanes, &in_use), [one(&short_a, 2), one(&short_b, 2)], "not idle");
    let closed = Scene::lacking(&[]).with(|it| {
        let gate = Gate { enabled: false, missing: vec![], changing: false, since: now().wall };
        it.closed.insert(bundle_id("com.a"), gate);
    });
    assert_eq!(looks(&lanes, &closed), [one(&short_b, 4)], "a closed bundle's lanes are passed by");
    lanes.serve(now(), &short_a);
    assert_eq!(looks(&lanes, &running(3)), [one(&short_b, 1)], "the other bundle's turn");
    lanes.serve(now(), &short_b);
    assert_eq!(looks(&lanes, &running(3)), [one(&short_a, 1)], "and back");
    lanes.leave(&short_b);
    assert_eq!(looks(&lanes, &running(0)).len(), 2);
}

#[test]
fn kinds_go_in_their_order_and_what_is_urgent_before_them() {
    let of = |kind| lane_of("com.a", kind);
    let urgent = Lane { urgent: true, ..of(KindName::Processing) };
    let kinds = [KindName::Processing, KindName::HealthResearch, KindName::AppRefresh, KindName::ContinuedProcessing];
    let all: Vec<Lane> = kinds.map(of).into_iter().chain([urgent.clone()]).collect();
    let lanes = entered(&all.iter().collect::<Vec<_>>());
    let scene = Scene::lacking(&[]).with(|it| it.policy.slots = 9);
    let served: Vec<Lane> = order(lanes.looks(now(), scene.world())).into_iter().flat_map(|(lanes, _)| lanes).collect();
    let expected =
        [KindName::ContinuedProcessing, KindName::AppRefresh, KindName::HealthResearch, KindName::Processing];
    assert_eq!(served, [vec![urgent], expected.map(of).to_vec()].concat());
}

#[test]
fn of_one_bundle_the_higher_priority_goes_first() {
    let of = |priority| Lane { priority, ..lane_of("com.a", KindName::AppRefresh) };
    let [low, normal, high] = [Priority::Low, Priority::Normal, Priority::High].map(of);
    let mut lanes = entered(&[&low, &normal, &high]);
    let looks = |lanes: &Lanes| order(lanes.looks(now(), Scene::lacking(&[]).world()));
    let together = vec![high.clone(), normal.clone(), low.clone()];
    assert_eq!(looks(&lanes), [(together, 4)], "they share their bundle's slots");
    let other = Lane { priority: Priority::Low, ..lane_of("com.b", KindName::AppRefresh) };
    lanes.enter(now(), &other);
    lanes.serve(now(), &high);
    assert_eq!(looks(&lanes)[0], (vec![other], 2), "no priority outranks another bundle's turn");
}

#[test]
fn what_was_passed_over_for_long_goes_first() {
    let low = Lane { priority: Priority::Low, ..lane_of("com.a", KindName::Processing) };
    let refresh = lane_of("com.a", KindName::AppRefresh);
    let mut lanes = entered(&[&low]);
    lanes.enter(later(1_799), &refresh);
    let scene = Scene::lacking(&[]);
    let first = |lanes: &Lanes, now| order(lanes.looks(now, scene.world()))[0].0[0].clone();
    assert_eq!(first(&lanes, later(1_799)), refresh);
    assert_eq!(first(&lanes, later(1_800)), low);
    lanes.serve(later(1_800), &low);
    assert_eq!(first(&lanes, later(1_801)), refresh);
}

#[test]
fn continued_work_starts_in_the_order_it_was_asked_for() {
    let [a, b, c] = ["com.a", "com.b", "com.c"].map(|bundle| lane_of(bundle, KindName::ContinuedProcessing));
    let mut lanes = entered(&[&b, &c, &a]);
    lanes.serve(now(), &b);
    let one_left = Scene::lacking(&[]).with(|it| it.running = crowd(1, KindName::ContinuedProcessing));
    assert_eq!(order(lanes.looks(now(), one_left.world()))[0], one(&c, 1));
    let full = Scene::lacking(&[]).with(|it| it.running = crowd(2, KindName::ContinuedProcessing));
    assert_eq!(order(lanes.looks(now(), full.world())), []);
}

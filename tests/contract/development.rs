//! Launch now, expire now: public where the original hides them in its debugger.

use super::*;

fn launch(world: &mut World, identifier: &str, force: bool) -> Result<TaskId, SchedulerError> {
    let identifier = id(identifier);
    world.call(|reply| Event::LaunchNow { identifier, force, reply })
}

#[test]
fn a_launch_needs_a_pending_request() {
    let mut world = world();
    let nothing = launch(&mut world, REFRESH, true);
    assert!(
        matches!(&nothing, Err(SchedulerError::Unknown(message)) if message.contains("idlewild submit")),
        "{nothing:?}"
    );
}

#[test]
fn a_launch_waits_for_no_date_and_no_wish_but_for_the_machine() {
    let mut world = world_with(|policy| policy.spacing = seconds(300));
    world.submit(processing(COUNT)).unwrap();
    world.end(COUNT, ok());
    world.state(Condition::ExternalPower, false);
    let floor = Some(world.now().wall + seconds(900));
    let wanted = Request { earliest_begin: floor, run_after: vec![id(&more(1))], ..needing(COUNT, true, false) };
    world.submit(wanted).unwrap();
    world.state(Condition::Network, false);
    let (number, message) = refusal(launch(&mut world, COUNT, false));
    assert!(number == 4 && message.contains("no network") && message.contains("--force"), "{message}");
    world.state(Condition::Network, true);
    let task = launch(&mut world, COUNT, false).unwrap();
    assert_eq!(world.running(COUNT), Some(task));
    world.state(Condition::Network, false);
    assert_eq!(world.expiring(COUNT), Some(ExpirationReason::ConditionsLost), "it is a task like any other");
    world.end(COUNT, ok());
    assert!(world.why(COUNT).waiting.is_empty(), "and its request is done");
}

#[test]
fn a_forced_launch_runs_whatever_the_machine_is_like() {
    let mut world = world();
    for condition in Condition::ALL {
        world.state(*condition, false);
    }
    world.submit(needing(COUNT, true, true)).unwrap();
    launch(&mut world, COUNT, true).unwrap();
    world.pass(seconds(60));
    assert_eq!(world.expiring(COUNT), None);
    assert!(world.jump(), "its time is limited all the same");
    assert_eq!(world.expiring(COUNT), Some(ExpirationReason::TimeLimit));
}

#[test]
fn no_launch_goes_round_the_room_the_gate_or_the_one_before() {
    let mut world = world();
    world.submit(refresh(REFRESH)).unwrap();
    world.submit(refresh(REFRESH)).unwrap();
    let (number, message) = refusal(launch(&mut world, REFRESH, true));
    assert!(number == 4 && message.contains("of the same identifier is not finished"), "{message}");
    for number in 1..=4 {
        world.submit(processing(&more(number))).unwrap();
    }
    let (number, message) = refusal(launch(&mut world, &more(4), true));
    assert!(number == 4 && message.contains("slots are taken"), "{message}");
    let gallery = world.core.bundles()[&bundle_id(GALLERY)].clone();
    world.change(&gallery, false, false).unwrap();
    world.end(&more(1), ok());
    let (number, message) = refusal(launch(&mut world, &more(4), true));
    assert!(number == 4 && message.contains("disabled"), "{message}");
}

#[test]
fn an_expiration_is_asked_for_with_its_reason() {
    let mut world = world();
    let expire = |world: &mut World, reason| {
        let identifier = id(REFRESH);
        world.call(|reply| Event::ExpireNow { identifier, reason, reply })
    };
    assert!(matches!(expire(&mut world, ExpirationReason::TimeLimit), Err(SchedulerError::Unknown(_))));
    world.submit(refresh(REFRESH)).unwrap();
    for reason in [ExpirationReason::NoProgress, ExpirationReason::Preempted] {
        assert_eq!(expire(&mut world, reason).unwrap(), 1);
        assert_eq!(world.expiring(REFRESH), Some(reason));
        world.end(REFRESH, ok());
        let returned = Some(Ok(b"done".to_vec()));
        assert_eq!(world.outcome(REFRESH), Outcome::Expired { reason, returned });
        world.submit(refresh(REFRESH)).unwrap();
    }
}

#[test]
fn what_was_launched_before_its_date_comes_back_without_it() {
    let mut world = world();
    let floor = Some(world.now().wall + seconds(9_000));
    world.submit(Request { earliest_begin: floor, ..refresh(REFRESH) }).unwrap();
    launch(&mut world, REFRESH, false).unwrap();
    world.crash();
    assert!(world.reasons(REFRESH).is_empty(), "the explanation says what the scheduler does");
    world.settle();
    assert_eq!(world.attempt(REFRESH), 2);
}

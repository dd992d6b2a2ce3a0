//! Schedules in a scheduler whose clock the test moves: changes of the clock and jumps of it, outages, crashes, full disks.

use std::{sync::Arc, time::Duration};

use idlewild::{
    bundle::Bundle,
    rules::*,
    scheduler::{Event, ScheduleGranted, ScheduleWish, SchedulerError},
    store::{Database as _, Statement},
};
use idlewild_tests::{World, bundle_asking, bundle_id, id};

use super::{COUNT, GALLERY, REFRESH, THIRD, ok, refresh, world, world_of};

const DAY: Duration = Duration::from_secs(86_400);
const HOUR: Duration = Duration::from_secs(3_600);

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A schedule in Berlin's time.
fn schedule(name: &str, identifier: &str, calendar: &str, missed: MissedRuns) -> Schedule {
    Schedule {
        name: ScheduleName::parse(name).unwrap(),
        identifier: id(identifier),
        kind: Kind::AppRefresh,
        calendar: Calendar::parse(calendar).unwrap(),
        zone: ZoneName::parse("Europe/Berlin").unwrap(),
        jitter: Duration::ZERO,
        missed,
        input: name.as_bytes().to_vec(),
        enabled: true,
    }
}

fn full(name: &str) -> ScheduleId {
    ScheduleId { bundle: bundle_id(GALLERY), name: ScheduleName::parse(name).unwrap() }
}

fn wish(world: &mut World, wish: ScheduleWish) -> Result<ScheduleGranted, SchedulerError> {
    world.call(|reply| Event::Schedule { wish, reply })
}

fn put(world: &mut World, schedule: Schedule) -> Result<ScheduleGranted, SchedulerError> {
    wish(world, ScheduleWish::Put { bundle: None, schedule: Box::new(schedule) })
}

fn switch(world: &mut World, name: &str, enabled: bool) -> ScheduleGranted {
    wish(world, ScheduleWish::Switch { id: full(name), enabled }).unwrap()
}

/// What became of a schedule since the last call.
fn news(world: &World, name: &str) -> Vec<ScheduleNews> {
    let mut told = world.told.lock().unwrap();
    let mut news = Vec::new();
    told.retain(|happening| match &happening.what {
        What::Schedule { schedule, news: what, .. } if schedule.as_str() == name => {
            news.push(what.clone());
            false
        }
        _ => true,
    });
    news
}

/// The occurrences that were submitted since the last call.
fn due(world: &World, name: &str) -> Vec<Timestamp> {
    let occurrence = |news| match news {
        ScheduleNews::Due { occurrence, .. } => Some(occurrence),
        _ => None,
    };
    news(world, name).into_iter().filter_map(occurrence).collect()
}

fn missed(from: &str, to: &str) -> ScheduleNews {
    ScheduleNews::Missed { from: at(from), to: at(to) }
}

fn times(texts: &[&str]) -> Vec<Timestamp> {
    texts.iter().map(|text| at(text)).collect()
}

/// Wakes when it is to be woken until a moment, and ends whatever runs.
fn live_until(world: &mut World, until: &str) {
    while world.core.next_wake_up().wall.is_some_and(|wall| wall <= at(until)) {
        world.jump();
        while let Some(task) = world.engine.tasks().first().copied() {
            let identifier = world.engine.running.lock().unwrap()[&task].launch.identifier.clone();
            world.end(identifier.as_str(), ok());
        }
    }
    let gap = at(until).duration_since(world.now().wall).unsigned_abs();
    world.clock.advance(gap);
    world.settle();
}

/// The gallery, with what else its manifest says.
fn gallery(identifiers: &[&str], schedules: &str) -> Arc<Bundle> {
    bundle_asking(GALLERY, identifiers, schedules)
}

fn declared(name: &str, identifier: &str, calendar: &str) -> String {
    format!("[[schedules]]\nname = \"{name}\"\nidentifier = \"{identifier}\"\ncalendar = \"{calendar}\"\n")
}

fn history(world: &mut World) -> Vec<(HistoryWord, String)> {
    let filter = HistoryFilter { identifier: None, bundle: None, before: None, limit: 10 };
    let entries = world.core.history(&filter).unwrap();
    entries.into_iter().map(|record| (record.entry.what, record.entry.detail.unwrap_or_default())).collect()
}

#[test]
fn an_occurrence_is_submitted_when_it_comes_and_nothing_wakes_the_host_before() {
    let mut world = world();
    put(&mut world, schedule("nightly", REFRESH, "30 2 * * *", MissedRuns::Skip)).unwrap();
    assert_eq!(news(&world, "nightly"), [ScheduleNews::Added]);
    assert_eq!(world.core.next_wake_up().wall, Some(at("2026-03-02T01:30:00Z")));
    assert_eq!(world.core.next_wake_up().uptime, None);
    world.clock.advance(12 * HOUR);
    world.settle();
    assert!(world.running(REFRESH).is_none());
    world.jump();
    let task = world.running(REFRESH).expect("submitted and launched in one step");
    assert_eq!(world.engine.running.lock().unwrap()[&task].launch.input, b"nightly");
    assert_eq!(due(&world, "nightly"), times(&["2026-03-02T01:30:00Z"]));
    world.end(REFRESH, ok());
    assert_eq!(world.core.next_wake_up().wall, Some(at("2026-03-03T01:30:00Z")));
}

#[test]
fn over_a_change_of_the_clock_every_day_has_its_run_and_no_day_two() {
    for (start, until, expected) in [
        (
            "2026-03-27T12:00:00Z",
            "2026-03-30T12:00:00Z",
            ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"],
        ),
        (
            "2026-10-23T12:00:00Z",
            "2026-10-26T12:00:00Z",
            ["2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"],
        ),
    ] {
        let mut world = world();
        world.clock.set_wall(at(start));
        world.settle();
        put(&mut world, schedule("nightly", REFRESH, "30 2 * * *", MissedRuns::All)).unwrap();
        put(&mut world, schedule("hourly", THIRD, "15 * * * *", MissedRuns::Skip)).unwrap();
        live_until(&mut world, until);
        assert_eq!(due(&world, "nightly"), times(&expected));
        assert_eq!(due(&world, "hourly").len(), 72, "an hour is an hour");
    }
}

#[test]
fn after_a_months_outage_none_the_last_or_as_many_as_allowed_run() {
    let mut world = world_of(Profile::Server);
    for (name, identifier, policy) in
        [("skip", REFRESH, MissedRuns::Skip), ("once", COUNT, MissedRuns::Once), ("all", THIRD, MissedRuns::All)]
    {
        put(&mut world, schedule(name, identifier, "0 6 * * *", policy)).unwrap();
        assert_eq!(news(&world, name), [ScheduleNews::Added]);
    }
    world.clock.advance(30 * DAY);
    world.crash();
    world.settle();
    let (first, last) = ("2026-03-02T05:00:00Z", "2026-03-31T04:00:00Z");
    assert_eq!(news(&world, "skip"), [missed(first, last)]);
    assert_eq!(world.running(REFRESH), None);
    let told = news(&world, "once");
    assert_eq!(told[0], missed(first, "2026-03-30T04:00:00Z"));
    assert!(matches!(told[1..], [ScheduleNews::Due { occurrence, .. }] if occurrence == at(last)), "{told:?}");
    world.end(COUNT, ok());
    assert_eq!(world.running(COUNT), None);
    let told = news(&world, "all");
    assert_eq!(told[0], missed(first, "2026-03-28T05:00:00Z"));
    let mut ran = Vec::new();
    while world.running(THIRD).is_some() {
        world.end(THIRD, ok());
        ran.push(());
    }
    assert_eq!(ran.len(), 3, "one after another, and each by itself");
    assert_eq!(due(&world, "all").len(), 1, "the last; the one before stood behind the first at once");
    let words: Vec<HistoryWord> = history(&mut world).into_iter().map(|(word, _)| word).collect();
    assert_eq!(words, [HistoryWord::ScheduleMissed; 3]);
    assert_eq!(world.core.next_wake_up().wall, Some(at("2026-04-01T04:00:00Z")));
}

#[test]
fn runs_that_are_each_wanted_do_not_take_each_others_place() {
    let mut world = world_of(Profile::Server);
    world.state(Condition::Idle, false);
    let long = Kind::Processing(Needs::default());
    put(&mut world, Schedule { kind: long.clone(), ..schedule("each", COUNT, "0 * * * *", MissedRuns::All) }).unwrap();
    put(&mut world, Schedule { kind: long, ..schedule("last", THIRD, "0 * * * *", MissedRuns::Skip) }).unwrap();
    live_until(&mut world, "2026-03-01T15:30:00Z");
    assert_eq!(due(&world, "last").len(), 3, "each took the place of the one before");
    assert_eq!(due(&world, "each"), times(&["2026-03-01T13:00:00Z"]), "the others wait for the first");
    assert_eq!(world.core.next_wake_up().wall, Some(at("2026-03-01T16:00:00Z")), "of the other; and not in vain");
    // Which of them wait survives the host.
    world.crash();
    world.settle();
    world.state(Condition::Idle, true);
    world.end(THIRD, ok());
    assert_eq!(world.running(THIRD), None);
    for run in 0..3 {
        assert!(world.running(COUNT).is_some(), "run {run}");
        world.end(COUNT, ok());
    }
    assert_eq!(world.running(COUNT), None);
    assert_eq!(due(&world, "each"), times(&["2026-03-01T14:00:00Z", "2026-03-01T15:00:00Z"]));
    // A person may cancel what waits; the next one then has its turn.
    world.state(Condition::Idle, false);
    live_until(&mut world, "2026-03-01T17:30:00Z");
    assert_eq!(due(&world, "each"), times(&["2026-03-01T16:00:00Z"]));
    assert_eq!(world.cancel(COUNT), 1);
    assert_eq!(due(&world, "each"), times(&["2026-03-01T17:00:00Z"]));
}

#[test]
fn a_crash_between_an_occurrence_and_its_commit_neither_loses_nor_doubles_it() {
    let mut world = world();
    put(&mut world, schedule("nightly", REFRESH, "30 2 * * *", MissedRuns::Skip)).unwrap();
    world.database.set_full(true);
    world.clock.set_wall(at("2026-03-02T01:30:00Z"));
    world.step();
    assert_eq!(due(&world, "nightly"), [], "nothing is told that is not durable");
    assert_eq!(world.running(REFRESH), None);
    world.database.set_full(false);
    world.crash();
    world.settle();
    assert_eq!(due(&world, "nightly"), times(&["2026-03-02T01:30:00Z"]));
    assert!(world.running(REFRESH).is_some());
    world.crash();
    world.settle();
    assert_eq!(due(&world, "nightly"), [], "what came back is the same request");
    assert!(world.running(REFRESH).is_some());
}

#[test]
fn on_a_full_disk_an_occurrence_waits_and_one_that_waited_too_long_is_missed() {
    let mut world = world();
    put(&mut world, schedule("often", REFRESH, "*/10 * * * *", MissedRuns::Skip)).unwrap();
    world.database.set_full(true);
    world.clock.set_wall(at("2026-03-01T12:10:00Z"));
    world.step();
    assert!(world.core.next_wake_up().wall.is_none() && world.core.next_wake_up().uptime.is_some(), "it tries again");
    world.clock.advance(Duration::from_secs(30));
    world.step();
    world.database.set_full(false);
    world.jump();
    assert_eq!(due(&world, "often"), times(&["2026-03-01T12:10:00Z"]));
    world.end(REFRESH, ok());
    world.database.set_full(true);
    world.clock.set_wall(at("2026-03-01T12:20:00Z"));
    world.step();
    world.clock.advance(Duration::from_secs(90));
    world.database.set_full(false);
    world.settle();
    assert_eq!(news(&world, "often"), [missed("2026-03-01T12:20:00Z", "2026-03-01T12:20:00Z")]);
}

#[test]
fn an_occurrence_that_is_refused_is_told_noted_and_followed_by_the_next() {
    let mut world = world();
    let floor = Some(world.now().wall + 10 * DAY);
    world.submit(Request { earliest_begin: floor, ..refresh(REFRESH) }).unwrap();
    put(&mut world, schedule("nightly", THIRD, "30 2 * * *", MissedRuns::Skip)).unwrap();
    news(&world, "nightly");
    live_until(&mut world, "2026-03-02T12:00:00Z");
    let told = news(&world, "nightly");
    assert!(
        matches!(&told[..], [ScheduleNews::Refused { occurrence, refusal }]
            if *occurrence == at("2026-03-02T01:30:00Z") && refusal.code == RefusalCode::TooManyPendingTaskRequests),
        "{told:?}"
    );
    let (word, detail) = history(&mut world).remove(0);
    assert_eq!(word, HistoryWord::ScheduleRefused);
    assert!(
        detail.starts_with("nightly at 2026-03-02T01:30:00Z: 1 app-refresh requests of this bundle are pending"),
        "{detail}"
    );
    world.cancel(REFRESH);
    live_until(&mut world, "2026-03-03T12:00:00Z");
    assert_eq!(due(&world, "nightly"), times(&["2026-03-03T01:30:00Z"]));
}

#[test]
fn what_comes_while_its_bundle_is_disabled_is_missed() {
    let mut world = world();
    let both = format!("{}{}", declared("once", REFRESH, "0 6 * * *"), "missed = \"once\"\n");
    let both = format!("{both}{}", declared("skip", THIRD, "0 6 * * *"));
    let gallery = gallery(&[REFRESH, THIRD], &both);
    world.install(&gallery);
    world.change(&gallery, false, false).unwrap();
    assert_eq!(world.core.next_wake_up().wall, None, "nothing of it comes");
    world.clock.advance(3 * DAY);
    world.crash();
    world.settle();
    assert_eq!((news(&world, "skip"), news(&world, "once")), (vec![], vec![]));
    world.change(&gallery, true, false).unwrap();
    assert_eq!(news(&world, "skip"), [missed("2026-03-02T06:00:00Z", "2026-03-04T06:00:00Z")]);
    world.end(REFRESH, ok());
    assert_eq!(due(&world, "once"), times(&["2026-03-04T06:00:00Z"]), "the last of them has run");
    // Of a schedule that was disabled itself, nothing was wanted.
    assert!(switch(&mut world, "skip", false).changed);
    assert!(!switch(&mut world, "skip", false).changed);
    world.clock.advance(3 * DAY);
    world.settle();
    assert!(switch(&mut world, "skip", true).changed);
    assert_eq!(news(&world, "skip"), [ScheduleNews::Disabled, ScheduleNews::Enabled]);
    // Both come at once, and the profile lets one request wait: the second does not wait for long.
    live_until(&mut world, "2026-03-08T07:00:00Z");
    assert_eq!(news(&world, "skip").len(), 1);
    assert!(matches!(world.outcome(THIRD), Outcome::Succeeded { .. }));
}

#[test]
fn a_new_version_brings_its_schedules_and_keeps_what_is_the_operators() {
    let mut world = world();
    let first = format!("{}{}", declared("nightly", REFRESH, "0 6 * * *"), declared("weekly", REFRESH, "0 7 * * MON"));
    world.install(&gallery(&[REFRESH, COUNT, THIRD], &first));
    switch(&mut world, "nightly", false);
    for (name, identifier) in [("mine", COUNT), ("gone", THIRD), ("taken", COUNT)] {
        put(&mut world, schedule(name, identifier, "0 8 * * *", MissedRuns::Skip)).unwrap();
    }
    let second = format!("{}{}", declared("nightly", REFRESH, "0 6 * * *"), declared("taken", REFRESH, "30 6 * * *"));
    world.install(&gallery(&[REFRESH, COUNT], &second));
    let removed = ScheduleNews::Removed { cause: CancelCause::BundleChanged };
    for name in ["weekly", "gone", "taken"] {
        assert_eq!(news(&world, name).last(), Some(&removed), "{name}");
    }
    let standing = world.core.schedules(None, None, 10).unwrap();
    let standing: Vec<_> = standing
        .iter()
        .map(|stored| (stored.schedule.name.as_str(), stored.origin, stored.schedule.enabled, stored.next_at))
        .collect();
    use ScheduleOrigin::{Manifest, Operator};
    assert_eq!(
        standing,
        [
            ("mine", Operator, true, Some(at("2026-03-02T07:00:00Z"))),
            ("nightly", Manifest, false, None),
            ("taken", Manifest, true, Some(at("2026-03-02T06:30:00Z"))),
        ],
        "what an operator disabled stays so"
    );
    let (reply, removal) = tokio::sync::oneshot::channel();
    world.send(Event::Uninstall { bundle: bundle_id(GALLERY), keep_data: true, reply });
    world.settle();
    drop(removal);
    assert_eq!(news(&world, "mine").last(), Some(&ScheduleNews::Removed { cause: CancelCause::BundleRemoved }));
    assert_eq!((world.core.schedules(None, None, 10).unwrap(), world.core.next_wake_up().wall), (vec![], None));
}

#[test]
fn an_upgrade_misses_no_occurrence_and_runs_none_twice() {
    let mut world = world();
    let nightly = declared("nightly", REFRESH, "0 * * * *");
    world.install(&gallery(&[REFRESH], &nightly));
    world.clock.set_wall(at("2026-03-01T13:00:00Z"));
    // The occurrence has come, and is looked at in the same step as the upgrade.
    world.install(&gallery(&[REFRESH, COUNT], &nightly));
    assert_eq!(due(&world, "nightly"), times(&["2026-03-01T13:00:00Z"]));
    world.install(&gallery(&[REFRESH, THIRD], &nightly));
    assert_eq!(due(&world, "nightly"), []);
    // One that comes while the bundle is being changed waits until that is settled, and wakes nobody in vain.
    world.end(REFRESH, ok());
    let next = gallery(&[REFRESH], &nightly);
    world.stage(&next);
    world.clock.set_wall(at("2026-03-01T14:00:00Z"));
    world.settle();
    assert_eq!((due(&world, "nightly"), world.core.next_wake_up().wall), (vec![], None));
    world.send(Event::Abandon);
    world.settle();
    assert_eq!(due(&world, "nightly"), times(&["2026-03-01T14:00:00Z"]));
}

#[test]
fn a_clock_that_is_set_makes_no_occurrence_run_twice_and_silences_none_for_long() {
    let mut world = world();
    put(&mut world, schedule("hourly", REFRESH, "30 * * * *", MissedRuns::Skip)).unwrap();
    live_until(&mut world, "2026-03-01T12:40:00Z");
    assert_eq!(due(&world, "hourly"), times(&["2026-03-01T12:30:00Z"]));
    // Back by an hour: what was seen is not seen again.
    world.clock.set_wall(at("2026-03-01T11:40:00Z"));
    world.settle();
    live_until(&mut world, "2026-03-01T13:40:00Z");
    assert_eq!(due(&world, "hourly"), times(&["2026-03-01T13:30:00Z"]));
    // Forward by an hour, and by a month.
    world.clock.set_wall(at("2026-03-01T14:40:00Z"));
    world.settle();
    assert_eq!(news(&world, "hourly"), [missed("2026-03-01T14:30:00Z", "2026-03-01T14:30:00Z")]);
    world.clock.set_wall(at("2026-04-01T14:40:00Z"));
    world.settle();
    assert_eq!(news(&world, "hourly"), [missed("2026-03-01T15:30:00Z", "2026-04-01T14:30:00Z")]);
    // The month had been a mistake, and the host is told so while it runs, or finds it so when it starts.
    world.clock.set_wall(at("2026-03-01T14:50:00Z"));
    world.settle();
    assert_eq!(news(&world, "hourly"), [ScheduleNews::Restarted { from: at("2026-04-01T14:30:00Z") }]);
    live_until(&mut world, "2026-03-01T15:40:00Z");
    assert_eq!(due(&world, "hourly"), times(&["2026-03-01T15:30:00Z"]));
    world.clock.set_wall(at("2036-01-01T00:00:00Z"));
    world.settle();
    world.clock.set_wall(at("2026-03-01T15:50:00Z"));
    world.crash();
    world.settle();
    live_until(&mut world, "2026-03-01T16:40:00Z");
    assert_eq!(due(&world, "hourly"), times(&["2026-03-01T16:30:00Z"]));
}

#[test]
fn jitter_is_the_requests_floor() {
    let mut world = world();
    let jittered =
        Schedule { jitter: Duration::from_secs(600), ..schedule("nightly", REFRESH, "30 2 * * *", MissedRuns::Skip) };
    let begins = jittered.begins(&bundle_id(GALLERY), at("2026-03-02T01:30:00Z"));
    put(&mut world, jittered).unwrap();
    world.jump();
    assert_eq!(world.reasons(REFRESH), ["earliest-begin"]);
    assert_eq!(world.core.next_wake_up().wall, Some(begins));
    world.jump();
    assert!(world.running(REFRESH).is_some());
}

#[test]
fn an_operator_makes_changes_and_removes_schedules_but_not_a_manifests() {
    let mut world = world();
    world.install(&gallery(&[REFRESH, COUNT], &declared("nightly", REFRESH, "0 6 * * *")));
    let mine = schedule("mine", COUNT, "0 8 * * *", MissedRuns::Skip);
    let granted = |changed, replaced| ScheduleGranted { id: full("mine"), changed, replaced };
    assert_eq!(put(&mut world, mine.clone()), Ok(granted(true, false)));
    assert_eq!(put(&mut world, mine.clone()), Ok(granted(false, false)));
    assert_eq!(put(&mut world, Schedule { missed: MissedRuns::Once, ..mine.clone() }), Ok(granted(true, true)));
    let refused = |answer: Result<ScheduleGranted, SchedulerError>, message: &str| {
        let error = answer.unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    };
    refused(
        put(&mut world, schedule("nightly", COUNT, "0 8 * * *", MissedRuns::Skip)),
        "the manifest of com.example.gallery declares a schedule nightly: choose another name",
    );
    refused(
        wish(&mut world, ScheduleWish::Remove { id: full("nightly") }),
        "`idlewild schedule disable com.example.gallery:nightly`",
    );
    refused(
        wish(&mut world, ScheduleWish::Remove { id: full("other") }),
        "there is no schedule com.example.gallery:other",
    );
    refused(put(&mut world, schedule("other", THIRD, "0 8 * * *", MissedRuns::Skip)), "no installed bundle permits");
    for number in 0..98 {
        put(&mut world, Schedule { name: ScheduleName::parse(&format!("n{number}")).unwrap(), ..mine.clone() })
            .unwrap();
    }
    refused(
        put(&mut world, schedule("one-more", COUNT, "0 8 * * *", MissedRuns::Skip)),
        "has 100 schedules, and no more are allowed",
    );
    wish(&mut world, ScheduleWish::Remove { id: full("mine") }).unwrap();
    assert_eq!(news(&world, "mine").last(), Some(&ScheduleNews::Removed { cause: CancelCause::Person }));
    put(&mut world, schedule("one-more", COUNT, "0 8 * * *", MissedRuns::Skip)).unwrap();
}

#[test]
fn what_is_asked_of_schedules_in_one_step_adds_up() {
    let mut world = world();
    let answers: Vec<_> = [("a", COUNT), ("b", REFRESH)]
        .into_iter()
        .map(|(name, identifier)| {
            let (reply, answer) = tokio::sync::oneshot::channel();
            let schedule = Box::new(schedule(name, identifier, "0 8 * * *", MissedRuns::Skip));
            world.send(Event::Schedule { wish: ScheduleWish::Put { bundle: None, schedule }, reply });
            answer
        })
        .collect();
    let (reply, _switched) = tokio::sync::oneshot::channel();
    world.send(Event::Schedule { wish: ScheduleWish::Switch { id: full("b"), enabled: false }, reply });
    world.install(&gallery(&[COUNT], ""));
    drop(answers);
    let standing = world.core.schedules(None, None, 10).unwrap();
    assert_eq!(standing.iter().map(|stored| stored.schedule.name.as_str()).collect::<Vec<_>>(), ["a"]);
    assert_eq!(
        news(&world, "b"),
        [ScheduleNews::Added, ScheduleNews::Disabled, ScheduleNews::Removed { cause: CancelCause::BundleChanged }]
    );
}

#[test]
fn a_zone_that_this_machine_does_not_know_stops_a_schedule_until_it_does() {
    let mut world = world();
    put(&mut world, schedule("nightly", REFRESH, "0 8 * * *", MissedRuns::Once)).unwrap();
    news(&world, "nightly");
    let rename = |world: &mut World, sql| {
        world.database.commit(&[Statement { sql, values: Vec::new(), guard: Some(1) }]).unwrap();
    };
    rename(&mut world, "UPDATE schedule SET zone = 'Europe/Berln'");
    world.jump();
    let message = "this machine knows no time zone Europe/Berln; did you mean Europe/Berlin?".to_owned();
    assert_eq!(history(&mut world)[0], (HistoryWord::ScheduleStopped, format!("nightly: {message}")));
    assert_eq!(news(&world, "nightly"), [ScheduleNews::Stopped { message }]);
    assert_eq!((world.running(REFRESH), world.core.next_wake_up().wall), (None, None));
    rename(&mut world, "UPDATE schedule SET zone = 'Europe/Berlin'");
    world.clock.advance(DAY);
    world.crash();
    world.settle();
    assert_eq!(due(&world, "nightly"), times(&["2026-03-03T07:00:00Z"]));
    assert!(world.running(REFRESH).is_some());
}

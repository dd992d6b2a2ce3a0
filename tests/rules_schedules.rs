//! The rules of schedules, case by case: what an expression means, over changes of the clock and jumps of it, and what is due.
#![allow(clippy::unwrap_used, clippy::type_complexity)]

use std::time::Duration;

use idlewild::{
    rules::*,
    zones::{self, Zone},
};
use idlewild_tests::{bundle_id, id, policy};

const BERLIN: &str = "Europe/Berlin";

fn zone(name: &str) -> Zone {
    zones::find(&ZoneName::parse(name).unwrap()).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn calendar(text: &str) -> Calendar {
    Calendar::parse(text).unwrap_or_else(|error| panic!("{error}"))
}

/// What comes after a moment, as many as `count`.
fn next(text: &str, zone_name: &str, after: &str, count: usize) -> Vec<Timestamp> {
    let (calendar, zone) = (calendar(text), zone(zone_name));
    let following = |after: &Timestamp| calendar.next(*after, &zone.time_zone);
    std::iter::successors(following(&at(after)), following).take(count).collect()
}

/// The same backwards, oldest first.
fn last(text: &str, zone_name: &str, until: &str, count: usize) -> Vec<Timestamp> {
    let (calendar, zone) = (calendar(text), zone(zone_name));
    let preceding = |at: &Timestamp| calendar.last(*at - Duration::from_nanos(1), &zone.time_zone);
    let mut found: Vec<_> =
        std::iter::successors(calendar.last(at(until), &zone.time_zone), preceding).take(count).collect();
    found.reverse();
    found
}

fn times(texts: &[&str]) -> Vec<Timestamp> {
    texts.iter().map(|text| at(text)).collect()
}

#[test]
fn an_expression_means_what_a_crontab_says() {
    let cases: [(&str, &str, &[&str]); 18] = [
        ("* * * * *", "2026-03-01T12:00:30Z", &["2026-03-01T12:01:00Z", "2026-03-01T12:02:00Z"]),
        ("* * * * *", "2026-03-01T12:00:00Z", &["2026-03-01T12:01:00Z"]),
        ("* * * * *", "2026-03-01T12:00:59.999Z", &["2026-03-01T12:01:00Z"]),
        ("*/15 * * * *", "2026-03-01T12:50:00Z", &["2026-03-01T13:00:00Z", "2026-03-01T13:15:00Z"]),
        ("5-59/15 * * * *", "2026-03-01T12:00:00Z", &["2026-03-01T12:05:00Z", "2026-03-01T12:20:00Z"]),
        ("30 2 * * *", "2026-03-01T02:30:00Z", &["2026-03-02T02:30:00Z", "2026-03-03T02:30:00Z"]),
        ("0 9,17 * * MON-FRI", "2026-02-27T12:00:00Z", &["2026-02-27T17:00:00Z", "2026-03-02T09:00:00Z"]),
        ("0 0 1 JAN *", "2026-03-01T00:00:00Z", &["2027-01-01T00:00:00Z"]),
        ("0 0 L * *", "2026-11-30T12:00:00Z", &["2026-12-31T00:00:00Z", "2027-01-31T00:00:00Z"]),
        ("0 0 15W * *", "2026-08-01T00:00:00Z", &["2026-08-14T00:00:00Z"]),
        ("0 0 * * FRI#2", "2026-03-01T00:00:00Z", &["2026-03-13T00:00:00Z", "2026-04-10T00:00:00Z"]),
        ("0 0 * * FRI#L", "2026-03-01T00:00:00Z", &["2026-03-27T00:00:00Z"]),
        // Both days are restricted: either suits.
        ("0 0 13 * FRI", "2026-03-01T00:00:00Z", &["2026-03-06T00:00:00Z", "2026-03-13T00:00:00Z"]),
        ("0 0 * * 7", "2026-03-02T00:00:00Z", &["2026-03-08T00:00:00Z"]),
        ("@daily", "2026-03-01T12:00:00Z", &["2026-03-02T00:00:00Z"]),
        // Leap days, and a century that has none.
        ("0 0 29 2 *", "2026-03-01T00:00:00Z", &["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]),
        ("0 0 29 2 *", "2096-03-01T00:00:00Z", &["2104-02-29T00:00:00Z"]),
        ("0 0 31 * *", "2026-03-01T00:00:00Z", &["2026-03-31T00:00:00Z", "2026-05-31T00:00:00Z"]),
    ];
    for (text, after, expected) in cases {
        assert_eq!(next(text, "UTC", after, expected.len()), times(expected), "{text} after {after}");
    }
}

#[test]
fn a_zone_says_which_moment_that_is() {
    let cases = [
        ("30 2 * * *", "UTC", "2026-07-01T02:30:00Z"),
        ("30 2 * * *", BERLIN, "2026-07-01T00:30:00Z"),
        ("30 2 * * *", "America/New_York", "2026-07-01T06:30:00Z"),
        ("30 2 * * *", "Asia/Kathmandu", "2026-07-01T20:45:00Z"),
        ("0 0 * * *", "Pacific/Kiritimati", "2026-07-01T10:00:00Z"),
    ];
    for (text, zone, expected) in cases {
        assert_eq!(next(text, zone, "2026-07-01T00:00:00Z", 1), times(&[expected]), "{text} {zone}");
    }
}

/// Berlin's clock goes from 02:00 to 03:00 at 01:00Z on 29 March 2026, and back from 03:00 to 02:00 at 01:00Z on 25 October.
#[test]
fn an_hour_that_is_skipped_or_comes_twice_loses_and_doubles_nothing() {
    let forward: [(&str, &[&str]); 9] = [
        // A time that the clock skips comes when it has skipped it, and once.
        ("30 2 * * *", &["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]),
        ("0 2 * * *", &["2026-03-28T01:00:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"]),
        ("15,45 2 * * *", &["2026-03-28T01:45:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:15:00Z"]),
        ("* 2 29 3 *", &["2025-03-29T01:59:00Z", "2026-03-29T01:00:00Z", "2027-03-29T00:00:00Z"]),
        ("0 2,3 * * *", &["2026-03-28T02:00:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"]),
        ("0 1 * * *", &["2026-03-29T00:00:00Z", "2026-03-29T23:00:00Z"]),
        ("30 */2 * * *", &["2026-03-28T23:30:00Z", "2026-03-29T01:00:00Z", "2026-03-29T02:30:00Z"]),
        // One that names no hours goes on by the time that passes.
        ("30 * * * *", &["2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z", "2026-03-29T02:30:00Z"]),
        ("0 0-23 * * *", &["2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z"]),
    ];
    let back: [(&str, &[&str]); 8] = [
        // A time that comes twice runs the first time.
        ("30 2 * * *", &["2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]),
        ("0 2 * * *", &["2026-10-24T00:00:00Z", "2026-10-25T00:00:00Z", "2026-10-26T01:00:00Z"]),
        ("0 3 * * *", &["2026-10-24T01:00:00Z", "2026-10-25T02:00:00Z", "2026-10-26T02:00:00Z"]),
        ("15,45 2 * * *", &["2026-10-25T00:15:00Z", "2026-10-25T00:45:00Z", "2026-10-26T01:15:00Z"]),
        ("59 2 * * *", &["2026-10-25T00:59:00Z", "2026-10-26T01:59:00Z"]),
        ("30 */2 * * *", &["2026-10-24T22:30:00Z", "2026-10-25T00:30:00Z", "2026-10-25T03:30:00Z"]),
        // One that names no hours goes on by the time that passes.
        ("30 * * * *", &["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"]),
        ("*/30 * * * *", &["2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z"]),
    ];
    for (text, expected) in forward.into_iter().chain(back) {
        let expected = times(expected);
        let before = (expected[0] - Duration::from_secs(1)).to_string();
        assert_eq!(next(text, BERLIN, &before, expected.len()), expected, "{text}");
        let after = expected.last().unwrap().to_string();
        assert_eq!(last(text, BERLIN, &after, expected.len()), expected, "{text} backwards");
    }
    // Asked in the middle of it: before the clock goes back, and in the hour that comes again.
    assert_eq!(next("30 2 * * *", BERLIN, "2026-10-25T00:45:00Z", 1), times(&["2026-10-26T01:30:00Z"]));
    assert_eq!(next("30 2 * * *", BERLIN, "2026-10-25T01:15:00Z", 1), times(&["2026-10-26T01:30:00Z"]));
    assert_eq!(last("30 2 * * *", BERLIN, "2026-10-25T01:45:00Z", 1), times(&["2026-10-25T00:30:00Z"]));
    // A day that is skipped altogether, as on Samoa in 2011.
    assert_eq!(
        next("0 12 * * *", "Pacific/Apia", "2011-12-29T00:00:00Z", 3),
        times(&["2011-12-29T22:00:00Z", "2011-12-30T10:00:00Z", "2011-12-30T22:00:00Z"])
    );
}

#[test]
fn forwards_and_backwards_agree_in_every_zone() {
    let expressions =
        ["30 2 * * *", "*/7 * * * *", "0 */3 * * *", "0 0 L * *", "59 23 * * 0", "* 1-3 * * *", "17 2 29 2 *"];
    let zones = [BERLIN, "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Tehran", "UTC"];
    for zone_name in zones {
        let zone = zone(zone_name).time_zone;
        for text in expressions {
            let calendar = calendar(text);
            for start in
                ["2024-02-27T23:59:00Z", "2026-03-28T23:00:00Z", "2026-10-24T22:00:00Z", "2026-04-03T00:00:00Z"]
            {
                let mut before = at(start);
                for _ in 0..200 {
                    let occurrence = calendar.next(before, &zone).unwrap();
                    assert!(occurrence > before, "{text} {zone_name} after {before}: {occurrence}");
                    for until in [occurrence, occurrence + Duration::from_secs(1)] {
                        assert_eq!(calendar.last(until, &zone), Some(occurrence), "{text} {zone_name} until {until}");
                    }
                    let just_before = calendar.last(occurrence - Duration::from_secs(1), &zone).unwrap();
                    assert!(
                        just_before <= before,
                        "{text} {zone_name}: {just_before} lies between {before} and {occurrence}"
                    );
                    before = occurrence;
                }
            }
        }
    }
}

#[test]
fn what_is_no_expression_is_answered_with_the_part_and_what_may_stand_there() {
    let hours = "0 to 23, as in `2`, `9,17`, `8-18` or `*/6`";
    let cases = [
        (
            "0 25 * * *",
            format!("`0 25 * * *` is no calendar expression: its hours are `25`, and may be `*` or {hours}"),
        ),
        (
            "0 22-2 * * *",
            format!("`0 22-2 * * *` is no calendar expression: its hours are `22-2`, and may be `*` or {hours}"),
        ),
        (
            "0 */30 * * *",
            format!("`0 */30 * * *` is no calendar expression: its hours are `*/30`, and may be `*` or {hours}"),
        ),
        ("60 * * * *", "its minutes are `60`, and may be `*` or 0 to 59".to_owned()),
        ("1,, * * * *", "its minutes are `1,,`".to_owned()),
        ("5/15 * * * *", "its minutes are `5/15`".to_owned()),
        ("*/0 * * * *", "its minutes are `*/0`".to_owned()),
        ("0 0 32 * *", "its days of the month are `32`, and may be `*` or 1 to 31".to_owned()),
        ("0 0 * 13 *", "its months are `13`, and may be `*` or 1 to 12".to_owned()),
        ("0 0 * * MOX", "its days of the week are `MOX`, and may be `*` or 0 to 7".to_owned()),
        ("0 0 30 2 *", "it means no day of any year".to_owned()),
        ("0 0 31 4,6,9,11 *", "it means no day of any year".to_owned()),
        (
            "* * * *",
            "it has 4 parts, and needs five: minutes, hours, days of the month, months, days of the week".to_owned(),
        ),
        ("0 * * * * *", "it has 6 parts, and needs five".to_owned()),
        ("", "it has 0 parts".to_owned()),
        ("nightly", "it has one part".to_owned()),
        ("@reboot", "the words that stand for one are @hourly, @daily".to_owned()),
        ("é * * * *", "its minutes are `é`".to_owned()),
    ];
    for (text, message) in cases {
        let error = Calendar::parse(text).unwrap_err().to_string();
        assert!(error.contains(&message), "{text}: {error}");
    }
    let long = format!("{} * * * *", "1,".repeat(200));
    assert!(Calendar::parse(&long).unwrap_err().to_string().ends_with("it is longer than 256 bytes"));
}

#[test]
fn names_are_checked_and_come_back() {
    let full = ScheduleId::parse("com.example.gallery:nightly-2").unwrap();
    assert_eq!(full.to_string(), "com.example.gallery:nightly-2");
    for (text, message) in [
        ("nightly", "write its bundle's id, a colon and its name, such as com.example.gallery:nightly"),
        ("com.example.gallery:Nightly", "lower-case letters, digits and hyphens"),
        ("com.example.gallery:", "lower-case letters, digits and hyphens"),
        ("gallery:nightly", "is not a reverse-DNS name"),
    ] {
        let error = ScheduleId::parse(text).unwrap_err();
        assert!(error.contains(message), "{text}: {error}");
    }
    for name in ["../../etc/passwd", "", "Europe Berlin"] {
        assert!(ZoneName::parse(name).unwrap_err().contains("is no name of a time zone"), "{name}");
    }
    assert_eq!(parse_jitter("1h30m"), Ok(Duration::from_secs(5_400)));
    for text in ["10", "soon", "-5m", "1 month"] {
        assert!(parse_jitter(text).unwrap_err().contains("is not a length of time"), "{text}");
    }
}

fn schedule(text: &str, missed: MissedRuns) -> Schedule {
    Schedule {
        name: ScheduleName::parse("nightly").unwrap(),
        identifier: id("com.example.gallery.refresh"),
        kind: Kind::AppRefresh,
        calendar: calendar(text),
        zone: ZoneName::parse(BERLIN).unwrap(),
        jitter: Duration::ZERO,
        missed,
        input: Vec::new(),
        enabled: true,
    }
}

#[test]
fn what_is_due_follows_from_what_was_seen_and_what_becomes_of_the_missed() {
    use MissedRuns::{All, Once, Skip};
    let daily = "0 12 * * *";
    let seen = "2026-03-01T11:00:00Z";
    // (policy, now, what runs, what was missed); three runs are the most that `all` makes good, a minute is the most for being on time.
    let cases: [(MissedRuns, &str, &[&str], Option<(&str, &str)>); 14] = [
        // Nothing has come.
        (Skip, "2026-03-02T10:59:59Z", &[], None),
        // On time, to the last moment of it.
        (Skip, "2026-03-02T11:00:00Z", &["2026-03-02T11:00:00Z"], None),
        (Skip, "2026-03-02T11:01:00Z", &["2026-03-02T11:00:00Z"], None),
        (Skip, "2026-03-02T11:01:01Z", &[], Some(("2026-03-02T11:00:00Z", "2026-03-02T11:00:00Z"))),
        (Once, "2026-03-02T11:01:01Z", &["2026-03-02T11:00:00Z"], None),
        (All, "2026-03-02T11:01:01Z", &["2026-03-02T11:00:00Z"], None),
        // The clock was set forward by an hour: that is as late as being down for one.
        (Skip, "2026-03-02T12:00:00Z", &[], Some(("2026-03-02T11:00:00Z", "2026-03-02T11:00:00Z"))),
        // By a month, or a month's outage; over the change of the clock on 29 March.
        (
            Skip,
            "2026-03-31T10:00:30Z",
            &["2026-03-31T10:00:00Z"],
            Some(("2026-03-02T11:00:00Z", "2026-03-30T10:00:00Z")),
        ),
        (Skip, "2026-03-31T12:00:00Z", &[], Some(("2026-03-02T11:00:00Z", "2026-03-31T10:00:00Z"))),
        (
            Once,
            "2026-03-31T12:00:00Z",
            &["2026-03-31T10:00:00Z"],
            Some(("2026-03-02T11:00:00Z", "2026-03-30T10:00:00Z")),
        ),
        (
            All,
            "2026-03-31T12:00:00Z",
            &["2026-03-29T10:00:00Z", "2026-03-30T10:00:00Z", "2026-03-31T10:00:00Z"],
            Some(("2026-03-02T11:00:00Z", "2026-03-28T11:00:00Z")),
        ),
        (All, "2026-03-04T11:00:00Z", &["2026-03-02T11:00:00Z", "2026-03-03T11:00:00Z", "2026-03-04T11:00:00Z"], None),
        // The clock was set back: what was seen is not seen again.
        (All, "2026-03-01T11:00:00Z", &[], None),
        (All, "2025-01-01T00:00:00Z", &[], None),
    ];
    let policy = SchedulePolicy {
        schedules: 10,
        missed_runs: 3,
        missed_after: Duration::from_secs(60),
        clock_set_back: Duration::from_secs(86_400),
    };
    for (missed, wall, run, over) in cases {
        let now = Now { wall: at(wall), uptime: Duration::ZERO };
        let due = schedule(daily, missed).due(now, &policy, &zone(BERLIN).time_zone, at(seen));
        let expected = Due { run: times(run), missed: over.map(|(from, to)| (at(from), at(to))) };
        assert_eq!(due, expected, "{missed} at {wall}");
    }
}

#[test]
fn a_year_of_minutes_that_were_missed_costs_no_more_than_one() {
    let policy = SchedulePolicy {
        schedules: 10,
        missed_runs: 2,
        missed_after: Duration::from_secs(60),
        clock_set_back: Duration::from_secs(86_400),
    };
    let now = Now { wall: at("2036-03-01T00:00:30Z"), uptime: Duration::ZERO };
    let due =
        schedule("* * * * *", MissedRuns::All).due(now, &policy, &zone(BERLIN).time_zone, at("2026-03-01T00:00:00Z"));
    assert_eq!(due.run, times(&["2036-02-29T23:59:00Z", "2036-03-01T00:00:00Z"]));
    assert_eq!(due.missed, Some((at("2026-03-01T00:01:00Z"), at("2036-02-29T23:58:00Z"))));
}

#[test]
fn the_same_occurrence_begins_at_the_same_moment_and_others_at_others() {
    let jittered = Schedule { jitter: Duration::from_secs(600), ..schedule("0 2 * * *", MissedRuns::Skip) };
    let gallery = bundle_id("com.example.gallery");
    let occurrence = at("2026-03-01T02:00:00Z");
    let begins = jittered.begins(&gallery, occurrence);
    assert_eq!(begins, at("2026-03-01T02:06:29.837Z"), "whatever the version: it is a promise");
    assert_eq!(jittered.request(&gallery, occurrence).earliest_begin, Some(begins));
    let delays = |begins: &dyn Fn(i32) -> Timestamp| {
        let delays: std::collections::BTreeSet<_> =
            (0..100).map(|number| begins(number).as_millisecond().rem_euclid(3_600_000)).collect();
        assert!(delays.iter().all(|delay| (0..=600_000).contains(delay)), "{delays:?}");
        delays.len()
    };
    let of_days =
        delays(&|day| jittered.begins(&gallery, occurrence + Duration::from_secs(86_400) * day.unsigned_abs()));
    let of_bundles = delays(&|number| jittered.begins(&bundle_id(&format!("com.example.b{number}")), occurrence));
    assert!(of_days > 95 && of_bundles > 95, "{of_days} {of_bundles}");
    assert_eq!(
        schedule("0 2 * * *", MissedRuns::Skip).begins(&gallery, occurrence),
        occurrence,
        "without jitter there is none"
    );
}

#[test]
fn what_a_bundle_may_not_ask_for_it_may_not_schedule() {
    let permits = permits_of(&[BackgroundMode::Fetch], &[Pattern::parse("com.example.gallery.refresh").unwrap()]);
    let nightly = schedule("0 2 * * *", MissedRuns::Skip);
    let cases = [
        (nightly.clone(), None),
        (
            Schedule { identifier: id("com.example.gallery.other"), ..nightly.clone() },
            Some("schedule nightly: com.example.gallery.other is not among the bundle's permitted-identifiers"),
        ),
        (
            Schedule { kind: Kind::Processing(Needs::default()), ..nightly.clone() },
            Some("schedule nightly: processing needs `processing` among the bundle's background-modes"),
        ),
        (
            Schedule { input: vec![0; 65_537], ..nightly.clone() },
            Some("schedule nightly: the input has 65537 bytes, and 65536 are allowed"),
        ),
        (Schedule { jitter: Duration::from_secs(86_399), ..nightly.clone() }, None),
        (
            Schedule { jitter: Duration::from_secs(600), ..schedule("*/5 * * * *", MissedRuns::Skip) },
            Some("the jitter of schedule nightly is 10m, and its runs can be only 5m apart"),
        ),
    ];
    for (schedule, message) in cases {
        let checked = schedule.check(&policy(Profile::Device), &permits).map_err(|refusal| refusal.message);
        match message {
            None => assert_eq!(checked, Ok(())),
            Some(message) => assert!(checked.as_ref().unwrap_err().contains(message), "{checked:?}"),
        }
    }
}

//! When a calendar expression comes true, in a time zone: the five parts of a crontab's line, with what becomes of an hour that
//! the clock skips or goes through twice. The zone is an argument: looking one up is no rule.

use std::fmt;

use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use jiff::{
    SignedDuration, ToSpan,
    civil::{Date, DateTime},
    tz::{Offset, TimeZone},
};

use super::words::Timestamp;

/// The longest expression, in bytes.
pub const CALENDAR_LIMIT: usize = 256;

/// A calendar expression, such as `30 2 * * *`.
#[derive(Clone, PartialEq, Eq)]
pub struct Calendar {
    text: String,
    cron: Cron,
    /// Whether it names no hours, and so goes by the time that passes rather than by the hands of the clock.
    every_hour: bool,
}

/// What is wrong with a calendar expression, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no calendar expression: {fault}")]
pub struct CalendarError {
    pub text: String,
    pub fault: String,
}

/// One of the five parts.
struct Part {
    name: &'static str,
    /// The largest number that may stand behind a slash.
    span: u32,
    form: &'static str,
}

const PARTS: [Part; 5] = [
    Part { name: "minutes", span: 59, form: "0 to 59, as in `30`, `0,20,40`, `0-30` or `*/15`" },
    Part { name: "hours", span: 23, form: "0 to 23, as in `2`, `9,17`, `8-18` or `*/6`" },
    Part { name: "days of the month", span: 31, form: "1 to 31, as in `1`, `1,15`, `1-7`, `L` for the last or `15W`" },
    Part { name: "months", span: 12, form: "1 to 12 or JAN to DEC, as in `6`, `JAN,JUL`, `3-5` or `*/3`" },
    Part { name: "days of the week", span: 7, form: "0 to 7 or SUN to SAT, as in `MON`, `1-5`, `FRI#2` or `FRI#L`" },
];

/// Words that stand for a whole expression.
const WORDS: [&str; 6] = ["@hourly", "@daily", "@weekly", "@monthly", "@yearly", "@annually"];

impl Calendar {
    /// Errors: which part is wrong and what may stand there; or that no day is ever meant.
    pub fn parse(text: &str) -> Result<Calendar, CalendarError> {
        let parts: Vec<&str> = text.split_whitespace().collect();
        let joined = parts.join(" ");
        let fault = |fault: String| CalendarError { text: text.chars().take(CALENDAR_LIMIT).collect(), fault };
        if text.len() > CALENDAR_LIMIT {
            return Err(fault(format!("it is longer than {CALENDAR_LIMIT} bytes")));
        }
        match parts.as_slice() {
            [word] if word.starts_with('@') => {
                if !WORDS.contains(word) {
                    return Err(fault(format!("the words that stand for one are {}", WORDS.join(", "))));
                }
            }
            parts => check_parts(parts).map_err(fault)?,
        }
        let cron = parser().parse(&joined).map_err(|error| fault(error.to_string()))?;
        let every_hour = cron.pattern.hours.values().len() == 24;
        Ok(Calendar { text: joined, cron, every_hour })
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The first occurrence after a moment; none when there is none before the end of all dates.
    pub fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let (mut at, mut entering) = (after, false);
        loop {
            let stretch = Stretch::at(at, zone);
            let here = stretch.civil(at);
            let (from, inclusive) = match stretch.first(self.every_hour) {
                Some(first) if entering || first > here => (first, true),
                Some(_) | None => (here, false),
            };
            let found = self.cron.find_next_occurrence(&from, inclusive).ok()?;
            let moment = stretch.moment(found)?;
            match stretch.ends.filter(|ends| *ends <= moment) {
                None => return Some(moment),
                // Nothing lies between here and there but changes of the clock.
                Some(ends) => {
                    at = moment.checked_sub(CLOCK_CHANGE).unwrap_or(ends).max(ends);
                    entering = at == ends;
                }
            }
        }
    }

    /// The last occurrence up to a moment, this included.
    pub fn last(&self, until: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut at = until;
        loop {
            let stretch = Stretch::at(at, zone);
            let found = self.cron.find_previous_occurrence(&stretch.civil(at), true).ok()?;
            let moment = stretch.moment(found)?;
            match (stretch.begins, stretch.first(self.every_hour)) {
                (Some((begins, _)), Some(first)) if found < first => {
                    let before = begins.checked_sub(1.nanosecond()).ok()?;
                    let near = stretch.offset.to_timestamp(found).ok()?.checked_add(CLOCK_CHANGE);
                    at = near.unwrap_or(before).min(before);
                }
                (Some(_) | None, _) => return Some(moment),
            }
        }
    }

    /// The shortest time between two occurrences, as far as a few dozen show.
    pub fn shortest_gap(&self) -> SignedDuration {
        let begin = Date::constant(2024, 1, 1).to_datetime(jiff::civil::Time::midnight());
        let occurrences: Vec<DateTime> = self.cron.iter_after(begin).take(GAPS_LOOKED_AT).collect();
        let gaps = occurrences.windows(2).map(|pair| pair[1].duration_since(pair[0]));
        gaps.min().unwrap_or(SignedDuration::MAX)
    }
}

// What the arithmetic makes of it is thousands of numbers.
impl fmt::Debug for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Calendar({:?})", self.text)
    }
}

impl fmt::Display for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// How many gaps are looked at to find the shortest.
const GAPS_LOOKED_AT: usize = 64;

/// No zone's clock is ever changed by more.
const CLOCK_CHANGE: SignedDuration = SignedDuration::from_hours(48);

fn parser() -> CronParser {
    CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build()
}

/// The first fault of the parts, as the tail of a sentence.
fn check_parts(parts: &[&str]) -> Result<(), String> {
    if parts.len() != PARTS.len() {
        let names: Vec<&str> = PARTS.iter().map(|part| part.name).collect();
        return Err(format!(
            "it has {}, and needs five: {}; `30 2 * * *` is every day at half past two",
            match parts.len() {
                1 => "one part".to_owned(),
                number => format!("{number} parts"),
            },
            names.join(", ")
        ));
    }
    for (place, (text, Part { name, span, form })) in parts.iter().zip(&PARTS).enumerate() {
        let mut alone = ["*"; PARTS.len()];
        alone[place] = text;
        let step_fits = |entry: &str| match entry.split_once('/') {
            Some((_, step)) => step.parse().is_ok_and(|step: u32| (1..=*span).contains(&step)),
            None => true,
        };
        let listed = text.split(',').all(|entry| !entry.is_empty() && step_fits(entry));
        if !listed || parser().parse(&alone.join(" ")).is_err() {
            return Err(format!("its {name} are `{text}`, and may be `*` or {form}"));
        }
    }
    match mean_a_day(&parts[2..]) {
        true => Ok(()),
        false => Err("it means no day of any year: let the days of the month suit the months".to_owned()),
    }
}

/// Whether these parts mean any day. After 28 years the days of the week come again on the same dates.
fn mean_a_day(days: &[&str]) -> bool {
    let Ok(midnight) = parser().parse(&["0 0", &days.join(" ")].join(" ")) else { return false };
    let mut days = Date::constant(2000, 1, 1).series(1.day()).take(28 * 366);
    days.any(|day| midnight.is_time_matching(&day.at(0, 0, 0, 0)).unwrap_or(false))
}

/// The time between two changes of a zone's clock: one offset, so that clock and moment go together.
struct Stretch {
    /// When it begins, and the offset before.
    begins: Option<(Timestamp, Offset)>,
    offset: Offset,
    ends: Option<Timestamp>,
}

impl Stretch {
    fn at(at: Timestamp, zone: &TimeZone) -> Stretch {
        let after = at.checked_add(1.nanosecond()).unwrap_or(at);
        let begins = zone.preceding(after).next().map(|change| change.timestamp());
        let before = |begins: Timestamp| zone.to_offset(begins.checked_sub(1.nanosecond()).unwrap_or(begins));
        Stretch {
            begins: begins.map(|begins| (begins, before(begins))),
            offset: zone.to_offset(at),
            ends: zone.following(at).next().map(|change| change.timestamp()),
        }
    }

    /// What the clock shows, in whole seconds.
    fn civil(&self, at: Timestamp) -> DateTime {
        let shown = self.offset.to_datetime(at);
        shown.with().subsec_nanosecond(0).build().unwrap_or(shown)
    }

    /// The first time of the clock that counts here. An hour that is named comes once a day: what the clock skipped comes as soon
    /// as it was skipped, and what it shows a second time has been. An hour that is not named comes as often as it is shown.
    fn first(&self, every_hour: bool) -> Option<DateTime> {
        let (begins, before) = self.begins?;
        Some(if every_hour { self.offset } else { before }.to_datetime(begins))
    }

    /// The moment of a time of the clock; one that was skipped is over when the stretch begins.
    fn moment(&self, shown: DateTime) -> Option<Timestamp> {
        let moment = self.offset.to_timestamp(shown).ok()?;
        Some(self.begins.map_or(moment, |(begins, _)| begins.max(moment)))
    }
}

//! How full the batteries are that the machine lives off.

use std::path::Path;

use super::{
    power::{SUPPLIES, attribute, stores},
    sight,
};
use crate::conditions::Sight;

/// What one battery says of its level.
enum Level {
    /// In percent, and how much the battery holds when full, if it says so.
    Percent { level: f64, holds: Option<f64> },
    /// A word: whether it means low.
    Word { is_low: bool },
}

/// Holds without a battery, and above `low` percent. Charging lifts nothing here: whether external power is enough is
/// for the rules to say.
///
/// Several batteries are one: a machine empties them one after the other. Each weighs what it holds when full, if all
/// say how much that is.
pub(super) fn look(root: &Path, low: u8) -> Sight {
    let names = stores(root);
    if names.is_empty() {
        return sight(true, format!("no battery in /{SUPPLIES}"));
    }
    let levels: Vec<Level> = names.iter().filter_map(|name| read_level(root, name)).collect();
    let of = format!("/{SUPPLIES}/{}", names.join(" and "));
    if levels.is_empty() {
        return sight(true, format!("assumed: {of} does not tell its level"));
    }
    match mean(&levels) {
        Some(level) => sight(level > f64::from(low), format!("{of} at {level:.0} %")),
        None if levels.iter().all(|level| matches!(level, Level::Word { is_low: true })) => {
            sight(false, format!("{of} says it is low"))
        }
        None => sight(true, format!("{of} does not say it is low")),
    }
}

fn read_level(root: &Path, name: &str) -> Option<Level> {
    let number = |file| attribute(root, name, file)?.parse::<f64>().ok().filter(|number| number.is_finite());
    if let Some(level) = number("capacity") {
        return Some(Level::Percent { level, holds: number("energy_full").filter(|full| *full > 0.0) });
    }
    let word = attribute(root, name, "capacity_level")?;
    (word != "Unknown").then_some(Level::Word { is_low: matches!(word.as_str(), "Critical" | "Low") })
}

/// The level of all batteries that give one as a number; none when no battery does.
fn mean(levels: &[Level]) -> Option<f64> {
    let numbers: Vec<(f64, Option<f64>)> = levels
        .iter()
        .filter_map(|level| match level {
            Level::Percent { level, holds } => Some((*level, *holds)),
            Level::Word { .. } => None,
        })
        .collect();
    let all_weigh = numbers.iter().all(|(_, holds)| holds.is_some());
    let weight = |holds: Option<f64>| holds.filter(|_| all_weigh).unwrap_or(1.0);
    let total: f64 = numbers.iter().map(|(_, holds)| weight(*holds)).sum();
    let charge: f64 = numbers.iter().map(|(level, holds)| level * weight(*holds)).sum();
    (!numbers.is_empty()).then_some(charge / total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conditions::linux::recorded;

    #[test]
    fn tells_a_low_battery_from_one_that_is_not() {
        type Files<'a> = &'a [(&'a str, &'a str)];
        let cases: [(&str, Files, bool, &str); 11] = [
            ("no battery", &[("AC/type", "Mains"), ("AC/online", "0")], true, "no battery"),
            ("half full", &[("BAT0/type", "Battery"), ("BAT0/capacity", "51")], true, "BAT0 at 51 %"),
            ("just above the mark", &[("BAT0/type", "Battery"), ("BAT0/capacity", "21")], true, "at 21 %"),
            ("at the mark", &[("BAT0/type", "Battery"), ("BAT0/capacity", "20")], false, "at 20 %"),
            (
                "low and charging",
                &[("BAT0/type", "Battery"), ("BAT0/capacity", "7"), ("BAT0/status", "Charging")],
                false,
                "at 7 %",
            ),
            (
                "one empty, one full",
                &[("BAT0/type", "Battery"), ("BAT0/capacity", "4"), ("BAT1/type", "Battery"), ("BAT1/capacity", "90")],
                true,
                "BAT0 and BAT1 at 47 %",
            ),
            (
                "a small full one and a large empty one",
                &[
                    ("BAT0/type", "Battery"),
                    ("BAT0/capacity", "100"),
                    ("BAT0/energy_full", "10000000"),
                    ("BAT1/type", "Battery"),
                    ("BAT1/capacity", "5"),
                    ("BAT1/energy_full", "90000000"),
                ],
                false,
                "at 14 %",
            ),
            (
                "a level that is a word",
                &[("BAT0/type", "Battery"), ("BAT0/capacity_level", "Low")],
                false,
                "BAT0 says it is low",
            ),
            (
                "a level that is another word",
                &[("BAT0/type", "Battery"), ("BAT0/capacity_level", "Normal")],
                true,
                "BAT0 does not say",
            ),
            (
                "a battery that says nothing",
                &[("BAT0/type", "Battery"), ("BAT0/capacity", "much"), ("BAT0/capacity_level", "Unknown")],
                true,
                "assumed: ",
            ),
            (
                "a mouse's battery",
                &[("mouse/type", "Battery"), ("mouse/scope", "Device"), ("mouse/capacity", "3")],
                true,
                "no battery",
            ),
        ];
        for (case, files, holds, source) in cases {
            let paths: Vec<_> = files.iter().map(|(path, text)| (format!("{SUPPLIES}/{path}"), *text)).collect();
            let files: Vec<_> = paths.iter().map(|(path, text)| (path.as_str(), *text)).collect();
            let root = recorded(&files);
            let seen = look(root.path(), 20);
            assert_eq!(seen.holds, holds, "{case}: {seen:?}");
            assert!(seen.source.contains(source), "{case}: {seen:?}");
        }
    }
}

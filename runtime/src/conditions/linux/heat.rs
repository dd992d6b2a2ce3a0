//! Whether a part of the machine is so hot that the kernel slows it down, or would soon.

use std::path::Path;

use super::{names, read, sight};
use crate::conditions::Sight;

const ZONES: &str = "sys/class/thermal";
/// The most trip points one zone is asked for.
const TRIPS: usize = 32;

/// Looks at each zone's trip points: `passive` is where the kernel slows the machine to cool it, `hot` and `critical` lie
/// above. `active` starts a fan and means nothing here. A trip point at 0 °C or below was never set.
///
/// A hot part must cool below its trip point by some degrees before it is cool. That keeps a task from being expired by the
/// heat of its own beginning, over and over.
#[derive(Debug, Default)]
pub(super) struct Heat {
    was_hot: bool,
}

/// A zone's temperature and the trip point nearest to being passed.
struct Zone {
    name: String,
    temperature: i64,
    trip: Trip,
}

struct Trip {
    kind: String,
    temperature: i64,
    hysteresis: i64,
}

impl Zone {
    fn is_hot(&self, was_hot: bool) -> bool {
        let Trip { kind: _, temperature, hysteresis } = &self.trip;
        let mark = if was_hot { temperature - hysteresis } else { *temperature };
        self.temperature >= mark
    }

    fn shown(&self) -> String {
        let Trip { kind, temperature, hysteresis: _ } = &self.trip;
        let degrees = |thousandths: i64| thousandths / 1_000;
        let Zone { name, temperature: now, .. } = self;
        format!("/{ZONES}/{name} has {} °C, {kind} begins at {} °C", degrees(*now), degrees(*temperature))
    }
}

impl Heat {
    /// `cool_by` is in degrees; it counts where a zone does not ask for more.
    pub(super) fn look(&mut self, root: &Path, cool_by: u8) -> Sight {
        let zones: Vec<Zone> = names(root, ZONES)
            .unwrap_or_default()
            .into_iter()
            .filter(|name| name.starts_with("thermal_zone"))
            .filter_map(|name| read_zone(root, name, cool_by))
            .collect();
        let hot = zones.iter().find(|zone| zone.is_hot(self.was_hot));
        self.was_hot = hot.is_some();
        let nearest = || zones.iter().min_by_key(|zone| zone.trip.temperature - zone.temperature);
        match (hot, nearest()) {
            (Some(zone), _) => sight(false, zone.shown()),
            (None, Some(zone)) => sight(true, zone.shown()),
            (None, None) => sight(true, format!("assumed: no zone with a trip point in /{ZONES}")),
        }
    }
}

/// None when the zone is switched off, cannot be read or has no trip point that counts.
fn read_zone(root: &Path, name: String, cool_by: u8) -> Option<Zone> {
    let file = |file: &str| read(root, &format!("{ZONES}/{name}/{file}"));
    let number = |path: &str| file(path)?.parse::<i64>().ok();
    if file("mode").as_deref() == Some("disabled") {
        return None;
    }
    let temperature = number("temp")?;
    let trip = |at: usize| {
        let kind = file(&format!("trip_point_{at}_type"))?;
        let temperature = number(&format!("trip_point_{at}_temp")).filter(|temperature| *temperature > 0)?;
        let own = number(&format!("trip_point_{at}_hyst")).unwrap_or_default();
        let counts = matches!(kind.as_str(), "passive" | "hot" | "critical");
        counts.then_some(Trip { kind, temperature, hysteresis: own.max(i64::from(cool_by) * 1_000) })
    };
    let trip = (0..TRIPS).filter_map(trip).min_by_key(|trip| trip.temperature)?;
    Some(Zone { name, temperature, trip })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conditions::linux::{record, recorded};

    fn files(zone: &[(&str, &str)]) -> Vec<(String, String)> {
        zone.iter().map(|(path, text)| (format!("{ZONES}/{path}"), (*text).to_owned())).collect()
    }

    #[test]
    fn a_zone_past_a_trip_point_that_counts_is_hot() {
        let passive = [("thermal_zone0/trip_point_0_type", "passive"), ("thermal_zone0/trip_point_0_temp", "90000")];
        let with = |rest: &[(&'static str, &'static str)]| files(&[&passive[..], rest].concat());
        let cases = [
            ("warm", with(&[("thermal_zone0/temp", "89999")]), true, "has 89 °C, passive begins at 90 °C"),
            ("at the point", with(&[("thermal_zone0/temp", "90000")]), false, "has 90 °C"),
            ("the sensor fails", with(&[]), true, "assumed: "),
            (
                "switched off",
                with(&[("thermal_zone0/temp", "99000"), ("thermal_zone0/mode", "disabled")]),
                true,
                "assumed: ",
            ),
            (
                "a fan's point alone",
                files(&[
                    ("thermal_zone0/temp", "60000"),
                    ("thermal_zone0/trip_point_0_type", "active"),
                    ("thermal_zone0/trip_point_0_temp", "50000"),
                ]),
                true,
                "assumed: ",
            ),
            (
                "a point that was never set",
                files(&[
                    ("thermal_zone0/temp", "60000"),
                    ("thermal_zone0/trip_point_0_type", "passive"),
                    ("thermal_zone0/trip_point_0_temp", "-274000"),
                    ("thermal_zone0/trip_point_1_type", "critical"),
                    ("thermal_zone0/trip_point_1_temp", "105000"),
                ]),
                true,
                "critical begins at 105 °C",
            ),
            (
                "the second zone, the second point",
                files(&[
                    ("thermal_zone0/temp", "30000"),
                    ("thermal_zone0/trip_point_0_type", "critical"),
                    ("thermal_zone0/trip_point_0_temp", "110000"),
                    ("thermal_zone1/temp", "101000"),
                    ("thermal_zone1/trip_point_0_type", "critical"),
                    ("thermal_zone1/trip_point_0_temp", "110000"),
                    ("thermal_zone1/trip_point_1_type", "hot"),
                    ("thermal_zone1/trip_point_1_temp", "100000"),
                ]),
                false,
                "thermal_zone1 has 101 °C, hot begins at 100 °C",
            ),
            ("no zone", files(&[("cooling_device0/type", "Fan")]), true, "assumed: "),
        ];
        for (case, files, holds, source) in cases {
            let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
            let root = recorded(&files);
            let seen = Heat::default().look(root.path(), 5);
            assert_eq!(seen.holds, holds, "{case}: {seen:?}");
            assert!(seen.source.contains(source), "{case}: {seen:?}");
        }
    }

    #[test]
    fn a_hot_machine_must_cool_down_before_it_is_cool() {
        let root = recorded(&[
            ("sys/class/thermal/thermal_zone0/trip_point_0_type", "passive"),
            ("sys/class/thermal/thermal_zone0/trip_point_0_temp", "90000"),
            ("sys/class/thermal/thermal_zone0/trip_point_0_hyst", "2000"),
        ]);
        let mut heat = Heat::default();
        for (temperature, cool) in
            [("89000", true), ("91000", false), ("86000", false), ("84999", true), ("89000", true)]
        {
            record(root.path(), &[("sys/class/thermal/thermal_zone0/temp", temperature)]);
            assert_eq!(heat.look(root.path(), 5).holds, cool, "{temperature}");
        }
    }
}

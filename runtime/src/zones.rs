//! The time zones this machine knows. Their rules are files of the system, which others keep up to date; nothing is shipped.

use jiff::tz::{self, TimeZone};

use crate::{
    rules::{Timestamp, ZoneName},
    spelling,
};

/// A zone, and the name it goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    pub time_zone: TimeZone,
    /// Of `local`, what the machine's own is called, where it has a name.
    pub known_as: String,
}

impl Zone {
    /// What the clock shows there, with what tells two times apart that are shown alike.
    pub fn clock_at(&self, at: Timestamp) -> String {
        at.to_zoned(self.time_zone.clone()).strftime("%Y-%m-%d %H:%M:%S %:z").to_string()
    }
}

/// Looks a zone up. The machine's own is that of now: a machine that travels takes its schedules along. Errors: there is no
/// such zone here; names the one that it may have been meant to be.
pub fn find(name: &ZoneName) -> Result<Zone, String> {
    let time_zone = match name.is_local() {
        true => TimeZone::try_system().map_err(|_| {
            "the time zone of this machine cannot be told: name one, such as Europe/Berlin, or link /etc/localtime to it".to_owned()
        })?,
        false => tz::db().get(name.as_str()).map_err(|_| unknown(name))?,
    };
    let known_as = time_zone.iana_name().unwrap_or(name.as_str()).to_owned();
    Ok(Zone { time_zone, known_as })
}

fn unknown(name: &ZoneName) -> String {
    let known: Vec<_> = tz::db().available().collect();
    let mend = match spelling::nearest(name.as_str(), known.iter().map(|known| known.as_str())) {
        Some(near) => format!("did you mean {near}?"),
        None if known.is_empty() => "it knows none but UTC: install the time-zone database, tzdata".to_owned(),
        None => "a name is such as Europe/Berlin, UTC, or local for the machine's own".to_owned(),
    };
    format!("this machine knows no time zone {name}; {mend}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_found_and_a_mistyped_one_is_answered_with_what_was_meant() {
        let find = |name| find(&ZoneName::parse(name).unwrap());
        assert_eq!(find("Europe/Berlin").unwrap().known_as, "Europe/Berlin");
        assert_eq!(find("europe/berlin").unwrap().known_as, "Europe/Berlin");
        assert_eq!(find("UTC").unwrap().known_as, "UTC");
        assert!(find("local").is_ok());
        let cases = [
            ("Europe/Berln", "this machine knows no time zone Europe/Berln; did you mean Europe/Berlin?"),
            (
                "x",
                "this machine knows no time zone x; a name is such as Europe/Berlin, UTC, or local for the machine's own",
            ),
        ];
        for (name, message) in cases {
            assert_eq!(find(name).unwrap_err(), message);
        }
    }
}

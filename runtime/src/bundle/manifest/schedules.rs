//! The schedules a manifest declares. What can be said wrong here is said with its place, before anything is installed.

use std::{collections::BTreeSet, time::Duration};

use super::{
    reference,
    table::{Field, ManifestError, Section},
};
use crate::rules::{
    BackgroundMode, Calendar, Identifier, Kind, KindName, MissedRuns, Needs, Pattern, Permits, Profile, Schedule,
    ScheduleName, ZoneName, parse_jitter, permits_of,
};

/// The kinds that can be scheduled: those nobody has to ask for.
const KINDS: [KindName; 2] = [KindName::AppRefresh, KindName::Processing];

pub(super) fn parse(
    root: &Section<'_>,
    identifiers: &[Pattern],
    modes: &[BackgroundMode],
) -> Result<Vec<Schedule>, ManifestError> {
    let permits = permits_of(modes, identifiers);
    let mut names = BTreeSet::new();
    let sections = root.entries(&reference::SCHEDULES)?;
    sections.iter().map(|section| parse_one(section, &permits, &mut names)).collect()
}

fn parse_one(
    section: &Section<'_>,
    permits: &Permits,
    names: &mut BTreeSet<String>,
) -> Result<Schedule, ManifestError> {
    let field = section.required(&reference::SCHEDULE_NAME)?;
    let name = read(&field, ScheduleName::parse)?;
    if !names.insert(name.to_string()) {
        return Err(field.fault(format_args!("repeats `{name}`")));
    }
    let field = section.required(&reference::SCHEDULE_IDENTIFIER)?;
    let identifier = read(&field, Identifier::parse)?;
    let kind = parse_kind(section)?;
    // The profile is the host's; what no profile permits is wrong wherever it is installed.
    if !permits.permits(Profile::Server, &identifier, kind.name()) {
        return Err(field.fault(format_args!("must be one of the permitted-identifiers, and is `{identifier}`")));
    }
    let calendar = read(&section.required(&reference::SCHEDULE_CALENDAR)?, Calendar::parse)?;
    let zone = section.field(&reference::SCHEDULE_ZONE).map(|field| read(&field, ZoneName::parse));
    let jitter_field = section.field(&reference::SCHEDULE_JITTER);
    let jitter = jitter_field.as_ref().map(|field| read(field, parse_jitter));
    let missed = section.field(&reference::SCHEDULE_MISSED).map(|field| {
        let word = field.string()?;
        let known = MissedRuns::ALL.iter().map(|missed| missed.as_str());
        MissedRuns::parse(word).ok_or_else(|| field.unknown_word(word, known))
    });
    let input = section.field(&reference::SCHEDULE_INPUT).map(|field| field.string().map(str::to_owned));
    let enabled = section.field(&reference::SCHEDULE_ENABLED).map(|field| field.boolean());
    let schedule = Schedule {
        name,
        identifier,
        kind,
        calendar,
        zone: zone.unwrap_or(Ok(ZoneName::utc()))?,
        jitter: jitter.unwrap_or(Ok(Duration::ZERO))?,
        missed: missed.unwrap_or(Ok(MissedRuns::Skip))?,
        input: input.transpose()?.unwrap_or_default().into_bytes(),
        enabled: enabled.unwrap_or(Ok(true))?,
    };
    if !schedule.is_still_permitted(Profile::Server, permits) {
        let kind = schedule.kind.name();
        return Err(field.fault(format_args!("would run as {kind}, and background-modes do not hold what that needs")));
    }
    if let Some(field) = jitter_field {
        schedule.check_jitter().map_err(|fault| field.fault(fault))?;
    }
    Ok(schedule)
}

fn parse_kind(section: &Section<'_>) -> Result<Kind, ManifestError> {
    let flag = |key| section.field(key).map_or(Ok(false), |field| field.boolean());
    let needs =
        Needs { network: flag(&reference::SCHEDULE_NETWORK)?, external_power: flag(&reference::SCHEDULE_POWER)? };
    let requires = needs != Needs::default();
    let Some(field) = section.field(&reference::SCHEDULE_KIND) else {
        return Ok(if requires { Kind::Processing(needs) } else { Kind::AppRefresh });
    };
    let word = field.string()?;
    match KINDS.into_iter().find(|kind| kind.as_str() == word) {
        Some(KindName::AppRefresh) if requires => {
            Err(field.fault("is `app-refresh`, which waits for neither network nor power: make it `processing`"))
        }
        Some(KindName::Processing) => Ok(Kind::Processing(needs)),
        Some(KindName::AppRefresh) => Ok(Kind::AppRefresh),
        Some(KindName::HealthResearch | KindName::ContinuedProcessing) | None => {
            Err(field.unknown_word(word, KINDS.iter().map(|kind| kind.as_str())))
        }
    }
}

fn read<T, E: std::fmt::Display>(field: &Field<'_>, parse: impl Fn(&str) -> Result<T, E>) -> Result<T, ManifestError> {
    parse(field.string()?).map_err(|error| field.fault(format_args!("is wrong: {error}")))
}

#[cfg(test)]
mod tests {
    use super::super::Manifest;
    use super::*;

    const BEFORE: &str = r#"
[bundle]
id = "com.example.gallery"
version = "1.0.0"
component = "gallery.wasm"

[scheduling]
permitted-identifiers = ["com.example.gallery.count", "com.example.gallery.export.*"]
"#;

    const WHOLE: &str = r#"
[[schedules]]
name = "nightly"
identifier = "com.example.gallery.count"
calendar = "30 2 * * *"
time-zone = "Europe/Berlin"
kind = "processing"
requires-network = true
requires-external-power = true
jitter = "10m"
missed = "once"
input = "all"
enabled = false
"#;

    fn schedules(text: &str) -> Result<Vec<Schedule>, String> {
        Manifest::parse(&format!("{BEFORE}{text}"))
            .map(|manifest| manifest.schedules)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn reads_a_whole_schedule_and_one_that_says_only_what_it_must() {
        let whole = Schedule {
            name: ScheduleName::parse("nightly").unwrap(),
            identifier: Identifier::parse("com.example.gallery.count").unwrap(),
            kind: Kind::Processing(Needs { network: true, external_power: true }),
            calendar: Calendar::parse("30 2 * * *").unwrap(),
            zone: ZoneName::parse("Europe/Berlin").unwrap(),
            jitter: Duration::from_secs(600),
            missed: MissedRuns::Once,
            input: b"all".to_vec(),
            enabled: false,
        };
        let short =
            "[[schedules]]\nname = \"often\"\nidentifier = \"com.example.gallery.export.a\"\ncalendar = \"@hourly\"\n";
        let plain = Schedule {
            name: ScheduleName::parse("often").unwrap(),
            identifier: Identifier::parse("com.example.gallery.export.a").unwrap(),
            kind: Kind::AppRefresh,
            calendar: Calendar::parse("@hourly").unwrap(),
            zone: ZoneName::utc(),
            jitter: Duration::ZERO,
            missed: MissedRuns::Skip,
            input: Vec::new(),
            enabled: true,
        };
        assert_eq!(schedules(&format!("{WHOLE}{short}")), Ok(vec![whole, plain]));
        assert_eq!(schedules(""), Ok(Vec::new()));
        let network = schedules(&WHOLE.replace("kind = \"processing\"\n", "")).unwrap();
        assert_eq!(network[0].kind.name(), KindName::Processing);
    }

    #[test]
    fn each_fault_has_its_place_and_mend() {
        let cases = [
            (
                "calendar",
                "calender",
                "unknown key `calender` in [[schedules]] at line 13, column 1; did you mean `calendar`?",
            ),
            (
                "[[schedules]]",
                "[schedules]",
                "`schedules` at line 10, column 1 must be tables that begin with [[schedules]]",
            ),
            (
                "calendar = \"30 2 * * *\"\n",
                "",
                "[[schedules]] at line 10, column 1 lacks `calendar`; add a line such as `calendar = \"30 2 * * *\"`",
            ),
            (
                "30 2 * * *",
                "30 25 * * *",
                "`calendar` in [[schedules]] at line 13, column 12 is wrong: `30 25 * * *` is no calendar expression: its hours are `25`",
            ),
            (
                "\"nightly\"",
                "\"Nightly\"",
                "`name` in [[schedules]] at line 11, column 8 is wrong: `Nightly` is no name of a schedule",
            ),
            (
                "gallery.count",
                "gallery.cuont",
                "`identifier` in [[schedules]] at line 12, column 14 must be one of the permitted-identifiers, and is `com.example.gallery.cuont`",
            ),
            (
                "\"processing\"",
                "\"procesing\"",
                "`kind` in [[schedules]] at line 15, column 8 is unknown: `procesing`; did you mean `processing`?",
            ),
            (
                "\"processing\"",
                "\"app-refresh\"",
                "`kind` in [[schedules]] at line 15, column 8 is `app-refresh`, which waits for neither network nor power",
            ),
            ("\"processing\"", "\"continued-processing\"", "is unknown: `continued-processing`"),
            (
                "\"Europe/Berlin\"",
                "\"Europe Berlin\"",
                "`time-zone` in [[schedules]] at line 14, column 13 is wrong: `Europe Berlin` is no name of a time zone",
            ),
            (
                "\"10m\"",
                "\"soon\"",
                "`jitter` in [[schedules]] at line 18, column 10 is wrong: `soon` is not a length of time",
            ),
            (
                "\"10m\"",
                "\"24h\"",
                "`jitter` in [[schedules]] at line 18, column 10 is 24h, and its runs can be only 24h apart",
            ),
            (
                "\"once\"",
                "\"one\"",
                "`missed` in [[schedules]] at line 19, column 10 is unknown: `one`; did you mean `once`?",
            ),
            (
                "enabled = false",
                "enabled = 0",
                "`enabled` in [[schedules]] at line 21, column 11 must be true or false, and is a number",
            ),
        ];
        for (from, to, message) in cases {
            assert!(WHOLE.contains(from), "{from}");
            let error = schedules(&WHOLE.replacen(from, to, 1)).expect_err(message);
            assert!(error.contains(message), "{to}: {error}");
        }
        let twice = schedules(&format!("{WHOLE}{WHOLE}")).unwrap_err();
        assert!(twice.contains("`name` in [[schedules]] at line 24, column 8 repeats `nightly`"), "{twice}");
        let fetch = BEFORE.replace("permitted-identifiers", "background-modes = [\"fetch\"]\npermitted-identifiers");
        let error = Manifest::parse(&format!("{fetch}{WHOLE}")).unwrap_err().to_string();
        assert!(error.contains("would run as processing, and background-modes do not hold what that needs"), "{error}");
    }
}

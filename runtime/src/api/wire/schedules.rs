//! Schedules, as clients make and see them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Bytes, Request, Text, requests::Limit};
use crate::{
    host,
    rules::{
        self, BundleId, Calendar, CancelCause, Identifier, Kind, KindName, MissedRuns, RefusalCode, ScheduleId,
        ScheduleName, ScheduleOrigin, ScheduleState, Timestamp, ZoneName,
    },
};

/// Asks for a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddSchedule {
    pub name: Text<ScheduleName>,
    pub identifier: Text<Identifier>,
    /// Left out: the bundle that permits the identifier.
    #[serde(default)]
    pub bundle: Option<Text<BundleId>>,
    pub kind: Text<KindName>,
    #[serde(default)]
    pub requires_network_connectivity: bool,
    #[serde(default)]
    pub requires_external_power: bool,
    pub calendar: Text<Calendar>,
    /// Left out: UTC.
    #[serde(default = "utc")]
    pub time_zone: Text<ZoneName>,
    #[serde(default)]
    pub jitter_ms: u64,
    /// Left out: skip.
    #[serde(default = "skip")]
    pub missed: Text<MissedRuns>,
    #[serde(default)]
    pub input: Bytes,
    /// Left out: true.
    #[serde(default = "enabled")]
    pub enabled: bool,
}

fn utc() -> Text<ZoneName> {
    Text(ZoneName::utc())
}

fn skip() -> Text<MissedRuns> {
    Text(MissedRuns::Skip)
}

fn enabled() -> bool {
    true
}

/// Lets a schedule run, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SwitchSchedule {
    pub enabled: bool,
}

/// A schedule, with what comes next of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// Its bundle's id, a colon, and its name.
    pub schedule: Text<ScheduleId>,
    pub bundle: Text<BundleId>,
    pub name: Text<ScheduleName>,
    pub origin: Text<ScheduleOrigin>,
    pub state: Text<ScheduleState>,
    pub identifier: Text<Identifier>,
    pub kind: Text<KindName>,
    pub requires_network_connectivity: bool,
    pub requires_external_power: bool,
    pub calendar: Text<Calendar>,
    pub time_zone: Text<ZoneName>,
    /// What `local` stands for now; null when the machine does not know the zone.
    pub zone: Option<String>,
    pub jitter_ms: u64,
    pub missed: Text<MissedRuns>,
    pub input: Bytes,
    /// Whether an occurrence has come that waits for the one before to be launched.
    pub owing: bool,
    /// Empty while it or its bundle is disabled.
    pub next: Vec<Occurrence>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Occurrence {
    pub at: Text<Timestamp>,
    /// With its jitter: the request's earliest begin.
    pub begins: Text<Timestamp>,
    /// What the clock shows there.
    pub local: String,
}

/// The answer to a wish about a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleGranted {
    pub schedule: Text<ScheduleId>,
    /// False when it was so already.
    pub changed: bool,
    /// Whether another took its place.
    pub replaced: bool,
}

/// A schedule as a manifest declares it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeclaredSchedule {
    pub name: Text<ScheduleName>,
    pub identifier: Text<Identifier>,
    pub kind: Text<KindName>,
    pub calendar: Text<Calendar>,
    pub time_zone: Text<ZoneName>,
    pub jitter_ms: u64,
    pub missed: Text<MissedRuns>,
    pub enabled: bool,
}

/// What became of a schedule or of its occurrences. The key `what` names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum ScheduleNews {
    Added,
    Removed {
        cause: Text<CancelCause>,
    },
    Enabled,
    Disabled,
    /// An occurrence came, and its task was asked for.
    Due {
        occurrence: Text<Timestamp>,
        request: u64,
    },
    Refused {
        occurrence: Text<Timestamp>,
        code: Text<RefusalCode>,
        message: String,
    },
    /// The occurrences between these two, both included, do not run.
    Missed {
        from: Text<Timestamp>,
        to: Text<Timestamp>,
    },
    /// The clock was set back by a lot.
    Restarted {
        from: Text<Timestamp>,
    },
    /// Its time zone is not known on this machine.
    Stopped {
        message: String,
    },
}

/// Which schedules to list, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleQuery {
    bundle: Option<Text<BundleId>>,
    /// Only those behind this one: the last of the page before.
    after: Option<Text<ScheduleId>>,
    #[serde(default)]
    limit: Limit,
    /// How many of the next dates of each.
    #[serde(default)]
    times: Times,
}

/// How many of a schedule's next dates to show.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimesQuery {
    #[serde(default)]
    times: Times,
}

/// How many of a schedule's next dates are shown when a client does not say.
pub const DEFAULT_TIMES: usize = 5;
/// The most dates of one schedule a client may ask for at once.
pub const TIMES_LIMIT: usize = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "usize")]
struct Times(usize);

impl Default for Times {
    fn default() -> Times {
        Times(DEFAULT_TIMES)
    }
}

impl TryFrom<usize> for Times {
    type Error = String;

    fn try_from(times: usize) -> Result<Times, String> {
        match times {
            0..=TIMES_LIMIT => Ok(Times(times)),
            _ => Err(format!("at most {TIMES_LIMIT} dates are shown")),
        }
    }
}

impl ScheduleQuery {
    pub(in crate::api) fn into_filter(self) -> host::ScheduleFilter {
        let ScheduleQuery { bundle, after, limit, times } = self;
        let (bundle, after) = (bundle.map(|text| text.0), after.map(|text| text.0));
        host::ScheduleFilter { bundle, after, limit: limit.0, times: times.0 }
    }
}

impl TimesQuery {
    pub(in crate::api) fn times(&self) -> usize {
        self.times.0
    }
}

impl AddSchedule {
    /// What every schedule must say, and otherwise what is left out.
    pub fn new(name: ScheduleName, identifier: Identifier, kind: KindName, calendar: Calendar) -> AddSchedule {
        AddSchedule {
            name: Text(name),
            identifier: Text(identifier),
            bundle: None,
            kind: Text(kind),
            requires_network_connectivity: false,
            requires_external_power: false,
            calendar: Text(calendar),
            time_zone: utc(),
            jitter_ms: 0,
            missed: skip(),
            input: Bytes::default(),
            enabled: enabled(),
        }
    }

    /// Whose it is to be, and the schedule. Errors: a sentence about what does not go together.
    pub(in crate::api) fn into_rules(self) -> Result<(Option<BundleId>, rules::Schedule), String> {
        let mut request = Request::new(self.identifier.0.clone(), self.kind.0);
        request.requires_network_connectivity = self.requires_network_connectivity;
        request.requires_external_power = self.requires_external_power;
        let kind = match request.into_rules()?.kind {
            kind @ (Kind::AppRefresh | Kind::Processing(_)) => kind,
            kind @ (Kind::HealthResearch { .. } | Kind::ContinuedProcessing(_)) => {
                return Err(format!("{} cannot be scheduled: app-refresh and processing can", kind.name()));
            }
        };
        let schedule = rules::Schedule {
            name: self.name.0,
            identifier: self.identifier.0,
            kind,
            calendar: self.calendar.0,
            zone: self.time_zone.0,
            jitter: Duration::from_millis(self.jitter_ms),
            missed: self.missed.0,
            input: self.input.0,
            enabled: self.enabled,
        };
        Ok((self.bundle.map(|text| text.0), schedule))
    }
}

impl From<host::ScheduleView> for Schedule {
    fn from(view: host::ScheduleView) -> Schedule {
        let host::ScheduleView { id, origin, schedule, state, zone, owing, next } = view;
        let needs = schedule.kind.needs();
        Schedule {
            schedule: Text(id.clone()),
            bundle: Text(id.bundle),
            name: Text(id.name),
            origin: Text(origin),
            state: Text(state),
            identifier: Text(schedule.identifier),
            kind: Text(schedule.kind.name()),
            requires_network_connectivity: needs.network,
            requires_external_power: needs.external_power,
            calendar: Text(schedule.calendar),
            time_zone: Text(schedule.zone),
            zone,
            jitter_ms: milliseconds(schedule.jitter),
            missed: Text(schedule.missed),
            input: Bytes(schedule.input),
            owing,
            next: next.into_iter().map(Occurrence::from).collect(),
        }
    }
}

impl From<host::Occurrence> for Occurrence {
    fn from(host::Occurrence { at, begins, local }: host::Occurrence) -> Occurrence {
        Occurrence { at: Text(at), begins: Text(begins), local }
    }
}

impl From<host::ScheduleGranted> for ScheduleGranted {
    fn from(host::ScheduleGranted { id, changed, replaced }: host::ScheduleGranted) -> ScheduleGranted {
        ScheduleGranted { schedule: Text(id), changed, replaced }
    }
}

impl From<&rules::Schedule> for DeclaredSchedule {
    fn from(schedule: &rules::Schedule) -> DeclaredSchedule {
        let rules::Schedule { name, identifier, kind, calendar, zone, jitter, missed, input: _, enabled } = schedule;
        DeclaredSchedule {
            name: Text(name.clone()),
            identifier: Text(identifier.clone()),
            kind: Text(kind.name()),
            calendar: Text(calendar.clone()),
            time_zone: Text(zone.clone()),
            jitter_ms: milliseconds(*jitter),
            missed: Text(*missed),
            enabled: *enabled,
        }
    }
}

impl From<rules::ScheduleNews> for ScheduleNews {
    fn from(news: rules::ScheduleNews) -> ScheduleNews {
        match news {
            rules::ScheduleNews::Added => ScheduleNews::Added,
            rules::ScheduleNews::Removed { cause } => ScheduleNews::Removed { cause: Text(cause) },
            rules::ScheduleNews::Enabled => ScheduleNews::Enabled,
            rules::ScheduleNews::Disabled => ScheduleNews::Disabled,
            rules::ScheduleNews::Due { occurrence, request } => {
                ScheduleNews::Due { occurrence: Text(occurrence), request: request.0 }
            }
            rules::ScheduleNews::Refused { occurrence, refusal: rules::Refusal { code, message } } => {
                ScheduleNews::Refused { occurrence: Text(occurrence), code: Text(code), message }
            }
            rules::ScheduleNews::Missed { from, to } => ScheduleNews::Missed { from: Text(from), to: Text(to) },
            rules::ScheduleNews::Restarted { from } => ScheduleNews::Restarted { from: Text(from) },
            rules::ScheduleNews::Stopped { message } => ScheduleNews::Stopped { message },
        }
    }
}

fn milliseconds(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_needs_only_name_identifier_kind_and_calendar() {
        let json = r#"{"name":"nightly","identifier":"com.example.a.b","kind":"app-refresh","calendar":"30 2 * * *"}"#;
        let said: AddSchedule = serde_json::from_str(json).unwrap();
        let (name, identifier) = (said.name.0.clone(), said.identifier.0.clone());
        assert_eq!(
            said,
            AddSchedule::new(name, identifier, KindName::AppRefresh, Calendar::parse("30 2 * * *").unwrap())
        );
        let (bundle, schedule) = said.into_rules().unwrap();
        assert_eq!((bundle, schedule.enabled, schedule.missed), (None, true, MissedRuns::Skip));
    }

    #[test]
    fn what_cannot_be_scheduled_is_named() {
        let with = |more: &str| {
            let json = format!(r#"{{"name":"nightly","identifier":"com.example.a.b","kind":"app-refresh",{more}}}"#);
            serde_json::from_str::<AddSchedule>(&json).map_err(|error| error.to_string())?.into_rules()
        };
        let cases = [
            (r#""calendar":"30 25 * * *""#, "its hours are `25`"),
            (r#""calendar":"@daily","time_zone":"Berlin Mitte""#, "is no name of a time zone"),
            (r#""calendar":"@daily","missed":"never""#, "`never` is not a policy for missed runs: skip, once, all"),
            (r#""calendar":"@daily","requires_external_power":true"#, "kind processing"),
            (r#""calendar":"@daily","zone":"UTC""#, "unknown field `zone`"),
        ];
        for (more, message) in cases {
            let error = with(more).unwrap_err();
            assert!(error.contains(message), "{more}: {error}");
        }
        let mut asked: AddSchedule = serde_json::from_str(
            r#"{"name":"nightly","identifier":"com.example.a.b","kind":"health-research","calendar":"@daily"}"#,
        )
        .unwrap();
        let error = asked.clone().into_rules().unwrap_err();
        assert!(error.contains("health-research cannot be scheduled"), "{error}");
        asked.kind = Text(KindName::Processing);
        assert!(asked.into_rules().is_ok());
    }
}

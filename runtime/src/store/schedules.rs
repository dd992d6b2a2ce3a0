//! Schedules, and how far each has been seen. What is due, and when the next one is, are one look-up in an index each.

use std::time::Duration;

use super::{Store, database::*, row::*};
use crate::rules::{
    BundleId, Calendar, Identifier, Kind, KindName, MissedRuns, Needs, Schedule, ScheduleId, ScheduleName,
    ScheduleOrigin, Timestamp, ZoneName,
};

/// A schedule and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSchedule {
    pub bundle: BundleId,
    pub origin: ScheduleOrigin,
    pub schedule: Schedule,
    /// The last occurrence that is dealt with, or when the schedule was made.
    pub seen: Timestamp,
    /// Whether an occurrence waits for the one before to be launched.
    pub owing: bool,
    /// When it is to be looked at; none while nothing of it comes.
    pub next_at: Option<Timestamp>,
}

impl StoredSchedule {
    pub fn id(&self) -> ScheduleId {
        ScheduleId { bundle: self.bundle.clone(), name: self.schedule.name.clone() }
    }
}

/// The head of a `SELECT` whose rows `stored_schedule` reads.
macro_rules! select_schedules {
    ($tail:literal) => {
        concat!(
            "SELECT bundle, name, origin, identifier, kind, network, power, calendar, zone, jitter_ms, missed, input, enabled,
               seen, owing, next_at FROM schedule ",
            $tail
        )
    };
}

impl Store {
    /// Schedules to be looked at, earliest first; none of `except`.
    pub fn due_schedules(
        &mut self,
        now: Timestamp,
        except: Option<&BundleId>,
        limit: usize,
    ) -> Result<Vec<StoredSchedule>, StoreError> {
        self.schedules_where(
            select_schedules!("WHERE next_at <= ?1 AND (?2 IS NULL OR bundle <> ?2) ORDER BY next_at LIMIT ?3"),
            &[milliseconds(now), except.map(BundleId::as_str).into(), count(limit as u64)],
        )
    }

    /// When the next schedule is to be looked at; none of `except`.
    pub fn next_schedule(&mut self, except: Option<&BundleId>) -> Result<Option<Timestamp>, StoreError> {
        let rows = self.database.query(
            "SELECT next_at FROM schedule
             WHERE next_at IS NOT NULL AND (?1 IS NULL OR bundle <> ?1)
             ORDER BY next_at
             LIMIT 1",
            &[except.map(BundleId::as_str).into()],
        )?;
        rows.into_iter().next().map(|row| Row::new(row).moment()).transpose()
    }

    /// The schedules of an identifier with an occurrence that waits for the one before.
    pub fn owing_schedules(
        &mut self,
        bundle: &BundleId,
        identifier: &Identifier,
    ) -> Result<Vec<StoredSchedule>, StoreError> {
        self.schedules_where(
            select_schedules!("WHERE owing = 1 AND bundle = ?1 AND identifier = ?2 ORDER BY seen, name"),
            &[bundle.as_str().into(), identifier.as_str().into()],
        )
    }

    /// The identifiers with an occurrence that waits for the one before.
    pub fn owing(&mut self) -> Result<Vec<(BundleId, Identifier)>, StoreError> {
        let rows = self.database.query("SELECT DISTINCT bundle, identifier FROM schedule WHERE owing = 1", &[])?;
        rows.into_iter()
            .map(|row| {
                let mut row = Row::new(row);
                Ok((row.word(|name| BundleId::parse(name).ok())?, row.word(|name| Identifier::parse(name).ok())?))
            })
            .collect()
    }

    /// How far any schedule has been seen.
    pub fn latest_seen(&mut self) -> Result<Option<Timestamp>, StoreError> {
        let rows = self.database.query("SELECT max(seen) FROM schedule", &[])?;
        rows.into_iter().next().map_or(Ok(None), |row| Row::new(row).optional_moment())
    }

    /// Schedules that have been seen beyond a moment.
    pub fn schedules_seen_after(&mut self, moment: Timestamp) -> Result<Vec<StoredSchedule>, StoreError> {
        self.schedules_where(select_schedules!("WHERE seen > ?1 ORDER BY bundle, name"), &[milliseconds(moment)])
    }

    /// Schedules of which nothing comes though they are enabled.
    pub fn stopped_schedules(&mut self) -> Result<Vec<StoredSchedule>, StoreError> {
        self.schedules_where(
            select_schedules!("WHERE next_at IS NULL AND enabled = 1 AND owing = 0 ORDER BY bundle, name"),
            &[],
        )
    }

    /// Schedules of one bundle or of all, by name, at most `limit`, behind the one of the page before.
    pub fn schedules(
        &mut self,
        bundle: Option<&BundleId>,
        after: Option<&ScheduleId>,
        limit: usize,
    ) -> Result<Vec<StoredSchedule>, StoreError> {
        self.schedules_where(
            select_schedules!(
                "WHERE (?1 IS NULL OR bundle = ?1) AND (?2 IS NULL OR (bundle, name) > (?2, ?3))
                 ORDER BY bundle, name
                 LIMIT ?4"
            ),
            &[
                bundle.map(BundleId::as_str).into(),
                after.map(|after| after.bundle.as_str()).into(),
                after.map(|after| after.name.as_str()).into(),
                count(limit as u64),
            ],
        )
    }

    fn schedules_where(&mut self, sql: &'static str, values: &[Value]) -> Result<Vec<StoredSchedule>, StoreError> {
        self.database.query(sql, values)?.into_iter().map(|row| stored_schedule(Row::new(row))).collect()
    }
}

fn stored_schedule(mut row: Row) -> Result<StoredSchedule, StoreError> {
    let bundle = row.word(|name| BundleId::parse(name).ok())?;
    let name = row.word(|name| ScheduleName::parse(name).ok())?;
    let origin = row.word(ScheduleOrigin::parse)?;
    let identifier = row.word(|name| Identifier::parse(name).ok())?;
    let kind_name = row.word(KindName::parse)?;
    let needs = Needs { network: row.flag()?, external_power: row.flag()? };
    let kind = match kind_name {
        KindName::AppRefresh => Kind::AppRefresh,
        KindName::Processing => Kind::Processing(needs),
        KindName::HealthResearch | KindName::ContinuedProcessing => {
            return Err(damaged("a kind that can be scheduled", &Some(kind_name.as_str().into())));
        }
    };
    let schedule = Schedule {
        name,
        identifier,
        kind,
        calendar: row.word(|text| Calendar::parse(text).ok())?,
        zone: row.word(|name| ZoneName::parse(name).ok())?,
        jitter: Duration::from_millis(row.count()?),
        missed: row.word(MissedRuns::parse)?,
        input: row.bytes()?,
        enabled: row.flag()?,
    };
    Ok(StoredSchedule {
        bundle,
        origin,
        schedule,
        seen: row.moment()?,
        owing: row.flag()?,
        next_at: row.optional_moment()?,
    })
}

/// Puts a schedule in place of the one of its name, if there is one.
pub fn put_schedule(stored: &StoredSchedule) -> Statement {
    let StoredSchedule { bundle, origin, schedule, seen, owing, next_at } = stored;
    let Schedule { name, identifier, kind, calendar, zone, jitter, missed, input, enabled } = schedule;
    let needs = kind.needs();
    Statement {
        sql: "INSERT OR REPLACE INTO schedule (bundle, name, origin, identifier, kind, network, power, calendar, zone,
                jitter_ms, missed, input, enabled, seen, owing, next_at)
              VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
        values: vec![
            bundle.as_str().into(),
            name.as_str().into(),
            origin.as_str().into(),
            identifier.as_str().into(),
            kind.name().as_str().into(),
            i64::from(needs.network).into(),
            i64::from(needs.external_power).into(),
            calendar.as_str().into(),
            zone.as_str().into(),
            count(u64::try_from(jitter.as_millis()).unwrap_or(u64::MAX)),
            missed.as_str().into(),
            Value::Blob(input.clone()),
            i64::from(*enabled).into(),
            milliseconds(*seen),
            i64::from(*owing).into(),
            next_at.map(Timestamp::as_millisecond).into(),
        ],
        guard: Some(1),
    }
}

/// What a schedule has been seen until, and what comes next. Guarded by what it had been seen until, so that no occurrence is dealt
/// with twice.
pub fn advance_schedule(stored: &StoredSchedule, seen_before: Timestamp) -> Statement {
    let StoredSchedule { bundle, origin: _, schedule, seen, owing, next_at } = stored;
    Statement {
        sql: "UPDATE schedule SET seen = ?4, owing = ?5, next_at = ?6 WHERE bundle = ?1 AND name = ?2 AND seen = ?3",
        values: vec![
            bundle.as_str().into(),
            schedule.name.as_str().into(),
            milliseconds(seen_before),
            milliseconds(*seen),
            i64::from(*owing).into(),
            next_at.map(Timestamp::as_millisecond).into(),
        ],
        guard: Some(1),
    }
}

pub fn remove_schedule(id: &ScheduleId) -> Statement {
    Statement {
        sql: "DELETE FROM schedule WHERE bundle = ?1 AND name = ?2",
        values: vec![id.bundle.as_str().into(), id.name.as_str().into()],
        guard: None,
    }
}

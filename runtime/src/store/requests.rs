//! Unfinished requests: lanes, ripening floors, and what runs after what. Each read is one index look-up, whatever is pending.

use std::time::Duration;

use super::{Store, database::*, row::*};
use crate::rules::{
    BundleId, Continued, DataProtection, Identifier, Kind, KindName, Lane, Needs, Priority, Repeat, Request, RequestId,
    RequestRecord, Retry, Stage, Timestamp,
};

/// An unfinished request and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRequest {
    pub record: RequestRecord,
    pub stage: Stage,
}

/// The head of a `SELECT` whose rows `stored_request` reads. However many rows `without_input` reads, the inputs stay on disk.
macro_rules! select_requests {
    (without_input $tail:literal) => {
        select_requests!("x''", $tail)
    };
    ($tail:literal) => {
        select_requests!("input", $tail)
    };
    ($input:literal, $tail:literal) => {
        concat!(
            "SELECT id, bundle, identifier, kind, network, power, stage, earliest_begin, priority, ",
            $input,
            ", run_after, may_suspend, attempt, submitted_at, ripe_at, failures, urgent, latest_begin, repeat_every_ms, ",
            "repeat_flex_ms, retry_attempts, retry_first_ms, retry_longest_ms, protection, title, subtitle, ",
            "fail_unless_immediate, gpu FROM request ",
            $tail
        )
    };
}

impl Store {
    /// The unfinished requests of an identifier, oldest first: at most one that was launched before and one that was not.
    pub fn unfinished(&mut self, bundle: &BundleId, identifier: &Identifier) -> Result<Vec<StoredRequest>, StoreError> {
        self.requests(
            select_requests!("WHERE bundle = ?1 AND identifier = ?2 ORDER BY id"),
            &[bundle.as_str().into(), identifier.as_str().into()],
        )
    }

    /// The first requests of a lane, oldest first.
    pub fn heads(&mut self, lane: &Lane, limit: usize) -> Result<Vec<StoredRequest>, StoreError> {
        self.requests(
            select_requests!(
                "WHERE stage = 'ready' AND bundle = ?1 AND kind = ?2 AND network = ?3 AND power = ?4
                   AND protection = ?5 AND priority = ?6 AND urgent = ?7
                 ORDER BY id
                 LIMIT ?8"
            ),
            &[
                lane.bundle.as_str().into(),
                lane.kind.as_str().into(),
                i64::from(lane.needs.network).into(),
                i64::from(lane.needs.external_power).into(),
                lane.protection.as_str().into(),
                priority_rank(lane.priority).into(),
                i64::from(lane.urgent).into(),
                count(limit as u64),
            ],
        )
    }

    /// Requests whose floor has been reached, earliest first.
    pub fn ripe(&mut self, now: Timestamp, limit: usize) -> Result<Vec<StoredRequest>, StoreError> {
        self.requests(
            select_requests!("WHERE stage = 'ripening' AND ripe_at <= ?1 ORDER BY ripe_at LIMIT ?2"),
            &[milliseconds(now), count(limit as u64)],
        )
    }

    /// When the next floor will be reached.
    pub fn next_floor(&mut self) -> Result<Option<Timestamp>, StoreError> {
        self.moment("SELECT min(ripe_at) FROM request WHERE stage = 'ripening'")
    }

    /// When to wake for the next floor that is reached by then.
    pub fn next_ripening(&mut self) -> Result<Option<Timestamp>, StoreError> {
        self.moment("SELECT min(wake_at) FROM request WHERE stage = 'ripening'")
    }

    /// Pending requests whose latest begin has been reached and that are not urgent yet.
    pub fn late(&mut self, now: Timestamp, limit: usize) -> Result<Vec<StoredRequest>, StoreError> {
        self.requests(
            select_requests!(
                "WHERE latest_begin IS NOT NULL AND urgent = 0 AND stage <> 'launched' AND latest_begin <= ?1
                 ORDER BY latest_begin
                 LIMIT ?2"
            ),
            &[milliseconds(now), count(limit as u64)],
        )
    }

    /// When the next latest begin will be reached.
    pub fn next_latest_begin(&mut self) -> Result<Option<Timestamp>, StoreError> {
        self.moment(
            "SELECT min(latest_begin)
             FROM request
             WHERE latest_begin IS NOT NULL AND urgent = 0 AND stage <> 'launched'",
        )
    }

    fn moment(&mut self, sql: &'static str) -> Result<Option<Timestamp>, StoreError> {
        let rows = self.database.query(sql, &[])?;
        rows.into_iter().next().map_or(Ok(None), |row| Row::new(row).optional_moment())
    }

    /// Pending requests: of one bundle by identifier, or of all, oldest first.
    pub fn pending(&mut self, bundle: Option<&BundleId>, limit: usize) -> Result<Vec<StoredRequest>, StoreError> {
        match bundle {
            Some(bundle) => self.requests(
                select_requests!("WHERE bundle = ?1 AND stage <> 'launched' ORDER BY identifier, id LIMIT ?2"),
                &[bundle.as_str().into(), count(limit as u64)],
            ),
            None => self
                .requests(select_requests!("WHERE stage <> 'launched' ORDER BY id LIMIT ?1"), &[count(limit as u64)]),
        }
    }

    /// Every pending request of a bundle, without its input.
    pub fn pending_without_input(&mut self, bundle: &BundleId) -> Result<Vec<StoredRequest>, StoreError> {
        self.requests(
            select_requests!(without_input "WHERE bundle = ?1 AND stage <> 'launched' ORDER BY id"),
            &[bundle.as_str().into()],
        )
    }

    /// The identifiers a request still waits for.
    pub fn unmet(&mut self, request: RequestId) -> Result<Vec<Identifier>, StoreError> {
        let rows = self
            .database
            .query("SELECT identifier FROM run_after WHERE request = ?1 ORDER BY identifier", &[count(request.0)])?;
        rows.into_iter().map(|row| Row::new(row).word(|name| Identifier::parse(name).ok())).collect()
    }

    /// The requests that wait for an identifier to succeed, without their inputs.
    pub fn awaiting(&mut self, bundle: &BundleId, identifier: &Identifier) -> Result<Vec<StoredRequest>, StoreError> {
        self.requests(
            select_requests!(
                without_input "WHERE id IN (SELECT request FROM run_after WHERE bundle = ?1 AND identifier = ?2) ORDER BY id"
            ),
            &[bundle.as_str().into(), identifier.as_str().into()],
        )
    }

    /// Whether any request waits for another identifier.
    pub fn has_run_after(&mut self) -> Result<bool, StoreError> {
        Ok(!self.database.query("SELECT 1 FROM run_after LIMIT 1", &[])?.is_empty())
    }

    /// Requests that count against their bundles' limits, by bundle and kind: those that were never launched, and those that
    /// repeat, which keep their place.
    pub fn pending_counts(&mut self) -> Result<Vec<(BundleId, KindName, u64)>, StoreError> {
        let rows = self.database.query(
            "SELECT bundle, kind, count(*)
             FROM request
             WHERE (stage <> 'launched' AND attempt = 1) OR repeat_every_ms IS NOT NULL
             GROUP BY bundle, kind",
            &[],
        )?;
        rows.into_iter()
            .map(|row| {
                let mut row = Row::new(row);
                Ok((row.word(|name| BundleId::parse(name).ok())?, row.word(KindName::parse)?, row.count()?))
            })
            .collect()
    }

    /// The lanes in which something stands ready.
    pub fn lanes(&mut self) -> Result<Vec<Lane>, StoreError> {
        let rows = self.database.query(
            "SELECT DISTINCT bundle, kind, network, power, protection, priority, urgent
                 FROM request
                 WHERE stage = 'ready'",
            &[],
        )?;
        rows.into_iter()
            .map(|row| {
                let mut row = Row::new(row);
                Ok(Lane {
                    bundle: row.word(|name| BundleId::parse(name).ok())?,
                    kind: row.word(KindName::parse)?,
                    needs: Needs { network: row.flag()?, external_power: row.flag()? },
                    protection: row.word(DataProtection::parse)?,
                    priority: priority_of(row.integer()?),
                    urgent: row.flag()?,
                })
            })
            .collect()
    }

    /// Requests whose tasks were running when the host died.
    pub fn launched(&mut self) -> Result<Vec<StoredRequest>, StoreError> {
        self.requests(select_requests!("WHERE id IN (SELECT request FROM task WHERE outcome IS NULL) ORDER BY id"), &[])
    }

    fn requests(&mut self, sql: &'static str, values: &[Value]) -> Result<Vec<StoredRequest>, StoreError> {
        self.database.query(sql, values)?.into_iter().map(|row| stored_request(Row::new(row))).collect()
    }
}

fn stored_request(mut row: Row) -> Result<StoredRequest, StoreError> {
    let id = RequestId(row.count()?);
    let bundle = row.word(|name| BundleId::parse(name).ok())?;
    let identifier = row.word(|name| Identifier::parse(name).ok())?;
    let kind = row.word(KindName::parse)?;
    let needs = Needs { network: row.flag()?, external_power: row.flag()? };
    let stage = row.word(Stage::parse)?;
    let earliest_begin = row.optional_moment()?;
    let priority = priority_of(row.integer()?);
    let input = row.bytes()?;
    let run_after = row
        .word(|names| names.split_whitespace().map(|name| Identifier::parse(name).ok()).collect::<Option<Vec<_>>>())?;
    let may_suspend = row.flag()?;
    let attempt = number(row.integer()?);
    let submitted_at = row.moment()?;
    let floor = Some(row.moment()?).filter(|floor| *floor > Timestamp::UNIX_EPOCH);
    let failures = number(row.integer()?);
    let urgent = row.flag()?;
    let latest_begin = row.optional_moment()?;
    let repeat = match (row.optional_count()?, row.optional_count()?) {
        (Some(every), flex) => {
            Some(Repeat { every: Duration::from_millis(every), flex: Duration::from_millis(flex.unwrap_or(0)) })
        }
        (None, _) => None,
    };
    let retry = match (row.optional_integer()?, row.optional_count()?, row.optional_count()?) {
        (Some(attempts), first, longest) => Some(Retry {
            attempts: number(attempts),
            first_delay: Duration::from_millis(first.unwrap_or(0)),
            longest_delay: Duration::from_millis(longest.unwrap_or(0)),
        }),
        (None, _, _) => None,
    };
    let protection_of_required_data = row.word(DataProtection::parse)?;
    let (title, subtitle) = (row.optional_text()?, row.optional_text()?);
    let (fail_unless_immediate, requires_gpu) = (row.flag()?, row.flag()?);
    let kind = match kind {
        KindName::AppRefresh => Kind::AppRefresh,
        KindName::Processing => Kind::Processing(needs),
        KindName::HealthResearch => Kind::HealthResearch { needs, protection_of_required_data },
        KindName::ContinuedProcessing => Kind::ContinuedProcessing(Continued {
            title: title.unwrap_or_default(),
            subtitle: subtitle.unwrap_or_default(),
            fail_unless_immediate,
            requires_gpu,
        }),
    };
    let request = Request {
        identifier,
        kind,
        earliest_begin,
        latest_begin,
        input,
        priority,
        run_after,
        repeat,
        retry,
        may_suspend,
    };
    let record = RequestRecord { id, bundle, request, attempt, failures, floor, urgent, submitted_at };
    Ok(StoredRequest { record, stage })
}

fn number(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn priority_of(rank: i64) -> Priority {
    match rank {
        0 => Priority::Low,
        1 => Priority::Normal,
        _ => Priority::High,
    }
}

fn priority_rank(priority: Priority) -> i64 {
    match priority {
        Priority::Low => 0,
        Priority::Normal => 1,
        Priority::High => 2,
    }
}

/// Writes a new request. It may be launched from its floor on, and is woken for at `wake_at`.
pub fn insert_request(stored: &StoredRequest, wake_at: Option<Timestamp>) -> Statement {
    let RequestRecord { id, bundle, request, attempt, failures, floor, urgent, submitted_at } = &stored.record;
    let Request {
        identifier,
        kind,
        earliest_begin,
        latest_begin,
        input,
        priority,
        run_after,
        repeat,
        retry,
        may_suspend,
    } = request;
    let needs = kind.needs();
    let run_after: Vec<&str> = run_after.iter().map(Identifier::as_str).collect();
    let continued = match kind {
        Kind::ContinuedProcessing(continued) => Some(continued),
        Kind::AppRefresh | Kind::Processing(_) | Kind::HealthResearch { .. } => None,
    };
    let moment = |at: &Option<Timestamp>| Value::from(at.map(Timestamp::as_millisecond));
    Statement {
        sql: "INSERT INTO request (id, bundle, identifier, kind, network, power, stage, ripe_at, earliest_begin, priority,
                input, run_after, may_suspend, attempt, submitted_at, wake_at, failures, urgent, latest_begin,
                repeat_every_ms, repeat_flex_ms, retry_attempts, retry_first_ms, retry_longest_ms, protection, title,
                subtitle, fail_unless_immediate, gpu)
              VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, coalesce(?8, 0), ?9, ?10, ?11, ?12, ?13, ?14, ?15, coalesce(?16, 0), ?17,
                ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29)",
        values: vec![
            count(id.0),
            bundle.as_str().into(),
            identifier.as_str().into(),
            kind.name().as_str().into(),
            i64::from(needs.network).into(),
            i64::from(needs.external_power).into(),
            stored.stage.as_str().into(),
            moment(floor),
            moment(earliest_begin),
            priority_rank(*priority).into(),
            Value::Blob(input.clone()),
            run_after.join(" ").as_str().into(),
            i64::from(*may_suspend).into(),
            i64::from(*attempt).into(),
            milliseconds(*submitted_at),
            moment(&wake_at),
            i64::from(*failures).into(),
            i64::from(*urgent).into(),
            moment(latest_begin),
            repeat.map(|repeat| whole(repeat.every)).into(),
            repeat.map(|repeat| whole(repeat.flex)).into(),
            retry.map(|retry| i64::from(retry.attempts)).into(),
            retry.map(|retry| whole(retry.first_delay)).into(),
            retry.map(|retry| whole(retry.longest_delay)).into(),
            kind.protection().as_str().into(),
            continued.map(|continued| continued.title.as_str()).into(),
            continued.map(|continued| continued.subtitle.as_str()).into(),
            i64::from(continued.is_some_and(|continued| continued.fail_unless_immediate)).into(),
            i64::from(continued.is_some_and(|continued| continued.requires_gpu)).into(),
        ],
        guard: Some(1),
    }
}

/// A span in whole milliseconds, as many as the database's numbers hold.
fn whole(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// A pending request's latest begin is reached.
pub fn make_urgent(request: RequestId) -> Statement {
    Statement {
        sql: "UPDATE request SET urgent = 1 WHERE id = ?1 AND stage <> 'launched' AND urgent = 0",
        values: vec![count(request.0)],
        guard: Some(1),
    }
}

/// A launched request will neither be tried again nor repeated.
pub fn let_end(request: RequestId) -> Statement {
    Statement {
        sql: "UPDATE request SET repeat_every_ms = NULL, repeat_flex_ms = NULL, retry_attempts = NULL
              WHERE id = ?1 AND stage = 'launched'",
        values: vec![count(request.0)],
        guard: Some(1),
    }
}

/// A launched request does not come back, whatever becomes of its host.
pub fn give_up(request: RequestId) -> Statement {
    Statement {
        sql: "UPDATE request SET attempt = 4294967295 WHERE id = ?1 AND stage = 'launched'",
        values: vec![count(request.0)],
        guard: None,
    }
}

/// A launched request is pending again after a failure of its handler, and rests until `floor`.
pub fn let_rest(request: RequestId, attempt: u32, floor: Timestamp, wake_at: Timestamp) -> Statement {
    Statement {
        sql: "UPDATE request
              SET stage = 'ripening', attempt = ?2 + 1, failures = failures + 1, ripe_at = ?3, wake_at = ?4
              WHERE id = ?1 AND stage = 'launched' AND attempt = ?2",
        values: vec![count(request.0), i64::from(attempt).into(), milliseconds(floor), milliseconds(wake_at)],
        guard: Some(1),
    }
}

/// Moves a pending request to another stage. Guarded by the stage it was read at.
pub fn move_request(request: RequestId, from: Stage, to: Stage) -> Statement {
    Statement {
        sql: "UPDATE request SET stage = ?3 WHERE id = ?1 AND stage = ?2",
        values: vec![count(request.0), from.as_str().into(), to.as_str().into()],
        guard: Some(1),
    }
}

/// A launched request is pending again, for its next attempt. Launched once, it waits for no date any more.
pub fn bring_back(request: RequestId, attempt: u32) -> Statement {
    Statement {
        sql: "UPDATE request SET stage = 'ready', attempt = ?2 + 1, ripe_at = 0, wake_at = 0 WHERE id = ?1 AND stage = 'launched' AND attempt = ?2",
        values: vec![count(request.0), i64::from(attempt).into()],
        guard: Some(1),
    }
}

/// Ends a launched request; it waits for nothing any more.
pub fn end_launched(request: RequestId) -> Statement {
    Statement {
        sql: "DELETE FROM request WHERE id = ?1 AND stage = 'launched'",
        values: vec![count(request.0)],
        guard: Some(1),
    }
}

/// Ends a pending request. Guarded by the stage it was read at.
pub fn end_request(request: RequestId, from: Stage) -> [Statement; 2] {
    [
        Statement {
            sql: "DELETE FROM request WHERE id = ?1 AND stage = ?2",
            values: vec![count(request.0), from.as_str().into()],
            guard: Some(1),
        },
        await_nothing(request),
    ]
}

/// A request waits for no other identifier any more.
pub fn await_nothing(request: RequestId) -> Statement {
    Statement { sql: "DELETE FROM run_after WHERE request = ?1", values: vec![count(request.0)], guard: None }
}

/// Looks again at what stands behind a request of another process's life; its floor is looked at when it ripens.
pub fn ripen_follower(request: RequestId) -> Statement {
    Statement {
        sql: "UPDATE request
              SET wake_at = ripe_at,
                stage = CASE
                WHEN EXISTS (SELECT 1 FROM run_after WHERE run_after.request = request.id) THEN 'after'
                ELSE 'ripening' END
              WHERE stage = 'behind'
                AND NOT EXISTS (
                  SELECT 1 FROM request AS older
                  WHERE older.bundle = request.bundle AND older.identifier = request.identifier AND older.id < request.id
                    AND older.id <> ?1)",
        values: vec![count(request.0)],
        guard: None,
    }
}

/// Ends every pending request of a bundle.
pub fn end_pending(bundle: &BundleId) -> [Statement; 2] {
    [
        Statement {
            sql: "DELETE FROM run_after
                  WHERE request IN (SELECT id FROM request WHERE bundle = ?1 AND stage <> 'launched')",
            values: vec![bundle.as_str().into()],
            guard: None,
        },
        Statement {
            sql: "DELETE FROM request WHERE bundle = ?1 AND stage <> 'launched'",
            values: vec![bundle.as_str().into()],
            guard: None,
        },
    ]
}

/// A request waits for an identifier to succeed.
pub fn insert_run_after(bundle: &BundleId, identifier: &Identifier, request: RequestId) -> Statement {
    Statement {
        sql: "INSERT OR IGNORE INTO run_after (bundle, identifier, request) VALUES (?1, ?2, ?3)",
        values: vec![bundle.as_str().into(), identifier.as_str().into(), count(request.0)],
        guard: None,
    }
}

/// An identifier succeeded: nobody waits for it any more.
pub fn remove_run_after(bundle: &BundleId, identifier: &Identifier) -> Statement {
    Statement {
        sql: "DELETE FROM run_after WHERE bundle = ?1 AND identifier = ?2",
        values: vec![bundle.as_str().into(), identifier.as_str().into()],
        guard: None,
    }
}

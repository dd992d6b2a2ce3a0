//! Unfinished requests: lanes, ripening floors, and what runs after what. Each read is one index look-up, whatever is pending.

use super::{Store, database::*, row::*};
use crate::rules::{
    BundleId, Identifier, Kind, KindName, Lane, Needs, Priority, Request, RequestId, RequestRecord, Stage, Timestamp,
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
            ", run_after, may_suspend, attempt, submitted_at FROM request ",
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

    /// The first requests of a lane: higher priority first, then older.
    pub fn heads(&mut self, lane: &Lane, limit: usize) -> Result<Vec<StoredRequest>, StoreError> {
        self.requests(
            select_requests!(
                "WHERE stage = 'ready' AND bundle = ?1 AND kind = ?2 AND network = ?3 AND power = ?4
                 ORDER BY priority DESC, id
                 LIMIT ?5"
            ),
            &[
                lane.bundle.as_str().into(),
                lane.kind.as_str().into(),
                i64::from(lane.needs.network).into(),
                i64::from(lane.needs.external_power).into(),
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
    pub fn next_ripening(&mut self) -> Result<Option<Timestamp>, StoreError> {
        let rows = self.database.query("SELECT min(ripe_at) FROM request WHERE stage = 'ripening'", &[])?;
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

    /// Pending requests that were never launched, counted by bundle and kind.
    pub fn pending_counts(&mut self) -> Result<Vec<(BundleId, KindName, u64)>, StoreError> {
        let rows = self.database.query(
            "SELECT bundle, kind, count(*)
             FROM request
             WHERE stage <> 'launched' AND attempt = 1
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
        let rows = self
            .database
            .query("SELECT DISTINCT bundle, kind, network, power FROM request WHERE stage = 'ready'", &[])?;
        rows.into_iter()
            .map(|row| {
                let mut row = Row::new(row);
                Ok(Lane {
                    bundle: row.word(|name| BundleId::parse(name).ok())?,
                    kind: row.word(KindName::parse)?,
                    needs: Needs { network: row.flag()?, external_power: row.flag()? },
                })
            })
            .collect()
    }

    /// Whether any request stands ready.
    pub fn any_ready(&mut self) -> Result<bool, StoreError> {
        Ok(!self.database.query("SELECT 1 FROM request WHERE stage = 'ready' LIMIT 1", &[])?.is_empty())
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
    let kind_name = row.word(KindName::parse)?;
    let needs = Needs { network: row.flag()?, external_power: row.flag()? };
    let kind = match kind_name {
        KindName::AppRefresh => Kind::AppRefresh,
        KindName::Processing => Kind::Processing(needs),
        KindName::HealthResearch | KindName::ContinuedProcessing => {
            return Err(damaged("a kind this host admits", &Some(kind_name.as_str().into())));
        }
    };
    let stage = row.word(Stage::parse)?;
    let earliest_begin = row.optional_moment()?;
    let priority = match row.integer()? {
        0 => Priority::Low,
        1 => Priority::Normal,
        _ => Priority::High,
    };
    let input = row.bytes()?;
    let run_after = row
        .word(|names| names.split_whitespace().map(|name| Identifier::parse(name).ok()).collect::<Option<Vec<_>>>())?;
    let may_suspend = row.flag()?;
    let attempt = u32::try_from(row.integer()?).unwrap_or(u32::MAX);
    let submitted_at = row.moment()?;
    let request = Request { earliest_begin, input, priority, run_after, may_suspend, ..Request::new(identifier, kind) };
    Ok(StoredRequest { record: RequestRecord { id, bundle, request, attempt, submitted_at }, stage })
}

fn priority_rank(priority: Priority) -> i64 {
    match priority {
        Priority::Low => 0,
        Priority::Normal => 1,
        Priority::High => 2,
    }
}

pub fn insert_request(stored: &StoredRequest) -> Statement {
    let RequestRecord { id, bundle, request, attempt, submitted_at } = &stored.record;
    let needs = request.kind.needs();
    let run_after: Vec<&str> = request.run_after.iter().map(Identifier::as_str).collect();
    Statement {
        sql: "INSERT INTO request (id, bundle, identifier, kind, network, power, stage, ripe_at, earliest_begin, priority,
                input, run_after, may_suspend, attempt, submitted_at)
              VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, coalesce(?8, 0), ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        values: vec![
            count(id.0),
            bundle.as_str().into(),
            request.identifier.as_str().into(),
            request.kind.name().as_str().into(),
            i64::from(needs.network).into(),
            i64::from(needs.external_power).into(),
            stored.stage.as_str().into(),
            request.earliest_begin.map(Timestamp::as_millisecond).into(),
            priority_rank(request.priority).into(),
            Value::Blob(request.input.clone()),
            run_after.join(" ").as_str().into(),
            i64::from(request.may_suspend).into(),
            i64::from(*attempt).into(),
            milliseconds(*submitted_at),
        ],
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

/// A launched request is pending again, for its next attempt.
pub fn bring_back(request: RequestId, attempt: u32) -> Statement {
    Statement {
        sql: "UPDATE request SET stage = 'ready', attempt = ?2 + 1 WHERE id = ?1 AND stage = 'launched' AND attempt = ?2",
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
        Statement { sql: "DELETE FROM run_after WHERE request = ?1", values: vec![count(request.0)], guard: None },
    ]
}

/// Looks again at what stands behind a request of another process's life; its floor is looked at when it ripens.
pub fn ripen_follower(request: RequestId) -> Statement {
    Statement {
        sql: "UPDATE request
              SET stage = CASE
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

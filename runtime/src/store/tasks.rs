//! Tasks: what runs, and the history of what ran.

use std::time::Duration;

use super::{Store, database::*, row::*};
use crate::rules::{
    BundleId, Ended, ExpirationReason, Identifier, KindName, Outcome, Progress, RequestId, TaskFilter, TaskId,
    TaskRecord, Timestamp, Title, Usage,
};

/// The head of a `SELECT` whose rows `task_record` reads.
macro_rules! select_tasks {
    ($tail:literal) => {
        concat!(
            "SELECT id, request, bundle, identifier, kind, attempt, launched_at, completed, total, ended_at, outcome, ",
            "reason, returned, message, output, fuel, wall_us, peak_memory, title, subtitle FROM task ",
            $tail
        )
    };
}

impl Store {
    pub fn task(&mut self, task: TaskId) -> Result<Option<TaskRecord>, StoreError> {
        Ok(self.read_tasks(select_tasks!("WHERE id = ?1"), &[count(task.0)])?.pop())
    }

    /// Tasks, newest first.
    pub fn tasks(&mut self, filter: &TaskFilter) -> Result<Vec<TaskRecord>, StoreError> {
        let TaskFilter { identifier, bundle, before, limit } = filter;
        self.read_tasks(
            select_tasks!(
                "WHERE (?1 IS NULL OR identifier = ?1) AND (?2 IS NULL OR bundle = ?2) AND (?3 IS NULL OR id < ?3)
                 ORDER BY id DESC
                 LIMIT ?4"
            ),
            &[
                identifier.as_ref().map(Identifier::as_str).into(),
                bundle.as_ref().map(BundleId::as_str).into(),
                before.map_or(Value::Null, |task| count(task.0)),
                count(*limit as u64),
            ],
        )
    }

    /// The newest task of an identifier that ended.
    pub fn last_ended(&mut self, bundle: &BundleId, identifier: &Identifier) -> Result<Option<TaskRecord>, StoreError> {
        let mut tasks = self.read_tasks(
            select_tasks!(
                "WHERE bundle = ?1 AND identifier = ?2 AND outcome IS NOT NULL
                 ORDER BY id DESC
                 LIMIT 1"
            ),
            &[bundle.as_str().into(), identifier.as_str().into()],
        )?;
        Ok(tasks.pop())
    }

    /// Whether an identifier has succeeded within the history that is kept.
    pub fn has_succeeded(&mut self, bundle: &BundleId, identifier: &Identifier) -> Result<bool, StoreError> {
        let rows = self.database.query(
            "SELECT 1 FROM task WHERE bundle = ?1 AND identifier = ?2 AND outcome = 'succeeded' LIMIT 1",
            &[bundle.as_str().into(), identifier.as_str().into()],
        )?;
        Ok(!rows.is_empty())
    }

    /// Tasks that were running when the host died.
    pub fn orphans(&mut self) -> Result<Vec<TaskRecord>, StoreError> {
        self.read_tasks(select_tasks!("WHERE outcome IS NULL ORDER BY id"), &[])
    }

    /// Ended tasks by bundle, counted.
    pub fn history_counts(&mut self) -> Result<Vec<(BundleId, u64)>, StoreError> {
        let rows = self.database.query("SELECT bundle, count(*) FROM task GROUP BY bundle", &[])?;
        rows.into_iter()
            .map(|row| {
                let mut row = Row::new(row);
                Ok((row.word(|name| BundleId::parse(name).ok())?, row.count()?))
            })
            .collect()
    }

    /// The oldest ended tasks of a bundle.
    pub fn oldest(&mut self, bundle: &BundleId, limit: u64) -> Result<Vec<TaskId>, StoreError> {
        self.task_ids(
            // Not by the outcome itself, for which every row of the bundle would have to be read.
            "SELECT id
             FROM task
             WHERE bundle = ?1 AND id NOT IN (SELECT id FROM task WHERE outcome IS NULL)
             ORDER BY id
             LIMIT ?2",
            &[bundle.as_str().into(), count(limit)],
        )
    }

    /// Ended tasks that ended before `moment`, oldest first.
    pub fn ended_before(&mut self, moment: Timestamp, limit: u64) -> Result<Vec<TaskId>, StoreError> {
        self.task_ids(
            "SELECT id FROM task NOT INDEXED WHERE ended_at < ?1 ORDER BY id LIMIT ?2",
            &[milliseconds(moment), count(limit)],
        )
    }

    fn task_ids(&mut self, sql: &'static str, values: &[Value]) -> Result<Vec<TaskId>, StoreError> {
        self.database.query(sql, values)?.into_iter().map(|row| Ok(TaskId(Row::new(row).count()?))).collect()
    }

    fn read_tasks(&mut self, sql: &'static str, values: &[Value]) -> Result<Vec<TaskRecord>, StoreError> {
        self.database.query(sql, values)?.into_iter().map(|row| task_record(Row::new(row))).collect()
    }
}

fn task_record(mut row: Row) -> Result<TaskRecord, StoreError> {
    let id = TaskId(row.count()?);
    let request = RequestId(row.count()?);
    let bundle = row.word(|name| BundleId::parse(name).ok())?;
    let identifier = row.word(|name| Identifier::parse(name).ok())?;
    let kind = row.word(KindName::parse)?;
    let attempt = u32::try_from(row.integer()?).unwrap_or(u32::MAX);
    let launched_at = row.moment()?;
    let progress = match (row.optional_integer()?, row.optional_integer()?) {
        (Some(completed), Some(total)) => {
            Some(Progress { completed: completed.unsigned_abs(), total: total.unsigned_abs() })
        }
        (_, _) => None,
    };
    let ended = match row.optional_moment()? {
        Some(at) => Some(Ended { at, outcome: outcome(&mut row)?, usage: usage(&mut row)? }),
        None => {
            // The columns of an end, which is still to come.
            row.skip(8)?;
            None
        }
    };
    let title = title(row.optional_text()?, row.optional_text()?);
    let suspended = false;
    Ok(TaskRecord { id, request, bundle, identifier, kind, attempt, launched_at, progress, title, suspended, ended })
}

pub(super) fn title(title: Option<String>, subtitle: Option<String>) -> Option<Title> {
    title.map(|title| Title { title, subtitle: subtitle.unwrap_or_default() })
}

fn outcome(row: &mut Row) -> Result<Outcome, StoreError> {
    let name = row.text()?;
    let reason = row.optional_text()?;
    let returned = row.optional_text()?;
    let message = row.optional_text()?;
    let output = row.optional_bytes()?;
    match name.as_str() {
        "succeeded" => Ok(Outcome::Succeeded { output: output.unwrap_or_default() }),
        "failed" => Ok(Outcome::Failed { message: message.unwrap_or_default() }),
        "trapped" => Ok(Outcome::Trapped { message: message.unwrap_or_default() }),
        "interrupted" => Ok(Outcome::Interrupted),
        "expired" => Ok(Outcome::Expired {
            reason: reason
                .as_deref()
                .and_then(ExpirationReason::parse)
                .ok_or_else(|| damaged("an expiration reason", &reason.map(Value::Text)))?,
            returned: match returned.as_deref() {
                None => None,
                Some("output") => Some(Ok(output.unwrap_or_default())),
                Some(_) => Some(Err(message.unwrap_or_default())),
            },
        }),
        _ => Err(damaged("an outcome", &Some(Value::Text(name)))),
    }
}

fn usage(row: &mut Row) -> Result<Usage, StoreError> {
    Ok(Usage { fuel: row.count()?, wall: Duration::from_micros(row.count()?), peak_memory: row.count()? })
}

pub fn insert_task(task: &TaskRecord) -> Statement {
    let TaskRecord { id, request, bundle, identifier, kind, attempt, launched_at, title, .. } = task;
    Statement {
        sql: "INSERT INTO task (id, request, bundle, identifier, kind, attempt, launched_at, title, subtitle)
              VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        values: vec![
            count(id.0),
            count(request.0),
            bundle.as_str().into(),
            identifier.as_str().into(),
            kind.as_str().into(),
            i64::from(*attempt).into(),
            milliseconds(*launched_at),
            title.as_ref().map(|title| title.title.as_str()).into(),
            title.as_ref().map(|title| title.subtitle.as_str()).into(),
        ],
        guard: Some(1),
    }
}

/// Records a running task's end. Guarded: a task ends once.
pub fn end_task(task: TaskId, progress: Option<Progress>, title: Option<&Title>, ended: &Ended) -> Statement {
    let Ended { at, outcome, usage } = ended;
    let reason = match outcome {
        Outcome::Expired { reason, .. } => Some(reason.as_str()),
        Outcome::Succeeded { .. } | Outcome::Failed { .. } | Outcome::Trapped { .. } | Outcome::Interrupted => None,
    };
    let returned = match outcome {
        Outcome::Expired { returned, .. } => {
            returned.as_ref().map(|said| if said.is_ok() { "output" } else { "message" })
        }
        Outcome::Succeeded { .. } | Outcome::Failed { .. } | Outcome::Trapped { .. } | Outcome::Interrupted => None,
    };
    let message = match outcome {
        Outcome::Failed { message } | Outcome::Trapped { message } => Some(message.as_str()),
        Outcome::Expired { returned: Some(Err(message)), .. } => Some(message.as_str()),
        Outcome::Succeeded { .. } | Outcome::Expired { .. } | Outcome::Interrupted => None,
    };
    let output = match outcome {
        Outcome::Succeeded { output } | Outcome::Expired { returned: Some(Ok(output)), .. } => Some(output),
        Outcome::Failed { .. } | Outcome::Trapped { .. } | Outcome::Expired { .. } | Outcome::Interrupted => None,
    };
    Statement {
        sql: "UPDATE task
              SET completed = ?2, total = ?3, ended_at = ?4, outcome = ?5, reason = ?6, returned = ?7, message = ?8,
                output = ?9, fuel = ?10, wall_us = ?11, peak_memory = ?12,
                title = coalesce(?13, title), subtitle = coalesce(?14, subtitle)
              WHERE id = ?1 AND outcome IS NULL",
        values: vec![
            count(task.0),
            progress.map_or(Value::Null, |progress| count(progress.completed)),
            progress.map_or(Value::Null, |progress| count(progress.total)),
            milliseconds(*at),
            outcome.name().into(),
            reason.into(),
            returned.into(),
            message.into(),
            output.map_or(Value::Null, |bytes| Value::Blob(bytes.clone())),
            count(usage.fuel),
            count(u64::try_from(usage.wall.as_micros()).unwrap_or(u64::MAX)),
            count(usage.peak_memory),
            title.map(|title| title.title.as_str()).into(),
            title.map(|title| title.subtitle.as_str()).into(),
        ],
        guard: Some(1),
    }
}

/// Forgets an ended task.
pub fn remove_task(task: TaskId) -> Statement {
    Statement {
        sql: "DELETE FROM task WHERE id = ?1 AND outcome IS NOT NULL",
        values: vec![count(task.0)],
        guard: None,
    }
}

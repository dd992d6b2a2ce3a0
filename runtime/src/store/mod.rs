//! What has been promised, on disk. Reads are functions; changes are statements, collected by the scheduler and committed
//! as one. Holds no rule: which statements belong together is decided elsewhere.

mod bundles;
mod database;
mod history;
mod keys;
mod pace;
mod requests;
mod row;
mod schedules;
mod sqlite;
mod tasks;

pub use bundles::*;
pub use database::*;
pub use history::*;
pub use keys::*;
pub use pace::*;
pub use requests::*;
pub use schedules::*;
pub use sqlite::*;
pub use tasks::*;

use crate::rules::{RequestId, TaskId};

/// The one writer of the database.
pub struct Store {
    database: Box<dyn Database>,
    next_request: u64,
    next_task: u64,
}

impl Store {
    /// Errors: the database cannot be read.
    pub fn open(mut database: Box<dyn Database>) -> Result<Store, StoreError> {
        // A request may be gone and its number still stand in a task or in history: numbers are never used twice.
        let newest_request = number(
            &mut *database,
            "SELECT max(
               (SELECT coalesce(max(id), 0) FROM request),
               (SELECT coalesce(max(request), 0) FROM task),
               (SELECT coalesce(max(request), 0) FROM submission_key),
               (SELECT coalesce(max(request), 0) FROM history))",
        )?;
        let newest_task = number(&mut *database, "SELECT coalesce(max(id), 0) FROM task")?;
        Ok(Store { database, next_request: newest_request + 1, next_task: newest_task + 1 })
    }

    pub fn new_request_id(&mut self) -> RequestId {
        let id = RequestId(self.next_request);
        self.next_request += 1;
        id
    }

    pub fn new_task_id(&mut self) -> TaskId {
        let id = TaskId(self.next_task);
        self.next_task += 1;
        id
    }

    /// Commits all of `statements`, durably, or none.
    pub fn commit(&mut self, statements: &[Statement]) -> Result<(), StoreError> {
        self.database.commit(statements)
    }
}

fn number(database: &mut dyn Database, sql: &'static str) -> Result<u64, StoreError> {
    match database.query(sql, &[])?.first().and_then(|row| row.first()) {
        Some(Value::Integer(number)) => Ok(u64::try_from(*number).unwrap_or(0)),
        Some(Value::Null | Value::Text(_) | Value::Blob(_)) | None => Ok(0),
    }
}

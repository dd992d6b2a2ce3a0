//! The keys of submissions: who asks twice under one key is answered once.

use super::{Store, database::*, row::*};
use crate::rules::{RequestId, Submission, Timestamp};

/// A submission that was accepted under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptSubmission {
    /// Tells whether the same was asked for again.
    pub content: String,
    pub submission: Submission,
}

impl Store {
    pub fn submission(&mut self, key: &str) -> Result<Option<KeptSubmission>, StoreError> {
        let sql = "SELECT content, request, replaced FROM submission_key WHERE key = ?1";
        let kept = |row| {
            let mut row = Row::new(row);
            let content = row.text()?;
            let submission = Submission { request: RequestId(row.count()?), replaced: row.flag()? };
            Ok(KeptSubmission { content, submission })
        };
        self.database.query(sql, &[key.into()])?.into_iter().next().map(kept).transpose()
    }
}

/// Remembers a submission under its key. Guarded: a key is used once.
pub fn keep_submission(at: Timestamp, key: &str, kept: &KeptSubmission) -> Statement {
    let KeptSubmission { content, submission: Submission { request, replaced } } = kept;
    Statement {
        sql: "INSERT INTO submission_key (key, content, request, replaced, at)
              VALUES (?1, ?2, ?3, ?4, ?5)",
        values: vec![
            key.into(),
            content.as_str().into(),
            count(request.0),
            i64::from(*replaced).into(),
            milliseconds(at),
        ],
        guard: Some(1),
    }
}

/// Forgets the keys of submissions before `moment`.
pub fn forget_submissions(moment: Timestamp) -> Statement {
    Statement { sql: "DELETE FROM submission_key WHERE at < ?1", values: vec![milliseconds(moment)], guard: None }
}

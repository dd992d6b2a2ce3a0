//! The history of bundles, and of requests that ended without a task.

use super::{Store, database::*, row::*};
use crate::rules::{
    BundleId, HistoryEntry, HistoryFilter, HistoryRecord, HistoryWord, Identifier, RequestId, Timestamp,
};

impl Store {
    /// What changed, newest first.
    pub fn history(&mut self, filter: &HistoryFilter) -> Result<Vec<HistoryRecord>, StoreError> {
        let HistoryFilter { identifier, bundle, before, limit } = filter;
        let rows = self.database.query(
            "SELECT id, at, bundle, what, identifier, request, detail FROM history
             WHERE (?1 IS NULL OR identifier = ?1) AND (?2 IS NULL OR bundle = ?2) AND (?3 IS NULL OR id < ?3)
             ORDER BY id DESC
             LIMIT ?4",
            &[
                identifier.as_ref().map(Identifier::as_str).into(),
                bundle.as_ref().map(BundleId::as_str).into(),
                before.map_or(Value::Null, count),
                count(*limit as u64),
            ],
        )?;
        rows.into_iter().map(|row| history_record(Row::new(row))).collect()
    }
}

impl Store {
    /// When a bundle itself was last changed, as far as history goes back.
    pub fn last_change(&mut self, bundle: &BundleId) -> Result<Option<Timestamp>, StoreError> {
        let rows = self.database.query(
            "SELECT max(at) FROM history WHERE bundle = ?1 AND request IS NULL AND identifier IS NULL",
            &[bundle.as_str().into()],
        )?;
        rows.into_iter().next().map_or(Ok(None), |row| Row::new(row).optional_moment())
    }
}

fn history_record(mut row: Row) -> Result<HistoryRecord, StoreError> {
    let id = row.count()?;
    let at = row.moment()?;
    let bundle = row.word(|name| BundleId::parse(name).ok())?;
    let what = row.word(HistoryWord::parse)?;
    let identifier = row.optional_text()?;
    let identifier = match identifier {
        Some(name) => {
            Some(Identifier::parse(&name).map_err(|_| damaged("an identifier", &Some(Value::Text(name.clone()))))?)
        }
        None => None,
    };
    let request = row.optional_integer()?.map(|number| RequestId(number.unsigned_abs()));
    Ok(HistoryRecord {
        id,
        at,
        entry: HistoryEntry { bundle, what, identifier, request, detail: row.optional_text()? },
    })
}

pub fn note_in_history(at: Timestamp, entry: &HistoryEntry) -> Statement {
    let HistoryEntry { bundle, what, identifier, request, detail } = entry;
    Statement {
        sql: "INSERT INTO history (at, bundle, what, identifier, request, detail)
              VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        values: vec![
            milliseconds(at),
            bundle.as_str().into(),
            what.as_str().into(),
            identifier.as_ref().map(Identifier::as_str).into(),
            request.map_or(Value::Null, |request| count(request.0)),
            detail.as_deref().into(),
        ],
        guard: Some(1),
    }
}

/// Forgets what a bundle's history holds beyond its newest `kept` changes.
pub fn bound_history(bundle: &BundleId, kept: u64) -> Statement {
    Statement {
        sql: "DELETE FROM history
              WHERE bundle = ?1
                AND id <= (SELECT id FROM history WHERE bundle = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
        values: vec![bundle.as_str().into(), count(kept)],
        guard: None,
    }
}

//! What bundles have used up of what they may.

use std::time::Duration;

use super::{Store, database::*, row::*};
use crate::rules::{BundleId, Pace, Paces};

impl Store {
    pub fn paces(&mut self) -> Result<Paces, StoreError> {
        let rows = self.database.query("SELECT bundle, launched_at, day, used_us FROM pace", &[])?;
        rows.into_iter()
            .map(|row| {
                let mut row = Row::new(row);
                let bundle = row.word(|name| BundleId::parse(name).ok())?;
                let (launched_at, day) = (row.moment()?, row.integer()?);
                Ok((bundle, Pace { launched_at, day, used: Duration::from_micros(row.count()?) }))
            })
            .collect()
    }
}

pub fn put_pace(bundle: &BundleId, pace: Pace) -> Statement {
    let Pace { launched_at, day, used } = pace;
    Statement {
        sql: "INSERT INTO pace (bundle, launched_at, day, used_us)
              VALUES (?1, ?2, ?3, ?4)
              ON CONFLICT (bundle) DO UPDATE SET
                launched_at = excluded.launched_at,
                day = excluded.day,
                used_us = excluded.used_us",
        values: vec![
            bundle.as_str().into(),
            milliseconds(launched_at),
            day.into(),
            count(u64::try_from(used.as_micros()).unwrap_or(u64::MAX)),
        ],
        guard: Some(1),
    }
}

/// Forgets what a bundle that is gone has used.
pub fn remove_pace(bundle: &BundleId) -> Statement {
    Statement { sql: "DELETE FROM pace WHERE bundle = ?1", values: vec![bundle.as_str().into()], guard: None }
}

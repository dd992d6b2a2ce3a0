//! Installed bundles and the checkpoints of their handlers.

use super::{Store, database::*, row::*};
use crate::rules::{BundleId, Identifier, Timestamp};

/// An installed bundle as text; the bundle room knows what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleRow {
    pub id: BundleId,
    pub digest: String,
    /// The manifest as its author wrote it.
    pub manifest: String,
    /// The grants in JSON.
    pub grants: String,
    pub installed_at: Timestamp,
}

impl Store {
    pub fn bundles(&mut self) -> Result<Vec<BundleRow>, StoreError> {
        let rows =
            self.database.query("SELECT id, digest, manifest, grants, installed_at FROM bundle ORDER BY id", &[])?;
        rows.into_iter()
            .map(|row| {
                let mut row = Row::new(row);
                Ok(BundleRow {
                    id: row.word(|name| BundleId::parse(name).ok())?,
                    digest: row.text()?,
                    manifest: row.text()?,
                    grants: row.text()?,
                    installed_at: row.moment()?,
                })
            })
            .collect()
    }

    pub fn checkpoint(&mut self, bundle: &BundleId, identifier: &Identifier) -> Result<Option<Vec<u8>>, StoreError> {
        let rows = self.database.query(
            "SELECT data FROM checkpoint WHERE bundle = ?1 AND identifier = ?2",
            &[bundle.as_str().into(), identifier.as_str().into()],
        )?;
        rows.into_iter().next().map(|row| Row::new(row).bytes()).transpose()
    }

    /// Whether any checkpoint is kept.
    pub fn has_checkpoints(&mut self) -> Result<bool, StoreError> {
        Ok(!self.database.query("SELECT 1 FROM checkpoint LIMIT 1", &[])?.is_empty())
    }
}

/// Installs a bundle, or puts it in place of the one installed under its id.
pub fn put_bundle(bundle: &BundleRow) -> Statement {
    Statement {
        sql: "INSERT INTO bundle (id, digest, manifest, grants, installed_at)
              VALUES (?1, ?2, ?3, ?4, ?5)
              ON CONFLICT (id) DO UPDATE SET
                digest = excluded.digest,
                manifest = excluded.manifest,
                grants = excluded.grants,
                installed_at = excluded.installed_at",
        values: vec![
            bundle.id.as_str().into(),
            bundle.digest.as_str().into(),
            bundle.manifest.as_str().into(),
            bundle.grants.as_str().into(),
            milliseconds(bundle.installed_at),
        ],
        guard: Some(1),
    }
}

/// Removes a bundle and its checkpoints; its tasks stay as history.
pub fn remove_bundle(bundle: &BundleId) -> [Statement; 2] {
    [
        Statement { sql: "DELETE FROM bundle WHERE id = ?1", values: vec![bundle.as_str().into()], guard: Some(1) },
        Statement {
            sql: "DELETE FROM checkpoint WHERE bundle = ?1",
            values: vec![bundle.as_str().into()],
            guard: None,
        },
    ]
}

pub fn put_checkpoint(bundle: &BundleId, identifier: &Identifier, data: Vec<u8>) -> Statement {
    Statement {
        sql: "INSERT INTO checkpoint (bundle, identifier, data)
              VALUES (?1, ?2, ?3)
              ON CONFLICT (bundle, identifier) DO UPDATE SET data = excluded.data",
        values: vec![bundle.as_str().into(), identifier.as_str().into(), Value::Blob(data)],
        guard: Some(1),
    }
}

pub fn remove_checkpoint(bundle: &BundleId, identifier: &Identifier) -> Statement {
    Statement {
        sql: "DELETE FROM checkpoint WHERE bundle = ?1 AND identifier = ?2",
        values: vec![bundle.as_str().into(), identifier.as_str().into()],
        guard: None,
    }
}

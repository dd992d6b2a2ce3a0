//! Installed bundles and the checkpoints of their handlers.

use super::{Store, database::*, row::*};
use crate::rules::{BundleId, Identifier, Timestamp};

/// An installed bundle as text; the bundle room knows what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleRow {
    pub id: BundleId,
    pub current: VersionRow,
    /// False when a person disabled it.
    pub enabled: bool,
    /// What was installed before, for a way back.
    pub previous: Option<VersionRow>,
}

/// One version of a bundle. Its component is kept for as long as this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRow {
    pub digest: String,
    /// The manifest as its author wrote it.
    pub manifest: String,
    /// The grants in JSON.
    pub grants: String,
    pub installed_at: Timestamp,
    /// The key that signed it; none when it was not signed.
    pub signer: Option<String>,
}

/// What stays of a bundle that was uninstalled with its data kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptData {
    pub bundle: BundleId,
    /// The key that signed the version it is of; none when that was not signed.
    pub signer: Option<String>,
}

impl Store {
    pub fn bundles(&mut self) -> Result<Vec<BundleRow>, StoreError> {
        let rows = self.database.query(
            "SELECT id, enabled,
               bundle.digest, bundle.manifest, bundle.grants, bundle.installed_at, bundle.signer,
               previous.bundle IS NOT NULL,
               previous.digest, previous.manifest, previous.grants, previous.installed_at, previous.signer
             FROM bundle
             LEFT JOIN previous_version AS previous ON previous.bundle = bundle.id
             ORDER BY id",
            &[],
        )?;
        rows.into_iter().map(|row| bundle_row(Row::new(row))).collect()
    }

    /// Uninstalled bundles whose data was to be kept.
    pub fn kept_data(&mut self) -> Result<Vec<KeptData>, StoreError> {
        let rows = self.database.query("SELECT bundle, signer FROM kept_data ORDER BY bundle", &[])?;
        let kept = |mut row: Row| {
            let bundle = row.word(|name| BundleId::parse(name).ok())?;
            Ok(KeptData { bundle, signer: row.optional_text()? })
        };
        rows.into_iter().map(|row| kept(Row::new(row))).collect()
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

fn bundle_row(mut row: Row) -> Result<BundleRow, StoreError> {
    let id = row.word(|name| BundleId::parse(name).ok())?;
    let enabled = row.flag()?;
    let current = version_row(&mut row)?;
    let previous = if row.flag()? { Some(version_row(&mut row)?) } else { None };
    Ok(BundleRow { id, current, enabled, previous })
}

fn version_row(row: &mut Row) -> Result<VersionRow, StoreError> {
    Ok(VersionRow {
        digest: row.text()?,
        manifest: row.text()?,
        grants: row.text()?,
        installed_at: row.moment()?,
        signer: row.optional_text()?,
    })
}

/// Installs a bundle, or puts it in place of the one installed under its id. Data kept for it is its own again.
pub fn put_bundle(bundle: &BundleRow) -> Vec<Statement> {
    let BundleRow { id, current, enabled, previous } = bundle;
    let mut values = version_values(id, current);
    values.push(i64::from(*enabled).into());
    let put = Statement {
        sql: "INSERT INTO bundle (id, digest, manifest, grants, installed_at, signer, enabled)
              VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
              ON CONFLICT (id) DO UPDATE SET
                digest = excluded.digest,
                manifest = excluded.manifest,
                grants = excluded.grants,
                installed_at = excluded.installed_at,
                signer = excluded.signer,
                enabled = excluded.enabled",
        values,
        guard: Some(1),
    };
    let put_previous = match previous {
        Some(previous) => Statement {
            sql: "INSERT INTO previous_version (bundle, digest, manifest, grants, installed_at, signer)
                  VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                  ON CONFLICT (bundle) DO UPDATE SET
                    digest = excluded.digest,
                    manifest = excluded.manifest,
                    grants = excluded.grants,
                    installed_at = excluded.installed_at,
                    signer = excluded.signer",
            values: version_values(id, previous),
            guard: Some(1),
        },
        None => forget_previous(id),
    };
    vec![put, put_previous, forget_kept_data(id)]
}

fn version_values(bundle: &BundleId, version: &VersionRow) -> Vec<Value> {
    let VersionRow { digest, manifest, grants, installed_at, signer } = version;
    vec![
        bundle.as_str().into(),
        digest.as_str().into(),
        manifest.as_str().into(),
        grants.as_str().into(),
        milliseconds(*installed_at),
        signer.as_deref().into(),
    ]
}

fn forget_previous(bundle: &BundleId) -> Statement {
    Statement {
        sql: "DELETE FROM previous_version WHERE bundle = ?1",
        values: vec![bundle.as_str().into()],
        guard: None,
    }
}

/// Removes a bundle; its tasks stay as history. With `keep_data` its checkpoints stay too, and a note that its data does and
/// whose it is.
pub fn remove_bundle(bundle: &BundleId, keep_data: bool) -> Vec<Statement> {
    let of_bundle = |sql, guard| Statement { sql, values: vec![bundle.as_str().into()], guard };
    let data = match keep_data {
        true => of_bundle(
            "INSERT OR REPLACE INTO kept_data (bundle, signer)
             SELECT id, signer FROM bundle WHERE id = ?1",
            Some(1),
        ),
        false => of_bundle("DELETE FROM checkpoint WHERE bundle = ?1", None),
    };
    vec![data, of_bundle("DELETE FROM bundle WHERE id = ?1", Some(1)), forget_previous(bundle)]
}

/// What was kept of an uninstalled bundle is kept no longer.
pub fn drop_kept_data(bundle: &BundleId) -> [Statement; 2] {
    [
        forget_kept_data(bundle),
        Statement {
            sql: "DELETE FROM checkpoint WHERE bundle = ?1",
            values: vec![bundle.as_str().into()],
            guard: None,
        },
    ]
}

fn forget_kept_data(bundle: &BundleId) -> Statement {
    Statement { sql: "DELETE FROM kept_data WHERE bundle = ?1", values: vec![bundle.as_str().into()], guard: None }
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

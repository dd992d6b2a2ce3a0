//! A version of a bundle takes the place of the one before, and goes back. Everything is checked before anything is kept;
//! what is kept is one row, written in one commit with all that follows from it.

use std::{cmp::Ordering, collections::BTreeMap, sync::Arc};

use super::{
    Host, HostError, Installation, Installed,
    bundles::{TakenBack, signer_named, what_changed},
    kept_grants,
    settle::{Settle, Standing, off_the_host},
    trust::signed_before,
};
use crate::{
    bundle::{self, Bundle, Follows, Grants, Manifest, Offer, TrustedKey, Verdict},
    rules::{BundleId, Happening, What},
    scheduler::InstalledBundle,
    store::{BundleRow, StoreError, VersionRow},
};

impl Host {
    /// Installs a bundle (a folder, its `idlewild.toml`, or a packed file) with what it is given of what it asks for, or puts it
    /// in place of the one of its id. Atomic: after an error everything is as before.
    pub async fn install(&self, installation: &Installation) -> Result<Installed, HostError> {
        let Installation { source, grants: offered, allow_downgrade, allow_other_signer, must_be_installed } =
            installation;
        let _one_at_a_time = self.inner.installing.lock().await;
        let source = source.clone();
        let offer = Arc::new(off_the_host(move || bundle::read(&source)).await.map_err(|_| HostError::Stopping)??);
        let id = offer.manifest.id.clone();
        let old = self.standing(&id).await?;
        if *must_be_installed && old.is_none() {
            return Err(HostError::NotFound(format!(
                "bundle {id} is not installed, so there is nothing to upgrade: install it with `idlewild install`"
            )));
        }
        let data = self.kept_data(&id).await?;
        let follows = signed_before(&id, old.as_ref().map(|old| &old.row.current), data.as_ref())?;
        let verdict = self.check_signature(&offer, follows.as_ref().filter(|_| !allow_other_signer))?;
        let kept = old.as_ref().map(|old| old.bundle.grants.clone()).unwrap_or_default();
        let grants = bundle::bind(&offer.manifest, &kept, offered)?;
        if let Some(old) = old.as_ref().filter(|old| old.bundle.digest == offer.digest) {
            return self.install_again(old, grants, verdict).await;
        }
        if let Some(old) = old.as_ref().filter(|_| !allow_downgrade) {
            check_order(&old.bundle.manifest, &offer.manifest)?;
        }
        check_names(&offer.manifest, &self.installed().await?)?;
        self.check_schedules(&offer.manifest)?;
        let replaced = self.replace(old.as_ref(), follows, &offer, grants, verdict).await;
        if replaced.is_err() {
            self.forget_unused(&offer.digest).await;
        }
        replaced
    }

    /// Goes back to the version before this one, with the grants of both as far as it asks for them. Going back twice goes
    /// forth again. Atomic: after an error everything is as before.
    pub async fn rollback(&self, bundle: &BundleId) -> Result<Installed, HostError> {
        let _one_at_a_time = self.inner.installing.lock().await;
        let old = self.known(bundle).await?;
        let Some(previous) = old.row.previous.clone() else {
            return Err(HostError::NotFound(format!(
                "bundle {bundle} has no version before {} to go back to: `idlewild upgrade` leaves one",
                old.bundle.manifest.version
            )));
        };
        let restored = restore_version(bundle, &previous)?;
        check_names(&restored.manifest, &self.installed().await?)?;
        let digest = &restored.digest;
        let (state, wanted) = (self.inner.state.clone(), digest.clone());
        let component = off_the_host(move || state.component(&wanted)).await.flatten();
        let component = component.map_err(|error| keep_error(bundle, &error))?;
        let Some(component) = component else {
            return Err(HostError::Store(format!(
                "bundle {bundle}: the component of version {} is gone; install that version anew",
                restored.manifest.version
            )));
        };
        self.examine(&restored.manifest, digest, &component).await?;
        let grants = merge(&restored, &old.bundle.grants)?;
        let verdict = self.verdict_of_kept(bundle, &previous)?;
        // Going back must not make a bundle that was signed one that anybody may replace.
        let signer = previous.signer.clone().or_else(|| old.row.current.signer.clone());
        let grants_text = kept_grants::write(&grants)?;
        let current = VersionRow { grants: grants_text, installed_at: self.now(), signer, ..previous };
        let row = BundleRow { current, previous: Some(old.row.current.clone()), ..old.row.clone() };
        let told = What::BundleRolledBack { bundle: bundle.clone(), version: restored.manifest.version.clone() };
        self.put(Some(&old), Arc::new(Bundle { grants, ..restored }), row, verdict, told).await
    }

    /// The same digest once more: nothing, unless what it is given changed, or it has been signed since.
    async fn install_again(&self, old: &Standing, grants: Grants, verdict: Verdict) -> Result<Installed, HostError> {
        let signer = verdict.signer().map(TrustedKey::file).or_else(|| old.row.current.signer.clone());
        let bundle = Arc::new(Bundle { grants, ..(*old.bundle).clone() });
        let mut told = Vec::new();
        if let Some(by) = verdict.signer().filter(|_| old.row.current.signer != signer) {
            told.push(What::BundleSigned { bundle: bundle.id().clone(), signer: signer_named(by) });
        }
        told.extend(what_changed(&old.bundle, &bundle));
        let changed = !told.is_empty();
        if changed {
            let current = VersionRow { signer, ..old.row.current.clone() };
            let signed = Standing { bundle: old.bundle.clone(), row: BundleRow { current, ..old.row.clone() } };
            self.give(&signed, bundle.clone(), &TakenBack::default(), told).await?;
        }
        Ok(installed(&bundle, verdict, old.row.enabled, changed, Some(old), 0))
    }

    async fn replace(
        &self,
        old: Option<&Standing>,
        follows: Option<Follows>,
        offer: &Arc<Offer>,
        grants: Grants,
        verdict: Verdict,
    ) -> Result<Installed, HostError> {
        let Offer { manifest, manifest_text, component, digest, signature: _ } = &**offer;
        self.examine(manifest, digest, component).await?;
        let kept = offer.clone();
        let kept = self.change_files(move |state| state.keep_component(&kept.digest, &kept.component)).await;
        kept.map_err(|error| keep_error(&manifest.id, &error))?;
        let current = VersionRow {
            digest: digest.clone(),
            manifest: manifest_text.clone(),
            grants: kept_grants::write(&grants)?,
            installed_at: self.now(),
            signer: match &verdict {
                // Where signatures are not looked at, who signed before is not forgotten.
                Verdict::Unchecked => follows.map(|follows| follows.signer().file()),
                verdict => verdict.signer().map(TrustedKey::file),
            },
        };
        let row = BundleRow {
            id: manifest.id.clone(),
            current,
            enabled: old.is_none_or(|old| old.row.enabled),
            previous: old.map(|old| old.row.current.clone()),
        };
        let bundle = Bundle { manifest: manifest.clone(), digest: digest.clone(), grants };
        let told = What::BundleInstalled { bundle: manifest.id.clone(), version: manifest.version.clone() };
        let put = self.put(old, Arc::new(bundle), row, verdict, told).await;
        if put.is_err() && old.is_none() {
            self.drop_data_unless_kept(&manifest.id).await;
        }
        put
    }

    /// Puts a version in place of the one that stands, and forgets the component that no row names any more.
    async fn put(
        &self,
        old: Option<&Standing>,
        bundle: Arc<Bundle>,
        row: BundleRow,
        verdict: Verdict,
        told: What,
    ) -> Result<Installed, HostError> {
        let otherwise = match old {
            Some(old) => format!("version {} stays, with all that was pending", old.bundle.manifest.version),
            None => "nothing was installed, mend the bundle and install it again".to_owned(),
        };
        let enabled = row.enabled;
        let changed = self
            .settle(Settle {
                row,
                bundle: bundle.clone(),
                activate: true,
                otherwise,
                expire_running: false,
                told: vec![told],
            })
            .await?;
        if let Some(dropped) = old.and_then(|old| old.row.previous.as_ref()) {
            self.forget_unused(&dropped.digest).await;
        }
        Ok(installed(&bundle, verdict, enabled, true, old, changed.cancelled))
    }

    async fn examine(&self, manifest: &Manifest, digest: &str, component: &[u8]) -> Result<(), HostError> {
        let Manifest { id, version, .. } = manifest;
        let compiles = !self.inner.engine.is_compiled(digest);
        if compiles {
            let bytes = component.len() as u64;
            self.tell(What::Compiling { bundle: id.clone(), version: version.clone(), bytes });
        }
        let examined = self.inner.engine.examine(digest, component).await;
        if compiles {
            let (bundle, version) = (id.clone(), version.clone());
            self.tell(match &examined {
                Ok(_) => What::Compiled { bundle, version },
                Err(error) => What::NotCompiled { bundle, version, message: error.to_string() },
            });
        }
        let registered = examined.map_err(|error| HostError::component(id, error))?;
        Ok(bundle::check_registration(manifest, &registered)?)
    }

    /// Tells of what no commit makes true.
    fn tell(&self, what: What) {
        // Nobody may be watching.
        let _ = self.inner.happenings.send(Arc::new(Happening { at: self.now(), what }));
    }
}

fn installed(
    bundle: &Bundle,
    signature: Verdict,
    enabled: bool,
    changed: bool,
    old: Option<&Standing>,
    cancelled: u64,
) -> Installed {
    Installed {
        bundle: bundle.id().clone(),
        version: bundle.manifest.version.clone(),
        digest: bundle.digest.clone(),
        signature,
        changed,
        before: old.filter(|old| old.bundle.digest != bundle.digest).map(|old| old.bundle.manifest.version.clone()),
        enabled,
        missing: super::missing(bundle),
        cancelled,
    }
}

fn keep_error(bundle: &BundleId, error: &std::io::Error) -> HostError {
    HostError::Store(format!("cannot keep the component of {bundle}: {error}"))
}

/// What a version that comes back is given: what its operator gives the bundle now, and what it had before beyond that.
fn merge(restored: &Bundle, now: &Grants) -> Result<Grants, HostError> {
    let manifest = &restored.manifest;
    let Grants { directories, http, config, secrets, study } = now.still_asked(manifest);
    let mut merged = restored.grants.still_asked(manifest);
    merged.directories.retain(|grant| directories.iter().all(|given| given.name != grant.name));
    merged.http.retain(|grant| http.iter().all(|given| given.origin != grant.origin));
    merged.secrets.retain(|grant| secrets.iter().all(|given| given.name != grant.name));
    merged.directories.extend(directories);
    merged.http.extend(http);
    merged.config.extend(config);
    merged.secrets.extend(secrets);
    merged.study = study.or(merged.study);
    Ok(bundle::bind(manifest, &merged, &[])?)
}

/// An older version may not take a newer one's place by mistake.
fn check_order(old: &Manifest, new: &Manifest) -> Result<(), HostError> {
    match new.compare_version(old) {
        Ordering::Less => Err(HostError::Downgrade(format!(
            "bundle {id}: version {} is older than {}, which is installed; install it all the same with \
             --allow-downgrade, or go back to the version before with `idlewild rollback {id}`",
            new.version,
            old.version,
            id = new.id,
        ))),
        Ordering::Equal | Ordering::Greater => Ok(()),
    }
}

/// No identifier may belong to two bundles: a person's submission names no bundle.
fn check_names(manifest: &Manifest, installed: &BTreeMap<BundleId, Arc<Bundle>>) -> Result<(), HostError> {
    for other in installed.values().filter(|other| *other.id() != manifest.id) {
        for ours in &manifest.permitted_identifiers {
            if let Some(theirs) = other.manifest.permitted_identifiers.iter().find(|theirs| ours.overlaps(theirs)) {
                return Err(HostError::Bundle(format!(
                    "bundle {}: its permitted identifier {ours} overlaps {theirs} of the installed bundle {}; rename one, or uninstall that bundle",
                    manifest.id,
                    other.id(),
                )));
            }
        }
    }
    Ok(())
}

/// An installed bundle, from its row. Errors: the row is not one this version could have written.
pub(super) fn restore(row: &BundleRow) -> Result<InstalledBundle, StoreError> {
    let bundle = Arc::new(restore_version(&row.id, &row.current)?);
    Ok(InstalledBundle { bundle, enabled: row.enabled })
}

fn restore_version(id: &BundleId, version: &VersionRow) -> Result<Bundle, StoreError> {
    let damaged = |what: String| StoreError::Unavailable(format!("the installed bundle {id} is damaged: {what}"));
    let manifest = Manifest::parse(&version.manifest).map_err(|error| damaged(error.to_string()))?;
    let grants = kept_grants::read(&version.grants).map_err(damaged)?;
    Ok(Bundle { manifest, digest: version.digest.clone(), grants })
}

/// A version's number, for people; none when its manifest cannot be read.
pub(super) fn version_of(version: &VersionRow) -> Option<String> {
    Manifest::parse(&version.manifest).ok().map(|manifest| manifest.version)
}

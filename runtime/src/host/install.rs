//! Bundles come and go. Everything is checked before anything is kept; what is kept is one row, written in one commit.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::{BundleView, Host, HostError, Installed, Uninstalled, kept_grants};
use crate::{
    bundle::{self, Bundle, GrantOffer, Grants, Manifest, Offer},
    rules::{BundleId, Happening, KindName, Pattern, What},
    scheduler::Event,
    store::{BundleRow, StoreError},
};

impl Host {
    /// Installs the bundle in `source` (a folder, its `idlewild.toml`, or a packed file) with what it is given of what it asks for. Atomic:
    /// after an error everything is as before.
    pub async fn install(&self, source: &Path, offered: &[GrantOffer]) -> Result<Installed, HostError> {
        let _one_at_a_time = self.inner.installing.lock().await;
        let offer = bundle::read(source)?;
        let id = offer.manifest.id.clone();
        let before = self.installed().await?;
        let old = before.get(&id);
        let verdict = self.check_signature(&offer, old)?;
        let kept = old.map(|old| old.grants.clone()).unwrap_or_default();
        let grants = bundle::bind(&offer.manifest, &kept, offered)?;
        check_whole(&offer.manifest, &grants)?;
        let installed = |changed| Installed {
            bundle: id.clone(),
            version: offer.manifest.version.clone(),
            digest: offer.digest.clone(),
            signature: verdict.clone(),
            changed,
        };
        if old.is_some_and(|old| old.digest == offer.digest && old.grants == grants) {
            self.keep_newer_signer(&offer.digest, &verdict)?;
            return Ok(installed(false));
        }
        check_names(&offer.manifest, &before)?;
        if let Err(error) = self.examine(&offer).await {
            if old.is_none_or(|old| old.digest != offer.digest) {
                self.forget(&offer.digest);
            }
            return Err(error);
        }
        self.keep(&offer)?;
        self.keep_signer(&offer.digest, &verdict)?;
        let bundle =
            Arc::new(Bundle { manifest: offer.manifest.clone(), digest: offer.digest.clone(), grants: grants.clone() });
        let row = self.row(&offer.manifest_text, &bundle)?;
        let old_row = self.inner.mailbox.ask(|_, core| core.bundle_rows()).await?.into_iter().find(|row| row.id == id);
        let mailbox = &self.inner.mailbox;
        let put = |settled| {
            let (row, bundle) = (row.clone(), bundle.clone());
            mailbox.call(move |reply| Event::Install { row, bundle, settled, reply })
        };
        put(false).await?;
        if let Err(message) = self.activate(&bundle).await {
            self.undo_install(&bundle, old.zip(old_row)).await?;
            return Err(HostError::Bundle(format!(
                "bundle {id}: `activate` failed: {message}; nothing was installed, mend the bundle and install it again"
            )));
        }
        put(true).await?;
        if let Some(old) = old.filter(|old| old.digest != bundle.digest) {
            self.forget(&old.digest);
        }
        Ok(installed(true))
    }

    /// Removes a bundle: cancels what it has pending, expires what it runs, waits for that, and drops its data.
    pub async fn uninstall(&self, bundle: &BundleId) -> Result<Uninstalled, HostError> {
        let _one_at_a_time = self.inner.installing.lock().await;
        let digest = self.installed().await?.get(bundle).map(|bundle| bundle.digest.clone());
        let mut happenings = self.happenings();
        let remove = |reply| Event::Uninstall { bundle: bundle.clone(), reply };
        let removed = self.inner.mailbox.call(remove).await?;
        self.wait_for_ends(bundle, &mut happenings).await?;
        if let Some(digest) = digest {
            self.forget(&digest);
        }
        self.inner.state.drop_data(bundle).map_err(|error| {
            HostError::Store(format!("bundle {bundle} is uninstalled, but its data could not be removed: {error}"))
        })?;
        Ok(Uninstalled { bundle: bundle.clone(), cancelled: removed.cancelled, expired: removed.expired })
    }

    pub async fn bundles(&self) -> Result<Vec<BundleView>, HostError> {
        let installed = self.installed().await?;
        let loads = self.inner.mailbox.ask(|_, core| Ok(core.loads())).await?;
        let view = |bundle: &Arc<Bundle>| {
            let load = loads.get(bundle.id()).copied().unwrap_or_default();
            BundleView {
                bundle: bundle.id().clone(),
                version: bundle.manifest.version.clone(),
                digest: bundle.digest.clone(),
                identifiers: bundle.manifest.permitted_identifiers.iter().map(Pattern::to_string).collect(),
                grants: bundle.grants.clone(),
                pending: load.pending,
                running: load.running,
            }
        };
        Ok(installed.values().map(view).collect())
    }

    /// Lets every bundle that has nothing pending submit its first requests again. A host calls it once it can be reached.
    pub async fn activate_idle(&self) -> Result<(), HostError> {
        let _one_at_a_time = self.inner.installing.lock().await;
        let loads = self.inner.mailbox.ask(|_, core| Ok(core.loads())).await?;
        for (id, bundle) in self.installed().await? {
            if loads.get(&id).is_none_or(|load| load.pending + load.running == 0)
                && let Err(message) = self.activate(&bundle).await
            {
                tracing::warn!(bundle = %id, %message, "activate-failed");
            }
        }
        Ok(())
    }

    async fn examine(&self, offer: &Offer) -> Result<(), HostError> {
        let Manifest { id, version, .. } = &offer.manifest;
        let compiles = !self.inner.engine.is_compiled(&offer.digest);
        if compiles {
            let bytes = offer.component.len() as u64;
            self.tell(What::Compiling { bundle: id.clone(), version: version.clone(), bytes });
        }
        let examined = self.inner.engine.examine(&offer.digest, &offer.component).await;
        if compiles {
            let (bundle, version) = (id.clone(), version.clone());
            self.tell(match &examined {
                Ok(_) => What::Compiled { bundle, version },
                Err(error) => What::NotCompiled { bundle, version, message: error.to_string() },
            });
        }
        let registered = examined.map_err(|error| HostError::component(id, error))?;
        Ok(bundle::check_registration(&offer.manifest, &registered)?)
    }

    /// Tells of what no commit makes true.
    fn tell(&self, what: What) {
        // Nobody may be watching.
        let _ = self.inner.happenings.send(Arc::new(Happening { at: self.inner.clock.now().wall, what }));
    }

    pub(super) async fn installed(&self) -> Result<BTreeMap<BundleId, Arc<Bundle>>, HostError> {
        Ok(self.inner.mailbox.ask(|_, core| Ok(core.bundles())).await?)
    }

    async fn activate(&self, bundle: &Arc<Bundle>) -> Result<(), String> {
        let allowance = self.inner.policy.allowance(KindName::AppRefresh, bundle.manifest.memory);
        self.inner.engine.activate(bundle.clone(), allowance, Arc::new(self.inner.mailbox.clone())).await
    }

    fn keep(&self, offer: &Offer) -> Result<(), HostError> {
        self.inner
            .state
            .keep_component(&offer.digest, &offer.component)
            .map_err(|error| HostError::Store(format!("cannot keep the component of {}: {error}", offer.manifest.id)))
    }

    /// A component too many costs some disk; the next start finds it.
    fn forget(&self, digest: &str) {
        if let Err(error) = self.inner.state.forget_component(digest) {
            tracing::warn!(%digest, %error, "component-not-removed");
        }
    }

    async fn undo_install(
        &self,
        bundle: &Arc<Bundle>,
        old: Option<(&Arc<Bundle>, BundleRow)>,
    ) -> Result<(), HostError> {
        let mailbox = &self.inner.mailbox;
        let same_component = old.as_ref().is_some_and(|(old, _)| old.digest == bundle.digest);
        match old {
            Some((old, row)) => {
                let bundle = old.clone();
                mailbox.call(|reply| Event::Install { row, bundle, settled: false, reply }).await?;
            }
            None => {
                let bundle = bundle.id().clone();
                mailbox.call(|reply| Event::Uninstall { bundle, reply }).await?;
            }
        }
        if !same_component {
            self.forget(&bundle.digest);
        }
        Ok(())
    }

    fn row(&self, manifest_text: &str, bundle: &Bundle) -> Result<BundleRow, HostError> {
        Ok(BundleRow {
            id: bundle.id().clone(),
            digest: bundle.digest.clone(),
            manifest: manifest_text.to_owned(),
            grants: kept_grants::write(&bundle.grants)?,
            installed_at: self.inner.clock.now().wall,
        })
    }

    async fn wait_for_ends(
        &self,
        bundle: &BundleId,
        happenings: &mut Receiver<Arc<Happening>>,
    ) -> Result<(), HostError> {
        loop {
            let loads = self.inner.mailbox.ask(|_, core| Ok(core.loads())).await?;
            if loads.get(bundle).is_none_or(|load| load.running == 0) {
                return Ok(());
            }
            loop {
                match happenings.recv().await {
                    Ok(happening) if matches!(happening.what, What::Ended { .. }) => break,
                    Ok(_) => {}
                    Err(RecvError::Lagged(_)) => break,
                    Err(RecvError::Closed) => return Err(HostError::Stopping),
                }
            }
        }
    }
}

/// A bundle that lacks what it asks for cannot do its work.
fn check_whole(manifest: &Manifest, grants: &Grants) -> Result<(), HostError> {
    match grants.missing(manifest).first() {
        Some(ask) => Err(HostError::Bundle(format!("{} asks {ask}; give it with {}", manifest.id, ask.option()))),
        None => Ok(()),
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
pub(super) fn restore(row: BundleRow) -> Result<Arc<Bundle>, StoreError> {
    let damaged = |what: String| StoreError::Unavailable(format!("the installed bundle {} is damaged: {what}", row.id));
    let manifest = Manifest::parse(&row.manifest).map_err(|error| damaged(error.to_string()))?;
    let grants = kept_grants::read(&row.grants).map_err(damaged)?;
    Ok(Arc::new(Bundle { manifest, digest: row.digest, grants }))
}

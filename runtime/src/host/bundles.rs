//! What is installed and what becomes of it: enabled, disabled, granted, uninstalled.

use std::sync::Arc;

use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::{
    BundleDetail, BundleView, Granted, Host, HostError, Switched, Uninstalled,
    install::version_of,
    kept_grants,
    settle::{Settle, Standing, not_installed, off_the_host},
};
use crate::{
    bundle::{self, Bundle, GrantOffer, Grants, TrustedKey},
    rules::{BundleId, Happening, Pattern, What},
    scheduler::{Changed, Event},
    store::{BundleRow, VersionRow},
};

impl Host {
    /// Removes a bundle: cancels what it has pending, expires what it runs, waits for that, and drops its data unless that is
    /// to be kept. Of one that is not installed, drops the data that was kept.
    pub async fn uninstall(&self, bundle: &BundleId, keep_data: bool) -> Result<Uninstalled, HostError> {
        let _one_at_a_time = self.inner.installing.lock().await;
        let Some(Standing { row, .. }) = self.standing(bundle).await? else {
            return self.drop_kept_data(bundle, keep_data).await;
        };
        let mut happenings = self.happenings();
        let remove = |reply| Event::Uninstall { bundle: bundle.clone(), keep_data, reply };
        let removed = self.inner.mailbox.call(remove).await?;
        self.wait_for_ends(bundle, &mut happenings).await?;
        self.forget_unused(&row.current.digest).await;
        if let Some(previous) = row.previous {
            self.forget_unused(&previous.digest).await;
        }
        if !keep_data {
            self.drop_data(bundle).await.map_err(|error| {
                HostError::Store(format!(
                    "bundle {bundle} is uninstalled, but its data could not be removed: {error}; the next start tries again"
                ))
            })?;
        }
        let (cancelled, expired) = (removed.cancelled, removed.expired);
        Ok(Uninstalled { bundle: bundle.clone(), cancelled, expired, kept_data: keep_data })
    }

    /// Lets a bundle's requests be launched again, and calls its `activate`.
    pub async fn enable(&self, bundle: &BundleId) -> Result<Switched, HostError> {
        self.switch(bundle, true, false).await
    }

    /// Launches nothing more of a bundle. What runs may finish, unless it is asked to stop `now`.
    pub async fn disable(&self, bundle: &BundleId, now: bool) -> Result<Switched, HostError> {
        self.switch(bundle, false, now).await
    }

    /// Gives a bundle what it asks for, after taking back what is named. Running tasks keep what they have; but of a study that
    /// is withdrawn from, what is pending is cancelled and what runs is asked to stop.
    pub async fn change_grants(
        &self,
        bundle: &BundleId,
        offered: &[GrantOffer],
        taken_back: &TakenBack,
    ) -> Result<Granted, HostError> {
        let _one_at_a_time = self.inner.installing.lock().await;
        let old = self.known(bundle).await?;
        let mut kept = old.bundle.grants.clone();
        for name in &taken_back.revoked {
            kept.revoke(name)?;
        }
        for study in &taken_back.withdrawn {
            kept.withdraw(study)?;
        }
        let grants = bundle::bind(&old.bundle.manifest, &kept, offered)?;
        let mut done = Changed { cancelled: 0, expired: 0, running: 0 };
        let changed = grants != old.bundle.grants;
        if changed {
            let bundle = Bundle { grants, ..(*old.bundle).clone() };
            let told = what_changed(&old.bundle, &bundle);
            done = self.give(&old, Arc::new(bundle), taken_back, told).await?;
        }
        let Changed { cancelled, expired, running: _ } = done;
        Ok(Granted { changed, cancelled, expired, detail: self.bundle(bundle).await? })
    }

    pub async fn bundles(&self) -> Result<Vec<BundleView>, HostError> {
        let (installed, rows) = (self.installed().await?, self.rows().await?);
        let loads = self.inner.mailbox.ask(|_, core| Ok(core.loads())).await?;
        let view = |row: &BundleRow| {
            let bundle = installed.get(&row.id)?;
            let load = loads.get(&row.id).copied().unwrap_or_default();
            Some(BundleView {
                bundle: row.id.clone(),
                version: bundle.manifest.version.clone(),
                previous: row.previous.as_ref().and_then(version_of),
                digest: bundle.digest.clone(),
                signer: signer(&row.current),
                identifiers: bundle.manifest.permitted_identifiers.iter().map(Pattern::to_string).collect(),
                grants: bundle.grants.clone(),
                enabled: row.enabled,
                missing: super::missing(bundle),
                pending: load.pending,
                running: load.running,
            })
        };
        Ok(rows.iter().filter_map(view).collect())
    }

    /// One bundle, with all it asks for and what it keeps on disk.
    pub async fn bundle(&self, id: &BundleId) -> Result<BundleDetail, HostError> {
        let view = self.bundles().await?.into_iter().find(|view| view.bundle == *id);
        let view = view.ok_or_else(|| not_installed(id))?;
        let installed = self.installed().await?;
        let asks = installed.get(id).map(|bundle| super::asked(bundle)).unwrap_or_default();
        let (state, of) = (self.inner.state.clone(), id.clone());
        let measured = off_the_host(move || state.data_bytes(&of)).await;
        // What a guest is just removing, or made unreadable, cannot be counted.
        let data_bytes = measured.flatten().unwrap_or_default();
        Ok(BundleDetail { view, asks, data_bytes })
    }

    /// Lets every bundle that may run and has nothing pending submit its first requests again. A host calls it once it can be
    /// reached.
    pub async fn activate_idle(&self) -> Result<(), HostError> {
        let _one_at_a_time = self.inner.installing.lock().await;
        let (loads, closed) = self.inner.mailbox.ask(|_, core| Ok((core.loads(), core.closed()))).await?;
        for (id, bundle) in self.installed().await? {
            let idle = loads.get(&id).is_none_or(|load| load.pending + load.running == 0);
            if !idle || closed.contains_key(&id) {
                continue;
            }
            // One bundle that cannot keeps no host from serving the others.
            if let Err(message) = self.activate(&bundle).await {
                tracing::warn!(bundle = %id, %message, "activate-failed");
            }
        }
        Ok(())
    }

    async fn activate(&self, bundle: &Arc<Bundle>) -> Result<(), String> {
        let _staged = self.rehearse(bundle).await.map_err(|error| error.to_string())??;
        let apply = |reply| Event::Apply { bundle: bundle.id().clone(), reply };
        self.inner.mailbox.call(apply).await.map_err(|error| error.to_string())
    }

    async fn switch(&self, id: &BundleId, enabled: bool, now: bool) -> Result<Switched, HostError> {
        let _one_at_a_time = self.inner.installing.lock().await;
        let Standing { bundle, row } = self.known(id).await?;
        let changed = row.enabled != enabled;
        let mut done = Changed { cancelled: 0, expired: 0, running: 0 };
        if changed || now {
            let settle = Settle {
                row: BundleRow { enabled, ..row },
                bundle: bundle.clone(),
                activate: enabled,
                otherwise: "it stays disabled".to_owned(),
                expire_running: now,
                told: match (changed, enabled) {
                    (true, true) => vec![What::BundleEnabled { bundle: id.clone() }],
                    (true, false) => vec![What::BundleDisabled { bundle: id.clone() }],
                    (false, _) => Vec::new(),
                },
            };
            done = self.settle(settle).await?;
        }
        let Changed { cancelled: _, expired, running } = done;
        Ok(Switched { bundle: id.clone(), enabled, changed, missing: super::missing(&bundle), expired, running })
    }

    /// Puts other grants in place. What is taken back by name is taken back from the version before too, so that going back
    /// does not give it again. `activate` is due when the bundle waited for grants until now, or may ask for work on a study
    /// that it could not ask for before.
    pub(super) async fn give(
        &self,
        old: &Standing,
        bundle: Arc<Bundle>,
        taken_back: &TakenBack,
        told: Vec<What>,
    ) -> Result<Changed, HostError> {
        let current = VersionRow { grants: kept_grants::write(&bundle.grants)?, ..old.row.current.clone() };
        let mut row = BundleRow { current, ..old.row.clone() };
        if let Some(previous) = &mut row.previous
            && let Ok(mut grants) = kept_grants::read(&previous.grants)
        {
            // The version before may never have had it.
            for name in &taken_back.revoked {
                let _ = grants.revoke(name);
            }
            for study in &taken_back.withdrawn {
                let _ = grants.withdraw(study);
            }
            previous.grants = kept_grants::write(&grants)?;
        }
        self.settle(Settle {
            row,
            activate: !super::missing(&old.bundle).is_empty() || (bundle.is_enrolled() && !old.bundle.is_enrolled()),
            otherwise: "nothing was granted".to_owned(),
            expire_running: false,
            told,
            bundle,
        })
        .await
    }

    async fn drop_kept_data(&self, bundle: &BundleId, keep_data: bool) -> Result<Uninstalled, HostError> {
        if keep_data || self.kept_data(bundle).await?.is_none() {
            return Err(not_installed(bundle));
        }
        self.inner.mailbox.call(|reply| Event::DropKeptData { bundle: bundle.clone(), reply }).await?;
        self.drop_data(bundle).await.map_err(|error| {
            HostError::Store(format!(
                "the data kept of {bundle} could not be removed: {error}; the next start tries again"
            ))
        })?;
        Ok(Uninstalled { bundle: bundle.clone(), cancelled: 0, expired: 0, kept_data: false })
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

/// What the operator takes back, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TakenBack {
    /// Folders, origins, configuration and secrets.
    pub revoked: Vec<String>,
    /// Studies.
    pub withdrawn: Vec<String>,
}

/// What is told of a bundle that was given other things than before.
pub(super) fn what_changed(old: &Bundle, new: &Bundle) -> Vec<What> {
    let of_bundle = || new.id().clone();
    let (before, after) = (&old.grants.study, &new.grants.study);
    let mut told = Vec::new();
    if old.grants != (Grants { study: before.clone(), ..new.grants.clone() }) {
        told.push(What::GrantsChanged { bundle: of_bundle(), missing: super::missing(new) });
    }
    if let Some(study) = before.clone().filter(|_| before != after) {
        told.push(What::EnrolmentWithdrawn { bundle: of_bundle(), study });
    }
    if let Some(study) = after.clone().filter(|_| before != after) {
        told.push(What::Enrolled { bundle: of_bundle(), study });
    }
    told
}

/// Who signed a version, for people; none when nobody did whom the operator trusted then.
fn signer(version: &VersionRow) -> Option<String> {
    TrustedKey::parse(version.signer.as_deref()?).ok().as_ref().map(signer_named)
}

pub(super) fn signer_named(signer: &TrustedKey) -> String {
    let TrustedKey { name, key } = signer;
    format!("{name} (key {})", key.id())
}

//! Whom the operator trusts to sign bundles, and what an installation makes of a signature.

use std::sync::Arc;

use super::{Host, HostError};
use crate::{
    bundle::{self, Bundle, Grants, Inspection, Offer, PublicKey, SignaturePolicy, Trust, TrustedKey, Verdict},
    rules::BundleId,
};

/// An installed bundle, told of in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstalledInspection {
    pub inspection: Inspection,
    pub grants: Grants,
    /// What it asks for and has not been given, as the options that give it.
    pub missing: Vec<String>,
}

impl Host {
    pub async fn trust(&self) -> Result<Trust, HostError> {
        Ok(self.inner.state.trust()?)
    }

    /// Trusts whoever has this key to sign bundles. False: it was trusted already.
    pub async fn trust_key(&self, name: &str, key: &str) -> Result<(TrustedKey, bool), HostError> {
        let _one_at_a_time = self.inner.installing.lock().await;
        let trusted = TrustedKey::new(name, PublicKey::parse(key)?)?;
        let changed = self.inner.state.trust_key(&trusted)?;
        Ok((trusted, changed))
    }

    /// Trusts a key, told by its number or name, no more. What it signed stays installed.
    pub async fn distrust_key(&self, wanted: &str) -> Result<TrustedKey, HostError> {
        let _one_at_a_time = self.inner.installing.lock().await;
        Ok(self.inner.state.distrust_key(wanted)?)
    }

    /// What is asked of signatures from now on. What is installed stays.
    pub async fn set_signature_policy(&self, policy: SignaturePolicy) -> Result<(), HostError> {
        let _one_at_a_time = self.inner.installing.lock().await;
        Ok(self.inner.state.set_signature_policy(policy)?)
    }

    /// All that is known of an installed bundle.
    pub async fn inspect(&self, id: &BundleId) -> Result<InstalledInspection, HostError> {
        let bundle = self.installed().await?.remove(id);
        let bundle = bundle.ok_or_else(|| {
            HostError::NotFound(format!("no bundle {id} is installed: `idlewild bundles` lists those that are"))
        })?;
        let state = self.inner.state.clone();
        // A large component takes a while to read.
        let inspecting = tokio::task::spawn_blocking(move || {
            let lost = |error| HostError::Store(format!("the component of {} cannot be read: {error}", bundle.id()));
            let component = state.component(&bundle.digest).map_err(lost)?.ok_or_else(|| {
                HostError::Store(format!("the component of {} is gone; install it again", bundle.id()))
            })?;
            let signer = state.signer(&bundle.digest).map_err(lost)?;
            Ok(InstalledInspection {
                inspection: bundle::inspect_installed(&bundle, &component, signer.as_ref()),
                grants: bundle.grants.clone(),
                missing: bundle.grants.missing(&bundle.manifest).iter().map(bundle::Ask::option).collect(),
            })
        });
        inspecting.await.map_err(|_| HostError::Stopping)?
    }

    /// Before anything of an offer is compiled: whether its signature is what the operator asks for, and the installed
    /// version's signer signed this one too.
    pub(super) fn check_signature(&self, offer: &Offer, old: Option<&Arc<Bundle>>) -> Result<Verdict, HostError> {
        let previous = match old {
            Some(old) => self.inner.state.signer(&old.digest).map_err(|error| {
                HostError::Store(format!("who signed the installed {} cannot be read: {error}", old.id()))
            })?,
            None => None,
        };
        Ok(bundle::check_signature(offer, &self.inner.state.trust()?, previous.as_ref())?)
    }

    /// Keeps who signed a bundle, for the version that will replace it.
    pub(super) fn keep_signer(&self, digest: &str, verdict: &Verdict) -> Result<(), HostError> {
        let kept = self.inner.state.keep_signer(digest, verdict.signer());
        kept.map_err(|error| HostError::Store(format!("who signed the bundle cannot be kept: {error}")))
    }

    /// The same for a bundle that was installed before: it may have been signed since, and never gets less.
    pub(super) fn keep_newer_signer(&self, digest: &str, verdict: &Verdict) -> Result<(), HostError> {
        match verdict.signer() {
            Some(_) => self.keep_signer(digest, verdict),
            None => Ok(()),
        }
    }
}

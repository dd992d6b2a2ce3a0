//! Whom the operator trusts to sign bundles, and what an installation makes of a signature.

use super::{
    Host, HostError,
    settle::{Standing, off_the_host},
};
use crate::{
    bundle::{self, Follows, Grants, Inspection, Offer, PublicKey, SignaturePolicy, Trust, TrustedKey, Verdict},
    rules::BundleId,
    store::{KeptData, VersionRow},
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
        let Standing { bundle, row } = self.known(id).await?;
        let signer = signed_by(id, &row.current)?;
        let state = self.inner.state.clone();
        // A large component takes a while to read.
        let inspecting = off_the_host(move || {
            let lost = |error| HostError::Store(format!("the component of {} cannot be read: {error}", bundle.id()));
            let component = state.component(&bundle.digest).map_err(lost)?.ok_or_else(|| {
                HostError::Store(format!("the component of {} is gone; install it again", bundle.id()))
            })?;
            Ok(InstalledInspection {
                inspection: bundle::inspect_installed(&bundle, &component, signer.as_ref()),
                grants: bundle.grants.clone(),
                missing: super::asked(&bundle).into_iter().filter(|ask| !ask.granted).map(|ask| ask.option).collect(),
            })
        });
        inspecting.await.map_err(|_| HostError::Stopping)?
    }

    /// Before anything of an offer is compiled: whether its signature is what the operator asks for, and who signed what it
    /// follows signed it too.
    pub(super) fn check_signature(&self, offer: &Offer, follows: Option<&Follows>) -> Result<Verdict, HostError> {
        Ok(bundle::check_signature(offer, &self.inner.state.trust()?, follows)?)
    }
}

impl Host {
    /// What the signature of a version that was installed before comes to now. Errors: the operator requires one of a trusted key,
    /// and it has none.
    pub(super) fn verdict_of_kept(&self, id: &BundleId, version: &VersionRow) -> Result<Verdict, HostError> {
        let trust = self.inner.state.trust()?;
        let verdict = match signed_by(id, version)? {
            None => Verdict::Unsigned,
            Some(signer) if trust.keys.iter().any(|trusted| trusted.key == signer.key) => Verdict::Signed(signer),
            Some(signer) => Verdict::Untrusted { key: signer.key.id() },
        };
        match (trust.policy, &verdict) {
            (SignaturePolicy::Off, _) => Ok(Verdict::Unchecked),
            (SignaturePolicy::Require, Verdict::Unsigned | Verdict::Untrusted { .. }) => {
                Err(HostError::Bundle(format!(
                    "bundle {id}: the version before is {verdict}, and this host requires a signature of a trusted key; \
                 install a signed version, or change what is asked with `idlewild keys policy warn`"
                )))
            }
            (SignaturePolicy::Require | SignaturePolicy::Warn, _) => Ok(verdict),
        }
    }
}

/// Who signed what a bundle follows: the installed version of its id, or the one whose data was kept.
pub(super) fn signed_before(
    id: &BundleId,
    old: Option<&VersionRow>,
    kept: Option<&KeptData>,
) -> Result<Option<Follows>, HostError> {
    match (old, kept) {
        (Some(old), _) => Ok(signed_by(id, old)?.map(Follows::Version)),
        (None, Some(kept)) => Ok(signer(id, kept.signer.as_deref())?.map(Follows::KeptData)),
        (None, None) => Ok(None),
    }
}

/// Who signed a version, as its row says. Errors: the row is not one this program could have written.
pub(super) fn signed_by(id: &BundleId, version: &VersionRow) -> Result<Option<TrustedKey>, HostError> {
    signer(id, version.signer.as_deref())
}

fn signer(id: &BundleId, written: Option<&str>) -> Result<Option<TrustedKey>, HostError> {
    let damaged = |error| HostError::Store(format!("who signed {id} cannot be read: {error}"));
    written.map(TrustedKey::parse).transpose().map_err(damaged)
}

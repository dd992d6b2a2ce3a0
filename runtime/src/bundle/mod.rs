//! What can be deployed: manifest, digest, signature, grants, and what is installed below the state folder. It never runs a
//! component.

use crate::rules::BundleId;

mod error;
mod folder;
mod grants;
mod inspect;
mod keys;
mod manifest;
mod offer;
mod origin;
mod output;
mod packed;
mod registration;
mod section;
mod signature;
mod state;
mod tree;

pub use error::BundleError;
pub use folder::CargoOutput;
pub use grants::{Ask, DirectoryGrant, GrantOffer, Grants, HttpGrant, SecretGrant, SecretHeader, SecretSource, bind};
pub use inspect::{Import, Inspection, Need, Producer, SignatureView, World, inspect, inspect_installed};
pub use keys::{KEY_LIMIT, KeyError, PublicKey, SecretKey, Trust, TrustedKey};
pub use manifest::{DirectoryAsk, MANIFEST_LIMIT, MANIFEST_NAME, Manifest, ManifestError, Place, manifest_reference};
pub use offer::{COMPONENT_LIMIT, Offer, cargo_output, pack, read, read_packed};
pub use origin::{Origin, OriginError, Scheme};
pub use output::{Readers, attach_signature, write_file, write_new_file};
pub use packed::{MANIFEST_SECTION, PackedError, SIGNATURE_SECTION};
pub use registration::check_registration;
pub use section::FrameError;
pub use signature::{
    Follows, SIGNATURE_LIMIT, SIGNATURE_NAME, SignatureError, SignaturePolicy, Verdict, check_signature, statement,
    verdict,
};
pub use state::{CACHE, StateError, StateFolder};
pub use tree::remove_tree;

/// An installed bundle, as every launch of it sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    pub manifest: Manifest,
    /// SHA-256 over manifest and component, in lower-case hexadecimal.
    pub digest: String,
    pub grants: Grants,
}

impl Bundle {
    pub fn id(&self) -> &BundleId {
        &self.manifest.id
    }

    /// Whether this machine is enrolled in the study the manifest names.
    pub fn is_enrolled(&self) -> bool {
        let study = &self.manifest.entitlements.health_research;
        study.is_some() && self.grants.study == *study
    }
}

/// What a guest may do in a granted folder. Who may write may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
}

impl Access {
    pub const ALL: &'static [Access] = &[Access::Read, Access::Write];

    pub fn as_str(self) -> &'static str {
        match self {
            Access::Read => "read",
            Access::Write => "write",
        }
    }

    pub fn parse(word: &str) -> Option<Access> {
        Access::ALL.iter().copied().find(|access| access.as_str() == word)
    }
}

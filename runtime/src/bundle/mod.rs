//! What can be deployed: manifest, digest, grants, and what is installed below the state folder.

use std::path::PathBuf;

use crate::rules::{BackgroundMode, BundleId, Pattern};

/// An installed bundle, as every launch of it sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    pub manifest: Manifest,
    /// SHA-256 over manifest and component, in lower-case hexadecimal.
    pub digest: String,
    pub grants: Vec<Grant>,
}

/// What a bundle says of itself and asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    pub id: BundleId,
    pub version: String,
    /// The component's path inside the bundle folder.
    pub component: PathBuf,
    pub background_modes: Vec<BackgroundMode>,
    pub permitted_identifiers: Vec<Pattern>,
    pub directories: Vec<DirectoryAsk>,
    /// Bytes of memory the bundle promises to stay below, if it lowers the host's limit.
    pub memory: Option<u64>,
}

/// A folder a bundle asks for by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryAsk {
    pub name: String,
    pub access: Access,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
}

/// A name a bundle asked for, bound by the operator to a real folder. The guest sees it as `/NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub name: String,
    pub access: Access,
    pub path: PathBuf,
}

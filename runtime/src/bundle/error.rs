//! Everything that can be wrong with an offered bundle or its grants.

use std::{io, path::PathBuf};

use super::{Access, ManifestError, Origin, OriginError, PackedError, SignatureError};
use crate::rules::{BundleId, Pattern};

/// Why a bundle was not taken. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// Nothing at the path, or nothing a bundle can be.
    #[error("{} is no bundle: {fault}", path.display())]
    NoBundle { path: PathBuf, fault: &'static str },
    #[error("cannot read {}: {error}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        error: io::Error,
    },
    #[error("cannot write {}: {error}", path.display())]
    Write {
        path: PathBuf,
        #[source]
        error: io::Error,
    },
    #[error("{} exists already; choose another name, or remove it first", path.display())]
    Exists { path: PathBuf },
    /// The component, or the file that holds all, is not one a bundle can have.
    #[error("{}: {error}", path.display())]
    Packed {
        path: PathBuf,
        #[source]
        error: PackedError,
    },
    /// The signature does not fit, or is not what the operator asks for.
    #[error("bundle {bundle}: {error}")]
    Signature {
        bundle: BundleId,
        #[source]
        error: SignatureError,
    },
    #[error("{}: {error}", path.display())]
    Manifest {
        path: PathBuf,
        #[source]
        error: ManifestError,
    },
    #[error("the component {} does not exist; {mend}", path.display())]
    NoComponent { path: PathBuf, mend: String },
    #[error("{} leads out of the bundle folder; copy the file into it instead of linking to it", path.display())]
    Outside { path: PathBuf },
    #[error("{} is no regular file; put a file there", path.display())]
    NoFile { path: PathBuf },
    #[error("{} is larger than {limit} bytes; make it smaller", path.display())]
    TooLarge { path: PathBuf, limit: u64 },

    #[error("the component registers `{pattern}` twice; keep one handler of that name")]
    RegisteredTwice { pattern: Pattern },
    #[error("the component registers `{pattern}`, which the manifest does not permit; {mend}")]
    NotPermitted { pattern: Pattern, mend: String },
    #[error(
        "the manifest permits `{pattern}`, and the component registers no handler of that name; \
         write the handler or remove the name from permitted-identifiers"
    )]
    NoHandler { pattern: Pattern },

    #[error("`{text}` is no grant; say {wanted}")]
    GrantForm { text: String, wanted: &'static str },
    #[error("{error}")]
    GrantOrigin {
        #[source]
        error: OriginError,
    },
    #[error("{bundle} does not ask for {noun} named `{name}`; {mend}")]
    NotAsked { bundle: BundleId, noun: &'static str, name: String, mend: String },
    #[error("`{name}` is granted twice; keep one {option}")]
    GrantedTwice { name: String, option: String },
    #[error("nothing named `{name}` is granted: {mend}")]
    NotRevocable { name: String, mend: String },
    #[error("this machine is not enrolled in a study named `{study}`: {mend}")]
    NotEnrolled { study: String, mend: String },
    #[error(
        "the secrets `{name}` and `{other}` are bound to the same header of the same origin; bind one of them elsewhere"
    )]
    SecretsShareHeader { name: String, other: String },
    #[error("the secret `{name}` cannot be bound to {origin}: {bundle} does not ask to speak to it")]
    SecretBoundElsewhere { bundle: BundleId, name: String, origin: Origin },
    #[error("cannot grant {name}={}: {error}; check the path", path.display())]
    GrantPath {
        name: String,
        path: PathBuf,
        #[source]
        error: io::Error,
    },
    #[error("cannot grant {name}={}: it is no folder; name the folder that holds it", path.display())]
    GrantNoFolder { name: String, path: PathBuf },
    #[error("cannot grant {name}={}: this user may not {access} there; change its permissions or grant another folder", path.display(), access = access.as_str())]
    GrantNoAccess { name: String, path: PathBuf, access: Access },
}

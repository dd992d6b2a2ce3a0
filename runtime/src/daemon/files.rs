//! Bundle files and key files: what commands do with them where no host is needed.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use serde::Serialize;

use crate::{
    api::wire,
    bundle::{
        self, KEY_LIMIT, KeyError, Offer, PublicKey, Readers, SecretKey, Trust, TrustedKey, Verdict, attach_signature,
    },
};

/// A bundle that was written to a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Built {
    pub bundle: String,
    pub version: String,
    pub digest: String,
    pub file: PathBuf,
    pub size_bytes: u64,
}

/// A bundle that was signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Signed {
    pub bundle: String,
    pub version: String,
    pub digest: String,
    /// The number of the key.
    pub key: String,
    /// Where the signature stands.
    pub file: PathBuf,
}

/// A bundle whose signature holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verified {
    pub bundle: String,
    pub version: String,
    pub digest: String,
    /// What the operator calls who signed; none when the key was given by hand.
    pub name: Option<String>,
    pub key: String,
}

/// A pair of keys that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewKey {
    pub id: String,
    /// The public key in one word.
    pub key: String,
    pub public_file: PathBuf,
    pub secret_file: PathBuf,
}

pub use bundle::CargoOutput;

/// What cargo makes the component of the bundle at `source` with; none where it is made otherwise.
pub fn cargo_output(source: &Path) -> anyhow::Result<Option<CargoOutput>> {
    Ok(bundle::cargo_output(source)?)
}

/// Packs the bundle at `source` into one file: `output`, or one in the working folder that is named after the bundle.
pub fn build(source: &Path, output: Option<PathBuf>) -> anyhow::Result<Built> {
    let offer = bundle::read(source)?;
    let Offer { manifest, digest, .. } = &offer;
    let file = output.unwrap_or_else(|| PathBuf::from(format!("{}-{}.wasm", manifest.id, manifest.version)));
    let bytes = bundle::pack(&offer);
    bundle::write_file(&file, &bytes, Readers::Anybody)?;
    Ok(Built {
        bundle: manifest.id.to_string(),
        version: manifest.version.clone(),
        digest: digest.clone(),
        file,
        size_bytes: bytes.len() as u64,
    })
}

/// Signs the bundle at `source` with the key in a file; the password is asked for only where the key has one.
pub fn sign(
    source: &Path,
    key_file: &Path,
    password: impl FnOnce() -> anyhow::Result<String>,
) -> anyhow::Result<Signed> {
    let offer = bundle::read(source)?;
    let of_key = || format!("the key {}", key_file.display());
    let text = read_key(key_file)?;
    let key = match SecretKey::parse(&text, None) {
        Err(KeyError::NeedsPassword) => SecretKey::parse(&text, Some(&password()?)),
        key => key,
    };
    let key = key.with_context(of_key)?;
    let signature = key.sign(&offer).with_context(of_key)?;
    let file = attach_signature(source, &offer, signature)?;
    let Offer { manifest, digest, .. } = offer;
    Ok(Signed {
        bundle: manifest.id.to_string(),
        version: manifest.version,
        digest,
        key: key.public().with_context(of_key)?.id(),
        file,
    })
}

/// Checks that the bundle at `source` is signed with the key given, or with one that is trusted in the state folder.
pub fn verify(source: &Path, key: Option<&str>, state: &Path) -> anyhow::Result<Verified> {
    let offer = bundle::read(source)?;
    let keys = match key {
        Some(key) => vec![TrustedKey { name: "that key".to_owned(), key: public_key(key)?.0 }],
        None => Trust::of_state(state)?.keys,
    };
    let Offer { manifest, digest, .. } = &offer;
    match bundle::verdict(&offer, &keys)? {
        Verdict::Signed(TrustedKey { name, key: signer }) => Ok(Verified {
            bundle: manifest.id.to_string(),
            version: manifest.version.clone(),
            digest: digest.clone(),
            name: key.is_none().then_some(name),
            key: signer.id(),
        }),
        Verdict::Untrusted { key: other } if key.is_some() => {
            anyhow::bail!("bundle {}: it is signed with another key, {other}", manifest.id)
        }
        verdict @ (Verdict::Unsigned | Verdict::Untrusted { .. } | Verdict::Unchecked) => {
            anyhow::bail!("bundle {}: it is {verdict}", manifest.id)
        }
    }
}

/// Tells of whatever is at `source`, with the trust of the state folder.
pub fn inspect(source: &Path, state: &Path) -> anyhow::Result<wire::Inspection> {
    Ok(bundle::inspect(source, &Trust::of_state(state)?)?.into())
}

/// Makes a pair of keys, `NAME.key` and `NAME.pub`. Neither may be there already.
pub fn new_key(name: &Path, password: Option<&str>) -> anyhow::Result<NewKey> {
    let with = |suffix: &str| {
        let mut path = name.as_os_str().to_owned();
        path.push(suffix);
        PathBuf::from(path)
    };
    let (secret_file, public_file) = (with(".key"), with(".pub"));
    for file in [&secret_file, &public_file] {
        if fs::symlink_metadata(file).is_ok() {
            return Err(bundle::BundleError::Exists { path: file.clone() }.into());
        }
    }
    let (public, secret) = SecretKey::generate_file(password)?;
    bundle::write_new_file(&secret_file, secret.as_bytes(), Readers::Owner)?;
    let comment = format!("minisign public key {}", public.id());
    let written = bundle::write_new_file(&public_file, public.file(&comment).as_bytes(), Readers::Anybody);
    if let Err(error) = written {
        // Half a pair is of no use; the first error is the one to tell.
        let _ = fs::remove_file(&secret_file);
        return Err(error.into());
    }
    Ok(NewKey { id: public.id(), key: public.word(), public_file, secret_file })
}

/// A public key from its file, or said in one word; and what to call it where nobody says.
pub fn public_key_to_trust(text: &str) -> anyhow::Result<wire::TrustKey> {
    let (key, name) = public_key(text)?;
    Ok(wire::TrustKey { name: name.unwrap_or_else(|| key.id()), key: key.word() })
}

fn public_key(text: &str) -> anyhow::Result<(PublicKey, Option<String>)> {
    if let Ok(key) = PublicKey::parse(text) {
        return Ok((key, None));
    }
    let path = Path::new(text);
    let key = PublicKey::parse(&read_key(path)?).with_context(|| format!("the key {text}"))?;
    Ok((key, path.file_stem().map(|stem| stem.to_string_lossy().into_owned())))
}

fn read_key(path: &Path) -> anyhow::Result<String> {
    let fail = || format!("the key {} cannot be read", path.display());
    let mut text = String::new();
    let file = fs::File::open(path).with_context(fail)?;
    file.take(KEY_LIMIT as u64 + 1).read_to_string(&mut text).with_context(fail)?;
    Ok(text)
}

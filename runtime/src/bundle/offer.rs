//! A bundle as it is offered, and the one door to it: a folder, its manifest, or one file that holds all.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::Path,
};

use sha2::{Digest, Sha256};

use super::{
    BundleError, CargoOutput, MANIFEST_LIMIT, MANIFEST_NAME, Manifest, folder,
    packed::{self, Packed},
    section::{ELF, MAGIC},
    signature::SIGNATURE_LIMIT,
};

/// The largest component, in bytes.
pub const COMPONENT_LIMIT: u64 = 128 << 20;

/// The largest file that holds a bundle: its component, and what goes with it.
const FILE_LIMIT: u64 = COMPONENT_LIMIT + (MANIFEST_LIMIT + SIGNATURE_LIMIT + 1024) as u64;

/// A bundle as read: consistent in itself, neither compiled nor granted anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    pub manifest: Manifest,
    /// The manifest as written.
    pub manifest_text: String,
    /// The component, without any section of ours.
    pub component: Vec<u8>,
    /// SHA-256 over manifest and component, in lower-case hexadecimal. The same bundle has the same one as folder and as file.
    pub digest: String,
    /// A signature of the digest as written, if there is one; nothing is known of what it is worth.
    pub signature: Option<String>,
}

impl Offer {
    fn new(manifest: Manifest, manifest_text: String, component: Vec<u8>, signature: Option<String>) -> Offer {
        let digest = digest(manifest_text.as_bytes(), &component);
        Offer { manifest, manifest_text, component, digest, signature }
    }
}

/// What cargo makes the component of the bundle at `path` with; none where it is made otherwise, or lies in a packed file.
pub fn cargo_output(path: &Path) -> Result<Option<CargoOutput>, BundleError> {
    match folder_of(path) {
        Some(folder) => folder::cargo_output(folder),
        None if path.is_dir() => folder::cargo_output(path),
        None => Ok(None),
    }
}

/// The folder of a path that names a manifest.
fn folder_of(path: &Path) -> Option<&Path> {
    let folder = path.file_name().filter(|name| *name == MANIFEST_NAME).and_then(|_| path.parent())?;
    // The parent of a bare name is empty, and means here.
    Some(if folder.as_os_str().is_empty() { Path::new(".") } else { folder })
}

/// Reads the bundle at `path`: a folder that holds an `idlewild.toml`, that file, or a packed `.wasm`.
pub fn read(path: &Path) -> Result<Offer, BundleError> {
    if let Some(folder) = folder_of(path) {
        return read_folder(folder);
    }
    match read_file(path)? {
        None => read_folder(path),
        Some(bytes) if !bytes.starts_with(MAGIC) && !bytes.starts_with(ELF) => Err(BundleError::NoBundle {
            path: path.to_owned(),
            fault: "it is a file, and not WebAssembly; name the folder that holds idlewild.toml, or a packed .wasm file",
        }),
        Some(bytes) => read_packed(path, bytes),
    }
}

/// The bundle as one file, which `read` takes. Nothing but the manifest's text, the component and the signature goes into it.
pub fn pack(offer: &Offer) -> Vec<u8> {
    packed::pack(&offer.manifest_text, offer.signature.as_deref(), &offer.component)
}

/// The bytes of a file named by a person; none when it is a folder.
pub(super) fn read_file(path: &Path) -> Result<Option<Vec<u8>>, BundleError> {
    let fail = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            BundleError::NoBundle { path: path.to_owned(), fault: "it does not exist; check the path" }
        }
        _ => BundleError::Read { path: path.to_owned(), error },
    };
    // Asked before opening, since opening a pipe waits for its other end.
    let metadata = fs::metadata(path).map_err(fail)?;
    if metadata.is_dir() {
        return Ok(None);
    }
    if !metadata.is_file() {
        return Err(BundleError::NoFile { path: path.to_owned() });
    }
    if metadata.len() > FILE_LIMIT {
        return Err(BundleError::TooLarge { path: path.to_owned(), limit: COMPONENT_LIMIT });
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(FILE_LIMIT).read_to_end(&mut bytes)).map_err(fail)?;
    Ok(Some(bytes))
}

/// Reads a packed file's bytes; `path` is what messages name.
pub fn read_packed(path: &Path, bytes: Vec<u8>) -> Result<Offer, BundleError> {
    let unpacked = packed::unpack(bytes).map_err(|error| BundleError::Packed { path: path.to_owned(), error })?;
    let Packed { manifest: text, signature, component } = unpacked;
    if component.len() as u64 > COMPONENT_LIMIT {
        return Err(BundleError::TooLarge { path: path.to_owned(), limit: COMPONENT_LIMIT });
    }
    let manifest = Manifest::parse(&text).map_err(|error| BundleError::Manifest { path: path.to_owned(), error })?;
    Ok(Offer::new(manifest, text, component, signature))
}

fn read_folder(path: &Path) -> Result<Offer, BundleError> {
    let folder::Read { manifest, manifest_text, component, signature } = folder::read(path)?;
    Ok(Offer::new(manifest, manifest_text, component, signature))
}

/// Each part goes in behind its length, so that no other pair of parts has the same bytes.
pub(super) fn digest(manifest: &[u8], component: &[u8]) -> String {
    let mut hash = Sha256::new_with_prefix(b"idlewild bundle, first form\0");
    for part in [manifest, component] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::{
        super::{SIGNATURE_NAME, folder::tests::folder},
        *,
    };

    #[test]
    fn the_digest_tells_bundles_apart() {
        let digests = [digest(b"ab", b"c"), digest(b"a", b"bc"), digest(b"", b"abc"), digest(b"abc", b"")];
        for (at, one) in digests.iter().enumerate() {
            assert_eq!(one.len(), 64);
            assert!(digests[at + 1..].iter().all(|other| other != one));
        }
        let known = "940edd2d53b800aaed801f37504be130ea71c5c9d31a56906369e6271805f40f";
        assert_eq!(digest(b"manifest", b"component"), known, "installed bundles are known by their digest");
    }

    #[test]
    fn folder_manifest_and_file_are_the_same_bundle() {
        let folder = folder("gallery.wasm");
        for signature in [None, Some("a signature\n")] {
            if let Some(signature) = signature {
                fs::write(folder.path().join(SIGNATURE_NAME), signature).unwrap();
            }
            let offer = read(folder.path()).unwrap();
            assert_eq!(offer.signature.as_deref(), signature);
            assert_eq!(read(&folder.path().join(MANIFEST_NAME)).unwrap(), offer);
            let file = folder.path().join("packed.wasm");
            fs::write(&file, pack(&offer)).unwrap();
            assert_eq!(read(&file).unwrap(), offer);
        }
    }

    #[test]
    fn a_file_that_is_no_bundle_is_named_with_its_mend() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("file.wasm");
        let component = wat::parse_str("(component)").unwrap();
        let cases = [
            (b"".to_vec(), "PATH is no bundle: it is a file, and not WebAssembly; name the folder"),
            (b"\x7fELF".to_vec(), "PATH: it is compiled code already"),
            (b"some text".to_vec(), "PATH is no bundle: it is a file, and not WebAssembly; name the folder"),
            (wat::parse_str("(module)").unwrap(), "PATH: it is a core module, not a component; build it as a"),
            (component.clone(), "PATH: it carries no manifest; pack it: idlewild build FOLDER"),
            (packed::pack("[bundle", None, &component), "PATH: the manifest at line 1, column 8 is not TOML"),
        ];
        for (bytes, message) in cases {
            fs::write(&path, bytes).unwrap();
            let error = read(&path).unwrap_err().to_string();
            assert!(error.starts_with(&message.replace("PATH", path.to_str().unwrap())), "{error}");
        }
        File::create(&path).unwrap().set_len(FILE_LIMIT + 1).unwrap();
        assert!(matches!(read(&path), Err(BundleError::TooLarge { limit: COMPONENT_LIMIT, .. })));
        assert!(matches!(read(Path::new("/dev/null")), Err(BundleError::NoFile { .. })));
    }
}

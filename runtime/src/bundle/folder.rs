//! Reads a bundle from the folder it is offered in. Never follows a path out of that folder.

use std::{
    ffi::OsStr,
    io::{self, Read},
    path::{Component, Path},
};

use cap_std::{ambient_authority, fs::Dir};
use sha2::{Digest, Sha256};

use super::{BundleError, MANIFEST_LIMIT, MANIFEST_NAME, Manifest};

/// The largest component, in bytes.
pub const COMPONENT_LIMIT: u64 = 128 << 20;

/// A bundle as read: consistent in itself, neither compiled nor granted anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    pub manifest: Manifest,
    /// The manifest as written.
    pub manifest_text: String,
    pub component: Vec<u8>,
    /// SHA-256 over manifest and component, in lower-case hexadecimal.
    pub digest: String,
}

/// Reads the bundle in the folder `path`; its `idlewild.toml` may be named instead.
pub fn read_folder(path: &Path) -> Result<Offer, BundleError> {
    let folder = match path.file_name() {
        Some(name) if name == MANIFEST_NAME => path.parent().expect("a path with a name has a parent"),
        _ => path,
    };
    // The parent of a bare name is empty, and means here.
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let dir = open_folder(folder)?;

    let file = dir.open_file(Path::new(MANIFEST_NAME), MANIFEST_LIMIT as u64)?;
    let manifest_path = folder.join(MANIFEST_NAME);
    let Some(manifest_bytes) = file else {
        let fault = "it holds no idlewild.toml; name the folder that does, or write one";
        return Err(BundleError::NoFolder { path: folder.to_owned(), fault });
    };
    let manifest_text = String::from_utf8(manifest_bytes).map_err(|_| BundleError::Read {
        path: manifest_path.clone(),
        error: io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text; save it as such"),
    })?;
    let manifest =
        Manifest::parse(&manifest_text).map_err(|error| BundleError::Manifest { path: manifest_path, error })?;

    let component = dir.open_file(&manifest.component, COMPONENT_LIMIT)?.ok_or_else(|| BundleError::NoComponent {
        path: folder.join(&manifest.component),
        mend: how_to_build(folder, &manifest.component),
    })?;
    let digest = digest(manifest_text.as_bytes(), &component);
    Ok(Offer { manifest, manifest_text, component, digest })
}

struct Folder<'p> {
    path: &'p Path,
    dir: Dir,
}

fn open_folder(path: &Path) -> Result<Folder<'_>, BundleError> {
    let no_folder = |fault| BundleError::NoFolder { path: path.to_owned(), fault };
    match Dir::open_ambient_dir(path, ambient_authority()) {
        Ok(dir) => Ok(Folder { path, dir }),
        Err(error) => Err(match error.kind() {
            io::ErrorKind::NotFound => no_folder("it does not exist; check the path"),
            io::ErrorKind::NotADirectory => no_folder("it is a file; name the folder that holds idlewild.toml"),
            _ => BundleError::Read { path: path.to_owned(), error },
        }),
    }
}

impl Folder<'_> {
    /// A file's bytes; none when there is no such file.
    fn open_file(&self, name: &Path, limit: u64) -> Result<Option<Vec<u8>>, BundleError> {
        let path = self.path.join(name);
        let fail = |error: io::Error| match is_escape(&error) {
            true => BundleError::Outside { path: path.clone() },
            false => BundleError::Read { path: path.clone(), error },
        };
        // Asked before opening, since opening a pipe waits for its other end.
        let metadata = match self.dir.metadata(name) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            metadata => metadata.map_err(fail)?,
        };
        if !metadata.is_file() {
            return Err(BundleError::NoFile { path });
        }
        let mut bytes = Vec::new();
        // One more than allowed, to notice that there is more.
        self.dir.open(name).and_then(|file| file.take(limit + 1).read_to_end(&mut bytes)).map_err(fail)?;
        if bytes.len() as u64 > limit {
            return Err(BundleError::TooLarge { path, limit });
        }
        Ok(Some(bytes))
    }
}

/// Whether the capability layer refused to leave the folder; the system's own refusals carry its error number.
fn is_escape(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied && error.raw_os_error().is_none()
}

/// What usually makes a missing component.
fn how_to_build(folder: &Path, component: &Path) -> String {
    let parts: Vec<&OsStr> = component
        .components()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name),
            _ => None,
        })
        .collect();
    match parts.as_slice() {
        [first, target, profile, _] if *first == "target" => {
            let release = if *profile == "release" { " --release" } else { "" };
            let target = target.to_string_lossy();
            format!("build it: cd {} && cargo build --target {target}{release}", folder.display())
        }
        _ => "build it, or mend `component` in the manifest".to_owned(),
    }
}

/// Each part goes in behind its length, so that no other pair of parts has the same bytes.
fn digest(manifest: &[u8], component: &[u8]) -> String {
    let mut hash = Sha256::new_with_prefix(b"idlewild bundle, first form\0");
    for part in [manifest, component] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    fn manifest(component: &str) -> String {
        format!(
            "[bundle]\nid = \"com.example.gallery\"\nversion = \"1.0.0\"\ncomponent = \"{component}\"\n\
             [scheduling]\npermitted-identifiers = [\"com.example.gallery.refresh\"]\n"
        )
    }

    fn folder(component: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(MANIFEST_NAME), manifest(component)).unwrap();
        folder
    }

    #[test]
    fn reads_a_folder_or_its_manifest() {
        let folder = folder("gallery.wasm");
        fs::write(folder.path().join("gallery.wasm"), b"\0asm").unwrap();
        let offer = read_folder(folder.path()).unwrap();
        assert_eq!(offer.manifest.id.as_str(), "com.example.gallery");
        assert_eq!(offer.manifest_text, manifest("gallery.wasm"));
        assert_eq!(offer.component, b"\0asm");
        assert_eq!(read_folder(&folder.path().join(MANIFEST_NAME)).unwrap(), offer);
    }

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
    fn a_bad_folder_is_named_with_its_mend() {
        type Make = fn(&Path);
        let cases: [(&str, Make, &str); 10] = [
            (
                "gallery.wasm",
                |path| fs::remove_dir_all(path).unwrap(),
                "PATH is no bundle folder: it does not exist; check the path",
            ),
            (
                "gallery.wasm",
                |path| {
                    fs::remove_dir_all(path).unwrap();
                    fs::write(path, "").unwrap();
                },
                "PATH is no bundle folder: it is a file; name the folder that holds idlewild.toml",
            ),
            (
                "gallery.wasm",
                |path| fs::remove_file(path.join(MANIFEST_NAME)).unwrap(),
                "PATH is no bundle folder: it holds no idlewild.toml; name the folder that does, or write one",
            ),
            (
                "gallery.wasm",
                |path| fs::write(path.join(MANIFEST_NAME), b"\xff").unwrap(),
                "cannot read PATH/idlewild.toml: it is not UTF-8 text; save it as such",
            ),
            (
                "gallery.wasm",
                |path| fs::write(path.join(MANIFEST_NAME), "#".repeat(MANIFEST_LIMIT + 1)).unwrap(),
                "PATH/idlewild.toml is larger than 65536 bytes; make it smaller",
            ),
            (
                "gallery.wasm",
                |path| fs::write(path.join(MANIFEST_NAME), "").unwrap(),
                "PATH/idlewild.toml: section [bundle] is missing; add it, with id, version and component",
            ),
            (
                "gallery.wasm",
                |_| {},
                "the component PATH/gallery.wasm does not exist; build it, or mend `component` in the manifest",
            ),
            (
                "target/wasm32-wasip2/release/gallery.wasm",
                |_| {},
                "the component PATH/target/wasm32-wasip2/release/gallery.wasm does not exist; \
                 build it: cd PATH && cargo build --target wasm32-wasip2 --release",
            ),
            (
                "gallery.wasm",
                |path| symlink("/etc/hostname", path.join("gallery.wasm")).unwrap(),
                "PATH/gallery.wasm leads out of the bundle folder; copy the file into it instead of linking to it",
            ),
            (
                "gallery.wasm",
                |path| fs::create_dir(path.join("gallery.wasm")).unwrap(),
                "PATH/gallery.wasm is no regular file; put a file there",
            ),
        ];
        for (component, make, message) in cases {
            let parent = tempfile::tempdir().unwrap();
            let path = parent.path().join("bundle");
            fs::create_dir(&path).unwrap();
            fs::write(path.join(MANIFEST_NAME), manifest(component)).unwrap();
            make(&path);
            let error = read_folder(&path).unwrap_err().to_string();
            assert_eq!(error, message.replace("PATH", path.to_str().unwrap()));
        }
    }

    #[test]
    fn a_link_inside_the_folder_may_be_followed() {
        let folder = folder("gallery.wasm");
        fs::write(folder.path().join("real.wasm"), b"\0asm").unwrap();
        symlink("real.wasm", folder.path().join("gallery.wasm")).unwrap();
        assert_eq!(read_folder(folder.path()).unwrap().component, b"\0asm");
    }

    #[test]
    fn a_component_too_large_is_not_read_whole() {
        let folder = folder("gallery.wasm");
        let file = fs::File::create(folder.path().join("gallery.wasm")).unwrap();
        file.set_len(COMPONENT_LIMIT + 1).unwrap();
        assert!(matches!(read_folder(folder.path()), Err(BundleError::TooLarge { limit: COMPONENT_LIMIT, .. })));
    }
}

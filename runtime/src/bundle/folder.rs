//! Reads a bundle from the folder it is offered in. Never follows a path out of that folder.

use std::{
    io::{self, Read as _},
    path::{Component, Path},
};

use cap_std::{ambient_authority, fs::Dir};

use super::{
    BundleError, COMPONENT_LIMIT, MANIFEST_LIMIT, MANIFEST_NAME, Manifest, SIGNATURE_NAME, packed,
    signature::SIGNATURE_LIMIT,
};

/// What a bundle folder holds.
pub(super) struct Read {
    pub(super) manifest: Manifest,
    pub(super) manifest_text: String,
    pub(super) component: Vec<u8>,
    pub(super) signature: Option<String>,
}

/// Reads the bundle in the folder `path`.
pub(super) fn read(path: &Path) -> Result<Read, BundleError> {
    let folder = open_folder(path)?;
    let (manifest, manifest_text) = folder.manifest()?;
    let component_path = path.join(&manifest.component);
    let component = folder.open_file(&manifest.component, COMPONENT_LIMIT)?.ok_or_else(|| {
        BundleError::NoComponent { path: component_path.clone(), mend: how_to_build(path, &manifest.component) }
    })?;
    packed::check_bare(&component).map_err(|error| BundleError::Packed { path: component_path, error })?;
    let signature = folder.text(SIGNATURE_NAME, SIGNATURE_LIMIT)?;
    Ok(Read { manifest, manifest_text, component, signature })
}

/// What cargo is told to make a component, from where the manifest says that the component lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CargoOutput {
    pub target: String,
    /// The folder's name: `debug`, `release`, or a profile's own.
    pub profile: String,
}

impl CargoOutput {
    fn of(component: &Path) -> Option<CargoOutput> {
        let normal = |part| match part {
            Component::Normal(name) => Some(name.to_str()),
            _ => None,
        };
        match component.components().filter_map(normal).collect::<Option<Vec<&str>>>()?.as_slice() {
            ["target", target, profile, _] => {
                Some(CargoOutput { target: (*target).to_owned(), profile: (*profile).to_owned() })
            }
            _ => None,
        }
    }
}

/// What makes the component of the bundle in the folder `path`, if cargo does: the folder is a crate's, and the component lies
/// where cargo lays it.
pub(super) fn cargo_output(path: &Path) -> Result<Option<CargoOutput>, BundleError> {
    let folder = open_folder(path)?;
    let (manifest, _) = folder.manifest()?;
    let is_crate = folder.dir.metadata("Cargo.toml").is_ok_and(|metadata| metadata.is_file());
    Ok(is_crate.then(|| CargoOutput::of(&manifest.component)).flatten())
}

struct Folder<'p> {
    path: &'p Path,
    dir: Dir,
}

fn open_folder(path: &Path) -> Result<Folder<'_>, BundleError> {
    let no_bundle = |fault| BundleError::NoBundle { path: path.to_owned(), fault };
    match Dir::open_ambient_dir(path, ambient_authority()) {
        Ok(dir) => Ok(Folder { path, dir }),
        Err(error) => Err(match error.kind() {
            io::ErrorKind::NotFound => no_bundle("it does not exist; check the path"),
            io::ErrorKind::NotADirectory => no_bundle("it is a file; name the folder that holds idlewild.toml"),
            _ => BundleError::Read { path: path.to_owned(), error },
        }),
    }
}

impl Folder<'_> {
    /// The manifest, and its text.
    fn manifest(&self) -> Result<(Manifest, String), BundleError> {
        let Some(text) = self.text(MANIFEST_NAME, MANIFEST_LIMIT)? else {
            let fault = "it holds no idlewild.toml; name the folder that does, or write one";
            return Err(BundleError::NoBundle { path: self.path.to_owned(), fault });
        };
        let fail = |error| BundleError::Manifest { path: self.path.join(MANIFEST_NAME), error };
        Ok((Manifest::parse(&text).map_err(fail)?, text))
    }

    /// A text file; none when there is no such file.
    fn text(&self, name: &str, limit: usize) -> Result<Option<String>, BundleError> {
        let Some(bytes) = self.open_file(Path::new(name), limit as u64)? else { return Ok(None) };
        String::from_utf8(bytes).map(Some).map_err(|_| BundleError::Read {
            path: self.path.join(name),
            error: io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text; save it as such"),
        })
    }

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
    match CargoOutput::of(component) {
        Some(_) => format!("build it: idlewild build {}", folder.display()),
        None => "build it, or mend `component` in the manifest".to_owned(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    fn manifest(component: &str) -> String {
        format!(
            "[bundle]\nid = \"com.example.gallery\"\nversion = \"1.0.0\"\ncomponent = \"{component}\"\n\
             [scheduling]\npermitted-identifiers = [\"com.example.gallery.refresh\"]\n"
        )
    }

    /// A component without anything in it.
    fn empty() -> Vec<u8> {
        wat::parse_str("(component)").unwrap()
    }

    /// A folder with a manifest that names the component, and an empty component under that name.
    pub(in crate::bundle) fn folder(component: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(MANIFEST_NAME), manifest(component)).unwrap();
        fs::write(folder.path().join(component), empty()).unwrap();
        folder
    }

    #[test]
    fn reads_what_a_folder_holds() {
        let folder = folder("gallery.wasm");
        let Read { manifest: read_manifest, manifest_text, component, signature } = read(folder.path()).unwrap();
        assert_eq!(read_manifest.id.as_str(), "com.example.gallery");
        assert_eq!((manifest_text, component, signature), (manifest("gallery.wasm"), empty(), None));
        fs::write(folder.path().join(SIGNATURE_NAME), "signed").unwrap();
        assert_eq!(read(folder.path()).unwrap().signature.as_deref(), Some("signed"));
    }

    #[test]
    fn a_bad_folder_is_named_with_its_mend() {
        type Make = fn(&Path);
        let cases: [(&str, Make, &str); 14] = [
            (
                "gallery.wasm",
                |path| fs::remove_dir_all(path).unwrap(),
                "PATH is no bundle: it does not exist; check the path",
            ),
            (
                "gallery.wasm",
                |path| {
                    fs::remove_dir_all(path).unwrap();
                    fs::write(path, "").unwrap();
                },
                "PATH is no bundle: it is a file; name the folder that holds idlewild.toml",
            ),
            (
                "gallery.wasm",
                |path| fs::remove_file(path.join(MANIFEST_NAME)).unwrap(),
                "PATH is no bundle: it holds no idlewild.toml; name the folder that does, or write one",
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
                 build it: idlewild build PATH",
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
            (
                "gallery.wasm",
                |path| fs::write(path.join("gallery.wasm"), "text").unwrap(),
                "PATH/gallery.wasm: it does not begin as WebAssembly does; name a WebAssembly component",
            ),
            (
                "gallery.wasm",
                |path| fs::write(path.join("gallery.wasm"), packed::pack("manifest", None, &empty())).unwrap(),
                "PATH/gallery.wasm: it carries a manifest of its own; install that file as it is, or put the component \
                 alone into the folder",
            ),
            (
                "gallery.wasm",
                |path| {
                    fs::write(path.join("gallery.wasm"), empty()).unwrap();
                    symlink("/etc/hostname", path.join(SIGNATURE_NAME)).unwrap();
                },
                "PATH/idlewild.minisig leads out of the bundle folder; copy the file into it instead of linking to it",
            ),
            (
                "gallery.wasm",
                |path| {
                    fs::write(path.join("gallery.wasm"), empty()).unwrap();
                    fs::write(path.join(SIGNATURE_NAME), "x".repeat(SIGNATURE_LIMIT + 1)).unwrap();
                },
                "PATH/idlewild.minisig is larger than 4096 bytes; make it smaller",
            ),
        ];
        for (component, make, message) in cases {
            let parent = tempfile::tempdir().unwrap();
            let path = parent.path().join("bundle");
            fs::create_dir(&path).unwrap();
            fs::write(path.join(MANIFEST_NAME), manifest(component)).unwrap();
            make(&path);
            let Err(error) = read(&path) else { panic!("{message}") };
            let error = error.to_string();
            assert_eq!(error, message.replace("PATH", path.to_str().unwrap()));
        }
    }

    #[test]
    fn a_link_inside_the_folder_may_be_followed() {
        let folder = folder("gallery.wasm");
        fs::rename(folder.path().join("gallery.wasm"), folder.path().join("real.wasm")).unwrap();
        symlink("real.wasm", folder.path().join("gallery.wasm")).unwrap();
        assert_eq!(read(folder.path()).unwrap().component, empty());
    }

    #[test]
    fn a_component_too_large_is_not_read_whole() {
        let folder = folder("gallery.wasm");
        let file = fs::File::create(folder.path().join("gallery.wasm")).unwrap();
        file.set_len(COMPONENT_LIMIT + 1).unwrap();
        assert!(matches!(read(folder.path()), Err(BundleError::TooLarge { limit: COMPONENT_LIMIT, .. })));
    }
}

//! Files that bundles and keys are written to: wholly or not at all, whatever happens meanwhile.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use super::{BundleError, MANIFEST_NAME, Offer, SIGNATURE_NAME, pack};

/// Who may read a new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// Whomever the user lets read new files.
    Anybody,
    Owner,
}

/// Writes a file, in place of one that is there.
pub fn write_file(path: &Path, bytes: &[u8], readers: Readers) -> Result<(), BundleError> {
    let fail = |error| BundleError::Write { path: path.to_owned(), error };
    let Some(name) = path.file_name() else {
        return Err(fail(io::Error::new(io::ErrorKind::InvalidInput, "it is no path of a file; name one")));
    };
    let mut passing = std::ffi::OsString::from(".");
    passing.push(name);
    passing.push(".new");
    let passing = path.with_file_name(passing);
    let written = write_passing(&passing, bytes, readers).and_then(|()| fs::rename(&passing, path));
    if written.is_err() {
        // What could not be written whole is left nowhere; the first error is the one to tell.
        let _ = fs::remove_file(&passing);
    }
    written.map_err(fail)
}

/// Writes a file that must not be there yet.
pub fn write_new_file(path: &Path, bytes: &[u8], readers: Readers) -> Result<(), BundleError> {
    match fs::symlink_metadata(path) {
        Ok(_) => Err(BundleError::Exists { path: path.to_owned() }),
        Err(_) => write_file(path, bytes, readers),
    }
}

fn write_passing(path: &Path, bytes: &[u8], readers: Readers) -> io::Result<()> {
    // One that a killed command left.
    let _ = fs::remove_file(path);
    let mode = match readers {
        Readers::Anybody => 0o666,
        Readers::Owner => 0o600,
    };
    // A new file, never one that a link leads to.
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Puts a signature to the bundle at `path`, in place of one it has: into the file, or beside a folder's manifest. Gives back
/// the file that was written.
pub fn attach_signature(path: &Path, offer: &Offer, signature: String) -> Result<PathBuf, BundleError> {
    if path.is_dir() || path.file_name().is_some_and(|name| name == MANIFEST_NAME) {
        let file = match path.is_dir() {
            true => path.join(SIGNATURE_NAME),
            false => path.with_file_name(SIGNATURE_NAME),
        };
        write_file(&file, signature.as_bytes(), Readers::Anybody)?;
        return Ok(file);
    }
    let signed = Offer { signature: Some(signature), ..offer.clone() };
    write_file(path, &pack(&signed), Readers::Anybody)?;
    Ok(path.to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;
    use crate::bundle::{folder::tests::folder, read};

    #[test]
    fn a_signature_goes_where_the_bundle_is_and_replaces_another() {
        let folder = folder("gallery.wasm");
        let bare = read(folder.path()).unwrap();
        let file = folder.path().join("packed.wasm");
        write_file(&file, &pack(&bare), Readers::Anybody).unwrap();
        for signature in ["one", "two"] {
            for path in [folder.path(), &folder.path().join(MANIFEST_NAME), &file] {
                attach_signature(path, &read(path).unwrap(), signature.to_owned()).unwrap();
                let expected = Offer { signature: Some(signature.to_owned()), ..bare.clone() };
                assert_eq!(read(path).unwrap(), expected);
            }
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4, "nothing is left beside them");
    }

    #[test]
    fn a_file_that_cannot_be_written_leaves_no_trace() {
        let place = tempfile::tempdir().unwrap();
        let (path, elsewhere) = (place.path().join("out"), place.path().join("elsewhere"));
        fs::create_dir(&path).unwrap();
        let error = write_file(&path, b"bytes", Readers::Anybody).unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot write {}: ", path.display())), "{error}");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
        assert!(write_file(Path::new("/"), b"bytes", Readers::Anybody).is_err());

        // A link in the way is replaced, never followed.
        symlink(&elsewhere, place.path().join(".key.new")).unwrap();
        write_new_file(&place.path().join("key"), b"secret", Readers::Owner).unwrap();
        assert!(!elsewhere.exists());
        assert_eq!(fs::metadata(place.path().join("key")).unwrap().permissions().mode() & 0o777, 0o600);
        let again = write_new_file(&place.path().join("key"), b"other", Readers::Owner).unwrap_err();
        assert!(again.to_string().contains("exists already"), "{again}");
    }
}

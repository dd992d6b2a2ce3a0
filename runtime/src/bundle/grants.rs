//! Binds the names a bundle asks for to the folders its operator offers.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use rustix::fs::{Access as Permission, access};

use super::{Access, BundleError, DirectoryAsk, Grant, Manifest};
use crate::spelling;

/// Reads `NAME=PATH`. A leading `~` is left as it is: shells replace it.
pub fn parse_grant(text: &str) -> Result<(String, PathBuf), BundleError> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => Ok((name.to_owned(), PathBuf::from(path))),
        Some(_) | None => Err(BundleError::GrantForm { text: text.to_owned() }),
    }
}

/// Gives every name the manifest asks for its folder, in the manifest's order, with absolute paths. Errors: a name is not
/// asked for, asked for and not offered, offered twice, or its path is no folder that this user may use so.
pub fn bind(manifest: &Manifest, offered: &[(String, PathBuf)]) -> Result<Vec<Grant>, BundleError> {
    let mut paths = BTreeMap::new();
    for (name, path) in offered {
        if !manifest.directories.iter().any(|ask| ask.name == *name) {
            return Err(not_asked(manifest, name));
        }
        if paths.insert(name, path).is_some() {
            return Err(BundleError::GrantedTwice { name: name.clone() });
        }
    }
    let grant = |ask: &DirectoryAsk| {
        let DirectoryAsk { name, access } = ask;
        let path = paths.get(name).ok_or_else(|| BundleError::NotGranted {
            bundle: manifest.id.clone(),
            name: name.clone(),
            access: *access,
        })?;
        Ok(Grant { name: name.clone(), access: *access, path: resolve(name, path, *access)? })
    };
    manifest.directories.iter().map(grant).collect()
}

fn not_asked(manifest: &Manifest, name: &str) -> BundleError {
    let asked: Vec<&str> = manifest.directories.iter().map(|ask| ask.name.as_str()).collect();
    let mend = match spelling::nearest(name, asked.iter().copied()) {
        Some(near) => format!("did you mean `{near}`? it asks for {}", asked.join(", ")),
        None if asked.is_empty() => "it asks for none: leave this grant out".to_owned(),
        None => format!("it asks for {}", asked.join(", ")),
    };
    BundleError::NotAsked { bundle: manifest.id.clone(), name: name.to_owned(), mend }
}

fn resolve(name: &str, path: &Path, wanted: Access) -> Result<PathBuf, BundleError> {
    let resolved = fs::canonicalize(path).map_err(|error| BundleError::GrantPath {
        name: name.to_owned(),
        path: path.to_owned(),
        error,
    })?;
    if !resolved.is_dir() {
        return Err(BundleError::GrantNoFolder { name: name.to_owned(), path: resolved });
    }
    let permission = match wanted {
        Access::Read => Permission::READ_OK | Permission::EXEC_OK,
        Access::Write => Permission::READ_OK | Permission::WRITE_OK | Permission::EXEC_OK,
    };
    match access(&resolved, permission) {
        Ok(()) => Ok(resolved),
        Err(_) => Err(BundleError::GrantNoAccess { name: name.to_owned(), path: resolved, access: wanted }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(directories: &str) -> Manifest {
        let text = format!(
            "[bundle]\nid = \"com.example\"\nversion = \"1.0.0\"\ncomponent = \"x.wasm\"\n\
             [scheduling]\npermitted-identifiers = [\"com.example.a\"]\n\
             [capabilities]\ndirectories = [{directories}]"
        );
        Manifest::parse(&text).unwrap()
    }

    const BOTH: &str = r#"{ name = "gallery", access = "read" }, { name = "album", access = "write" }"#;

    fn offer(offered: &[(&str, &Path)]) -> Vec<(String, PathBuf)> {
        offered.iter().map(|(name, path)| ((*name).to_owned(), (*path).to_owned())).collect()
    }

    #[test]
    fn binds_each_asked_name_to_an_absolute_path() {
        let folder = tempfile::tempdir().unwrap();
        let real = fs::canonicalize(folder.path()).unwrap();
        let roundabout = folder.path().join(".");
        let offered = offer(&[("album", folder.path()), ("gallery", &roundabout)]);
        let expected = vec![
            Grant { name: "gallery".to_owned(), access: Access::Read, path: real.clone() },
            Grant { name: "album".to_owned(), access: Access::Write, path: real },
        ];
        assert_eq!(bind(&manifest(BOTH), &offered).unwrap(), expected);
        assert_eq!(bind(&manifest(""), &[]).unwrap(), []);
    }

    #[test]
    fn a_bad_grant_is_named_with_its_mend() {
        let folder = tempfile::tempdir().unwrap();
        let (good, missing, file) = (folder.path(), folder.path().join("missing"), folder.path().join("file"));
        fs::write(&file, "").unwrap();
        let shown = |path: &Path| path.display().to_string();
        let cases = [
            (
                BOTH,
                offer(&[("galery", good)]),
                "com.example asks for no folder named `galery`; did you mean `gallery`? it asks for gallery, album"
                    .to_owned(),
            ),
            (
                BOTH,
                offer(&[("music", good)]),
                "com.example asks for no folder named `music`; it asks for gallery, album".to_owned(),
            ),
            (
                "",
                offer(&[("music", good)]),
                "com.example asks for no folder named `music`; it asks for none: leave this grant out".to_owned(),
            ),
            (
                BOTH,
                offer(&[("gallery", good)]),
                "com.example asks to write a folder named `album`; give it one with --grant album=PATH".to_owned(),
            ),
            (
                BOTH,
                offer(&[("gallery", good), ("gallery", good)]),
                "`gallery` is granted twice; keep one --grant gallery=PATH".to_owned(),
            ),
            (
                BOTH,
                offer(&[("gallery", &missing), ("album", good)]),
                format!(
                    "cannot grant gallery={}: No such file or directory (os error 2); check the path",
                    shown(&missing)
                ),
            ),
            (
                BOTH,
                offer(&[("gallery", &file), ("album", good)]),
                format!("cannot grant gallery={}: it is no folder; name the folder that holds it", shown(&file)),
            ),
        ];
        for (asked, offered, message) in cases {
            assert_eq!(bind(&manifest(asked), &offered).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn reads_a_grant() {
        let cases = [
            ("gallery=/p", Some(("gallery", "/p"))),
            ("gallery=a=b", Some(("gallery", "a=b"))),
            ("gallery=", None),
            ("=/p", None),
            ("gallery", None),
            ("", None),
        ];
        for (text, expected) in cases {
            let expected = expected.map(|(name, path)| (name.to_owned(), PathBuf::from(path)));
            assert_eq!(parse_grant(text).ok(), expected, "{text}");
        }
    }
}

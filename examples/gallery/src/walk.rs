//! Lists the files of a folder and of those below it. It follows no links, so it ends, and passes over hidden names.

use std::{io, path::Path};

use crate::entries::{Sort, entries};

/// What is in a folder.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Listing {
    /// Relative paths with `/` between their parts, in order.
    pub(crate) files: Vec<String>,
    /// What could not be listed, and why.
    pub(crate) failures: Vec<String>,
}

/// Lists the files below `root`, or nothing at all once `stop` says so. Errors: `root` itself cannot be listed.
pub(crate) fn list(root: &Path, stop: impl Fn() -> bool) -> io::Result<Option<Listing>> {
    entries(root)?;
    let mut listing = Listing::default();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        if stop() {
            return Ok(None);
        }
        if let Err(error) = list_one(root, &folder, &mut folders, &mut listing) {
            listing.failures.push(format!("{folder}: {error}"));
        }
    }
    listing.files.sort_unstable();
    Ok(Some(listing))
}

fn list_one(root: &Path, folder: &str, folders: &mut Vec<String>, listing: &mut Listing) -> io::Result<()> {
    for entry in entries(&root.join(folder))? {
        match entry {
            Ok((name, _)) if name.starts_with('.') => {}
            Ok((name, Sort::Folder)) => folders.push(join(folder, &name)),
            Ok((name, Sort::File)) => listing.files.push(join(folder, &name)),
            Ok((_, Sort::Neither)) => {}
            Err(failure) => listing.failures.push(format!("{}: {failure}", join(folder, "?"))),
        }
    }
    Ok(())
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt};

    use super::*;

    #[test]
    fn finds_files_in_folders_and_follows_no_links() {
        let root = tempfile::tempdir().expect("a folder");
        let at = |path: &str| root.path().join(path);
        fs::create_dir_all(at("b/c")).expect("folders");
        fs::create_dir(at(".hidden")).expect("a folder");
        for path in ["z.png", "b/1 & 2.jpg", "b/c/ünder.gif", ".hidden/x.png", ".DS_Store"] {
            fs::write(at(path), "").expect("a file");
        }
        std::os::unix::fs::symlink("..", at("b/loop")).expect("a link");
        std::os::unix::fs::symlink("z.png", at("link.png")).expect("a link");
        fs::write(root.path().join(OsStr::from_bytes(b"odd-\xFF.png")), "").expect("a file");

        let listing = list(root.path(), || false).expect("can be listed").expect("was not stopped");
        assert_eq!(listing.files, ["b/1 & 2.jpg", "b/c/ünder.gif", "z.png"]);
        assert_eq!(listing.failures.len(), 1, "{:?}", listing.failures);
    }

    #[test]
    fn stops_when_told_and_says_when_there_is_nothing_to_list() {
        let root = tempfile::tempdir().expect("a folder");
        assert_eq!(list(root.path(), || true).expect("can be listed"), None);
        assert!(list(&root.path().join("missing"), || false).is_err());
    }
}

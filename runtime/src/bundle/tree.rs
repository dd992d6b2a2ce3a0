//! Removes and measures folders that guests wrote. A guest nests as deep as it likes, so depth costs neither stack nor open
//! files without end.

use std::{ffi::OsStr, io};

use cap_std::fs::Dir;

/// Removes the folder `name` and all in it. Links are removed, never followed.
///
/// Folders inside folders are first lifted up to the top, level by level.
pub fn remove_tree(parent: &Dir, name: &str) -> io::Result<()> {
    let top = parent.open_dir(name)?;
    let mut lifted = 0;
    while top.entries()?.next().is_some() {
        for entry in top.entries()? {
            let entry = entry?;
            let name = entry.file_name();
            if !entry.file_type()?.is_dir() {
                top.remove_file(&name)?;
                continue;
            }
            let folder = top.open_dir(&name)?;
            for inner in folder.entries()? {
                let inner = inner?;
                match inner.file_type()?.is_dir() {
                    true => lift(&folder, &inner.file_name(), &top, &mut lifted)?,
                    false => folder.remove_file(inner.file_name())?,
                }
            }
            top.remove_dir(&name)?;
        }
    }
    parent.remove_dir(name)
}

/// How deep a folder is followed to be measured.
const MEASURED_DEPTH: usize = 64;

/// The length of all files in a folder and below it; none when it is too deep. Links are not followed.
pub(super) fn tree_bytes(top: &Dir) -> io::Result<Option<u64>> {
    let mut bytes = 0;
    let mut entries = vec![top.entries()?];
    while let Some(folder) = entries.last_mut() {
        let Some(entry) = folder.next() else {
            entries.pop();
            continue;
        };
        let entry = entry?;
        if !entry.file_type()?.is_dir() {
            bytes += entry.metadata()?.len();
        } else if entries.len() == MEASURED_DEPTH {
            return Ok(None);
        } else {
            let inner = entry.open_dir()?;
            entries.push(inner.entries()?);
        }
    }
    Ok(Some(bytes))
}

/// Moves a folder up under a name that is free there.
fn lift(from: &Dir, name: &OsStr, to: &Dir, lifted: &mut u64) -> io::Result<()> {
    loop {
        *lifted += 1;
        match from.rename(name, to, format!(".lifted-{lifted}")) {
            Err(error) if matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotADirectory) => {}
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use cap_std::ambient_authority;

    use super::*;

    #[test]
    fn a_folder_of_any_depth_and_breadth_goes() {
        let place = tempfile::tempdir().unwrap();
        let parent = Dir::open_ambient_dir(place.path(), ambient_authority()).unwrap();
        parent.create_dir("bundle").unwrap();
        let top = parent.open_dir("bundle").unwrap();
        top.create_dir(".lifted-1").unwrap();
        top.write(".lifted-1/kept", b"x").unwrap();
        top.write(".lifted-2", b"x").unwrap();
        top.symlink("..", "link").unwrap();
        let mut deepest = top;
        for depth in 0..3_000 {
            deepest.create_dir("d").unwrap();
            deepest.write(format!("file-{depth}"), b"x").unwrap();
            deepest = deepest.open_dir("d").unwrap();
        }
        assert_eq!(tree_bytes(&parent).unwrap(), None, "too deep to be measured");
        remove_tree(&parent, "bundle").unwrap();
        assert!(parent.entries().unwrap().next().is_none());
        parent.create_dir_all("measured/a/b").unwrap();
        parent.write("measured/a/b/c", b"12345").unwrap();
        parent.write("measured/d", b"123").unwrap();
        assert_eq!(tree_bytes(&parent).unwrap(), Some(8));
        assert_eq!(remove_tree(&parent, "bundle").unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}

//! Counts what lies below a folder. A guest nests as deep as it likes, so depth costs neither stack nor open files.

use std::{
    collections::HashSet,
    ffi::CString,
    fs::File,
    io,
    os::fd::{AsFd, OwnedFd},
};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, fstat, openat, statat};

use super::account::FileId;

/// What lies below a folder.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Walked {
    pub(super) bytes: u64,
    pub(super) entries: u64,
}

/// A folder on the way down: which one it is, and the folders in it that were not looked at yet.
struct Level {
    id: FileId,
    folders: Vec<CString>,
}

/// Counts everything below `root` but the bytes of the files that `skip` names. What vanishes meanwhile is not there; a folder
/// that cannot be opened counts as one entry.
pub(super) fn walk(root: &File, skip: impl Fn(FileId) -> bool) -> io::Result<Walked> {
    let mut walked = Walked::default();
    let mut linked = HashSet::new();
    let mut look = |folder: &OwnedFd| look_into(folder, &skip, &mut linked, &mut walked);
    let mut here = open_folder(root, c".")?;
    let mut way = vec![look(&here)?];
    while let Some(level) = way.last_mut() {
        if let Some(name) = level.folders.pop() {
            match open_folder(&here, &name).and_then(|inner| Ok((look(&inner)?, inner))) {
                Ok((level, inner)) => {
                    way.push(level);
                    here = inner;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => tracing::warn!(folder = ?name, %error, "a folder of a guest cannot be counted"),
            }
            continue;
        }
        way.pop();
        let Some(above) = way.last() else { break };
        here = open_folder(&here, c"..")?;
        if id_of(&fstat(&here)?) != above.id {
            return Err(io::Error::other("a folder was moved while it was counted"));
        }
    }
    Ok(walked)
}

fn look_into(
    folder: &OwnedFd,
    skip: &impl Fn(FileId) -> bool,
    linked: &mut HashSet<FileId>,
    walked: &mut Walked,
) -> io::Result<Level> {
    let mut level = Level { id: id_of(&fstat(folder)?), folders: Vec::new() };
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let Ok(stat) = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
        walked.entries += 1;
        let id = id_of(&stat);
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => level.folders.push(name.to_owned()),
            _ if skip(id) || (stat.st_nlink > 1 && !linked.insert(id)) => {}
            _ => walked.bytes += u64::try_from(stat.st_size).unwrap_or(0),
        }
    }
    Ok(level)
}

fn open_folder(at: impl AsFd, name: &std::ffi::CStr) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(at, name, flags, Mode::empty())?)
}

fn id_of(stat: &Stat) -> FileId {
    FileId { device: stat.st_dev, inode: stat.st_ino }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use cap_std::{ambient_authority, fs::Dir};

    use super::*;
    use crate::bundle::remove_tree;

    #[test]
    fn whatever_has_bytes_counts_once_and_folders_are_entries() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        fs::create_dir_all(at("a/b")).unwrap();
        fs::write(at("a/b/file"), [0; 700]).unwrap();
        fs::hard_link(at("a/b/file"), at("same")).unwrap();
        File::create(at("sparse")).unwrap().set_len(1 << 40).unwrap();
        symlink("/etc", at("a/link")).unwrap();
        fs::hard_link(at("a/link"), at("same link")).unwrap();
        let walked = walk(&File::open(place.path()).unwrap(), |_| false).unwrap();
        assert_eq!(walked, Walked { bytes: 700 + (1 << 40) + 4, entries: 7 });
    }

    #[test]
    fn what_is_skipped_is_an_entry_without_bytes() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("file"), "12345").unwrap();
        let walked = walk(&File::open(place.path()).unwrap(), |_| true).unwrap();
        assert_eq!(walked, Walked { bytes: 0, entries: 1 });
    }

    #[test]
    fn depth_costs_no_open_files() {
        let place = tempfile::tempdir().unwrap();
        let parent = Dir::open_ambient_dir(place.path(), ambient_authority()).unwrap();
        parent.create_dir("top").unwrap();
        let mut deepest = parent.open_dir("top").unwrap();
        for _ in 0..5_000 {
            deepest.create_dir("d").unwrap();
            deepest.write("f", b"x").unwrap();
            deepest = deepest.open_dir("d").unwrap();
        }
        let walked = walk(&File::open(place.path().join("top")).unwrap(), |_| false).unwrap();
        assert_eq!(walked, Walked { bytes: 5_000, entries: 10_000 });
        remove_tree(&parent, "top").unwrap();
    }
}

//! The entries of one folder.
//!
//! In a guest they are asked of WASI itself: its text cannot hold a name that is not UTF-8, which it says in that entry's place,
//! and the standard library takes that for the end of the folder and loses the rest of it.

use std::{io, path::Path};

/// What an entry is, itself: a link is neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    Folder,
    File,
    Neither,
}

/// An entry's name and sort, or why it cannot be told.
pub(crate) type Entry = Result<(String, Sort), String>;

/// A folder that yields only errors is given up after so many.
const FAILURES: usize = 1_000;

/// Errors: the folder cannot be listed.
pub(crate) fn entries(folder: &Path) -> io::Result<Vec<Entry>> {
    let mut failures = 0;
    let mut entries = Vec::new();
    for entry in raw_entries(folder)? {
        failures += usize::from(entry.is_err());
        if failures > FAILURES {
            return Err(io::Error::other("too many of its entries cannot be read"));
        }
        entries.push(entry);
    }
    Ok(entries)
}

#[cfg(target_family = "wasm")]
fn raw_entries(folder: &Path) -> io::Result<impl Iterator<Item = Entry>> {
    use std::iter;

    use wasip2::filesystem::{
        preopens,
        types::{DescriptorFlags, DescriptorType, ErrorCode, OpenFlags, PathFlags},
    };

    let failed = |code: ErrorCode| io::Error::other(code.message());
    let granted = preopens::get_directories().into_iter().find_map(|(directory, root)| {
        let below = folder.strip_prefix(root).ok()?.to_str()?.to_owned();
        Some((directory, below))
    });
    let (directory, below) = granted.ok_or(io::ErrorKind::NotFound)?;
    let below = if below.is_empty() { "." } else { &below };
    let directory =
        directory.open_at(PathFlags::empty(), below, OpenFlags::DIRECTORY, DescriptorFlags::READ).map_err(failed)?;
    let stream = directory.read_directory().map_err(failed)?;
    Ok(iter::from_fn(move || match stream.read_directory_entry() {
        Ok(None) => None,
        Ok(Some(entry)) => {
            let sort = match entry.type_ {
                DescriptorType::Directory => Sort::Folder,
                DescriptorType::RegularFile => Sort::File,
                _ => Sort::Neither,
            };
            Some(Ok((entry.name, sort)))
        }
        Err(ErrorCode::IllegalByteSequence) => Some(Err("a name that is not UTF-8".to_owned())),
        Err(code) => Some(Err(code.message().to_owned())),
    }))
}

#[cfg(not(target_family = "wasm"))]
fn raw_entries(folder: &Path) -> io::Result<impl Iterator<Item = Entry>> {
    use std::fs;

    Ok(fs::read_dir(folder)?.map(|entry| {
        let entry = entry.map_err(|error| error.to_string())?;
        let sort = entry.file_type().map_err(|error| error.to_string())?;
        let name = entry.file_name().into_string().map_err(|_| "a name that is not UTF-8".to_owned())?;
        let sort = match () {
            () if sort.is_dir() => Sort::Folder,
            () if sort.is_file() => Sort::File,
            () => Sort::Neither,
        };
        Ok((name, sort))
    }))
}

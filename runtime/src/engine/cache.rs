//! Compiled components on disk: compiled once, then loaded in a fraction of a millisecond. The folder is bounded, and may be
//! deleted at any time; a file that is damaged or of another wasmtime is compiled anew.

#![allow(unsafe_code, reason = "loading compiled code trusts its bytes; `deserialize` says why they can be trusted")]

use std::{
    fs::File,
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, Read, Seek, SeekFrom, Write},
    sync::atomic::{AtomicU64, Ordering},
};

use cap_std::fs::{
    Dir, DirBuilder, DirBuilderExt, MetadataExt, OpenOptions, OpenOptionsExt, Permissions, PermissionsExt,
};
use rustix::fs::{MemfdFlags, Timespec, Timestamps, UTIME_NOW, futimens, memfd_create};
use sha2::{Digest, Sha256};
use wasmtime::{Engine, component::Component};

use super::fault::cause;
use crate::bundle::CACHE;

const MAGIC: &[u8; 8] = b"idlecode";
const SEAL: usize = 32;
/// Magic and seal stand before the code.
const HEADER: u64 = (MAGIC.len() + SEAL) as u64;

const USED_NOW: Timestamps = Timestamps {
    last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
    last_modification: Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
};

/// Remembers what was compiled. Its calls block.
pub(super) struct CodeCache {
    engine: Engine,
    /// Where the folder stands, which is opened anew for each use: it may be gone, or be made again.
    home: Dir,
    /// What else the compiled code depends on: wasmtime's version, its settings, this processor.
    setting: String,
    /// Bytes the folder may hold.
    limit: u64,
    drafts: AtomicU64,
}

/// A file that code is written to, before it has a name.
pub(super) struct Draft {
    file: File,
    /// None where the folder cannot be written to: then the code is used, and not kept.
    place: Option<Place>,
}

struct Place {
    folder: Dir,
    name: String,
}

impl Drop for Place {
    fn drop(&mut self) {
        // After a rename it is gone.
        self.folder.remove_file(&self.name).ok();
    }
}

impl CodeCache {
    /// The folder in `home`, made if it is not there; it becomes the owner's alone. `compiling` is an engine as the children
    /// have it. Errors: the folder belongs to somebody else, or cannot be used.
    pub(super) fn open(engine: Engine, compiling: &Engine, home: Dir, limit: u64) -> io::Result<CodeCache> {
        let mut hasher = DefaultHasher::new();
        compiling.precompile_compatibility_hash().hash(&mut hasher);
        let setting = format!("{:016x}", hasher.finish());
        let cache = CodeCache { engine, home, setting, limit, drafts: AtomicU64::new(0) };
        let folder = cache.folder()?;
        // Whoever wrote these is dead: one host at a time has the folder.
        for entry in folder.entries()? {
            let name = entry?.file_name();
            if is_draft(&name.to_string_lossy()) {
                folder.remove_file(&name)?;
            }
        }
        cache.shrink(&folder, None)?;
        Ok(cache)
    }

    /// Whether there is a file of that component's code.
    pub(super) fn has(&self, digest: &str) -> bool {
        self.folder().is_ok_and(|folder| folder.exists(self.file(digest)))
    }

    /// None if there is no such file, or it is not what was written.
    pub(super) fn read(&self, digest: &str) -> Option<Component> {
        let name = self.file(digest);
        let folder = self.folder().ok()?;
        let mut file = folder.open(&name).ok()?;
        let mut bytes = Vec::new();
        let read = file.read_to_end(&mut bytes).is_ok();
        let code = unseal(&name, &bytes).filter(|_| read);
        let loaded = code.and_then(|code| deserialize(&self.engine, code).ok());
        match loaded {
            // So that it is not the next to go.
            Some(_) => futimens(&file, &USED_NOW).unwrap_or_default(),
            None => {
                tracing::warn!(file = name, "compiled code is damaged; it is compiled anew");
                folder.remove_file(&name).ok();
            }
        }
        loaded
    }

    /// A new file for code: in the folder, or in memory where the folder cannot be written to.
    pub(super) fn draft(&self) -> io::Result<Draft> {
        let number = self.drafts.fetch_add(1, Ordering::Relaxed);
        let name = format!(".{}-{number}", std::process::id());
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true).mode(0o600);
        let opened = self.folder().and_then(|folder| Ok((folder.open_with(&name, &options)?, folder)));
        Ok(match opened {
            Ok((file, folder)) => Draft { file: file.into_std(), place: Some(Place { folder, name }) },
            Err(error) => {
                not_kept(&error);
                Draft { file: File::from(memfd_create("idlewild-code", MemfdFlags::CLOEXEC)?), place: None }
            }
        })
    }

    /// Takes what a child wrote to `draft`: loads it, seals it and gives it its name, whole or not at all. Errors: it is none
    /// of this engine's code.
    pub(super) fn take(&self, digest: &str, draft: Draft) -> Result<Component, String> {
        let Draft { mut file, place } = draft;
        let mut code = Vec::new();
        let read = file.seek(SeekFrom::Start(HEADER)).and_then(|_| file.read_to_end(&mut code));
        read.map_err(|error| error.to_string())?;
        let loaded = deserialize(&self.engine, &code).map_err(|error| cause(&error))?;
        if let Some(place) = place
            && let Err(error) = self.keep(&self.file(digest), file, &place, &code)
        {
            not_kept(&error);
        }
        Ok(loaded)
    }

    fn keep(&self, name: &str, mut file: File, place: &Place, code: &[u8]) -> io::Result<()> {
        if code.len() as u64 + HEADER > self.limit {
            return Err(io::Error::other("it is larger than the cache may be"));
        }
        file.rewind()?;
        file.write_all(MAGIC)?;
        file.write_all(&seal(name, code))?;
        place.folder.rename(&place.name, &place.folder, name)?;
        self.shrink(&place.folder, Some(name))
    }

    /// Removes the files that were used least recently, until the rest is within the limit. `spared` stays.
    fn shrink(&self, folder: &Dir, spared: Option<&str>) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in folder.entries()? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            // Removed by somebody in this moment, it takes no room.
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_file() && !is_draft(&name) {
                files.push(((metadata.mtime(), metadata.mtime_nsec()), metadata.len(), name));
            }
        }
        files.sort();
        let mut held: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, bytes, name) in files {
            if held <= self.limit {
                break;
            }
            if spared != Some(name.as_str()) {
                folder.remove_file(&name)?;
                held -= bytes;
            }
        }
        Ok(())
    }

    fn folder(&self) -> io::Result<Dir> {
        let folder = match self.home.open_dir(CACHE) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                match self.home.create_dir_with(CACHE, DirBuilder::new().mode(0o700)) {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                    Ok(()) | Err(_) => {}
                }
                self.home.open_dir(CACHE)?
            }
            opened => opened?,
        };
        let metadata = folder.dir_metadata()?;
        if metadata.uid() != rustix::process::geteuid().as_raw() {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "the folder belongs to another user"));
        }
        if metadata.mode() & 0o022 != 0 {
            folder.set_permissions(".", Permissions::from_mode(0o700))?;
        }
        Ok(folder)
    }

    fn file(&self, digest: &str) -> String {
        format!("{digest}-{}", self.setting)
    }
}

impl Draft {
    /// The file, at the place where the code begins.
    pub(super) fn file(&self) -> io::Result<File> {
        let mut file = self.file.try_clone()?;
        file.seek(SeekFrom::Start(HEADER))?;
        Ok(file)
    }
}

fn is_draft(name: &str) -> bool {
    name.starts_with('.')
}

fn not_kept(error: &io::Error) {
    tracing::warn!(%error, "compiled code cannot be kept; it is compiled again next time");
}

/// Over the name too, so that code copied under another digest is not taken for it.
fn seal(name: &str, code: &[u8]) -> [u8; SEAL] {
    let mut hash = Sha256::new();
    hash.update((name.len() as u64).to_le_bytes());
    hash.update(name.as_bytes());
    hash.update(code);
    hash.finalize().into()
}

fn unseal<'a>(name: &str, file: &'a [u8]) -> Option<&'a [u8]> {
    let (kept, code) = file.strip_prefix(MAGIC)?.split_at_checked(SEAL)?;
    (kept == seal(name, code)).then_some(code)
}

/// Loads what a child compiled.
fn deserialize(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: the bytes are what `precompile_component` returned in a child that this process started, of its own program:
    // either just now, or read from a file whose seal was just checked, in a folder only this user can write to. Who can
    // forge them there could replace this program as well. No byte of a bundle comes here.
    unsafe { Component::deserialize(engine, code) }
}

//! The files of a guest: `wasi:filesystem` as wasmtime-wasi has it, with a quota around `/data` and `/tmp`. Folders that the
//! operator granted have none.
//!
//! Which account a descriptor belongs to is kept beside wasmtime-wasi's table, under the same number. What reads goes straight
//! through; what changes something below a folder with a quota is done by `Folder`. Names do not move between folders with
//! different accounts: for a guest they are different devices.

mod account;
mod folder;
mod p2;
mod stream;
#[cfg(test)]
mod tests;
mod walk;

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, PoisonError},
};

use cap_std::fs::{Dir, MetadataExt};
use rustix::io::Errno;
use wasmtime::component::{HasData, Linker, Resource};
use wasmtime_wasi::{
    filesystem::{Descriptor, WasiFilesystemCtxView},
    p2::bindings::filesystem::{preopens, types},
};

use super::{folders::Folders, imports::Guest};
use crate::rules::BundleId;

pub(super) use self::{
    account::{Account, Quota},
    folder::{Folder, FolderParts},
};
use account::{FileId, OpenFile};

/// Offers `wasi:filesystem` 0.2, in place of what was linked under its names before.
pub(super) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    types::add_to_linker::<_, Files>(linker, Guest::files)?;
    preopens::add_to_linker::<_, Files>(linker, Guest::files)
}

/// The files of one call.
pub(super) struct Files {
    /// What may be opened, until it is first asked for.
    folders: Option<Folders>,
    charges: HashMap<u32, Charge>,
    listings: usize,
    most_listings: usize,
}

/// The files of one call, beside the rest of its WASI.
pub(super) struct FilesView<'a> {
    pub(super) wasi: WasiFilesystemCtxView<'a>,
    pub(super) files: &'a mut Files,
}

/// What a descriptor below a folder with a quota is.
#[derive(Clone)]
enum Charge {
    Folder(Arc<Folder>),
    File(Arc<Folder>, Arc<OpenFile>),
}

/// The accounts of every bundle's `/data` that was used since the host started.
#[derive(Default)]
pub(super) struct Accounts {
    of: Mutex<HashMap<BundleId, (FileId, Arc<Account>)>>,
}

impl Accounts {
    /// The account of a bundle's folder. A folder that was made anew has a new one.
    pub(super) fn of(&self, bundle: &BundleId, folder: &Dir) -> io::Result<Arc<Account>> {
        let metadata = folder.dir_metadata()?;
        let id = FileId { device: metadata.dev(), inode: metadata.ino() };
        let mut accounts = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        let (of, account) = accounts.entry(bundle.clone()).or_insert_with(|| (id, Arc::default()));
        if *of != id {
            (*of, *account) = (id, Arc::default());
        }
        Ok(account.clone())
    }
}

impl HasData for Files {
    type Data<'a> = FilesView<'a>;
}

impl Files {
    /// `listings`: how many listings of folders may be open at once.
    pub(super) fn new(folders: Option<Folders>, listings: usize) -> Files {
        Files { folders, charges: HashMap::new(), listings: 0, most_listings: listings }
    }
}

impl FilesView<'_> {
    /// The folders a guest starts from. They are opened at the first question for them.
    fn directories(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        let mut quotas = Vec::new();
        if let Some(folders) = self.files.folders.take() {
            (*self.wasi.ctx, quotas) = folders.show()?;
        }
        let directories = preopens::Host::get_directories(&mut self.wasi)?;
        for (descriptor, name) in &directories {
            if let Some((_, folder)) = quotas.iter().find(|(quoted, _)| quoted == name) {
                self.files.charges.insert(descriptor.rep(), Charge::Folder(folder.clone()));
            }
        }
        Ok(directories)
    }
}

/// What the system calls a move between devices.
fn cross_device() -> io::Error {
    Errno::XDEV.into()
}

//! The files of a guest: `wasi:filesystem` as wasmtime-wasi has it, with a quota around `/data` and `/tmp`. Folders that the
//! operator granted have none.
//!
//! Which account a descriptor belongs to is kept beside wasmtime-wasi's table, under the same number. What reads goes straight
//! through; what changes something below a folder with a quota is done by `Folder`. Names do not move between folders with
//! different accounts: for a guest they are different devices.

mod account;
mod folder;
mod listing;
mod p2;
mod p3;
mod stream;
#[cfg(test)]
mod tests;
mod walk;

use std::{
    collections::HashMap,
    fs::File,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use cap_std::fs::{Dir, MetadataExt};
use wasmtime::component::{HasData, Linker, Resource, ResourceTableError};
use wasmtime_wasi::{
    filesystem::{Descriptor, WasiFilesystemCtxView},
    p2::bindings::filesystem as filesystem_0_2,
    p3::bindings::filesystem as filesystem_0_3,
};

use super::{folders::Folders, imports::Guest};
use crate::rules::BundleId;

pub(super) use self::{
    account::{Account, Quota},
    folder::{Folder, FolderParts},
};
use account::{FileId, OpenFile};

/// Offers `wasi:filesystem` 0.2 and 0.3, in place of what was linked under their names before.
pub(super) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    filesystem_0_2::types::add_to_linker::<_, Files>(linker, Guest::files)?;
    filesystem_0_2::preopens::add_to_linker::<_, Files>(linker, Guest::files)?;
    filesystem_0_3::types::add_to_linker::<_, Files>(linker, Guest::files)?;
    filesystem_0_3::preopens::add_to_linker::<_, Files>(linker, Guest::files)
}

/// A descriptor, as guests name it. Both versions of WASI have the same.
type Fd = Resource<Descriptor>;

/// The files of one call.
pub(super) struct Files {
    /// What may be opened, until it is first asked for.
    folders: Option<Folders>,
    quotas: Vec<(&'static str, Arc<Folder>)>,
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
    /// A bundle's folder below `data`, made if it is not there, and its account. A folder that was made anew has a new one.
    pub(super) fn open(&self, data: &Dir, bundle: &BundleId, now: Duration) -> io::Result<(Dir, Arc<Account>)> {
        // Held meanwhile, so that nobody takes the account of a folder of the same inode that is gone.
        let mut accounts = self.of.lock().unwrap_or_else(PoisonError::into_inner);
        let (folder, is_new) = open_or_create(data, bundle.as_str())?;
        let metadata = folder.dir_metadata()?;
        let id = FileId { device: metadata.dev(), inode: metadata.ino() };
        if is_new {
            accounts.insert(bundle.clone(), (id, Arc::new(Account::of_empty(now))));
        }
        let (of, account) = accounts.entry(bundle.clone()).or_insert_with(|| (id, Arc::default()));
        if *of != id {
            (*of, *account) = (id, Arc::default());
        }
        Ok((folder, account.clone()))
    }
}

/// A folder, and whether it was made for this.
fn open_or_create(parent: &Dir, name: &str) -> io::Result<(Dir, bool)> {
    match parent.open_dir(name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let made = match parent.create_dir(name) {
                Ok(()) => true,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
                Err(error) => return Err(error),
            };
            Ok((parent.open_dir(name)?, made))
        }
        opened => Ok((opened?, false)),
    }
}

/// A folder with a quota, and the handle of one at or below it.
type Below = (Arc<Folder>, Arc<File>);

/// Two folders that a name is to go from and to.
enum Pair {
    /// Neither has a quota.
    Free,
    /// They have one account.
    One(Arc<Folder>, Arc<File>, Arc<File>),
    Apart,
}

impl HasData for Files {
    type Data<'a> = FilesView<'a>;
}

impl Files {
    /// `listings`: how many listings of folders may be open at once.
    pub(super) fn new(folders: Option<Folders>, listings: usize) -> Files {
        Files { folders, quotas: Vec::new(), charges: HashMap::new(), listings: 0, most_listings: listings }
    }
}

impl FilesView<'_> {
    /// The folders a guest starts from. They are opened at the first question for them; each answer has descriptors of its own.
    fn directories(&mut self) -> wasmtime::Result<Vec<(Fd, String)>> {
        if let Some(folders) = self.files.folders.take() {
            (*self.wasi.ctx, self.files.quotas) = folders.show()?;
        }
        let directories = filesystem_0_2::preopens::Host::get_directories(&mut self.wasi)?;
        for (descriptor, name) in &directories {
            if let Some((_, folder)) = self.files.quotas.iter().find(|(quoted, _)| quoted == name) {
                self.files.charges.insert(descriptor.rep(), Charge::Folder(folder.clone()));
            }
        }
        Ok(directories)
    }

    /// Takes in what was opened below a folder with a quota.
    fn add(&mut self, (descriptor, charge): (Descriptor, Option<Charge>)) -> Result<Fd, ResourceTableError> {
        let fd = self.wasi.table.push(descriptor)?;
        if let Some(charge) = charge {
            self.files.charges.insert(fd.rep(), charge);
        }
        Ok(fd)
    }

    /// A descriptor of a folder, if there is a quota above it.
    fn folder(&self, fd: &Fd) -> Result<Option<Below>, ResourceTableError> {
        match (self.files.charges.get(&fd.rep()), self.wasi.table.get(fd)?) {
            (Some(Charge::Folder(folder)), Descriptor::Dir(dir)) => Ok(Some((folder.clone(), dir.dir.clone()))),
            _ => Ok(None),
        }
    }

    /// A file below a folder with a quota.
    fn file(&self, fd: &Fd) -> Option<(Arc<Folder>, Arc<OpenFile>)> {
        match self.files.charges.get(&fd.rep()) {
            Some(Charge::File(folder, file)) => Some((folder.clone(), file.clone())),
            Some(Charge::Folder(_)) | None => None,
        }
    }

    fn pair(&self, from: &Fd, to: &Fd) -> Result<Pair, ResourceTableError> {
        Ok(match (self.folder(from)?, self.folder(to)?) {
            (Some((folder, from)), Some((other, to))) if folder.is_one_with(&other) => Pair::One(folder, from, to),
            (None, None) => Pair::Free,
            (Some(_), Some(_)) | (Some(_), None) | (None, Some(_)) => Pair::Apart,
        })
    }
}

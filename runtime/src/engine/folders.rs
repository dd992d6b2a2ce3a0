//! The folders a guest sees: `/data`, `/tmp`, and what the operator granted. They are opened when a guest first asks for
//! them, so that a task without files costs no system call.
//!
//! wasmtime-wasi opens a folder by path. The path given is the handle's own below `/proc/self/fd`, so the authority stays
//! with the handle: no link that is set up in between can lead elsewhere. Inside, wasmtime-wasi resolves names beneath the
//! folder and refuses links that lead out of it.

use std::{
    io,
    os::fd::AsRawFd,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use cap_std::{ambient_authority, fs::Dir};
use wasmtime_wasi::{FsPerms, WasiCtx, filesystem::WasiFilesystemCtx};

use super::{
    log::Log,
    quota::{Account, Accounts, Folder, FolderParts, Quota},
};
use crate::{
    bundle::{Access, Bundle, DirectoryGrant, Manifest, remove_tree},
    clock::Clock,
};

/// Below the state folder: where every bundle's `/data` and every running call's `/tmp` are, and how much they may hold.
pub(super) struct Places {
    pub(super) data: Dir,
    pub(super) tmp: Dir,
    pub(super) accounts: Accounts,
    pub(super) data_quota: Quota,
    pub(super) tmp_quota: Quota,
    /// How old a count must be before a change that does not fit causes another.
    pub(super) recount_after: Duration,
    pub(super) clock: Arc<dyn Clock>,
}

/// What one call may open.
pub(super) struct Folders {
    places: Arc<Places>,
    bundle: Arc<Bundle>,
    grants: Vec<(DirectoryGrant, Dir)>,
    scratch: Scratch,
    log: Log,
}

/// What a guest may start from, and which of it has a quota.
pub(super) type Shown = (WasiFilesystemCtx, Vec<(&'static str, Arc<Folder>)>);

/// The `/tmp` of one call. It is shared so that it can be removed after its guest, wherever the guest was stopped.
#[derive(Clone)]
pub(super) struct Scratch {
    shared: Arc<Mutex<Option<String>>>,
    places: Arc<Places>,
    account: Arc<Account>,
    name: Arc<str>,
}

impl Folders {
    /// Opens what was granted. Errors: the grant that cannot be opened, named.
    pub(super) fn open(
        places: &Arc<Places>,
        bundle: &Arc<Bundle>,
        scratch: Scratch,
        log: Log,
    ) -> Result<Folders, String> {
        let grants = bundle.grants.directories.iter().map(open_grant).collect::<Result<_, _>>()?;
        Ok(Folders { places: places.clone(), bundle: bundle.clone(), grants, scratch, log })
    }

    /// Makes them all visible to a guest.
    pub(super) fn show(self) -> wasmtime::Result<Shown> {
        let mut builder = WasiCtx::builder();
        for (grant, folder) in &self.grants {
            let permissions = match grant.access {
                Access::Read => FsPerms::ReadOnly,
                Access::Write => FsPerms::ReadWrite,
            };
            builder.preopened_dir(handle_path(folder), format!("/{}", grant.name), permissions)?;
        }
        let id = &self.bundle.manifest.id;
        let Places { data, accounts, clock, .. } = &*self.places;
        let (data, account) = accounts
            .open(data, id, clock.now().uptime)
            .map_err(|error| wasmtime::format_err!("`/data` cannot be opened: {error}"))?;
        builder.preopened_dir(handle_path(&data), "/data", FsPerms::ReadWrite)?;
        let tmp = self.scratch.create().map_err(|error| wasmtime::format_err!("`/tmp` cannot be made: {error}"))?;
        builder.preopened_dir(handle_path(&tmp), "/tmp", FsPerms::ReadWrite)?;
        let Manifest { data: data_limit, tmp: tmp_limit, .. } = &self.bundle.manifest;
        let data = self.quoted("/data", data, account, self.places.data_quota.lowered(*data_limit));
        let tmp = self.quoted("/tmp", tmp, self.scratch.account.clone(), self.places.tmp_quota.lowered(*tmp_limit));
        Ok((builder.build().filesystem().clone(), vec![data, tmp]))
    }

    fn quoted(
        &self,
        name: &'static str,
        root: Dir,
        account: Arc<Account>,
        quota: Quota,
    ) -> (&'static str, Arc<Folder>) {
        let Places { recount_after, clock, .. } = &*self.places;
        let folder = Folder::new(FolderParts {
            name,
            root: root.into_std_file(),
            account,
            quota,
            recount_after: *recount_after,
            clock: clock.clone(),
            log: self.log.clone(),
        });
        (name, Arc::new(folder))
    }
}

impl Scratch {
    /// The `/tmp` of the call `name`; nothing is made yet.
    pub(super) fn new(places: &Arc<Places>, name: &str) -> Scratch {
        let account = Account::of_empty(places.clock.now().uptime);
        Scratch { shared: Arc::default(), places: places.clone(), account: Arc::new(account), name: name.into() }
    }

    /// Whether there is something to remove.
    pub(super) fn exists(&self) -> bool {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Removes the folder and all in it. Links in it are removed, never followed. It takes as long as there is something in
    /// it: only where a thread may block.
    pub(super) fn remove(&self) {
        let Some(name) = self.shared.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        // What the guest began to do to names goes on when it is stopped; nothing new begins.
        let _names = self.account.names.blocking_lock();
        if let Err(error) = remove_tree(&self.places.tmp, &name) {
            tracing::warn!(folder = name, %error, "a task's /tmp cannot be removed; it is removed at the next start");
        }
    }

    fn create(&self) -> io::Result<Dir> {
        let mut made = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        self.places.tmp.create_dir(&*self.name)?;
        *made = Some(self.name.to_string());
        self.places.tmp.open_dir(&*self.name)
    }
}

fn open_grant(grant: &DirectoryGrant) -> Result<(DirectoryGrant, Dir), String> {
    let folder = Dir::open_ambient_dir(&grant.path, ambient_authority()).map_err(|error| {
        format!("the folder granted as `{}`, {}, cannot be opened: {error}", grant.name, grant.path.display())
    })?;
    Ok((grant.clone(), folder))
}

fn handle_path(folder: &Dir) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd()))
}

//! A folder with a quota, as one call sees it: every change of it is made here, on a thread that may block, together with its
//! accounting. What was begun is finished and accounted for even when the guest that asked for it is gone.

use std::{
    fs::File,
    io::{self, IoSlice},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use cap_std::fs::{Dir, Metadata, MetadataExt, OpenOptions, OpenOptionsExt};
use rustix::{
    fs::OFlags,
    io::{Errno, ReadWriteFlags, pwritev2},
};
use wasmtime_wasi::{
    FsPerms, OpenMode,
    filesystem::{Descriptor, Dir as GuestDir, File as GuestFile},
    runtime::{AbortOnDropJoinHandle, spawn_blocking},
};

use super::{
    Charge,
    account::{Account, FileId, Full, OpenFile, Quota, Reach},
};
use crate::{
    clock::Clock,
    engine::{fault::size, log::Log},
};

/// One folder, as one call sees it.
pub(in crate::engine) struct Folder {
    name: &'static str,
    root: File,
    account: Arc<Account>,
    quota: Quota,
    recount_after: Duration,
    clock: Arc<dyn Clock>,
    log: Log,
    told_of_bytes: AtomicBool,
    told_of_entries: AtomicBool,
}

/// What a folder is made of.
pub(in crate::engine) struct FolderParts {
    /// What the guest calls it.
    pub(in crate::engine) name: &'static str,
    pub(in crate::engine) root: File,
    pub(in crate::engine) account: Arc<Account>,
    pub(in crate::engine) quota: Quota,
    /// How old a count must be before a change that does not fit causes another.
    pub(in crate::engine) recount_after: Duration,
    pub(in crate::engine) clock: Arc<dyn Clock>,
    pub(in crate::engine) log: Log,
}

/// How a name is to be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Opening {
    pub(super) follow: bool,
    pub(super) create: bool,
    pub(super) exclusive: bool,
    pub(super) truncate: bool,
    pub(super) directory: bool,
    pub(super) read: bool,
    pub(super) write: bool,
}

/// Where a write goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    At(u64),
    End,
}

impl Place {
    /// Where the next write goes.
    pub(super) fn after(self, written: usize) -> Place {
        match self {
            Place::At(offset) => Place::At(offset.saturating_add(written as u64)),
            Place::End => Place::End,
        }
    }
}

/// Why a change was not made.
pub(super) enum Failure {
    Full(Full),
    Io(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Io(error)
    }
}

impl From<Full> for Failure {
    fn from(full: Full) -> Failure {
        Failure::Full(full)
    }
}

impl Folder {
    pub(in crate::engine) fn new(parts: FolderParts) -> Folder {
        let FolderParts { name, root, account, quota, recount_after, clock, log } = parts;
        let (told_of_bytes, told_of_entries) = (AtomicBool::new(false), AtomicBool::new(false));
        Folder { name, root, account, quota, recount_after, clock, log, told_of_bytes, told_of_entries }
    }

    /// Whether both keep the same account, so that names may move between them.
    pub(super) fn is_one_with(&self, other: &Folder) -> bool {
        Arc::ptr_eq(&self.account, &other.account)
    }

    /// Opens a name. The second half is what is kept beside the guest's table for the first.
    pub(super) async fn open(
        self: &Arc<Self>,
        at: Arc<File>,
        path: String,
        opening: Opening,
    ) -> io::Result<(Descriptor, Option<Charge>)> {
        let opening = opening.granted()?;
        let (opened, file) = self.change(move |folder| folder.open_now(&at, path.as_ref(), opening)).await?;
        let charge = match (&opened, file) {
            (Descriptor::Dir(_), _) => Some(Charge::Folder(self.clone())),
            (Descriptor::File(_), file) => file.map(|file| Charge::File(self.clone(), Arc::new(file))),
        };
        Ok((opened, charge))
    }

    pub(super) async fn create_folder(self: &Arc<Self>, at: Arc<File>, path: String) -> io::Result<()> {
        self.change(move |folder| folder.entering(0, || dir(&at)?.create_dir(&path))).await
    }

    /// Makes a link that holds `target`.
    pub(super) async fn create_link(self: &Arc<Self>, target: String, at: Arc<File>, path: String) -> io::Result<()> {
        let length = target.len() as u64;
        self.change(move |folder| folder.entering(length, || dir(&at)?.symlink(&target, &path))).await
    }

    /// Gives a file one more name.
    pub(super) async fn add_name(
        self: &Arc<Self>,
        from: Arc<File>,
        old: String,
        to: Arc<File>,
        new: String,
    ) -> io::Result<()> {
        self.change(move |folder| folder.entering(0, || dir(&from)?.hard_link(&old, &dir(&to)?, &new))).await
    }

    pub(super) async fn remove_file(self: &Arc<Self>, at: Arc<File>, path: String) -> io::Result<()> {
        self.change(move |folder| {
            let at = dir(&at)?;
            let before = at.symlink_metadata(&path)?;
            at.remove_file(&path)?;
            folder.gone(&before);
            Ok(())
        })
        .await
    }

    pub(super) async fn remove_folder(self: &Arc<Self>, at: Arc<File>, path: String) -> io::Result<()> {
        self.change(move |folder| {
            dir(&at)?.remove_dir(&path)?;
            folder.account.leave(0);
            Ok(())
        })
        .await
    }

    pub(super) async fn rename(
        self: &Arc<Self>,
        from: Arc<File>,
        old: String,
        to: Arc<File>,
        new: String,
    ) -> io::Result<()> {
        self.change(move |folder| {
            let (from, to) = (dir(&from)?, dir(&to)?);
            let moved = from.symlink_metadata(&old)?;
            let replaced = to.symlink_metadata(&new).ok();
            from.rename(&old, &to, &new)?;
            // A name put in place of another one of the same file changes nothing: both stay.
            if let Some(replaced) = replaced.filter(|replaced| id_of(replaced) != id_of(&moved)) {
                folder.gone(&replaced);
            }
            Ok(())
        })
        .await
    }

    /// Lengthens or shortens a file. Length without content counts like any other.
    pub(super) async fn set_size(self: &Arc<Self>, file: &Arc<OpenFile>, length: u64) -> io::Result<()> {
        let file = file.clone();
        self.fill(move |folder| folder.set_size_now(&file, length)).await
    }

    /// Writes some of `bytes`, and says how many. What does not fit into the quota whole is not begun.
    pub(super) async fn write(self: &Arc<Self>, file: &Arc<OpenFile>, place: Place, bytes: Bytes) -> io::Result<usize> {
        let file = file.clone();
        self.fill(move |folder| folder.write_now(&file, place, &bytes)).await
    }

    /// Makes a change of names, while nobody else changes any.
    async fn change<T: Send + 'static>(
        self: &Arc<Self>,
        change: impl Fn(&Folder) -> Result<T, Failure> + Send + 'static,
    ) -> io::Result<T> {
        let names = self.account.names.clone().lock_owned().await;
        let folder = self.clone();
        aside(move || {
            let _names = names;
            if folder.account.counted().is_none() {
                folder.count();
            }
            let first = change(&folder);
            let answer = match first {
                Err(Failure::Full(_)) if folder.may_have_drifted() => {
                    folder.count();
                    change(&folder)
                }
                other => other,
            };
            folder.tell(answer)
        })
        .await
    }

    /// Makes a change of an open file, beside any others. Only what does not fit waits for names, for a new count.
    async fn fill<T: Send + 'static>(
        self: &Arc<Self>,
        fill: impl Fn(&Folder) -> Result<T, Failure> + Clone + Send + 'static,
    ) -> io::Result<T> {
        let (folder, once) = (self.clone(), fill.clone());
        match aside(move || once(&folder)).await {
            Err(Failure::Full(_)) if self.may_have_drifted() => self.change(fill).await,
            other => self.tell(other),
        }
    }

    /// Whether the last count is old enough for a new one to be worth its time.
    fn may_have_drifted(&self) -> bool {
        let counted = self.account.counted();
        counted.is_none_or(|counted| self.clock.now().uptime.saturating_sub(counted) >= self.recount_after)
    }

    fn count(&self) {
        if let Err(error) = self.account.count(&self.root, self.clock.now().uptime) {
            tracing::warn!(folder = self.name, %error, "a guest's folder cannot be counted; what was counted before stands");
        }
    }

    /// Says a failure as the system would. That a quota is used up is written into the task's log, once.
    fn tell<T>(&self, answer: Result<T, Failure>) -> io::Result<T> {
        let full = match answer {
            Ok(answer) => return Ok(answer),
            Err(Failure::Io(error)) => return Err(error),
            Err(Failure::Full(full)) => full,
        };
        let (told, limit) = match full {
            Full::Bytes => (&self.told_of_bytes, size(self.quota.bytes)),
            Full::Entries => (&self.told_of_entries, format!("{} files and folders", self.quota.entries)),
        };
        if !told.swap(true, Ordering::Relaxed) {
            self.log.note(&format!("{} is full: it may hold {limit}, and what goes beyond is refused", self.name));
        }
        Err(Errno::DQUOT.into())
    }

    fn open_now(&self, at: &File, path: &Path, opening: Opening) -> Result<(Descriptor, Option<OpenFile>), Failure> {
        let at = dir(at)?;
        if opening.create && opening.exclusive && at.symlink_metadata(path).is_ok() {
            return Err(io::Error::from(Errno::EXIST).into());
        }
        let file = match at.open_with(path, &opening.options()) {
            Err(error) if opening.create && error.kind() == io::ErrorKind::NotFound => {
                let mut options = opening.options();
                options.create(true).create_new(opening.exclusive);
                self.entering(0, || at.open_with(path, &options))?
            }
            opened => opened?,
        };
        let file = file.into_std();
        let mut mode = OpenMode::empty();
        mode.set(OpenMode::READ, opening.read);
        mode.set(OpenMode::WRITE, opening.write);
        if file.metadata()?.is_dir() {
            return Ok((Descriptor::Dir(GuestDir::new(file, FsPerms::ReadWrite, mode, false)), None));
        }
        let file = GuestFile::new(file, FsPerms::ReadWrite, mode, false);
        let open = self.account.open(file.file.clone())?;
        if let (true, Some(open)) = (opening.truncate, &open) {
            self.set_size_now(open, 0)?;
        }
        Ok((Descriptor::File(file), open))
    }

    /// Makes something that is one entry more.
    fn entering<T>(&self, bytes: u64, make: impl FnOnce() -> io::Result<T>) -> Result<T, Failure> {
        self.account.enter(self.quota, 1, bytes)?;
        let made = make();
        if made.is_err() {
            self.account.leave(bytes);
        }
        Ok(made?)
    }

    fn gone(&self, before: &Metadata) {
        if before.is_dir() {
            self.account.leave(0);
        } else {
            self.account.unlinked(id_of(before), before.len(), before.nlink());
        }
    }

    fn set_size_now(&self, file: &OpenFile, length: u64) -> Result<(), Failure> {
        // Never exact: the file may have been longer.
        let _change = file.begin(self.quota, Reach::To(length))?;
        Ok(file.file.set_len(length)?)
    }

    fn write_now(&self, file: &OpenFile, place: Place, bytes: &[u8]) -> Result<usize, Failure> {
        let length = bytes.len() as u64;
        let reach = match place {
            Place::At(offset) => Reach::To(offset.saturating_add(length)),
            Place::End => Reach::Beyond(length),
        };
        // Writing nothing lengthens nothing, wherever it is written.
        if bytes.is_empty() {
            return Ok(0);
        }
        let change = file.begin(self.quota, reach)?;
        let (offset, flags) = match place {
            Place::At(offset) => (offset, ReadWriteFlags::empty()),
            Place::End => (0, ReadWriteFlags::APPEND),
        };
        let written = pwritev2(&file.file, &[IoSlice::new(bytes)], offset, flags).map_err(io::Error::from)?;
        if written == bytes.len() {
            change.done();
        }
        Ok(written)
    }
}

impl Opening {
    /// What is opened in the end: a file that is made or emptied is opened for writing, and one that is not written is read.
    fn granted(self) -> io::Result<Opening> {
        if self.directory && (self.create || self.exclusive || self.truncate) {
            return Err(Errno::INVAL.into());
        }
        Ok(Opening { read: self.read || !self.write, write: self.write || self.create || self.truncate, ..self })
    }

    /// Without what changes anything: that is done apart.
    fn options(self) -> OpenOptions {
        let mut flags = OFlags::empty();
        flags.set(OFlags::NOFOLLOW, !self.follow);
        flags.set(OFlags::DIRECTORY, self.directory);
        let mut options = OpenOptions::new();
        options.read(self.read).write(self.write).custom_flags(flags.bits().cast_signed());
        options
    }
}

/// Runs what may block, where it may. Dropped before it began, it never begins; afterwards it runs to its end.
fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> AbortOnDropJoinHandle<T> {
    spawn_blocking(work)
}

fn dir(file: &File) -> io::Result<Dir> {
    Ok(Dir::from_std_file(file.try_clone()?))
}

fn id_of(metadata: &Metadata) -> FileId {
    FileId { device: metadata.dev(), inode: metadata.ino() }
}

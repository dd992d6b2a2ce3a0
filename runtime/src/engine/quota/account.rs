//! What a folder holds, in bytes and entries: kept up to date by every change that guests make, from any number of tasks at
//! once, and never less than what they put on disk.
//!
//! A change is charged before it is made and settled after it. Nothing is locked while bytes are written: each open file has
//! a charge, its length after all that was begun, and it is compared with the file's true length when nothing is under way.
//! A file without a name counts until it is closed. Names change one at a time, which is what `names` is held for.

use std::{
    collections::HashMap,
    fs::File,
    io,
    os::unix::fs::MetadataExt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::walk::walk;

/// What a folder may hold at most. Every name in it is an entry, at any depth; bytes are the lengths of files, each counted
/// once however many names it has, and of links' targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) struct Quota {
    pub(in crate::engine) bytes: u64,
    pub(in crate::engine) entries: u64,
}

impl Quota {
    /// This quota, or fewer bytes if `bytes` are fewer.
    pub(in crate::engine) fn lowered(self, bytes: Option<u64>) -> Quota {
        Quota { bytes: bytes.map_or(self.bytes, |bytes| bytes.min(self.bytes)), ..self }
    }
}

/// Which half of a quota is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    Bytes,
    Entries,
}

/// A file, whatever its names: its device and inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct FileId {
    pub(super) device: u64,
    pub(super) inode: u64,
}

/// One folder's account, shared by everybody who has it open.
#[derive(Default)]
pub(in crate::engine) struct Account {
    /// Held by whoever changes names, opens a file, or counts.
    pub(in crate::engine) names: Arc<tokio::sync::Mutex<()>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Uptime at the last count; none before the first.
    counted: Option<Duration>,
    /// Whether a count is under way: files closed meanwhile keep their place in `open`.
    counting: bool,
    bytes: u64,
    entries: u64,
    open: HashMap<FileId, Open>,
}

/// A file that somebody has open.
#[derive(Default)]
struct Open {
    /// Its length after all that was begun. What is on disk is never longer.
    charged: u64,
    /// Bytes that appends under way may add behind whatever end the file has then.
    appending: u64,
    handles: usize,
    changes: usize,
    /// Whether its true length may be less than what is charged.
    unsettled: bool,
}

/// How far a change makes a file reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// To this length, if it is shorter.
    To(u64),
    /// This much beyond its end.
    Beyond(u64),
}

/// A file below the folder that somebody has open. Dropping the last one of a file releases what has no name any more.
pub(super) struct OpenFile {
    id: FileId,
    account: Arc<Account>,
    pub(super) file: Arc<File>,
}

/// A change of a file, charged and under way.
pub(super) struct Change<'a> {
    of: &'a OpenFile,
    appended: u64,
    is_exact: bool,
}

impl FileId {
    fn of(metadata: &std::fs::Metadata) -> FileId {
        FileId { device: metadata.dev(), inode: metadata.ino() }
    }
}

impl Account {
    /// The account of a folder that was just made.
    pub(in crate::engine) fn of_empty(now: Duration) -> Account {
        let account = Account::default();
        account.state().counted = Some(now);
        account
    }

    /// Uptime at the last count; none before the first.
    pub(super) fn counted(&self) -> Option<Duration> {
        self.state().counted
    }

    /// Bytes and entries, as far as they are known.
    #[cfg(test)]
    pub(super) fn held(&self) -> (u64, u64) {
        let state = self.state();
        (state.bytes, state.entries)
    }

    /// Counts what is on disk, and corrects what was kept. Only while `names` is held.
    pub(super) fn count(&self, root: &File, now: Duration) -> io::Result<()> {
        self.state().counting = true;
        let walked = walk(root, |id| self.state().open.contains_key(&id));
        let mut state = self.state();
        state.counting = false;
        let State { counted, bytes, entries, open, counting: _ } = &mut *state;
        if let Ok(walked) = &walked {
            *counted = Some(now);
            *bytes = walked.bytes + open.values().map(|open| open.charged).sum::<u64>();
            *entries = walked.entries;
        }
        open.retain(|_, open| open.handles > 0);
        walked.map(drop)
    }

    /// Charges new entries and the bytes that come with them.
    pub(super) fn enter(&self, quota: Quota, entries: u64, bytes: u64) -> Result<(), Full> {
        let mut state = self.state();
        if state.entries.saturating_add(entries) > quota.entries {
            return Err(Full::Entries);
        }
        state.charge(quota, bytes)?;
        state.entries += entries;
        Ok(())
    }

    /// Takes back an entry that did not come to be, or went. `bytes` are those that went with it.
    pub(super) fn leave(&self, bytes: u64) {
        let mut state = self.state();
        state.entries = state.entries.saturating_sub(1);
        state.bytes = state.bytes.saturating_sub(bytes);
    }

    /// A name of a file or link of `length` went; `links` is how many it had. Open files are released when they are closed.
    pub(super) fn unlinked(&self, id: FileId, length: u64, links: u64) {
        let mut state = self.state();
        state.entries = state.entries.saturating_sub(1);
        if links <= 1 && !state.open.contains_key(&id) {
            state.bytes = state.bytes.saturating_sub(length);
        }
    }

    /// Notes that a file is open. Only while `names` is held. None: no regular file, so nothing that counts.
    pub(super) fn open(self: &Arc<Self>, file: Arc<File>) -> io::Result<Option<OpenFile>> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Ok(None);
        }
        let id = FileId::of(&metadata);
        let mut state = self.state();
        state.open.entry(id).or_insert_with(|| Open { charged: metadata.len(), ..Open::default() }).handles += 1;
        drop(state);
        Ok(Some(OpenFile { id, account: self.clone(), file }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn charge(&mut self, quota: Quota, bytes: u64) -> Result<(), Full> {
        let sum = self.bytes.saturating_add(bytes);
        if bytes > 0 && sum > quota.bytes {
            return Err(Full::Bytes);
        }
        self.bytes = sum;
        Ok(())
    }

    /// Compares a file's charge with its true length. A file that cannot be looked at stays as it is charged.
    fn settle(&mut self, id: FileId, file: &File) {
        let (Some(open), Ok(metadata)) = (self.open.get_mut(&id), file.metadata()) else { return };
        let is_gone = open.handles == 0 && metadata.nlink() == 0;
        let length = if is_gone { 0 } else { metadata.len() };
        self.bytes = self.bytes.saturating_add(length).saturating_sub(open.charged);
        open.charged = length;
        open.unsettled = false;
    }
}

impl OpenFile {
    /// Charges a change before it is made.
    pub(super) fn begin(&self, quota: Quota, reach: Reach) -> Result<Change<'_>, Full> {
        let mut state = self.account.state();
        let open = state.open.entry(self.id).or_default();
        let (charged, appended) = match reach {
            Reach::To(end) => (open.charged.max(end.saturating_add(open.appending)), 0),
            Reach::Beyond(length) => (open.charged.saturating_add(length), length),
        };
        let growth = charged - open.charged;
        state.charge(quota, growth)?;
        let open = state.open.entry(self.id).or_default();
        open.unsettled |= growth > 0 && open.appending > 0;
        open.charged = charged;
        open.appending = open.appending.saturating_add(appended);
        open.changes += 1;
        Ok(Change { of: self, appended, is_exact: false })
    }
}

impl Change<'_> {
    /// Ends a change that did all it was charged for.
    pub(super) fn done(mut self) {
        self.is_exact = true;
    }
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        let mut state = self.of.account.state();
        let open = state.open.entry(self.of.id).or_default();
        open.unsettled |= !self.is_exact;
        open.appending = open.appending.saturating_sub(self.appended);
        open.changes = open.changes.saturating_sub(1);
        if open.changes == 0 && open.unsettled {
            state.settle(self.of.id, &self.of.file);
        }
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        let mut state = self.account.state();
        let Some(open) = state.open.get_mut(&self.id) else { return };
        open.handles = open.handles.saturating_sub(1);
        if open.handles > 0 {
            return;
        }
        state.settle(self.id, &self.file);
        if !state.counting {
            state.open.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};

    use tempfile::TempDir;

    use super::*;

    const ROOMY: Quota = Quota { bytes: 1_000, entries: 10 };

    fn opened(account: &Arc<Account>, place: &TempDir, name: &str) -> OpenFile {
        let path = place.path().join(name);
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path).unwrap();
        account.open(Arc::new(file)).unwrap().unwrap()
    }

    fn empty() -> (TempDir, Arc<Account>) {
        (tempfile::tempdir().unwrap(), Arc::new(Account::of_empty(Duration::ZERO)))
    }

    #[test]
    fn a_file_is_charged_for_how_far_it_reaches_once() {
        let (place, account) = empty();
        let file = opened(&account, &place, "file");
        let steps = [
            (Reach::To(10), 10),
            (Reach::To(4), 10),
            (Reach::To(10), 10),
            (Reach::Beyond(5), 15),
            (Reach::To(1_000), 1_000),
        ];
        for (reach, bytes) in steps {
            file.begin(ROOMY, reach).unwrap().done();
            assert_eq!(account.held().0, bytes, "{reach:?}");
        }
        for beyond in [Reach::To(1_001), Reach::Beyond(1), Reach::To(u64::MAX), Reach::Beyond(u64::MAX)] {
            assert_eq!(file.begin(ROOMY, beyond).err(), Some(Full::Bytes), "{beyond:?}");
            assert_eq!(account.held().0, 1_000, "{beyond:?}");
        }
    }

    #[test]
    fn an_append_under_way_counts_behind_whatever_end_others_make() {
        let (place, account) = empty();
        let file = opened(&account, &place, "file");
        let append = file.begin(ROOMY, Reach::Beyond(100)).unwrap();
        let write = file.begin(ROOMY, Reach::To(500)).unwrap();
        assert_eq!(account.held().0, 600, "the write may come first");
        file.file.set_len(500).unwrap();
        append.done();
        assert_eq!(account.held().0, 600, "something is under way");
        write.done();
        assert_eq!(account.held().0, 500, "the append came first");
    }

    #[test]
    fn what_was_charged_and_not_written_is_given_back() {
        let (place, account) = empty();
        let file = opened(&account, &place, "file");
        let other = opened(&account, &place, "file");
        let write = file.begin(ROOMY, Reach::To(900)).unwrap();
        assert!(other.begin(ROOMY, Reach::To(1_001)).is_err());
        file.file.set_len(7).unwrap();
        drop(write);
        assert_eq!(account.held().0, 7);
        assert!(other.begin(ROOMY, Reach::To(1_000)).is_ok());
    }

    #[test]
    fn a_file_without_a_name_counts_until_nobody_has_it_open() {
        let (place, account) = empty();
        account.enter(ROOMY, 1, 0).unwrap();
        let (file, other) = (opened(&account, &place, "file"), opened(&account, &place, "file"));
        file.begin(ROOMY, Reach::To(300)).unwrap().done();
        file.file.set_len(300).unwrap();
        let metadata = file.file.metadata().unwrap();
        fs::remove_file(place.path().join("file")).unwrap();
        account.unlinked(FileId::of(&metadata), metadata.len(), metadata.nlink());
        for held in [file, other] {
            assert_eq!(account.held(), (300, 0));
            drop(held);
        }
        assert_eq!(account.held(), (0, 0));
    }

    #[test]
    fn a_file_with_two_names_is_released_with_the_last() {
        let (_place, account) = empty();
        let id = FileId { device: 1, inode: 2 };
        account.enter(ROOMY, 1, 40).unwrap();
        account.enter(ROOMY, 1, 0).unwrap();
        account.unlinked(id, 40, 2);
        assert_eq!(account.held(), (40, 1));
        account.unlinked(id, 40, 1);
        assert_eq!(account.held(), (0, 0));
    }

    #[test]
    fn entries_end_at_the_quota_and_come_back() {
        let (_place, account) = empty();
        for _ in 0..10 {
            account.enter(ROOMY, 1, 0).unwrap();
        }
        assert_eq!(account.enter(ROOMY, 1, 0), Err(Full::Entries));
        account.leave(0);
        assert_eq!(account.enter(ROOMY, 1, 2_000), Err(Full::Bytes));
        assert_eq!(account.enter(ROOMY, 1, 0), Ok(()));
    }

    #[test]
    fn a_count_corrects_what_drifted_and_takes_open_files_as_they_are_charged() {
        let (place, account) = empty();
        let file = opened(&account, &place, "file");
        let write = file.begin(ROOMY, Reach::To(900)).unwrap();
        fs::write(place.path().join("other"), [0; 50]).unwrap();
        account.leave(70);
        account.count(&File::open(place.path()).unwrap(), Duration::from_secs(9)).unwrap();
        assert_eq!((account.held(), account.counted()), ((950, 2), Some(Duration::from_secs(9))));
        drop(write);
        drop(file);
        assert_eq!(account.held(), (50, 2));
    }

    #[test]
    fn a_manifest_lowers_a_quota_and_never_raises_it() {
        for (asked, bytes) in [(None, 1_000), (Some(10), 10), (Some(5_000), 1_000), (Some(0), 0)] {
            assert_eq!(ROOMY.lowered(asked), Quota { bytes, entries: 10 });
        }
    }

    #[test]
    fn a_lowered_quota_refuses_growth_and_nothing_else() {
        let (place, account) = empty();
        let file = opened(&account, &place, "file");
        file.begin(ROOMY, Reach::To(800)).unwrap().done();
        file.file.set_len(800).unwrap();
        let lower = Quota { bytes: 100, entries: 10 };
        assert_eq!(file.begin(lower, Reach::To(801)).err(), Some(Full::Bytes));
        assert!(file.begin(lower, Reach::To(800)).is_ok());
        assert_eq!(account.enter(lower, 1, 0), Ok(()));
    }
}

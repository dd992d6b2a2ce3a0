//! The folder a host lives in: its lock, its database, its socket, and what bundles left there. One host at a time owns it.

use std::{
    collections::BTreeSet,
    fs::{self, File, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    thread,
};

use cap_std::{
    ambient_authority,
    fs::{Dir, DirBuilder, DirBuilderExt as _, MetadataExt as _, OpenOptions, OpenOptionsExt as _},
};

use super::{remove_tree, tree::tree_bytes};
use crate::rules::{BundleId, TaskId};

/// The folder of compiled components. The engine makes it again when it is gone.
pub const CACHE: &str = "cache";

const LOCK: &str = "lock";
const DATABASE: &str = "idlewild.db";
const SOCKET: &str = "host.sock";
/// Where trusted keys lie.
pub(super) const KEYS: &str = "keys";
/// The length of a digest in hexadecimal.
const DIGEST_LENGTH: usize = 64;

/// The longest path of a Unix socket: the kernel keeps 108 bytes, the last of them zero.
const SOCKET_PATH_LIMIT: usize = 107;

/// The state folder, opened and locked. The lock goes with this value, or with the process.
#[derive(Debug)]
pub struct StateFolder {
    path: PathBuf,
    /// Components by digest, as `<digest>.wasm`.
    pub components: Dir,
    /// Each bundle's `/data`, by bundle id.
    pub data: Dir,
    /// Each task's log, by `log_name`.
    pub logs: Dir,
    /// Whom the operator trusts to sign bundles.
    pub keys: Dir,
    /// The folder itself, in which `CACHE` comes and goes.
    pub home: Dir,
    /// Empty when a host starts.
    pub tmp: Dir,
    _lock: File,
}

/// Why a state folder cannot be used. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error(
        "the state folder {} is in use by another host{}; stop that one, or choose another folder with --state DIR",
        path.display(), process(.pid)
    )]
    InUse {
        path: PathBuf,
        /// None when the other is just starting.
        pid: Option<u32>,
    },
    #[error(
        "the state folder {} belongs to user {owner}, and this is user {user}; run as its owner, or choose another folder with --state DIR",
        path.display()
    )]
    Foreign { path: PathBuf, owner: u32, user: u32 },
    #[error(
        "others may write into the state folder {path} (mode {mode:03o}); close it with: chmod go-w {path}",
        path = path.display()
    )]
    Exposed { path: PathBuf, mode: u32 },
    #[error(
        "the path of the socket {} is {} bytes long, and the system allows {SOCKET_PATH_LIMIT}; choose a shorter folder with --state DIR",
        path.display(), path.as_os_str().len()
    )]
    PathTooLong { path: PathBuf },
    #[error("cannot use the state folder {}: {doing}: {error}; mend that, or choose another folder with --state DIR", path.display())]
    Io {
        path: PathBuf,
        doing: &'static str,
        #[source]
        error: io::Error,
    },
}

fn process(pid: &Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

impl StateFolder {
    /// Opens and locks the folder, making it for this user alone when it does not exist.
    pub fn open(path: &Path) -> Result<StateFolder, StateError> {
        let path = absolute(path)?;
        let io = |doing: &'static str| {
            let path = path.clone();
            move |error| StateError::Io { path, doing, error }
        };
        let socket = path.join(SOCKET);
        if socket.as_os_str().len() > SOCKET_PATH_LIMIT {
            return Err(StateError::PathTooLong { path: socket });
        }
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(io("making it"))?;
        let dir = Dir::open_ambient_dir(&path, ambient_authority()).map_err(io("opening it"))?;
        check_owner(&path, &dir)?;
        let lock = acquire_lock(&path, &dir)?;

        let subfolder = |name: &str| open_subfolder(&dir, name);
        let components = subfolder("components").map_err(io("opening components"))?;
        let data = subfolder("data").map_err(io("opening data"))?;
        let logs = subfolder("logs").map_err(io("opening logs"))?;
        subfolder(CACHE).map_err(io("opening cache"))?;
        let keys = subfolder(KEYS).map_err(io("opening keys"))?;
        absent_is_fine(remove_tree(&dir, "tmp")).map_err(io("emptying tmp"))?;
        let tmp = subfolder("tmp").map_err(io("opening tmp"))?;
        Ok(StateFolder { path, components, data, logs, keys, home: dir, tmp, _lock: lock })
    }

    /// Whether a host has this folder open. It may have opened or closed it by the time this returns.
    pub fn is_in_use(path: &Path) -> Result<bool, StateError> {
        let path = absolute(path)?;
        let io = |error| StateError::Io { path: path.clone(), doing: "looking at its lock", error };
        let lock = match File::open(path.join(LOCK)) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(false);
            }
            lock => lock.map_err(io)?,
        };
        match lock.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(error)) => Err(io(error)),
        }
    }

    /// The folder's absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn database_path(&self) -> PathBuf {
        self.path.join(DATABASE)
    }

    /// Where the host with the state folder `path` listens; a path that `open` accepts is short enough.
    pub fn socket_path(path: &Path) -> Result<PathBuf, StateError> {
        Ok(absolute(path)?.join(SOCKET))
    }

    /// Keeps a component under its digest: wholly or not at all, whenever the machine stops.
    pub fn keep_component(&self, digest: &str, component: &[u8]) -> io::Result<()> {
        self.put(&self.components, &component_name(digest), component)
    }

    /// Writes a file of one of the folders: wholly or not at all, whenever the machine stops.
    pub(super) fn put(&self, folder: &Dir, name: &str, bytes: &[u8]) -> io::Result<()> {
        let written = self.tmp.create(name).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()?;
            self.tmp.rename(name, folder, name)
        });
        if written.is_err() {
            // On a full disk half a file is in everybody's way.
            self.tmp.remove_file(name).ok();
        }
        written.and_then(|()| sync(folder))
    }

    /// The component of that digest; none when it is not kept.
    pub fn component(&self, digest: &str) -> io::Result<Option<Vec<u8>>> {
        absent_is_none(self.components.read(component_name(digest)))
    }

    /// Removes a component and the code compiled from it, if they are there.
    pub fn forget_component(&self, digest: &str) -> io::Result<()> {
        if let Some(cache) = absent_is_none(self.home.open_dir(CACHE))? {
            for entry in cache.entries()? {
                let name = entry?.file_name();
                if name.to_string_lossy().starts_with(digest) {
                    absent_is_fine(cache.remove_file(name))?;
                }
            }
        }
        absent_is_fine(self.components.remove_file(component_name(digest)))
    }

    /// Removes what no bundle needs: components and compiled code of other digests than `digests`, data of other bundles than
    /// `bundles`. Only for a host that starts: what is just being installed is needed by no bundle yet.
    ///
    /// What cannot be removed keeps nothing else from being so.
    pub fn sweep(&self, digests: &BTreeSet<String>, bundles: &BTreeSet<BundleId>) -> io::Result<()> {
        let is_component = |name: &str| name.strip_suffix(".wasm").is_some_and(|digest| digests.contains(digest));
        let is_compiled = |name: &str| {
            let digest: String = name.chars().take_while(char::is_ascii_hexdigit).collect();
            // A name that begins with a dot was still being written; one without a digest is not a component's.
            !name.starts_with('.') && (digest.len() != DIGEST_LENGTH || digests.contains(&digest))
        };
        let is_data = |name: &str| BundleId::parse(name).is_ok_and(|bundle| bundles.contains(&bundle));
        let components = keep_only(&self.components, is_component, |name| self.components.remove_file(name));
        let compiled = match absent_is_none(self.home.open_dir(CACHE)) {
            Ok(Some(cache)) => keep_only(&cache, is_compiled, |name| cache.remove_file(name)),
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        let data = keep_only(&self.data, is_data, |name| remove_tree(&self.data, name));
        components.and(compiled).and(data)
    }

    /// How many bytes a bundle keeps in its `/data`; none when it is too deep to be counted.
    pub fn data_bytes(&self, bundle: &BundleId) -> io::Result<Option<u64>> {
        match absent_is_none(self.data.open_dir(bundle.as_str()))? {
            Some(data) => tree_bytes(&data),
            None => Ok(Some(0)),
        }
    }

    /// Removes all that a bundle wrote to its `/data`.
    pub fn drop_data(&self, bundle: &BundleId) -> io::Result<()> {
        absent_is_fine(remove_tree(&self.data, bundle.as_str()))
    }

    /// The name of a task's log in `logs`.
    pub fn log_name(task: TaskId) -> String {
        format!("{task}.log")
    }

    /// What a task has written to its output so far; none when it wrote nothing, or its log is no longer kept.
    pub fn read_log(&self, task: TaskId, from: u64) -> io::Result<Option<Vec<u8>>> {
        let Some(mut log) = absent_is_none(self.logs.open(StateFolder::log_name(task)))? else { return Ok(None) };
        log.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        log.read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// Removes a task's log, if it is there.
    pub fn remove_log(&self, task: TaskId) -> io::Result<()> {
        absent_is_fine(self.logs.remove_file(StateFolder::log_name(task)))
    }
}

fn absolute(path: &Path) -> Result<PathBuf, StateError> {
    std::path::absolute(path).map_err(|error| StateError::Io {
        path: path.to_owned(),
        doing: "finding where it is",
        error,
    })
}

fn check_owner(path: &Path, dir: &Dir) -> Result<(), StateError> {
    let metadata = dir.dir_metadata().map_err(|error| StateError::Io {
        path: path.to_owned(),
        doing: "looking at its owner",
        error,
    })?;
    let user = rustix::process::geteuid().as_raw();
    if metadata.uid() != user {
        return Err(StateError::Foreign { path: path.to_owned(), owner: metadata.uid(), user });
    }
    let mode = metadata.mode() & 0o777;
    if mode & 0o022 != 0 {
        return Err(StateError::Exposed { path: path.to_owned(), mode });
    }
    Ok(())
}

/// How often to try again while others only look whether the lock is taken.
const LOCK_TRIES: u32 = 10_000;

/// Takes the lock, which ends with the process: the file that a dead host left behind stops nobody.
fn acquire_lock(path: &Path, dir: &Dir) -> Result<File, StateError> {
    let io = |error| StateError::Io { path: path.to_owned(), doing: "locking it", error };
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).mode(0o600);
    let mut file = dir.open_with(LOCK, &options).map_err(io)?.into_std();
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => {
                write_pid(&mut file).map_err(io)?;
                return Ok(file);
            }
            Err(TryLockError::Error(error)) => return Err(io(error)),
            Err(TryLockError::WouldBlock) => {}
        }
        // A host holds the lock alone. Whoever shares it with us only looks, for an instant.
        match file.try_lock_shared() {
            Ok(()) => file.unlock().map_err(io)?,
            Err(TryLockError::Error(error)) => return Err(io(error)),
            Err(TryLockError::WouldBlock) => break,
        }
        thread::yield_now();
    }
    Err(StateError::InUse { path: path.to_owned(), pid: read_pid(&mut file) })
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    writeln!(file, "{}", std::process::id())
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn open_subfolder(dir: &Dir, name: &str) -> io::Result<Dir> {
    match dir.create_dir_with(name, DirBuilder::new().mode(0o700)) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => made?,
    }
    dir.open_dir(name)
}

/// Removes from a folder what is not to be kept. Names that are no text are none that a host gives, and stay.
fn keep_only(dir: &Dir, keep: impl Fn(&str) -> bool, remove: impl Fn(&str) -> io::Result<()>) -> io::Result<()> {
    let entries: Vec<_> = dir.entries()?.collect::<Result<_, _>>()?;
    let names = entries.iter().filter_map(|entry| entry.file_name().into_string().ok());
    let mut swept = Ok(());
    for name in names.filter(|name| !keep(name)) {
        swept = swept.and(absent_is_fine(remove(&name)));
    }
    swept
}

fn component_name(digest: &str) -> String {
    format!("{digest}.wasm")
}

/// Makes the names in a folder durable.
fn sync(dir: &Dir) -> io::Result<()> {
    Ok(rustix::fs::fsync(dir.open(".")?)?)
}

pub(super) fn absent_is_none<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        result => result.map(Some),
    }
}

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    absent_is_none(result).map(|_| ())
}

#[cfg(test)]
mod tests {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt as _};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn makes_a_folder_for_its_user_alone() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("deep/state");
        let state = StateFolder::open(&path).unwrap();
        for folder in ["", "components", "data", "logs", "cache", "keys", "tmp"] {
            assert_eq!(mode(&path.join(folder)), 0o700, "{folder}");
        }
        assert_eq!(mode(&path.join(LOCK)), 0o600);
        assert_eq!(state.database_path(), path.join("idlewild.db"));
        assert_eq!(StateFolder::socket_path(&path).unwrap(), path.join("host.sock"));
    }

    #[test]
    fn one_host_at_a_time_has_it() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("state");
        assert!(!StateFolder::is_in_use(&path).unwrap());
        let state = StateFolder::open(&path).unwrap();
        assert!(StateFolder::is_in_use(&path).unwrap());
        let expected = format!(
            "the state folder {} is in use by another host (process {}); \
             stop that one, or choose another folder with --state DIR",
            path.display(),
            std::process::id()
        );
        assert_eq!(StateFolder::open(&path).unwrap_err().to_string(), expected);
        drop(state);
        assert!(!StateFolder::is_in_use(&path).unwrap());
        StateFolder::open(&path).unwrap();
    }

    #[test]
    fn a_lock_file_left_by_a_dead_host_stops_nobody() {
        let parent = tempfile::tempdir().unwrap();
        fs::set_permissions(parent.path(), Permissions::from_mode(0o700)).unwrap();
        fs::write(parent.path().join(LOCK), "4194304999\n").unwrap();
        StateFolder::open(parent.path()).unwrap();
        assert_eq!(fs::read_to_string(parent.path().join(LOCK)).unwrap(), format!("{}\n", std::process::id()));
    }

    #[test]
    fn looking_never_keeps_a_host_from_opening() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("state");
        let done = std::sync::atomic::AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while !done.load(std::sync::atomic::Ordering::Relaxed) {
                        StateFolder::is_in_use(&path).unwrap();
                    }
                });
            }
            let opened: Result<Vec<()>, StateError> = (0..100).map(|_| StateFolder::open(&path).map(drop)).collect();
            done.store(true, std::sync::atomic::Ordering::Relaxed);
            opened.unwrap();
        });
    }

    #[test]
    fn a_folder_others_may_write_to_is_refused_and_left_alone() {
        for open_mode in [0o770, 0o702, 0o777] {
            let parent = tempfile::tempdir().unwrap();
            fs::set_permissions(parent.path(), Permissions::from_mode(open_mode)).unwrap();
            let path = parent.path().display();
            let expected = format!(
                "others may write into the state folder {path} (mode {open_mode:03o}); close it with: chmod go-w {path}"
            );
            assert_eq!(StateFolder::open(parent.path()).unwrap_err().to_string(), expected);
            assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
        }
    }

    #[test]
    fn a_path_too_long_for_a_socket_is_refused_before_anything_is_made() {
        let parent = tempfile::tempdir().unwrap();
        let long = "x".repeat(SOCKET_PATH_LIMIT);
        let error = StateFolder::open(&parent.path().join(&long)).unwrap_err();
        assert!(matches!(error, StateError::PathTooLong { .. }), "{error}");
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
        let fits = SOCKET_PATH_LIMIT - parent.path().as_os_str().len() - "/".len() - "/host.sock".len();
        StateFolder::open(&parent.path().join(&long[..fits])).unwrap();
        StateFolder::open(&parent.path().join(&long[..fits + 1])).unwrap_err();
    }

    #[test]
    fn a_file_in_its_place_is_named() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("state");
        fs::write(&path, "").unwrap();
        let error = StateFolder::open(&path).unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot use the state folder {}: ", path.display())), "{error}");
        assert!(!StateFolder::is_in_use(&path).unwrap());
    }

    #[test]
    fn keeps_components_by_digest_until_forgotten() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("state");
        let state = StateFolder::open(&path).unwrap();
        assert_eq!(state.component("ab").unwrap(), None);
        state.keep_component("ab", b"one").unwrap();
        state.keep_component("ab", b"one").unwrap();
        drop(state);
        let state = StateFolder::open(&path).unwrap();
        assert_eq!(state.component("ab").unwrap().unwrap(), b"one");
        state.forget_component("ab").unwrap();
        state.forget_component("ab").unwrap();
        assert_eq!(state.component("ab").unwrap(), None);
        assert!(state.keep_component("../ab", b"one").is_err(), "no name leads out");
    }

    #[test]
    fn opening_clears_what_was_half_written() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("state");
        StateFolder::open(&path).unwrap().tmp.write("ab.wasm", b"hal").unwrap();
        let state = StateFolder::open(&path).unwrap();
        assert_eq!(state.tmp.entries().unwrap().count(), 0);
        assert_eq!(state.component("ab").unwrap(), None);
    }

    #[test]
    fn a_sweep_leaves_what_is_named_and_nothing_else() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("state");
        let state = StateFolder::open(&path).unwrap();
        let cache = state.home.open_dir(CACHE).unwrap();
        let (used, unused) = ("a".repeat(DIGEST_LENGTH), "b".repeat(DIGEST_LENGTH));
        for digest in [&used, &unused] {
            state.keep_component(digest, b"component").unwrap();
            cache.write(format!("{digest}-compiled"), b"code").unwrap();
        }
        cache.write(".7-0", b"half").unwrap();
        cache.write("key", b"of another kind").unwrap();
        for bundle in ["com.example.a", "com.example.b"] {
            state.data.create_dir_all(format!("{bundle}/deep")).unwrap();
            state.data.write(format!("{bundle}/deep/file"), b"12345").unwrap();
        }
        let bundle = |name| BundleId::parse(name).unwrap();
        assert_eq!(state.data_bytes(&bundle("com.example.a")).unwrap(), Some(5));
        assert_eq!(state.data_bytes(&bundle("com.example.c")).unwrap(), Some(0));
        state.sweep(&BTreeSet::from([used.clone()]), &BTreeSet::from([bundle("com.example.a")])).unwrap();
        let names = |folder: &str| {
            let entries = fs::read_dir(path.join(folder)).unwrap();
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect::<BTreeSet<_>>()
        };
        assert_eq!(names("components"), BTreeSet::from([format!("{used}.wasm")]));
        assert_eq!(names("cache"), BTreeSet::from([format!("{used}-compiled"), "key".to_owned()]));
        assert_eq!(names("data"), BTreeSet::from(["com.example.a".to_owned()]));
    }

    #[test]
    fn logs_and_data_go_when_told() {
        let parent = tempfile::tempdir().unwrap();
        let state = StateFolder::open(&parent.path().join("state")).unwrap();
        let (task, bundle) = (TaskId(7), BundleId::parse("com.example").unwrap());
        assert_eq!(state.read_log(task, 0).unwrap(), None);
        state.logs.write(StateFolder::log_name(task), b"hello\n").unwrap();
        assert_eq!(state.read_log(task, 0).unwrap().unwrap(), b"hello\n");
        assert_eq!(state.read_log(task, 4).unwrap().unwrap(), b"o\n");
        assert_eq!(state.read_log(task, 9).unwrap().unwrap(), b"");
        state.remove_log(task).unwrap();
        state.remove_log(task).unwrap();
        assert_eq!(state.read_log(task, 0).unwrap(), None);
        state.data.create_dir_all("com.example/deep").unwrap();
        state.drop_data(&bundle).unwrap();
        state.drop_data(&bundle).unwrap();
        assert!(!state.data.exists("com.example"));
    }
}

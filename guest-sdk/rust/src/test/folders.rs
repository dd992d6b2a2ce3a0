//! The folders a handler sees in a test: real ones, and gone with the harness.

use std::{
    collections::BTreeMap,
    env, fs, io,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU64, Ordering},
};

pub(super) struct Folders {
    root: PathBuf,
    granted: BTreeMap<String, PathBuf>,
}

impl Folders {
    pub(super) fn new() -> io::Result<Folders> {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let root = env::temp_dir().join(format!("idlewild-test-{}-{number}", process::id()));
        fs::create_dir_all(root.join("data"))?;
        fs::create_dir_all(root.join("tmp"))?;
        Ok(Folders { root, granted: BTreeMap::new() })
    }

    pub(super) fn grant(&mut self, name: &str, folder: &Path) {
        self.granted.insert(name.to_owned(), folder.to_owned());
    }

    /// Where the folder of this name is. Nothing is there under a name that was not granted.
    pub(super) fn folder(&self, name: &str) -> PathBuf {
        self.granted.get(name).cloned().unwrap_or_else(|| self.root.join(name))
    }

    /// What a task kept in `tmp` ends with it.
    pub(super) fn empty_tmp(&self) -> io::Result<()> {
        let tmp = self.root.join("tmp");
        fs::remove_dir_all(&tmp)?;
        fs::create_dir(tmp)
    }
}

impl Drop for Folders {
    fn drop(&mut self) {
        // A folder too many in the machine's temporary one harms nobody.
        let _ = fs::remove_dir_all(&self.root);
    }
}

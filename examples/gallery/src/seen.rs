//! What is remembered from one count to the next, in `/data`.
//!
//! A file is known again by its relative path, size and time of modification. A fingerprint of its content would also know it
//! after a move, but would read every photograph whole at each count; this way a count of unchanged files opens none of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::picture::{Image, Verdict};

/// Files by relative path.
pub(crate) type Files = BTreeMap<String, Entry>;

/// A file as it was when it was looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Its size in bytes.
    pub(crate) size: u64,
    /// Milliseconds since 1970.
    pub(crate) modified: u64,
    pub(crate) verdict: Verdict,
}

/// What a count that came to its end saw.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) files: Files,
    /// Images that were none at the count before.
    pub(crate) added: BTreeSet<String>,
}

impl Entry {
    pub(crate) fn image(&self) -> Option<&Image> {
        match &self.verdict {
            Verdict::Image(image) => Some(image),
            Verdict::Broken | Verdict::Other => None,
        }
    }
}

impl Seen {
    pub(crate) fn images(&self) -> impl Iterator<Item = (&str, &Image)> {
        self.files.iter().filter_map(|(path, entry)| Some((path.as_str(), entry.image()?)))
    }

    pub(crate) fn broken(&self) -> impl Iterator<Item = &str> {
        self.files.iter().filter(|(_, entry)| entry.verdict == Verdict::Broken).map(|(path, _)| path.as_str())
    }
}

/// What became different between two counts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Difference {
    /// Images that were none before.
    pub(crate) added: BTreeSet<String>,
    /// Images still there, with other content.
    pub(crate) changed: u64,
    /// Images that are none any more.
    pub(crate) removed: u64,
}

impl Difference {
    pub(crate) fn between(before: &Files, now: &Files) -> Difference {
        let mut difference = Difference::default();
        for (path, entry) in now.iter().filter(|(_, entry)| entry.image().is_some()) {
            match before.get(path) {
                Some(earlier) if earlier.image().is_some() => difference.changed += u64::from(earlier != entry),
                _ => drop(difference.added.insert(path.clone())),
            }
        }
        let is_image = |path: &str| now.get(path).is_some_and(|entry| entry.image().is_some());
        let gone = before.iter().filter(|(path, entry)| entry.image().is_some() && !is_image(path));
        difference.removed = gone.count() as u64;
        difference
    }
}

/// The folder that remembers. Each file in it is the old or the new, never half of one.
#[derive(Debug)]
pub(crate) struct Memory {
    folder: PathBuf,
}

impl Memory {
    pub(crate) fn new(folder: impl Into<PathBuf>) -> Memory {
        Memory { folder: folder.into() }
    }

    /// What the last count that came to its end saw; nothing before the first.
    pub(crate) fn last_count(&self) -> io::Result<Option<Seen>> {
        read(&self.folder.join("seen.json"))
    }

    /// What a count that was stopped had looked into.
    pub(crate) fn unfinished(&self) -> io::Result<Files> {
        Ok(read(&self.folder.join("unfinished.json"))?.unwrap_or_default())
    }

    pub(crate) fn save_unfinished(&self, files: &Files) -> io::Result<()> {
        write(&self.folder.join("unfinished.json"), files)
    }

    pub(crate) fn save_count(&self, seen: &Seen) -> io::Result<()> {
        write(&self.folder.join("seen.json"), seen)?;
        match fs::remove_file(self.folder.join("unfinished.json")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// Writes beside the file and renames, so that whoever reads it reads the old or the new.
pub(crate) fn replace<T>(path: &Path, fill: impl FnOnce(&mut BufWriter<File>) -> io::Result<T>) -> io::Result<T> {
    let beside = path.with_extension("new");
    let mut writer = BufWriter::new(File::create(&beside)?);
    let filled = fill(&mut writer)?;
    writer.flush()?;
    writer.get_ref().sync_all()?;
    fs::rename(&beside, path)?;
    Ok(filled)
}

fn write(path: &Path, value: &impl Serialize) -> io::Result<()> {
    replace(path, |writer| Ok(serde_json::to_writer(writer, value)?))
}

/// A file of an earlier version, or one that was tampered with, is worth no more than none: everything is looked at again.
fn read<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match File::open(path) {
        Ok(file) => Ok(serde_json::from_reader(BufReader::new(file)).ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::Format;

    fn entry(size: u64, verdict: Verdict) -> Entry {
        Entry { size, modified: 0, verdict }
    }

    const IMAGE: Verdict = Verdict::Image(Image { format: Format::Png, width: 1, height: 1, misnamed: false });

    fn files(entries: &[(&str, Entry)]) -> Files {
        entries.iter().map(|(path, entry)| ((*path).to_owned(), *entry)).collect()
    }

    #[test]
    fn only_images_are_added_changed_or_removed() {
        let before = files(&[
            ("kept", entry(1, IMAGE)),
            ("edited", entry(1, IMAGE)),
            ("gone", entry(1, IMAGE)),
            ("ruined", entry(1, IMAGE)),
            ("mended", entry(1, Verdict::Broken)),
            ("text gone", entry(1, Verdict::Other)),
        ]);
        let now = files(&[
            ("kept", entry(1, IMAGE)),
            ("edited", entry(2, IMAGE)),
            ("ruined", entry(0, Verdict::Broken)),
            ("mended", entry(2, IMAGE)),
            ("new", entry(1, IMAGE)),
            ("new text", entry(1, Verdict::Other)),
        ]);
        let difference = Difference::between(&before, &now);
        assert_eq!(difference.added, BTreeSet::from(["mended".to_owned(), "new".to_owned()]));
        assert_eq!((difference.changed, difference.removed), (1, 2));
    }

    #[test]
    fn remembers_and_starts_anew_when_memory_is_spoilt() {
        let folder = tempfile::tempdir().expect("a folder");
        let memory = Memory::new(folder.path());
        assert_eq!(memory.last_count().expect("readable"), None);
        let seen =
            Seen { files: files(&[("a", entry(1, IMAGE)), ("b", entry(2, Verdict::Broken))]), added: BTreeSet::new() };
        memory.save_unfinished(&seen.files).expect("writable");
        assert_eq!(memory.unfinished().expect("readable"), seen.files);
        memory.save_count(&seen).expect("writable");
        assert_eq!(memory.last_count().expect("readable"), Some(seen));
        assert!(memory.unfinished().expect("readable").is_empty());
        fs::write(folder.path().join("seen.json"), "{").expect("writable");
        assert_eq!(memory.last_count().expect("readable"), None);
    }
}

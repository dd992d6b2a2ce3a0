//! One count: looks at every file, tells what is different from the last, and can be stopped and gone on with.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufReader},
    path::Path,
    time::SystemTime,
};

use serde::Serialize;

use crate::{
    picture::{self, Format, Verdict},
    seen::{Difference, Entry, Files, Memory, Seen},
    walk,
};

/// Who wants to know how far a count is, and may ask it to stop.
pub(crate) trait Watcher {
    fn asks_to_stop(&self) -> Option<String>;
    fn progressed(&self, completed: u64, total: u64);
}

/// How a count ended.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Counted {
    Whole(Summary),
    #[serde(rename_all = "kebab-case")]
    Stopped {
        reason: String,
        looked_at: u64,
        total_files: u64,
    },
}

/// What a whole count found. Everything but `unreadable` counts images by content.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Summary {
    pub(crate) total: u64,
    pub(crate) added: u64,
    pub(crate) changed: u64,
    pub(crate) removed: u64,
    pub(crate) broken: u64,
    pub(crate) misnamed: u64,
    /// Files and folders that could not be read.
    pub(crate) unreadable: u64,
    pub(crate) by_format: BTreeMap<Format, u64>,
    /// What is wrong, a line each, for the log.
    #[serde(skip)]
    pub(crate) notes: Vec<String>,
}

/// Work lost at most when a count is stopped without being asked: so many files, or as many as were kept before.
const KEPT_FIRST: usize = 1_000;

/// Progress is told after so many files.
const STRIDE: u64 = 16;

/// Lines of notes at most.
const NOTES: usize = 200;

/// Counts the images below `gallery`. Errors: the folder cannot be listed, or memory cannot be read or written.
pub(crate) fn count(gallery: &Path, memory: &Memory, watcher: &impl Watcher) -> io::Result<Counted> {
    let Some(listing) = walk::list(gallery, || watcher.asks_to_stop().is_some())? else {
        let reason = watcher.asks_to_stop().unwrap_or_default();
        return Ok(Counted::Stopped { reason, looked_at: 0, total_files: 0 });
    };
    let total_files = listing.files.len() as u64;
    let mut notes = Notes::default();
    listing.failures.into_iter().for_each(|failure| notes.push(failure));
    let mut unreadable = notes.told;

    let before = memory.last_count()?.unwrap_or_default();
    let unfinished = memory.unfinished()?;
    let mut now = Files::new();
    let (mut opened, mut keep_at) = (0, KEPT_FIRST);
    for (looked_at, path) in (0_u64..).zip(listing.files) {
        if let Some(reason) = watcher.asks_to_stop() {
            memory.save_unfinished(&now)?;
            watcher.progressed(looked_at, total_files);
            return Ok(Counted::Stopped { reason, looked_at, total_files });
        }
        if looked_at.is_multiple_of(STRIDE) {
            watcher.progressed(looked_at, total_files);
        }
        if opened == keep_at {
            memory.save_unfinished(&now)?;
            keep_at *= 2;
        }
        let known = unfinished.get(&path).or_else(|| before.files.get(&path));
        match look(gallery, &path, known, &mut opened) {
            Ok(Some(entry)) => drop(now.insert(path, entry)),
            Ok(None) => {}
            Err(error) => {
                unreadable += 1;
                notes.push(format!("{path}: {error}"));
            }
        }
    }
    watcher.progressed(total_files, total_files);

    let difference = Difference::between(&before.files, &now);
    let mut summary = summarize(&now, &difference, &mut notes);
    summary.unreadable = unreadable;
    summary.notes = notes.into_lines();
    memory.save_count(&Seen { files: now, added: difference.added })?;
    Ok(Counted::Whole(summary))
}

/// What a file is, as known from an earlier look if it is the same, or none if it has gone since it was listed.
fn look(gallery: &Path, path: &str, known: Option<&Entry>, opened: &mut usize) -> io::Result<Option<Entry>> {
    let place = gallery.join(path);
    let about = match fs::symlink_metadata(&place) {
        Ok(about) => about,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let size = about.len();
    let since_1970 = about.modified()?.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let modified = u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX);
    if let Some(known) = known.filter(|known| (known.size, known.modified) == (size, modified)) {
        return Ok(Some(*known));
    }
    *opened += 1;
    let name = path.rsplit('/').next().unwrap_or(path);
    let verdict = picture::examine(&mut BufReader::with_capacity(4096, File::open(place)?), name)?;
    Ok(Some(Entry { size, modified, verdict }))
}

fn summarize(now: &Files, difference: &Difference, notes: &mut Notes) -> Summary {
    let mut summary = Summary {
        added: difference.added.len() as u64,
        changed: difference.changed,
        removed: difference.removed,
        ..Summary::default()
    };
    for (path, entry) in now {
        match &entry.verdict {
            Verdict::Image(image) => {
                summary.total += 1;
                *summary.by_format.entry(image.format).or_default() += 1;
                if image.misnamed {
                    summary.misnamed += 1;
                    notes.push(format!("{path}: is {}, whatever its name says", image.format.name()));
                }
            }
            Verdict::Broken => {
                summary.broken += 1;
                notes.push(format!("{path}: looks like an image, but its header cannot be read"));
            }
            Verdict::Other => {}
        }
    }
    summary
}

/// Lines for the log, as many as people read.
#[derive(Default)]
struct Notes {
    lines: Vec<String>,
    told: u64,
}

impl Notes {
    fn push(&mut self, line: String) {
        self.told += 1;
        if self.lines.len() < NOTES {
            // A name may hold line breaks; a line of the log may not.
            self.lines.push(line.replace(char::is_control, "\u{FFFD}"));
        }
    }

    fn into_lines(mut self) -> Vec<String> {
        let left_out = self.told - self.lines.len() as u64;
        if left_out > 0 {
            self.lines.push(format!("and {left_out} more"));
        }
        self.lines
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Lets so many questions pass before it asks to stop.
    struct Patience(Cell<u64>);

    impl Patience {
        fn endless() -> Patience {
            Patience(Cell::new(u64::MAX))
        }
    }

    impl Watcher for Patience {
        fn asks_to_stop(&self) -> Option<String> {
            self.0.set(self.0.get().saturating_sub(1));
            (self.0.get() == 0).then(|| "time-limit".to_owned())
        }

        fn progressed(&self, completed: u64, total: u64) {
            assert!(completed <= total);
        }
    }

    const GIF: &[u8] = b"GIF89a\x07\0\x05\0\0\0\0";

    fn whole(counted: Counted) -> Summary {
        match counted {
            Counted::Whole(summary) => summary,
            Counted::Stopped { .. } => panic!("was stopped: {counted:?}"),
        }
    }

    #[test]
    fn counts_what_was_added_and_removed_since_the_last_count() {
        let (gallery, data) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let memory = Memory::new(data.path());
        let at = |name: &str| gallery.path().join(name);
        fs::write(at("a.gif"), GIF).expect("a file");
        fs::write(at("b.jpg"), GIF).expect("a file");
        fs::write(at("c.png"), "").expect("a file");
        fs::write(at("d.txt"), "text").expect("a file");

        let first = whole(count(gallery.path(), &memory, &Patience::endless()).expect("countable"));
        assert_eq!((first.total, first.added, first.broken, first.misnamed), (2, 2, 1, 1));
        assert_eq!(first.by_format, BTreeMap::from([(Format::Gif, 2)]));
        assert_eq!(first.notes.len(), 2);

        let second = whole(count(gallery.path(), &memory, &Patience::endless()).expect("countable"));
        assert_eq!((second.total, second.added, second.changed, second.removed), (2, 0, 0, 0));

        fs::remove_file(at("a.gif")).expect("removable");
        fs::write(at("e"), GIF).expect("a file");
        fs::write(at("b.jpg"), [GIF, b"more"].concat()).expect("a file");
        let third = whole(count(gallery.path(), &memory, &Patience::endless()).expect("countable"));
        assert_eq!((third.total, third.added, third.changed, third.removed), (2, 1, 1, 1));
    }

    #[test]
    fn finds_in_the_samples_what_they_hold() {
        let (gallery, data) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let memory = Memory::new(data.path());
        let agrees = |truth: gallery_samples::Truth, added: u64| {
            let summary = whole(count(gallery.path(), &memory, &Patience::endless()).expect("countable"));
            let of = |format| summary.by_format.get(&format).copied().unwrap_or(0);
            assert_eq!((summary.total, summary.added, summary.removed), (truth.total, added, 0));
            assert_eq!((summary.broken, summary.misnamed), (truth.broken, truth.misnamed));
            assert_eq!(
                (of(Format::Jpeg), of(Format::Png), of(Format::Gif), of(Format::Webp)),
                (truth.jpeg, truth.png, truth.gif, truth.webp)
            );
        };
        gallery_samples::make(gallery.path()).expect("can be made");
        agrees(gallery_samples::TRUTH, gallery_samples::TRUTH.total);
        gallery_samples::make_later(gallery.path()).expect("can be made");
        agrees(gallery_samples::TRUTH_LATER, 2);
    }

    #[test]
    fn goes_on_where_it_was_stopped() {
        let (gallery, data) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let memory = Memory::new(data.path());
        for number in 0..10 {
            fs::write(gallery.path().join(format!("{number}.gif")), GIF).expect("a file");
        }
        // One question is asked for the folder, then one for each file.
        let stopped = count(gallery.path(), &memory, &Patience(Cell::new(6))).expect("countable");
        assert_eq!(stopped, Counted::Stopped { reason: "time-limit".to_owned(), looked_at: 4, total_files: 10 });
        assert_eq!(memory.unfinished().expect("readable").len(), 4);
        assert_eq!(memory.last_count().expect("readable"), None);

        let summary = whole(count(gallery.path(), &memory, &Patience::endless()).expect("countable"));
        assert_eq!((summary.total, summary.added), (10, 10));
    }

    #[test]
    fn a_missing_gallery_is_an_error() {
        let (gallery, data) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let missing = gallery.path().join("missing");
        assert!(count(&missing, &Memory::new(data.path()), &Patience::endless()).is_err());
    }
}

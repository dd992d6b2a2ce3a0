//! The machine as Linux describes it in `/proc` and `/sys`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{Probe, Sample, Sight};
use crate::rules::{Condition, Now};

mod battery;
mod heat;
mod memory;
mod network;
mod power;
mod saving;
mod work;

pub use power::has_battery;

/// Reads small files of the kernel at each look. Files that are missing, as in some containers, or that make no sense
/// leave the condition assumed to hold, and its source says so.
#[derive(Debug)]
pub struct LinuxProbe {
    root: PathBuf,
    marks: Marks,
    work: work::Work,
    heat: heat::Heat,
    memory: memory::Memory,
}

/// Where a measure begins to mean something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marks {
    /// The battery's level, in percent, at which it is low.
    pub low_battery: u8,
    /// The share of time, in percent, during which something waits for memory that is short.
    pub memory_pressure: u8,
}

impl LinuxProbe {
    /// `root` is `/`, or a folder with recorded `proc` and `sys` trees.
    pub fn new(root: &Path, marks: Marks) -> LinuxProbe {
        LinuxProbe {
            root: root.to_owned(),
            marks,
            work: work::Work::default(),
            heat: heat::Heat::default(),
            memory: memory::Memory::default(),
        }
    }
}

impl Probe for LinuxProbe {
    fn look(&mut self, now: Now) -> Sample {
        Sample::new(|condition| match condition {
            Condition::Network => network::look(&self.root),
            Condition::ExternalPower => power::look(&self.root),
            Condition::Idle => self.work.look(&self.root, now),
            Condition::Charged => battery::look(&self.root, self.marks.low_battery),
            Condition::FullPower => saving::look(&self.root),
            Condition::Cool => self.heat.look(&self.root),
            Condition::Roomy => self.memory.look(&self.root, self.marks.memory_pressure),
            Condition::UnlockedOnce | Condition::Unlocked => sight(true, "assumed: this host does not look at it"),
        })
    }
}

fn sight(holds: bool, source: impl Into<String>) -> Sight {
    Sight { holds, source: source.into() }
}

/// A small text file's content without the white space around it; none when it cannot be read.
fn read(root: &Path, path: &str) -> Option<String> {
    let text = fs::read_to_string(root.join(path)).ok()?;
    Some(text.trim().to_owned())
}

/// The names in a folder, sorted; none when it cannot be read.
fn names(root: &Path, path: &str) -> Option<Vec<String>> {
    let entries = fs::read_dir(root.join(path)).ok()?;
    let mut names: Vec<String> = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    Some(names)
}

/// A recorded tree in a throw-away folder.
#[cfg(test)]
fn recorded(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    record(root.path(), files);
    root
}

#[cfg(test)]
fn record(root: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{text}\n")).unwrap();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::rules::Timestamp;

    const MARKS: Marks = Marks { low_battery: 20, memory_pressure: 10 };

    #[test]
    fn a_machine_that_says_nothing_is_assumed_ready_and_says_so() {
        let root = recorded(&[]);
        let now = Now { wall: Timestamp::UNIX_EPOCH, uptime: Duration::ZERO };
        for (condition, sight) in LinuxProbe::new(root.path(), MARKS).look(now).iter() {
            // No battery is an answer.
            let knows = matches!(condition, Condition::ExternalPower | Condition::Charged);
            let says_so = sight.source.starts_with("assumed: ") || knows;
            assert!(sight.holds && says_so, "{condition}: {sight:?}");
        }
    }

    #[test]
    fn this_machine_can_be_read() {
        let now = Now { wall: Timestamp::UNIX_EPOCH, uptime: Duration::ZERO };
        for (condition, sight) in LinuxProbe::new(Path::new("/"), MARKS).look(now).iter() {
            assert!(!sight.source.is_empty(), "{condition}");
        }
    }
}

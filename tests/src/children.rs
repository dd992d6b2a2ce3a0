//! The processes that compile, as the system shows them.

use std::{fs, path::PathBuf};

/// A process that compiles for some host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    pub pid: i32,
    pub parent: i32,
    /// What the host gave it, the bounds last.
    pub arguments: Vec<String>,
}

/// Those that run now, or have ended and were not waited for yet.
pub fn children() -> Vec<Child> {
    let entries = fs::read_dir("/proc").unwrap();
    entries.filter_map(|entry| Child::read(entry.unwrap().file_name().to_str()?.parse().ok()?)).collect()
}

impl Child {
    fn read(pid: i32) -> Option<Child> {
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
        let arguments: Vec<String> = line.split_terminator('\0').map(str::to_owned).collect();
        let parent = Child::stat_of(pid)?[1].parse().ok()?;
        (arguments.get(1)? == "compile-component").then_some(Child { pid, parent, arguments })
    }

    /// Whether it is still there.
    pub fn lives(&self) -> bool {
        Child::read(self.pid).is_some_and(|other| other == *self)
    }

    /// What the system says of it, the fields of `stat` that stand behind its name.
    pub fn stat(&self) -> Vec<String> {
        Child::stat_of(self.pid).unwrap_or_default()
    }

    /// A file of what the system says of it.
    pub fn path(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.pid))
    }

    fn stat_of(pid: i32) -> Option<Vec<String>> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Some(stat.rsplit_once(") ")?.1.split(' ').map(str::to_owned).collect())
    }
}

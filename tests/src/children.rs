//! The processes that compile, as the system shows them.

use std::{fs, ops::Deref, path::PathBuf};

use rustix::process::{Pid, Signal, getpid, kill_process, set_child_subreaper};

/// A process that compiles for some host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    pub pid: i32,
    pub parent: i32,
    /// What the host gave it, the bounds last.
    pub arguments: Vec<String>,
}

/// A child that was stopped in its work: it ends only if somebody ends it. Never outlives its owner.
#[derive(Debug)]
pub struct StoppedChild(Child);

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

    /// Whether it is still there, with its parent or without. Its arguments tell it from others of its number: they name its host.
    pub fn lives(&self) -> bool {
        Child::read(self.pid).is_some_and(|other| other.arguments == self.arguments)
    }

    /// Whether it has bound itself to its host. It does so before it reads what it is to compile, and this last.
    pub fn is_bound(&self) -> bool {
        fs::read_to_string(self.path("oom_score_adj")).is_ok_and(|score| score.trim() == "1000")
    }

    /// Lets it do nothing more. The system hangs up on a stopped process whose session has nobody left who could let it go on, so
    /// that it would end with its host by that alone: this process takes it over.
    pub fn stop(self) -> StoppedChild {
        set_child_subreaper(Some(getpid())).unwrap();
        self.signal(Signal::STOP);
        StoppedChild(self)
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.pid).filter(|_| self.lives()) {
            // It may have ended just now.
            let _ = kill_process(pid, signal);
        }
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

impl Deref for StoppedChild {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl Drop for StoppedChild {
    fn drop(&mut self) {
        self.0.signal(Signal::KILL);
    }
}

//! The machine as Linux describes it in `/proc` and `/sys`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{Probe, Sample, Sight};
use crate::rules::{Condition, Now, Profile};

mod battery;
mod bus;
mod heat;
mod memory;
mod network;
mod power;
mod saving;
mod sessions;
mod watcher;
mod work;

pub use power::has_battery;
pub use sessions::Patience;
pub use watcher::Watcher;

/// Reads small files of the kernel at each look. Files that are missing, as in some containers, or that make no sense
/// leave the condition assumed to hold, and its source says so.
#[derive(Debug)]
pub struct LinuxProbe {
    root: PathBuf,
    outlook: Outlook,
    work: work::Work,
    sessions: sessions::Sessions,
    heat: heat::Heat,
    memory: memory::Memory,
}

/// How the machine is looked at: what counts on it, and where a measure begins to mean something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outlook {
    /// Nobody is expected to sit at a server: there, others' work alone ends idleness.
    pub profile: Profile,
    /// The battery's level, in percent, at which it is low.
    pub low_battery: u8,
    /// The share of time, in percent, during which something waits for memory that is short.
    pub memory_pressure: u8,
    /// By how many degrees what was hot must cool.
    pub cool_by: u8,
    pub login_manager: Patience,
}

impl LinuxProbe {
    /// `root` is `/`, or a folder with recorded `proc` and `sys` trees.
    pub fn new(root: &Path, outlook: Outlook) -> LinuxProbe {
        LinuxProbe {
            root: root.to_owned(),
            outlook,
            work: work::Work::default(),
            sessions: sessions::Sessions::default(),
            heat: heat::Heat::default(),
            memory: memory::Memory::default(),
        }
    }
}

impl Probe for LinuxProbe {
    fn look(&mut self, now: Now) -> Sample {
        let Outlook { profile, low_battery, memory_pressure, cool_by, login_manager } = self.outlook;
        let work = self.work.look(&self.root, now);
        let sessions::Presence { unused, unlocked_once, unlocked } = self.sessions.look(&self.root, now, login_manager);
        Sample::new(|condition| match condition {
            Condition::Network => network::look(&self.root),
            Condition::ExternalPower => power::look(&self.root),
            Condition::Idle => match profile {
                Profile::Device => both(&unused, &work),
                Profile::Server => work.clone(),
            },
            Condition::Charged => battery::look(&self.root, low_battery),
            Condition::FullPower => saving::look(&self.root),
            Condition::Cool => self.heat.look(&self.root, cool_by),
            Condition::Roomy => self.memory.look(&self.root, memory_pressure),
            Condition::UnlockedOnce => unlocked_once.clone(),
            Condition::Unlocked => unlocked.clone(),
        })
    }
}

fn sight(holds: bool, source: impl Into<String>) -> Sight {
    Sight { holds, source: source.into() }
}

/// Holds when both do; else the first that does not is named.
fn both(one: &Sight, other: &Sight) -> Sight {
    match (one.holds, other.holds) {
        (true, true) => sight(true, format!("{}; {}", one.source, other.source)),
        (false, _) => one.clone(),
        (true, false) => other.clone(),
    }
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

    fn outlook(profile: Profile) -> Outlook {
        let login_manager = Patience { answer: Duration::from_secs(20), rest: Duration::from_secs(60) };
        Outlook { profile, low_battery: 20, memory_pressure: 10, cool_by: 5, login_manager }
    }

    #[test]
    fn a_machine_that_says_nothing_is_assumed_ready_and_says_so() {
        let root = recorded(&[]);
        let now = Now { wall: Timestamp::UNIX_EPOCH, uptime: Duration::ZERO };
        for (condition, sight) in LinuxProbe::new(root.path(), outlook(Profile::Device)).look(now).iter() {
            // No battery is an answer.
            let knows = matches!(condition, Condition::ExternalPower | Condition::Charged);
            let says_so = sight.source.starts_with("assumed: ") || knows;
            assert!(sight.holds && says_so, "{condition}: {sight:?}");
        }
    }

    #[test]
    fn this_machine_can_be_read() {
        let now = Now { wall: Timestamp::UNIX_EPOCH, uptime: Duration::ZERO };
        for (condition, sight) in LinuxProbe::new(Path::new("/"), outlook(Profile::Device)).look(now).iter() {
            assert!(!sight.source.is_empty(), "{condition}");
        }
    }

    #[test]
    fn somebody_who_sits_there_uses_a_device_and_not_a_server() {
        use sessions::served::{Answers, Manners, Said, serve};
        let here = |idle| Said { class: "user", seat: "seat0", active: true, idle, locked: false };
        let elsewhere = Said { seat: "", ..here(false) };
        let busy = "cpu  900 0 0 100 0 0 0 0 0 0\ncpu0 900 0 0 100";
        let quiet = "cpu  0 0 0 1000 0 0 0 0 0 0\ncpu0 0 0 0 1000";
        use Profile::{Device, Server};
        let cases = [
            ("somebody types", Device, here(false), "0.00", false, "session 0 at seat0 is in use"),
            ("somebody reads along", Device, here(true), "0.00", true, "is idle; /proc/loadavg"),
            ("somebody left a film to be computed", Device, here(true), "0.90", false, "/proc/loadavg"),
            ("somebody types and much is computed", Device, here(false), "0.90", false, "is in use"),
            ("a login from elsewhere", Device, elsewhere, "0.00", true, "nobody sits here; /proc/loadavg"),
            ("somebody types at a server", Server, here(false), "0.00", true, "/proc/loadavg"),
            ("a busy server", Server, elsewhere, "0.90", false, "/proc/loadavg"),
        ];
        let now = Now { wall: Timestamp::UNIX_EPOCH, uptime: Duration::ZERO };
        for (case, profile, said, load, holds, source) in cases {
            let stat = if load == "0.00" { quiet } else { busy };
            let root = recorded(&[
                ("proc/stat", stat),
                ("proc/self/stat", "42 (idle) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 99"),
                ("proc/loadavg", &format!("{load} 0 0 1/1 1")),
            ]);
            let _served = serve(root.path(), Answers::Sessions(vec![said]), Manners::Good);
            let sample = LinuxProbe::new(root.path(), outlook(profile)).look(now);
            let idle = sample.of(Condition::Idle);
            assert_eq!(idle.holds, holds, "{case}: {idle:?}");
            assert!(idle.source.contains(source), "{case}: {idle:?}");
        }
    }
}

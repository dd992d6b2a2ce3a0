//! A running `serve --json`: its events as they come, its signals, its end. It never outlives its owner.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    os::unix::process::ExitStatusExt as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::Duration,
};

use rustix::process::{Pid, kill_process};
use serde_json::Value;

pub use rustix::process::Signal;

/// Longer than a host is ever silent while a test waits for its word, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(120);

pub struct HostProcess {
    child: Child,
    events: Receiver<Value>,
    /// Everything heard so far.
    heard: Vec<Value>,
    /// How much of it a wait has passed by.
    passed: usize,
    stderr: PathBuf,
}

/// How a host ended.
#[derive(Debug)]
pub struct HostEnd {
    /// None when a signal ended it.
    pub code: Option<i32>,
    pub signal: Option<i32>,
    pub events: Vec<Value>,
    pub stderr: String,
}

impl HostProcess {
    pub(crate) fn start(mut command: Command, stderr: PathBuf) -> HostProcess {
        let mut child =
            command.stdout(Stdio::piped()).stderr(File::create(&stderr).unwrap()).spawn().expect("the binary starts");
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (heard, events) = mpsc::channel();
        thread::spawn(move || {
            for line in stdout.lines() {
                // What is cut off in the middle belongs to a host that was killed while it spoke.
                let Ok(event) = serde_json::from_str(&line.unwrap()) else { break };
                if heard.send(event).is_err() {
                    break;
                }
            }
        });
        HostProcess { child, events, heard: Vec::new(), passed: 0, stderr }
    }

    /// Waits until what it was told to install is installed. Passes nothing by: tasks may run before.
    pub fn ready(&mut self) -> Value {
        let ready = self.wait_until("ready", |_| true);
        self.passed = 0;
        ready
    }

    /// Waits for the next event of that name about that identifier.
    pub fn wait_for(&mut self, event: &str, identifier: &str) -> Value {
        self.wait_until(event, |heard| heard["identifier"] == identifier)
    }

    /// Waits for the next event of that name that `is_it`. What comes before is passed by.
    pub fn wait_until(&mut self, event: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        loop {
            while self.passed < self.heard.len() {
                let heard = &self.heard[self.passed];
                self.passed += 1;
                if heard["event"] == event && is_it(heard) {
                    return heard.clone();
                }
            }
            match self.events.recv_timeout(PATIENCE) {
                Ok(next) => self.heard.push(next),
                Err(RecvTimeoutError::Timeout) => panic!("no `{event}` came in {PATIENCE:?}{}", self.told()),
                Err(RecvTimeoutError::Disconnected) => panic!("the host ended before `{event}`{}", self.told()),
            }
        }
    }

    /// The process's number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Kills it as nothing can be caught, and waits until it is gone.
    pub fn kill(self) -> HostEnd {
        self.signal(Signal::KILL);
        self.end()
    }

    /// Waits until it has ended.
    pub fn end(mut self) -> HostEnd {
        loop {
            match self.events.recv_timeout(PATIENCE) {
                Ok(next) => self.heard.push(next),
                Err(RecvTimeoutError::Timeout) => panic!("the host does not end{}", self.told()),
                // Its output is closed, so it is as good as gone.
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let status = self.child.wait().unwrap();
        let stderr = fs::read_to_string(&self.stderr).unwrap();
        let events = std::mem::take(&mut self.heard);
        HostEnd { code: status.code(), signal: status.signal(), events, stderr }
    }

    fn told(&self) -> String {
        let events: Vec<String> = self.heard.iter().map(Value::to_string).collect();
        let stderr = fs::read_to_string(&self.stderr).unwrap_or_default();
        format!("; it said:\n{}\n{stderr}", events.join("\n"))
    }
}

impl Drop for HostProcess {
    fn drop(&mut self) {
        // After `end` it is gone, which is as well.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl HostEnd {
    /// The events of that name about that identifier.
    pub fn events_of(&self, event: &str, identifier: &str) -> Vec<&Value> {
        self.events.iter().filter(|heard| heard["event"] == event && heard["identifier"] == identifier).collect()
    }
}

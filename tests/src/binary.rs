//! The real binary, spoken to as a person or a program does: commands that answer, in a place of their own.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::HostProcess;

/// A temporary folder with a state folder in it, and all else a story needs.
pub struct Place {
    folder: TempDir,
}

/// What a command answered.
#[derive(Debug)]
pub struct Answer {
    pub code: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

/// The binary that was built beside this test.
pub fn binary() -> PathBuf {
    let test = env::current_exe().unwrap();
    // A test lies in `deps`, beside which lies the binary: so every target folder and profile is honoured.
    let built = test.parent().and_then(Path::parent).unwrap().join("idlewild");
    assert!(
        built.exists(),
        "{} is not built: `make test` builds it, or cargo build --package idlewild",
        built.display()
    );
    built
}

/// A built bundle of the repository, such as `gallery` or `misfits/registers_twice`.
pub fn built_bundle(name: &str) -> PathBuf {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bundles").join(name);
    let built = fs::canonicalize(&built).unwrap_or(built);
    assert!(built.join("idlewild.toml").exists(), "{} is not built: `make bundles` does so", built.display());
    built
}

impl Place {
    #[allow(clippy::new_without_default, reason = "it makes folders, which no default should")]
    pub fn new() -> Place {
        Place { folder: TempDir::with_prefix("idlewild-story-").unwrap() }
    }

    /// A path in the place; nothing need be there.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A folder in the place, made if it is not there.
    pub fn folder(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(&path).unwrap();
        path
    }

    pub fn state(&self) -> PathBuf {
        self.path("state")
    }

    /// A copy of a built bundle, with its manifest as `change` makes it.
    pub fn copy_of_bundle(&self, built: &str, name: &str, change: impl FnOnce(String) -> String) -> PathBuf {
        let (from, to) = (built_bundle(built), self.folder(name));
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
        let manifest = to.join("idlewild.toml");
        let before = fs::read_to_string(&manifest).unwrap();
        let after = change(before.clone());
        fs::write(manifest, after).unwrap();
        to
    }

    /// The command on this place's state folder, not started yet.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(arguments).arg("--state").arg(self.state()).current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Answer {
        self.command(arguments).output().unwrap().into()
    }

    /// Runs a command that must succeed, and reads the JSON lines it prints.
    pub fn ask(&self, arguments: &[&str]) -> Vec<Value> {
        let arguments = [arguments, &["--json"]].concat();
        let answer = self.run(&arguments);
        assert_eq!(answer.code, Some(0), "{arguments:?}: {}", answer.stderr);
        answer.lines()
    }

    /// Runs a command that must succeed with one object.
    pub fn ask_one(&self, arguments: &[&str]) -> Value {
        let mut lines = self.ask(arguments);
        assert_eq!(lines.len(), 1, "{arguments:?}: {lines:?}");
        lines.remove(0)
    }

    /// Starts `serve --json` with further arguments.
    pub fn serve(&self, arguments: &[&str]) -> HostProcess {
        self.serve_in(&[], arguments)
    }

    /// The same, with these variables in its environment.
    pub fn serve_in(&self, environment: &[(&str, &Path)], arguments: &[&str]) -> HostProcess {
        let arguments = [&["serve", "--json"], arguments].concat();
        let mut command = self.command(&arguments);
        command.envs(environment.iter().copied());
        HostProcess::start(command, self.path("serve.stderr"))
    }

    /// Starts `serve --json` with further arguments, everything good stated of the machine, and waits until it is ready.
    pub fn serve_at_ease(&self, arguments: &[&str]) -> HostProcess {
        let mut host = self.serve(&[&AT_EASE, arguments].concat());
        host.ready();
        host
    }
}

/// The conditions under which everything may run.
pub const AT_EASE: [&str; 9] = [
    "--assume=network",
    "--assume=external-power",
    "--assume=idle",
    "--assume=charged",
    "--assume=full-power",
    "--assume=cool",
    "--assume=roomy",
    "--assume=unlocked-once",
    "--assume=unlocked",
];

impl Answer {
    /// The JSON lines of standard output.
    pub fn lines(&self) -> Vec<Value> {
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.text().lines().map(parse).collect()
    }

    pub fn text(&self) -> &str {
        str::from_utf8(&self.stdout).unwrap()
    }
}

impl From<Output> for Answer {
    fn from(output: Output) -> Answer {
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        Answer { code: output.status.code(), stdout: output.stdout, stderr }
    }
}

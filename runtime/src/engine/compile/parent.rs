//! Starts a child that compiles, waits for it, and puts into words how it ended.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::process::{CommandExt, ExitStatusExt},
    path::PathBuf,
    process::{self, Child, Command, ExitStatus, Stdio},
    sync::Arc,
};

use rustix::process::Signal;
use tokio::{runtime::Handle, task::JoinHandle};

use super::{
    Bounds, COMMAND, CompileError, INVALID, REFUSED,
    leash::{Cut, Leash},
};
use crate::{
    clock::Clock,
    engine::{
        fault::{bounded, size},
        settings::EngineSettings,
    },
};

/// Bytes of what a child says that are read.
const SAID_LIMIT: usize = 4 << 10;

/// Starts children, one call each. Its calls block.
pub(in crate::engine) struct Compiler {
    /// The program that has the command.
    pub(super) program: PathBuf,
    clock: Arc<dyn Clock>,
    /// Where the time a child may take runs out.
    pub(super) control: Handle,
    pub(super) settings: EngineSettings,
}

impl Compiler {
    pub(in crate::engine) fn new(
        program: PathBuf,
        clock: Arc<dyn Clock>,
        control: Handle,
        settings: EngineSettings,
    ) -> Compiler {
        Compiler { program, clock, control, settings }
    }

    /// Has `component` compiled into `code`. Blocks until the child has ended; `leash` ends it.
    ///
    /// The child dies with the thread that started it, so this thread stays with it.
    pub(super) fn compile(&self, leash: &Arc<Leash>, component: File, code: File) -> Result<(), CompileError> {
        let unusable = |error: io::Error| {
            let program = self.program.display();
            CompileError::Failed(format!("the program that compiles, {program}, cannot be run: {error}"))
        };
        let Some(mut child) = leash.start(|| self.start(component, code)).map_err(unusable)? else {
            return Err(given_up());
        };
        let _watchdog = self.watch(leash.clone());
        let said = hear(&mut child).unwrap_or_default();
        let status = child.wait().map_err(unusable)?;
        self.verdict(leash.why_cut(), status, &said)
    }

    fn start(&self, component: File, code: File) -> io::Result<Child> {
        let bounds = Bounds {
            parent: process::id(),
            memory: self.settings.compile_memory,
            seconds: self.settings.compile_time.as_secs().max(1),
            component: self.settings.component_limit,
            code: self.settings.code_limit,
        };
        Command::new(&self.program)
            .arg0("idlewild")
            .arg(COMMAND)
            .args(bounds.arguments())
            .env_clear()
            // Read by the crate that deals out the compiler's work.
            .env("RAYON_NUM_THREADS", self.settings.compile_threads.max(1).to_string())
            .process_group(0)
            .stdin(component)
            .stdout(code)
            .stderr(Stdio::piped())
            .spawn()
    }

    /// Ends the child when it has taken too long.
    fn watch(&self, leash: Arc<Leash>) -> Watchdog {
        let clock = self.clock.clone();
        let until = clock.now().uptime + self.settings.compile_patience;
        Watchdog(self.control.spawn(async move {
            clock.reach(until).await;
            leash.cut(Cut::TooLong);
        }))
    }

    fn verdict(&self, cut: Option<Cut>, status: ExitStatus, said: &str) -> Result<(), CompileError> {
        let EngineSettings { compile_memory, compile_time, compile_patience, code_limit, .. } = self.settings;
        let failed = |message: String| Err(CompileError::Failed(message));
        if status.success() {
            return Ok(());
        }
        match cut {
            Some(Cut::TooLong) => {
                let patience = compile_patience.as_secs_f32();
                return failed(format!(
                    "it was not compiled within {patience} s (`compile_patience`); make it smaller, or try when the machine is less busy"
                ));
            }
            Some(Cut::GivenUp) => return Err(given_up()),
            None => {}
        }
        let is = |signal: Signal| status.signal() == Some(signal.as_raw());
        if status.code() == Some(INVALID.into()) {
            return Err(CompileError::Invalid(said.to_owned()));
        }
        if status.code() == Some(REFUSED.into()) {
            return failed(said.to_owned());
        }
        if is(Signal::XCPU) {
            let time = compile_time.as_secs().max(1);
            return failed(format!(
                "compiling it takes more than {time} s of computing (`compile_time`); make it smaller"
            ));
        }
        if is(Signal::XFSZ) {
            let allowed = size(code_limit);
            return failed(format!("its compiled code is larger than {allowed} (`code_bytes`); make it smaller"));
        }
        if tells_of_memory(said) {
            let memory = size(compile_memory);
            return failed(format!(
                "compiling it takes more than {memory} of memory (`compile_memory`); make it smaller"
            ));
        }
        if is(Signal::KILL) {
            return failed(
                "the process that compiled it was killed from outside; the machine may be short of memory: free some, and try again"
                    .to_owned(),
            );
        }
        let end = match status.signal() {
            Some(signal) => format!("signal {signal}"),
            None => format!("exit code {}", status.code().unwrap_or_default()),
        };
        let said = panic_message(said);
        let said = if said.is_empty() { end } else { format!("{end}: {said}") };
        failed(format!("the compiler crashed on it ({said}); build it anew, with another version of its toolchain"))
    }
}

pub(super) fn given_up() -> CompileError {
    CompileError::Failed("compiling it was given up, because nobody waited for it or the host is stopping".to_owned())
}

/// Stops watching when dropped.
struct Watchdog(JoinHandle<()>);

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What the child says until it ends, as much of it as is of use.
fn hear(child: &mut Child) -> io::Result<String> {
    let Some(mut stderr) = child.stderr.take() else { return Ok(String::new()) };
    let mut said = Vec::new();
    stderr.by_ref().take(SAID_LIMIT as u64).read_to_end(&mut said)?;
    io::copy(&mut stderr, &mut io::sink())?;
    Ok(bounded(String::from_utf8_lossy(&said).trim().to_owned(), SAID_LIMIT))
}

/// How a process words that it was given no more memory: Rust's allocator, the kernel, wasmtime.
fn tells_of_memory(said: &str) -> bool {
    ["memory allocation of", "Cannot allocate memory", "os error 12", "out of memory"]
        .iter()
        .any(|words| said.contains(words))
}

/// The message of a panic, without where in the compiler it was.
fn panic_message(said: &str) -> &str {
    let mut lines = said.lines().skip_while(|line| !line.starts_with("thread '"));
    lines.nth(1).or_else(|| said.lines().next()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_by_its_message() {
        let said = "\nthread 'main' (7) panicked at cranelift/x.rs:1:2:\nindex out of bounds\nnote: run with";
        assert_eq!(panic_message(said), "index out of bounds");
        assert_eq!(panic_message("segfault\nmore"), "segfault");
        assert_eq!(panic_message(""), "");
    }
}

//! The child: binds itself, reads a component from its standard input, and writes the compiled code to its standard output.
//! It opens nothing, knows no path, and ends with its parent.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::{fd::AsFd, unix::process::parent_id},
    process::ExitCode,
};

use rustix::process::{Resource, Rlimit, Signal, getrlimit, nice, set_parent_process_death_signal, setrlimit};

use super::{Bounds, INVALID, REFUSED};
use crate::engine::{
    fault::{cause, size},
    link,
};

/// How a binary of the component model begins, one of core WebAssembly, and one that was compiled already.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
const MODULE: &[u8] = b"\0asm\x01\0\0\0";
const ELF: &[u8] = b"\x7fELF";

/// How much it gives way to everybody else. Not the most there is: guests that compute all day must not starve it.
const NICENESS: i32 = 10;

/// Seconds of computing between the signal that tells of the limit, and ends the process, and the one no process survives.
const SECONDS_LEFT: u64 = 5;

/// Why there is no code: an exit code and a sentence.
type Refusal = (u8, String);

/// The whole life of the process that compiles: what `idlewild compile-component` does. A program of your own that starts a
/// `WasmEngine` may name itself as the `compiler` of its `EngineParts`, if it calls this, and nothing else, when its first
/// argument is `compile-component`; `arguments` are those behind it.
pub fn compile_component(arguments: &[String]) -> ExitCode {
    match compile(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, said)) => {
            // Who does not listen will see the code.
            let _ = io::stderr().write_all(said.as_bytes());
            ExitCode::from(code)
        }
    }
}

fn compile(arguments: &[String]) -> Result<(), Refusal> {
    let bounds = Bounds::parse(arguments)
        .ok_or_else(|| (REFUSED, "this command is the host's own: it compiles what the host gives it".to_owned()))?;
    confine(bounds).map_err(|error| (REFUSED, format!("the compiling process cannot bind itself: {error}")))?;
    let component = read(bounds).map_err(|error| (REFUSED, format!("the component cannot be read: {error}")))?;
    if component.len() as u64 > bounds.component {
        return Err((REFUSED, format!("it is larger than {}; make it smaller", size(bounds.component))));
    }
    check_preamble(&component).map_err(|fault| (INVALID, fault.to_owned()))?;
    let engine = link::compiling_engine().map_err(|error| (REFUSED, cause(&error)))?;
    let code = engine.precompile_component(&component).map_err(|error| (INVALID, cause(&error)))?;
    if code.len() as u64 > bounds.code {
        let allowed = size(bounds.code);
        return Err((REFUSED, format!("its compiled code is larger than {allowed} (`code_bytes`); make it smaller")));
    }
    write(&code).map_err(|error| (REFUSED, format!("the compiled code cannot be written: {error}")))
}

/// From here on this process cannot outlive its parent, nor take more than it was given.
fn confine(bounds: Bounds) -> io::Result<()> {
    let Bounds { parent, memory, seconds, component: _, code } = bounds;
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // Had the parent died before that, no signal would come.
    if parent_id() != parent {
        return Err(io::Error::other("its host is gone"));
    }
    // Where the host itself may take less, so may this.
    let limit = |resource, soft: u64, hard: u64| {
        let most = getrlimit(resource).maximum.unwrap_or(u64::MAX);
        let bound = Rlimit { current: Some(soft.min(most)), maximum: Some(hard.min(most)) };
        setrlimit(resource, bound).map_err(io::Error::from)
    };
    limit(Resource::Core, 0, 0)?;
    // What is allocated, not what is merely reserved: address space is no measure of a program that maps much and uses little.
    limit(Resource::Data, memory, memory)?;
    limit(Resource::Cpu, seconds, seconds + SECONDS_LEFT)?;
    // The seal stands before the code.
    let file = code.saturating_add(1 << 10);
    limit(Resource::Fsize, file, file)?;
    // Neither of these two is worth failing for: others are only served a little later.
    nice(NICENESS).ok();
    fs::write("/proc/self/oom_score_adj", "1000").ok();
    Ok(())
}

fn read(bounds: Bounds) -> io::Result<Vec<u8>> {
    let mut component = Vec::new();
    // One more than allowed, to notice that there is more.
    io::stdin().lock().take(bounds.component + 1).read_to_end(&mut component)?;
    Ok(component)
}

fn write(code: &[u8]) -> io::Result<()> {
    File::from(io::stdout().as_fd().try_clone_to_owned()?).write_all(code)
}

fn check_preamble(bytes: &[u8]) -> Result<(), &'static str> {
    Err(if bytes.starts_with(COMPONENT) {
        return Ok(());
    } else if bytes.starts_with(MODULE) {
        "it is a core module; build it for wasm32-wasip2, or make a component of it with `wasm-tools component new`"
    } else if bytes.starts_with(ELF) {
        "it is compiled code already, which is taken from nobody; put the component it was compiled from into the bundle"
    } else if bytes.is_empty() {
        "the file is empty"
    } else if bytes.starts_with(b"\0asm") {
        "it is of a version of the component model this host does not know"
    } else {
        "it does not begin as WebAssembly does"
    })
}

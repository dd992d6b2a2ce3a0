//! Why a call failed, in sentences for the guest's author.

use wasmtime::{Error, PoolConcurrencyLimitError, Trap, WasmBacktrace, component::ResourceTableError};
use wasmtime_wasi::I32Exit;

use super::settings::EngineSettings;

/// Frames of the guest's stack that a message shows.
pub(super) const FRAMES: usize = 8;

/// What kind of failure a call's error is.
pub(super) enum Fault {
    OutOfFuel,
    /// The host had no room for one more instance.
    NoRoom(String),
    Trapped(String),
}

/// Reads an error a call came back with. `refused` is how much of what it may have, if the guest once asked for more.
pub(super) fn fault(error: &Error, refused: Option<&str>, settings: &EngineSettings) -> Fault {
    if let Some(Trap::OutOfFuel) = error.downcast_ref::<Trap>() {
        return Fault::OutOfFuel;
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return Fault::NoRoom(format!("the host has no room for another instance: {}", error.root_cause()));
    }
    if let Some(I32Exit(code)) = error.downcast_ref::<I32Exit>() {
        return Fault::Trapped(exited(*code));
    }
    let cause = limit(error, settings).unwrap_or_else(|| cause(error));
    let mut message = match refused {
        Some(refused) => format!("the guest asked for more than its {refused}, then: {cause}"),
        None => cause,
    };
    if let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() {
        frames(&mut message, backtrace);
    }
    Fault::Trapped(bounded(message, settings.trap_limit))
}

/// The limit a guest ran into, if that is what the error says. Some of them wasmtime tells by their words alone.
fn limit(error: &Error, settings: &EngineSettings) -> Option<String> {
    if let Some(ResourceTableError::Full) = error.downcast_ref::<ResourceTableError>() {
        return Some(format!(
            "the guest holds {} files, streams and the like open at once, and may hold no more",
            settings.handles
        ));
    }
    let root = error.root_cause().to_string();
    if root.contains("fuel allocated for hostcalls") {
        let most = size(settings.hostcall_fuel as u64);
        return Some(format!("the guest handed over more than {most} in one call, and may hand over no more"));
    }
    if root.contains("handle limit exceeded") {
        let most = settings.component_handles;
        return Some(format!("the guest holds {most} handles at once, and may hold no more ({root})"));
    }
    None
}

/// Bytes as people say them, such as `64 MiB`.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match UNITS.iter().find(|(unit, _)| bytes >= *unit && bytes.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{} {name}", bytes / unit),
        None => format!("{bytes} bytes"),
    }
}

/// `text`, cut to at most `limit` bytes between two characters.
pub(super) fn bounded(mut text: String, limit: usize) -> String {
    const ELLIPSIS: &str = " …";
    if text.len() > limit {
        text.truncate(text.floor_char_boundary(limit.saturating_sub(ELLIPSIS.len())));
        text.push_str(ELLIPSIS);
    }
    text
}

/// The error's chain in one line, without the backtrace wasmtime puts into it.
pub(super) fn cause(error: &Error) -> String {
    if let Some(trap) = error.downcast_ref::<Trap>() {
        return describe(*trap);
    }
    let mut causes = Vec::new();
    for cause in error.chain() {
        let text = cause.to_string();
        if !text.starts_with("error while executing at wasm backtrace") && !causes.contains(&text) {
            causes.push(text);
        }
    }
    causes.join(": ")
}

/// WASI 0.2 carries no number: a guest's `exit(3)` arrives as `exit(1)`.
fn exited(code: i32) -> String {
    match code {
        0 => "the guest called exit(0) instead of returning".to_owned(),
        _ => "the guest exited with a failure code instead of returning".to_owned(),
    }
}

fn describe(trap: Trap) -> String {
    match trap {
        Trap::UnreachableCodeReached => {
            "the guest reached code it holds to be unreachable (a panic or an abort; its log may say which)".to_owned()
        }
        Trap::CannotBlockSyncTask => {
            "the guest awaited something in a function that is not async (only `launch` of `async-handler` may)"
                .to_owned()
        }
        Trap::AsyncDeadlock => {
            "the guest awaits, and nothing is left that could ever wake it: neither its end nor anything else it asked for"
                .to_owned()
        }
        Trap::StackOverflow => "the guest used up its stack (endless recursion?)".to_owned(),
        other => other.to_string(),
    }
}

/// wasmtime writes a frame as `0: 0x1234 - module!function`, the function's name demangled, or `<wasm function 7>` where
/// there is none. A stack of numbers alone helps nobody.
fn frames(message: &mut String, backtrace: &WasmBacktrace) {
    if backtrace.frames().iter().all(|frame| frame.func_name().is_none()) {
        return;
    }
    let text = backtrace.to_string();
    let names = text.lines().filter_map(|line| line.split_once(" - ")).map(|(_, name)| name);
    for name in names.take(FRAMES) {
        let function = name.split_once('!').map_or(name, |(_, function)| function);
        message.push_str("\n  at ");
        message.push_str(function);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_said_in_the_largest_whole_unit() {
        for (bytes, said) in
            [(64 << 20, "64 MiB"), (1 << 30, "1 GiB"), (1536, "1536 bytes"), (2048, "2 KiB"), (0, "0 bytes")]
        {
            assert_eq!(size(bytes), said);
        }
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let text = "ä".repeat(100);
        let cut = bounded(text.clone(), 50);
        assert!(cut.len() <= 50 && cut.ends_with('…'), "{cut}");
        assert_eq!(bounded(text.clone(), 200), text);
    }
}

//! Write background tasks for Idlewild, a headless host that runs other people's background code safely, at the right moment.
//!
//! A bundle is one WebAssembly component and its manifest. The component registers a handler for each identifier; the host
//! decides when each request runs, and starts a fresh instance for every task. This is a whole one:
//!
//! ```
//! use std::{error::Error, fs, time::Duration};
//!
//! use idlewild_guest::{Request, SubmitError, Task, bundle};
//!
//! bundle! {
//!     activate: schedule,
//!     "com.example.hello.greet" => greet,
//! }
//!
//! fn schedule() -> Result<(), SubmitError> {
//!     Request::app_refresh("com.example.hello.greet").earliest_begin_in(Duration::from_secs(15 * 60)).submit()?;
//!     Ok(())
//! }
//!
//! fn greet(task: &Task) -> Result<String, Box<dyn Error>> {
//!     schedule()?;
//!     let greetings = fs::read_to_string("/data/greetings").map_or(Ok(0), |text| text.parse::<u64>())? + 1;
//!     fs::write("/data/greetings", greetings.to_string())?;
//!     Ok(format!("hello number {greetings}, from task {}", task.id()))
//! }
//! # fn main() {}
//! ```
//!
//! Its crate is a `cdylib`, built with `cargo build --target wasm32-wasip2`; its manifest, `idlewild.toml`, permits the same
//! identifiers that [`bundle!`] names.
//!
//! # What a handler sees
//!
//! The task's log is what it writes to standard output and error. Of files it sees `/data`, which persists and is the bundle's
//! alone, `/tmp`, which ends with the task, and each granted directory as `/NAME`. Memory is fresh for every task.
//!
//! # How a handler ends
//!
//! Returning completes the task: see [`Output`] for what may be returned. A panic writes its message to the log and traps.
//! When the host wants a task to stop, [`Task::expiration`] says why: save what you have and return within the grace period.
//!
//! # On the host
//!
//! The crate compiles for other targets, so that the pure parts of a bundle can be tested where they are written. Whatever asks
//! the host something panics there.

#[doc(hidden)]
pub mod bindings;
mod output;
mod request;
mod task;

pub use output::Output;
pub use request::{
    AppRefresh, ContinuedProcessing, DataProtection, HealthResearch, Kind, Priority, Processing, Repeat, Request,
    Retry, Submission, SubmitError, SubmitErrorCode, cancel, cancel_all, pending, supports_gpu,
};
pub use task::{CheckpointError, ExpirationReason, Task};

/// Declares a bundle: its handlers by identifier, and what to do when it is activated. Both `register` and `launch` of the
/// contract come from this one declaration; it stands once in a crate.
///
/// ```
/// use idlewild_guest::{Request, Task, bundle};
///
/// bundle! {
///     activate: schedule,
///     "com.example.hello.refresh" => refresh,
///     "com.example.hello.export.*" => export,
/// }
///
/// fn schedule() -> Result<(), String> {
///     Request::app_refresh("com.example.hello.refresh").submit()?;
///     Ok(())
/// }
///
/// fn refresh(_: &Task) {}
///
/// fn export(task: &Task) -> Result<Vec<u8>, String> {
///     Ok(task.identifier().as_bytes().to_vec())
/// }
/// # fn main() {}
/// ```
///
/// `activate` is called after install, upgrade and enable, and at a start that finds nothing pending: the place to submit first
/// requests. It is a function without arguments that returns `Result<(), E>`, and may be left out.
///
/// Identifiers are constant strings, written as in the manifest: an ending `.*` stands for every name below. Where several fit,
/// the whole name goes before a wildcard, and the longer wildcard before the shorter. A handler is a function from [`&Task`](Task)
/// to anything that is [`Output`]. Naming an identifier twice does not compile:
///
/// ```compile_fail
/// # use idlewild_guest::{Task, bundle};
/// bundle! {
///     "com.example.hello.refresh" => refresh,
///     "com.example.hello.refresh" => refresh,
/// }
/// fn refresh(_: &Task) {}
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! bundle {
    (activate: $activate:expr, $($identifier:expr => $handler:expr),+ $(,)?) => {
        const _: () = {
            const IDENTIFIERS: &[&str] = &[$($identifier),+];
            const _: () = assert!($crate::__private::all_differ(IDENTIFIERS), "an identifier is named twice");

            struct Bundle;

            impl $crate::__private::Bundle for Bundle {
                fn identifiers() -> &'static [&'static str] {
                    IDENTIFIERS
                }

                fn activate() -> ::core::result::Result<(), ::std::string::String> {
                    $crate::__private::activate($activate)
                }

                fn launch(handler: usize, task: &$crate::Task) -> ::core::result::Result<::std::vec::Vec<u8>, ::std::string::String> {
                    type Handler = fn(&$crate::Task) -> ::core::result::Result<::std::vec::Vec<u8>, ::std::string::String>;
                    const HANDLERS: &[Handler] = &[$(|task| $crate::Output::into_output($handler(task))),+];
                    HANDLERS[handler](task)
                }
            }

            $crate::__export_bundle!(Bundle);
        };
    };
    ($($identifier:expr => $handler:expr),+ $(,)?) => {
        $crate::bundle! { activate: || ::core::result::Result::<(), ::std::string::String>::Ok(()), $($identifier => $handler),+ }
    };
}

/// What [`bundle!`] expands to; no part of the interface.
#[doc(hidden)]
pub mod __private {
    use std::{fmt::Display, marker::PhantomData};

    use crate::{
        Task,
        bindings::exports::idlewild::background_tasks::{handler, registration},
    };

    /// A declared bundle. Handlers are numbered as their identifiers are listed.
    pub trait Bundle {
        fn identifiers() -> &'static [&'static str];
        fn activate() -> Result<(), String>;
        fn launch(handler: usize, task: &Task) -> Result<Vec<u8>, String>;
    }

    pub fn activate<E: Display>(activate: impl FnOnce() -> Result<(), E>) -> Result<(), String> {
        activate().map_err(|error| format!("{error:#}"))
    }

    /// Serves the contract's exports from a declared bundle.
    pub struct Component<B>(PhantomData<B>);

    impl<B: Bundle> registration::Guest for Component<B> {
        fn register() -> Vec<String> {
            B::identifiers().iter().copied().map(str::to_owned).collect()
        }

        fn activate() -> Result<(), String> {
            B::activate()
        }
    }

    impl<B: Bundle> handler::Guest for Component<B> {
        fn launch(identifier: String, input: Vec<u8>) -> Result<Vec<u8>, String> {
            let handler = find(B::identifiers(), &identifier)
                .ok_or_else(|| format!("this component has no handler for `{identifier}`"))?;
            B::launch(handler, &Task::new(identifier, input))
        }
    }

    /// The place of the entry that fits `identifier` best: the longest, a whole name being longer than any wildcard it fits.
    pub fn find(entries: &[&str], identifier: &str) -> Option<usize> {
        let fits = |entry: &str| match entry.strip_suffix('*') {
            Some(stem) => stem.ends_with('.') && identifier.len() > stem.len() && identifier.starts_with(stem),
            None => entry == identifier,
        };
        let rank = |entry: &str| (!entry.ends_with('*'), entry.len());
        let places = (0..entries.len()).filter(|&place| fits(entries[place]));
        places.max_by_key(|&place| rank(entries[place]))
    }

    pub const fn all_differ(entries: &[&str]) -> bool {
        let mut left = 0;
        while left < entries.len() {
            let mut right = left + 1;
            while right < entries.len() {
                if equal(entries[left].as_bytes(), entries[right].as_bytes()) {
                    return false;
                }
                right += 1;
            }
            left += 1;
        }
        true
    }

    const fn equal(left: &[u8], right: &[u8]) -> bool {
        let mut place = 0;
        while place < left.len() && place < right.len() && left[place] == right[place] {
            place += 1;
        }
        place == left.len() && place == right.len()
    }
}

/// Gives the component its exports. Elsewhere there is nothing to export to, and the names would trouble the linker.
#[doc(hidden)]
#[macro_export]
#[cfg(target_family = "wasm")]
macro_rules! __export_bundle {
    ($bundle:ident) => {
        type Exported = $crate::__private::Component<$bundle>;
        $crate::bindings::export!(Exported with_types_in $crate::bindings);
    };
}

#[doc(hidden)]
#[macro_export]
#[cfg(not(target_family = "wasm"))]
macro_rules! __export_bundle {
    ($bundle:ident) => {
        const _: [fn() -> &'static [&'static str]; 1] = [<$bundle as $crate::__private::Bundle>::identifiers];
    };
}

#[cfg(test)]
mod tests {
    use super::__private::{all_differ, find};

    #[test]
    fn the_longest_entry_that_fits_wins() {
        let entries = ["a.b.*", "a.b.c", "a.b.c.*", "a.x"];
        for (identifier, place) in [
            ("a.b.c", Some(1)),
            ("a.b.d", Some(0)),
            ("a.b.c.d", Some(2)),
            ("a.b.c.d.e", Some(2)),
            ("a.x", Some(3)),
            ("a.b.", None),
            ("a.b", None),
            ("a.X", None),
            ("a.x.y", None),
        ] {
            assert_eq!(find(&entries, identifier), place, "{identifier}");
        }
    }

    #[test]
    fn tells_entries_named_twice() {
        assert!(all_differ(&[]));
        assert!(all_differ(&["a.b", "a.b.c", "a.b.*"]));
        assert!(!all_differ(&["a.b", "a.c", "a.b"]));
    }
}

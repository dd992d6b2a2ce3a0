//! Write background tasks for Idlewild, a headless host that runs other people's background code safely, at the right moment.
//!
//! A bundle is one WebAssembly component and its manifest. The component registers a handler for each identifier; the host
//! decides when each request runs, and starts a fresh instance for every task. This is a whole one:
//!
//! ```
//! #[idlewild_guest::bundle]
//! mod tasks {
//!     use std::{error::Error, fs, time::Duration};
//!
//!     use idlewild_guest::{Request, SubmitError, Task};
//!
//!     #[activate]
//!     fn schedule() -> Result<(), SubmitError> {
//!         let quarter = Duration::from_secs(15 * 60);
//!         Request::app_refresh("com.example.hello.greet").earliest_begin_in(quarter).submit()?;
//!         Ok(())
//!     }
//!
//!     #[handler("com.example.hello.greet")]
//!     async fn greet(task: Task) -> Result<String, Box<dyn Error>> {
//!         schedule()?;
//!         let greetings = fs::read_to_string("/data/greetings").map_or(Ok(0), |text| text.parse::<u64>())? + 1;
//!         fs::write("/data/greetings", greetings.to_string())?;
//!         Ok(format!("hello number {greetings}, from task {}", task.id()))
//!     }
//! }
//! # fn main() {}
//! ```
//!
//! Its crate is a `cdylib`, built with `cargo build --target wasm32-wasip2`; its manifest, `idlewild.toml`, permits the same
//! identifiers that the handlers name.
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

// The attribute names this crate from outside, and so do this crate's own tests.
extern crate self as idlewild_guest;

#[cfg(any(target_family = "wasm", test))]
#[doc(hidden)]
pub mod bindings;
mod bundle;
#[cfg(target_family = "wasm")]
mod component;
#[cfg(any(target_family = "wasm", test))]
mod contract;
mod host;
mod input;
#[cfg(feature = "json")]
mod json;
mod output;
mod progress;
mod request;
mod task;
#[cfg(not(target_family = "wasm"))]
pub mod test;
mod waiting;

pub use bundle::Bundle;
pub use input::Input;
#[cfg(feature = "json")]
pub use json::Json;
pub use output::Output;
pub use progress::Progress;
pub use request::{
    AppRefresh, ContinuedProcessing, DataProtection, HealthResearch, Kind, Priority, Processing, Repeat, Request,
    Retry, Submission, SubmitError, SubmitErrorCode, cancel, cancel_all, pending, supports_gpu,
};
pub use task::{CheckpointError, ExpirationReason, Task};
pub use waiting::sleep;

/// Makes a module of handlers the bundle that this crate is. Both `register` and `launch` of the contract come from this one
/// declaration; it stands once in a crate.
///
/// ```
/// #[idlewild_guest::bundle]
/// mod tasks {
///     use idlewild_guest::{Request, SubmitError, Task};
///
///     #[activate]
///     fn schedule() -> Result<(), SubmitError> {
///         Request::app_refresh("com.example.hello.refresh").submit()?;
///         Ok(())
///     }
///
///     #[handler("com.example.hello.refresh")]
///     fn refresh() {}
///
///     #[handler("com.example.hello.export.*")]
///     async fn export(task: Task, input: String) -> Result<Vec<u8>, String> {
///         Ok(format!("{} of {input}", task.identifier()).into_bytes())
///     }
/// }
/// # fn main() {}
/// ```
///
/// `#[activate]` marks what is called after install, upgrade and enable, and at a start that finds nothing pending: the place to submit
/// first requests. It is a function without arguments that returns `Result<(), E>`, and may be left out.
///
/// `#[handler("…")]` marks a handler. Its identifier is written as in the manifest: an ending `.*` stands for every name below. Where
/// several fit, the whole name goes before a wildcard, and the longer wildcard before the shorter. A function may have several.
/// It takes `&Task` or [`Task`], what is [`Input`], both or nothing, and returns what is [`Output`].
///
/// The bundle is of the asynchronous world: a handler may be an `async fn`, which awaits its work and its expiration together, or a `fn`.
/// `#[bundle(sync)]` makes one of the synchronous world, for handlers that work in order and ask between two pieces of work.
///
/// What cannot be a bundle does not compile, and says so at its place:
///
/// ```compile_fail
/// #[idlewild_guest::bundle]
/// mod tasks {
///     #[handler("com.example.hello.refresh")]
///     fn refresh() {}
///
///     #[handler("com.example.hello.refresh")]
///     fn refresh_again() {}
/// }
/// # fn main() {}
/// ```
pub use idlewild_guest_macros::bundle;

/// What [`bundle`](macro@bundle) expands to; no part of the interface.
#[doc(hidden)]
pub mod __private {
    pub use crate::bundle::{AsyncHandler, Handler, activate, declare};
    #[cfg(target_family = "wasm")]
    pub use crate::component::{Component, Declared};
}

//! The port: all that the kit asks of its host. A component asks through the contract, a test the harness.

#[cfg(target_family = "wasm")]
mod component;

use std::{
    path::PathBuf,
    time::{Duration, SystemTime},
};

use crate::{ExpirationReason, Kind, Request, Submission, SubmitError};

#[cfg(target_family = "wasm")]
pub(crate) use component::Contract as Host;

#[cfg(not(target_family = "wasm"))]
pub(crate) use crate::test::Harness as Host;

pub(crate) trait Port {
    fn now() -> SystemTime;

    fn submit(request: Request) -> Result<Submission, SubmitError>;
    fn cancel(identifier: &str);
    fn cancel_all();
    fn pending() -> Vec<Request>;
    fn supports_gpu() -> bool;

    // What follows is about the running task, and there must be one.

    fn id() -> String;
    fn kind() -> Kind;
    fn attempt() -> u32;
    fn time_remaining() -> Option<Duration>;
    fn fuel_remaining() -> u64;
    fn expiration() -> Option<ExpirationReason>;
    fn set_progress(completed: u64, total: u64);
    fn update_title(title: &str, subtitle: &str);
    fn checkpoint() -> Option<Vec<u8>>;
    fn save_checkpoint(checkpoint: &[u8]) -> Result<(), String>;
    fn folder(name: &str) -> PathBuf;

    fn expired() -> impl Future<Output = ExpirationReason>;
    fn sleep(span: Duration) -> impl Future<Output = ()>;
    /// Returns after `span`, or when the task is asked to stop.
    fn wait(span: Duration);
}

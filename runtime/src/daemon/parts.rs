//! The parts a host is made of, and what the command line needs of rooms it does not enter.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::{DaemonOptions, grants::Ask};
use crate::{
    api::wire,
    clock::Clock,
    host::Host,
    rules::{Condition, Timestamp},
};

/// What a daemon is built around.
pub(super) struct Parts {
    pub(super) host: Host,
    pub(super) about: wire::About,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) grace: Duration,
}

/// Locks the state folder, opens what is in it, and starts the host.
pub(super) fn start(options: &DaemonOptions) -> anyhow::Result<Parts> {
    let _ = options;
    unimplemented!("built when the rooms meet")
}

/// The state folder when none is named.
pub fn state_folder() -> anyhow::Result<PathBuf> {
    unimplemented!("built when the rooms meet")
}

/// Where the host of a state folder is reached.
pub(super) fn socket(state: &Path) -> PathBuf {
    state.join("host.sock")
}

/// Whether some process has the state folder open.
pub(super) fn is_in_use(state: &Path) -> anyhow::Result<bool> {
    let _ = state;
    unimplemented!("built when the rooms meet")
}

pub(super) fn clock() -> Arc<dyn Clock> {
    unimplemented!("built when the rooms meet")
}

/// The date and time, for floors that are said as a length of time.
pub fn now() -> Timestamp {
    clock().now().wall
}

/// Reads what the bundle at `source` asks for.
pub(super) fn ask(source: &Path) -> anyhow::Result<Ask> {
    let _ = source;
    unimplemented!("built when the rooms meet")
}

/// Reads `NAME=PATH`.
pub fn parse_grant(text: &str) -> anyhow::Result<(String, PathBuf)> {
    let _ = text;
    unimplemented!("built when the rooms meet")
}

/// Reads a condition to state, such as `idle` or `no-idle`.
pub fn parse_assumption(text: &str) -> anyhow::Result<(Condition, bool)> {
    let _ = text;
    unimplemented!("built when the rooms meet")
}

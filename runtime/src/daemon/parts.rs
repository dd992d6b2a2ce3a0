//! The parts a host is made of, and what the command line needs of rooms it does not enter.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::{DaemonOptions, grants::Ask};
use crate::{
    api::wire,
    bundle::{self, StateFolder},
    clock::{Clock, SystemClock},
    config,
    host::Host,
    rules::Timestamp,
};

pub use crate::{bundle::parse_grant, conditions::parse_assumption};

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
    Ok(config::default_state_folder()?)
}

/// Where the host of a state folder is reached.
pub(super) fn socket(state: &Path) -> anyhow::Result<PathBuf> {
    Ok(StateFolder::socket_path(state)?)
}

/// Whether some process has the state folder open.
pub(super) fn is_in_use(state: &Path) -> anyhow::Result<bool> {
    Ok(StateFolder::is_in_use(state)?)
}

pub(super) fn clock() -> Arc<dyn Clock> {
    SystemClock::start()
}

/// The date and time, for floors that are said as a length of time.
pub fn now() -> Timestamp {
    clock().now().wall
}

/// Reads what the bundle at `source` asks for.
pub(super) fn ask(source: &Path) -> anyhow::Result<Ask> {
    let manifest = bundle::read_folder(source)?.manifest;
    let directories = manifest.directories.into_iter().map(|ask| ask.name).collect();
    Ok(Ask { bundle: manifest.id.to_string(), directories })
}

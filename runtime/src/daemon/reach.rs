//! A way to the host of a state folder: over its socket when one runs, else opened here for the length of one command.

use std::{path::Path, time::Duration};

use super::{Daemon, DaemonOptions, open, parts};
use crate::api::{Client, ClientError, wire};

/// How long a command waits for another that has the state folder, or for a host that is just starting.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it looks meanwhile.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A host to ask.
pub struct Reached {
    pub client: Client,
    opened: Option<Daemon>,
}

impl Reached {
    /// Whether a host runs there; if not, what is asked is kept until one does.
    pub fn is_running(&self) -> bool {
        self.opened.is_none()
    }

    /// Closes what was opened.
    pub async fn leave(self) {
        if let Some(daemon) = self.opened {
            daemon.close().await;
        }
    }
}

/// Reaches the host of `state`. What it opens itself launches nothing.
pub async fn reach(state: &Path) -> anyhow::Result<Reached> {
    let client = Client::Socket(parts::socket(state)?);
    let clock = parts::clock();
    let deadline = clock.now().uptime + PATIENCE;
    loop {
        if !parts::is_in_use(state)? {
            match open(DaemonOptions { state: state.to_owned(), assumptions: Vec::new(), launching: false }).await {
                Ok(daemon) => return Ok(Reached { client: daemon.client(), opened: Some(daemon) }),
                // Somebody was quicker: then that one may be asked.
                Err(_) if parts::is_in_use(state)? => {}
                Err(error) => return Err(error),
            }
        }
        match client.get::<wire::About>("/v1/host").await {
            Ok(_) => return Ok(Reached { client, opened: None }),
            Err(ClientError::Unreachable { .. }) if clock.now().uptime < deadline => {
                clock.reach(clock.now().uptime + LOOK_AGAIN).await;
            }
            Err(error) => {
                return Err(anyhow::Error::new(error)
                    .context(format!("the state folder {} is in use, and its host cannot be asked", state.display())));
            }
        }
    }
}

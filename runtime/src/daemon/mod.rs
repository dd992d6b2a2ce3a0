//! The composition root: opens a state folder, builds the host in it from its parts, and puts the router before it.

mod files;
mod grants;
mod parts;
mod reach;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use futures_util::Stream;
use tokio::{sync::watch, task::JoinHandle};

use crate::{
    api::{self, Client, Closing, Router, wire},
    clock::Clock,
    conditions::Watcher,
    host::{Host, Installation},
    rules::Condition,
};

pub use crate::bundle::{GrantOffer, SignaturePolicy};
pub use files::{
    Built, CargoOutput, NewKey, Signed, Verified, build, cargo_output, inspect, new_key, public_key_to_trust, sign,
    verify,
};
pub use grants::{Allowed, Plan, plan};
pub use parts::{compile_component, now, parse_assumption, state_folder};
pub use reach::{Reached, reach};

/// How long the server may take to finish what clients asked before the host ends all the same.
const CLOSING_TIME: Duration = Duration::from_secs(1);

/// How to open a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DaemonOptions {
    /// The state folder; made when it does not exist.
    pub state: PathBuf,
    /// Conditions stated from the start.
    pub assumptions: Vec<(Condition, bool)>,
    /// Whether it launches anything, or was opened only to be asked.
    pub launching: bool,
}

/// A host in this process, in its locked state folder, with a router before it.
pub struct Daemon {
    /// Asks the host to look while it is there. It goes first, so that its thread never holds the last of the host.
    _watcher: Option<Watcher>,
    host: Host,
    router: Router,
    clock: Arc<dyn Clock>,
    grace: Duration,
    newest_before: u64,
    socket: PathBuf,
    closing: watch::Sender<bool>,
    server: Option<JoinHandle<io::Result<()>>>,
}

/// Opens the host. Errors: the state folder is in use or cannot be used, the database is corrupt, the engine cannot start.
pub async fn open(options: DaemonOptions) -> anyhow::Result<Daemon> {
    let socket = parts::socket(&options.state)?;
    let parts::Parts { host, about, clock, grace, newest_before, watcher } = parts::start(&options).await?;
    let closing = watch::Sender::new(false);
    let router = api::router(host.clone(), about, Closing::when(&closing));
    Ok(Daemon { host, router, clock, grace, newest_before, socket, closing, server: None, _watcher: watcher })
}

impl Daemon {
    /// Speaks to this host without a socket.
    pub fn client(&self) -> Client {
        Client::Local(self.router.clone())
    }

    /// Where others reach it once it listens.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// What a running task has between being asked to stop and being stopped.
    pub fn grace(&self) -> Duration {
        self.grace
    }

    /// The newest task of the runs before this one; 0 when there was none.
    pub fn newest_before(&self) -> u64 {
        self.newest_before
    }

    /// What happens from the start, for the first who asks.
    pub fn events(&self) -> impl Stream<Item = wire::Event> + Send + Unpin + use<> {
        api::events_from_start(&self.host)
    }

    /// Answers others at the socket from now on.
    pub fn listen(&mut self) -> anyhow::Result<()> {
        let listener = api::listen_unix(&self.socket)
            .with_context(|| format!("cannot listen at the socket {}", self.socket.display()))?;
        let serving = api::serve_unix(self.router.clone(), listener, Closing::when(&self.closing));
        self.server = Some(tokio::spawn(serving));
        Ok(())
    }

    /// Activates the bundles that have nothing pending, then installs what was planned, one bundle after the other. Errors: the first that cannot be; those before it stay.
    pub async fn install(&self, plans: &[Plan]) -> anyhow::Result<()> {
        self.host.activate_idle().await?;
        for Plan { source, grants, allow_downgrade, allow_other_signer } in plans {
            let installation = Installation {
                source: source.clone(),
                grants: grants.clone(),
                allow_downgrade: *allow_downgrade,
                allow_other_signer: *allow_other_signer,
                must_be_installed: false,
            };
            self.host.install(&installation).await.with_context(|| format!("bundle {}", source.display()))?;
        }
        Ok(())
    }

    /// Completes once nothing runs and nothing waits for anything but a later date.
    pub async fn done(&self) -> anyhow::Result<()> {
        Ok(self.host.done().await?)
    }

    /// Launches nothing more, expires what runs, and completes when all has ended and is recorded. Others are still answered.
    pub async fn drain(&self) {
        self.host.drain().await;
    }

    /// Drains, stops answering, and takes the socket away.
    pub async fn close(mut self) {
        self.host.drain().await;
        self.closing.send_replace(true);
        let Some(mut server) = self.server.take() else { return };
        let patience = self.clock.reach(self.clock.now().uptime + CLOSING_TIME);
        tokio::select! {
            ended = &mut server => match ended {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "the socket failed"),
                Err(error) => tracing::error!(%error, "the server of the socket died"),
            },
            () = patience => server.abort(),
        }
        if let Err(error) = fs::remove_file(&self.socket) {
            tracing::warn!(socket = %self.socket.display(), %error, "the socket could not be removed");
        }
    }
}

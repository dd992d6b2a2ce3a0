//! How a bundle's change is settled: its `activate` is rehearsed, then row and requests change in one commit, then what no
//! row names goes from the disk. Killed at any step, the state is the old or the new.

use std::{collections::BTreeMap, io, sync::Arc};

use super::{Host, HostError};
use crate::{
    bundle::{Bundle, StateFolder},
    rules::{BundleId, KindName, Needs, Timestamp, What},
    scheduler::{Change, Changed, Event, Mailbox, Rehearsal},
    store::{BundleRow, KeptData, Store},
};

/// An installed bundle, as it stands in memory and in the store.
pub(super) struct Standing {
    pub(super) bundle: Arc<Bundle>,
    pub(super) row: BundleRow,
}

/// A change to settle.
pub(super) struct Settle {
    pub(super) row: BundleRow,
    pub(super) bundle: Arc<Bundle>,
    /// Whether `activate` is due if anything of the bundle may then be launched.
    pub(super) activate: bool,
    /// How things stand when `activate` fails, as the tail of a sentence.
    pub(super) otherwise: String,
    pub(super) expire_running: bool,
    /// What to tell and note of it; nothing where it changes nothing that is noted.
    pub(super) told: Vec<What>,
}

/// A change that was begun. Dropped, it is abandoned, which is nothing once it is settled.
pub(super) struct Staged(Mailbox);

impl Drop for Staged {
    fn drop(&mut self) {
        self.0.send(Event::Abandon);
    }
}

impl Host {
    /// Makes a change true, or leaves everything as it is.
    pub(super) async fn settle(&self, settle: Settle) -> Result<Changed, HostError> {
        let Settle { row, bundle, activate, otherwise, expire_running, told } = settle;
        let opens = row.enabled && super::missing(&bundle).is_empty();
        let _staged = match activate && opens {
            true => Some(self.rehearse(&bundle).await?.map_err(|message| {
                HostError::Bundle(format!("bundle {}: `activate` failed: {message}; {otherwise}", bundle.id()))
            })?),
            false => None,
        };
        let change = Change { row, bundle, expire_running, told };
        Ok(self.inner.mailbox.call(|reply| Event::Change { change, reply }).await?)
    }

    /// Calls `activate` and keeps what it asks for until the change is settled. The inner error is what it said.
    pub(super) async fn rehearse(&self, bundle: &Arc<Bundle>) -> Result<Result<Staged, String>, HostError> {
        let mailbox = &self.inner.mailbox;
        // Before the change begins: whoever asked for it may go away, or the step that begins it fail, and what others ask of
        // the bundle must not wait for ever.
        let staged = Staged(mailbox.clone());
        mailbox.call(|reply| Event::Stage { bundle: bundle.clone(), reply }).await?;
        let allowance = self.inner.policy.allowance(KindName::AppRefresh, Needs::default(), bundle.manifest.memory);
        let services = Arc::new(Rehearsal(mailbox.clone()));
        Ok(self.inner.engine.activate(bundle.clone(), allowance, services).await.map(|()| staged))
    }

    pub(super) async fn installed(&self) -> Result<BTreeMap<BundleId, Arc<Bundle>>, HostError> {
        Ok(self.inner.mailbox.ask(|_, core| Ok(core.bundles())).await?)
    }

    pub(super) async fn rows(&self) -> Result<Vec<BundleRow>, HostError> {
        Ok(self.inner.mailbox.ask(|_, core| core.bundle_rows()).await?)
    }

    /// What was kept of a bundle that is not installed.
    pub(super) async fn kept_data(&self, bundle: &BundleId) -> Result<Option<KeptData>, HostError> {
        let kept = self.inner.mailbox.ask(|_, core| core.kept_data()).await?;
        Ok(kept.into_iter().find(|kept| kept.bundle == *bundle))
    }

    pub(super) async fn standing(&self, id: &BundleId) -> Result<Option<Standing>, HostError> {
        let row = self.rows().await?.into_iter().find(|row| row.id == *id);
        let bundle = self.installed().await?.remove(id);
        Ok(bundle.zip(row).map(|(bundle, row)| Standing { bundle, row }))
    }

    /// An installed bundle. Errors: there is none of that id.
    pub(super) async fn known(&self, id: &BundleId) -> Result<Standing, HostError> {
        self.standing(id).await?.ok_or_else(|| not_installed(id))
    }

    pub(super) fn now(&self) -> Timestamp {
        self.inner.clock.now().wall
    }

    /// Removes a component that no row names and no task runs on. One too many costs some disk; the next start finds it.
    pub(super) async fn forget_unused(&self, digest: &str) {
        let Ok(rows) = self.rows().await else { return };
        let Ok(running) = self.inner.mailbox.ask(|_, core| Ok(core.running_digests())).await else { return };
        if rows.iter().flat_map(digests).any(|used| used == digest) || running.contains(digest) {
            return;
        }
        let named = digest.to_owned();
        if let Err(error) = self.change_files(move |state| state.forget_component(&named)).await {
            tracing::warn!(%digest, %error, "component-not-removed");
        }
    }

    /// Removes what an `activate` wrote whose bundle was not installed after all.
    pub(super) async fn drop_data_unless_kept(&self, bundle: &BundleId) {
        let unkept = self.kept_data(bundle).await.is_ok_and(|kept| kept.is_none());
        if unkept && let Err(error) = self.drop_data(bundle).await {
            tracing::warn!(%bundle, %error, "data-not-removed");
        }
    }

    /// Removes a bundle's data. A guest may have left a tree that takes a while.
    pub(super) async fn drop_data(&self, bundle: &BundleId) -> io::Result<()> {
        let bundle = bundle.clone();
        self.change_files(move |state| state.drop_data(&bundle)).await
    }

    /// Changes files of the state folder where a thread may block, one change after the other.
    pub(super) async fn change_files(
        &self,
        change: impl FnOnce(&StateFolder) -> io::Result<()> + Send + 'static,
    ) -> io::Result<()> {
        let (state, alone) = (self.inner.state.clone(), self.inner.changing_files.clone().lock_owned().await);
        off_the_host(move || {
            let _alone = alone;
            change(&state)
        })
        .await?
    }
}

/// Does what may take a while where a thread may block, so that everybody else is answered meanwhile. Errors: the host is
/// stopping.
pub(super) async fn off_the_host<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(act).await.map_err(|_| io::Error::other("the host is stopping"))
}

pub(super) fn not_installed(id: &BundleId) -> HostError {
    HostError::NotFound(format!("no bundle {id} is installed: `idlewild bundles` lists what is"))
}

/// The digests whose components a row needs.
fn digests(row: &BundleRow) -> impl Iterator<Item = &str> {
    let previous = row.previous.as_ref().map(|previous| previous.digest.as_str());
    std::iter::once(row.current.digest.as_str()).chain(previous)
}

/// Removes what a host that died left behind: components, compiled code and data that no row names.
pub(super) fn sweep(state: &StateFolder, store: &mut Store) -> Result<(), HostError> {
    let rows = store.bundles()?;
    let used = rows.iter().flat_map(digests).map(str::to_owned).collect();
    let kept = store.kept_data()?.into_iter().map(|kept| kept.bundle);
    let bundles = rows.iter().map(|row| row.id.clone()).chain(kept).collect();
    if let Err(error) = state.sweep(&used, &bundles) {
        tracing::warn!(%error, "state-not-swept");
    }
    Ok(())
}

//! The timers of running calls: one table, and one task on the control runtime that sleeps until the earliest entry.
//! They never run on the guests' runtime, where computing guests would delay them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{runtime::Handle, sync::Notify, task::JoinHandle};

use crate::clock::Clock;

use super::watch::Watch;

/// What is to be done to a call when its time comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    Stop,
    /// A report of the guest may be heard again.
    Report,
}

/// An entry's name: its moment, then its number.
pub(super) type Key = (Duration, u64);

/// The table and its task. Dropping it ends the task.
pub(super) struct Deadlines {
    table: Arc<Table>,
    task: JoinHandle<()>,
}

struct Table {
    state: Mutex<State>,
    earlier: Notify,
}

#[derive(Default)]
struct State {
    entries: BTreeMap<Key, (Due, Arc<Watch>)>,
    next: u64,
    /// What the task sleeps until.
    armed: Option<Duration>,
}

impl Deadlines {
    pub(super) fn start(control: &Handle, clock: Arc<dyn Clock>) -> Deadlines {
        let table = Arc::new(Table { state: Mutex::default(), earlier: Notify::new() });
        let task = control.spawn(keep(table.clone(), clock));
        Deadlines { table, task }
    }

    /// Sees to `due` once the uptime is `at`.
    pub(super) fn set(&self, at: Duration, due: Due, watch: Arc<Watch>) -> Key {
        let mut state = self.table.state();
        let key = (at, state.next);
        state.next += 1;
        state.entries.insert(key, (due, watch));
        let is_earlier = state.armed.is_none_or(|armed| at < armed);
        drop(state);
        if is_earlier {
            self.table.earlier.notify_one();
        }
        key
    }

    /// Forgets an entry. The task is not woken for that; it will find nothing to do.
    pub(super) fn clear(&self, key: Key) {
        self.table.state().entries.remove(&key);
    }
}

impl Drop for Deadlines {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Table {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes out what is due, and arms for what is not.
    fn take_due(&self, now: Duration) -> Vec<(Due, Arc<Watch>)> {
        let mut state = self.state();
        let later = state.entries.split_off(&(now, u64::MAX));
        let due = std::mem::replace(&mut state.entries, later);
        state.armed = state.entries.first_key_value().map(|((at, _), _)| *at);
        due.into_values().collect()
    }

    fn armed(&self) -> Option<Duration> {
        self.state().armed
    }
}

async fn keep(table: Arc<Table>, clock: Arc<dyn Clock>) {
    loop {
        let now = clock.now().uptime;
        for (due, watch) in table.take_due(now) {
            match due {
                Due::Stop => watch.seat.stop(),
                Due::Report => watch.flush(now),
            }
        }
        match table.armed() {
            None => table.earlier.notified().await,
            Some(at) => tokio::select! {
                () = clock.reach(at) => {}
                () = table.earlier.notified() => {}
            },
        }
    }
}

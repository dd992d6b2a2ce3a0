//! An engine whose guests do what the test says, when it says so.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{FutureExt, future::BoxFuture};
use idlewild::{
    bundle::Bundle,
    engine::{ComponentError, Engine, Launch, Services},
    rules::{Allowance, ExpirationReason, Pattern, TaskId},
};

/// A guest that runs, as the script sees it.
pub struct Script {
    pub launch: Launch,
    pub expiring: Option<(ExpirationReason, Duration)>,
    pub suspended: bool,
    /// As it was launched, or as it was said last.
    pub foreground: bool,
}

/// What a running task was told beside its expiration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    Suspend,
    Resume,
    Foreground(bool),
}

#[derive(Default)]
pub struct ScriptedEngine {
    pub running: Mutex<BTreeMap<TaskId, Script>>,
    /// Every launch ever made, in order.
    pub launched: Mutex<Vec<TaskId>>,
    /// What tasks were told while they ran, in order.
    pub told: Mutex<Vec<(TaskId, Told)>>,
}

impl ScriptedEngine {
    /// The tasks that run and are not taken away yet.
    pub fn tasks(&self) -> Vec<TaskId> {
        self.running.lock().unwrap().keys().copied().collect()
    }

    pub fn take(&self, task: TaskId) -> Option<Script> {
        self.running.lock().unwrap().remove(&task)
    }

    /// What this task was told while it ran, in order.
    pub fn told(&self, task: TaskId) -> Vec<Told> {
        let told = self.told.lock().unwrap();
        told.iter().filter(|(other, _)| *other == task).map(|(_, told)| *told).collect()
    }

    fn tell(&self, task: TaskId, told: Told) {
        if let Some(script) = self.running.lock().unwrap().get_mut(&task) {
            match told {
                Told::Suspend => script.suspended = true,
                Told::Resume => script.suspended = false,
                Told::Foreground(foreground) => script.foreground = foreground,
            }
            self.told.lock().unwrap().push((task, told));
        }
    }
}

impl Engine for ScriptedEngine {
    fn slots(&self) -> usize {
        usize::MAX
    }

    fn examine<'a>(&'a self, _: &'a str, _: &'a [u8]) -> BoxFuture<'a, Result<Vec<Pattern>, ComponentError>> {
        async { Ok(Vec::new()) }.boxed()
    }

    fn is_compiled(&self, _: &str) -> bool {
        true
    }

    fn activate(&self, _: Arc<Bundle>, _: Allowance, _: Arc<dyn Services>) -> BoxFuture<'_, Result<(), String>> {
        async { Ok(()) }.boxed()
    }

    fn launch(&self, launch: Launch, _: Arc<dyn Services>) {
        let task = launch.task;
        self.launched.lock().unwrap().push(task);
        let script = Script { foreground: launch.foreground, launch, expiring: None, suspended: false };
        let before = self.running.lock().unwrap().insert(task, script);
        assert!(before.is_none(), "task {task} was launched twice");
    }

    fn expire(&self, task: TaskId, reason: ExpirationReason, stop_at: Duration) {
        if let Some(script) = self.running.lock().unwrap().get_mut(&task) {
            script.expiring.get_or_insert((reason, stop_at));
            script.suspended = false;
        }
    }

    fn suspend(&self, task: TaskId) {
        self.tell(task, Told::Suspend);
    }

    fn resume(&self, task: TaskId) {
        self.tell(task, Told::Resume);
    }

    fn set_foreground(&self, task: TaskId, foreground: bool) {
        self.tell(task, Told::Foreground(foreground));
    }
}

//! The end of a task, told exactly once: when its call returns, when it is stopped, when the engine stops under it, and when
//! the host's own code fails while it runs.

use std::{sync::Arc, thread, time::Duration};

use tokio::runtime::Handle;

use crate::{
    clock::Clock,
    rules::{End, TaskId, Usage},
};

use super::{Services, deadlines::Deadlines, folders::Scratch, wasm::Running, watch::Watch};

/// Sees to the end when it is dropped, after everything else of the task is gone.
pub(super) struct Ending {
    pub(super) task: TaskId,
    /// Uptime at the launch.
    pub(super) started: Duration,
    /// How the call ended; none while it runs.
    pub(super) end: Option<End>,
    pub(super) watch: Arc<Watch>,
    pub(super) scratch: Scratch,
    pub(super) services: Arc<dyn Services>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) deadlines: Arc<Deadlines>,
    pub(super) running: Running,
    /// Where `/tmp` is removed: a guest may have filled it, and it ends on threads that others wait for.
    pub(super) control: Handle,
}

/// Tells the end when it is dropped, so also when the threads that remove `/tmp` are gone already.
struct Telling {
    task: TaskId,
    /// Taken when it is told.
    end: Option<End>,
    usage: Usage,
    watch: Arc<Watch>,
    services: Arc<dyn Services>,
    running: Running,
}

impl Drop for Ending {
    fn drop(&mut self) {
        let end = self.end.take().unwrap_or_else(|| match thread::panicking() {
            true => End::Trapped("the host itself failed while the guest ran; its own log says how".to_owned()),
            false => End::Stopped,
        });
        self.watch.disarm(&self.deadlines);
        let telling = Telling {
            task: self.task,
            end: Some(end),
            usage: Usage {
                fuel: self.watch.tally.fuel(),
                wall: self.clock.now().uptime.saturating_sub(self.started),
                peak_memory: self.watch.tally.peak_memory(),
            },
            watch: self.watch.clone(),
            services: self.services.clone(),
            running: self.running.clone(),
        };
        if self.scratch.exists() {
            let scratch = self.scratch.clone();
            self.control.spawn_blocking(move || {
                let _telling = telling;
                scratch.remove();
            });
        }
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        self.watch.close();
        if let Some(end) = self.end.take() {
            self.services.ended(self.task, end, self.usage);
        }
        self.running.remove(self.task);
    }
}

//! The numbers the rules go by. Every one is a setting with a default; `config` fills them in.

use std::time::Duration;

use super::words::*;

words! {
    /// A named policy. `device` keeps the original framework's limits; `server` keeps its contract with wider ones.
    Profile { Device = "device", Server = "server", }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    pub profile: Profile,
    /// How many tasks may run at once.
    pub slots: usize,
    /// How many requests of one bundle may be pending, for app-refresh and for processing.
    pub pending_app_refresh: u64,
    pub pending_processing: u64,
    pub app_refresh: Allowance,
    pub processing: Allowance,
    /// How often a request may be launched when its tasks are interrupted; then it is settled as interrupted.
    pub launches: u32,
    /// The longest input, in bytes.
    pub input: usize,
    /// The longest checkpoint, in bytes.
    pub checkpoint: usize,
    /// The most identifiers one request may run after.
    pub run_after: usize,
    /// How old a reading of the conditions may grow while something waits for them or stands on them.
    pub sampling: Duration,
    /// How many ended tasks are remembered for each bundle, and for how long.
    pub history_tasks: u64,
    pub history_age: Duration,
    /// How many changes of each bundle and its requests are remembered.
    pub history_changes: u64,
}

impl Policy {
    /// How many requests of `kind` one bundle may have pending.
    pub fn pending_limit(&self, kind: KindName) -> u64 {
        match kind {
            KindName::AppRefresh => self.pending_app_refresh,
            KindName::Processing => self.pending_processing,
            KindName::HealthResearch | KindName::ContinuedProcessing => 0,
        }
    }

    /// What a launch of `kind` may use; a bundle's own promise can only lower its memory.
    pub fn allowance(&self, kind: KindName, promised_memory: Option<u64>) -> Allowance {
        let allowance = match kind {
            KindName::AppRefresh => self.app_refresh,
            KindName::Processing | KindName::HealthResearch | KindName::ContinuedProcessing => self.processing,
        };
        Allowance { memory: promised_memory.map_or(allowance.memory, |bytes| bytes.min(allowance.memory)), ..allowance }
    }
}

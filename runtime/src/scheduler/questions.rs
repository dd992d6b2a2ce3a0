//! What the scheduler answers about itself, without changing anything.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    core::{Core, Work},
    event::SchedulerError,
    launching::{holds_of, lane_of},
    requests::older,
};
use crate::{
    bundle::Bundle,
    rules::*,
    store::{BundleRow, KeptData, StoreError, StoredRequest},
};

impl Core {
    /// Every installed bundle.
    pub fn bundles(&self) -> BTreeMap<BundleId, Arc<Bundle>> {
        self.bundles.iter().map(|(id, installed)| (id.clone(), installed.bundle.clone())).collect()
    }

    /// Whether anything of each installed bundle may be launched; those of which it may are left out.
    pub fn closed(&self) -> BTreeMap<BundleId, Gate> {
        self.closed.clone()
    }

    /// Uninstalled bundles whose data was to be kept.
    pub fn kept_data(&mut self) -> Result<Vec<KeptData>, SchedulerError> {
        Ok(self.store.kept_data()?)
    }

    /// Every installed bundle, as the store keeps it.
    pub fn bundle_rows(&mut self) -> Result<Vec<BundleRow>, SchedulerError> {
        Ok(self.store.bundles()?)
    }

    /// Pending requests with the reasons why they are not running, oldest first, at most `limit`.
    pub fn waiting(&mut self, now: Now, limit: usize) -> Result<Vec<Waiting>, SchedulerError> {
        let pending = self.store.pending(None, limit)?;
        Ok(pending.into_iter().map(|stored| self.explain(now, stored)).collect::<Result<_, StoreError>>()?)
    }

    /// A bundle's pending requests, at most `limit`.
    pub fn pending_requests(&mut self, bundle: &BundleId, limit: usize) -> Result<Vec<Request>, SchedulerError> {
        let pending = self.store.pending(Some(bundle), limit)?;
        Ok(pending.into_iter().map(|stored| stored.record.request).collect())
    }

    /// Why an identifier's pending requests are not running, what of it runs, and how its last task ended.
    pub fn why(&mut self, now: Now, identifier: &Identifier) -> Result<Why, SchedulerError> {
        let Some(installed) = self.owner(identifier) else {
            return Err(SchedulerError::Unknown(format!(
                "no installed bundle permits {identifier}: `idlewild bundles` lists what is installed"
            )));
        };
        let bundle = installed.bundle.manifest.id.clone();
        let mut waiting = Vec::new();
        for stored in self.store.unfinished(&bundle, identifier)? {
            if stored.stage != Stage::Launched {
                waiting.push(self.explain(now, stored)?);
            }
        }
        let running =
            self.running.values().find(|running| running.identifier == *identifier).map(|running| running.task);
        let running = match running {
            Some(task) => self.task(task)?,
            None => None,
        };
        let last = self.store.last_ended(&bundle, identifier)?;
        Ok(Why { bundle, identifier: identifier.clone(), waiting, running, last })
    }

    /// One task, with its latest progress while it runs.
    pub fn task(&mut self, task: TaskId) -> Result<Option<TaskRecord>, SchedulerError> {
        let mut record = self.store.task(task)?;
        if let (Some(record), Some(running)) = (&mut record, self.running.get(&task)) {
            show(running, record);
        }
        Ok(record)
    }

    /// Tasks, newest first.
    pub fn tasks(&mut self, filter: &TaskFilter) -> Result<Vec<TaskRecord>, SchedulerError> {
        let mut tasks = self.store.tasks(filter)?;
        for record in &mut tasks {
            if let Some(running) = self.running.get(&record.id) {
                show(running, record);
            }
        }
        Ok(tasks)
    }

    /// What changed of bundles and requests, newest first.
    pub fn history(&mut self, filter: &HistoryFilter) -> Result<Vec<HistoryRecord>, SchedulerError> {
        Ok(self.store.history(filter)?)
    }

    /// The checkpoint kept for a running task's identifier.
    pub fn checkpoint(&mut self, task: TaskId) -> Result<Option<Vec<u8>>, SchedulerError> {
        match self.running.get(&task) {
            Some(running) if self.checkpoints => {
                Ok(self.store.checkpoint(&running.lane.bundle, &running.identifier)?)
            }
            Some(_) | None => Ok(None),
        }
    }

    fn explain(&mut self, now: Now, stored: StoredRequest) -> Result<Waiting, StoreError> {
        let record = stored.record;
        let unmet = self.store.unmet(record.id)?;
        let stands = self.how_they_stand(&record.bundle, &unmet, &mut Work::default())?;
        let behind = match stored.stage {
            Stage::Behind => older(&self.store.unfinished(&record.bundle, &record.request.identifier)?, record.id),
            Stage::Ready | Stage::Ripening | Stage::After | Stage::Launched => None,
        };
        let reasons = reasons(now, self.world(), &lane_of(&record), holds_of(&record, &stands, behind));
        let smallest_change = smallest_change(&reasons, record.request.latest_begin.filter(|_| !record.urgent));
        let in_lane = stored.stage == Stage::Ready && !self.closed.contains_key(&record.bundle);
        let looked_at = self.looked_at_again(now, &reasons, &record, in_lane);
        Ok(Waiting { record, reasons, smallest_change, looked_at })
    }

    /// When a waiting request is looked at again if nothing happens before.
    /// Conditions and what its bundle has used up are looked at only for what stands `in_lane`.
    fn looked_at_again(&self, now: Now, reasons: &[Held], record: &RequestRecord, in_lane: bool) -> Option<Timestamp> {
        let sample = || {
            let left = (self.looked_at + self.policy.sampling).saturating_sub(now.uptime);
            now.wall.saturating_add(left).unwrap_or(Timestamp::MAX)
        };
        let date = |held: &Held| match &held.reason {
            Reason::EarliestBegin { .. } | Reason::Resting { .. } => self.policy.wake_for(record),
            Reason::Spaced { at } | Reason::BudgetSpent { at, .. } if in_lane => Some(*at),
            Reason::Lacks { .. } if in_lane => Some(sample()),
            Reason::Spaced { .. }
            | Reason::BudgetSpent { .. }
            | Reason::Lacks { .. }
            | Reason::RunAfter { .. }
            | Reason::Behind { .. }
            | Reason::BundleDisabled { .. }
            | Reason::NotGranted { .. }
            | Reason::BundleChanging { .. }
            | Reason::NoSlot { .. }
            | Reason::NoSlotOfKind { .. }
            | Reason::NotLaunching => None,
        };
        if self.not_launching.is_some() { None } else { reasons.iter().filter_map(date).min() }
    }
}

/// What of a running task is not on disk.
fn show(running: &Running, record: &mut TaskRecord) {
    record.progress = running.progress;
    record.title.clone_from(&running.title);
    record.suspended = running.suspended.is_some();
}

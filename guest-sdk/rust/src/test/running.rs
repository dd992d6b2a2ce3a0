//! The running task of a test: what was planned for it, what it has told, and the test's clock while it runs.

use std::{
    task::Waker,
    time::{Duration, SystemTime},
};

use super::{
    records::{Submitted, When},
    rules,
};
use crate::{ExpirationReason, Kind};

/// What is to happen to a task, and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) when: When,
    pub(super) what: Planned,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Planned {
    Expire(ExpirationReason),
    Interrupt,
}

/// Why a handler is left where it stands, at the next thing it asks of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// Its grace is over.
    Stopped,
    /// The host died.
    Interrupted,
}

/// Asking more often than this in one moment means that the handler waits for an end that does not come.
const ASKED_TOO_OFTEN: u32 = 100_000;

pub(super) struct Running {
    pub(super) id: u64,
    pub(super) identifier: String,
    pub(super) kind: Kind,
    pub(super) attempt: u32,
    pub(super) launched: SystemTime,
    pub(super) plans: Vec<Plan>,
    pub(super) expiring: Option<(ExpirationReason, SystemTime)>,
    pub(super) cut: Option<Cut>,
    pub(super) progress: Vec<(u64, u64)>,
    pub(super) titles: Vec<(String, String)>,
    pub(super) checkpoints: Vec<Vec<u8>>,
    pub(super) submissions: Vec<Submitted>,
    /// When continued work last advanced, and how far it was then.
    advanced: (SystemTime, u64),
    asked: u32,
    timers: Vec<(SystemTime, Waker)>,
    awaits_end: Vec<Waker>,
}

impl Running {
    pub(super) fn new(
        id: u64,
        identifier: String,
        kind: Kind,
        attempt: u32,
        launched: SystemTime,
        plans: Vec<Plan>,
    ) -> Running {
        let mut running = Running {
            id,
            identifier,
            kind,
            attempt,
            launched,
            plans,
            expiring: None,
            cut: None,
            progress: Vec::new(),
            titles: Vec::new(),
            checkpoints: Vec::new(),
            submissions: Vec::new(),
            advanced: (launched, 0),
            asked: 0,
            timers: Vec::new(),
            awaits_end: Vec::new(),
        };
        running.notice(launched);
        running
    }

    /// Whether it is to stop, and why. Asking is what a plan may wait for.
    pub(super) fn ask(&mut self, now: SystemTime) -> Option<ExpirationReason> {
        self.asked += 1;
        self.notice(now);
        self.expiring.map(|(reason, _)| reason)
    }

    /// What is wrong with how the handler waits, if anything is.
    pub(super) fn fault(&self) -> Option<String> {
        (self.asked >= ASKED_TOO_OFTEN).then(|| {
            format!(
                "{} asked a hundred thousand times whether to stop, and no time passes while it computes: plan an expiration for it",
                self.identifier
            )
        })
    }

    pub(super) fn report(&mut self, now: SystemTime, completed: u64, total: u64) {
        self.progress.push((completed, total));
        let completed = if total == 0 { completed } else { completed.min(total) };
        if completed > self.advanced.1 {
            self.advanced = (now, completed);
        }
        self.notice(now);
    }

    /// Takes up what has come by now: plans, the time limit, the end of the grace, timers.
    pub(super) fn notice(&mut self, now: SystemTime) {
        let (asked, reported, launched) = (self.asked, self.progress.len(), self.launched);
        let has_come = |plan: &Plan| match plan.when {
            When::After(span) => launched + span <= now,
            When::Asked(count) => asked >= count,
            When::Progressed(count) => reported >= count as usize,
        };
        let (come, ahead) = std::mem::take(&mut self.plans).into_iter().partition(has_come);
        self.plans = ahead;
        let come: Vec<Plan> = come;
        for plan in come {
            match plan.what {
                Planned::Expire(reason) => self.expire(reason, now),
                Planned::Interrupt => self.cut = self.cut.or(Some(Cut::Interrupted)),
            }
        }
        if let Some(limit) = self.time_limit().filter(|limit| *limit <= now) {
            self.expire(ExpirationReason::TimeLimit, limit);
        }
        if let Some(limit) = self.stall_limit().filter(|limit| *limit <= now) {
            self.expire(ExpirationReason::NoProgress, limit);
        }
        if self.stop_at().is_some_and(|stop_at| stop_at <= now) {
            self.cut = self.cut.or(Some(Cut::Stopped));
        }
        let (due, ahead) = std::mem::take(&mut self.timers).into_iter().partition(|(at, _)| *at <= now);
        self.timers = ahead;
        let due: Vec<(SystemTime, Waker)> = due;
        due.into_iter().for_each(|(_, waker)| waker.wake());
    }

    fn expire(&mut self, reason: ExpirationReason, at: SystemTime) {
        if self.expiring.is_none() {
            self.expiring = Some((reason, at));
            self.awaits_end.drain(..).for_each(Waker::wake);
        }
    }

    fn time_limit(&self) -> Option<SystemTime> {
        rules::time_limit(&self.kind).map(|limit| self.launched + limit)
    }

    /// When continued work has stood still for too long.
    fn stall_limit(&self) -> Option<SystemTime> {
        matches!(self.kind, Kind::ContinuedProcessing(_)).then(|| self.advanced.0 + rules::STALL)
    }

    fn stop_at(&self) -> Option<SystemTime> {
        self.expiring.map(|(_, since)| since + rules::GRACE)
    }

    /// Time until it is asked to stop; once it has been, until it is stopped.
    pub(super) fn time_remaining(&self, now: SystemTime) -> Option<Duration> {
        let end = self.stop_at().or(self.time_limit())?;
        Some(end.duration_since(now).unwrap_or_default())
    }

    pub(super) fn wake_at(&mut self, at: SystemTime, waker: Waker) {
        self.timers.push((at, waker));
    }

    pub(super) fn wake_at_end(&mut self, waker: Waker) {
        self.awaits_end.push(waker);
    }

    /// When something will happen by itself.
    pub(super) fn next_moment(&self, now: SystemTime) -> Option<SystemTime> {
        let timers = self.timers.iter().map(|(at, _)| *at);
        timers.chain(self.next_end()).filter(|at| *at > now).min()
    }

    /// When the task will be asked to stop, or be stopped.
    pub(super) fn next_end(&self) -> Option<SystemTime> {
        let planned = self.plans.iter().filter_map(|plan| match plan.when {
            When::After(span) => Some(self.launched + span),
            When::Asked(_) | When::Progressed(_) => None,
        });
        let limits = self.time_limit().into_iter().chain(self.stall_limit()).filter(|_| self.expiring.is_none());
        planned.chain(limits).chain(self.stop_at()).min()
    }
}

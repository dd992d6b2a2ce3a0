//! What becomes of a running task: when it must be held or expire, and what its end means for its request.

use std::{cmp::Reverse, time::Duration};

use super::{eligibility::*, policy::*, words::*};

/// A running task, as the rules remember it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    pub task: TaskId,
    pub request: RequestId,
    pub lane: Lane,
    pub identifier: Identifier,
    pub attempt: u32,
    /// How often the handler has failed on this request before.
    pub failures: u32,
    pub launched: Now,
    pub allowance: Allowance,
    pub fuel_spent: bool,
    pub progress: Option<Progress>,
    /// The uptime at which a continued task last advanced, and how far it was then.
    pub advanced: Option<Advance>,
    /// What people see of a continued task.
    pub title: Option<Title>,
    /// How many clients watch it: then it is in the foreground.
    pub watchers: usize,
    pub may_suspend: bool,
    /// The uptime at which it was held in place.
    pub suspended: Option<Duration>,
    /// How long it was held in place before.
    pub held: Duration,
    pub expiring: Option<Expiring>,
    /// Whether a person launched it whatever the conditions: their loss does not end it.
    pub forced: bool,
    pub retry: Option<Retry>,
    pub repeat: Option<Repeat>,
    /// Whether a newer request of the identifier may wait behind it.
    pub followed: bool,
}

/// How far a continued task had got, and when. A report that is no further is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advance {
    pub uptime: Duration,
    pub completed: u64,
}

/// A task that was asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiring {
    pub reason: ExpirationReason,
    /// The uptime at which it is stopped by force.
    pub stop_at: Duration,
}

/// What is to be done to a running task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Ask it to stop.
    Expire(ExpirationReason),
    /// Hold it in place.
    Suspend,
    /// Let it go on.
    Resume,
}

/// What follows from a task's end for its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// It is finished.
    Settled,
    /// It is pending again, with the next attempt.
    ComesBack,
    /// It is pending again after a rest.
    Retries { rest: Duration },
}

impl Running {
    /// The uptime at which the time limit is reached; none while there is none, or while the task is held.
    pub fn time_limit(&self) -> Option<Duration> {
        let time = self.allowance.time.filter(|_| self.suspended.is_none())?;
        Some(self.launched.uptime + time + self.held)
    }

    /// The uptime at which the task has stood still for too long; none while it need not advance, or is held.
    pub fn stall_limit(&self, policy: &Policy) -> Option<Duration> {
        let advance = self.advanced.filter(|_| self.suspended.is_none())?;
        Some(advance.uptime + policy.stall)
    }

    /// The next uptime at which `order` may say something new without anything having happened.
    pub fn next_order(&self, policy: &Policy) -> Option<Duration> {
        if self.expiring.is_some() {
            return None;
        }
        let held_for_long = self.suspended.map(|since| since + policy.suspension);
        [self.time_limit(), self.stall_limit(policy), held_for_long].into_iter().flatten().min()
    }

    /// What must be done to the task now, if anything. `suspended` tasks are held already.
    pub fn order(&self, now: Now, policy: &Policy, conditions: &Conditions, suspended: usize) -> Option<Order> {
        let lacks = !self.forced && needed(&self.lane).any(|condition| !conditions.reading(condition).holds);
        if self.expiring.is_some() {
            None
        } else if let Some(since) = self.suspended {
            if !lacks {
                Some(Order::Resume)
            } else {
                (since + policy.suspension <= now.uptime).then_some(Order::Expire(ExpirationReason::ConditionsLost))
            }
        } else if self.time_limit().is_some_and(|limit| limit <= now.uptime) {
            Some(Order::Expire(ExpirationReason::TimeLimit))
        } else if self.fuel_spent {
            Some(Order::Expire(ExpirationReason::FuelLimit))
        } else if self.stall_limit(policy).is_some_and(|limit| limit <= now.uptime) {
            Some(Order::Expire(ExpirationReason::NoProgress))
        } else if lacks && self.may_suspend && suspended < policy.suspended {
            Some(Order::Suspend)
        } else if lacks {
            Some(Order::Expire(ExpirationReason::ConditionsLost))
        } else {
            None
        }
    }

    /// Takes in a report of progress; says whether it is a new one. Only what goes further than ever is an advance.
    pub fn report(&mut self, now: Now, progress: Progress) -> bool {
        if let Some(advance) = &mut self.advanced
            && progress.completed > advance.completed
        {
            *advance = Advance { uptime: now.uptime, completed: progress.completed };
        }
        let is_new = self.progress != Some(progress);
        self.progress = Some(progress);
        is_new
    }

    /// Holds the task in place: its allowed time stands still.
    pub fn suspend(&mut self, now: Now) {
        self.suspended.get_or_insert(now.uptime);
    }

    /// Lets a held task go on, with the time it had left.
    pub fn resume(&mut self, now: Now) {
        if let Some(since) = self.suspended.take() {
            let held = now.uptime.saturating_sub(since);
            self.held += held;
            if let Some(advance) = &mut self.advanced {
                advance.uptime += held;
            }
        }
    }

    /// Marks the task as asked to stop; says when it will be stopped by force. A held task goes on, to end cleanly. Those asked
    /// at one moment share one end, however many they are.
    pub fn expire(&mut self, now: Now, reason: ExpirationReason) -> Expiring {
        let expiring = Expiring { reason, stop_at: now.uptime + self.allowance.grace };
        self.resume(now);
        *self.expiring.get_or_insert(expiring)
    }

    /// What the engine's report means. A task that was asked to stop has expired, whatever it then returned.
    pub fn settle(&self, policy: &Policy, end: &End) -> (Outcome, Then) {
        let reason = self.expiring.map(|expiring| expiring.reason);
        let outcome = match (end.clone(), reason) {
            (End::Returned(returned), Some(reason)) => Outcome::Expired { reason, returned: Some(returned) },
            (End::Returned(Ok(output)), None) => Outcome::Succeeded { output },
            (End::Returned(Err(message)), None) | (End::NotStarted(message), _) => Outcome::Failed { message },
            (End::Trapped(message), _) => Outcome::Trapped { message },
            // What it was asked to stop for first stands, though it then burned all its fuel.
            (End::OutOfFuel, reason) => {
                Outcome::Expired { reason: reason.unwrap_or(ExpirationReason::FuelLimit), returned: None }
            }
            (End::Stopped, reason) => {
                Outcome::Expired { reason: reason.unwrap_or(ExpirationReason::TimeLimit), returned: None }
            }
        };
        let then = match &outcome {
            Outcome::Expired { reason: ExpirationReason::HostStopping, .. } | Outcome::Interrupted => {
                after_interruption(policy, self.attempt, self.failures)
            }
            Outcome::Failed { .. } | Outcome::Trapped { .. } => self.after_failure(),
            Outcome::Succeeded { .. } | Outcome::Expired { .. } => Then::Settled,
        };
        (outcome, then)
    }

    /// A failure is retried as often as the request asked for. One of a task that was asked to stop is not: it had its chance.
    fn after_failure(&self) -> Then {
        let failures = self.failures + 1;
        match self.retry {
            Some(retry) if failures < retry.attempts && self.expiring.is_none() => {
                Then::Retries { rest: rest(retry, failures, self.request) }
            }
            Some(_) | None => Then::Settled,
        }
    }
}

/// A request whose task the host interrupted comes back, but not forever: what kills its host must not do so endlessly.
/// Launches after failures of the handler are counted by themselves.
pub fn after_interruption(policy: &Policy, attempt: u32, failures: u32) -> Then {
    if attempt.saturating_sub(failures) < policy.launches { Then::ComesBack } else { Then::Settled }
}

/// The continued task that gives way when the machine is under pressure: the one with the least progress, of those the one
/// nobody watches, and of those the youngest.
pub fn first_to_give_way<'a>(running: impl Iterator<Item = &'a Running>) -> Option<TaskId> {
    let continued = running.filter(|running| {
        running.lane.kind == KindName::ContinuedProcessing && running.expiring.is_none() && !running.forced
    });
    continued
        .min_by_key(|running| (done(running.progress), running.watchers > 0, Reverse(running.task)))
        .map(|running| running.task)
}

/// How far that is, in millionths. A total that is not known is no progress.
fn done(progress: Option<Progress>) -> u64 {
    match progress {
        Some(Progress { completed, total }) if total > 0 => {
            u64::try_from(u128::from(completed) * 1_000_000 / u128::from(total)).unwrap_or(1_000_000)
        }
        Some(_) | None => 0,
    }
}

/// Whether the machine is under pressure: then continued tasks give way one by one.
pub fn is_pressed(conditions: &Conditions) -> bool {
    [Condition::Cool, Condition::Roomy].into_iter().any(|condition| !conditions.reading(condition).holds)
}

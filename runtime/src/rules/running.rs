//! What becomes of a running task: when it must expire, and what its end means for its request.

use std::time::Duration;

use super::{eligibility::*, policy::*, words::*};

/// A running task, as the rules remember it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    pub task: TaskId,
    pub request: RequestId,
    pub lane: Lane,
    pub identifier: Identifier,
    pub attempt: u32,
    pub launched: Now,
    pub allowance: Allowance,
    pub fuel_spent: bool,
    pub progress: Option<Progress>,
    pub expiring: Option<Expiring>,
    /// Whether a newer request of the identifier may wait behind it.
    pub followed: bool,
}

/// A task that was asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiring {
    pub reason: ExpirationReason,
    /// The uptime at which it is stopped by force.
    pub stop_at: Duration,
}

/// What follows from a task's end for its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// It is finished.
    Settled,
    /// It is pending again, with the next attempt.
    ComesBack,
}

impl Running {
    /// The uptime at which the time limit is reached.
    pub fn time_limit(&self) -> Option<Duration> {
        self.allowance.time.map(|time| self.launched.uptime + time)
    }

    /// Why the task must be asked to stop now, if it must and was not yet.
    pub fn must_expire(&self, now: Now, conditions: &Conditions) -> Option<ExpirationReason> {
        if self.expiring.is_some() {
            None
        } else if self.time_limit().is_some_and(|limit| limit <= now.uptime) {
            Some(ExpirationReason::TimeLimit)
        } else if self.fuel_spent {
            Some(ExpirationReason::FuelLimit)
        } else if needed(&self.lane).any(|condition| !conditions.reading(condition).holds) {
            Some(ExpirationReason::ConditionsLost)
        } else {
            None
        }
    }

    /// Marks the task as asked to stop; says when it will be stopped by force.
    pub fn expire(&mut self, now: Now, reason: ExpirationReason) -> Expiring {
        let expiring = Expiring { reason, stop_at: now.uptime + self.allowance.grace };
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
            Outcome::Expired { reason: ExpirationReason::HostStopping, .. } => after_interruption(policy, self.attempt),
            Outcome::Succeeded { .. } | Outcome::Failed { .. } | Outcome::Expired { .. } | Outcome::Trapped { .. } => {
                Then::Settled
            }
            Outcome::Interrupted => after_interruption(policy, self.attempt),
        };
        (outcome, then)
    }
}

/// A request whose task the host interrupted comes back, but not forever: what kills its host must not do so endlessly.
pub fn after_interruption(policy: &Policy, attempt: u32) -> Then {
    if attempt < policy.launches { Then::ComesBack } else { Then::Settled }
}

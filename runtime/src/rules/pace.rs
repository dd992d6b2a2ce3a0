//! What a bundle has used up of what it may: its launches are spaced, and its running time within a day is bounded.

use std::{collections::BTreeMap, time::Duration};

use super::{eligibility::*, records::*, words::*};

/// The bundles that have used anything.
pub type Paces = BTreeMap<BundleId, Pace>;

/// What one bundle has used. Continued work, which a person asked for, is not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// When something of it was last launched.
    pub launched_at: Timestamp,
    /// The day that `used` is about, in days since 1970 (UTC).
    pub day: i64,
    /// How long its tasks ran on that day; a task counts on the day it ends.
    pub used: Duration,
}

const DAY_MS: i64 = 86_400_000;

impl Pace {
    /// Of a bundle of which something is launched for the first time.
    pub fn new(launched_at: Timestamp) -> Pace {
        Pace { launched_at, day: day_of(launched_at), used: Duration::ZERO }
    }

    /// A task ran for `time`, and ended now.
    pub fn spend(&mut self, now: Now, time: Duration) {
        let day = day_of(now.wall);
        if self.day != day {
            (self.day, self.used) = (day, Duration::ZERO);
        }
        self.used = self.used.saturating_add(time);
    }
}

fn day_of(at: Timestamp) -> i64 {
    at.as_millisecond().div_euclid(DAY_MS)
}

/// When the day after `day` begins.
fn end_of(day: i64) -> Timestamp {
    Timestamp::from_millisecond((day + 1).saturating_mul(DAY_MS)).unwrap_or(Timestamp::MAX)
}

/// What the lane's bundle has used up. Urgent work is not spaced any more.
pub(super) fn pace_reasons(now: Now, world: World<'_>, lane: &Lane) -> Vec<Held> {
    let pace = match world.paces.get(&lane.bundle) {
        Some(pace) if lane.kind != KindName::ContinuedProcessing => pace,
        Some(_) | None => return Vec::new(),
    };
    let mut reasons = Vec::new();
    let on_battery = !world.conditions.reading(Condition::ExternalPower).holds;
    // A clock set back must not keep it waiting for longer than one spacing.
    let at = pace.launched_at.saturating_add(world.policy.spacing).unwrap_or(Timestamp::MAX);
    let begun = pace.launched_at <= now.wall;
    if on_battery && !lane.urgent && begun && at > now.wall {
        reasons.push(Held { reason: Reason::Spaced { at }, since: pace.launched_at });
    }
    if let Some(allowed) = world.policy.daily_time
        && pace.day == day_of(now.wall)
        && pace.used >= allowed
    {
        let reason = Reason::BudgetSpent { allowed, at: end_of(pace.day) };
        reasons.push(Held { reason, since: pace.launched_at });
    }
    reasons
}

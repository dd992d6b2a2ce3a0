//! The numbers the rules go by. Every one is a setting with a default; `config` fills them in.

use std::time::Duration;

use super::{records::RequestRecord, schedule::SchedulePolicy, words::*};

words! {
    /// A named policy. `device` keeps the original framework's limits; `server` keeps its contract with wider ones.
    Profile { Device = "device", Server = "server", }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    pub profile: Profile,
    /// How many tasks may run at once, in all and of each kind.
    pub slots: usize,
    pub at_once: ByKind<usize>,
    /// How many requests of one bundle may be pending, of each kind.
    pub pending: ByKind<u64>,
    pub app_refresh: Allowance,
    /// For health-research, too.
    pub processing: Allowance,
    pub continued_processing: Allowance,
    /// How long a continued task may go without an advance of its progress.
    pub stall: Duration,
    /// How long a task may be held in place while its conditions are gone, and how many may be so at once.
    pub suspension: Duration,
    pub suspended: usize,
    /// How often a request may be launched when its tasks are interrupted; then it is settled as interrupted.
    pub launches: u32,
    /// The most launches that a retry may ask for.
    pub attempts: u32,
    /// The least time between two launches of one bundle while the machine lives off a battery. Continued work is not spaced.
    pub spacing: Duration,
    /// How long the tasks of one bundle may run within a day (UTC), continued ones aside. None: as long as they like.
    pub daily_time: Option<Duration>,
    /// How long ready work may be passed over in favour of other work.
    pub starvation: Duration,
    /// How much later than its floor a request may be woken for, so that several share one wake-up.
    pub coalescing: Duration,
    /// The longest input, in bytes.
    pub input: usize,
    /// The longest checkpoint, in bytes.
    pub checkpoint: usize,
    /// The most identifiers one request may run after.
    pub run_after: usize,
    /// How old a reading of the conditions may grow while something waits for them or stands on them.
    pub sampling: Duration,
    /// How long the key of a submission is remembered.
    pub keys: Duration,
    /// How many ended tasks are remembered for each bundle, and for how long.
    pub history_tasks: u64,
    pub history_age: Duration,
    /// How many changes of each bundle and its requests are remembered.
    pub history_changes: u64,
    pub schedules: SchedulePolicy,
}

/// One number for each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByKind<T> {
    pub app_refresh: T,
    pub processing: T,
    pub health_research: T,
    pub continued_processing: T,
}

impl<T: Copy> ByKind<T> {
    pub fn of(&self, kind: KindName) -> T {
        match kind {
            KindName::AppRefresh => self.app_refresh,
            KindName::Processing => self.processing,
            KindName::HealthResearch => self.health_research,
            KindName::ContinuedProcessing => self.continued_processing,
        }
    }
}

/// As good as no limit of fuel: some years of computing.
const UNMETERED: u64 = 1 << 60;

impl Policy {
    /// What a launch may use. A bundle's own promise can only lower its memory; a request that insists on external power has no
    /// limit of fuel, as the original lifts its limit of processor time for it.
    pub fn allowance(&self, kind: KindName, needs: Needs, promised_memory: Option<u64>) -> Allowance {
        let allowance = match kind {
            KindName::AppRefresh => self.app_refresh,
            KindName::Processing | KindName::HealthResearch => self.processing,
            KindName::ContinuedProcessing => self.continued_processing,
        };
        let memory = promised_memory.map_or(allowance.memory, |bytes| bytes.min(allowance.memory));
        let fuel = if needs.external_power { UNMETERED } else { allowance.fuel };
        Allowance { memory, fuel, ..allowance }
    }

    /// When to wake for a request that has a floor. One that repeats with a flex may meet others within it.
    pub fn wake_for(&self, record: &RequestRecord) -> Option<Timestamp> {
        let RequestRecord { request, floor, .. } = record;
        let flexible = request.repeat.filter(|_| *floor < request.earliest_begin).map(|repeat| repeat.flex);
        let latest = request.latest_begin.or(flexible.and(request.earliest_begin));
        floor.map(|floor| self.wake_at(floor, flexible.unwrap_or(self.coalescing), latest))
    }

    /// How long after its floor a request that waits for nothing else may be woken for, at the latest.
    pub fn wake_at(&self, floor: Timestamp, tolerance: Duration, latest_begin: Option<Timestamp>) -> Timestamp {
        let latest = latest_begin.map_or(Timestamp::MAX, |latest| latest.max(floor));
        let tolerance = i64::try_from(tolerance.as_millis()).unwrap_or(i64::MAX);
        if tolerance == 0 {
            return floor;
        }
        // Those of one tolerance meet at its multiples.
        let floor_ms = floor.as_millisecond();
        let meeting = floor_ms.checked_add(tolerance - 1).map(|sum| sum.div_euclid(tolerance) * tolerance);
        meeting.and_then(|ms| Timestamp::from_millisecond(ms).ok()).map_or(floor, |at| at.max(floor)).min(latest)
    }
}

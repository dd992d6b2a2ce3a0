//! Why a request is not running now. No reasons means eligible: the predicate that decides is the one that explains.

use std::{collections::BTreeMap, time::Duration};

use super::{pace::*, policy::*, records::*, words::*};

words! {
    /// What of its own holds an unfinished request back. The machine's conditions and the slots are no part of it.
    Stage {
        /// Nothing: it stands in its lane.
        Ready = "ready",
        /// Its floor lies ahead.
        Ripening = "ripening",
        /// An identifier it runs after has not succeeded.
        After = "after",
        /// An older request of its identifier is unfinished.
        Behind = "behind",
        /// It was launched; its task runs.
        Launched = "launched",
    }
}

/// Requests that differ only in their age: what opens or blocks one opens or blocks all.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane {
    pub kind: KindName,
    pub bundle: BundleId,
    pub needs: Needs,
    pub protection: DataProtection,
    pub priority: Priority,
    /// Its latest begin is reached: what is merely wished counts no longer.
    pub urgent: bool,
}

/// What of a request the predicate looks at, besides its lane.
#[derive(Debug, Clone, Copy)]
pub struct Holds<'a> {
    pub submitted_at: Timestamp,
    /// Not to be launched before; its own date, or the end of a rest between two attempts.
    pub floor: Option<Timestamp>,
    /// How often its handler has failed so far: then the floor is the end of a rest.
    pub failures: u32,
    /// Identifiers it runs after that have not succeeded yet.
    pub unmet: &'a [Unmet],
    /// The older unfinished request of its identifier.
    pub behind: Option<RequestId>,
}

/// An identifier that must succeed first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmet {
    pub identifier: Identifier,
    pub stands: Awaited,
}

/// Something a bundle asks for and was not given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// As it stands behind "it asks": `to read the folder `gallery``.
    pub ask: String,
    /// What gives it, as an option of the command line.
    pub option: String,
}

/// Whether anything of a bundle may be launched; closed, it closes all the bundle's lanes at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// A person may disable a bundle.
    pub enabled: bool,
    pub missing: Vec<Missing>,
    /// Whether the bundle is just being changed.
    pub changing: bool,
    /// Since when it stands so.
    pub since: Timestamp,
}

words! {
    /// What people see of a bundle's gate.
    BundleState {
        Enabled = "enabled",
        Disabled = "disabled",
        /// It asks for something that nobody gave it.
        WaitingForGrants = "waiting-for-grants",
    }
}

impl Gate {
    /// A disabled bundle is disabled, whatever it lacks.
    pub fn state(&self) -> BundleState {
        let Gate { enabled, missing, changing: _, since: _ } = self;
        match (enabled, missing.is_empty()) {
            (false, _) => BundleState::Disabled,
            (true, false) => BundleState::WaitingForGrants,
            (true, true) => BundleState::Enabled,
        }
    }

    pub fn is_open(&self) -> bool {
        let Gate { enabled, missing, changing, since: _ } = self;
        *enabled && missing.is_empty() && !changing
    }
}

/// What the machine and the host are like, as the predicate sees them.
#[derive(Debug, Clone, Copy)]
pub struct World<'a> {
    pub policy: &'a Policy,
    pub conditions: &'a Conditions,
    /// The bundles whose gates are closed.
    pub closed: &'a BTreeMap<BundleId, Gate>,
    /// What bundles have used up of what they may.
    pub paces: &'a Paces,
    pub running: &'a Crowd,
    /// None when the host launches; else since when it does not.
    pub not_launching: Option<Timestamp>,
}

/// How many tasks run, and when the newest began: since then there may be no room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crowd {
    pub tasks: usize,
    pub newest: Timestamp,
    pub of_kind: BTreeMap<KindName, (usize, Timestamp)>,
}

impl Crowd {
    pub fn none() -> Crowd {
        Crowd { tasks: 0, newest: Timestamp::MIN, of_kind: BTreeMap::new() }
    }

    /// One more task runs.
    pub fn add(&mut self, kind: KindName, launched: Timestamp) {
        let (tasks, newest) = self.of_kind.entry(kind).or_insert((0, launched));
        *tasks += 1;
        *newest = launched.max(*newest);
        self.tasks += 1;
        self.newest = launched.max(self.newest);
    }

    pub fn of(&self, kind: KindName) -> usize {
        self.of_kind.get(&kind).map_or(0, |(tasks, _)| *tasks)
    }
}

/// The stage a pending request is at.
pub fn stage(now: Now, holds: Holds<'_>) -> Stage {
    if holds.behind.is_some() {
        Stage::Behind
    } else if !holds.unmet.is_empty() {
        Stage::After
    } else if holds.floor.is_some_and(|floor| floor > now.wall) {
        Stage::Ripening
    } else {
        Stage::Ready
    }
}

/// Every reason why the request is not running now, each with since when; none means it is eligible.
pub fn reasons(now: Now, world: World<'_>, lane: &Lane, holds: Holds<'_>) -> Vec<Held> {
    let mut reasons = Vec::new();
    let since = holds.submitted_at;
    if let Some(request) = holds.behind {
        reasons.push(Held { reason: Reason::Behind { request }, since });
    }
    reasons.extend(holds.unmet.iter().map(|Unmet { identifier, stands }| {
        let reason = Reason::RunAfter { identifier: identifier.clone(), stands: *stands };
        Held { reason, since }
    }));
    if let Some(at) = holds.floor.filter(|floor| *floor > now.wall) {
        let reason = match holds.failures {
            0 => Reason::EarliestBegin { at },
            failures => Reason::Resting { at, failures },
        };
        reasons.push(Held { reason, since });
    }
    reasons.extend(bundle_reasons(world, &lane.bundle));
    reasons.extend(lane_reasons(now, world, lane));
    reasons.extend(host_reasons(world, lane.kind));
    reasons
}

/// What keeps anything of the bundle from being launched.
fn bundle_reasons(world: World<'_>, bundle: &BundleId) -> Vec<Held> {
    let Some(Gate { enabled, missing, changing, since }) = world.closed.get(bundle) else { return Vec::new() };
    let disabled = (!enabled).then(|| Reason::BundleDisabled { bundle: bundle.clone() });
    let lacks = |missing: &Missing| Reason::NotGranted { bundle: bundle.clone(), missing: missing.clone() };
    let changing = changing.then(|| Reason::BundleChanging { bundle: bundle.clone() });
    let reasons = disabled.into_iter().chain(missing.iter().map(lacks)).chain(changing);
    reasons.map(|reason| Held { reason, since: *since }).collect()
}

/// Whether neither the lane's bundle, nor the machine, nor the host's room keeps it from being served.
pub fn is_open(now: Now, world: World<'_>, lane: &Lane) -> bool {
    !world.closed.contains_key(&lane.bundle)
        && lane_reasons(now, world, lane).is_empty()
        && host_reasons(world, lane.kind).is_none()
}

/// What holds back all of a lane, besides its bundle's gate: the conditions it wants and lacks, and what its bundle has used up.
pub fn lane_reasons(now: Now, world: World<'_>, lane: &Lane) -> Vec<Held> {
    let lacks = lacking(world.conditions, lane).map(|condition| {
        let reading = world.conditions.reading(condition);
        Held { reason: Reason::Lacks { condition, source: reading.source.clone() }, since: reading.since }
    });
    lacks.chain(pace_reasons(now, world, lane)).collect()
}

/// The conditions that a launch from this lane wants and lacks.
pub fn lacking(conditions: &Conditions, lane: &Lane) -> impl Iterator<Item = Condition> {
    let on_power = conditions.reading(Condition::ExternalPower).holds;
    let lifts = move |condition| on_power && is_lifted_by_power(condition);
    wanted(lane)
        .filter(move |condition| !conditions.reading(*condition).holds)
        .filter(move |condition| !lifts(*condition))
}

/// What keeps the host from launching anything of a kind.
pub fn host_reasons(world: World<'_>, kind: KindName) -> Option<Held> {
    let World { policy, running, .. } = world;
    if let Some(since) = world.not_launching {
        return Some(Held { reason: Reason::NotLaunching, since });
    }
    if running.tasks >= policy.slots {
        return Some(Held { reason: Reason::NoSlot { slots: policy.slots }, since: running.newest });
    }
    let slots = policy.at_once.of(kind);
    let (tasks, newest) = running.of_kind.get(&kind).copied().unwrap_or((0, running.newest));
    (tasks >= slots).then_some(Held { reason: Reason::NoSlotOfKind { kind, slots }, since: newest })
}

/// The conditions that must hold while a task of this lane runs. App-refresh runs whatever the machine is doing, and so does
/// what a person asked for; what became urgent is not stopped for want of what is merely wished.
pub fn needed(lane: &Lane) -> impl Iterator<Item = Condition> {
    let long = match lane.kind {
        KindName::Processing | KindName::HealthResearch => true,
        KindName::AppRefresh | KindName::ContinuedProcessing => false,
    };
    let (unlocked_once, unlocked) = match lane.protection {
        DataProtection::None => (false, false),
        // What was opened may be read on.
        DataProtection::CompleteUntilFirstUserAuthentication | DataProtection::CompleteUnlessOpen => (true, false),
        DataProtection::Complete => (true, true),
    };
    [
        (lane.needs.network, Condition::Network),
        (lane.needs.external_power, Condition::ExternalPower),
        (unlocked_once, Condition::UnlockedOnce),
        (unlocked, Condition::Unlocked),
        (long, Condition::Cool),
        (long, Condition::Roomy),
        (long && !lane.urgent, Condition::Idle),
    ]
    .into_iter()
    .filter_map(|(needed, condition)| needed.then_some(condition))
}

/// The conditions that must hold for a launch: what the task needs, and what the host wishes besides.
fn wanted(lane: &Lane) -> impl Iterator<Item = Condition> {
    let of_a_person = lane.kind == KindName::ContinuedProcessing;
    let short = matches!(lane.kind, KindName::AppRefresh | KindName::ContinuedProcessing);
    let wished = !lane.urgent && !of_a_person;
    let more = [
        (lane.protection == DataProtection::CompleteUnlessOpen, Condition::Unlocked),
        (short, Condition::Cool),
        (short, Condition::Roomy),
        (wished, Condition::Charged),
        (wished, Condition::FullPower),
    ];
    needed(lane).chain(more.into_iter().filter_map(|(wanted, condition)| wanted.then_some(condition)))
}

/// A machine on external power need not save its battery.
pub(super) fn is_lifted_by_power(condition: Condition) -> bool {
    match condition {
        Condition::Charged | Condition::FullPower => true,
        Condition::Network
        | Condition::ExternalPower
        | Condition::Idle
        | Condition::Cool
        | Condition::Roomy
        | Condition::UnlockedOnce
        | Condition::Unlocked => false,
    }
}

/// The wait before a request's next launch, after `failures` of its handler: twice the one before, up to the longest, and up to
/// a tenth shorter, so that what failed together does not come back together. The same request always waits the same.
pub fn rest(retry: Retry, failures: u32, request: RequestId) -> Duration {
    let Retry { attempts: _, first_delay, longest_delay } = retry;
    let doubled = 2_u32.checked_pow(failures.saturating_sub(1)).and_then(|factor| first_delay.checked_mul(factor));
    let delay = doubled.map_or(longest_delay, |delay| delay.min(longest_delay));
    let spread = u32::try_from(scattered(request.0 ^ (u64::from(failures) << 48)) % 1_000).unwrap_or(0);
    delay - delay * spread / 10_000
}

/// When a repeated request falls due the next time: whole periods after it was due before, those that have passed skipped.
pub fn next_due(due: Timestamp, repeat: Repeat, now: Now) -> Option<Timestamp> {
    let every = i64::try_from(repeat.every.as_millis()).ok().filter(|every| *every > 0)?;
    let due = due.as_millisecond();
    let passed = now.wall.as_millisecond().saturating_sub(due).max(0) / every;
    let next = due.checked_add(every.checked_mul(passed.checked_add(1)?)?)?;
    Timestamp::from_millisecond(next).ok()
}

/// A number that looks like chance and is none (the finaliser of SplitMix64).
fn scattered(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

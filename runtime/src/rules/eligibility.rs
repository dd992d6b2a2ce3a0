//! Why a request is not running now. No reasons means eligible: the predicate that decides is the one that explains.

use std::collections::BTreeMap;

use super::{records::*, words::*};

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

/// Requests that differ only in their age and priority: what opens or blocks one opens or blocks all.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane {
    pub kind: KindName,
    pub bundle: BundleId,
    pub needs: Needs,
}

/// What of a request the predicate looks at, besides its lane.
#[derive(Debug, Clone, Copy)]
pub struct Holds<'a> {
    pub earliest_begin: Option<Timestamp>,
    /// Identifiers it runs after that have not succeeded yet.
    pub unmet: &'a [Identifier],
    /// The older unfinished request of its identifier.
    pub behind: Option<RequestId>,
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
        let Gate { enabled, missing, changing: _ } = self;
        match (enabled, missing.is_empty()) {
            (false, _) => BundleState::Disabled,
            (true, false) => BundleState::WaitingForGrants,
            (true, true) => BundleState::Enabled,
        }
    }

    pub fn is_open(&self) -> bool {
        let Gate { enabled, missing, changing } = self;
        *enabled && missing.is_empty() && !changing
    }
}

/// What the machine and the host are like, as the predicate sees them.
#[derive(Debug, Clone, Copy)]
pub struct World<'a> {
    pub conditions: &'a Conditions,
    /// The bundles whose gates are closed.
    pub closed: &'a BTreeMap<BundleId, Gate>,
    pub launching: bool,
    pub slots: usize,
    pub running: usize,
}

/// The stage a pending request is at.
pub fn stage(now: Now, holds: Holds<'_>) -> Stage {
    if holds.behind.is_some() {
        Stage::Behind
    } else if !holds.unmet.is_empty() {
        Stage::After
    } else if holds.earliest_begin.is_some_and(|floor| floor > now.wall) {
        Stage::Ripening
    } else {
        Stage::Ready
    }
}

/// Every reason why the request is not running now; none means it is eligible.
pub fn reasons(now: Now, world: World<'_>, lane: &Lane, holds: Holds<'_>) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if let Some(request) = holds.behind {
        reasons.push(Reason::Behind { request });
    }
    reasons.extend(holds.unmet.iter().map(|identifier| Reason::RunAfter { identifier: identifier.clone() }));
    if let Some(at) = holds.earliest_begin.filter(|floor| *floor > now.wall) {
        reasons.push(Reason::EarliestBegin { at });
    }
    reasons.extend(bundle_reasons(world, &lane.bundle));
    reasons.extend(lane_reasons(world.conditions, lane));
    reasons.extend(host_reasons(world));
    reasons
}

/// What keeps anything of the bundle from being launched.
fn bundle_reasons(world: World<'_>, bundle: &BundleId) -> Vec<Reason> {
    let Some(Gate { enabled, missing, changing }) = world.closed.get(bundle) else { return Vec::new() };
    let disabled = (!enabled).then(|| Reason::BundleDisabled { bundle: bundle.clone() });
    let lacks = |missing: &Missing| Reason::NotGranted { bundle: bundle.clone(), missing: missing.clone() };
    let changing = changing.then(|| Reason::BundleChanging { bundle: bundle.clone() });
    disabled.into_iter().chain(missing.iter().map(lacks)).chain(changing).collect()
}

/// Whether neither the lane's bundle nor the machine keeps it from being served.
pub fn is_open(world: World<'_>, lane: &Lane) -> bool {
    !world.closed.contains_key(&lane.bundle) && lane_reasons(world.conditions, lane).next().is_none()
}

/// The conditions the lane needs and lacks.
pub fn lane_reasons(conditions: &Conditions, lane: &Lane) -> impl Iterator<Item = Reason> {
    needed(lane).filter_map(|condition| {
        let reading = conditions.reading(condition);
        (!reading.holds).then(|| Reason::Lacks { condition, since: reading.since, source: reading.source.clone() })
    })
}

/// What keeps the host from launching anything at all.
pub fn host_reasons(world: World<'_>) -> Option<Reason> {
    if !world.launching {
        Some(Reason::NotLaunching)
    } else if world.running >= world.slots {
        Some(Reason::NoSlot { slots: world.slots })
    } else {
        None
    }
}

/// The conditions that must hold while a task of this lane runs. App-refresh runs whatever the machine is doing.
pub fn needed(lane: &Lane) -> impl Iterator<Item = Condition> {
    let waits_for_idle = match lane.kind {
        KindName::Processing | KindName::HealthResearch => true,
        KindName::AppRefresh | KindName::ContinuedProcessing => false,
    };
    [
        (lane.needs.network, Condition::Network),
        (lane.needs.external_power, Condition::ExternalPower),
        (waits_for_idle, Condition::Idle),
    ]
    .into_iter()
    .filter_map(|(needed, condition)| needed.then_some(condition))
}

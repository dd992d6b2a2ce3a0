//! What to launch next, from the heads of the lanes.

use std::{collections::BTreeMap, time::Duration};

use super::{eligibility::*, words::*};

/// The lanes that may hold ready requests. A lane too many costs one look; one too few would be a request forgotten, so lanes
/// enter when a request becomes ready and leave when a look finds none.
#[derive(Debug, Default)]
pub struct Lanes {
    places: BTreeMap<Lane, Place>,
    /// When each bundle was last served with work of a kind, in launches of the host.
    served: BTreeMap<(BundleId, KindName), u64>,
    launches: u64,
}

/// How long a lane waits.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// The uptime at which it entered or was last served.
    since: Duration,
    /// Its place in the order of those.
    turn: u64,
}

/// Lanes of one bundle that share a number of launches, the first to be served first.
#[derive(Debug, PartialEq, Eq)]
pub struct Look {
    pub lanes: Vec<Lane>,
    pub limit: usize,
}

impl Lanes {
    /// A request became ready in `lane`.
    pub fn enter(&mut self, now: Now, lane: &Lane) {
        if !self.places.contains_key(lane) {
            self.launches += 1;
            self.places.insert(lane.clone(), Place { since: now.uptime, turn: self.launches });
        }
    }

    /// A look found that `lane` holds nothing more.
    pub fn leave(&mut self, lane: &Lane) {
        self.places.remove(lane);
    }

    pub fn iter(&self) -> impl Iterator<Item = &Lane> {
        self.places.keys()
    }

    /// The lanes to serve now. What was passed over for longer than the starvation bound goes first, then what became urgent,
    /// then kinds in their order; among equals the bundle that was served longest ago, and of a bundle the higher priority.
    /// Continued work goes in the order in which it was asked for. Free slots are shared out evenly. Blocked lanes cost
    /// nothing but the test.
    pub fn looks(&self, now: Now, world: World<'_>) -> Vec<Look> {
        let free = world.policy.slots.saturating_sub(world.running.tasks);
        if free == 0 || world.not_launching.is_some() {
            return Vec::new();
        }
        let open = self.places.iter().filter(|(lane, _)| is_open(now, world, lane));
        let mut shares: BTreeMap<Rank, Vec<(&Lane, Place)>> = BTreeMap::new();
        for (lane, place) in open {
            shares.entry(self.rank(now, world, lane, *place)).or_default().push((lane, *place));
        }
        let share = free.div_ceil(shares.len().max(1));
        let look = |(rank, mut lanes): (Rank, Vec<(&Lane, Place)>)| {
            lanes.sort_by_key(|(lane, place)| (std::cmp::Reverse(lane.priority), place.turn));
            let room = world.policy.at_once.of(rank.kind).saturating_sub(world.running.of(rank.kind));
            let lanes = lanes.into_iter().map(|(lane, _)| lane.clone()).collect();
            Look { lanes, limit: share.min(room) }
        };
        shares.into_iter().take(free).map(look).collect()
    }

    /// A request of `lane` was launched.
    pub fn serve(&mut self, now: Now, lane: &Lane) {
        self.launches += 1;
        self.served.insert((lane.bundle.clone(), lane.kind), self.launches);
        if let Some(place) = self.places.get_mut(lane) {
            *place = Place { since: now.uptime, turn: self.launches };
        }
    }

    fn rank(&self, now: Now, world: World<'_>, lane: &Lane, place: Place) -> Rank {
        let starved = now.uptime.saturating_sub(place.since) >= world.policy.starvation;
        let in_turn = starved || lane.kind == KindName::ContinuedProcessing;
        let served = self.served.get(&(lane.bundle.clone(), lane.kind)).copied().unwrap_or(0);
        Rank {
            later: !starved,
            patient: !lane.urgent,
            order: if starved { 0 } else { order(lane.kind) },
            turn: if in_turn { place.turn } else { served },
            bundle: lane.bundle.clone(),
            kind: lane.kind,
        }
    }
}

/// Where lanes stand among others; those of one rank share their launches.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    later: bool,
    patient: bool,
    order: u8,
    turn: u64,
    bundle: BundleId,
    kind: KindName,
}

/// What a person waits for goes first, then short work, then long.
fn order(kind: KindName) -> u8 {
    match kind {
        KindName::ContinuedProcessing => 0,
        KindName::AppRefresh => 1,
        KindName::HealthResearch => 2,
        KindName::Processing => 3,
    }
}

//! What to launch next, from the heads of the lanes.

use std::collections::BTreeMap;

use super::{eligibility::*, words::*};

/// The lanes that may hold ready requests, and when each was last served. A lane too many costs one look; one too few
/// would be a request forgotten, so lanes enter when a request becomes ready and leave when a look finds none.
#[derive(Debug, Default)]
pub struct Lanes {
    last_served: BTreeMap<Lane, u64>,
    served: u64,
}

/// How many heads of which lane to look at.
#[derive(Debug, PartialEq, Eq)]
pub struct Look {
    pub lane: Lane,
    pub limit: usize,
}

impl Lanes {
    /// A request became ready in `lane`.
    pub fn enter(&mut self, lane: &Lane) {
        if !self.last_served.contains_key(lane) {
            self.last_served.insert(lane.clone(), 0);
        }
    }

    /// A look found that `lane` holds nothing more.
    pub fn leave(&mut self, lane: &Lane) {
        self.last_served.remove(lane);
    }

    pub fn iter(&self) -> impl Iterator<Item = &Lane> {
        self.last_served.keys()
    }

    /// The lanes to serve now: short work before long, among equals the lane that waited longest; the free slots are
    /// shared out evenly. Blocked lanes cost nothing but this test.
    pub fn looks(&self, world: World<'_>) -> Vec<Look> {
        if host_reasons(world).is_some() {
            return Vec::new();
        }
        let free = world.slots - world.running;
        let mut open: Vec<(&Lane, u64)> = self
            .last_served
            .iter()
            .filter(|(lane, _)| is_open(world, lane))
            .map(|(lane, served)| (lane, *served))
            .collect();
        open.sort_by_key(|(lane, served)| (lane.kind != KindName::AppRefresh, *served));
        open.truncate(free);
        let share = free.div_ceil(open.len().max(1));
        open.into_iter().map(|(lane, _)| Look { lane: lane.clone(), limit: share }).collect()
    }

    /// A request of `lane` was launched.
    pub fn serve(&mut self, lane: &Lane) {
        self.served += 1;
        if let Some(last) = self.last_served.get_mut(lane) {
            *last = self.served;
        }
    }
}

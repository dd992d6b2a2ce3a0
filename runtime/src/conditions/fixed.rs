//! A machine that never changes, for tests and for embedders who state conditions themselves.

use std::collections::BTreeSet;

use super::{Probe, Sample, Sight};
use crate::rules::{Condition, Now};

/// Always sees the same. What changes is stated through the observer, or seen by an own `Probe`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FixedProbe {
    holding: BTreeSet<Condition>,
}

/// Everything holds.
impl Default for FixedProbe {
    fn default() -> FixedProbe {
        FixedProbe::without(&[])
    }
}

impl FixedProbe {
    /// Everything holds but the conditions named.
    pub fn without(lacking: &[Condition]) -> FixedProbe {
        let holding = Condition::ALL.iter().copied().filter(|condition| !lacking.contains(condition)).collect();
        FixedProbe { holding }
    }
}

impl Probe for FixedProbe {
    fn look(&mut self, _now: Now) -> Sample {
        Sample::new(|condition| Sight { holds: self.holding.contains(&condition), source: "fixed".to_owned() })
    }
}

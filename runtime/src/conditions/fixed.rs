//! A machine that never changes, for tests and for embedders who state conditions themselves.

use super::{Probe, Sample, Sight};
use crate::rules::Now;

/// Always sees the same. What changes is stated through the observer, or seen by an own `Probe`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FixedProbe {
    pub network: bool,
    pub external_power: bool,
    pub idle: bool,
}

/// Everything holds.
impl Default for FixedProbe {
    fn default() -> FixedProbe {
        FixedProbe { network: true, external_power: true, idle: true }
    }
}

impl Probe for FixedProbe {
    fn look(&mut self, _now: Now) -> Sample {
        let fixed = |holds| Sight { holds, source: "fixed".to_owned() };
        let FixedProbe { network, external_power, idle } = *self;
        Sample { network: fixed(network), external_power: fixed(external_power), idle: fixed(idle) }
    }
}

//! What a task uses and what it may use: memory and tables summed over all its instances, and fuel.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use wasmtime::ResourceLimiter;

use super::settings::EngineSettings;

/// What was used, readable after the guest is gone.
#[derive(Default)]
pub(super) struct Tally {
    fuel: AtomicU64,
    peak_memory: AtomicU64,
    memory_refused: AtomicBool,
    elements_refused: AtomicBool,
    fuel_spent_told: AtomicBool,
}

impl Tally {
    /// Whether it is still to be told that the allowed fuel is used up. True once.
    pub(super) fn tell_fuel_spent(&self) -> bool {
        !self.fuel_spent_told.swap(true, Ordering::Relaxed)
    }

    pub(super) fn fuel(&self) -> u64 {
        self.fuel.load(Ordering::Relaxed)
    }

    pub(super) fn peak_memory(&self) -> u64 {
        self.peak_memory.load(Ordering::Relaxed)
    }

    /// Whether the guest once asked for more memory than it may have.
    pub(super) fn memory_was_refused(&self) -> bool {
        self.memory_refused.load(Ordering::Relaxed)
    }

    /// Whether the guest once asked for more table elements than it may have.
    pub(super) fn elements_were_refused(&self) -> bool {
        self.elements_refused.load(Ordering::Relaxed)
    }
}

/// Fuel in two parts: what is allowed, and what is left for coming to an end.
pub(super) struct FuelMeter {
    allowed: u64,
    whole: u64,
    tally: Arc<Tally>,
}

impl FuelMeter {
    pub(super) fn new(allowed: u64, grace: u64, tally: Arc<Tally>) -> FuelMeter {
        FuelMeter { allowed, whole: allowed.saturating_add(grace), tally }
    }

    /// What a store is filled with.
    pub(super) fn whole(&self) -> u64 {
        self.whole
    }

    /// Notes what the store has left.
    pub(super) fn read(&self, left: u64) {
        self.tally.fuel.store(self.whole.saturating_sub(left), Ordering::Relaxed);
    }

    /// What is left of the allowed part, as of the last reading.
    pub(super) fn remaining(&self) -> u64 {
        self.allowed.saturating_sub(self.tally.fuel())
    }

    /// Whether the allowed part is used up and nobody was told yet. True once.
    pub(super) fn crossed(&self) -> bool {
        self.tally.fuel() >= self.allowed && self.tally.tell_fuel_spent()
    }
}

/// Bounds what a store holds: wasmtime's own limits count each memory and table apart, these add them up.
pub(super) struct Bounds {
    memory: Held,
    elements: Held,
    counts: Counts,
    tally: Arc<Tally>,
}

struct Counts {
    instances: usize,
    tables: usize,
    memories: usize,
}

struct Held {
    most: u64,
    now: u64,
    /// The growth just granted, taken back if it fails after all.
    granted: u64,
}

impl Bounds {
    pub(super) fn new(memory: u64, settings: &EngineSettings, tally: Arc<Tally>) -> Bounds {
        Bounds {
            memory: Held::new(memory),
            elements: Held::new(settings.table_elements as u64),
            counts: Counts {
                instances: settings.core_instances as usize,
                tables: settings.tables as usize,
                memories: settings.memories as usize,
            },
            tally,
        }
    }
}

impl Held {
    fn new(most: u64) -> Held {
        Held { most, now: 0, granted: 0 }
    }

    fn grow(&mut self, current: usize, desired: usize) -> bool {
        let growth = desired.saturating_sub(current) as u64;
        let fits = self.now.saturating_add(growth) <= self.most;
        self.granted = if fits { growth } else { 0 };
        self.now += self.granted;
        fits
    }

    fn take_back(&mut self) {
        self.now -= std::mem::take(&mut self.granted);
    }
}

impl ResourceLimiter for Bounds {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let fits = self.memory.grow(current, desired);
        match fits {
            true => self.tally.peak_memory.fetch_max(self.memory.now, Ordering::Relaxed),
            false => u64::from(self.tally.memory_refused.swap(true, Ordering::Relaxed)),
        };
        Ok(fits)
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.memory.take_back();
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let fits = self.elements.grow(current, desired);
        self.tally.elements_refused.fetch_or(!fits, Ordering::Relaxed);
        Ok(fits)
    }

    fn table_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.elements.take_back();
        Ok(())
    }

    fn instances(&self) -> usize {
        self.counts.instances
    }

    fn tables(&self) -> usize {
        self.counts.tables
    }

    fn memories(&self) -> usize {
        self.counts.memories
    }
}

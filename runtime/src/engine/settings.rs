//! What the engine may be told, and its defaults. Nothing a guest does is without a limit named here or in its allowance.

use std::{num::NonZeroUsize, thread, time::Duration};

/// The engine's limits and sizes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineSettings {
    /// How many tasks may run at once. The pool is sized from it.
    pub slots: usize,
    /// How many guests may compute at once: the number of cores.
    pub turns: usize,
    /// How many `register` and `activate` calls may run at once, beside the tasks.
    pub side_calls: usize,
    /// How often a computing guest is asked to yield.
    pub epoch_tick: Duration,
    /// How much fuel a guest burns before it yields, whatever the clock says. It keeps the fuel's reading right in loops
    /// without calls.
    pub fuel_yield: u64,
    /// How many components stay linked in memory, the least recently used dropped first.
    pub linked_components: usize,
    /// Bytes of a task's log that are kept.
    pub log_limit: u64,
    /// Bytes of output a task may return.
    pub output_limit: usize,
    /// Bytes of a failure's message that are kept.
    pub failure_limit: usize,
    /// Bytes of a trap's message that are kept.
    pub trap_limit: usize,
    /// Bytes one call between guest and host may copy out of the guest.
    pub hostcall_fuel: usize,
    /// Core instances of one task. Python's toolchain makes 14.
    pub core_instances: u32,
    /// Tables of one task.
    pub tables: u32,
    /// Memories of one task.
    pub memories: u32,
    /// Elements of one task's tables together.
    pub table_elements: usize,
    /// Files, streams, pollables and the like that one task may hold open at once.
    pub handles: usize,
    /// Everything one task's components may hold a handle of at once: the above, each other's things, and the calls, streams
    /// and futures of the asynchronous world.
    pub component_handles: usize,
    /// Threads for what guests' file operations block on.
    pub blocking_threads: usize,
    /// The shortest time between two reports of a task's progress. A report in between waits; the last one always arrives.
    pub progress_interval: Duration,
    /// How long `register` may take.
    pub register_time: Duration,
    /// Fuel `register` may use.
    pub register_fuel: u64,
    /// Memory `register` may use.
    pub register_memory: u64,
    /// How long stopping the engine waits for file operations that cannot be interrupted.
    pub stop_patience: Duration,
}

impl Default for EngineSettings {
    fn default() -> EngineSettings {
        EngineSettings {
            slots: 64,
            turns: thread::available_parallelism().map_or(1, NonZeroUsize::get),
            side_calls: 4,
            epoch_tick: Duration::from_millis(5),
            fuel_yield: 10_000_000,
            linked_components: 128,
            log_limit: 1 << 20,
            output_limit: 1 << 20,
            failure_limit: 64 << 10,
            trap_limit: 4 << 10,
            hostcall_fuel: 2 << 20,
            core_instances: 16,
            tables: 4,
            memories: 2,
            table_elements: 100_000,
            handles: 256,
            component_handles: 4096,
            blocking_threads: 16,
            progress_interval: Duration::from_millis(100),
            register_time: Duration::from_secs(5),
            register_fuel: 10_000_000_000,
            register_memory: 256 << 20,
            stop_patience: Duration::from_secs(5),
        }
    }
}

//! What the engine may be told, and its defaults. Nothing a guest does is without a limit named here or in its allowance.

use std::{num::NonZeroUsize, thread, time::Duration};

use crate::bundle::COMPONENT_LIMIT;

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
    /// Bytes of code that components linked in memory may take together, the least recently used dropped first. What a task
    /// runs stays until the task ends.
    pub linked_code: u64,
    /// How many components may be compiled at once, each in a process of its own.
    pub compiles: usize,
    /// How many threads compile one component.
    pub compile_threads: usize,
    /// How much computing compiling one component may take, over all threads; in whole seconds.
    pub compile_time: Duration,
    /// How long compiling one component may take by the clock, however busy the machine is.
    pub compile_patience: Duration,
    /// Bytes of memory compiling one component may take.
    pub compile_memory: u64,
    /// Bytes a component may have.
    pub component_limit: u64,
    /// Bytes the compiled code of one component may have.
    pub code_limit: u64,
    /// Bytes of compiled code that are kept on disk, the least recently used dropped first.
    pub cache_limit: u64,
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
    /// Bytes of stack that a guest's calls may use, beside what its toolchain keeps in its memory.
    pub stack: usize,
    /// Requests one launch, or one `activate`, may submit.
    pub submissions: u32,
    /// Bytes of a title or subtitle that are kept; the rest is cut.
    pub title_limit: usize,
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
    /// Listings of folders that one task may hold open at once. Each holds the names of its folder in the host's memory.
    pub listings: usize,
    /// Bytes that a bundle may keep in `/data`.
    pub data_bytes: u64,
    /// Files, folders and links that a bundle may keep in `/data`.
    pub data_entries: u64,
    /// Bytes that a task may keep in `/tmp`.
    pub tmp_bytes: u64,
    /// Files, folders and links that a task may keep in `/tmp`.
    pub tmp_entries: u64,
    /// How old the count of a folder must be before a change that does not fit causes a new one.
    pub recount_after: Duration,
    /// Everything one task's components may hold a handle of at once: the above, each other's things, and the calls, streams
    /// and futures of the asynchronous world.
    pub component_handles: usize,
    /// Requests over HTTP that one task may have under way at once.
    pub http_requests: usize,
    /// Bytes of the body of one request.
    pub http_request_limit: u64,
    /// Bytes of the body of one response.
    pub http_response_limit: u64,
    /// Bytes of the headers of one request or response.
    pub http_headers_limit: usize,
    /// How long a request's name look-up, connection and handshake may take together.
    pub http_connect_time: Duration,
    /// How long a server may take to begin its response, once it has the request.
    pub http_first_byte_time: Duration,
    /// How long a server may be silent in the middle of a response.
    pub http_between_bytes_time: Duration,
    /// Threads for what guests' file operations and name look-ups block on.
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
            linked_code: 256 << 20,
            compiles: 1,
            compile_threads: 2,
            compile_time: Duration::from_secs(300),
            compile_patience: Duration::from_secs(900),
            compile_memory: 2 << 30,
            component_limit: COMPONENT_LIMIT,
            code_limit: 512 << 20,
            cache_limit: 1 << 30,
            log_limit: 1 << 20,
            output_limit: 1 << 20,
            failure_limit: 64 << 10,
            trap_limit: 4 << 10,
            hostcall_fuel: 2 << 20,
            stack: 512 << 10,
            submissions: 1_000,
            title_limit: 256,
            core_instances: 16,
            tables: 4,
            memories: 2,
            table_elements: 100_000,
            handles: 256,
            listings: 32,
            data_bytes: 256 << 20,
            data_entries: 100_000,
            tmp_bytes: 256 << 20,
            tmp_entries: 10_000,
            recount_after: Duration::from_secs(10),
            component_handles: 4096,
            http_requests: 8,
            http_request_limit: 64 << 20,
            http_response_limit: 64 << 20,
            http_headers_limit: 64 << 10,
            http_connect_time: Duration::from_secs(10),
            http_first_byte_time: Duration::from_secs(60),
            http_between_bytes_time: Duration::from_secs(60),
            blocking_threads: 16,
            progress_interval: Duration::from_millis(100),
            register_time: Duration::from_secs(5),
            register_fuel: 10_000_000_000,
            register_memory: 256 << 20,
            stop_patience: Duration::from_secs(5),
        }
    }
}

//! Now, and waiting for later. The only room that reads a clock or sleeps.

use std::{fmt, thread, time::Duration};

use futures_util::future::BoxFuture;

use crate::rules::{Now, Timestamp};

mod manual;
mod system;

pub use manual::ManualClock;
pub use system::SystemClock;

/// When to stop waiting; the earlier of the two, never if both are none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Until {
    pub wall: Option<Timestamp>,
    pub uptime: Option<Duration>,
}

/// The port: reads time and waits for it.
pub trait Clock: Send + Sync + fmt::Debug {
    fn now(&self) -> Now;

    /// Blocks this thread until `until`, or the next `nudge` (also one given before the call), or the wall clock is set.
    fn wait(&self, until: Until);

    /// Ends the current or next `wait`. Cheap, from any thread.
    fn nudge(&self);

    /// Completes once the uptime has reached `uptime`. What must be on time is awaited on the control runtime, never on the
    /// guests'.
    fn reach(&self, uptime: Duration) -> BoxFuture<'static, ()>;
}

/// Blocks this thread for `duration` of real time. It paces the machine (the engine's epochs) and carries no meaning:
/// nothing that a rule decides may depend on it.
#[expect(clippy::disallowed_methods, reason = "this is the room that waits")]
pub fn pause(duration: Duration) {
    thread::sleep(duration);
}

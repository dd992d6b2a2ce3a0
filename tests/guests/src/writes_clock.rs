//! Gives back what its clocks say: milliseconds since 1970, and how many of them a sleep of 20 took by the monotonic clock.

use std::{
    thread,
    time::{Duration, Instant, SystemTime, SystemTimeError},
};

use idlewild_guest::Task;

#[allow(clippy::disallowed_methods, reason = "a guest's clock is the one its host gives it")]
pub(crate) fn run(_: &Task) -> Result<String, SystemTimeError> {
    let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let before = Instant::now();
    thread::sleep(Duration::from_millis(20));
    Ok(format!("wall {} slept {}", wall.as_millis(), before.elapsed().as_millis()))
}

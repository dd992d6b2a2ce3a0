//! Waits at its first attempt until it is stopped, in short sleeps; at any later one says at once which it is.

use std::{thread, time::Duration};

use idlewild_guest::Task;

#[allow(clippy::disallowed_methods, reason = "a guest's clock is the one its host gives it")]
pub(crate) fn run(task: &Task) -> Result<String, String> {
    if task.attempt() > 1 {
        return Ok(format!("attempt {}", task.attempt()));
    }
    loop {
        if let Some(reason) = task.expiration() {
            return Err(format!("stopped waiting: {reason}"));
        }
        thread::sleep(Duration::from_millis(5));
    }
}

//! Gives back how many milliseconds it has left before and after a sleep of a hundred.

use std::{thread, time::Duration};

use idlewild_guest::Task;

#[allow(clippy::disallowed_methods, reason = "a guest's clock is the one its host gives it")]
pub(crate) fn run(task: &Task) -> String {
    let before = task.time_remaining().unwrap_or_default();
    task.set_progress(1, 2);
    thread::sleep(Duration::from_millis(100));
    let after = task.time_remaining().unwrap_or_default();
    format!("{} {}", before.as_millis(), after.as_millis())
}

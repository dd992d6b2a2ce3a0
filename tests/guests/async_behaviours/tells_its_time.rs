//! Gives back how many milliseconds it has left before and after a hundred that it awaits.

use std::time::Duration;

use idlewild_guest::{Task, sleep};

pub(crate) async fn run(task: Task) -> String {
    let before = task.time_remaining().unwrap_or_default();
    task.set_progress(1, 2);
    sleep(Duration::from_millis(100)).await;
    let after = task.time_remaining().unwrap_or_default();
    format!("{} {}", before.as_millis(), after.as_millis())
}

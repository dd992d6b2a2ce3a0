//! Awaits its end at its first attempt; at any later one says at once which it is.

use idlewild_guest::Task;

pub(crate) async fn run(task: Task) -> Result<String, String> {
    match task.attempt() {
        1 => Err(format!("stopped waiting: {}", task.expired().await)),
        attempt => Ok(format!("attempt {attempt}")),
    }
}

//! Awaits a millisecond or its end, reports, awaits an hour or its end, and says what came first each time.

use std::time::Duration;

use idlewild_guest::{Task, sleep};

pub(crate) async fn run(task: Task) -> String {
    let first = wait(&task, Duration::from_millis(1)).await;
    task.set_progress(1, 2);
    format!("{first}, then {}", wait(&task, Duration::from_secs(60 * 60)).await)
}

async fn wait(task: &Task, span: Duration) -> String {
    match task.until_expired(sleep(span)).await {
        Ok(()) => "the time".to_owned(),
        Err(reason) => reason.to_string(),
    }
}

//! Awaits a millisecond or its end, then an hour or its end, and says what came first.

use std::time::Duration;

use idlewild_guest::{Task, sleep};

pub(crate) async fn run(task: Task) -> String {
    let mut told = Vec::new();
    for span in [Duration::from_millis(1), Duration::from_secs(60 * 60)] {
        told.push(match task.until_expired(sleep(span)).await {
            Ok(()) => "the time".to_owned(),
            Err(reason) => reason.to_string(),
        });
    }
    told.join(", then ")
}

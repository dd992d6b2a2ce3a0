//! Waits for a millisecond or its end, then for an hour or its end, and says what came first.

use std::time::Duration;

use idlewild_guest::Task;

pub(crate) fn run(task: &Task) -> String {
    let told = [Duration::from_millis(1), Duration::from_secs(60 * 60)].map(|span| match task.wait(span) {
        None => "the time".to_owned(),
        Some(reason) => reason.to_string(),
    });
    told.join(", then ")
}

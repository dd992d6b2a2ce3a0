//! Waits for a millisecond or its end, reports, waits for an hour or its end, and says what came first each time.

use std::time::Duration;

use idlewild_guest::Task;

pub(crate) fn run(task: &Task) -> String {
    let first = wait(task, Duration::from_millis(1));
    task.set_progress(1, 2);
    format!("{first}, then {}", wait(task, Duration::from_secs(60 * 60)))
}

fn wait(task: &Task, span: Duration) -> String {
    task.wait(span).map_or_else(|| "the time".to_owned(), |reason| reason.to_string())
}

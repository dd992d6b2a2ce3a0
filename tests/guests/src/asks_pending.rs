//! Submits two requests, takes one back, and gives back what is pending: identifier and kind, one request on a line.

use std::time::Duration;

use idlewild_guest::{Request, SubmitError, Task, cancel, pending};

pub(crate) fn run(_: &Task) -> Result<String, SubmitError> {
    for identifier in ["test.behaviours.succeeds", "test.behaviours.fails"] {
        Request::processing(identifier).earliest_begin_in(Duration::from_secs(60 * 60)).submit()?;
    }
    cancel("test.behaviours.fails");
    let lines = pending().into_iter().map(|request| format!("{} {}", request.identifier, request.kind));
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

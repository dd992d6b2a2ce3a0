//! Submits itself for a minute from now, and tells whether that took the place of an earlier request.

use std::time::Duration;

use idlewild_guest::{Request, SubmitError, Task};

pub(crate) fn run(task: &Task) -> Result<String, SubmitError> {
    let request = Request::app_refresh(task.identifier()).earliest_begin_in(Duration::from_secs(60));
    Ok(format!("replaced: {}", request.submit()?.replaced))
}

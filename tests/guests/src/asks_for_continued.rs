//! Asks for continued work, which only a person may, and gives back the refusal.

use idlewild_guest::{Request, Task};

pub(crate) fn run(_: &Task) -> Result<String, String> {
    match Request::continued_processing("test.behaviours.shows-its-work", "Export", "to disk").submit() {
        Ok(submission) => Err(format!("accepted as request {}", submission.request_id)),
        Err(refusal) => Ok(format!("{}: {}", refusal.code, refusal.message)),
    }
}

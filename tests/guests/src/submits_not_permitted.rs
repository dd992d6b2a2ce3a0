//! Submits an identifier its manifest does not permit, and gives back the code of the refusal.

use idlewild_guest::{Request, Task};

pub(crate) fn run(_: &Task) -> Result<String, String> {
    match Request::processing("test.behaviours.unheard-of").submit() {
        Ok(submission) => Err(format!("accepted as request {}", submission.request_id)),
        Err(refusal) => Ok(refusal.code.to_string()),
    }
}

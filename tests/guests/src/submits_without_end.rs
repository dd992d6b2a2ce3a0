//! Submits one request after another until one is refused, and tells how many there were and why.

use idlewild_guest::{Request, Task};

pub(crate) fn run(task: &Task) -> String {
    for submitted in 0..1_000_000_u32 {
        if let Err(refusal) = Request::app_refresh(task.identifier()).submit() {
            return format!("{submitted} submitted, then {refusal}");
        }
    }
    "nobody counts".to_owned()
}

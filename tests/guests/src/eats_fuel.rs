//! Computes until it is told to stop, which for lack of other reasons is when its fuel is spent, and gives the reason.

use idlewild_guest::{ExpirationReason, Task};

use crate::work::slice;

pub(crate) fn run(task: &Task) -> Result<String, String> {
    loop {
        slice();
        match task.expiration() {
            Some(ExpirationReason::FuelLimit) => return Ok("stopped: fuel-limit".to_owned()),
            Some(reason) => return Err(format!("stopped before its fuel was spent: {reason}")),
            None => {}
        }
    }
}

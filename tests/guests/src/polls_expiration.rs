//! Works in slices and asks between them whether to stop; then saves a checkpoint and says why it stopped.

use idlewild_guest::{CheckpointError, Task};

use crate::work::slice;

pub(crate) fn run(task: &Task) -> Result<String, CheckpointError> {
    for slices in 0_u64.. {
        if let Some(reason) = task.expiration() {
            task.save_checkpoint(slices.to_string())?;
            return Ok(format!("tidied: {reason}"));
        }
        slice();
    }
    unreachable!("nobody counts that far")
}

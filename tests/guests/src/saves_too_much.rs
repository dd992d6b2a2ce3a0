//! Saves a checkpoint larger than any host keeps by default, and gives back the refusal.

use idlewild_guest::Task;

pub(crate) fn run(task: &Task) -> Result<String, &'static str> {
    match task.save_checkpoint(vec![0; (1 << 20) + 1]) {
        Ok(()) => Err("the checkpoint was kept"),
        Err(refusal) => Ok(refusal.message),
    }
}

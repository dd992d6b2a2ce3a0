//! Reports ten of ten units, one by one, under a title that changes.

use idlewild_guest::Task;

use crate::work::slice;

pub(crate) fn run(task: &Task) {
    for completed in 1..=10 {
        slice();
        task.update_title("Counting", &format!("{completed} of 10"));
        task.set_progress(completed, 10);
    }
}

//! Spins for ever, asking the host something at every turn and heeding no answer.

use std::hint::black_box;

use idlewild_guest::Task;

pub(crate) fn run(task: &Task) {
    loop {
        black_box(task.expiration());
    }
}

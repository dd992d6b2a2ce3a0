//! Sees that it should stop and goes on, in short sleeps: only dropping the call between two of them can stop it.

use std::{thread, time::Duration};

use idlewild_guest::Task;

#[allow(clippy::disallowed_methods, reason = "a guest's clock is the one its host gives it")]
pub(crate) fn run(task: &Task) {
    let mut told = false;
    loop {
        if task.is_expiring() && !told {
            println!("asked to stop, going on");
            told = true;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

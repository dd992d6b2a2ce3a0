//! Sees that it should stop and awaits on, a little at a time: only dropping the call between two of them can stop it.

use std::time::Duration;

use idlewild_guest::{Task, sleep};

pub(crate) async fn run(task: Task) {
    let mut told = false;
    loop {
        if task.is_expiring() && !told {
            println!("asked to stop, going on");
            told = true;
        }
        sleep(Duration::from_millis(5)).await;
    }
}

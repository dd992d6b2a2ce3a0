//! Shows a title and a third of its progress, and then goes on as its input says: heeds its end and succeeds or fails, or sleeps,
//! awaits or computes past it.

use std::{hint::black_box, thread, time::Duration};

use idlewild_guest::{Task, sleep};

const HOUR: Duration = Duration::from_secs(60 * 60);

#[allow(clippy::disallowed_methods, reason = "a guest's clock is the one its host gives it")]
pub(crate) async fn run(task: Task) -> Result<String, String> {
    task.update_title("Showing", "1 of 3");
    task.set_progress(1, 3);
    match task.input() {
        b"sleeps" => thread::sleep(HOUR),
        b"awaits" => sleep(HOUR).await,
        b"computes" => spin(),
        _ => {}
    }
    let said = format!("tidied: {}", task.expired().await);
    if task.input() == b"fails" { Err(said) } else { Ok(said) }
}

fn spin() -> ! {
    let mut turns = 0_u32;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

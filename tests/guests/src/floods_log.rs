//! Writes 4 MiB to its log, then succeeds.

use idlewild_guest::Task;

pub(crate) fn run(_: &Task) {
    let line = "x".repeat(1023);
    for _ in 0..4 * 1024 {
        println!("{line}");
    }
}

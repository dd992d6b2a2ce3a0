//! Traps: panics, whose message goes to the log.

use idlewild_guest::Task;

pub(crate) fn run(_: &Task) {
    panic!("trapped on purpose");
}

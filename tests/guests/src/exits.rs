//! Exits its process, which a task does not have.

use std::process;

use idlewild_guest::Task;

pub(crate) fn run(_: &Task) {
    process::exit(3);
}

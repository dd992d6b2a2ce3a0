//! Fails, with a message.

use idlewild_guest::Task;

pub(crate) fn run(_: &Task) -> Result<(), &'static str> {
    Err("failed on purpose")
}

//! Sleeps an hour in one call of the host, far past any deadline.

use std::{thread, time::Duration};

use idlewild_guest::Task;

#[allow(clippy::disallowed_methods, reason = "a guest's clock is the one its host gives it")]
pub(crate) fn run(_: &Task) {
    thread::sleep(Duration::from_secs(60 * 60));
}

//! Awaits an hour and nothing else, far past any deadline.

use std::time::Duration;

use idlewild_guest::{Task, sleep};

pub(crate) async fn run(_: Task) {
    sleep(Duration::from_secs(60 * 60)).await;
}

//! Submits when it is activated, and then fails if its data hold a file that tells it to.

mod misfit;

use std::path::Path;

use misfit::idlewild::background_tasks::{
    scheduler,
    types::{Priority, Request, TaskKind},
};

fn activate() -> Result<(), String> {
    let request = Request {
        identifier: "test.misfits.work".to_owned(),
        kind: TaskKind::AppRefresh,
        // The year 2100.
        earliest_begin: Some(4_102_444_800_000),
        latest_begin: None,
        input: b"submitted by activate".to_vec(),
        priority: Priority::Normal,
        run_after: Vec::new(),
        repeat: None,
        retry: None,
        may_suspend: false,
    };
    let replaced = scheduler::submit(&request).map_err(|error| error.message)?.replaced;
    let pending = scheduler::pending_requests().len();
    match Path::new("/data/fail").exists() {
        true => Err(format!("told to fail; replaced: {replaced}, pending: {pending}")),
        false => Ok(()),
    }
}

misfit::misfit!(|| ["test.misfits.work", "test.misfits.rest"], activate);

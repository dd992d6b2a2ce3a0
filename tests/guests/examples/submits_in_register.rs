//! Submits a request where none may be, heeds no answer, and registers what it should.

mod misfit;

use misfit::idlewild::background_tasks::{
    scheduler,
    types::{Priority, Request, TaskKind},
};

fn register() -> [&'static str; 2] {
    let answer = scheduler::submit(&Request {
        identifier: "test.misfits.work".to_owned(),
        kind: TaskKind::AppRefresh,
        earliest_begin: None,
        latest_begin: None,
        input: Vec::new(),
        priority: Priority::Normal,
        run_after: Vec::new(),
        repeat: None,
        retry: None,
        may_suspend: false,
    });
    drop(answer);
    ["test.misfits.work", "test.misfits.rest"]
}

misfit::misfit!(register, || Ok(()));

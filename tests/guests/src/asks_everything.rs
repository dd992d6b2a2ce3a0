//! Calls every function of the contract once or more, and gives back the answers, one on a line. What differs from launch to
//! launch is told as whether it is there.

use std::time::Duration;

use idlewild_guest::{Priority, Request, SubmitError, Task, cancel, cancel_all, pending, supports_gpu};

const OTHERS: [&str; 2] = ["test.behaviours.succeeds", "test.behaviours.fails"];

pub(crate) fn run(task: &Task) -> String {
    let before = task.fuel_remaining();
    let mut said = vec![
        format!("task {} of {} with {} bytes", task.id(), task.identifier(), task.input().len()),
        format!("kind {}, attempt {}", task.kind(), task.attempt()),
        format!("time {}", task.time_remaining().is_some_and(|time| time > Duration::ZERO)),
        format!("expiration {:?}", task.expiration()),
        format!("checkpoint {:?}", task.checkpoint()),
        format!("save {:?}", task.save_checkpoint("kept")),
        format!("checkpoint {:?}", task.checkpoint()),
        format!("save too much {:?}", task.save_checkpoint(vec![0; (1 << 20) + 1])),
    ];
    task.set_progress(12, 10);
    task.update_title(&"Asking ".repeat(100), "everything");
    for identifier in [OTHERS[0], OTHERS[1], OTHERS[0], "test.behaviours.unheard-of", "no name"] {
        said.push(format!("submit {identifier} {}", submit(identifier)));
    }
    said.push(format!("pending {}", waiting()));
    cancel(OTHERS[0]);
    cancel("no name");
    said.push(format!("pending {}", waiting()));
    cancel_all();
    said.push(format!("pending {}", waiting()));
    said.push(format!("gpu {}", supports_gpu()));
    said.push(format!("fuel {}", task.fuel_remaining() < before));
    said.join("\n")
}

fn submit(identifier: &str) -> String {
    let request = Request::processing(identifier).earliest_begin_in(Duration::from_secs(60)).priority(Priority::High);
    match request.submit() {
        Ok(submission) => format!("request {}, replaced {}", submission.request_id, submission.replaced),
        Err(SubmitError { code, .. }) => code.to_string(),
    }
}

fn waiting() -> String {
    pending().into_iter().map(|request| request.identifier).collect::<Vec<_>>().join(" ")
}

//! What a handler may take.

use crate::Task;

/// What a handler may take by value: the task, or its input as bytes or text, or as [`Json`](crate::Json). An input that is not what the
/// handler takes fails the task, with a message that says so.
#[diagnostic::on_unimplemented(
    message = "a handler cannot take `{Self}`",
    label = "take `&Task` or `Task`, and an input as `Vec<u8>`, `String` or `Json<…>`"
)]
pub trait Input: Sized {
    /// What the handler is given, or the message of failure.
    fn from_task(task: &Task) -> Result<Self, String>;
}

impl Input for Task {
    fn from_task(task: &Task) -> Result<Task, String> {
        Ok(task.clone())
    }
}

impl Input for Vec<u8> {
    fn from_task(task: &Task) -> Result<Vec<u8>, String> {
        Ok(task.input().to_vec())
    }
}

impl Input for String {
    fn from_task(task: &Task) -> Result<String, String> {
        let text = str::from_utf8(task.input());
        text.map(str::to_owned).map_err(|error| format!("the input of {} is not text: {error}", task.identifier()))
    }
}

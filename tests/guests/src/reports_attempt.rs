//! Tells its attempt, its number and its kind.

use idlewild_guest::Task;

pub(crate) fn run(task: &Task) -> String {
    format!("attempt {} task {} {}", task.attempt(), task.id(), task.kind())
}

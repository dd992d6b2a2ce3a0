//! Succeeds: gives back its input, with a line on each of the two outputs.

use idlewild_guest::Task;

pub(crate) fn run(task: &Task) -> Vec<u8> {
    println!("a line on standard output");
    eprintln!("a line on standard error");
    task.input().to_vec()
}

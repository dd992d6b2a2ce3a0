//! Gives itself a title of as many bytes as its input says.

use idlewild_guest::Task;

pub(crate) fn run(task: &Task) -> Result<String, String> {
    let bytes: usize = String::from_utf8_lossy(task.input()).parse().map_err(|_| "the input is no number")?;
    task.update_title(&"t".repeat(bytes), "said at length");
    Ok("said".to_owned())
}

//! Makes files, folders and links in the folder that its input names until that is refused; then removes one, and makes another.
//! Tells how many there were, and why there were no more.

use std::fs::{self, File};

use idlewild_guest::Task;

pub(crate) fn run(task: &Task) -> Result<String, String> {
    let folder = String::from_utf8_lossy(task.input()).into_owned();
    let at = |number: usize| format!("{folder}/{number}");
    File::create(at(0)).map_err(|error| error.to_string())?;
    let mut made = 1;
    let refusal = loop {
        let making = match made % 3 {
            0 => File::create(at(made)).map(drop),
            1 => fs::create_dir(at(made)),
            _ => fs::hard_link(at(0), at(made)),
        };
        match making {
            Ok(()) => made += 1,
            Err(error) => break error.kind(),
        }
    };
    fs::remove_dir(at(1)).map_err(|error| error.to_string())?;
    fs::rename(at(2), at(0)).map_err(|error| error.to_string())?;
    File::create(at(made)).map_err(|error| error.to_string())?;
    Ok(format!("{made} entries, {refusal:?}"))
}

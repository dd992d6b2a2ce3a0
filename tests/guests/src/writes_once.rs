//! Writes a line into the file that its input names, which must be there, and tells what came of it.

use std::{fs::File, io::Write};

use idlewild_guest::Task;

pub(crate) fn run(task: &Task) -> Result<String, String> {
    let path = String::from_utf8_lossy(task.input()).into_owned();
    let mut file = File::options().write(true).open(&path).map_err(|error| format!("{path}: {error}"))?;
    file.write_all(b"a line\n").and_then(|()| file.flush()).map_err(|error| format!("not written: {error}"))?;
    Ok("written".to_owned())
}

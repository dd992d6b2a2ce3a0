//! Keeps files of 100 KiB without a name and open, until one more is refused; then closes them all, and has room for that one.
//! Tells how many there were.

use std::{
    fs::{self, File},
    io::Write,
};

use idlewild_guest::Task;

pub(crate) fn run(_: &Task) -> Result<String, String> {
    let mut hidden = Vec::new();
    loop {
        match hide() {
            Ok(file) => hidden.push(file),
            Err(_) => break,
        }
        if hidden.len() > 100 {
            return Err("nobody counts what has no name".to_owned());
        }
    }
    let many = hidden.len();
    drop(hidden);
    hide().map_err(|error| format!("{many} were closed, then {error}"))?;
    Ok(format!("{many} files"))
}

fn hide() -> std::io::Result<File> {
    let mut file = File::create("/data/hidden")?;
    let written = file.write_all(&[7; 100 << 10]).and_then(|()| file.flush());
    fs::remove_file("/data/hidden")?;
    written.map(|()| file)
}

//! Counts its launches in a file of `/data`, and gives back the count.

use std::{error::Error, fs, io};

use idlewild_guest::Task;

pub(crate) fn run(_: &Task) -> Result<String, Box<dyn Error>> {
    let count = match fs::read_to_string("/data/count") {
        Ok(text) => text.parse::<u64>()?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error.into()),
    } + 1;
    fs::write("/data/count", count.to_string())?;
    Ok(count.to_string())
}

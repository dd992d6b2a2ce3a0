//! Lists the granted folder `/shared`: names in order, one on a line.

use std::{fs, io};

use idlewild_guest::Task;

pub(crate) fn run(_: &Task) -> io::Result<String> {
    let names = fs::read_dir("/shared")?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names = names.collect::<io::Result<Vec<String>>>()?;
    names.sort();
    Ok(names.join("\n"))
}

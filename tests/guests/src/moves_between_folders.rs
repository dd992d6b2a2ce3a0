//! Moves and links a file from `/tmp` to `/data`, which are different devices; then inside `/data`, which works.

use std::{fs, io};

use idlewild_guest::Task;

pub(crate) fn run(_: &Task) -> io::Result<String> {
    fs::write("/tmp/file", "x")?;
    let moved = fs::rename("/tmp/file", "/data/file").expect_err("a file cannot change its device").kind();
    let linked = fs::hard_link("/tmp/file", "/data/file").expect_err("a link stays on its device").kind();
    fs::copy("/tmp/file", "/data/file")?;
    fs::create_dir_all("/data/folder")?;
    fs::rename("/data/file", "/data/folder/file")?;
    fs::hard_link("/data/folder/file", "/data/again")?;
    Ok(format!("{moved:?} {linked:?} {}", fs::read_to_string("/data/again")?))
}

//! Asks for length without content: a terabyte at once, and a byte far behind the end. Then for a length that fits.

use std::{
    fs::File,
    io::{self, Seek, SeekFrom, Write},
};

use idlewild_guest::Task;

pub(crate) fn run(_: &Task) -> io::Result<String> {
    let mut file = File::create("/data/sparse")?;
    let stretched = file.set_len(1 << 40).expect_err("a terabyte is refused").kind();
    file.seek(SeekFrom::Start(1 << 40))?;
    let written = file.write_all(b"x").and_then(|()| file.flush()).expect_err("so is a byte behind it");
    let mut file = File::options().write(true).open("/data/sparse")?;
    file.set_len(10_000)?;
    file.set_len(100)?;
    file.write_all(b"x")?;
    Ok(format!("{stretched:?}, {written}, {}", file.metadata()?.len()))
}

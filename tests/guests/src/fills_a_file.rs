//! Writes into the file that its input names until that is refused; then removes the file and writes again. Tells how much
//! there was, why there was no more, and whether there is room again.

use std::{
    fs::{self, File},
    io::Write,
};

use idlewild_guest::Task;

const PIECE: usize = 64 << 10;

pub(crate) fn run(task: &Task) -> Result<String, String> {
    let path = String::from_utf8_lossy(task.input()).into_owned();
    let mut file = File::create(&path).map_err(|error| format!("{path}: {error}"))?;
    let mut written = 0;
    let refusal = loop {
        match file.write_all(&[7; PIECE]).and_then(|()| file.flush()) {
            Ok(()) => written += PIECE,
            Err(error) => break error,
        }
    };
    drop(file);
    let again = match fs::remove_file(&path).and_then(|()| fs::write(&path, [7; PIECE])) {
        Ok(()) => "there is room again".to_owned(),
        Err(error) => error.to_string(),
    };
    Ok(format!("{written} bytes, {refusal}, {again}"))
}

//! Makes the sample gallery in a folder: `gallery-samples FOLDER`, or `gallery-samples --later FOLDER` for the two pictures that
//! come after a first count.

use std::{env, io, path::Path, process::ExitCode};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let made = match arguments.as_slice() {
        ["--later", folder] => gallery_samples::make_later(Path::new(folder)),
        [folder] if !folder.starts_with('-') => gallery_samples::make(Path::new(folder)),
        _ => Err(io::Error::other("usage: gallery-samples [--later] FOLDER")),
    };
    match made {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

#[allow(clippy::print_stderr, reason = "a program's message to the person who called it")]
fn fail(error: &io::Error) -> ExitCode {
    eprintln!("gallery-samples: {error}");
    ExitCode::FAILURE
}

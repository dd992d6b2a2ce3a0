//! The binary `idlewild`: logs for operators, then the command line.

use std::{io, process::ExitCode};

use tracing::Level;

fn main() -> ExitCode {
    tracing_subscriber::fmt().with_max_level(Level::WARN).with_writer(io::stderr).init();
    idlewild::cli::main()
}

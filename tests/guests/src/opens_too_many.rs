//! Opens one file again and again, and keeps it open each time.

use std::fs::File;

use idlewild_guest::Task;

pub(crate) fn run(_: &Task) -> Result<String, String> {
    let mut open = Vec::new();
    for _ in 0..10_000 {
        open.push(File::create("/tmp/file").map_err(|error| format!("{} open, then {error}", open.len()))?);
    }
    Ok("nobody counts".to_owned())
}

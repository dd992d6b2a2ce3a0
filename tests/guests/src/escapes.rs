//! Tries to leave what it was given, and tells what came of each try: `refused` or `reached`, one on a line.

use std::{fs, io};

use idlewild_guest::Task;

type Try = (&'static str, fn() -> io::Result<()>);

pub(crate) fn run(_: &Task) -> String {
    let tries: [Try; 7] = [
        ("list /", || fs::read_dir("/").map(drop)),
        ("list /data/..", || fs::read_dir("/data/..").map(drop)),
        ("read /etc/passwd", || fs::read("/etc/passwd").map(drop)),
        ("read /data/../../../../etc/passwd", || fs::read("/data/../../../../etc/passwd").map(drop)),
        ("write /data/../escaped", || fs::write("/data/../escaped", "escaped")),
        ("rename /data to /data/../moved", || fs::rename("/data", "/data/../moved")),
        ("link /etc/passwd into /data", || fs::hard_link("/etc/passwd", "/data/passwd")),
    ];
    let tell = |(name, attempt): &Try| match attempt() {
        Ok(()) => format!("{name}: reached"),
        Err(error) => format!("{name}: refused ({})", error.kind()),
    };
    tries.iter().map(tell).collect::<Vec<_>>().join("\n")
}

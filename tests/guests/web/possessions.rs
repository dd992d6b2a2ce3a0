//! What a guest finds around it: its environment, no sockets, random numbers.

use std::{
    env,
    io::{Write, stdout},
    net::{TcpStream, ToSocketAddrs, UdpSocket},
};

use idlewild_guest::{Request, Task};
use wasip2::random::{insecure, random};

/// `NAME=VALUE`, one on a line: what it returns goes to its log too.
#[allow(clippy::disallowed_methods, reason = "a guest's environment is what it was given")]
pub(crate) fn print_environment(_: &Task) -> String {
    let mut variables: Vec<String> = env::vars().map(|(name, value)| format!("{name}={value}")).collect();
    variables.sort();
    let all = variables.join("\n");
    println!("{all}");
    all
}

/// Prints its environment in pieces of three bytes, and fails with all of it behind its input.
#[allow(clippy::disallowed_methods, reason = "a guest's environment is what it was given")]
pub(crate) fn tell_environment(input: &[u8]) -> Result<(), String> {
    let all: String = env::vars().map(|(name, value)| format!("{name}={value}")).collect();
    let mut out = stdout();
    for piece in all.as_bytes().chunks(3) {
        out.write_all(piece).and_then(|()| out.flush()).map_err(|error| error.to_string())?;
    }
    Err(format!("{}{all}", String::from_utf8_lossy(input)))
}

/// Takes its environment for its title, and behind its input for that of a request.
#[allow(clippy::disallowed_methods, reason = "a guest's environment is what it was given")]
pub(crate) fn title_by_environment(task: &Task) -> Result<(), String> {
    let all: String = env::vars().map(|(name, value)| format!("{name}={value}")).collect();
    let behind = format!("{}{all}", String::from_utf8_lossy(task.input()));
    task.update_title(&all, &behind);
    Request::continued_processing("test.web.other", &behind, &all).submit().map_err(|error| error.to_string())?;
    Ok(())
}

/// Tries to speak past HTTP to the address of its input, and tells what came of each try.
pub(crate) fn open_sockets(input: &[u8]) -> String {
    let address = String::from_utf8_lossy(input).into_owned();
    let tell = |name: &str, reached: bool| format!("{name}: {}", if reached { "reached" } else { "refused" });
    let by_datagram = || UdpSocket::bind("127.0.0.1:0")?.send_to(b"anybody?", &address);
    [
        tell("TCP", TcpStream::connect(&address).is_ok()),
        tell("UDP", by_datagram().is_ok()),
        tell("a name", ("localhost", 80).to_socket_addrs().is_ok()),
    ]
    .join("\n")
}

/// No two of these are ever the same.
pub(crate) fn draw_random(_: &Task) -> String {
    let drawn = [random::get_random_u64(), random::get_random_u64(), insecure::get_insecure_random_u64()];
    let bytes = random::get_random_bytes(16);
    format!("{} {} {} {bytes:?}", drawn[0], drawn[1], drawn[2])
}

//! WASI 0.3 as a guest meets it: what is denied, and what it is given.

use super::wasi::{
    cli::{environment, stdin, stdout},
    filesystem::{
        preopens,
        types::{Descriptor, DescriptorFlags, OpenFlags, PathFlags},
    },
    random::random,
    sockets::{
        ip_name_lookup,
        types::{IpAddressFamily, TcpSocket, UdpSocket},
    },
};

/// Tries what it was not given, and tells what came of each try: `refused` or `reached`, one on a line.
pub(crate) async fn is_denied() -> String {
    let data = folder("/data");
    let read =
        |path: &'static str| async { open(&data, path, OpenFlags::empty(), DescriptorFlags::READ).await.is_ok() };
    let write =
        |path: &'static str| async { open(&data, path, OpenFlags::CREATE, DescriptorFlags::WRITE).await.is_ok() };
    let (mut input, _) = stdin::read_via_stream();
    let tries = [
        ("environment", !environment::get_environment().is_empty()),
        ("arguments", !environment::get_arguments().is_empty()),
        ("standard input", input.next().await.is_some()),
        ("another folder", preopens::get_directories().iter().any(|(_, name)| name != "/data" && name != "/tmp")),
        ("read ../..", read("../../lock").await),
        ("read /etc/passwd", read("/etc/passwd").await),
        ("write ../escaped", write("../escaped").await),
        ("look up a name", ip_name_lookup::resolve_addresses("localhost".to_owned()).await.is_ok()),
        ("TCP", TcpSocket::create(IpAddressFamily::Ipv4).is_ok()),
        ("UDP", UdpSocket::create(IpAddressFamily::Ipv4).is_ok()),
    ];
    let tell = |(name, reached): (&str, bool)| format!("{name}: {}", if reached { "reached" } else { "refused" });
    tries.map(tell).join("\n")
}

/// Writes its input into a file of `/data`, and reads it again through the standard library, which speaks WASI 0.2; then the
/// other way round.
pub(crate) async fn copies(input: &[u8]) -> Result<String, String> {
    let data = folder("/data");
    let there = open(&data, "there", OpenFlags::CREATE, DescriptorFlags::WRITE).await?;
    let (mut writer, reader) = super::wit_stream::new();
    let written = there.write_via_stream(reader, 0);
    let left = writer.write_all(input.to_vec()).await;
    drop(writer);
    written.await.map_err(|error| format!("{error:?}"))?;
    let read = std::fs::read("/data/there").map_err(|error| error.to_string())?;
    std::fs::write("/data/back", &read).map_err(|error| error.to_string())?;
    let back = open(&data, "back", OpenFlags::empty(), DescriptorFlags::READ).await?;
    let (reader, ended) = back.read_via_stream(0);
    let copied = reader.collect().await;
    ended.await.map_err(|error| format!("{error:?}"))?;
    assert!(left.is_empty() && random::get_random_u64() != random::get_random_u64());
    String::from_utf8(copied).map_err(|error| error.to_string())
}

/// Writes its input to standard output.
pub(crate) async fn prints(input: &[u8]) -> String {
    let (mut writer, reader) = super::wit_stream::new();
    let written = stdout::write_via_stream(reader);
    let left = writer.write_all(input.to_vec()).await;
    drop(writer);
    format!("{} left, {:?}", left.len(), written.await)
}

fn folder(name: &str) -> Descriptor {
    let folders = preopens::get_directories();
    folders.into_iter().find(|(_, other)| other == name).expect("it is always there").0
}

async fn open(folder: &Descriptor, path: &str, how: OpenFlags, flags: DescriptorFlags) -> Result<Descriptor, String> {
    let opened = folder.open_at(PathFlags::empty(), path.to_owned(), how, flags).await;
    opened.map_err(|error| format!("{path}: {error:?}"))
}

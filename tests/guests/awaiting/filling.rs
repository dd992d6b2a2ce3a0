//! `/data` through the streams of WASI 0.3, up to its quota and beyond.

use std::fs;

use super::{
    given::{folder, open},
    wasi::filesystem::types::{DescriptorFlags, ErrorCode, OpenFlags, PathFlags},
    wit_stream,
};

const PIECE: usize = 64 << 10;

/// Writes into a file until that is refused, in both ways; then removes it and writes again.
pub(crate) async fn fills_a_file() -> Result<String, String> {
    let data = folder("/data");
    let mut said = Vec::new();
    for append in [false, true] {
        let file = open(&data, "fill", OpenFlags::CREATE | OpenFlags::TRUNCATE, DescriptorFlags::WRITE).await?;
        let (mut writer, reader) = wit_stream::new();
        let ended = if append { file.append_via_stream(reader) } else { file.write_via_stream(reader, 0) };
        let mut pieces = 0;
        while writer.write_all(vec![7; PIECE]).await.is_empty() {
            pieces += 1;
        }
        drop(writer);
        let refusal: Result<(), ErrorCode> = ended.await;
        let length = fs::metadata("/data/fill").map_err(|error| error.to_string())?.len();
        said.push(format!("{pieces} pieces, {length} bytes, {refusal:?}"));
    }
    data.unlink_file_at("fill".to_owned()).await.map_err(|error| format!("{error:?}"))?;
    let file = open(&data, "fill", OpenFlags::CREATE, DescriptorFlags::WRITE).await?;
    let stretched = file.set_size(1 << 40).await;
    file.set_size(PIECE as u64).await.map_err(|error| format!("{error:?}"))?;
    said.push(format!("{stretched:?}"));
    Ok(said.join("; "))
}

/// Makes folders until that is refused, and lists them; then moves one to `/tmp`, which is another device.
pub(crate) async fn fills_a_folder() -> Result<String, String> {
    let (data, tmp) = (folder("/data"), folder("/tmp"));
    let mut made = 0;
    let refusal = loop {
        match data.create_directory_at(format!("folder {made}")).await {
            Ok(()) => made += 1,
            Err(error) => break error,
        }
    };
    let (names, ended) = data.read_directory();
    let listed = names.collect().await.len();
    ended.await.map_err(|error| format!("{error:?}"))?;
    let moved = data.rename_at("folder 0".to_owned(), &tmp, "folder".to_owned()).await;
    let linked = data.link_at(PathFlags::empty(), "folder 0".to_owned(), &tmp, "folder".to_owned()).await;
    data.remove_directory_at("folder 0".to_owned()).await.map_err(|error| format!("{error:?}"))?;
    data.symlink_at("x".to_owned(), "link".to_owned()).await.map_err(|error| format!("{error:?}"))?;
    Ok(format!("{made} made, {refusal:?}, {listed} listed, {moved:?}, {linked:?}"))
}

/// Begins many listings and takes nothing of them.
pub(crate) async fn lists_and_leaves_it() -> String {
    let data = folder("/data");
    let listings: Vec<_> = (0..100).map(|_| data.read_directory()).collect();
    let mut begun = Vec::new();
    for (mut names, ended) in listings {
        let first = names.next().await.is_some();
        begun.push((names, ended, first));
    }
    let file = open(&data, "still", OpenFlags::CREATE, DescriptorFlags::WRITE).await;
    format!("{} begun, {}", begun.len(), file.is_ok())
}

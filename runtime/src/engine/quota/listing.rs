//! The names in a folder as a stream of WASI 0.3, read some at a time when the guest takes them: a guest that does not holds
//! neither a thread nor much memory.

use std::{
    fs::File,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use rustix::fs::{AtFlags, Dir, DirEntry, FileType, Mode, OFlags, openat, statat};
use tokio::sync::oneshot;
use wasmtime::{
    StoreContextMut,
    component::{Destination, StreamProducer, StreamResult, VecBuffer},
};
use wasmtime_wasi::{
    p3::bindings::filesystem::types::{DescriptorType, DirectoryEntry, ErrorCode},
    runtime::{AbortOnDropJoinHandle, spawn_blocking},
};

/// How many names are read at a time.
const SOME: usize = 64;

/// What comes of reading some.
type Read = Result<(Reader, Vec<DirectoryEntry>), ErrorCode>;

pub(super) struct Listing {
    /// None while it reads, and when nothing more comes.
    reader: Option<Reader>,
    reading: Option<AbortOnDropJoinHandle<Read>>,
    result: Option<oneshot::Sender<Result<(), ErrorCode>>>,
}

struct Reader {
    folder: Arc<File>,
    names: Option<Dir>,
}

impl Listing {
    /// `result` hears how it ended, when it has.
    pub(super) fn new(folder: Arc<File>, result: oneshot::Sender<Result<(), ErrorCode>>) -> Listing {
        Listing { reader: Some(Reader { folder, names: None }), reading: None, result: Some(result) }
    }

    fn end(&mut self, result: Result<(), ErrorCode>) {
        if let Some(sender) = self.result.take() {
            sender.send(result).ok();
        }
    }
}

impl Reader {
    /// The next names; none at the end.
    fn read(mut self) -> Read {
        let names = match &mut self.names {
            Some(names) => names,
            none => none.insert(open(&self.folder).map_err(code)?),
        };
        let mut entries = Vec::new();
        while entries.len() < SOME {
            let Some(entry) = names.next() else { break };
            let entry = entry.map_err(code)?;
            if entry.file_name() != c"." && entry.file_name() != c".." {
                entries.extend(described(&self.folder, &entry)?);
            }
        }
        Ok((self, entries))
    }
}

/// A guest's handle of a folder may be one that can only be passed through.
fn open(folder: &File) -> rustix::io::Result<Dir> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Dir::new(openat(folder, c".", flags, Mode::empty())?)
}

/// A name and what it is of. None: it has vanished.
fn described(folder: &File, entry: &DirEntry) -> Result<Option<DirectoryEntry>, ErrorCode> {
    let mut file_type = entry.file_type();
    if file_type == FileType::Unknown {
        let Ok(stat) = statat(folder, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) else { return Ok(None) };
        file_type = FileType::from_raw_mode(stat.st_mode);
    }
    let name = entry.file_name().to_str().map_err(|_| ErrorCode::IllegalByteSequence)?.to_owned();
    let type_ = match file_type {
        FileType::RegularFile => DescriptorType::RegularFile,
        FileType::Directory => DescriptorType::Directory,
        FileType::Symlink => DescriptorType::SymbolicLink,
        FileType::Fifo => DescriptorType::Fifo,
        FileType::Socket => DescriptorType::Socket,
        FileType::CharacterDevice => DescriptorType::CharacterDevice,
        FileType::BlockDevice => DescriptorType::BlockDevice,
        FileType::Unknown => DescriptorType::Other(None),
    };
    Ok(Some(DirectoryEntry { type_, name }))
}

fn code(error: rustix::io::Errno) -> ErrorCode {
    io::Error::from(error).into()
}

impl<D> StreamProducer<D> for Listing {
    type Item = DirectoryEntry;
    type Buffer = VecBuffer<DirectoryEntry>;

    fn poll_produce(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut store: StoreContextMut<'_, D>,
        mut destination: Destination<'_, Self::Item, Self::Buffer>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        if destination.remaining(&mut store) == Some(0) {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        if let Some(reader) = self.reader.take() {
            self.reading = Some(spawn_blocking(move || reader.read()));
        }
        let Some(reading) = &mut self.reading else { return Poll::Ready(Ok(StreamResult::Dropped)) };
        let read = match Pin::new(reading).poll(context) {
            // What is read meanwhile is given to the next that asks.
            Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
            read => ready!(read),
        };
        self.reading = None;
        match read {
            Ok((_, entries)) if entries.is_empty() => self.end(Ok(())),
            Ok((reader, entries)) => {
                self.reader = Some(reader);
                destination.set_buffer(entries.into());
                return Poll::Ready(Ok(StreamResult::Completed));
            }
            Err(error) => self.end(Err(error)),
        }
        Poll::Ready(Ok(StreamResult::Dropped))
    }
}

impl Drop for Listing {
    fn drop(&mut self) {
        self.end(Ok(()));
    }
}

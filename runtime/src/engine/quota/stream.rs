//! A file's `output-stream`: one write at a time, each within the quota.

use std::{io, mem, sync::Arc};

use bytes::Bytes;
use wasmtime_wasi::{
    async_trait,
    p2::{OutputStream, Pollable, StreamError, StreamResult},
    runtime::{AbortOnDropJoinHandle, spawn},
};

use super::{
    account::OpenFile,
    folder::{Folder, Place},
};

/// How many bytes a guest may hand over in one write.
const PERMIT: usize = 64 << 10;

pub(super) struct FileStream {
    folder: Arc<Folder>,
    file: Arc<OpenFile>,
    place: Place,
    state: State,
}

enum State {
    Ready,
    /// A write is under way; it gives the place of the next.
    Writing(AbortOnDropJoinHandle<io::Result<Place>>),
    /// What the last write came to, not told yet.
    Failed(io::Error),
    Closed,
}

impl FileStream {
    pub(super) fn new(folder: Arc<Folder>, file: Arc<OpenFile>, place: Place) -> FileStream {
        FileStream { folder, file, place, state: State::Ready }
    }

    /// Tells a failure once; afterwards the stream is closed.
    fn tell_failure(&mut self) -> StreamResult<()> {
        match mem::replace(&mut self.state, State::Closed) {
            State::Failed(error) => Err(StreamError::LastOperationFailed(error.into())),
            State::Closed => Err(StreamError::Closed),
            state @ (State::Ready | State::Writing(_)) => {
                self.state = state;
                Ok(())
            }
        }
    }
}

/// Writes all of `bytes`; gives the place behind them.
async fn write_all(folder: Arc<Folder>, file: Arc<OpenFile>, mut place: Place, mut bytes: Bytes) -> io::Result<Place> {
    while !bytes.is_empty() {
        let written = folder.write(&file, place, bytes.clone()).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        drop(bytes.split_to(written));
        place = place.after(written);
    }
    Ok(place)
}

#[async_trait]
impl Pollable for FileStream {
    async fn ready(&mut self) {
        if let State::Writing(writing) = &mut self.state {
            self.state = match writing.await {
                Ok(place) => {
                    self.place = place;
                    State::Ready
                }
                Err(error) => State::Failed(error),
            };
        }
    }
}

#[async_trait]
impl OutputStream for FileStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.tell_failure()?;
        if matches!(self.state, State::Writing(_)) || bytes.len() > PERMIT {
            return Err(StreamError::trap("the guest wrote more than check-write permitted"));
        }
        self.state = State::Writing(spawn(write_all(self.folder.clone(), self.file.clone(), self.place, bytes)));
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.tell_failure()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.tell_failure()?;
        Ok(if matches!(self.state, State::Writing(_)) { 0 } else { PERMIT })
    }

    /// A write that began is waited for, so that no guest heaps up writes by dropping streams.
    async fn cancel(&mut self) {
        if let State::Writing(writing) = mem::replace(&mut self.state, State::Closed) {
            writing.cancel().await;
        }
    }
}

//! A file as something a guest writes into, one write at a time, each within the quota: the `output-stream` of WASI 0.2, and
//! the end of a stream of WASI 0.3.

use std::{
    io, mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;
use wasmtime::{
    StoreContextMut,
    component::{Source, StreamConsumer, StreamResult as Consumed},
};
use wasmtime_wasi::{
    async_trait,
    p2::{OutputStream, Pollable, StreamError, StreamResult},
    p3::bindings::filesystem::types::ErrorCode,
    runtime::{AbortOnDropJoinHandle, spawn},
};

use super::{
    account::OpenFile,
    folder::{Folder, Place},
    p3,
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

/// Takes what a guest of WASI 0.3 hands over.
pub(super) struct FileConsumer {
    folder: Arc<Folder>,
    file: Arc<OpenFile>,
    place: Place,
    writing: Option<BoxFuture<'static, io::Result<usize>>>,
    result: Option<oneshot::Sender<Result<(), ErrorCode>>>,
}

impl FileConsumer {
    /// `result` hears how it ended, when it has.
    pub(super) fn new(
        folder: Arc<Folder>,
        file: Arc<OpenFile>,
        place: Place,
        result: oneshot::Sender<Result<(), ErrorCode>>,
    ) -> FileConsumer {
        FileConsumer { folder, file, place, writing: None, result: Some(result) }
    }

    fn end(&mut self, result: Result<(), ErrorCode>) {
        if let Some(sender) = self.result.take() {
            sender.send(result).ok();
        }
    }

    fn write(&self, bytes: Bytes) -> BoxFuture<'static, io::Result<usize>> {
        let (folder, file, place) = (self.folder.clone(), self.file.clone(), self.place);
        Box::pin(async move { folder.write(&file, place, bytes).await })
    }
}

impl<D> StreamConsumer<D> for FileConsumer {
    type Item = u8;

    /// A write that began is waited for, whether or not it is to finish: what came of it has to be told.
    fn poll_consume(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        source: Source<'_, u8>,
        _finish: bool,
    ) -> Poll<wasmtime::Result<Consumed>> {
        let mut source = source.as_direct(store);
        let mut writing = match self.writing.take() {
            Some(writing) => writing,
            None => {
                let bytes = source.remaining();
                self.write(Bytes::copy_from_slice(&bytes[..bytes.len().min(PERMIT)]))
            }
        };
        let Poll::Ready(written) = writing.as_mut().poll(context) else {
            self.writing = Some(writing);
            return Poll::Pending;
        };
        match written {
            Ok(written) => {
                source.mark_read(written);
                self.place = self.place.after(written);
                Poll::Ready(Ok(Consumed::Completed))
            }
            Err(error) => {
                self.end(Err(p3::code(&error)));
                Poll::Ready(Ok(Consumed::Dropped))
            }
        }
    }
}

impl Drop for FileConsumer {
    fn drop(&mut self) {
        self.end(Ok(()));
    }
}

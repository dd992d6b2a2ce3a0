//! A task's log: what its guest writes to stdout and stderr, in one bounded file.
//! A guest is never held up or failed by its log: what cannot be kept is dropped.

use std::{
    io::{self, Write},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use cap_std::fs::{Dir, File, OpenOptions};
use tokio::io::AsyncWrite;
use wasmtime_wasi::{
    async_trait,
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamResult},
};

use super::environment::Secrets;

/// How many bytes a guest may hand over in one write.
const PERMIT: usize = 64 << 10;

/// One log, shared by the guest's two streams. The file comes into being with the first byte.
#[derive(Clone)]
pub(super) struct Log {
    shared: Arc<Shared>,
    secrets: Secrets,
}

struct Shared {
    place: Place,
    limit: u64,
    written: Mutex<Written>,
}

struct Written {
    state: State,
    /// What may be the beginning of a secret, until what comes next decides.
    held: Vec<u8>,
}

/// Writes what a log holds back when the call is over, however it ends.
pub(super) struct LogEnd(Log);

enum Place {
    File { folder: Arc<Dir>, name: String },
    Memory,
}

enum State {
    Untouched,
    Open {
        file: File,
        left: u64,
    },
    Kept(Vec<u8>),
    /// Full, or the disk failed: everything else is dropped.
    Closed,
}

impl Log {
    /// A log in `folder`. An older file of that name is emptied at the first write.
    pub(super) fn file(folder: Arc<Dir>, name: String, limit: u64) -> Log {
        Log::new(Place::File { folder, name }, limit)
    }

    /// A log that is kept in memory, for a call whose words go into an error.
    pub(super) fn memory(limit: u64) -> Log {
        Log::new(Place::Memory, limit)
    }

    fn new(place: Place, limit: u64) -> Log {
        let shared =
            Shared { place, limit, written: Mutex::new(Written { state: State::Untouched, held: Vec::new() }) };
        Log { shared: Arc::new(shared), secrets: Secrets::default() }
    }

    /// What was kept in memory.
    pub(super) fn kept(&self) -> String {
        match &self.shared.written().state {
            State::Kept(bytes) => String::from_utf8_lossy(bytes).trim().to_owned(),
            State::Untouched | State::Open { .. } | State::Closed => String::new(),
        }
    }

    /// The same log, with `secrets` taken out of what is written from here on.
    pub(super) fn without(self, secrets: Secrets) -> Log {
        Log { secrets, ..self }
    }

    /// Writes what is held back when it is dropped.
    pub(super) fn end(&self) -> LogEnd {
        LogEnd(self.clone())
    }

    /// A line of the host's own among the guest's.
    pub(super) fn note(&self, text: &str) {
        self.write(format!("[{text}]\n").as_bytes());
    }

    fn write(&self, bytes: &[u8]) {
        let mut written = self.shared.written();
        let Written { state, held } = &mut *written;
        if matches!(state, State::Closed) {
            return;
        }
        let shown = self.secrets.redact_next(held, bytes);
        self.shared.put(state, &shown);
    }
}

impl Drop for LogEnd {
    fn drop(&mut self) {
        let LogEnd(log) = self;
        let mut written = log.shared.written();
        let Written { state, held } = &mut *written;
        let rest = log.secrets.redact_rest(held);
        log.shared.put(state, &rest);
    }
}

impl Shared {
    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, state: &mut State, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if matches!(state, State::Untouched) {
            *state = self.open();
        }
        let next = match state {
            State::Open { file, left } => self.append(file, left, bytes),
            State::Kept(kept) => {
                let room = usize::try_from(self.limit).unwrap_or(usize::MAX).saturating_sub(kept.len());
                kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
                None
            }
            State::Untouched | State::Closed => None,
        };
        if let Some(next) = next {
            *state = next;
        }
    }

    fn open(&self) -> State {
        let Place::File { folder, name } = &self.place else { return State::Kept(Vec::new()) };
        match folder.open_with(name, OpenOptions::new().write(true).create(true).truncate(true)) {
            Ok(file) => State::Open { file, left: self.limit },
            Err(error) => self.fail(&error),
        }
    }

    /// Writes what fits. The answer is the new state, if it changes.
    fn append(&self, file: &mut File, left: &mut u64, bytes: &[u8]) -> Option<State> {
        let fits = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
        if let Err(error) = file.write_all(&bytes[..fits]) {
            return Some(self.fail(&error));
        }
        *left -= fits as u64;
        if fits == bytes.len() {
            return None;
        }
        let last = format!("\n[the log is full: {} bytes are kept, the rest is left out]\n", self.limit);
        if let Err(error) = file.write_all(last.as_bytes()) {
            return Some(self.fail(&error));
        }
        Some(State::Closed)
    }

    fn fail(&self, error: &io::Error) -> State {
        let name = match &self.place {
            Place::File { name, .. } => name,
            Place::Memory => "",
        };
        tracing::warn!(log = name, %error, "a log cannot be written; the rest of it is dropped");
        State::Closed
    }
}

impl IsTerminal for Log {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Log {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for Log {
    async fn ready(&mut self) {}
}

impl OutputStream for Log {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        Log::write(self, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(PERMIT)
    }
}

impl AsyncWrite for Log {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Log::write(&self, bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

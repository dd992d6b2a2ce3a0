//! Bodies with an end: what a guest sends and what it is sent, each counted against its limit.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use wasmtime_wasi_http::{Error, WasiBody};

use crate::clock::Clock;

/// How far the sending of a request came, for whoever waits for the response.
pub(super) struct Sending {
    /// Uptime at which the guest's last bytes were taken.
    last: Mutex<Duration>,
    too_long: AtomicBool,
}

/// A request's body.
pub(super) struct Outgoing {
    body: WasiBody,
    left: u64,
    limit: u64,
    sending: Arc<Sending>,
    clock: Arc<dyn Clock>,
}

/// A response's body.
pub(super) struct Received {
    /// None after its end or its failure.
    body: Option<Incoming>,
    left: u64,
    limit: u64,
    /// How long the server may be silent.
    patience: Duration,
    /// Runs while the server is waited for, and not while the guest takes its time.
    waiting: Option<BoxFuture<'static, ()>>,
    clock: Arc<dyn Clock>,
}

impl Sending {
    pub(super) fn new(now: Duration) -> Arc<Sending> {
        Arc::new(Sending { last: Mutex::new(now), too_long: AtomicBool::new(false) })
    }

    pub(super) fn last(&self) -> Duration {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the guest tried to send more than it may.
    pub(super) fn was_too_long(&self) -> bool {
        self.too_long.load(Ordering::Relaxed)
    }

    fn moved(&self, now: Duration) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }
}

impl Outgoing {
    /// `body`, failing as soon as it is longer than `limit` bytes.
    pub(super) fn new(body: WasiBody, limit: u64, sending: Arc<Sending>, clock: Arc<dyn Clock>) -> Outgoing {
        Outgoing { body, left: limit, limit, sending, clock }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(frame) => frame,
            Poll::Pending => return Poll::Pending,
        };
        self.sending.moved(self.clock.now().uptime);
        if let Some(Ok(frame)) = &frame
            && !take(&mut self.left, frame)
        {
            self.sending.too_long.store(true, Ordering::Relaxed);
            return Poll::Ready(Some(Err(Error::HttpRequestBodySize(Some(self.limit)))));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Received {
    /// `body`, failing when it is longer than `limit` bytes, or when its server is silent for longer than `patience`.
    pub(super) fn new(body: Incoming, limit: u64, patience: Duration, clock: Arc<dyn Clock>) -> Received {
        Received { body: Some(body), left: limit, limit, patience, waiting: None, clock }
    }

    fn fail(&mut self, error: Error) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.body = None;
        Poll::Ready(Some(Err(error)))
    }

    fn poll_silence(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Received { waiting, clock, patience, .. } = self;
        waiting.get_or_insert_with(|| clock.reach(clock.now().uptime + *patience)).as_mut().poll(context)
    }
}

impl Body for Received {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        match Pin::new(body).poll_frame(context) {
            Poll::Pending => match self.poll_silence(context) {
                Poll::Ready(()) => self.fail(Error::ConnectionReadTimeout),
                Poll::Pending => Poll::Pending,
            },
            Poll::Ready(None) => {
                self.body = None;
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => self.fail(super::failure(&error)),
            Poll::Ready(Some(Ok(frame))) => {
                self.waiting = None;
                match take(&mut self.left, &frame) {
                    true => Poll::Ready(Some(Ok(frame))),
                    false => {
                        let limit = self.limit;
                        self.fail(Error::HttpResponseBodySize(Some(limit)))
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Incoming::size_hint)
    }
}

/// Takes a frame's bytes from what is `left`. False if it holds more.
fn take(left: &mut u64, frame: &Frame<Bytes>) -> bool {
    let length = frame.data_ref().map_or(0, |bytes| bytes.len() as u64);
    match left.checked_sub(length) {
        Some(rest) => {
            *left = rest;
            true
        }
        None => false,
    }
}

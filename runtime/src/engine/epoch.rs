//! The ticker: raises the epoch at a steady beat while some guest holds a turn, and parks otherwise.
//! Guests look at the epoch at calls and loops; seeing it raised, they yield to the gate.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle, Thread},
    time::Duration,
};

use crate::clock;

/// Counts the held turns, and wakes the ticker's thread when the first is taken.
pub(super) struct Beat {
    held: AtomicUsize,
    parked: AtomicBool,
    closed: AtomicBool,
    thread: std::sync::OnceLock<Thread>,
}

/// The ticker's thread; dropping it ends and joins the thread.
pub(super) struct Ticker {
    beat: Arc<Beat>,
    thread: Option<JoinHandle<()>>,
}

impl Beat {
    pub(super) fn new() -> Beat {
        Beat {
            held: AtomicUsize::new(0),
            parked: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            thread: std::sync::OnceLock::new(),
        }
    }

    /// A turn was taken.
    pub(super) fn rise(&self) {
        self.held.fetch_add(1, Ordering::SeqCst);
        if self.parked.swap(false, Ordering::SeqCst) {
            self.unpark();
        }
    }

    /// A turn was given back.
    pub(super) fn fall(&self) {
        self.held.fetch_sub(1, Ordering::SeqCst);
    }

    fn unpark(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    /// Says `parked` before looking once more, so that a turn taken in between is not missed.
    fn park_unless_held(&self) {
        self.parked.store(true, Ordering::SeqCst);
        while self.parked.load(Ordering::SeqCst)
            && self.held.load(Ordering::SeqCst) == 0
            && !self.closed.load(Ordering::SeqCst)
        {
            thread::park();
        }
        self.parked.store(false, Ordering::SeqCst);
    }
}

impl Ticker {
    /// Calls `tick` every `period` while a turn is held.
    pub(super) fn start(
        beat: Arc<Beat>,
        period: Duration,
        tick: impl Fn() + Send + 'static,
    ) -> std::io::Result<Ticker> {
        let thread = thread::Builder::new().name("idlewild-epoch".to_owned()).spawn({
            let beat = beat.clone();
            move || {
                while !beat.closed.load(Ordering::SeqCst) {
                    if beat.held.load(Ordering::SeqCst) == 0 {
                        beat.park_unless_held();
                    } else {
                        clock::pause(period);
                        tick();
                    }
                }
            }
        })?;
        beat.thread.set(thread.thread().clone()).ok();
        // The thread may have parked before its handle could be left for `rise`.
        beat.unpark();
        Ok(Ticker { beat, thread: Some(thread) })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.beat.closed.store(true, Ordering::SeqCst);
        self.beat.unpark();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

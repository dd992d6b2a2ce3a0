//! The gate: decides whose guest computes. As many calls hold a turn as there are cores; the rest wait in line here, not in
//! the runtime's queues, so that a stop reaches any of them at once. It never looks inside a call.
//!
//! Newcomers go first: a call that has not yet been cut twice by the beat. A call that waits for something gives its turn
//! back and stays what it was. After [`NEWCOMERS_IN_A_ROW`] newcomers, one veteran is let in, so that a flood of short tasks
//! cannot starve the long ones.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use futures_util::task::AtomicWaker;

use super::epoch::Beat;

/// How many newcomers may take a turn before a waiting veteran gets one.
const NEWCOMERS_IN_A_ROW: u32 = 4;

/// How many beats cut a newcomer before it counts as a veteran. Not the first: the beat does not know when a turn began.
const NEWCOMER_CUTS: u8 = 2;

/// How a call came out of the gate.
pub(super) enum Passed<T> {
    Finished(T),
    /// It was stopped, and has been dropped.
    Stopped,
}

/// Hands out the turns.
pub(super) struct Gate {
    line: Mutex<Line>,
    beat: Arc<Beat>,
}

/// One call's place at the gate, shared with whoever stops it and with its epoch callback.
pub(super) struct Seat {
    /// Whether the call itself has something to do: it was never polled, or its waker was called.
    woken: AtomicBool,
    stopped: AtomicBool,
    /// Whether the beat ended the current turn.
    cut: AtomicBool,
    cuts: AtomicU8,
    /// Set under the line's lock when a turn is handed to a waiting call.
    granted: AtomicBool,
    outer: AtomicWaker,
}

/// A call behind the gate.
pub(super) struct Gated<F> {
    gate: Arc<Gate>,
    seat: Arc<Seat>,
    waker: Waker,
    place: Place,
    /// None once it finished or was stopped.
    call: Option<Pin<Box<F>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Away,
    InLine,
    Holding,
}

struct Line {
    /// While a turn is free nobody waits.
    free: usize,
    newcomers: VecDeque<Arc<Seat>>,
    veterans: VecDeque<Arc<Seat>>,
    newcomers_in_a_row: u32,
}

impl Gate {
    pub(super) fn new(turns: usize, beat: Arc<Beat>) -> Arc<Gate> {
        Arc::new(Gate {
            line: Mutex::new(Line {
                free: turns,
                newcomers: VecDeque::new(),
                veterans: VecDeque::new(),
                newcomers_in_a_row: 0,
            }),
            beat,
        })
    }

    /// Puts `call` behind the gate. Dropping the result drops the call and gives back what it holds.
    pub(super) fn pass<F: Future>(self: &Arc<Gate>, seat: Arc<Seat>, call: F) -> Gated<F> {
        Gated { gate: self.clone(), waker: seat.clone().into(), seat, place: Place::Away, call: Some(Box::pin(call)) }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether `seat` now holds a turn; if not, it stands in line.
    fn take_or_queue(&self, seat: &Arc<Seat>) -> bool {
        let mut line = self.line();
        if line.free == 0 {
            line.queue(seat);
            return false;
        }
        line.free -= 1;
        drop(line);
        self.beat.rise();
        true
    }

    /// Gives a turn back: to the next in line, if there is one.
    fn give(&self) {
        let next = self.line().next();
        match next {
            Some(next) => next.outer.wake(),
            None => self.beat.fall(),
        }
    }

    /// Lets the next in line compute and puts `seat` behind it. Says no, and does nothing, if nobody waits.
    fn yield_turn(&self, seat: &Arc<Seat>) -> bool {
        let mut line = self.line();
        if line.newcomers.is_empty() && line.veterans.is_empty() {
            return false;
        }
        line.queue(seat);
        let Some(next) = line.next() else { return false };
        drop(line);
        next.outer.wake();
        true
    }

    /// Takes `seat` out of the line, or gives back the turn it was handed.
    fn leave(&self, seat: &Arc<Seat>) {
        let mut line = self.line();
        line.newcomers.retain(|other| !Arc::ptr_eq(other, seat));
        line.veterans.retain(|other| !Arc::ptr_eq(other, seat));
        let granted = seat.granted.swap(false, Ordering::SeqCst);
        drop(line);
        if granted {
            self.give();
        }
    }
}

impl Line {
    fn queue(&mut self, seat: &Arc<Seat>) {
        match seat.cuts.load(Ordering::Relaxed) >= NEWCOMER_CUTS {
            false => self.newcomers.push_back(seat.clone()),
            true => self.veterans.push_back(seat.clone()),
        }
    }

    /// Hands a turn that was given back to whom it belongs next; frees it if nobody waits.
    fn next(&mut self) -> Option<Arc<Seat>> {
        let veteran_is_due = self.newcomers_in_a_row >= NEWCOMERS_IN_A_ROW && !self.veterans.is_empty();
        let newcomer = if veteran_is_due { None } else { self.newcomers.pop_front() };
        self.newcomers_in_a_row = if newcomer.is_some() { self.newcomers_in_a_row.saturating_add(1) } else { 0 };
        let next = newcomer.or_else(|| self.veterans.pop_front());
        match &next {
            Some(seat) => seat.granted.store(true, Ordering::SeqCst),
            None => self.free += 1,
        }
        next
    }
}

impl Seat {
    pub(super) fn new() -> Arc<Seat> {
        Arc::new(Seat {
            woken: AtomicBool::new(true),
            stopped: AtomicBool::new(false),
            cut: AtomicBool::new(false),
            cuts: AtomicU8::new(0),
            granted: AtomicBool::new(false),
            outer: AtomicWaker::new(),
        })
    }

    /// Ends the call where it stands: at once if it waits, at its next yield if it computes.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.outer.wake();
    }

    /// The beat was seen: the current turn is over if somebody else waits for it.
    pub(super) fn cut(&self) {
        self.cut.store(true, Ordering::Relaxed);
        self.cuts.store(self.cuts.load(Ordering::Relaxed).saturating_add(1), Ordering::Relaxed);
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }
}

/// The waker a call is polled with: remembers that the call has something to do, then wakes the gate's future.
impl Wake for Seat {
    fn wake(self: Arc<Seat>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Seat>) {
        self.woken.store(true, Ordering::SeqCst);
        self.outer.wake();
    }
}

impl<F: Future> Future for Gated<F> {
    type Output = Passed<F::Output>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        this.seat.outer.register(context.waker());
        if this.seat.is_stopped() {
            return this.stop();
        }
        if !this.has_turn() {
            return Poll::Pending;
        }
        this.seat.woken.store(false, Ordering::SeqCst);
        let call = this.call.as_mut().expect("polled again only while pending");
        match call.as_mut().poll(&mut Context::from_waker(&this.waker)) {
            Poll::Ready(value) => {
                this.call = None;
                this.withdraw();
                Poll::Ready(Passed::Finished(value))
            }
            Poll::Pending if this.seat.is_stopped() => this.stop(),
            Poll::Pending => {
                this.after_pending();
                Poll::Pending
            }
        }
    }
}

impl<F> Gated<F> {
    /// Whether the call has something to do and may do it now; it stands in line if it may not.
    fn has_turn(&mut self) -> bool {
        if self.place == Place::InLine && self.seat.granted.swap(false, Ordering::SeqCst) {
            self.place = Place::Holding;
        }
        match self.place {
            Place::Holding => true,
            Place::InLine => false,
            Place::Away if !self.seat.woken.load(Ordering::SeqCst) => false,
            Place::Away => {
                let taken = self.gate.take_or_queue(&self.seat);
                self.place = if taken { Place::Holding } else { Place::InLine };
                taken
            }
        }
    }

    /// The call yielded, or waits for something.
    fn after_pending(&mut self) {
        let computes = self.seat.woken.load(Ordering::SeqCst);
        let cut = self.seat.cut.swap(false, Ordering::Relaxed);
        if !computes {
            self.withdraw();
        } else if cut && self.gate.yield_turn(&self.seat) {
            self.place = Place::InLine;
        }
    }

    /// Drops the call while its turn is still held, since dropping it takes time too.
    fn stop<T>(&mut self) -> Poll<Passed<T>> {
        self.call = None;
        self.withdraw();
        Poll::Ready(Passed::Stopped)
    }

    fn withdraw(&mut self) {
        match std::mem::replace(&mut self.place, Place::Away) {
            Place::Away => {}
            Place::InLine => self.gate.leave(&self.seat),
            Place::Holding => self.gate.give(),
        }
    }
}

impl<F> Drop for Gated<F> {
    fn drop(&mut self) {
        self.call = None;
        self.withdraw();
    }
}

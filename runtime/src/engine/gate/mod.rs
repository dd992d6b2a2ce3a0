//! The gate: decides whose guest computes. It has as many turns as there are cores, each a thread that polls one call at a
//! time; the rest wait in line here. It is the guests' whole scheduler, and never looks inside a call.
//!
//! The foreground goes before the background, and in each newcomers go first: calls that have computed little yet. A call that
//! waits for something gives its turn back and stays what it was. After some turns of those who go first, one of the others is
//! let in, so that a flood of short tasks cannot starve the long ones, nor a person's work everybody else's.
//!
//! A call that is held gets no turn: one that computes is put aside as soon as it yields, one that waits stays as it is, and
//! that it was woken is remembered. A stop passes the gate: a call that waits, is held or stands in line is dropped at once, one that computes
//! as soon as it yields.

mod line;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, JoinHandle},
};

use futures_util::future::BoxFuture;
use tokio::runtime::Handle;

use self::line::Line;
use super::epoch::Beat;

/// After how many cuts, or how much fuel, a call counts as a veteran. Fuel is the better measure, since on a busy machine beats
/// pass in which a guest hardly ran; but a guest that keeps the host busy for it uses little.
const NEWCOMER_CUTS: u8 = 3;
const NEWCOMER_FUEL: u64 = 10_000_000;

/// Where a call is. Only the thread that holds its turn leaves `RUNNING` and `WOKEN`; only who has locked the hall enters and
/// leaves `ASIDE`.
const WAITING: u8 = 0;
const IN_LINE: u8 = 1;
const RUNNING: u8 = 2;
/// Running, and its waker was called meanwhile: it yielded, or what it waits for is there already.
const WOKEN: u8 = 3;
/// Held, with something to do: it computes, or what it waited for is there.
const ASIDE: u8 = 4;
const OVER: u8 = 5;

/// Hands out the turns.
pub(super) struct Gate {
    hall: Mutex<Hall>,
    /// Rings when somebody steps in line while a turn is free, and at the closing.
    bell: Condvar,
    beat: Arc<Beat>,
}

#[derive(Default)]
struct Hall {
    line: Line,
    /// Threads that wait for the bell.
    free: usize,
    /// Every call that is not over, by number.
    admitted: HashMap<u64, Arc<Seat>>,
    next_number: u64,
    closed: bool,
}

/// One call's place at the gate, shared with whoever stops it and with its epoch callback.
pub(super) struct Seat {
    gate: Arc<Gate>,
    number: u64,
    place: AtomicU8,
    stopped: AtomicBool,
    /// Changed only with the hall locked.
    held: AtomicBool,
    /// Changed only with the hall locked.
    foreground: AtomicBool,
    /// Whether the beat ended the current turn.
    cut: AtomicBool,
    cuts: AtomicU8,
    veteran: AtomicBool,
    /// Locked while it is polled. None before it is admitted, and once it is over.
    call: Mutex<Option<BoxFuture<'static, ()>>>,
}

/// The threads of the turns. Dropping it closes the gate, joins them, and drops every call that is left.
pub(super) struct Turns {
    gate: Arc<Gate>,
    threads: Vec<JoinHandle<()>>,
}

impl Gate {
    pub(super) fn new(beat: Arc<Beat>) -> Arc<Gate> {
        Arc::new(Gate { hall: Mutex::default(), bell: Condvar::new(), beat })
    }

    /// A place in the background for a call that is still to be made.
    pub(super) fn seat(self: &Arc<Gate>) -> Arc<Seat> {
        let mut hall = self.hall();
        hall.next_number += 1;
        let number = hall.next_number;
        drop(hall);
        Arc::new(Seat {
            gate: self.clone(),
            number,
            place: AtomicU8::new(IN_LINE),
            stopped: AtomicBool::new(false),
            held: AtomicBool::new(false),
            foreground: AtomicBool::new(false),
            cut: AtomicBool::new(false),
            cuts: AtomicU8::new(0),
            veteran: AtomicBool::new(false),
            call: Mutex::new(None),
        })
    }

    /// Lets a call step in line. At a closed gate it is dropped.
    pub(super) fn admit(&self, seat: &Arc<Seat>, call: BoxFuture<'static, ()>) {
        let mut hall = self.hall();
        if hall.closed {
            drop(hall);
            drop(call);
            return;
        }
        *lock(&seat.call) = Some(call);
        hall.admitted.insert(seat.number, seat.clone());
        self.queue(hall, seat.clone());
        if seat.is_stopped() {
            seat.stop();
        }
    }

    fn hall(&self) -> MutexGuard<'_, Hall> {
        lock(&self.hall)
    }

    /// Lets a seat whose place is `IN_LINE` step in line, or aside if it is held.
    fn queue(&self, mut hall: MutexGuard<'_, Hall>, seat: Arc<Seat>) {
        if !seat.is_at(IN_LINE) {
            return;
        }
        if seat.is_held() {
            seat.place.store(ASIDE, Ordering::SeqCst);
            return;
        }
        hall.line.push(seat);
        let is_free = hall.free > 0;
        drop(hall);
        if is_free {
            self.bell.notify_one();
        }
    }

    /// Whose turn it is, once there is somebody. None when the gate is closed.
    fn next(&self) -> Option<Arc<Seat>> {
        let mut hall = self.hall();
        loop {
            if hall.closed {
                return None;
            }
            if let Some(seat) = hall.line.pop() {
                return Some(seat);
            }
            hall.free += 1;
            hall = self.bell.wait(hall).unwrap_or_else(PoisonError::into_inner);
            hall.free -= 1;
        }
    }

    /// Whether `seat` may go on. Otherwise it was put aside, because it is held, or in line, because its turn was cut and
    /// somebody else waits for one.
    fn goes_on(&self, seat: &Arc<Seat>) -> bool {
        let is_cut = seat.cut.swap(false, Ordering::Relaxed);
        if !is_cut && !seat.is_held() {
            return true;
        }
        let mut hall = self.hall();
        if seat.is_at(OVER) {
            return false;
        }
        if seat.is_held() {
            seat.place.store(ASIDE, Ordering::SeqCst);
            return false;
        }
        if !is_cut || hall.line.is_empty() {
            return true;
        }
        seat.place.store(IN_LINE, Ordering::SeqCst);
        hall.line.push(seat.clone());
        false
    }

    /// Gives a call its turn, until it ends, waits, is held, or has to yield to another.
    fn turn(&self, seat: &Arc<Seat>) {
        self.beat.rise();
        let waker = Waker::from(seat.clone());
        seat.cut.store(false, Ordering::Relaxed);
        while self.goes_on(seat) && seat.poll(&waker) {}
        self.beat.fall();
    }
}

impl Seat {
    /// Ends the call where it stands: at once if it waits or is held, at its next yield if it computes.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        let call = match self.call.try_lock() {
            Ok(mut call) => call.take(),
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner().take(),
            // It is being polled; who polls it looks at `stopped` afterwards.
            Err(TryLockError::WouldBlock) => return,
        };
        self.finish(call);
    }

    /// Holds the call: at once if it waits or stands in line, at its next yield if it computes.
    pub(super) fn suspend(&self) {
        let mut hall = self.gate.hall();
        self.held.store(true, Ordering::SeqCst);
        if hall.line.remove(self) {
            self.place.store(ASIDE, Ordering::SeqCst);
        }
    }

    /// Lets a held call go on.
    pub(super) fn resume(self: &Arc<Seat>) {
        let hall = self.gate.hall();
        self.held.store(false, Ordering::SeqCst);
        if self.is_at(ASIDE) {
            self.place.store(IN_LINE, Ordering::SeqCst);
            self.gate.queue(hall, self.clone());
        }
    }

    /// Moves the call to the foreground or to the background, from its next turn on.
    pub(super) fn set_foreground(self: &Arc<Seat>, foreground: bool) {
        let mut hall = self.gate.hall();
        self.foreground.store(foreground, Ordering::Relaxed);
        if hall.line.remove(self) {
            hall.line.push(self.clone());
        }
    }

    /// The beat was seen: the current turn is over if somebody else waits for it.
    pub(super) fn cut(&self, fuel_used: u64) {
        self.cut.store(true, Ordering::Relaxed);
        let cuts = self.cuts.load(Ordering::Relaxed).saturating_add(1);
        self.cuts.store(cuts, Ordering::Relaxed);
        self.veteran.store(cuts >= NEWCOMER_CUTS || fuel_used >= NEWCOMER_FUEL, Ordering::Relaxed);
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    fn is_held(&self) -> bool {
        self.held.load(Ordering::SeqCst)
    }

    fn is_at(&self, place: u8) -> bool {
        self.place.load(Ordering::SeqCst) == place
    }

    /// Whether the call has more to compute.
    fn poll(self: &Arc<Seat>, waker: &Waker) -> bool {
        let mut call = lock(&self.call);
        let Some(future) = call.as_mut() else { return false };
        self.place.store(RUNNING, Ordering::SeqCst);
        // A call that panics tells its end while it unwinds.
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut Context::from_waker(waker))));
        if !matches!(polled, Ok(Poll::Pending)) {
            let over = call.take();
            drop(call);
            self.finish(over);
            return false;
        }
        drop(call);
        if self.is_stopped() {
            self.stop();
            return false;
        }
        self.place.compare_exchange(RUNNING, WAITING, Ordering::SeqCst, Ordering::SeqCst).is_err()
    }

    fn finish(&self, call: Option<BoxFuture<'static, ()>>) {
        if let Some(call) = call {
            let mut hall = self.gate.hall();
            self.place.store(OVER, Ordering::SeqCst);
            hall.admitted.remove(&self.number);
            drop(hall);
            drop(call);
        }
    }
}

impl Wake for Seat {
    fn wake(self: Arc<Seat>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Seat>) {
        let go = |from, to| self.place.compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst);
        // It may go from running to waiting in between, hence the second look.
        while let place @ (WAITING | RUNNING) = self.place.load(Ordering::SeqCst) {
            match place {
                WAITING if go(WAITING, IN_LINE).is_ok() => return self.gate.queue(self.gate.hall(), self.clone()),
                RUNNING if go(RUNNING, WOKEN).is_ok() => return,
                _ => {}
            }
        }
    }
}

impl Turns {
    /// Starts the threads. `guests` drives the timers and file operations that calls wait for.
    pub(super) fn start(gate: Arc<Gate>, turns: usize, guests: &Handle) -> io::Result<Turns> {
        let mut started = Turns { gate, threads: Vec::new() };
        for _ in 0..turns.max(1) {
            let gate = started.gate.clone();
            let guests = guests.clone();
            let thread = thread::Builder::new().name("idlewild-turn".to_owned()).spawn(move || {
                let _context = guests.enter();
                while let Some(seat) = gate.next() {
                    gate.turn(&seat);
                }
            })?;
            started.threads.push(thread);
        }
        Ok(started)
    }
}

impl Drop for Turns {
    fn drop(&mut self) {
        self.gate.hall().closed = true;
        self.gate.bell.notify_all();
        for thread in self.threads.drain(..) {
            thread.join().ok();
        }
        let left: Vec<_> = self.gate.hall().admitted.values().cloned().collect();
        for seat in left {
            seat.stop();
        }
    }
}

/// What the gate keeps is whole even if a call panicked.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

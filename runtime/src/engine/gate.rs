//! The gate: decides whose guest computes. It has as many turns as there are cores, each a thread that polls one call at a
//! time; the rest wait in line here. It is the guests' whole scheduler, and never looks inside a call.
//!
//! Newcomers go first: a call that has computed little yet. A call that waits for something gives
//! its turn back and stays what it was. After [`NEWCOMERS_IN_A_ROW`] newcomers, one veteran is let in, so that a flood of short tasks
//! cannot starve the long ones. A stop passes the gate: a call that waits, for something or in line, is dropped at once, one
//! that computes as soon as it yields.

use std::{
    collections::{HashMap, VecDeque},
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

use super::epoch::Beat;

/// How many newcomers may take a turn before a waiting veteran gets one.
const NEWCOMERS_IN_A_ROW: u32 = 4;

/// After how many cuts, or how much fuel, a call counts as a veteran. Fuel is the better measure, since on a busy machine beats
/// pass in which a guest hardly ran; but a guest that keeps the host busy for it uses little.
const NEWCOMER_CUTS: u8 = 3;
const NEWCOMER_FUEL: u64 = 10_000_000;

/// Where a call is. Only the thread that holds its turn leaves `RUNNING` and `WOKEN`.
const WAITING: u8 = 0;
const IN_LINE: u8 = 1;
const RUNNING: u8 = 2;
/// Running, and its waker was called meanwhile: it yielded, or what it waits for is there already.
const WOKEN: u8 = 3;
const OVER: u8 = 4;

/// Hands out the turns.
pub(super) struct Gate {
    line: Mutex<Line>,
    /// Rings when somebody steps in line while a turn is free, and at the closing.
    bell: Condvar,
    beat: Arc<Beat>,
}

#[derive(Default)]
struct Line {
    newcomers: VecDeque<Arc<Seat>>,
    veterans: VecDeque<Arc<Seat>>,
    newcomers_in_a_row: u32,
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
        Arc::new(Gate { line: Mutex::default(), bell: Condvar::new(), beat })
    }

    /// A place for a call that is still to be made.
    pub(super) fn seat(self: &Arc<Gate>) -> Arc<Seat> {
        let mut line = self.line();
        line.next_number += 1;
        let number = line.next_number;
        drop(line);
        Arc::new(Seat {
            gate: self.clone(),
            number,
            place: AtomicU8::new(IN_LINE),
            stopped: AtomicBool::new(false),
            cut: AtomicBool::new(false),
            cuts: AtomicU8::new(0),
            veteran: AtomicBool::new(false),
            call: Mutex::new(None),
        })
    }

    /// Lets a call step in line. At a closed gate it is dropped.
    pub(super) fn admit(&self, seat: &Arc<Seat>, call: BoxFuture<'static, ()>) {
        let mut line = self.line();
        if line.closed {
            drop(line);
            drop(call);
            return;
        }
        *lock(&seat.call) = Some(call);
        line.admitted.insert(seat.number, seat.clone());
        self.queue(line, seat.clone());
        if seat.is_stopped() {
            seat.stop();
        }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        lock(&self.line)
    }

    fn queue(&self, mut line: MutexGuard<'_, Line>, seat: Arc<Seat>) {
        line.push(seat);
        let is_free = line.free > 0;
        drop(line);
        if is_free {
            self.bell.notify_one();
        }
    }

    /// Whose turn it is, once there is somebody. None when the gate is closed.
    fn next(&self) -> Option<Arc<Seat>> {
        let mut line = self.line();
        loop {
            if line.closed {
                return None;
            }
            if let Some(seat) = line.pop() {
                return Some(seat);
            }
            line.free += 1;
            line = self.bell.wait(line).unwrap_or_else(PoisonError::into_inner);
            line.free -= 1;
        }
    }

    /// Puts `seat` in line if somebody else waits for its turn.
    fn yield_turn(&self, seat: &Arc<Seat>) -> bool {
        let mut line = self.line();
        if line.is_empty() {
            return false;
        }
        seat.place.store(IN_LINE, Ordering::SeqCst);
        line.push(seat.clone());
        true
    }

    /// Gives a call its turn, until it ends, waits, or has to yield to another.
    fn turn(&self, seat: &Arc<Seat>) {
        self.beat.rise();
        let waker = Waker::from(seat.clone());
        seat.cut.store(false, Ordering::Relaxed);
        while seat.poll(&waker) {
            if seat.cut.swap(false, Ordering::Relaxed) && self.yield_turn(seat) {
                break;
            }
        }
        self.beat.fall();
    }
}

impl Line {
    fn is_empty(&self) -> bool {
        self.newcomers.is_empty() && self.veterans.is_empty()
    }

    fn push(&mut self, seat: Arc<Seat>) {
        match seat.veteran.load(Ordering::Relaxed) {
            false => self.newcomers.push_back(seat),
            true => self.veterans.push_back(seat),
        }
    }

    fn pop(&mut self) -> Option<Arc<Seat>> {
        let veteran_is_due = self.newcomers_in_a_row >= NEWCOMERS_IN_A_ROW && !self.veterans.is_empty();
        let newcomer = if veteran_is_due { None } else { self.newcomers.pop_front() };
        self.newcomers_in_a_row = if newcomer.is_some() { self.newcomers_in_a_row.saturating_add(1) } else { 0 };
        newcomer.or_else(|| self.veterans.pop_front())
    }
}

impl Seat {
    /// Ends the call where it stands: at once if it waits, at its next yield if it computes.
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

    /// Whether the call has more to compute.
    fn poll(self: &Arc<Seat>, waker: &Waker) -> bool {
        self.place.store(RUNNING, Ordering::SeqCst);
        let mut call = lock(&self.call);
        let Some(future) = call.as_mut() else { return false };
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
            self.place.store(OVER, Ordering::SeqCst);
            self.gate.line().admitted.remove(&self.number);
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
                WAITING if go(WAITING, IN_LINE).is_ok() => return self.gate.queue(self.gate.line(), self.clone()),
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
        self.gate.line().closed = true;
        self.gate.bell.notify_all();
        for thread in self.threads.drain(..) {
            thread.join().ok();
        }
        let left: Vec<_> = self.gate.line().admitted.values().cloned().collect();
        for seat in left {
            seat.stop();
        }
    }
}

/// What the gate keeps is whole even if a call panicked.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// The order in which a single turn is given: some veterans that yield whenever they may, and a flood of newcomers.
    #[test]
    fn newcomers_go_first_and_never_starve_a_veteran() {
        let gate = Gate::new(Arc::new(Beat::new()));
        let (sender, order) = mpsc::channel();
        let veteran = gate.seat();
        veteran.cut(NEWCOMER_FUEL);
        let tell = |who: &'static str| {
            let sender = sender.clone();
            Box::pin(async move { sender.send(who).unwrap_or(()) })
        };
        gate.admit(&veteran, tell("veteran"));
        for _ in 0..6 {
            gate.admit(&gate.seat(), tell("newcomer"));
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let turns = Turns::start(gate, 1, runtime.handle()).expect("a thread");
        let order: Vec<_> = order.iter().take(7).collect();
        drop(turns);
        let expected = ["newcomer", "newcomer", "newcomer", "newcomer", "veteran", "newcomer", "newcomer"];
        assert_eq!(order, expected);
    }

    #[test]
    fn a_stop_reaches_a_call_that_waits_and_one_that_never_began() {
        struct Told(mpsc::Sender<&'static str>, &'static str);
        impl Drop for Told {
            fn drop(&mut self) {
                self.0.send(self.1).ok();
            }
        }
        let gate = Gate::new(Arc::new(Beat::new()));
        let (sender, ended) = mpsc::channel();
        let never = |who| {
            let told = Told(sender.clone(), who);
            Box::pin(async move {
                let _told = told;
                std::future::pending::<()>().await;
            })
        };
        let [unbegun, waiting, late] = [gate.seat(), gate.seat(), gate.seat()];
        gate.admit(&unbegun, never("never began"));
        unbegun.stop();
        assert_eq!(ended.try_recv(), Ok("never began"));
        gate.admit(&waiting, never("waits"));
        late.stop();
        gate.admit(&late, never("stopped before it came"));
        assert_eq!(ended.try_recv(), Ok("stopped before it came"));
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let turns = Turns::start(gate.clone(), 2, runtime.handle()).expect("threads");
        waiting.stop();
        assert_eq!(ended.recv(), Ok("waits"));
        gate.admit(&gate.seat(), never("is there at the closing"));
        drop(turns);
        assert_eq!(ended.try_recv(), Ok("is there at the closing"));
        gate.admit(&gate.seat(), never("comes after the closing"));
        assert_eq!(ended.try_recv(), Ok("comes after the closing"));
    }
}

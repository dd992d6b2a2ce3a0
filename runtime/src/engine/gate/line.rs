//! The line at the gate: whose turn it is next. It knows of no threads and polls nobody.

use std::{
    collections::VecDeque,
    sync::{Arc, atomic::Ordering},
};

use super::Seat;

/// How many turns the foreground may take before a waiting call of the background gets one.
pub(super) const FOREGROUND_IN_A_ROW: u32 = 4;

/// How many newcomers may take a turn before a waiting veteran of the same rank gets one.
pub(super) const NEWCOMERS_IN_A_ROW: u32 = 4;

/// Who waits for a turn. Each seat stands here once, or not at all.
#[derive(Default)]
pub(super) struct Line {
    foreground: Rank,
    background: Rank,
    foreground_in_a_row: u32,
}

/// Those who wait on one side.
#[derive(Default)]
struct Rank {
    newcomers: VecDeque<Arc<Seat>>,
    veterans: VecDeque<Arc<Seat>>,
    newcomers_in_a_row: u32,
}

impl Line {
    pub(super) fn is_empty(&self) -> bool {
        self.foreground.is_empty() && self.background.is_empty()
    }

    pub(super) fn push(&mut self, seat: Arc<Seat>) {
        match seat.foreground.load(Ordering::Relaxed) {
            true => self.foreground.push(seat),
            false => self.background.push(seat),
        }
    }

    pub(super) fn pop(&mut self) -> Option<Arc<Seat>> {
        let background_is_due = self.foreground_in_a_row >= FOREGROUND_IN_A_ROW && !self.background.is_empty();
        let raised = if background_is_due { None } else { self.foreground.pop() };
        self.foreground_in_a_row = if raised.is_some() { self.foreground_in_a_row.saturating_add(1) } else { 0 };
        raised.or_else(|| self.background.pop())
    }

    /// Takes `seat` out of the line. Says whether it stood there.
    pub(super) fn remove(&mut self, seat: &Seat) -> bool {
        self.foreground.remove(seat) || self.background.remove(seat)
    }
}

impl Rank {
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

    fn remove(&mut self, seat: &Seat) -> bool {
        [&mut self.newcomers, &mut self.veterans].into_iter().any(|queue| {
            let place = queue.iter().position(|other| other.number == seat.number);
            place.is_some_and(|place| queue.remove(place).is_some())
        })
    }
}

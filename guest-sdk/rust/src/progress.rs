//! How far a task is, told so that it cannot go wrong.

use crate::{
    Task,
    host::{Host, Port},
};

/// Tells how far a task is: it only ever goes on, and never past its total. Made by [`Task::progress`].
///
/// One speaks at a time. The newest does, and what an earlier one still says is not told: so a task of two phases makes a
/// second one for the second phase.
#[derive(Debug)]
pub struct Progress {
    task: Task,
    turn: u64,
    completed: u64,
    total: Option<u64>,
}

impl Task {
    /// Tells how far the task is, from none of `total` units on. Of no units all is done, which is told as one unit of one.
    ///
    /// ```no_run
    /// # fn look_at(_: &str) {}
    /// # fn handler(task: &idlewild_guest::Task, files: &[&str]) {
    /// let mut progress = task.progress(files.len() as u64);
    /// for file in files {
    ///     look_at(file);
    ///     progress.advance(1);
    /// }
    /// # }
    /// ```
    pub fn progress(&self, total: u64) -> Progress {
        Progress::new(self, Some(total))
    }

    /// Tells how far the task is while its total is not known; [`Progress::set_total`] makes it known.
    pub fn progress_without_total(&self) -> Progress {
        Progress::new(self, None)
    }
}

impl Progress {
    fn new(task: &Task, total: Option<u64>) -> Progress {
        let mut progress = Progress { task: task.clone(), turn: task.next_turn(), completed: 0, total: None };
        match total {
            Some(total) => progress.set_total(total),
            None => progress.tell(),
        }
        progress
    }

    /// So many units more are completed; of those past the total none count.
    pub fn advance(&mut self, units: u64) {
        self.completed = self.bounded(self.completed.saturating_add(units));
        self.tell();
    }

    /// Makes the total known, or another, but never less than what is completed. Of no units all is done, as in [`Task::progress`].
    pub fn set_total(&mut self, total: u64) {
        // To the contract a total of 0 is an unknown one.
        self.completed = self.completed.max(u64::from(total == 0));
        self.total = Some(total.max(self.completed));
        self.tell();
    }

    /// Units completed.
    pub fn completed(&self) -> u64 {
        self.completed
    }

    /// Units in all, if known.
    pub fn total(&self) -> Option<u64> {
        self.total
    }

    fn bounded(&self, completed: u64) -> u64 {
        self.total.map_or(completed, |total| completed.min(total))
    }

    fn tell(&self) {
        if self.task.is_turn(self.turn) {
            // The contract writes an unknown total as 0.
            Host::set_progress(self.completed, self.total.unwrap_or(0));
        }
    }
}

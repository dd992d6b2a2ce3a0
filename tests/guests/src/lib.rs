//! What real guests do, good and bad: one component, one file for each behaviour, one identifier for each file.
//!
//! It stands for other people's code, so it may do what the house forbids itself. `activate` submits nothing.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a task's log is what it prints")]

mod asks_pending;
mod checkpoints;
mod eats_fuel;
mod eats_memory;
mod escapes;
mod exits;
mod fails;
mod floods_log;
mod ignores_expiration_awaiting;
mod nothing;
mod polls_expiration;
mod reads_grant;
mod remembers;
mod reports_attempt;
mod reports_progress;
mod resubmits;
mod returns_too_much;
mod saves_too_much;
mod sleeps;
mod spins_bare;
mod spins_calling;
mod submits_not_permitted;
mod succeeds;
mod traps;
mod waits_on_first_attempt;
mod work;
mod writes_clock;

use idlewild_guest::bundle;

bundle! {
    "test.behaviours.asks-pending" => asks_pending::run,
    "test.behaviours.checkpoints" => checkpoints::run,
    "test.behaviours.eats-fuel" => eats_fuel::run,
    "test.behaviours.eats-memory" => eats_memory::run,
    "test.behaviours.escapes" => escapes::run,
    "test.behaviours.exits" => exits::run,
    "test.behaviours.fails" => fails::run,
    "test.behaviours.floods-log" => floods_log::run,
    "test.behaviours.ignores-expiration-awaiting" => ignores_expiration_awaiting::run,
    "test.behaviours.nothing.*" => nothing::run,
    "test.behaviours.polls-expiration" => polls_expiration::run,
    "test.behaviours.reads-grant" => reads_grant::run,
    "test.behaviours.remembers" => remembers::run,
    "test.behaviours.reports-attempt" => reports_attempt::run,
    "test.behaviours.reports-progress" => reports_progress::run,
    "test.behaviours.resubmits" => resubmits::run,
    "test.behaviours.returns-too-much" => returns_too_much::run,
    "test.behaviours.saves-too-much" => saves_too_much::run,
    "test.behaviours.sleeps" => sleeps::run,
    "test.behaviours.spins-bare" => spins_bare::run,
    "test.behaviours.spins-calling" => spins_calling::run,
    "test.behaviours.submits-not-permitted" => submits_not_permitted::run,
    "test.behaviours.succeeds" => succeeds::run,
    "test.behaviours.traps" => traps::run,
    "test.behaviours.waits-on-first-attempt" => waits_on_first_attempt::run,
    "test.behaviours.writes-clock" => writes_clock::run,
}

//! Spins for ever without a single call: only an interruption inside the loop can stop it.

use std::hint::black_box;

use idlewild_guest::Task;

pub(crate) fn run(_: &Task) {
    let mut turns = 0_u32;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

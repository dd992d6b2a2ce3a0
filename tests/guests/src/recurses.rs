//! Calls itself without end.

use std::hint::black_box;

use idlewild_guest::Task;

pub(crate) fn run(_: &Task) -> String {
    deeper(1).to_string()
}

#[expect(unconditional_recursion, reason = "that is what it does")]
fn deeper(depth: u64) -> u64 {
    deeper(black_box(depth) + 1).wrapping_mul(depth)
}

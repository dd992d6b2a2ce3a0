//! A little honest computing for the behaviours that need some.

use std::hint::black_box;

/// Some hundred thousand steps, about a tenth of a millisecond.
pub(crate) fn slice() {
    let mut state = 1_u64;
    for _ in 0..100_000 {
        state = black_box(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    }
}

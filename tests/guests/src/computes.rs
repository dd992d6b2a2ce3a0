//! Computes for as many rounds as its input says, reports each, and gives back what came of it.

use std::hint::black_box;

use idlewild_guest::Task;

pub(crate) fn run(task: &Task) -> Result<String, String> {
    let rounds: u64 = String::from_utf8_lossy(task.input()).parse().map_err(|_| "the input is no number".to_owned())?;
    let mut state = 1_u64;
    for round in 1..=rounds {
        for _ in 0..1_000_000 {
            state = black_box(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(round));
        }
        task.set_progress(round, rounds);
    }
    Ok(format!("{state:x}"))
}

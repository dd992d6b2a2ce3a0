//! Who is watched goes first at the gate, and nobody starves for it.

use std::{collections::BTreeMap, time::Duration};

use idlewild::{
    clock,
    engine::{Engine, EngineSettings},
    rules::{End, ExpirationReason, Progress, TaskId},
};

use crate::house::{Heard, House, allowance};

const SOON: Duration = Duration::from_millis(100);
const A_WHILE: Duration = Duration::from_secs(2);

/// How far each task came within a while, in rounds.
fn advances(house: &House, tasks: &[TaskId]) -> Vec<u64> {
    let mut seen: BTreeMap<TaskId, (u64, u64)> = BTreeMap::new();
    for heard in house.heard_within(A_WHILE) {
        let Heard::Progressed(task, Progress { completed, .. }) = heard else { panic!("{heard:?}") };
        seen.entry(task).or_insert((completed, completed)).1 = completed;
    }
    tasks.iter().map(|task| seen.get(task).map_or(0, |(first, last)| last - first)).collect()
}

#[test]
fn the_foreground_gets_most_of_the_turns_and_the_background_still_advances() {
    let settings = EngineSettings { turns: 1, ..EngineSettings::default() };
    for mut house in House::both_with(settings) {
        house.run("succeeds");
        let tasks: Vec<_> = (0..3).map(|_| house.launch_with("computes", "1000000")).collect();
        for watched in [0, 2] {
            house.engine.set_foreground(tasks[watched], true);
            let advances = advances(&house, &tasks);
            let others = advances.iter().sum::<u64>() - advances[watched];
            assert!(advances[watched] > 2 * others, "{watched} of {advances:?}");
            assert!(advances.iter().all(|rounds| *rounds > 0), "{watched} of {advances:?}");
            house.engine.set_foreground(tasks[watched], false);
        }
    }
}

#[test]
fn a_task_can_be_launched_in_the_foreground() {
    let settings = EngineSettings { turns: 1, slots: 64, ..EngineSettings::default() };
    for mut house in House::both_with(settings) {
        house.run("succeeds");
        let spinners: Vec<_> = (0..40).map(|_| house.launch("spins-bare", allowance())).collect();
        clock::pause(10 * SOON);
        let unwatched = house.launch_with("computes", "100");
        house.foreground = true;
        let watched = house.launch_with("computes", "100");
        let (end, usage, before) = house.end(watched);
        assert!(matches!(end, End::Returned(Ok(_))), "{end:?}");
        let far = before.iter().rev().find_map(|heard| match heard {
            Heard::Progressed(task, Progress { completed, .. }) if *task == unwatched => Some(*completed),
            _ => None,
        });
        assert!(far.unwrap_or(0) < 50, "it went before the others, among them one like it: {far:?}, {usage:?}");
        for task in spinners.into_iter().chain([unwatched]) {
            house.engine.expire(task, ExpirationReason::Cancelled, Duration::ZERO);
        }
    }
}

//! Whether anyone but this host has much for the machine to do.

use std::{path::Path, time::Duration};

use super::{read, sight};
use crate::{conditions::Sight, rules::Now};

/// Others' share of all cores below which the machine becomes idle.
const BECOMES_IDLE_BELOW: f64 = 0.20;
/// Others' share of all cores above which the machine stops being idle. The room between the two keeps a task from
/// ending its own idleness by what cannot be told apart from others' work: the kernel's on its behalf.
const STOPS_BEING_IDLE_ABOVE: f64 = 0.40;
/// The shortest time that says something: the kernel counts in hundredths of a second. A look before it keeps the
/// former value.
const SHORTEST_WINDOW: Duration = Duration::from_secs(3);
/// The longest time whose mean still describes the present. After it, the load average of the last minute serves.
const LONGEST_WINDOW: Duration = Duration::from_secs(60);

/// Measures others' work between two looks: what all cores did, less what this process and its children that have ended
/// did. A child that still runs counts as others. Time a hypervisor took is nobody's work. In a container, the machine
/// around it counts.
#[derive(Debug, Default)]
pub(super) struct Work {
    before: Option<(Counters, Sight)>,
}

/// What the kernel has counted until a moment, in its ticks.
#[derive(Debug, Clone, Copy)]
struct Counters {
    uptime: Duration,
    busy: u64,
    total: u64,
    own: u64,
}

impl Work {
    pub(super) fn look(&mut self, root: &Path, now: Now) -> Sight {
        let Some(counters) = read_counters(root, now.uptime) else {
            self.before = None;
            return sight(true, "assumed: /proc/stat and /proc/self/stat cannot be read");
        };
        let was_idle = match &self.before {
            None => false,
            Some((before, sight)) if now.uptime.saturating_sub(before.uptime) < SHORTEST_WINDOW => {
                return sight.clone();
            }
            Some((_, sight)) => sight.holds,
        };
        let window = self.before.as_ref().and_then(|(before, _)| others_share(*before, counters));
        let seen = match window {
            Some(share) => sight(is_idle(was_idle, share), format!("/proc/stat: others use {}", of_cores(share))),
            // The first look. The load holds little of ours: we have just started, or had nothing to do for long.
            None => match read_load(root) {
                Some(share) => {
                    sight(is_idle(was_idle, share), format!("/proc/loadavg: the load is {}", of_cores(share)))
                }
                None => sight(true, "assumed: /proc/loadavg cannot be read"),
            },
        };
        self.before = Some((counters, seen.clone()));
        seen
    }
}

fn is_idle(was_idle: bool, others: f64) -> bool {
    if was_idle { others <= STOPS_BEING_IDLE_ABOVE } else { others < BECOMES_IDLE_BELOW }
}

fn of_cores(share: f64) -> String {
    format!("{:.0} % of all cores", share * 100.0)
}

/// Others' share of all cores between two looks; none when they lie too far apart, or the kernel counted nothing.
fn others_share(before: Counters, after: Counters) -> Option<f64> {
    let total = after.total.saturating_sub(before.total);
    if total == 0 || after.uptime.saturating_sub(before.uptime) > LONGEST_WINDOW {
        return None;
    }
    let busy = after.busy.saturating_sub(before.busy);
    let own = after.own.saturating_sub(before.own);
    Some(busy.saturating_sub(own) as f64 / total as f64)
}

fn read_counters(root: &Path, uptime: Duration) -> Option<Counters> {
    let (busy, total) = parse_machine(&read(root, "proc/stat")?)?;
    let own = parse_process(&read(root, "proc/self/stat")?)?;
    Some(Counters { uptime, busy, total, own })
}

/// Reads the first line: `cpu user nice system idle iowait irq softirq steal guest guest_nice`, of which the guests' are
/// already in the users', and old kernels leave out the last ones.
fn parse_machine(stat: &str) -> Option<(u64, u64)> {
    let mut words = stat.lines().next()?.split_whitespace();
    if words.next()? != "cpu" {
        return None;
    }
    let counts: Vec<u64> = words.take(8).map(str::parse).collect::<Result<_, _>>().ok()?;
    let count = |at: usize| counts.get(at).copied().unwrap_or(0);
    let [user, nice, system, idle] = *counts.first_chunk()?;
    let busy = sum([user, nice, system, count(5), count(6)]);
    Some((busy, sum([busy, idle, count(4), count(7)])))
}

/// Adds up utime, stime, cutime and cstime, the 14th to 17th field. The second is the program's name in parentheses,
/// which may itself hold spaces and parentheses.
fn parse_process(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let counts: Vec<i64> =
        after_name.split_whitespace().skip(11).take(4).map(str::parse).collect::<Result<_, _>>().ok()?;
    let counts: [i64; 4] = counts.try_into().ok()?;
    Some(sum(counts.map(|count| count.max(0).cast_unsigned())))
}

fn sum<const N: usize>(counts: [u64; N]) -> u64 {
    counts.into_iter().fold(0, u64::saturating_add)
}

/// The load average of the last minute as a share of all cores.
fn read_load(root: &Path) -> Option<f64> {
    let stat = read(root, "proc/stat")?;
    let is_core =
        |line: &&str| line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let cores = stat.lines().filter(is_core).count().max(1);
    let load: f64 = read(root, "proc/loadavg")?.split_whitespace().next()?.parse().ok()?;
    load.is_finite().then_some(load / cores as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        conditions::linux::{record, recorded},
        rules::Timestamp,
    };

    /// A two-core machine's files after `others` and `own` ticks of work, out of `total`.
    fn machine(others: u64, own: u64, total: u64) -> [(&'static str, String); 2] {
        let busy = others + own;
        let idle = total - busy;
        [
            ("proc/stat", format!("cpu  {busy} 0 0 {idle} 0 0 0 0 0 0\ncpu0 1 0 0 1\ncpu1 1 0 0 1\nintr 7")),
            ("proc/self/stat", format!("42 (idle (wild)) S 1 1 1 0 -1 0 0 0 0 0 {own} 0 0 0 20 0 1 0 99")),
        ]
    }

    fn write(root: &Path, files: &[(&'static str, String)]) {
        let files: Vec<_> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
        record(root, &files);
    }

    fn at(second: u64) -> Now {
        Now { wall: Timestamp::UNIX_EPOCH, uptime: Duration::from_secs(second) }
    }

    #[test]
    fn the_first_look_goes_by_the_load() {
        for (load, holds) in [("0.00", true), ("0.39", true), ("0.41", false), ("8.00", false)] {
            let root = recorded(&[("proc/loadavg", &format!("{load} 9.9 9.9 1/100 42"))]);
            write(root.path(), &machine(0, 0, 1000));
            assert_eq!(Work::default().look(root.path(), at(0)).holds, holds, "{load}");
        }
    }

    #[test]
    fn others_work_ends_idleness_and_own_work_does_not() {
        let root = recorded(&[("proc/loadavg", "0.10 0 0 1/1 1")]);
        let mut work = Work::default();
        // At each second: others' and own share of the cores since the look before, in percent; whether it is idle after.
        let looks = [
            (0, 0, 0, true, "the load is low"),
            (5, 0, 100, true, "only we work"),
            (10, 35, 60, true, "others do some, not enough"),
            (12, 99, 0, true, "too soon to tell"),
            (15, 90, 0, false, "others work"),
            (20, 30, 50, false, "others do less, not little enough"),
            (25, 10, 90, true, "others do little"),
            (90, 100, 0, true, "too long ago: the load is low"),
            (95, 100, 0, false, "others work"),
        ];
        let (mut others, mut own, mut last) = (0, 0, 0);
        for (second, others_share, own_share, idle, case) in looks {
            let ticks = 2 * (second - last);
            (others, own, last) = (others + others_share * ticks, own + own_share * ticks, second);
            write(root.path(), &machine(others, own, 1000 + 200 * second));
            let seen = work.look(root.path(), at(second));
            assert_eq!(seen.holds, idle, "{case}: {seen:?}");
        }
    }

    #[test]
    fn a_look_that_comes_too_soon_repeats_the_former() {
        let root = recorded(&[("proc/loadavg", "0.10 0 0 1/1 1")]);
        let mut work = Work::default();
        write(root.path(), &machine(0, 0, 1000));
        let first = work.look(root.path(), at(0));
        write(root.path(), &machine(400, 0, 1400));
        assert_eq!(work.look(root.path(), at(2)), first);
        assert!(!work.look(root.path(), at(4)).holds, "the window still began with the first look");
    }

    #[test]
    fn nonsense_is_assumed_idle() {
        for stat in ["", "cpu", "cpu a b c d", "cpu 1 2", "intr 5", "cpu 1 2 3 99999999999999999999"] {
            let root = recorded(&[]);
            write(root.path(), &machine(0, 0, 1000));
            record(root.path(), &[("proc/stat", stat)]);
            let seen = Work::default().look(root.path(), at(0));
            assert!(seen.holds && seen.source.starts_with("assumed"), "{stat}: {seen:?}");
        }
        for stat in ["", "42 idle", "42 (idle) S 1", "42 (idle) S 1 1 1 0 -1 0 0 0 0 0 x y z w"] {
            assert_eq!(parse_process(stat), None, "{stat}");
        }
    }
}

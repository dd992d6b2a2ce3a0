//! Whether anything waits for memory.

use std::path::Path;

use super::{read, sight};
use crate::conditions::Sight;

const PRESSURE: &str = "proc/pressure/memory";

/// Goes by the share of the last ten seconds in which something waited for memory, as the kernel counts it. How much
/// memory is free says nothing: a healthy machine uses all of it. The line `full` needs no look: when everything waits,
/// something does.
#[derive(Debug, Default)]
pub(super) struct Memory {
    was_short: bool,
}

impl Memory {
    /// It is short from `mark` percent on, until it is below half of that.
    pub(super) fn look(&mut self, root: &Path, mark: u8) -> Sight {
        let Some(share) = read(root, PRESSURE).and_then(|text| parse(&text)) else {
            self.was_short = false;
            return sight(true, format!("assumed: /{PRESSURE} cannot be read"));
        };
        let mark = f64::from(mark);
        self.was_short = if self.was_short { share >= mark / 2.0 } else { share >= mark };
        sight(!self.was_short, format!("/{PRESSURE}: waited for during {share:.0} % of the last 10 s"))
    }
}

/// Reads `avg10` of the line `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`.
fn parse(text: &str) -> Option<f64> {
    let words = text.lines().find_map(|line| line.strip_prefix("some "))?;
    let share: f64 = words.split_whitespace().find_map(|word| word.strip_prefix("avg10="))?.parse().ok()?;
    share.is_finite().then_some(share)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conditions::linux::{record, recorded};

    #[test]
    fn memory_is_short_until_little_waits_for_it() {
        let root = recorded(&[]);
        let mut memory = Memory::default();
        // The share at each look, and whether there is room after it.
        let looks = [("0.00", true), ("9.99", true), ("10.00", false), ("6.00", false), ("4.99", true), ("9.00", true)];
        for (share, roomy) in looks {
            let text = format!("some avg10={share} avg60=50.00 avg300=1.00 total=9\nfull avg10=0.00 avg60=0.00");
            record(root.path(), &[(PRESSURE, &text)]);
            let seen = memory.look(root.path(), 10);
            assert_eq!(seen.holds, roomy, "{share}: {seen:?}");
            assert!(seen.source.contains("of the last 10 s"), "{seen:?}");
        }
    }

    #[test]
    fn nonsense_is_assumed_roomy() {
        for text in ["", "full avg10=99.00 avg60=0.00", "some avg60=99.00", "some avg10=much", "some avg10=inf"] {
            let root = recorded(&[(PRESSURE, text)]);
            let seen = Memory::default().look(root.path(), 10);
            assert!(seen.holds && seen.source.starts_with("assumed: "), "{text}: {seen:?}");
        }
    }
}

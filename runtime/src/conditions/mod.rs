//! What the machine is like: one reading of each condition. It looks when asked; when to look is the scheduler's business.

use std::collections::BTreeMap;

use crate::{
    rules::{Condition, Conditions, EachCondition, Now, Reading},
    spelling,
};

mod fixed;
mod linux;

pub use fixed::FixedProbe;
pub use linux::{LinuxProbe, Outlook, Patience, Watcher, has_battery};

/// The port: looks at the machine.
pub trait Probe: Send {
    /// What the machine is like at `now`. It cannot fail: what it cannot learn it takes to hold, and `source` says so,
    /// since a host that never runs anything on a strange machine helps nobody.
    fn look(&mut self, now: Now) -> Sample;
}

/// What a probe saw at one moment.
pub type Sample = EachCondition<Sight>;

/// One condition as a probe saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight {
    pub holds: bool,
    /// Where the value comes from, for people.
    pub source: String,
}

/// Keeps what the machine is like: what the probe saw last, and over it what was stated by hand.
pub struct Observer {
    probe: Box<dyn Probe>,
    stated: BTreeMap<Condition, bool>,
    current: Conditions,
}

impl Observer {
    /// Looks once.
    pub fn new(mut probe: Box<dyn Probe>, now: Now) -> Observer {
        let sample = probe.look(now);
        let current = Conditions::new(|condition| {
            let Sight { holds, source } = sample.of(condition).clone();
            Reading { holds, source, since: now.wall, read_at: now.wall }
        });
        Observer { probe, stated: BTreeMap::new(), current }
    }

    /// Looks again.
    pub fn look(&mut self, now: Now) -> &Conditions {
        let sample = self.probe.look(now);
        for (condition, seen) in sample.iter() {
            let sight = match self.stated.get(&condition) {
                Some(holds) => Sight { holds: *holds, source: STATED.to_owned() },
                None => seen.clone(),
            };
            renew(now, self.current.of_mut(condition), sight);
        }
        &self.current
    }

    /// What was seen or stated last, without looking.
    pub fn current(&self) -> &Conditions {
        &self.current
    }

    /// States a condition by hand: from now on the probe is not believed about it.
    pub fn state(&mut self, now: Now, condition: Condition, holds: bool) {
        self.stated.insert(condition, holds);
        renew(now, self.current.of_mut(condition), Sight { holds, source: STATED.to_owned() });
    }

    /// Takes a statement back, and looks. Nothing was stated: just looks.
    pub fn release(&mut self, now: Now, condition: Condition) {
        self.stated.remove(&condition);
        self.look(now);
    }
}

/// The source of a value that a person gave.
const STATED: &str = "stated";

fn renew(now: Now, reading: &mut Reading, Sight { holds, source }: Sight) {
    let since = if reading.holds == holds { reading.since } else { now.wall };
    *reading = Reading { holds, source, since, read_at: now.wall };
}

/// A word for a condition that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown condition `{word}`; {}say one of {}", mend(.nearest), assumptions().join(", "))]
pub struct UnknownCondition {
    pub word: String,
    pub nearest: Option<String>,
}

fn mend(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|word| format!("did you mean `{word}`? ")).unwrap_or_default()
}

/// Reads a condition stated as one word: its name when it holds, `no-` and its name when it does not.
pub fn parse_assumption(word: &str) -> Result<(Condition, bool), UnknownCondition> {
    let (name, holds) = match word.strip_prefix("no-") {
        Some(name) => (name, false),
        None => (word, true),
    };
    let unknown = || {
        let words = assumptions();
        let nearest = spelling::nearest(word, words.iter().map(String::as_str)).map(str::to_owned);
        UnknownCondition { word: word.to_owned(), nearest }
    };
    Condition::parse(name).map(|condition| (condition, holds)).ok_or_else(unknown)
}

/// Every word `parse_assumption` knows.
fn assumptions() -> Vec<String> {
    Condition::ALL.iter().flat_map(|condition| [condition.to_string(), format!("no-{condition}")]).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::rules::Timestamp;

    fn at(second: u64) -> Now {
        let uptime = Duration::from_secs(second);
        Now { wall: Timestamp::UNIX_EPOCH + uptime, uptime }
    }

    /// Sees the machine idle on even seconds.
    struct Blinking;

    impl Probe for Blinking {
        fn look(&mut self, now: Now) -> Sample {
            let mut sample = FixedProbe::default().look(now);
            sample.of_mut(Condition::Idle).holds = now.uptime.as_secs().is_multiple_of(2);
            sample
        }
    }

    #[test]
    fn keeps_since_until_the_value_changes() {
        let mut observer = Observer::new(Box::new(Blinking), at(0));
        for (second, holds, since) in [(2, true, 0), (3, false, 3), (5, false, 3), (6, true, 6)] {
            let idle = observer.look(at(second)).reading(Condition::Idle);
            let expected = (holds, at(since).wall, at(second).wall);
            assert_eq!((idle.holds, idle.since, idle.read_at), expected, "at {second}");
        }
    }

    #[test]
    fn a_stated_value_wins_until_released() {
        let mut observer = Observer::new(Box::new(Blinking), at(0));
        observer.state(at(1), Condition::Idle, false);
        let stated = |since, read_at| Reading {
            holds: false,
            source: "stated".to_owned(),
            since: at(since).wall,
            read_at: at(read_at).wall,
        };
        assert_eq!(*observer.current().reading(Condition::Idle), stated(1, 1));
        assert_eq!(*observer.look(at(2)).reading(Condition::Idle), stated(1, 2));
        assert!(observer.current().reading(Condition::Network).holds, "other conditions are still the probe's");
        observer.release(at(4), Condition::Idle);
        let idle = observer.current().reading(Condition::Idle);
        assert!(idle.holds);
        assert_eq!(idle.since, at(4).wall);
        assert_ne!(idle.source, "stated");
    }

    #[test]
    fn reads_assumptions() {
        let cases = [
            ("idle", Condition::Idle, true),
            ("no-idle", Condition::Idle, false),
            ("external-power", Condition::ExternalPower, true),
            ("no-network", Condition::Network, false),
            ("unlocked-once", Condition::UnlockedOnce, true),
            ("no-charged", Condition::Charged, false),
        ];
        for (word, condition, holds) in cases {
            assert_eq!(parse_assumption(word), Ok((condition, holds)), "{word}");
        }
    }

    #[test]
    fn an_unknown_assumption_names_the_nearest_and_all() {
        let all = "network, no-network, external-power, no-external-power, idle, no-idle, charged, no-charged, \
                   full-power, no-full-power, cool, no-cool, roomy, no-roomy, unlocked-once, no-unlocked-once, \
                   unlocked, no-unlocked";
        let cases = [
            ("no-netwrk", format!("unknown condition `no-netwrk`; did you mean `no-network`? say one of {all}")),
            ("wet", format!("unknown condition `wet`; say one of {all}")),
            ("", format!("unknown condition ``; say one of {all}")),
        ];
        for (word, message) in cases {
            assert_eq!(parse_assumption(word).unwrap_err().to_string(), message);
        }
    }
}

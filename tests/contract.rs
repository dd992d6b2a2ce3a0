//! The contract, story by story: the scheduler whole, with a manual clock, a scripted engine and a database in memory. What only a
//! real guest can show stands among the engine's tests; `docs/contract.md` names the story that holds each rule.
#![allow(clippy::unwrap_used)]

#[path = "contract/conditions.rs"]
mod conditions;
#[path = "contract/continued.rs"]
mod continued;
#[path = "contract/development.rs"]
mod development;
#[path = "contract/explanation.rs"]
mod explanation;
#[path = "contract/options.rs"]
mod options;
#[path = "contract/policy.rs"]
mod policies;
#[path = "contract/submission.rs"]
mod submission;

use std::time::Duration;

use idlewild::{
    rules::*,
    scheduler::{Event, SchedulerError},
};
use idlewild_tests::{Told, World, bundle, bundle_id, id, policy};

const GALLERY: &str = "com.example.gallery";
const COUNT: &str = "com.example.gallery.count";
const REFRESH: &str = "com.example.gallery.refresh";
const EXPORT: &str = "com.example.gallery.export.1";

fn patterns() -> Vec<String> {
    let more = (1..=20).map(|number| format!("com.example.gallery.more{number}"));
    [COUNT, REFRESH, "com.example.gallery.export.*"].into_iter().map(str::to_owned).chain(more).collect()
}

fn more(number: u32) -> String {
    format!("com.example.gallery.more{number}")
}

fn world() -> World {
    world_with(|_| {})
}

/// Of the profile `device`, with some numbers changed.
fn world_with(change: impl FnOnce(&mut Policy)) -> World {
    let mut policy = policy(Profile::Device);
    change(&mut policy);
    let patterns = patterns();
    let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
    let notes = bundle("org.notes", &["org.notes.sync", "org.notes.export.*"]);
    World::new(policy, vec![bundle(GALLERY, &patterns), notes])
}

fn refresh(identifier: &str) -> Request {
    Request::new(id(identifier), Kind::AppRefresh)
}

fn processing(identifier: &str) -> Request {
    Request::new(id(identifier), Kind::Processing(Needs::default()))
}

fn needing(identifier: &str, network: bool, external_power: bool) -> Request {
    Request::new(id(identifier), Kind::Processing(Needs { network, external_power }))
}

fn export(identifier: &str) -> Request {
    continued(identifier, false)
}

fn continued(identifier: &str, fail_unless_immediate: bool) -> Request {
    let title = "Export".to_owned();
    let subtitle = "to disk".to_owned();
    let continued = Continued { title, subtitle, fail_unless_immediate, requires_gpu: false };
    Request::new(id(identifier), Kind::ContinuedProcessing(continued))
}

fn ok() -> End {
    End::Returned(Ok(b"done".to_vec()))
}

fn failed() -> End {
    End::Returned(Err("no luck".to_owned()))
}

fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

/// A refusal's number and sentence.
fn refusal<T: std::fmt::Debug>(answer: Result<T, SchedulerError>) -> (u32, String) {
    match answer {
        Err(SchedulerError::Refused(refusal)) => (refusal.code.number(), refusal.message),
        answer => panic!("not refused: {answer:?}"),
    }
}

/// The story's own way to look at a world.
trait Look {
    fn pass(&mut self, time: Duration);
    fn expiring(&self, identifier: &str) -> Option<ExpirationReason>;
    fn progress(&mut self, identifier: &str, completed: u64, total: u64);
    fn attempt(&self, identifier: &str) -> u32;
    fn told_of(&self, identifier: &str) -> Vec<Told>;
}

impl Look for World {
    fn pass(&mut self, time: Duration) {
        self.clock.advance(time);
        self.settle();
    }

    /// Why the guest of an identifier was asked to stop, if it was.
    fn expiring(&self, identifier: &str) -> Option<ExpirationReason> {
        let task = self.running(identifier).unwrap_or_else(|| panic!("{identifier} does not run"));
        self.engine.running.lock().unwrap()[&task].expiring.map(|(reason, _)| reason)
    }

    fn progress(&mut self, identifier: &str, completed: u64, total: u64) {
        let task = self.running(identifier).unwrap();
        self.send(Event::Progressed { task, progress: Progress { completed, total } });
        self.settle();
    }

    fn attempt(&self, identifier: &str) -> u32 {
        let task = self.running(identifier).unwrap_or_else(|| panic!("{identifier} does not run"));
        self.engine.running.lock().unwrap()[&task].launch.attempt
    }

    fn told_of(&self, identifier: &str) -> Vec<Told> {
        self.engine.told(self.running(identifier).unwrap())
    }
}

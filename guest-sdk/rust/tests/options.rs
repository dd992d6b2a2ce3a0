//! Options of requests under the harness: what is tried again, what repeats, what became urgent, and whom the host asks.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::time::Duration;

use idlewild_guest::{
    DataProtection, ExpirationReason, Repeat, Request, Retry, SubmitErrorCode,
    test::{self, Condition, Host, Outcome, Reason, STALL, When},
};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);

const FAILS: &str = "test.options.fails-twice";
const WORKS: &str = "test.options.works";
const OTHER: &str = "test.options.works-too";
const EXPORTS: &str = "test.options.exports";
const TAKES_BACK: &str = "test.options.takes-back";
const ASKS: &str = "test.options.asks";

#[idlewild_guest::bundle]
mod tasks {
    use idlewild_guest::{Request, SubmitErrorCode, Task, cancel, sleep};

    use super::SECOND;

    #[handler("test.options.fails-twice")]
    fn fails_twice(task: &Task) -> Result<String, String> {
        match task.attempt() {
            1 => Err("not yet".to_owned()),
            2 => panic!("nor now"),
            attempt => Ok(format!("in attempt {attempt}")),
        }
    }

    #[handler("test.options.works")]
    #[handler("test.options.works-too")]
    async fn works() {
        sleep(SECOND).await;
    }

    /// Advances by one a second, until its input says that it stands still.
    #[handler("test.options.exports")]
    async fn exports(task: Task, steps: String) -> Result<(), String> {
        let steps: u64 = steps.parse().map_err(|_| "no number")?;
        for step in 0.. {
            task.until_expired(sleep(SECOND)).await.map_err(|reason| reason.to_string())?;
            task.set_progress(step.min(steps), 100);
        }
        Ok(())
    }

    #[handler("test.options.takes-back")]
    fn takes_back(task: &Task) -> Result<(), String> {
        cancel(task.identifier());
        Err("it failed".to_owned())
    }

    #[handler("test.options.asks")]
    fn asks() -> String {
        let refused =
            Request::continued_processing("test.options.exports", "Export", "").submit().expect_err("asked by a task");
        assert_eq!(refused.code, SubmitErrorCode::NotPermitted);
        refused.message
    }
}

fn host() -> Host {
    Host::new(tasks::BUNDLE)
}

fn retry(attempts: u32) -> Retry {
    Retry { attempts, first_delay: 10 * SECOND, longest_delay: 60 * SECOND }
}

#[test]
fn a_failure_and_a_trap_are_tried_again_after_a_rest() {
    let mut host = host();
    let began = host.now();
    host.submit(Request::app_refresh(FAILS).retry(retry(3))).unwrap();
    let first = host.run_due().remove(0);
    assert_eq!((first.outcome.to_string().as_str(), first.comes_back), ("failed: not yet", true));
    let rest = test::rest(retry(3), 1, 1);
    assert!(rest > 9 * SECOND && rest <= 10 * SECOND, "{rest:?}");
    assert_eq!(host.pending()[0].reasons, [Reason::Resting { until: began + rest, failures: 1 }]);
    assert!(host.run_due().is_empty());
    assert!(host.advance_to_next());
    assert_eq!(host.now(), began + rest);
    let second = host.run_next();
    assert_eq!((second.attempt, second.comes_back), (2, true), "{}", second.outcome);
    assert!(host.advance_to_next());
    assert_eq!(host.run_next().text(), "in attempt 3");
    assert!(!host.advance_to_next() && host.pending().is_empty());

    // No oftener than it asked for, and not after it was asked to stop.
    let mut host = self::host();
    host.submit(Request::app_refresh(FAILS).retry(retry(2))).unwrap();
    assert!(host.run_next().comes_back);
    host.advance(HOUR);
    assert!(!host.run_next().comes_back);
    host.expire(FAILS, When::After(Duration::ZERO), ExpirationReason::Cancelled);
    assert!(!host.launch(Request::app_refresh(FAILS).retry(retry(3))).comes_back);
}

#[test]
fn what_repeats_is_pending_again_for_its_next_period() {
    let mut host = host();
    let began = host.now();
    let repeat = Repeat { every: HOUR, flex: 600 * SECOND };
    let first = host.submit(Request::app_refresh(WORKS).repeat(repeat)).unwrap();
    assert_eq!(host.run_due().len(), 1);
    let waiting = host.pending().remove(0);
    assert_ne!(waiting.id.to_string(), first.request_id);
    assert_eq!(waiting.request.earliest_begin, Some(began + HOUR));
    assert_eq!(waiting.reasons, [Reason::EarliestBegin(began + HOUR - repeat.flex)]);
    // Periods that have passed are skipped.
    host.advance(5 * HOUR / 2);
    assert_eq!(host.run_due().len(), 1);
    assert_eq!(host.pending()[0].request.earliest_begin, Some(began + 3 * HOUR));
    // A newer request of the identifier takes its place.
    assert!(host.submit(Request::app_refresh(WORKS)).unwrap().replaced);
    host.run_due();
    assert!(host.pending().is_empty());
}

#[test]
fn what_a_task_takes_back_of_itself_is_over() {
    let mut host = host();
    let again = host.launch(Request::app_refresh(TAKES_BACK).repeat_every(HOUR).retry(retry(5)));
    assert!(!again.comes_back);
    assert!(host.pending().is_empty());
}

#[test]
fn a_latest_begin_outranks_what_is_wished_and_not_what_is_needed() {
    let mut host = host();
    host.state(Condition::Idle, false);
    host.state(Condition::Network, false);
    let latest = host.now() + HOUR;
    host.submit(Request::processing(OTHER)).unwrap();
    host.submit(Request::processing(WORKS).requires_network().latest_begin(latest)).unwrap();
    let lacks = |host: &Host| host.pending()[1].reasons.clone();
    assert_eq!(lacks(&host), [Reason::Lacks(Condition::Network), Reason::Lacks(Condition::Idle)]);
    assert!(host.advance_to_next());
    assert_eq!((host.now(), lacks(&host)), (latest, vec![Reason::Lacks(Condition::Network)]));
    host.state(Condition::Network, true);
    host.state(Condition::Idle, true);
    let order: Vec<String> = host.run_due().into_iter().map(|ended| ended.identifier).collect();
    assert_eq!(order, [WORKS, OTHER], "what became urgent goes first");
}

#[test]
fn a_low_battery_holds_back_until_there_is_power_and_heat_holds_back_all() {
    let mut host = host();
    host.state(Condition::Charged, false);
    host.state(Condition::ExternalPower, false);
    host.submit(Request::app_refresh(WORKS)).unwrap();
    assert_eq!(host.pending()[0].reasons, [Reason::Lacks(Condition::Charged)]);
    host.state(Condition::ExternalPower, true);
    assert_eq!(host.pending()[0].reasons, []);
    host.state(Condition::Cool, false);
    host.submit(Request::continued_processing(EXPORTS, "Export", "").input("0")).unwrap();
    let hot = vec![Reason::Lacks(Condition::Cool)];
    assert!(host.pending().iter().all(|pending| pending.reasons == hot), "{:?}", host.pending());
}

#[test]
fn research_is_for_a_machine_that_is_enrolled() {
    let mut host = host();
    let research = || Request::health_research(WORKS).protection_of_required_data(DataProtection::Complete);
    let refused = host.submit(research()).unwrap_err();
    assert_eq!(refused.code, SubmitErrorCode::NotPermitted);
    assert!(refused.message.contains("names a study"), "{refused}");
    host.enrol();
    host.state(Condition::Unlocked, false);
    host.submit(research()).unwrap();
    assert_eq!(host.pending()[0].reasons, [Reason::Lacks(Condition::Unlocked)]);
    host.state(Condition::Unlocked, true);
    assert_eq!(host.run_due().len(), 1);
}

#[test]
fn continued_work_is_a_persons_goes_first_and_must_advance() {
    let mut host = host();
    let said = host.launch(Request::app_refresh(ASKS));
    assert_eq!(
        said.text(),
        "continued-processing is asked for by a person through a client, not by a task: submit processing instead"
    );
    host.submit(Request::app_refresh(WORKS)).unwrap();
    let export = |steps: &str| Request::continued_processing(EXPORTS, "Export", "to disk").input(steps);
    host.submit(export("90")).unwrap();
    let ended = host.run_next();
    assert_eq!(ended.identifier, EXPORTS);
    let returned = Some(Err("no-progress".to_owned()));
    assert_eq!(ended.outcome, Outcome::Expired { reason: ExpirationReason::NoProgress, returned });
    assert_eq!(ended.took, 91 * SECOND + STALL, "it stood still after the ninetieth step");

    host.interrupt(EXPORTS, When::After(SECOND));
    host.launch(export("9"));
    let mut at_once = export("9");
    at_once.kind.fail_unless_immediate = true;
    let error = host.submit(at_once).unwrap_err();
    assert_eq!(error.code, SubmitErrorCode::ImmediateRunIneligible);
    assert_eq!(
        error.message,
        "it cannot start at once: request 4 of the same identifier is not finished; ask with the strategy `queue`, and it \
         starts as soon as it can"
    );
}

//! Handlers under the harness, in both worlds: what waits, what runs, how it ends, and what it leaves behind.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::time::Duration;

use idlewild_guest::{
    ExpirationReason, Request, SubmitErrorCode,
    test::{CHECKPOINT_BYTES, Condition, GRACE, Host, INTERRUPTIONS, OUTPUT_BYTES, Outcome, Profile, Reason, When},
};

const SECOND: Duration = Duration::from_secs(1);
const QUARTER: Duration = Duration::from_secs(15 * 60);

#[idlewild_guest::bundle]
mod tasks {
    use idlewild_guest::{Request, SubmitError, Task, sleep};

    use super::{QUARTER, SECOND};

    #[activate]
    fn schedule() -> Result<(), SubmitError> {
        Request::processing("test.tasks.count").requires_network().submit()?;
        Request::app_refresh("test.tasks.show").run_after("test.tasks.count").submit()?;
        Ok(())
    }

    #[handler("test.tasks.count")]
    async fn count(task: Task) -> Result<String, SubmitError> {
        let submission = Request::processing("test.tasks.count").earliest_begin_in(QUARTER).submit()?;
        Ok(format!("{} in attempt {}", submission.request_id, task.attempt()))
    }

    #[handler("test.tasks.show")]
    fn show() -> &'static str {
        "shown"
    }

    #[handler("test.tasks.echo.*")]
    async fn echo(task: &Task, input: String) -> String {
        format!("{}: {input}", task.identifier())
    }

    #[handler("test.tasks.steps")]
    async fn steps(task: Task) -> Result<String, String> {
        let mut progress = task.progress(10);
        for step in 1..=12 {
            if let Err(reason) = task.until_expired(sleep(SECOND)).await {
                task.save_checkpoint(step.to_string())?;
                return Err(format!("left at step {step}: {reason}"));
            }
            progress.advance(1);
            task.update_title("Stepping", &format!("{step}"));
        }
        Ok(format!("after {:?}", task.checkpoint().map(String::from_utf8)))
    }

    #[handler("test.tasks.stubborn")]
    async fn stubborn() {
        loop {
            sleep(SECOND).await;
        }
    }

    #[handler("test.tasks.panics")]
    async fn panics(task: Task) {
        panic!("no {}", task.id());
    }

    #[handler("test.tasks.large")]
    fn large(task: &Task) -> Result<Vec<u8>, String> {
        let error = task.save_checkpoint(vec![0; super::CHECKPOINT_BYTES + 1]).expect_err("it is too large");
        assert!(error.message.contains("are allowed"), "{error}");
        Ok(vec![0; super::OUTPUT_BYTES + 1])
    }

    #[handler("test.tasks.files")]
    fn files(task: &Task) -> std::io::Result<String> {
        std::fs::write(task.folder("tmp").join("scratch"), "")?;
        std::fs::write(task.folder("data").join("kept"), "kept")?;
        std::fs::read_to_string(task.folder("granted").join("note"))
    }
}

#[idlewild_guest::bundle(sync)]
mod ordered {
    use std::time::Duration;

    use idlewild_guest::{Progress, Request, Task};

    #[handler("test.ordered.waits")]
    fn waits(task: &Task) -> String {
        let mut waited = 0;
        loop {
            match task.wait(Duration::from_secs(7)) {
                None => waited += 1,
                Some(reason) => return format!("{waited} times, then {reason}"),
            }
        }
    }

    #[handler("test.ordered.heeds-nothing")]
    fn heeds_nothing(task: &Task) {
        loop {
            task.wait(Duration::from_secs(7));
        }
    }

    #[handler("test.ordered.never-told")]
    fn never_told(task: &Task) {
        while !task.is_expiring() {}
    }

    #[handler("test.ordered.counts")]
    fn counts(task: &Task) -> String {
        let mut first: Progress = task.progress_without_total();
        first.advance(3);
        first.set_total(2);
        first.set_total(4);
        let mut second = task.progress(u64::MAX);
        first.advance(1);
        second.advance(u64::MAX - 1);
        second.advance(u64::MAX);
        if let Some(reason) = task.expiration() {
            return reason.to_string();
        }
        String::new()
    }

    #[handler("test.ordered.counts-none")]
    fn counts_none(task: &Task) {
        let mut progress = task.progress(0);
        progress.advance(1);
        progress.set_total(0);
        progress.set_total(2);
        task.progress_without_total().set_total(0);
    }

    #[handler("test.ordered.counts-by-itself")]
    fn counts_by_itself(task: &Task) {
        let mut earlier = task.progress(9);
        task.set_progress(5, 6);
        earlier.advance(1);
        drop(task.progress(3));
    }

    #[handler("test.ordered.insists")]
    fn insists(task: &Task) -> Result<(), idlewild_guest::SubmitError> {
        Request::app_refresh(task.identifier()).submit()?;
        Ok(())
    }
}

fn host() -> Host {
    Host::new(tasks::BUNDLE)
}

/// What is pending: identifier and reasons.
fn pending(host: &Host) -> Vec<(String, Vec<Reason>)> {
    host.pending().into_iter().map(|pending| (pending.request.identifier, pending.reasons)).collect()
}

#[test]
fn runs_what_is_due_in_its_order_and_nothing_else() {
    let mut host = host();
    host.state(Condition::Network, false);
    host.state(Condition::Idle, false);
    host.activate().unwrap();
    assert_eq!(
        pending(&host),
        [
            ("test.tasks.count".into(), vec![Reason::Lacks(Condition::Network), Reason::Lacks(Condition::Idle)]),
            ("test.tasks.show".into(), vec![Reason::RunAfter("test.tasks.count".into())]),
        ]
    );
    host.state(Condition::Network, true);
    assert_eq!(host.run_due(), []);
    host.state(Condition::Idle, true);
    let ended = host.run_due();
    let ran: Vec<&str> = ended.iter().map(|ended| ended.identifier.as_str()).collect();
    assert_eq!(ran, ["test.tasks.count", "test.tasks.show"]);
    assert_eq!((ended[0].text(), ended[1].text()), ("3 in attempt 1", "shown"));
}

#[test]
fn a_request_of_its_own_waits_for_its_floor() {
    let mut host = host();
    let ended = host.launch(Request::processing("test.tasks.count"));
    assert_eq!(ended.submissions.len(), 1);
    assert!(!ended.submissions[0].replaced);
    assert_eq!(pending(&host), [("test.tasks.count".into(), vec![Reason::EarliestBegin(host.now() + QUARTER)])]);
    host.advance(QUARTER - SECOND);
    assert_eq!(host.run_due(), []);
    host.advance(SECOND);
    assert_eq!(host.run_due().len(), 1);
}

#[test]
fn a_delay_counts_from_the_moment_of_the_test() {
    let mut host = host();
    for _ in 0..2 {
        host.submit(Request::app_refresh("test.tasks.show").earliest_begin_in(QUARTER)).unwrap();
        assert_eq!(pending(&host), [("test.tasks.show".into(), vec![Reason::EarliestBegin(host.now() + QUARTER)])]);
        assert_eq!(host.run_due(), []);
        host.advance(QUARTER);
        assert_eq!(host.run_due().len(), 1);
    }
}

#[idlewild_guest::bundle]
mod failing {
    use idlewild_guest::Request;

    #[activate]
    fn schedule() -> Result<(), String> {
        Request::app_refresh("test.failing.work").submit()?;
        Err("no feeds are configured".to_owned())
    }

    #[cfg(any())]
    #[activate]
    fn schedule() {}

    #[handler("test.failing.work")]
    fn work() {}

    #[cfg(any())]
    #[handler("test.failing.work")]
    fn work() {}
}

#[test]
fn a_failed_activation_leaves_nothing_behind() {
    let mut host = Host::new(failing::BUNDLE);
    assert_eq!(host.activate().unwrap_err(), "no feeds are configured");
    assert_eq!(host.pending(), []);
    host.submit(Request::app_refresh("test.failing.work").input("first")).unwrap();
    host.activate().unwrap_err();
    assert_eq!(host.pending()[0].request.input, b"first");
}

#[test]
fn a_newer_request_replaces_and_says_so() {
    let mut host = host();
    let request = || Request::app_refresh("test.tasks.show").earliest_begin_in(QUARTER);
    assert!(!host.submit(request()).unwrap().replaced);
    assert!(host.submit(request()).unwrap().replaced);
    assert_eq!(host.pending().len(), 1);
}

#[test]
fn a_wildcard_handles_what_is_below_it() {
    let mut host = host();
    assert_eq!(host.launch(Request::app_refresh("test.tasks.echo.a").input("hi")).text(), "test.tasks.echo.a: hi");
    let ended = host.launch(Request::app_refresh("test.tasks.echo.b").input([0xff]));
    assert_eq!(
        ended.outcome.to_string(),
        "failed: the input of test.tasks.echo.b is not text: invalid utf-8 sequence of 1 bytes from index 0"
    );
}

#[test]
fn time_passes_by_what_is_slept() {
    let mut host = host();
    let ended = host.launch(Request::processing("test.tasks.steps"));
    assert_eq!((ended.text(), ended.took), ("after None", 12 * SECOND));
    let last = ended.progress.len() - 1;
    assert_eq!((ended.progress[0], ended.progress[1], ended.progress[last]), ((0, 10), (1, 10), (10, 10)));
    assert_eq!(ended.titles[0], ("Stepping".to_owned(), "1".to_owned()));
}

#[test]
fn expires_at_the_chosen_moment_and_keeps_its_checkpoint_until_a_success() {
    let mut host = host();
    for when in [When::After(3 * SECOND + SECOND / 2), When::Progressed(4), When::Asked(4)] {
        host.expire("test.tasks.steps", when, ExpirationReason::Cancelled);
        let ended = host.launch(Request::processing("test.tasks.steps"));
        let message = ended.outcome.to_string();
        assert_eq!(message, "expired: cancelled, failed: left at step 4: cancelled", "{when:?}");
        assert_eq!(ended.checkpoints, [b"4"], "{when:?}");
        assert_eq!(host.checkpoint("test.tasks.steps").as_deref(), Some(&b"4"[..]), "{when:?}");
    }
    let ended = host.launch(Request::processing("test.tasks.steps"));
    assert_eq!(ended.text(), r#"after Some(Ok("4"))"#);
    assert_eq!(host.checkpoint("test.tasks.steps"), None);
}

#[test]
fn the_time_limit_expires_and_the_end_of_the_grace_stops() {
    let ended = host().launch(Request::app_refresh("test.tasks.stubborn"));
    assert_eq!(ended.outcome, Outcome::Expired { reason: ExpirationReason::TimeLimit, returned: None });
    assert_eq!(ended.took, 30 * SECOND + GRACE);
}

#[test]
fn an_interrupted_request_comes_back_and_a_newer_one_waits_behind_it() {
    let mut host = host();
    host.state(Condition::Idle, false);
    host.interrupt("test.tasks.steps", When::After(5 * SECOND));
    let first = host.launch(Request::processing("test.tasks.steps"));
    assert_eq!((&first.outcome, first.comes_back, first.took), (&Outcome::Interrupted, true, 5 * SECOND));
    assert!(!host.submit(Request::processing("test.tasks.steps")).unwrap().replaced);
    let waiting = host.pending();
    assert_eq!(waiting[0].launches, 1);
    assert_eq!(waiting[1].reasons, [Reason::Behind(waiting[0].id), Reason::Lacks(Condition::Idle)]);
    host.state(Condition::Idle, true);
    let attempts: Vec<u32> = host.run_due().iter().map(|ended| ended.attempt).collect();
    assert_eq!(attempts, [2, 1]);
}

#[test]
fn comes_back_when_the_host_stops_but_not_for_ever() {
    let mut host = host();
    let mut launches = 0;
    host.submit(Request::processing("test.tasks.stubborn")).unwrap();
    while !host.pending().is_empty() {
        host.expire("test.tasks.stubborn", When::After(SECOND), ExpirationReason::HostStopping);
        let ended = host.run_next();
        launches += 1;
        assert_eq!(ended.comes_back, launches <= INTERRUPTIONS, "launch {launches}");
    }
    assert_eq!(launches, INTERRUPTIONS + 1);
}

#[test]
fn a_panic_is_a_trap_and_too_large_is_a_failure() {
    let mut host = host();
    let ended = host.launch(Request::app_refresh("test.tasks.panics"));
    assert_eq!(ended.outcome, Outcome::Trapped { message: "no 1".to_owned() });
    let ended = host.launch(Request::app_refresh("test.tasks.large"));
    assert_eq!(
        ended.outcome.to_string(),
        "failed: the output of 1048577 bytes is larger than the 1048576 that are kept"
    );
}

#[test]
fn folders_are_real_and_tmp_ends_with_the_task() {
    let granted = std::env::temp_dir().join(format!("idlewild-granted-{}", std::process::id()));
    std::fs::create_dir_all(&granted).unwrap();
    std::fs::write(granted.join("note"), "granted").unwrap();
    let mut host = host();
    let ended = host.launch(Request::app_refresh("test.tasks.files"));
    assert!(matches!(ended.outcome, Outcome::Failed { .. }), "{}", ended.outcome);
    host.grant("granted", &granted);
    assert_eq!(host.launch(Request::app_refresh("test.tasks.files")).text(), "granted");
    assert_eq!(std::fs::read_to_string(host.folder("data").join("kept")).unwrap(), "kept");
    assert_eq!(std::fs::read_dir(host.folder("tmp")).unwrap().count(), 0);
    let data = host.folder("data");
    drop(host);
    assert!(!data.exists());
    std::fs::remove_dir_all(granted).unwrap();
}

#[test]
fn refuses_what_the_host_refuses() {
    let mut host = host();
    let mut refused = |request: Request| host.submit(request).map_err(|error| (error.code, error.message));
    let not_permitted = |message: &str| Err((SubmitErrorCode::NotPermitted, message.to_owned()));
    let show = || Request::app_refresh("test.tasks.show");
    for (request, message) in [
        (
            Request::app_refresh("test.tasks.echo.*").into_any(),
            "`test.tasks.echo.*` may contain only ASCII letters, digits, hyphens, underscores and dots",
        ),
        (
            show().run_after("test.tasks.echo.a..b").into_any(),
            "`test.tasks.echo.a..b` has an empty part between its dots",
        ),
        (
            Request::app_refresh("test.tasks.shown").into_any(),
            "test.tasks.shown is not among the bundle's permitted-identifiers",
        ),
        (
            show().earliest_begin_in(QUARTER).latest_begin_in(SECOND).into_any(),
            "latest-begin 2026-01-01T00:00:01Z lies before earliest-begin 2026-01-01T00:15:00Z",
        ),
        (show().input(vec![0; 65_537]).into_any(), "the input has 65537 bytes, and 65536 are allowed"),
        (show().run_after("test.tasks.show").into_any(), "test.tasks.show cannot run after itself"),
        (
            show().run_after("test.other").into_any(),
            "run-after names test.other, which is not among the bundle's permitted-identifiers",
        ),
        (
            Request::continued_processing("test.tasks.show", " ", "").into_any(),
            "continued-processing needs a title, which is shown to who asked for it",
        ),
    ] {
        assert_eq!(refused(request), not_permitted(message));
    }
}

#[test]
fn a_device_allows_less() {
    let mut host = host();
    host.set_profile(Profile::Device);
    let error = host.submit(Request::app_refresh("test.tasks.echo.a")).unwrap_err();
    assert!(error.message.contains("permitted only by a wildcard"), "{error}");
    host.submit(Request::app_refresh("test.tasks.show")).unwrap();
    let error = host.submit(Request::app_refresh("test.tasks.files")).unwrap_err();
    assert_eq!(error.code, SubmitErrorCode::TooManyPendingTaskRequests);
    assert!(host.submit(Request::app_refresh("test.tasks.show")).unwrap().replaced);
}

#[test]
fn waits_in_order_until_the_end() {
    let mut host = Host::new(ordered::BUNDLE);
    let ended = host.launch(Request::app_refresh("test.ordered.waits"));
    assert_eq!(ended.outcome.to_string(), "expired: time-limit, returned: 4 times, then time-limit");
    assert_eq!(ended.took, 30 * SECOND);
    let ended = host.launch(Request::app_refresh("test.ordered.heeds-nothing"));
    assert_eq!(ended.outcome.to_string(), "expired: time-limit, stopped");
    assert_eq!(ended.took, 30 * SECOND + GRACE);
}

#[test]
fn progress_goes_on_only_and_the_newest_speaks() {
    let mut host = Host::new(ordered::BUNDLE);
    let ended = host.launch(Request::app_refresh("test.ordered.counts"));
    let max = u64::MAX;
    assert_eq!(ended.progress, [(0, 0), (3, 0), (3, 3), (3, 4), (0, max), (max - 1, max), (max, max)]);
}

#[test]
fn of_nothing_all_is_done() {
    let ended = Host::new(ordered::BUNDLE).launch(Request::app_refresh("test.ordered.counts-none"));
    assert_eq!(ended.progress, [(1, 1), (1, 1), (1, 1), (1, 2), (0, 0), (1, 1)]);
}

#[test]
fn a_handler_that_counts_by_itself_is_the_newest_to_speak() {
    let ended = Host::new(ordered::BUNDLE).launch(Request::app_refresh("test.ordered.counts-by-itself"));
    assert_eq!(ended.progress, [(0, 9), (5, 6), (0, 3)]);
}

#[test]
fn a_test_that_would_never_end_says_why() {
    let ended = Host::new(ordered::BUNDLE).launch(Request::app_refresh("test.ordered.never-told"));
    assert!(ended.outcome.to_string().contains("plan an expiration for it"), "{}", ended.outcome);
}

#[test]
#[should_panic = "a handler asks for itself again without an earliest begin"]
fn a_handler_that_asks_for_itself_at_once_is_told() {
    let mut host = Host::new(ordered::BUNDLE);
    host.submit(Request::app_refresh("test.ordered.insists")).unwrap();
    host.run_due();
}

#[test]
#[should_panic = "this asks the host, and there is none"]
fn without_a_host_a_question_says_so() {
    idlewild_guest::cancel_all();
}

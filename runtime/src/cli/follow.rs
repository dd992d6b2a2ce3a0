//! What becomes of one request: heard from the events, and asked for where they leave something out.

use std::io::{self, Write};

use anyhow::Context as _;
use futures_util::{StreamExt as _, stream::BoxStream};
use serde::{Serialize, de::DeserializeOwned};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{
    human,
    output::{Output, legible},
    requests, tasks,
};
use crate::{
    api::{Client, ClientError, wire},
    rules::{CancelCause, Identifier},
};

/// How many tasks are asked for at once when the one of a request is looked for.
const PAGE: usize = 100;

/// Follows a request. The events are heard from before it was submitted, so that nothing of it is lost.
pub(super) struct Following<'a> {
    client: &'a Client,
    events: BoxStream<'static, wire::Event>,
    identifier: Identifier,
    request: u64,
    /// The one that runs, as far as was heard.
    task: Option<u64>,
}

/// What is to be told of it.
#[derive(Debug)]
pub(super) enum News {
    Waits(Vec<wire::Reason>),
    /// Its task runs.
    Launched,
    Over(End),
}

/// How a request ended.
#[derive(Debug)]
pub(super) enum End {
    /// With its last task.
    Ended(Box<wire::Task>),
    /// Nobody knows by whom when that was not heard.
    Cancelled(Option<wire::Text<CancelCause>>),
    /// This one took its place.
    Replaced(u64),
}

/// The end of a request, for programs. Exactly one key stands beside `request`.
#[derive(Default, Serialize)]
struct Followed<'a> {
    request: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<&'a wire::Task>,
    /// Null when nobody knows by whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    cancelled: Option<Option<&'a wire::Text<CancelCause>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replaced_by: Option<u64>,
}

impl<'a> Following<'a> {
    /// `events` are heard since before `request` was submitted.
    pub(super) fn new(
        client: &'a Client,
        events: BoxStream<'static, wire::Event>,
        identifier: Identifier,
        request: u64,
    ) -> Following<'a> {
        Following { client, events, identifier, request, task: None }
    }

    pub(super) fn client(&self) -> &'a Client {
        self.client
    }

    /// The one that runs, as far as was heard.
    pub(super) fn task(&self) -> Option<u64> {
        self.task
    }

    /// How it stands now, asked rather than heard.
    pub(super) async fn look(&mut self) -> anyhow::Result<News> {
        let why: wire::Why = self.ask(&format!("/v1/why/{}", self.identifier)).await?;
        if let Some(waiting) = why.waiting.into_iter().find(|waiting| waiting.record.id == self.request) {
            return Ok(News::Waits(waiting.reasons));
        }
        if let Some(running) = why.running.filter(|task| task.request == self.request) {
            self.task = Some(running.id);
            return Ok(News::Launched);
        }
        Ok(News::Over(match self.last_task().await? {
            Some(task) => End::Ended(Box::new(task)),
            None => End::Cancelled(None),
        }))
    }

    /// What becomes of it next. Errors: the host ended first.
    pub(super) async fn next(&mut self) -> anyhow::Result<News> {
        loop {
            let event = self.events.next().await.ok_or_else(|| self.host_ended())?;
            match event.what {
                wire::What::Waiting { request, reasons, .. } if request == self.request => {
                    return Ok(News::Waits(reasons));
                }
                wire::What::Launched { request, task, .. } if request == self.request => {
                    self.task = Some(task);
                    return Ok(News::Launched);
                }
                wire::What::Ended { task, comes_back, .. } if self.task == Some(task) => {
                    self.task = None;
                    if !comes_back {
                        // The event leaves out what is long.
                        let task = self.ask(&format!("/v1/tasks/{task}")).await?;
                        return Ok(News::Over(End::Ended(Box::new(task))));
                    }
                }
                wire::What::Cancelled { request, cause, .. } if request == self.request => {
                    return Ok(News::Over(End::Cancelled(Some(cause))));
                }
                wire::What::Submitted { request, replaced, .. } if replaced == Some(self.request) => {
                    return Ok(News::Over(End::Replaced(request)));
                }
                wire::What::Missed { .. } => return self.look().await,
                // A request that goes on waiting may do so for another reason, which is not told by itself.
                wire::What::ConditionChanged { .. }
                | wire::What::BundleEnabled { .. }
                | wire::What::BundleDisabled { .. }
                | wire::What::GrantsChanged { .. }
                | wire::What::Enrolled { .. }
                | wire::What::EnrolmentWithdrawn { .. }
                    if self.task.is_none() =>
                {
                    return self.look().await;
                }
                wire::What::Waiting { .. }
                | wire::What::Launched { .. }
                | wire::What::Ended { .. }
                | wire::What::Cancelled { .. }
                | wire::What::Submitted { .. }
                | wire::What::Compiling { .. }
                | wire::What::Compiled { .. }
                | wire::What::NotCompiled { .. }
                | wire::What::BundleInstalled { .. }
                | wire::What::BundleRolledBack { .. }
                | wire::What::BundleSigned { .. }
                | wire::What::BundleUninstalled { .. }
                | wire::What::DataDropped { .. }
                | wire::What::BundleEnabled { .. }
                | wire::What::BundleDisabled { .. }
                | wire::What::GrantsChanged { .. }
                | wire::What::Enrolled { .. }
                | wire::What::EnrolmentWithdrawn { .. }
                | wire::What::Progressed { .. }
                | wire::What::Titled { .. }
                | wire::What::Suspended { .. }
                | wire::What::Resumed { .. }
                | wire::What::Attached { .. }
                | wire::What::Detached { .. }
                | wire::What::Expiring { .. }
                | wire::What::ConditionChanged { .. }
                | wire::What::Schedule { .. } => {}
            }
        }
    }

    /// Asks a host that answered just before.
    async fn ask<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        match self.client.get(path).await {
            Err(ClientError::Unreachable { .. } | ClientError::Garbled(_)) => Err(self.host_ended()),
            answer => Ok(answer?),
        }
    }

    fn host_ended(&self) -> anyhow::Error {
        anyhow::anyhow!("the host ended; request {} of {} is as it left it", self.request, self.identifier)
    }

    /// The newest task of the request, its output whole.
    async fn last_task(&self) -> anyhow::Result<Option<wire::Task>> {
        let mut before = String::new();
        loop {
            let path = format!("/v1/tasks?identifier={}&limit={PAGE}{before}", self.identifier);
            let page: Vec<wire::Task> = self.ask(&path).await?;
            if let Some(task) = page.iter().find(|task| task.request == self.request) {
                return Ok(Some(self.ask(&format!("/v1/tasks/{}", task.id)).await?));
            }
            match page.last() {
                Some(oldest) if page.len() == PAGE => before = format!("&before={}", oldest.id),
                Some(_) | None => return Ok(None),
            }
        }
    }
}

/// SIGINT, which from now on no longer ends this process by itself.
pub(super) fn interrupts() -> anyhow::Result<Signal> {
    signal(SignalKind::interrupt()).context("SIGINT cannot be caught")
}

/// Waits for the end of a request, and prints what its task put out. Says whether it succeeded; none: SIGINT came first, and
/// the request is left as it is.
pub(super) async fn wait(
    mut following: Following<'_>,
    out: &mut Output,
    interrupts: &mut Signal,
) -> anyhow::Result<Option<bool>> {
    let mut reasons = Reasons::default();
    let mut news = following.look().await?;
    loop {
        match news {
            News::Waits(held_by) => reasons.tell(&following, out, &held_by),
            // If it comes back, what it waits for is told anew.
            News::Launched => reasons = Reasons::default(),
            News::Over(end) => return tell_end(&following, &end, out).map(Some),
        }
        news = tokio::select! {
            biased;
            _ = interrupts.recv() => {
                tell_left(&following, out);
                return Ok(None);
            }
            news = following.next() => news?,
        };
    }
}

/// The reasons that were told last.
#[derive(Default)]
pub(super) struct Reasons(Vec<(String, Option<String>)>);

impl Reasons {
    /// Says on stderr what holds the request back, unless it was said just before, and how to run it all the same.
    pub(super) fn tell(&mut self, following: &Following<'_>, out: &Output, reasons: &[wire::Reason]) {
        // A source may word the same reading otherwise from one moment to the next.
        let told: Vec<_> =
            reasons.iter().map(|reason| (reason.code.clone(), reason.at.map(|at| at.to_string()))).collect();
        if self.0 == told {
            return;
        }
        self.0 = told;
        if reasons.is_empty() {
            return;
        }
        say(&format!("request {} waits: {}", following.request, requests::because(reasons)));
        if let Some(force) = requests::launchable(reasons) {
            let launch = out.command(&format!("launch {}{force}", following.identifier));
            say(&format!("to run it now all the same: {launch}"));
        }
    }
}

/// Says on stderr that nobody waits any more.
pub(super) fn tell_left(following: &Following<'_>, out: &Output) {
    let Following { identifier, request, task, .. } = following;
    let why = out.command(&format!("why {identifier}"));
    match task {
        None => say(&format!("request {request} of {identifier} stays pending; see how it fares: {why}")),
        Some(task) => say(&format!("task {task} of {identifier} goes on; see how it fares: {why}")),
    }
}

/// Prints what a request came to, and says whether it succeeded.
pub(super) fn tell_end(following: &Following<'_>, end: &End, out: &mut Output) -> anyhow::Result<bool> {
    let request = following.request;
    let succeeded = succeeded(end);
    if out.json {
        let nothing = Followed { request, ..Followed::default() };
        out.object(&match end {
            End::Ended(task) => Followed { task: Some(task), ..nothing },
            End::Cancelled(cause) => Followed { cancelled: Some(cause.as_ref()), ..nothing },
            End::Replaced(by) => Followed { replaced_by: Some(*by), ..nothing },
        })?;
        return Ok(succeeded);
    }
    match end {
        End::Ended(task) => match task.ended.as_ref().map(|ended| &ended.outcome) {
            Some(wire::Outcome::Succeeded { output }) => match &output.output {
                Some(bytes) => out.guest_bytes(&bytes.0)?,
                None => say(&format!("its output of {} is not kept", human::size(output.output_bytes))),
            },
            Some(_) | None => say(&tasks::one_line(task)),
        },
        End::Cancelled(cause) => say(&cancelled(request, cause.as_ref())),
        End::Replaced(by) => say(&replaced(request, *by)),
    }
    Ok(succeeded)
}

pub(super) fn succeeded(end: &End) -> bool {
    match end {
        End::Ended(task) => {
            matches!(task.ended, Some(wire::Ended { outcome: wire::Outcome::Succeeded { .. }, .. }))
        }
        End::Cancelled(_) | End::Replaced(_) => false,
    }
}

fn cancelled(request: u64, cause: Option<&wire::Text<CancelCause>>) -> String {
    match cause {
        Some(cause) => format!("request {request} was cancelled, by {cause}"),
        None => format!("request {request} was cancelled"),
    }
}

fn replaced(request: u64, by: u64) -> String {
    format!("request {request} gave way to request {by} for the same identifier")
}

/// A line on stderr, beside the output. Who closed stderr wants to hear nothing.
pub(super) fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{}", legible(line));
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use futures_util::stream;

    use super::*;
    use crate::{
        api::Router,
        rules::{self, BundleId, KindName, RequestId, TaskId},
    };

    fn identifier() -> Identifier {
        Identifier::parse("com.example.a.b").unwrap()
    }

    fn bundle() -> BundleId {
        BundleId::parse("com.example.a").unwrap()
    }

    fn task(id: u64, request: u64, outcome: Option<rules::Outcome>) -> wire::Task {
        let at = "2026-07-28T09:00:00Z".parse().unwrap();
        wire::Task::from(&rules::TaskRecord {
            id: TaskId(id),
            request: RequestId(request),
            bundle: bundle(),
            identifier: identifier(),
            kind: KindName::AppRefresh,
            attempt: 1,
            launched_at: at,
            progress: None,
            title: None,
            suspended: false,
            ended: outcome.map(|outcome| rules::Ended { at, outcome, usage: rules::Usage::default() }),
        })
    }

    fn why(running: Option<wire::Task>) -> wire::Why {
        let (bundle, identifier) = (wire::Text(bundle()), wire::Text(identifier()));
        wire::Why { bundle, identifier, waiting: Vec::new(), running, last: None }
    }

    fn json(answer: &impl Serialize) -> String {
        serde_json::to_string(answer).unwrap()
    }

    /// A host that gives these answers, one after the other.
    fn answering(answers: Vec<String>) -> Client {
        let answers = Arc::new(Mutex::new(answers.into_iter()));
        Client::Local(
            Router::new().fallback(move || async move { answers.lock().unwrap().next().expect("no more is asked") }),
        )
    }

    fn event(what: rules::What) -> wire::Event {
        wire::Event::from(&rules::Happening { at: "2026-07-28T09:00:00Z".parse().unwrap(), what })
    }

    fn following(client: &Client, events: Vec<wire::Event>) -> Following<'_> {
        Following::new(client, stream::iter(events).boxed(), identifier(), 5)
    }

    #[tokio::test]
    async fn what_was_missed_is_asked_for() {
        let success = || Some(rules::Outcome::Succeeded { output: b"done".to_vec() });
        let newer: Vec<_> = (0..PAGE as u64).map(|newer| task(1_000 - newer, 6, success())).collect();
        let older = vec![task(9, 5, success()), task(8, 5, Some(rules::Outcome::Interrupted))];
        let answers = vec![json(&why(None)), json(&newer), json(&older), json(&older[0])];
        let client = answering(answers);
        let missed: wire::Event = serde_json::from_str(r#"{"event":"missed","count":3}"#).unwrap();
        let News::Over(End::Ended(ended)) = following(&client, vec![missed.clone()]).next().await.unwrap() else {
            panic!("it has ended")
        };
        assert_eq!(*ended, older[0]);

        let client = answering(vec![json(&why(Some(task(9, 5, None))))]);
        let mut running = following(&client, vec![missed.clone()]);
        assert!(matches!(running.next().await.unwrap(), News::Launched));
        assert_eq!(running.task, Some(9));

        let client = answering(vec![json(&why(Some(task(9, 6, None)))), json(&Vec::<wire::Task>::new())]);
        let over = following(&client, vec![missed]).next().await.unwrap();
        assert!(matches!(over, News::Over(End::Cancelled(None))), "{over:?}");
    }

    #[tokio::test]
    async fn a_task_that_comes_back_is_no_end_and_what_others_do_is_no_news() {
        let ended = |task, comes_back| {
            event(rules::What::Ended {
                bundle: bundle(),
                identifier: identifier(),
                task: TaskId(task),
                outcome: rules::Outcome::Interrupted,
                usage: rules::Usage::default(),
                comes_back,
            })
        };
        let launched = |request, task| {
            event(rules::What::Launched {
                bundle: bundle(),
                identifier: identifier(),
                request: RequestId(request),
                task: TaskId(task),
                kind: KindName::AppRefresh,
                attempt: 1,
            })
        };
        let replacing = event(rules::What::Submitted {
            bundle: bundle(),
            identifier: identifier(),
            request: RequestId(7),
            replaced: Some(RequestId(5)),
        });
        let client = answering(Vec::new());
        let events = vec![
            launched(4, 1),
            ended(1, false),
            launched(5, 2),
            ended(2, true),
            launched(5, 3),
            ended(3, true),
            replacing,
        ];
        let mut following = following(&client, events);
        for task in [2, 3] {
            assert!(matches!(following.next().await.unwrap(), News::Launched));
            assert_eq!(following.task, Some(task));
        }
        assert!(matches!(following.next().await.unwrap(), News::Over(End::Replaced(7))));
        let gone = following.next().await.unwrap_err().to_string();
        assert_eq!(gone, "the host ended; request 5 of com.example.a.b is as it left it");
    }
}

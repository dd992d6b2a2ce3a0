//! `serve`: a host in this process, from its first line to its exit code.

use std::{
    collections::HashSet,
    process::{self, ExitCode},
};

use anyhow::Context as _;
use futures_util::{FutureExt as _, StreamExt as _, TryFutureExt as _, future::BoxFuture};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{
    NOT_ALL_SUCCEEDED,
    arguments::{Given, Serve},
    display::{Display, Notice},
};
use crate::{
    api::{Client, wire},
    daemon::{self, Daemon, DaemonOptions, Plan},
};

pub(super) async fn serve(given: &Given, command: Serve) -> anyhow::Result<ExitCode> {
    let Serve { bundles, grants, assumptions, allow_downgrade, allow_other_signer, exit_when_done } = command;
    let allowed = daemon::Allowed { downgrade: allow_downgrade, other_signer: allow_other_signer };
    let plans = daemon::plan(&bundles, &grants.offers(), allowed)?;
    let mut signals = Signals::new()?;
    let mut daemon = daemon::open(DaemonOptions { state: given.state_folder()?, assumptions, launching: true }).await?;
    let mut display = Display::new(given.json);
    let served = match daemon.listen() {
        Ok(()) => run(&daemon, &plans, exit_when_done, &mut display, &mut signals).await,
        Err(error) => Err(error),
    };
    display.close();
    // However it ended, nothing is left running; after an error a signal still ends it at once.
    tokio::select! {
        () = daemon.close() => served,
        stop = signals.next() => process::exit(stop.exit_code()),
    }
}

/// What the host is busy with, one after the other.
enum Step {
    Installed,
    /// Nothing is left to do.
    Done,
    Drained,
}

async fn run(
    daemon: &Daemon,
    plans: &[Plan],
    exit_when_done: bool,
    display: &mut Display,
    signals: &mut Signals,
) -> anyhow::Result<ExitCode> {
    let client = daemon.client();
    let mut events = daemon.events();
    let newest_before = daemon.newest_before();
    let host: wire::About = client.get("/v1/host").await?;
    let conditions: Vec<wire::Condition> = client.get("/v1/conditions").await?;
    display.notice(&Notice::Serving { host: &host, socket: daemon.socket(), conditions: &conditions })?;

    let mut code = ExitCode::SUCCESS;
    let mut stopping = false;
    let mut work: BoxFuture<'_, anyhow::Result<Step>> = daemon.install(plans).map_ok(|()| Step::Installed).boxed();
    loop {
        // Signals first: a flood of events must not hide them. Events before steps: what happened is shown before what follows.
        tokio::select! {
            biased;
            stop = signals.next() => {
                if stopping {
                    display.close();
                    process::exit(stop.exit_code());
                }
                stopping = true;
                let grace_ms = u64::try_from(daemon.grace().as_millis()).unwrap_or(u64::MAX);
                display.notice(&Notice::Stopping { running: display.running(), grace_ms })?;
                work = drain(daemon);
            }
            Some(event) = events.next() => display.event(&event)?,
            step = &mut work => match step? {
                Step::Installed => {
                    let bundles: Vec<wire::Bundle> = client.get("/v1/bundles").await?;
                    display.notice(&Notice::Ready { bundles: &bundles })?;
                    work = match exit_when_done {
                        true => daemon.done().map_ok(|()| Step::Done).boxed(),
                        false => futures_util::future::pending().boxed(),
                    };
                }
                Step::Done => {
                    let Tally { ended, not_succeeded } = tally(&client, newest_before).await?;
                    display.notice(&Notice::Done { ended, not_succeeded })?;
                    if not_succeeded > 0 {
                        code = ExitCode::from(NOT_ALL_SUCCEEDED);
                    }
                    work = drain(daemon);
                }
                Step::Drained => return Ok(code),
            },
        }
    }
}

fn drain(daemon: &Daemon) -> BoxFuture<'_, anyhow::Result<Step>> {
    daemon.drain().map(|()| Ok(Step::Drained)).boxed()
}

/// How this run went.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    /// Requests whose last task ended in this run.
    ended: u64,
    not_succeeded: u64,
}

/// Counts what ended after the task `newest_before`, from the host's own records: events may have been missed.
async fn tally(client: &Client, newest_before: u64) -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    let mut requests = HashSet::new();
    let mut page: Vec<wire::Task> = client.get(&format!("/v1/tasks?limit={}", wire::LIST_LIMIT)).await?;
    loop {
        for task in page.iter().filter(|task| task.id > newest_before) {
            let Some(ended) = &task.ended else { continue };
            // Newest first: what a request's earlier tasks came to is no longer what it came to.
            if !requests.insert(task.request) {
                continue;
            }
            tally.ended += 1;
            if !matches!(ended.outcome, wire::Outcome::Succeeded { .. }) {
                tally.not_succeeded += 1;
            }
        }
        match page.last() {
            Some(oldest) if oldest.id > newest_before => {
                page = client.get(&format!("/v1/tasks?limit={}&before={}", wire::LIST_LIMIT, oldest.id)).await?;
            }
            Some(_) | None => return Ok(tally),
        }
    }
}

/// The signals that ask a host to stop.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    Interrupt,
    Terminate,
}

impl Signals {
    /// From now on they no longer end the process by themselves.
    fn new() -> anyhow::Result<Signals> {
        let on = |kind| signal(kind).context("signals cannot be caught");
        Ok(Signals { interrupt: on(SignalKind::interrupt())?, terminate: on(SignalKind::terminate())? })
    }

    async fn next(&mut self) -> Stop {
        tokio::select! {
            _ = self.interrupt.recv() => Stop::Interrupt,
            _ = self.terminate.recv() => Stop::Terminate,
        }
    }
}

impl Stop {
    /// What a shell reports for a process that died of it.
    fn exit_code(self) -> i32 {
        match self {
            Stop::Interrupt => 130,
            Stop::Terminate => 143,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::Router,
        rules::{BundleId, Identifier, KindName, Outcome, RequestId, TaskId, TaskRecord, Usage},
    };

    fn task(id: u64, request: u64, outcome: Option<Outcome>) -> wire::Task {
        let at = "2026-07-28T09:00:00Z".parse().unwrap();
        wire::Task::from(&TaskRecord {
            id: TaskId(id),
            request: RequestId(request),
            bundle: BundleId::parse("com.example.a").unwrap(),
            identifier: Identifier::parse("com.example.a.b").unwrap(),
            kind: KindName::AppRefresh,
            attempt: 1,
            launched_at: at,
            progress: None,
            title: None,
            suspended: false,
            ended: outcome.map(|outcome| crate::rules::Ended { at, outcome, usage: Usage::default() }),
        })
    }

    async fn tally_of(pages: Vec<Vec<wire::Task>>, newest_before: u64) -> Tally {
        let pages = std::sync::Arc::new(std::sync::Mutex::new(pages.into_iter()));
        let router = Router::new().fallback(move || async move {
            let page = pages.lock().unwrap().next().unwrap_or_default();
            serde_json::to_string(&page).unwrap()
        });
        tally(&Client::Local(router), newest_before).await.unwrap()
    }

    #[tokio::test]
    async fn a_request_counts_once_by_its_last_task_and_only_in_this_run() {
        let success = || Some(Outcome::Succeeded { output: vec![] });
        let failure = || Some(Outcome::Failed { message: String::new() });
        let pages = vec![
            vec![task(9, 5, success()), task(8, 4, failure())],
            vec![task(7, 5, Some(Outcome::Interrupted)), task(6, 6, None)],
            vec![task(3, 3, failure())],
        ];
        assert_eq!(tally_of(pages, 3).await, Tally { ended: 2, not_succeeded: 1 });
        assert_eq!(tally_of(vec![], 0).await, Tally::default());
    }
}

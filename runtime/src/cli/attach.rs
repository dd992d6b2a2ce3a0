//! `attach` and `submit --attach`: a running task is watched, and in the foreground meanwhile.

use std::{
    io::{self, BufRead as _, Write as _},
    process::ExitCode,
    thread,
};

use futures_util::StreamExt as _;
use tokio::{signal::unix::Signal, sync::oneshot};

use super::{
    INTERRUPTED, NOT_ALL_SUCCEEDED,
    arguments::{OfTask, TaskOrIdentifier},
    display::Display,
    follow::{self, End, Following, News, Reasons},
    output::Output,
    tasks,
};
use crate::{
    api::{Client, ClientError, wire},
    rules::{ExpirationReason, Identifier},
};

/// How watching ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Watched {
    /// With the task.
    Ended { succeeded: bool },
    /// A person wished so.
    Detached,
    /// By SIGINT, with nobody to ask.
    Interrupted,
}

impl Watched {
    pub(super) fn code(self) -> ExitCode {
        match self {
            Watched::Ended { succeeded: true } | Watched::Detached => ExitCode::SUCCESS,
            Watched::Ended { succeeded: false } => ExitCode::from(NOT_ALL_SUCCEEDED),
            Watched::Interrupted => ExitCode::from(INTERRUPTED),
        }
    }
}

/// What a person wants who pressed Ctrl-C.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Detach,
    Cancel,
    GoOn,
}

pub(super) async fn attach(client: &Client, out: &mut Output, command: OfTask) -> anyhow::Result<ExitCode> {
    if !out.running {
        anyhow::bail!("no host is running, so no task is: `{}` runs one", out.command("serve"))
    }
    let mut interrupts = follow::interrupts()?;
    let task = match command.of {
        TaskOrIdentifier::Task(task) => task,
        TaskOrIdentifier::Identifier(identifier) => running(client, out, &identifier).await?,
    };
    Ok(watch(client, out, &mut interrupts, task).await?.code())
}

/// Waits until the request is launched, and watches its tasks until it is over.
pub(super) async fn request(
    mut following: Following<'_>,
    out: &mut Output,
    interrupts: &mut Signal,
) -> anyhow::Result<Watched> {
    let mut reasons = Reasons::default();
    let mut watched_to_its_end = None;
    let mut news = following.look().await?;
    loop {
        match news {
            News::Waits(held_by) => reasons.tell(&following, out, &held_by),
            News::Launched => {
                // If it comes back, what it waits for is told anew.
                reasons = Reasons::default();
                let Some(task) = following.task() else { continue };
                match watch(following.client(), out, interrupts, task).await {
                    // Whether it comes back is heard next.
                    Ok(Watched::Ended { .. }) => watched_to_its_end = Some(task),
                    Ok(left @ (Watched::Detached | Watched::Interrupted)) => return Ok(left),
                    // It ended before it could be watched; how, is heard next.
                    Err(error) if is_not_found(&error) => {}
                    Err(error) => return Err(error),
                }
            }
            News::Over(end) => return tell(&following, &end, watched_to_its_end, out),
        }
        news = tokio::select! {
            biased;
            _ = interrupts.recv() => {
                follow::tell_left(&following, out);
                return Ok(Watched::Interrupted);
            }
            news = following.next() => news?,
        };
    }
}

fn is_not_found(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(ClientError::Problem(problem)) if problem.status == 404)
}

/// Tells what a request came to, where watching has not shown it already.
fn tell(following: &Following<'_>, end: &End, watched: Option<u64>, out: &mut Output) -> anyhow::Result<Watched> {
    if out.json {
        return Ok(Watched::Ended { succeeded: follow::tell_end(following, end, out)? });
    }
    match end {
        End::Ended(task) if watched == Some(task.id) => {}
        End::Ended(task) => out.line(&tasks::one_line(task))?,
        End::Cancelled(_) | End::Replaced(_) => {
            follow::tell_end(following, end, out)?;
        }
    }
    Ok(Watched::Ended { succeeded: follow::succeeded(end) })
}

/// What runs of the identifier. Errors: nothing does.
async fn running(client: &Client, out: &Output, identifier: &Identifier) -> anyhow::Result<u64> {
    let why: wire::Why = client.get(&format!("/v1/why/{identifier}")).await?;
    match (why.running, why.waiting.as_slice()) {
        (Some(task), _) => Ok(task.id),
        (None, []) => {
            let submit = out.command(&format!("submit {identifier} --attach"));
            anyhow::bail!("nothing of {identifier} runs or waits: `{submit}` asks for it")
        }
        (None, _) => {
            let why = out.command(&format!("why {identifier}"));
            anyhow::bail!("{identifier} does not run yet: `{why}` tells what it waits for")
        }
    }
}

/// Shows what the task does until it ends, or nobody wants to see it any more.
async fn watch(client: &Client, out: &Output, interrupts: &mut Signal, task: u64) -> anyhow::Result<Watched> {
    let mut events = heard(task, client.attach(task).await)?;
    let standing = standing(client, task).await?;
    let mut display = Display::of_task(out.json, &standing);
    let mut asking: Option<oneshot::Receiver<Wish>> = None;
    let watched = loop {
        tokio::select! {
            biased;
            _ = interrupts.recv() => {
                if asking.is_some() || !out.may_ask() {
                    break Watched::Interrupted;
                }
                display.close();
                asking = Some(ask(task));
            }
            wish = answered(&mut asking) => {
                asking = None;
                match wish {
                    Wish::Detach => break Watched::Detached,
                    Wish::Cancel => cancel(client, &standing.identifier.0).await?,
                    Wish::GoOn => {}
                }
                display = Display::of_task(out.json, &self::standing(client, task).await?);
            }
            event = events.next() => {
                let Some(event) = event else { break end_of(&self::standing(client, task).await?)? };
                display.event(&event)?;
                if let wire::What::Ended { outcome, .. } = &event.what {
                    break Watched::Ended { succeeded: matches!(outcome, wire::Outcome::Succeeded { .. }) };
                }
            }
        }
    };
    display.close();
    match watched {
        Watched::Ended { .. } => {}
        Watched::Detached | Watched::Interrupted => {
            let again = out.command(&format!("attach {task}"));
            follow::say(&format!("task {task} goes on in the background; watch it again: {again}"));
        }
    }
    Ok(watched)
}

/// The task as the host knows it. Errors: the host has ended.
async fn standing(client: &Client, task: u64) -> anyhow::Result<wire::Task> {
    heard(task, client.get(&format!("/v1/tasks/{task}")).await)
}

/// The answer of a host that answered just before.
fn heard<T>(task: u64, answer: Result<T, ClientError>) -> anyhow::Result<T> {
    match answer {
        Err(ClientError::Unreachable { .. } | ClientError::Garbled(_)) => Err(gone(task)),
        answer => Ok(answer?),
    }
}

fn gone(task: u64) -> anyhow::Error {
    anyhow::anyhow!("the host ended while task {task} was watched")
}

/// How a task ended whose end was not heard. Errors: it has not, so the host has.
fn end_of(task: &wire::Task) -> anyhow::Result<Watched> {
    let wire::Ended { outcome, .. } = task.ended.as_ref().ok_or_else(|| gone(task.id))?;
    follow::say(&tasks::one_line(task));
    Ok(Watched::Ended { succeeded: matches!(outcome, wire::Outcome::Succeeded { .. }) })
}

/// Takes back what a person asked for: it is not tried again, and asked to stop.
async fn cancel(client: &Client, identifier: &Identifier) -> anyhow::Result<()> {
    let cancelled: wire::Cancelled = client.delete(&format!("/v1/requests/{identifier}")).await?;
    if cancelled.expired > 0 {
        return Ok(());
    }
    let asked = wire::ExpireNow { reason: wire::Text(ExpirationReason::Cancelled) };
    match client.post::<wire::ExpiredNow>(&format!("/v1/identifiers/{identifier}/expire"), &asked).await {
        // It has ended meanwhile, which is as well.
        Ok(_) | Err(ClientError::Problem(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Asks what Ctrl-C is to mean. On a thread of its own: it may never be answered.
fn ask(task: u64) -> oneshot::Receiver<Wish> {
    let (tell, wish) = oneshot::channel();
    thread::spawn(move || {
        let _ = write!(io::stderr(), "task {task}: [d]etach, [c]ancel it, or go on (Enter)? ");
        let mut line = String::new();
        // Who cannot answer any more has gone.
        let wish = match io::stdin().lock().read_line(&mut line) {
            Ok(0) | Err(_) => Wish::Detach,
            Ok(_) => meant(&line),
        };
        tell.send(wish)
    });
    wish
}

fn meant(line: &str) -> Wish {
    match line.trim().to_lowercase().as_str() {
        "d" | "detach" => Wish::Detach,
        "c" | "cancel" => Wish::Cancel,
        _ => Wish::GoOn,
    }
}

/// The answer, once there is one; never when nothing was asked.
async fn answered(asking: &mut Option<oneshot::Receiver<Wish>>) -> Wish {
    match asking {
        Some(asked) => asked.await.unwrap_or(Wish::Detach),
        None => futures_util::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_said_clearly_ends_anything() {
        let cases = [("d\n", Wish::Detach), ("Cancel\n", Wish::Cancel), ("\n", Wish::GoOn), ("what?\n", Wish::GoOn)];
        for (line, meant) in cases {
            assert_eq!(super::meant(line), meant, "{line:?}");
        }
    }
}

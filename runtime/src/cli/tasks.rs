//! `tasks`, `task`, `logs`.

use futures_util::StreamExt as _;
use serde::Serialize;

use super::{
    arguments::{Logs, Past, Task, TaskOrIdentifier},
    human,
    output::Output,
};
use crate::{
    api::{Client, wire},
    rules::Identifier,
};

pub(super) async fn tasks(client: &Client, out: &mut Output, command: Past) -> anyhow::Result<()> {
    let tasks: Vec<wire::Task> = client.get(&command.address("/v1/tasks")).await?;
    if out.json {
        return out.objects(&tasks);
    }
    if tasks.is_empty() {
        return out.line("no such task has run");
    }
    let rows: Vec<_> = tasks.iter().map(row).collect();
    out.table(["TASK", "IDENTIFIER", "KIND", "ATTEMPT", "LAUNCHED", "OUTCOME", "TIME", "FUEL", "MEMORY"], &rows)
}

fn row(task: &wire::Task) -> [String; 9] {
    let (outcome, time, fuel, memory) = match (&task.ended, &task.progress) {
        (Some(wire::Ended { at: _, outcome, usage }), _) => (
            outcome_name(outcome),
            human::length(usage.wall_us),
            human::count(usage.fuel),
            human::size(usage.peak_memory_bytes),
        ),
        (None, _) if task.suspended => ("held in place".to_owned(), String::new(), String::new(), String::new()),
        (None, Some(progress)) => {
            (format!("running, {} %", human::percent(progress)), String::new(), String::new(), String::new())
        }
        (None, None) => ("running".to_owned(), String::new(), String::new(), String::new()),
    };
    [
        task.id.to_string(),
        task.identifier.to_string(),
        task.kind.to_string(),
        task.attempt.to_string(),
        human::moment(&task.launched_at),
        outcome,
        time,
        fuel,
        memory,
    ]
}

/// The outcome in a word, or two for what expired.
pub(super) fn outcome_name(outcome: &wire::Outcome) -> String {
    match outcome {
        wire::Outcome::Succeeded { .. } => "succeeded".to_owned(),
        wire::Outcome::Failed { .. } => "failed".to_owned(),
        wire::Outcome::Expired { reason, .. } => format!("expired, {reason}"),
        wire::Outcome::Trapped { .. } => "trapped".to_owned(),
        wire::Outcome::Interrupted => "interrupted".to_owned(),
    }
}

/// What the outcome brought: the output's first line, or the message's.
pub(super) fn outcome_tail(outcome: &wire::Outcome) -> Option<String> {
    let first_line = |message: &str| message.lines().next().filter(|line| !line.is_empty()).map(str::to_owned);
    match outcome {
        wire::Outcome::Succeeded { output } => output_tail(output),
        wire::Outcome::Failed { message } | wire::Outcome::Trapped { message } => first_line(message),
        wire::Outcome::Expired { handled: false, .. } => Some("stopped by force".to_owned()),
        wire::Outcome::Expired { returned: Some(output), .. } => output_tail(output),
        wire::Outcome::Expired { message: Some(message), .. } => first_line(message),
        wire::Outcome::Expired { .. } => None,
        wire::Outcome::Interrupted => Some("the host ended while it ran".to_owned()),
    }
}

fn output_tail(output: &wire::Output) -> Option<String> {
    match &output.output {
        Some(bytes) if str::from_utf8(&bytes.0).is_ok() => bytes.first_line(),
        Some(_) | None => Some(format!("{} of output", human::size(output.output_bytes))),
    }
}

/// The task in a sentence's tail, for `why`.
pub(super) fn one_line(task: &wire::Task) -> String {
    let attempt = if task.attempt > 1 { format!(", attempt {}", task.attempt) } else { String::new() };
    let mut line = format!("task {}{attempt}", task.id);
    match &task.ended {
        Some(wire::Ended { at, outcome, usage }) => {
            line.push_str(&format!(" {} at {} ({})", outcome_name(outcome), human::moment(at), human::usage(usage)));
            if let Some(tail) = outcome_tail(outcome) {
                line.push_str(&format!(": {tail}"));
            }
        }
        None => {
            line.push_str(&format!(" since {}", human::moment(&task.launched_at)));
            if let Some(progress) = &task.progress {
                line.push_str(&format!(", {}", human::progress(progress)));
            }
        }
    }
    line
}

pub(super) async fn task(client: &Client, out: &mut Output, command: Task) -> anyhow::Result<()> {
    let task: wire::Task = client.get(&format!("/v1/tasks/{}", command.task)).await?;
    if out.json {
        return out.object(&task);
    }
    for (name, value) in facts(&task) {
        out.line(&format!("{name:<11} {value}"))?;
    }
    match task.ended.map(|ended| ended.outcome) {
        Some(wire::Outcome::Succeeded { output } | wire::Outcome::Expired { returned: Some(output), .. }) => {
            show_output(out, &output)
        }
        Some(
            wire::Outcome::Failed { message }
            | wire::Outcome::Trapped { message }
            | wire::Outcome::Expired { message: Some(message), .. },
        ) => {
            out.line("message")?;
            message.lines().try_for_each(|line| out.line(&format!("  {line}")))
        }
        Some(wire::Outcome::Expired { .. } | wire::Outcome::Interrupted) | None => Ok(()),
    }
}

fn facts(task: &wire::Task) -> Vec<(&'static str, String)> {
    let wire::Task {
        id,
        request,
        bundle,
        identifier,
        kind,
        attempt,
        launched_at,
        progress,
        title,
        subtitle,
        suspended,
        ended,
    } = task;
    let mut facts = vec![
        ("task", id.to_string()),
        ("identifier", identifier.to_string()),
        ("bundle", bundle.to_string()),
        ("request", format!("{request}, attempt {attempt}")),
        ("kind", kind.to_string()),
        ("launched", human::moment(launched_at)),
    ];
    if let Some(title) = title {
        facts.push(("title", human::title(title, subtitle.as_deref().unwrap_or_default())));
    }
    if let Some(progress) = progress {
        facts.push(("progress", human::progress(progress)));
    }
    match ended {
        None if *suspended => facts.push(("outcome", "held in place, what it needs is gone".to_owned())),
        None => facts.push(("outcome", "running".to_owned())),
        Some(wire::Ended { at, outcome, usage }) => {
            let outcome = match outcome {
                wire::Outcome::Expired { handled: false, .. } => format!("{}, stopped by force", outcome_name(outcome)),
                outcome => outcome_name(outcome),
            };
            facts.push(("ended", human::moment(at)));
            facts.push(("outcome", outcome));
            facts.push(("time", human::length(usage.wall_us)));
            facts.push(("fuel", human::count(usage.fuel)));
            facts.push(("memory", human::size(usage.peak_memory_bytes)));
        }
    }
    facts
}

fn show_output(out: &mut Output, output: &wire::Output) -> anyhow::Result<()> {
    let size = human::size(output.output_bytes);
    let text = output.output.as_ref().and_then(|bytes| str::from_utf8(&bytes.0).ok());
    match text {
        Some("") => out.line("output      none"),
        Some(text) => {
            out.line(&format!("output      {size}"))?;
            text.lines().try_for_each(|line| out.line(&format!("  {line}")))
        }
        None => out.line(&format!("output      {size}, not text: --json has it in base64")),
    }
}

/// A task's log for programs.
#[derive(Serialize)]
struct Log {
    task: u64,
    log: wire::Bytes,
}

pub(super) async fn logs(client: &Client, out: &mut Output, command: Logs) -> anyhow::Result<()> {
    let task = match command.task.of {
        TaskOrIdentifier::Task(task) => task,
        TaskOrIdentifier::Identifier(identifier) => latest(client, out, &identifier).await?,
    };
    if command.follow {
        // A task that ran when its host died has no end: without a host what is there is all there is.
        let follow = if out.running { "?follow=true" } else { "" };
        let mut written = client.follow_bytes(&format!("/v1/tasks/{task}/log{follow}")).await?;
        while let Some(bytes) = written.next().await {
            match out.json {
                true => out.object(&Log { task, log: wire::Bytes(bytes) })?,
                false => out.guest_bytes_now(&bytes)?,
            }
        }
        return Ok(());
    }
    let log = client.get_bytes(&format!("/v1/tasks/{task}/log")).await?;
    match out.json {
        true => out.object(&Log { task, log: wire::Bytes(log) }),
        false => out.guest_bytes(&log),
    }
}

async fn latest(client: &Client, out: &Output, identifier: &Identifier) -> anyhow::Result<u64> {
    let tasks: Vec<wire::Task> = client.get(&format!("/v1/tasks?identifier={identifier}&limit=1")).await?;
    if let Some(task) = tasks.first() {
        return Ok(task.id);
    }
    // An identifier that no bundle permits is said to be one.
    let _: wire::Why = client.get(&format!("/v1/why/{identifier}")).await?;
    anyhow::bail!("no task of {identifier} has run yet: `{}` tells why", out.command(&format!("why {identifier}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{self, BundleId, ExpirationReason, KindName, RequestId, TaskId};

    fn ended(outcome: rules::Outcome) -> wire::Task {
        let at = "2026-07-28T09:00:00Z".parse().unwrap();
        let usage =
            rules::Usage { fuel: 12_300_000, wall: std::time::Duration::from_millis(1_200), peak_memory: 4_718_592 };
        wire::Task::from(&rules::TaskRecord {
            id: TaskId(7),
            request: RequestId(3),
            bundle: BundleId::parse("com.example.a").unwrap(),
            identifier: Identifier::parse("com.example.a.b").unwrap(),
            kind: KindName::Processing,
            attempt: 1,
            launched_at: at,
            progress: None,
            title: None,
            suspended: false,
            ended: Some(rules::Ended { at, outcome, usage }),
        })
    }

    #[test]
    fn a_task_is_told_in_one_line() {
        let used = "2026-07-28T09:00:00Z (1.2 s, 12.3 M fuel, 4.5 MiB)";
        let reason = ExpirationReason::TimeLimit;
        let cases = [
            (
                rules::Outcome::Succeeded { output: b"40 images\n3 new".to_vec() },
                format!("task 7 succeeded at {used}: 40 images"),
            ),
            (rules::Outcome::Succeeded { output: vec![] }, format!("task 7 succeeded at {used}")),
            (rules::Outcome::Succeeded { output: vec![0xff; 2] }, format!("task 7 succeeded at {used}: 2 B of output")),
            (rules::Outcome::Failed { message: "no album".into() }, format!("task 7 failed at {used}: no album")),
            (
                rules::Outcome::Expired { reason, returned: None },
                format!("task 7 expired, time-limit at {used}: stopped by force"),
            ),
            (
                rules::Outcome::Expired { reason, returned: Some(Err("half".into())) },
                format!("task 7 expired, time-limit at {used}: half"),
            ),
            (rules::Outcome::Interrupted, format!("task 7 interrupted at {used}: the host ended while it ran")),
        ];
        for (outcome, line) in cases {
            assert_eq!(one_line(&ended(outcome)), line);
        }
    }
}

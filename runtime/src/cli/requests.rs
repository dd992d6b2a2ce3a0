//! `submit`, `pending`, `cancel`, `why`.

use super::{
    arguments::{Named, Pending, Submit},
    human,
    output::Output,
    tasks,
};
use crate::api::{Client, wire};

pub(super) async fn submit(client: &Client, out: &mut Output, command: Submit) -> anyhow::Result<()> {
    let mut request = wire::Request::new(command.identifier.clone(), command.kind());
    request.earliest_begin = command.earliest_begin()?.map(wire::Text);
    request.input = wire::Bytes(command.input()?);
    request.requires_network_connectivity = command.requires_network;
    request.requires_external_power = command.requires_external_power;
    request.run_after = command.run_after.into_iter().map(wire::Text).collect();
    request.priority = wire::Text(command.priority);
    let submission: wire::Submission = client.post("/v1/requests", &request).await?;
    if out.json {
        return out.object(&submission);
    }
    let wire::Submission { request, replaced } = submission;
    let replaced = if replaced { ", in place of an earlier one" } else { "" };
    out.line(&format!("request {request} is accepted{replaced}"))?;
    match out.running {
        true => {
            let why = out.command(&format!("why {}", command.identifier));
            out.line(&format!("see how it fares: {why}"))
        }
        false => out.hint_to_serve(),
    }
}

pub(super) async fn pending(client: &Client, out: &mut Output, command: Pending) -> anyhow::Result<()> {
    let waiting: Vec<wire::Waiting> = client.get(&format!("/v1/requests?limit={}", command.limit)).await?;
    if out.json {
        return out.objects(&waiting);
    }
    if waiting.is_empty() {
        return out.line("nothing is pending");
    }
    let rows: Vec<_> = waiting.iter().map(row).collect();
    out.table(["REQUEST", "IDENTIFIER", "KIND", "ATTEMPT", "SUBMITTED", "WAITS BECAUSE"], &rows)?;
    if waiting.len() == command.limit {
        out.line(&format!("(the oldest {}: --limit shows more)", command.limit))?;
    }
    Ok(())
}

fn row(waiting: &wire::Waiting) -> [String; 6] {
    let wire::Waiting { record, reasons } = waiting;
    [
        record.id.to_string(),
        record.request.identifier.to_string(),
        record.request.kind.to_string(),
        record.attempt.to_string(),
        human::moment(&record.submitted_at),
        because(reasons),
    ]
}

/// The reasons in one line.
pub(super) fn because(reasons: &[wire::Reason]) -> String {
    match reasons {
        [] => "it is about to be launched".to_owned(),
        reasons => reasons.iter().map(|reason| reason.message.as_str()).collect::<Vec<_>>().join("; "),
    }
}

pub(super) async fn cancel(client: &Client, out: &mut Output, command: Named) -> anyhow::Result<()> {
    let cancelled: wire::Cancelled = client.delete(&format!("/v1/requests/{}", command.identifier)).await?;
    if out.json {
        return out.object(&cancelled);
    }
    match cancelled.cancelled {
        0 => out.line(&format!("nothing was pending for {}", command.identifier)),
        number => out.line(&format!("{} of {} cancelled", human::plural(number, "request"), command.identifier)),
    }
}

pub(super) async fn why(client: &Client, out: &mut Output, command: Named) -> anyhow::Result<()> {
    let why: wire::Why = client.get(&format!("/v1/why/{}", command.identifier)).await?;
    if out.json {
        return out.object(&why);
    }
    for line in explain(&why, |rest| out.command(rest)) {
        out.line(&line)?;
    }
    Ok(())
}

/// What there is to say, in lines; `command` makes a command that means the same host.
fn explain(why: &wire::Why, command: impl Fn(&str) -> String) -> Vec<String> {
    let wire::Why { bundle: _, identifier, waiting, running, last } = why;
    let mut lines = Vec::new();
    if let Some(task) = running {
        lines.push(format!("{identifier} is running: {}", tasks::one_line(task)));
    }
    for wire::Waiting { record, reasons } in waiting {
        let attempt = if record.attempt > 1 { format!(", attempt {}", record.attempt) } else { String::new() };
        let submitted = human::moment(&record.submitted_at);
        let request = format!("request {} of {identifier} (submitted {submitted}{attempt})", record.id);
        match reasons.as_slice() {
            [] => lines.push(format!("{request} is about to be launched")),
            reasons => {
                lines.push(format!("{request} waits because:"));
                let hosted = reasons.iter().all(|reason| reason.code != "not-launching");
                lines.extend(reasons.iter().flat_map(|reason| because_and_mend(reason, hosted, &command)));
            }
        }
    }
    if waiting.is_empty() {
        let submit = command(&format!("submit {identifier}"));
        let also = if running.is_some() { "nothing else" } else { "nothing" };
        lines.push(format!("{also} is pending for {identifier}: `{submit}` asks for it"));
    }
    match last {
        Some(task) => lines.push(format!("last time: {}", tasks::one_line(task))),
        None if running.is_none() => lines.push("it has not run yet".to_owned()),
        None => {}
    }
    lines
}

/// The reason, and below it what would end it, where a person can. A condition is stated to a host that runs.
fn because_and_mend(reason: &wire::Reason, hosted: bool, command: impl Fn(&str) -> String) -> Vec<String> {
    let mut lines = vec![format!("  - {}", reason.message)];
    if let Some(condition) = &reason.condition {
        let state = if hosted { format!("conditions {condition}=yes") } else { format!("serve --assume {condition}") };
        lines.push(format!("    to state otherwise: {}", command(&state)));
    } else if let Some(identifier) = &reason.identifier {
        lines.push(format!("    see how that one fares: {}", command(&format!("why {identifier}"))));
    } else if let (Some(bundle), Some(missing)) = (&reason.bundle, &reason.missing) {
        lines.push(format!("    to grant it: {}", command(&format!("grants {bundle} {}", missing.option))));
    } else if let ("bundle-disabled", Some(bundle)) = (reason.code.as_str(), &reason.bundle) {
        lines.push(format!("    to enable it: {}", command(&format!("enable {bundle}"))));
    } else if reason.code == "behind" {
        lines.push(format!("    see what runs: {}", command("tasks")));
    } else if reason.code == "not-launching" {
        lines.push(format!("    to launch: {}", command("serve")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{BundleId, Condition, Identifier, KindName, Missing, Reason, RequestId, Timestamp};

    fn identifier(name: &str) -> Identifier {
        Identifier::parse(name).unwrap()
    }

    fn why(waiting: Vec<wire::Waiting>) -> wire::Why {
        wire::Why {
            bundle: wire::Text(BundleId::parse("com.example.a").unwrap()),
            identifier: wire::Text(identifier("com.example.a.b")),
            waiting,
            running: None,
            last: None,
        }
    }

    fn at() -> Timestamp {
        "2026-07-28T09:00:00.25Z".parse().unwrap()
    }

    fn waiting(id: u64, reasons: &[Reason]) -> wire::Waiting {
        let request = wire::Request::new(identifier("com.example.a.b"), KindName::Processing);
        let record = wire::RequestRecord {
            id,
            bundle: wire::Text(BundleId::parse("com.example.a").unwrap()),
            attempt: 1,
            submitted_at: wire::Text(at()),
            request,
        };
        wire::Waiting { record, reasons: reasons.iter().map(wire::Reason::from).collect() }
    }

    #[test]
    fn each_reason_stands_verbatim_with_the_command_that_ends_it() {
        let idle = Reason::Lacks { condition: Condition::Idle, since: at(), source: "load".into() };
        let after = Reason::RunAfter { identifier: identifier("com.example.a.c") };
        let behind = Reason::Behind { request: RequestId(5) };
        let bundle = || BundleId::parse("com.example.a").unwrap();
        let disabled = Reason::BundleDisabled { bundle: bundle() };
        let missing = Missing { ask: "to read the folder `photos`".into(), option: "--grant photos=PATH".into() };
        let lacks = Reason::NotGranted { bundle: bundle(), missing };
        let why = why(vec![
            waiting(5, &[idle.clone(), after.clone(), Reason::NotLaunching]),
            waiting(6, &[behind.clone(), idle.clone()]),
            waiting(7, &[disabled.clone(), lacks.clone()]),
        ]);
        let lines = explain(&why, |rest| format!("idlewild {rest} --state /s"));
        assert_eq!(
            lines,
            [
                "request 5 of com.example.a.b (submitted 2026-07-28T09:00:00Z) waits because:".to_owned(),
                format!("  - {idle}"),
                "    to state otherwise: idlewild serve --assume idle --state /s".to_owned(),
                format!("  - {after}"),
                "    see how that one fares: idlewild why com.example.a.c --state /s".to_owned(),
                format!("  - {}", Reason::NotLaunching),
                "    to launch: idlewild serve --state /s".to_owned(),
                "request 6 of com.example.a.b (submitted 2026-07-28T09:00:00Z) waits because:".to_owned(),
                format!("  - {behind}"),
                "    see what runs: idlewild tasks --state /s".to_owned(),
                format!("  - {idle}"),
                "    to state otherwise: idlewild conditions idle=yes --state /s".to_owned(),
                "request 7 of com.example.a.b (submitted 2026-07-28T09:00:00Z) waits because:".to_owned(),
                format!("  - {disabled}"),
                "    to enable it: idlewild enable com.example.a --state /s".to_owned(),
                format!("  - {lacks}"),
                "    to grant it: idlewild grants com.example.a --grant photos=PATH --state /s".to_owned(),
                "it has not run yet".to_owned(),
            ]
        );
    }

    #[test]
    fn says_plainly_when_nothing_is_pending_and_what_to_run() {
        let lines = explain(&why(vec![]), |rest| format!("idlewild {rest}"));
        assert_eq!(
            lines,
            [
                "nothing is pending for com.example.a.b: `idlewild submit com.example.a.b` asks for it",
                "it has not run yet",
            ]
        );
    }
}

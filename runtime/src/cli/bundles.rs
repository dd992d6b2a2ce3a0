//! `install`, `upgrade`, `rollback`, `uninstall`, `enable`, `disable`, `bundles`.

use std::path;

use anyhow::Context as _;

use super::{
    arguments::{Disable, Install, OfBundle, Uninstall},
    compiling, human,
    output::Output,
};
use crate::{
    api::{Client, ClientError, wire},
    rules::{BundleId, BundleState},
};

/// How many identifiers a row of the table names; `--json` names all.
const IDENTIFIERS_SHOWN: usize = 4;

pub(super) async fn install(client: &Client, out: &mut Output, command: Install) -> anyhow::Result<()> {
    put(client, out, command, false).await
}

pub(super) async fn upgrade(client: &Client, out: &mut Output, command: Install) -> anyhow::Result<()> {
    put(client, out, command, true).await
}

async fn put(client: &Client, out: &mut Output, command: Install, must_be_installed: bool) -> anyhow::Result<()> {
    let Install { path, allow_downgrade, allow_other_signer, grants } = command;
    let path = path::absolute(&path).with_context(|| format!("bundle {}", path.display()))?;
    let grants = grants.offers().into_iter().map(wire::GrantOffer::from).collect();
    let install = wire::Install { path, grants, allow_downgrade, allow_other_signer, must_be_installed };
    let installed: wire::Installed = compiling::shown(client, out, client.post("/v1/bundles", &install)).await?;
    say_installed(out, &installed, "is installed")
}

pub(super) async fn rollback(client: &Client, out: &mut Output, command: OfBundle) -> anyhow::Result<()> {
    let path = format!("/v1/bundles/{}/rollback", command.bundle);
    let installed: wire::Installed = compiling::shown(client, out, client.post(&path, &serde_json::json!({}))).await?;
    say_installed(out, &installed, "is installed again")
}

fn say_installed(out: &mut Output, installed: &wire::Installed, verb: &str) -> anyhow::Result<()> {
    if out.json {
        return out.object(installed);
    }
    let lines = installed_lines(installed, verb, |rest| out.command(rest));
    lines.iter().try_for_each(|line| out.line(line))
}

fn installed_lines(installed: &wire::Installed, verb: &str, command: impl Fn(&str) -> String) -> Vec<String> {
    let wire::Installed { bundle, version, digest: _, signature, changed, before, state, missing, cancelled } =
        installed;
    let mut lines = vec![match before {
        _ if !changed => format!("{bundle} {version} was installed already, with the same grants"),
        None => format!("{bundle} {version} {verb}"),
        Some(before) if before == version => {
            format!("{bundle} {version} {verb}, in place of another build of that version")
        }
        Some(before) => format!("{bundle} {version} {verb}, in place of {before}"),
    }];
    if *changed && *signature != wire::Verdict::Unchecked {
        lines[0].push_str(&format!(", {signature}"));
    }
    if *cancelled > 0 {
        let requests = human::plural(*cancelled, "request");
        lines.push(format!("{requests} cancelled: this version does not permit them"));
    }
    lines.extend(held_back(&bundle.0, state.0, missing, command));
    lines
}

/// What keeps a bundle from running, with the commands that end it.
fn held_back(
    bundle: &BundleId,
    state: BundleState,
    missing: &[wire::Missing],
    command: impl Fn(&str) -> String,
) -> Vec<String> {
    let mut lines = Vec::new();
    if state == BundleState::Disabled {
        lines.push(format!("it is disabled: {}", command(&format!("enable {bundle}"))));
    }
    if !missing.is_empty() {
        lines.push("it waits for what it asks and was not granted:".to_owned());
    }
    let asks = |missing: &wire::Missing| {
        let wire::Missing { ask, option } = missing;
        format!("  - {ask}: {}", command(&format!("grants {bundle} {option}")))
    };
    lines.extend(missing.iter().map(asks));
    lines
}

pub(super) async fn uninstall(client: &Client, out: &mut Output, command: Uninstall) -> anyhow::Result<()> {
    let Uninstall { bundle, keep_data, yes } = command;
    if !yes && out.may_ask() {
        ask_to_uninstall(client, out, &bundle, keep_data).await?;
    }
    let removed: wire::Uninstalled = client.delete(&format!("/v1/bundles/{bundle}?keep_data={keep_data}")).await?;
    if out.json {
        return out.object(&removed);
    }
    let wire::Uninstalled { bundle, cancelled, expired, kept_data } = removed;
    let (requests, tasks) = (human::plural(cancelled, "request"), human::plural(expired, "task"));
    let data = if kept_data { "its data is kept" } else { "its data is removed" };
    out.line(&format!("{bundle} is uninstalled: {requests} cancelled, {tasks} expired, {data}"))
}

/// Says what will be lost and waits for a yes. Errors: there was none.
async fn ask_to_uninstall(client: &Client, out: &mut Output, bundle: &BundleId, keep_data: bool) -> anyhow::Result<()> {
    match client.get::<wire::BundleDetail>(&format!("/v1/bundles/{bundle}")).await {
        Ok(detail) => out.line(&losses(&detail, keep_data))?,
        // It may be gone, and its data kept: the answer to the deed itself will say.
        Err(ClientError::Problem(problem)) if problem.status == 404 => return Ok(()),
        Err(error) => return Err(error.into()),
    }
    match dialoguer::Confirm::new().with_prompt("Uninstall it?").default(false).interact()? {
        true => Ok(()),
        false => anyhow::bail!("{bundle} stays installed"),
    }
}

/// What uninstalling a bundle would drop.
fn losses(detail: &wire::BundleDetail, keep_data: bool) -> String {
    let wire::BundleDetail { bundle, asks: _, data_bytes } = detail;
    let (pending, running) = (human::plural(bundle.pending, "request"), human::plural(bundle.running, "task"));
    let data = match (keep_data, data_bytes) {
        (true, _) => "keeps its data".to_owned(),
        (false, Some(bytes)) => format!("drops {} of data", human::size(*bytes)),
        (false, None) => "drops its data".to_owned(),
    };
    format!("uninstalling {} {} cancels {pending}, stops {running}, and {data}", bundle.bundle, bundle.version)
}

pub(super) async fn enable(client: &Client, out: &mut Output, command: OfBundle) -> anyhow::Result<()> {
    switch(client, out, &command.bundle, wire::Switch { enabled: true, now: false }).await
}

pub(super) async fn disable(client: &Client, out: &mut Output, command: Disable) -> anyhow::Result<()> {
    let Disable { bundle, now } = command;
    switch(client, out, &bundle, wire::Switch { enabled: false, now }).await
}

async fn switch(client: &Client, out: &mut Output, bundle: &BundleId, switch: wire::Switch) -> anyhow::Result<()> {
    let switched: wire::Switched = client.put(&format!("/v1/bundles/{bundle}/enabled"), &switch).await?;
    if out.json {
        return out.object(&switched);
    }
    let lines = switched_lines(&switched, switch.enabled, |rest| out.command(rest));
    lines.iter().try_for_each(|line| out.line(line))
}

fn switched_lines(switched: &wire::Switched, enabled: bool, command: impl Fn(&str) -> String) -> Vec<String> {
    let wire::Switched { bundle, state, changed, missing, expired, running } = switched;
    let word = if enabled { "enabled" } else { "disabled" };
    let already = if *changed { "" } else { " already" };
    let tasks = match (enabled, expired, running) {
        (true, ..) | (false, 0, 0) => String::new(),
        (false, 0, running) => format!("; {} may finish", human::plural(*running, "running task")),
        (false, expired, _) => format!("; {} asked to stop", human::plural(*expired, "running task")),
    };
    let mut lines = vec![format!("{bundle} is {word}{already}{tasks}")];
    if enabled {
        lines.extend(held_back(&bundle.0, state.0, missing, command));
    }
    lines
}

pub(super) async fn bundles(client: &Client, out: &mut Output) -> anyhow::Result<()> {
    let bundles: Vec<wire::Bundle> = client.get("/v1/bundles").await?;
    if out.json {
        return out.objects(&bundles);
    }
    if bundles.is_empty() {
        let install = out.command("install PATH");
        return out.line(&format!("no bundle is installed: `{install}` installs one"));
    }
    let rows: Vec<_> = bundles.iter().map(row).collect();
    out.table(["BUNDLE", "VERSION", "STATE", "PENDING", "RUNNING", "IDENTIFIERS", "GRANTS"], &rows)
}

/// What keeps the bundle from running, behind its name.
pub(super) fn holds_back(bundle: &wire::Bundle) -> String {
    match bundle.state.0 {
        BundleState::Enabled => String::new(),
        BundleState::Disabled => ", disabled".to_owned(),
        BundleState::WaitingForGrants => {
            let lacks: Vec<_> = bundle.missing.iter().map(|missing| missing.ask.as_str()).collect();
            format!(", which asks {} and waits for that", lacks.join(", "))
        }
    }
}

fn row(bundle: &wire::Bundle) -> [String; 7] {
    let wire::Bundle { bundle, version, state, identifiers, grants, pending, running, .. } = bundle;
    let id = bundle.to_string();
    let identifiers: Vec<_> = identifiers.iter().map(|identifier| short(identifier, &id)).collect();
    let grants: Vec<_> = grants.iter().map(human::grant).collect();
    let identifiers = match identifiers.len().checked_sub(IDENTIFIERS_SHOWN) {
        None | Some(0) => identifiers.join(" "),
        Some(more) => format!("{} and {more} more", identifiers[..IDENTIFIERS_SHOWN].join(" ")),
    };
    [id, version.clone(), state.to_string(), pending.to_string(), running.to_string(), identifiers, grants.join(" ")]
}

/// An identifier without the bundle id, which stands beside it: `.refresh`.
fn short(identifier: &str, bundle: &str) -> String {
    identifier.strip_prefix(bundle).filter(|rest| !rest.is_empty()).unwrap_or(identifier).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::wire::Text;

    fn id() -> Text<BundleId> {
        Text(BundleId::parse("com.example.a").unwrap())
    }

    fn missing() -> Vec<wire::Missing> {
        vec![wire::Missing { ask: "to read the folder `photos`".into(), option: "--grant photos=PATH".into() }]
    }

    fn installed(before: Option<&str>, changed: bool) -> wire::Installed {
        wire::Installed {
            bundle: id(),
            version: "1.0.0".into(),
            digest: String::new(),
            signature: wire::Verdict::Unchecked,
            changed,
            before: before.map(str::to_owned),
            state: Text(BundleState::Enabled),
            missing: Vec::new(),
            cancelled: 0,
        }
    }

    #[test]
    fn an_installation_says_what_it_replaced_and_what_it_waits_for() {
        let lines =
            |installed: &wire::Installed| installed_lines(installed, "is installed", |rest| format!("idlewild {rest}"));
        let cases = [
            (installed(None, true), "com.example.a 1.0.0 is installed"),
            (installed(None, false), "com.example.a 1.0.0 was installed already, with the same grants"),
            (installed(Some("0.9.0"), true), "com.example.a 1.0.0 is installed, in place of 0.9.0"),
            (
                installed(Some("1.0.0"), true),
                "com.example.a 1.0.0 is installed, in place of another build of that version",
            ),
        ];
        for (installed, line) in cases {
            assert_eq!(lines(&installed), [line]);
        }
        let unsigned = wire::Installed { signature: wire::Verdict::Unsigned, ..installed(Some("0.9.0"), true) };
        assert_eq!(lines(&unsigned), ["com.example.a 1.0.0 is installed, in place of 0.9.0, not signed"]);
        let waiting = wire::Installed {
            state: Text(BundleState::Disabled),
            missing: missing(),
            cancelled: 2,
            ..installed(None, true)
        };
        assert_eq!(
            lines(&waiting)[1..],
            [
                "2 requests cancelled: this version does not permit them",
                "it is disabled: idlewild enable com.example.a",
                "it waits for what it asks and was not granted:",
                "  - to read the folder `photos`: idlewild grants com.example.a --grant photos=PATH",
            ]
        );
    }

    #[test]
    fn switching_says_what_becomes_of_running_tasks() {
        let switched = |changed, expired, running| wire::Switched {
            bundle: id(),
            state: Text(BundleState::Disabled),
            changed,
            missing: Vec::new(),
            expired,
            running,
        };
        let cases = [
            (switched(true, 0, 0), "com.example.a is disabled"),
            (switched(false, 0, 0), "com.example.a is disabled already"),
            (switched(true, 0, 1), "com.example.a is disabled; 1 running task may finish"),
            (switched(true, 2, 2), "com.example.a is disabled; 2 running tasks asked to stop"),
        ];
        for (switched, line) in cases {
            assert_eq!(switched_lines(&switched, false, str::to_owned), [line]);
        }
    }

    #[test]
    fn what_would_be_lost_is_said_beforehand() {
        let bundle = wire::Bundle {
            bundle: id(),
            version: "1.0.0".into(),
            previous: None,
            digest: String::new(),
            signer: None,
            state: Text(BundleState::Enabled),
            identifiers: Vec::new(),
            grants: Vec::new(),
            missing: Vec::new(),
            pending: 3,
            running: 1,
        };
        let detail = wire::BundleDetail { bundle, asks: Vec::new(), data_bytes: Some(2_048) };
        let said = "uninstalling com.example.a 1.0.0 cancels 3 requests, stops 1 task, and";
        assert_eq!(losses(&detail, false), format!("{said} drops 2.0 KiB of data"));
        assert_eq!(losses(&detail, true), format!("{said} keeps its data"));
    }
}

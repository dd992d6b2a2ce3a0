//! `grants`: what a bundle asks for, and what it was given of that.

use super::{arguments::Grants, human, output::Output};
use crate::api::{Client, wire};

pub(super) async fn grants(client: &Client, out: &mut Output, command: Grants) -> anyhow::Result<()> {
    let Grants { bundle, revoke, withdraw, grants } = command;
    let grants: Vec<_> = grants.offers().into_iter().map(wire::GrantOffer::from).collect();
    let path = format!("/v1/bundles/{bundle}");
    if grants.is_empty() && revoke.is_empty() && withdraw.is_none() {
        let detail: wire::BundleDetail = client.get(&path).await?;
        return if out.json { out.object(&detail) } else { list(out, &detail) };
    }
    let change = wire::ChangeGrants { revoke, withdraw: withdraw.into_iter().collect(), grants };
    let granted: wire::Granted = client.post(&format!("{path}/grants"), &change).await?;
    if out.json {
        return out.object(&granted);
    }
    let wire::Granted { changed, cancelled, expired, detail } = granted;
    match changed {
        true => out.line(&format!("the grants of {bundle} are changed; what is launched from now on has the new"))?,
        false => out.line(&format!("{bundle} was given just that already"))?,
    }
    if cancelled + expired > 0 {
        let (requests, tasks) = (human::plural(cancelled, "request"), human::plural(expired, "task"));
        out.line(&format!("{requests} for the study cancelled, {tasks} asked to stop"))?;
    }
    list(out, &detail)
}

fn list(out: &mut Output, detail: &wire::BundleDetail) -> anyhow::Result<()> {
    let wire::BundleDetail { bundle, asks, data_bytes: _ } = detail;
    if asks.is_empty() {
        return out.line(&format!("{} asks for nothing", bundle.bundle));
    }
    let rows: Vec<_> = asks.iter().map(|asked| row(asked, bundle)).collect();
    out.table(["IT ASKS", "GRANTED"], &rows)?;
    for asked in asks.iter().filter(|asked| !asked.granted && !is_waited_for(asked, &bundle.missing)) {
        let command = out.command(&format!("grants {} {}", bundle.bundle, asked.option));
        out.line(&format!("only its health-research needs the study: {command}"))?;
    }
    if bundle.missing.is_empty() {
        return Ok(());
    }
    let options: Vec<_> = bundle.missing.iter().map(|missing| missing.option.as_str()).collect();
    let command = out.command(&format!("grants {} {}", bundle.bundle, options.join(" ")));
    out.line(&format!("it waits for what is missing: {command}"))
}

fn row(asked: &wire::Asked, bundle: &wire::Bundle) -> [String; 2] {
    let wire::Asked { name, ask, option: _, granted } = asked;
    let given = bundle.grants.iter().find(|grant| given_as(grant) == name).map(human::grant);
    let shown = match granted {
        true => given.unwrap_or_default(),
        false if is_waited_for(asked, &bundle.missing) => "missing".to_owned(),
        false => "not enrolled".to_owned(),
    };
    [ask.clone(), shown]
}

/// Whether nothing of the bundle runs without it. An enrolment alone is none of that.
fn is_waited_for(asked: &wire::Asked, missing: &[wire::Missing]) -> bool {
    missing.iter().any(|missing| missing.option == asked.option)
}

/// The name a grant answers to.
fn given_as(grant: &wire::Grant) -> &str {
    match grant {
        wire::Grant::Directory { name, .. }
        | wire::Grant::Config { name, .. }
        | wire::Grant::Secret { name, .. }
        | wire::Grant::Study { name } => name,
        wire::Grant::Http { origin, .. } => origin,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{BundleId, BundleState};

    #[test]
    fn what_is_missing_is_said_to_be_and_what_is_given_is_shown() {
        let asked = |name: &str, granted| wire::Asked {
            name: name.to_owned(),
            ask: format!("for the configuration `{name}`"),
            option: format!("--set {name}=VALUE"),
            granted,
        };
        let bundle = wire::Bundle {
            bundle: wire::Text(BundleId::parse("com.example.a").unwrap()),
            version: "1.0.0".into(),
            previous: None,
            digest: String::new(),
            signer: None,
            state: wire::Text(BundleState::WaitingForGrants),
            identifiers: Vec::new(),
            grants: vec![wire::Grant::Config { name: "title".into(), value: "Holidays".into() }],
            missing: vec![wire::Missing { ask: String::new(), option: "--set size=VALUE".into() }],
            pending: 0,
            running: 0,
        };
        assert_eq!(row(&asked("title", true), &bundle), ["for the configuration `title`", "title=Holidays"]);
        assert_eq!(row(&asked("size", false), &bundle), ["for the configuration `size`", "missing"]);
        let study = wire::Asked { option: "--enrol heart".into(), ..asked("heart", false) };
        assert_eq!(row(&study, &bundle)[1], "not enrolled");
    }
}

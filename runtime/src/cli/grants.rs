//! `grants`: what a bundle asks for, and what it was given of that.

use super::{arguments::Grants, human, output::Output};
use crate::api::{Client, wire};

pub(super) async fn grants(client: &Client, out: &mut Output, command: Grants) -> anyhow::Result<()> {
    let Grants { bundle, revoke, grants } = command;
    let grants: Vec<_> = grants.offers().into_iter().map(wire::GrantOffer::from).collect();
    let path = format!("/v1/bundles/{bundle}");
    if grants.is_empty() && revoke.is_empty() {
        let detail: wire::BundleDetail = client.get(&path).await?;
        return if out.json { out.object(&detail) } else { list(out, &detail) };
    }
    let change = wire::ChangeGrants { revoke, grants };
    let granted: wire::Granted = client.post(&format!("{path}/grants"), &change).await?;
    if out.json {
        return out.object(&granted);
    }
    let wire::Granted { changed, detail } = granted;
    match changed {
        true => out.line(&format!("the grants of {bundle} are changed; what is launched from now on has the new"))?,
        false => out.line(&format!("{bundle} was given just that already"))?,
    }
    list(out, &detail)
}

fn list(out: &mut Output, detail: &wire::BundleDetail) -> anyhow::Result<()> {
    let wire::BundleDetail { bundle, asks, data_bytes: _ } = detail;
    if asks.is_empty() {
        return out.line(&format!("{} asks for nothing", bundle.bundle));
    }
    let rows: Vec<_> = asks.iter().map(|asked| row(asked, &bundle.grants)).collect();
    out.table(["IT ASKS", "GRANTED"], &rows)?;
    if bundle.missing.is_empty() {
        return Ok(());
    }
    let options: Vec<_> = bundle.missing.iter().map(|missing| missing.option.as_str()).collect();
    let command = out.command(&format!("grants {} {}", bundle.bundle, options.join(" ")));
    out.line(&format!("it waits for what is missing: {command}"))
}

fn row(asked: &wire::Asked, grants: &[wire::Grant]) -> [String; 2] {
    let wire::Asked { name, ask, option: _, granted } = asked;
    let given = grants.iter().find(|grant| given_as(grant) == name).map(human::grant);
    let shown = if *granted { given.unwrap_or_default() } else { "missing".to_owned() };
    [ask.clone(), shown]
}

/// The name a grant answers to.
fn given_as(grant: &wire::Grant) -> &str {
    match grant {
        wire::Grant::Directory { name, .. } | wire::Grant::Config { name, .. } | wire::Grant::Secret { name, .. } => {
            name
        }
        wire::Grant::Http { origin, .. } => origin,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said_to_be_and_what_is_given_is_shown() {
        let asked = |name: &str, granted| wire::Asked {
            name: name.to_owned(),
            ask: format!("for the configuration `{name}`"),
            option: format!("--set {name}=VALUE"),
            granted,
        };
        let grants = [wire::Grant::Config { name: "title".into(), value: "Holidays".into() }];
        assert_eq!(row(&asked("title", true), &grants), ["for the configuration `title`", "title=Holidays"]);
        assert_eq!(row(&asked("size", false), &grants), ["for the configuration `size`", "missing"]);
    }
}

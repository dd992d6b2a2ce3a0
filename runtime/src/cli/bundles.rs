//! `install`, `uninstall`, `bundles`.

use std::path;

use anyhow::Context as _;

use super::{
    arguments::{Install, Uninstall},
    compiling, human,
    output::Output,
};
use crate::api::{Client, wire};

/// How many identifiers a row of the table names; `--json` names all.
const IDENTIFIERS_SHOWN: usize = 4;

pub(super) async fn install(client: &Client, out: &mut Output, command: Install) -> anyhow::Result<()> {
    let Install { path, grants } = command;
    let path = path::absolute(&path).with_context(|| format!("bundle {}", path.display()))?;
    let grants = grants.offers().into_iter().map(wire::GrantOffer::from).collect();
    let install = wire::Install { path, grants };
    let installed: wire::Installed = compiling::shown(client, out, client.post("/v1/bundles", &install)).await?;
    if out.json {
        return out.object(&installed);
    }
    let wire::Installed { bundle, version, digest: _, signature, changed } = installed;
    match changed {
        true if signature == wire::Verdict::Unchecked => out.line(&format!("{bundle} {version} is installed")),
        true => out.line(&format!("{bundle} {version} is installed, {signature}")),
        false => out.line(&format!("{bundle} {version} was installed already, with the same grants")),
    }
}

pub(super) async fn uninstall(client: &Client, out: &mut Output, command: Uninstall) -> anyhow::Result<()> {
    let removed: wire::Uninstalled = client.delete(&format!("/v1/bundles/{}", command.bundle)).await?;
    if out.json {
        return out.object(&removed);
    }
    let wire::Uninstalled { bundle, cancelled, expired } = removed;
    let (requests, tasks) = (human::plural(cancelled, "request"), human::plural(expired, "task"));
    out.line(&format!("{bundle} is uninstalled: {requests} cancelled, {tasks} expired"))
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
    out.table(["BUNDLE", "VERSION", "PENDING", "RUNNING", "IDENTIFIERS", "GRANTS"], &rows)
}

fn row(bundle: &wire::Bundle) -> [String; 6] {
    let wire::Bundle { bundle, version, digest: _, identifiers, grants, pending, running } = bundle;
    let id = bundle.to_string();
    let identifiers: Vec<_> = identifiers.iter().map(|identifier| short(identifier, &id)).collect();
    let grants: Vec<_> = grants.iter().map(human::grant).collect();
    let identifiers = match identifiers.len().checked_sub(IDENTIFIERS_SHOWN) {
        None | Some(0) => identifiers.join(" "),
        Some(more) => format!("{} and {more} more", identifiers[..IDENTIFIERS_SHOWN].join(" ")),
    };
    [id, version.clone(), pending.to_string(), running.to_string(), identifiers, grants.join(" ")]
}

/// An identifier without the bundle id, which stands beside it: `.refresh`.
fn short(identifier: &str, bundle: &str) -> String {
    identifier.strip_prefix(bundle).filter(|rest| !rest.is_empty()).unwrap_or(identifier).to_owned()
}

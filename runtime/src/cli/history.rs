//! `history`: what changed of bundles and requests.

use super::{arguments::Past, human, output::Output};
use crate::api::{Client, wire};

pub(super) async fn history(client: &Client, out: &mut Output, command: Past) -> anyhow::Result<()> {
    let changes: Vec<wire::HistoryEntry> = client.get(&command.address("/v1/history")).await?;
    if out.json {
        return out.objects(&changes);
    }
    if changes.is_empty() {
        return out.line("nothing of the sort has changed");
    }
    let rows: Vec<_> = changes.iter().map(row).collect();
    out.table(["CHANGE", "AT", "WHAT", "OF", "REQUEST", "WHY"], &rows)
}

fn row(change: &wire::HistoryEntry) -> [String; 6] {
    let wire::HistoryEntry { id, at, bundle, what, identifier, request, detail } = change;
    [
        id.to_string(),
        human::moment(at),
        what.to_string(),
        identifier.as_ref().map_or_else(|| bundle.to_string(), ToString::to_string),
        request.map(|request| request.to_string()).unwrap_or_default(),
        detail.clone().unwrap_or_default(),
    ]
}

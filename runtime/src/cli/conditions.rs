//! `conditions`.

use super::{arguments::Conditions, human, output::Output};
use crate::{
    api::{Client, wire},
    daemon,
    rules::Timestamp,
};

pub(super) async fn conditions(client: &Client, out: &mut Output, command: Conditions) -> anyhow::Result<()> {
    let stating = !command.statements.is_empty();
    if stating && !out.running {
        let serve = out.command("serve --assume CONDITION");
        anyhow::bail!("no host is running to be told so: `{serve}` starts one with conditions stated");
    }
    for (condition, holds) in command.statements {
        let stated = wire::StateCondition { condition: wire::Text(condition), holds };
        let _: Vec<wire::Condition> = client.put("/v1/conditions", &stated).await?;
    }
    let conditions: Vec<wire::Condition> = client.get("/v1/conditions").await?;
    if out.json {
        return out.objects(&conditions);
    }
    let now = daemon::now();
    let rows: Vec<_> = conditions.iter().map(|condition| row(condition, now)).collect();
    out.table(["CONDITION", "HOLDS", "SINCE", "READ", "SOURCE"], &rows)
}

fn row(condition: &wire::Condition, now: Timestamp) -> [String; 5] {
    let wire::Condition { condition, holds, source, since, read_at } = condition;
    let read = human::ago(read_at.0, now);
    [condition.to_string(), yes_or_no(*holds).to_owned(), human::moment(since), read, source.clone()]
}

pub(super) fn yes_or_no(holds: bool) -> &'static str {
    if holds { "yes" } else { "no" }
}

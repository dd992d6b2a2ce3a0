//! `conditions`.

use super::{arguments::Conditions, human, output::Output};
use crate::api::{Client, wire};

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
    let rows: Vec<_> = conditions.iter().map(row).collect();
    out.table(["CONDITION", "HOLDS", "SINCE", "SOURCE"], &rows)
}

fn row(condition: &wire::Condition) -> [String; 4] {
    let wire::Condition { condition, holds, source, since, read_at: _ } = condition;
    [condition.to_string(), yes_or_no(*holds).to_owned(), human::moment(since), source.clone()]
}

pub(super) fn yes_or_no(holds: bool) -> &'static str {
    if holds { "yes" } else { "no" }
}

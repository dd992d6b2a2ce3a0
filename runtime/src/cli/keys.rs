//! `keys`: whom this host trusts to sign bundles.

use super::{
    file_arguments::{KeysCommand, NewKey, Policy, RemoveKey, TrustKey},
    files::{ask_password, read_password},
    output::Output,
};
use crate::{
    api::{
        Client,
        wire::{self, Text},
    },
    daemon, spelling,
};

/// Makes a pair of keys; no host is needed.
pub(super) fn new(out: &mut Output, command: NewKey) -> anyhow::Result<()> {
    let NewKey { name, password_file, unencrypted } = command;
    let password = match (password_file, unencrypted) {
        (Some(file), _) => Some(read_password(&file)?),
        (None, true) => None,
        (None, false) => Some(ask_password("Password of the new key", true)?),
    };
    if password.as_ref().is_some_and(String::is_empty) {
        anyhow::bail!("the password is empty; choose one, or say --unencrypted");
    }
    let made = daemon::new_key(&name, password.as_deref())?;
    if out.json {
        return out.object(&made);
    }
    let daemon::NewKey { id, key: _, public_file, secret_file } = made;
    out.line(&format!(
        "key {id} is made: sign with {}, and let others trust {}",
        secret_file.display(),
        public_file.display()
    ))
}

pub(super) async fn keys(client: &Client, out: &mut Output, command: KeysCommand) -> anyhow::Result<()> {
    match command {
        KeysCommand::New(command) => new(out, command),
        KeysCommand::Trust(command) => trust(client, out, command).await,
        KeysCommand::List => list(client, out).await,
        KeysCommand::Remove(command) => remove(client, out, command).await,
        KeysCommand::Policy(command) => policy(client, out, command).await,
    }
}

async fn trust(client: &Client, out: &mut Output, command: TrustKey) -> anyhow::Result<()> {
    let TrustKey { key, name } = command;
    let mut asked = daemon::public_key_to_trust(&key)?;
    if let Some(name) = name {
        asked.name = name;
    }
    let trusted: wire::KeyTrusted = client.post("/v1/keys", &asked).await?;
    if out.json {
        return out.object(&trusted);
    }
    let wire::KeyTrusted { key: wire::Key { id, name, key: _ }, changed } = trusted;
    match changed {
        true => out.line(&format!("bundles signed by {name} (key {id}) are trusted from now on")),
        false => out.line(&format!("{name} (key {id}) was trusted already")),
    }
}

async fn list(client: &Client, out: &mut Output) -> anyhow::Result<()> {
    let trust: wire::Trust = client.get("/v1/keys").await?;
    if out.json {
        return out.object(&trust);
    }
    let wire::Trust { policy, keys } = trust;
    if keys.is_empty() {
        let trust = out.command("keys trust FILE");
        out.line(&format!("no key is trusted: `{trust}` trusts one"))?;
    } else {
        let rows: Vec<_> = keys.into_iter().map(|wire::Key { id, name, key }| [name, id, key]).collect();
        out.table(["NAME", "NUMBER", "KEY"], &rows)?;
    }
    out.line(&format!("policy: {policy}"))
}

async fn remove(client: &Client, out: &mut Output, command: RemoveKey) -> anyhow::Result<()> {
    let wanted = command.key;
    let known: wire::Trust = client.get("/v1/keys").await?;
    let is_wanted = |key: &&wire::Key| key.name == wanted || key.id.eq_ignore_ascii_case(&wanted);
    let Some(found) = known.keys.iter().find(is_wanted) else {
        let mend = match spelling::nearest(&wanted, known.keys.iter().map(|key| key.name.as_str())) {
            Some(near) => format!("did you mean {near}?"),
            None => "`idlewild keys list` lists those that are".to_owned(),
        };
        anyhow::bail!("no key {wanted} is trusted: {mend}");
    };
    let removed: wire::Key = client.delete(&format!("/v1/keys/{}", found.id)).await?;
    if out.json {
        return out.object(&removed);
    }
    let wire::Key { id, name, key: _ } = removed;
    out.line(&format!("{name} (key {id}) is trusted no more; what it signed stays installed"))
}

async fn policy(client: &Client, out: &mut Output, command: Policy) -> anyhow::Result<()> {
    let trust: wire::Trust = match command.policy {
        Some(policy) => client.put("/v1/signature-policy", &wire::SetPolicy { policy: Text(policy) }).await?,
        None => client.get("/v1/keys").await?,
    };
    if out.json {
        return out.object(&trust);
    }
    let wire::Trust { policy, keys } = trust;
    out.line(&format!("policy: {policy}"))?;
    match keys.is_empty() && policy.to_string() == "require" {
        true => out.line("no key is trusted, so that nothing can be installed"),
        false => Ok(()),
    }
}

//! `build`, `sign`, `verify`: what is done with bundle files, without a host.

use std::{fs, path::Path};

use anyhow::Context as _;

use super::{
    arguments::Given,
    cargo,
    file_arguments::{Build, Sign, Verify},
    human,
    output::Output,
};
use crate::daemon::{self, Built, Signed, Verified};

pub(super) fn build(out: &mut Output, command: Build) -> anyhow::Result<()> {
    let Build { folder, output, no_compile } = command;
    if !no_compile && let Some(cargo_output) = daemon::cargo_output(&folder)? {
        let is_manifest = folder.is_file();
        let named = if is_manifest { folder.parent().unwrap_or(Path::new(".")) } else { &folder };
        let crate_folder = if named.as_os_str().is_empty() { Path::new(".") } else { named };
        cargo::build(crate_folder, &cargo_output)?;
    }
    let built = daemon::build(&folder, output)?;
    if out.json {
        return out.object(&built);
    }
    let Built { bundle, version, digest, file, size_bytes } = built;
    let size = human::size(size_bytes);
    out.line(&format!("{bundle} {version} is packed into {} ({size}, digest {digest})", file.display()))
}

pub(super) fn sign(out: &mut Output, command: Sign) -> anyhow::Result<()> {
    let Sign { path, key, password_file } = command;
    let password = || match &password_file {
        Some(file) => read_password(file),
        None => ask_password(&format!("Password of {}", key.display()), false),
    };
    let signed = daemon::sign(&path, &key, password)?;
    if out.json {
        return out.object(&signed);
    }
    let Signed { bundle, version, digest: _, key, file } = signed;
    out.line(&format!("{bundle} {version} is signed with key {key}, in {}", file.display()))
}

pub(super) fn verify(given: &Given, out: &mut Output, command: Verify) -> anyhow::Result<()> {
    let Verify { path, key } = command;
    let verified = daemon::verify(&path, key.as_deref(), &given.state_folder()?)?;
    if out.json {
        return out.object(&verified);
    }
    let Verified { bundle, version, digest: _, name, key } = verified;
    let signer = name.map_or_else(|| format!("with key {key}"), |name| format!("by {name} (key {key})"));
    out.line(&format!("{bundle} {version} is signed {signer}"))
}

/// A password from a file, without the line break at its end.
pub(super) fn read_password(file: &Path) -> anyhow::Result<String> {
    let text =
        fs::read_to_string(file).with_context(|| format!("the password file {} cannot be read", file.display()))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

/// Asks on the terminal, showing nothing of what is typed; twice where it is a new one.
pub(super) fn ask_password(prompt: &str, is_new: bool) -> anyhow::Result<String> {
    let mut asking = dialoguer::Password::new().with_prompt(prompt);
    if is_new {
        asking = asking.with_confirmation("Once more", "they are not the same");
    }
    asking.interact().map_err(|dialoguer::Error::IO(error)| match error.kind() {
        std::io::ErrorKind::NotConnected => {
            anyhow::anyhow!("there is no terminal to ask for the password on; give it with --password-file FILE")
        }
        _ => anyhow::Error::new(error).context("the password could not be read"),
    })
}

//! Runs cargo, where a bundle's component is made by it.

use std::{
    io,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, bail};

use crate::daemon::CargoOutput;

/// Builds the crate in `folder`. Cargo speaks to the person itself, on stderr, and what it needs it asks of nobody.
pub(super) fn build(folder: &Path, output: &CargoOutput) -> anyhow::Result<()> {
    let CargoOutput { target, profile } = output;
    let mut cargo = Command::new("cargo");
    cargo.arg("build").arg(format!("--target={target}")).arg("--target-dir=target");
    match profile.as_str() {
        "debug" => {}
        "release" => drop(cargo.arg("--release")),
        profile => drop(cargo.arg(format!("--profile={profile}"))),
    }
    let status = cargo.current_dir(folder).stdin(Stdio::null()).stdout(io::stderr()).status();
    let status = status.context("cargo cannot be started; install Rust from https://rustup.rs, or build the component yourself and add --no-compile")?;
    match status.success() {
        true => Ok(()),
        false => bail!(
            "cargo could not build {}; what it said stands above. Where the target is missing: rustup target add {target}",
            folder.display()
        ),
    }
}

//! `new`: writes a project that builds, tests and installs. It asks on a terminal what no option says.

mod kit;
mod questions;
mod template;

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use serde::Serialize;

use self::{questions::ask, template::Project};
use super::{arguments::Given, human, output::Output};
use crate::rules::BundleId;

#[derive(Debug, Args)]
pub(super) struct New {
    /// The project's folder, made anew; its last part names the project
    #[arg(value_name = "NAME")]
    path: PathBuf,
    /// The bundle's id [default: com.example.NAME]
    #[arg(long, value_name = "ID", value_parser = BundleId::parse)]
    id: Option<BundleId>,
    /// What the work is like
    #[arg(long, value_enum)]
    work: Option<Work>,
    /// How long to pause between two runs, such as 15m or 2h30m [default: 15m for refresh, 24h for long]
    #[arg(long, value_name = "TIME", value_parser = human::parse_length)]
    every: Option<jiff::SignedDuration>,
    /// The work runs only while there is a network; for --work long
    #[arg(long)]
    requires_network: bool,
    /// The work runs only while the machine does not run on battery; for --work long
    #[arg(long)]
    requires_external_power: bool,
    /// Use the guest kit in this folder instead of writing a copy of the one this program was built with
    #[arg(long, value_name = "DIR")]
    kit: Option<PathBuf>,
}

/// What the work is like, in a person's words rather than the contract's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Work {
    /// Short: some thirty seconds, to keep something fresh (app-refresh)
    Refresh,
    /// Long: some minutes, while the machine is idle (processing)
    Long,
}

/// What was written, for programs.
#[derive(Debug, Serialize)]
struct Written<'a> {
    path: &'a Path,
    bundle: &'a str,
    identifier: &'a str,
}

pub(super) fn new(given: &Given, command: New) -> anyhow::Result<()> {
    let New { path, id, work, every, requires_network, requires_external_power, kit } = command;
    let name = project_name(&path)?;
    if path.symlink_metadata().is_ok() {
        bail!("{} exists already; choose another name, or remove it first", path.display());
    }
    let answers = ask(&name, questions::Known { id, work, every, requires_network, requires_external_power })?;
    let kit_path = match &kit {
        Some(kit) => kit_folder(kit)?,
        None => PathBuf::from(kit::CRATE),
    };
    let project = Project::new(&name, answers, &kit_path)?;
    // Made beside its place and then renamed, so that what stands there is whole.
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let beside = parent.join(format!(".{name}-{}", std::process::id()));
    let written = write(&project, kit.is_none(), &beside)
        .and_then(|()| fs::rename(&beside, &path))
        .with_context(|| format!("cannot write the project {}", path.display()));
    if written.is_err() {
        let _ = fs::remove_dir_all(&beside);
    }
    written?;
    say(given, &path, &project)
}

/// The name of the project and its crate: what cargo and a bundle id both take.
fn project_name(path: &Path) -> anyhow::Result<String> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let may_stand = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let begins_well = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    match begins_well && !name.ends_with('-') && name.len() <= 64 && name.bytes().all(may_stand) {
        true => Ok(name),
        false => bail!(
            "`{name}` is no name for a project: it may hold lower-case letters, digits and hyphens, and begins with a letter"
        ),
    }
}

fn kit_folder(kit: &Path) -> anyhow::Result<PathBuf> {
    let folder = fs::canonicalize(kit).with_context(|| format!("the guest kit {}", kit.display()))?;
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
    match manifest.contains("name = \"idlewild-guest\"") {
        true => Ok(folder),
        false => bail!("{} is not the guest kit: name the folder of the crate idlewild-guest", kit.display()),
    }
}

fn write(project: &Project, with_kit: bool, folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for (path, text) in project.files() {
        let path = folder.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::File::create_new(path)?.write_all(text.as_bytes())?;
    }
    match with_kit {
        true => kit::write(folder),
        false => Ok(()),
    }
}

fn say(given: &Given, path: &Path, project: &Project) -> anyhow::Result<()> {
    let mut out = Output::new(given, true);
    let (bundle, identifier) = (project.id.as_str(), project.identifier.as_str());
    if out.json {
        return out.object(&Written { path, bundle, identifier });
    }
    out.line(&format!("wrote {}: the bundle {bundle} with the handler {identifier}", path.display()))?;
    out.line("try it:")?;
    out.line(&format!("  cd {}", path.display()))?;
    out.line("  cargo test")?;
    out.line("  idlewild build")?;
    out.line(&format!("  idlewild serve {bundle}-0.1.0.wasm"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_cargo_and_a_bundle_id_take() {
        for (path, name) in [("hello", "hello"), ("a/b-2", "b-2"), ("./x/", "x")] {
            assert_eq!(project_name(Path::new(path)).unwrap(), name);
        }
        for path in ["", "..", "2a", "-a", "a-", "Hello", "a b", "a_b", "ä"] {
            assert!(project_name(Path::new(path)).is_err(), "{path}");
        }
    }
}

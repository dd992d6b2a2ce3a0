//! `inspect`: all that is known of a bundle, or of any file, without running it.

use std::{collections::BTreeMap, path::Path};

use super::{arguments::Given, human, output::Output};
use crate::{
    api::{
        Client,
        wire::{self, Inspection, Text},
    },
    daemon,
    rules::BundleId,
};

/// The installed bundle that is meant, where no file or folder is.
pub(super) fn meant(what: &Path) -> Option<BundleId> {
    match what.exists() {
        true => None,
        false => BundleId::parse(what.to_str()?).ok(),
    }
}

pub(super) async fn installed(client: &Client, out: &mut Output, bundle: &BundleId) -> anyhow::Result<()> {
    let inspection: Inspection = client.get(&format!("/v1/bundles/{bundle}/inspection")).await?;
    show(out, &inspection, lines(&inspection, None))
}

/// Tells of a file or folder, and of what a bundle of its id was given where one is installed.
pub(super) async fn offered(given: &Given, out: &mut Output, source: &Path) -> anyhow::Result<()> {
    let state = given.state_folder()?;
    let mut inspection = daemon::inspect(source, &state)?;
    let mut nothing = "nothing yet: no bundle of this id is installed".to_owned();
    // No state folder is made for a look at a file.
    if let Some(Text(bundle)) = inspection.bundle.clone()
        && state.exists()
    {
        match standing(&state, &bundle).await {
            Ok(Some(installed)) => inspection.beside(installed),
            Ok(None) => {}
            // All else is known without a host.
            Err(error) => nothing = format!("unknown: {}", super::whole(&error)),
        }
    }
    show(out, &inspection, lines(&inspection, Some(&nothing)))
}

async fn standing(state: &Path, bundle: &BundleId) -> anyhow::Result<Option<wire::Bundle>> {
    let reached = daemon::reach(state).await?;
    let bundles = reached.client.get::<Vec<wire::Bundle>>("/v1/bundles").await;
    reached.leave().await;
    Ok(bundles?.into_iter().find(|installed| installed.bundle.0 == *bundle))
}

fn show(out: &mut Output, inspection: &Inspection, lines: Vec<String>) -> anyhow::Result<()> {
    if out.json {
        return out.object(inspection);
    }
    lines.iter().try_for_each(|line| out.line(line))
}

/// What people read: a word and what is known under it, line by line. Of what is offered, `nothing` says why nothing is said of
/// what it is given.
fn lines(inspection: &Inspection, nothing: Option<&str>) -> Vec<String> {
    let Inspection {
        bundle,
        version,
        digest,
        size_bytes,
        world,
        background_modes,
        identifiers,
        schedules,
        entitlements,
        asks,
        memory_bytes,
        imports,
        producers,
        signature,
        problems,
        installed,
    } = inspection;
    let mut lines = Lines::default();
    if let (Some(bundle), Some(version)) = (bundle, version) {
        lines.add("bundle", format!("{bundle} {version}"));
    }
    lines.add_all("digest", digest.iter().cloned());
    lines.add("size", human::size(*size_bytes));
    lines.add_all("world", world.as_deref().map(in_words));
    lines.add_all("signature", bundle.iter().map(|_| signature.verdict.clone()));
    lines.add_all("modes", (!background_modes.is_empty()).then(|| background_modes.join(", ")));
    lines.add_all("identifiers", identifiers.iter().cloned());
    lines.add_all("schedules", schedules.iter().map(schedule));
    lines.add_all("entitled", in_words_of_entitlements(entitlements));
    lines.add_all("memory", memory_bytes.map(|bytes| format!("at most {}", human::size(bytes))));
    lines.add_all("asks", asks.iter().map(ask));
    let is_offered = nothing.is_some();
    if let Some(wire::InstalledState { version, grants, missing }) = installed {
        lines.add_all("installed", is_offered.then(|| format!("version {version}, with the grants below")));
        lines.add_all("granted", grants.iter().map(human::grant));
        lines.add_all("missing", missing.iter().map(|option| format!("nothing was given: {option}")));
    } else if !asks.is_empty() {
        lines.add_all("granted", nothing.map(str::to_owned));
    }
    lines.add_all("imports", by_meaning(imports));
    lines.add_all("made with", producers.iter().map(producer));
    if !problems.is_empty() {
        lines.add_all("installable", problems.iter().map(|problem| format!("no: {problem}")));
    } else if is_offered {
        lines.add("installable", "yes, as far as can be seen without running it".to_owned());
    }
    lines.0
}

#[derive(Default)]
struct Lines(Vec<String>);

impl Lines {
    fn add(&mut self, word: &str, text: String) {
        self.0.push(format!("{word:<12}  {text}"));
    }

    /// The word stands before the first line alone.
    fn add_all(&mut self, word: &str, texts: impl IntoIterator<Item = String>) {
        for (at, text) in texts.into_iter().enumerate() {
            self.add(if at == 0 { word } else { "" }, text);
        }
    }
}

fn in_words(world: &str) -> String {
    match world {
        "background-app" => format!("{world}: works in order, and polls its expiration"),
        "async-background-app" => format!("{world}: awaits its work and its expiration together"),
        world => world.to_owned(),
    }
}

fn schedule(schedule: &wire::DeclaredSchedule) -> String {
    let wire::DeclaredSchedule { name, identifier, kind, calendar, time_zone, jitter_ms, missed, enabled } = schedule;
    let jitter = match jitter_ms {
        0 => String::new(),
        milliseconds => format!(", jitter {}", human::length(milliseconds.saturating_mul(1_000))),
    };
    let disabled = if *enabled { "" } else { ", disabled" };
    format!("{name}: {calendar} {time_zone}, {identifier} as {kind}, missed {missed}{jitter}{disabled}")
}

fn in_words_of_entitlements(entitlements: &wire::Entitlements) -> impl Iterator<Item = String> {
    let wire::Entitlements { continued_processing_gpu, health_research } = entitlements;
    let gpu = continued_processing_gpu.then(|| "to the graphics processor, for continued work".to_owned());
    let study = health_research.as_ref().map(|study| format!("to health-research, for the study {study}"));
    gpu.into_iter().chain(study)
}

fn ask(ask: &wire::Ask) -> String {
    let wire::Ask { kind, name, access, option } = ask;
    match access {
        Some(access) => format!("{kind} {name}, to {access}  ({option})"),
        None => format!("{kind} {name}  ({option})"),
    }
}

/// One line for each thing the component gets, and one for each interface that the host does not have.
fn by_meaning(imports: &[wire::Import]) -> Vec<String> {
    let mut known: BTreeMap<&str, usize> = BTreeMap::new();
    let mut unknown = Vec::new();
    for wire::Import { interface, need: _, meaning } in imports {
        match meaning {
            Some(meaning) => *known.entry(meaning).or_default() += 1,
            None => unknown.push(format!("{interface}, which this host does not have")),
        }
    }
    known.into_keys().map(str::to_owned).chain(unknown).collect()
}

fn producer(producer: &wire::Producer) -> String {
    let wire::Producer { role, name, version } = producer;
    format!("{name} {version}").trim_end().to_owned() + &format!(" ({role})")
}

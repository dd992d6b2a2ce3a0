//! What is known of a bundle, or of a file that is none, as JSON.

use serde::{Deserialize, Serialize};

use super::{Bundle, DeclaredSchedule, Grant, Text, bundles::list_grants};
use crate::{
    host,
    rules::{self, BundleId, Pattern},
};

/// What is known of a bundle, installed or offered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inspection {
    /// Null, as all that a manifest says, where no manifest could be read.
    pub bundle: Option<Text<BundleId>>,
    pub version: Option<String>,
    pub digest: Option<String>,
    /// Of the component, or of the file that is none.
    pub size_bytes: u64,
    /// `background-app` or `async-background-app`; null for neither.
    pub world: Option<String>,
    pub background_modes: Vec<String>,
    pub identifiers: Vec<String>,
    /// What its manifest declares.
    pub schedules: Vec<DeclaredSchedule>,
    pub entitlements: Entitlements,
    pub asks: Vec<Ask>,
    pub memory_bytes: Option<u64>,
    pub imports: Vec<Import>,
    pub producers: Vec<Producer>,
    pub signature: Signature,
    /// Why it cannot be installed; empty when nothing stands against it that can be seen without running it.
    pub problems: Vec<String>,
    /// What the installed bundle of its id was given of what this one asks for; null where none is installed.
    pub installed: Option<InstalledState>,
}

/// What a manifest claims beyond background modes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entitlements {
    /// The graphics processor for continued work.
    pub continued_processing_gpu: bool,
    /// The study that its health-research is for; null when it has none.
    pub health_research: Option<String>,
}

/// Something a bundle asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// `directory`, `http`, `config`, `secret` or `study`.
    pub kind: String,
    /// An origin is its own name.
    pub name: String,
    /// `read` or `write`, of a directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<String>,
    /// The option that gives it.
    pub option: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Import {
    pub interface: String,
    /// A word for what it is for; null when the host does not have it.
    pub need: Option<String>,
    /// What the guest gets of it, for people.
    pub meaning: Option<String>,
}

/// A tool or language a component was made with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Producer {
    pub role: String,
    pub name: String,
    pub version: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// For people, such as `not signed`.
    pub verdict: String,
    /// The signature as minisign writes it, if it is at hand.
    pub text: Option<String>,
    /// The text that a signature of this bundle signs.
    pub statement: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstalledState {
    /// The version that is installed.
    pub version: String,
    pub grants: Vec<Grant>,
    /// What is asked for and not given, as the options that give it.
    pub missing: Vec<String>,
}

impl Inspection {
    /// Says what an installed bundle of the same id was given of what this one asks for.
    pub fn beside(&mut self, installed: Bundle) {
        let (met, unmet): (Vec<&Ask>, Vec<&Ask>) =
            self.asks.iter().partition(|ask| installed.grants.iter().any(|grant| ask.is_met_by(grant)));
        let missing = unmet.into_iter().map(|ask| ask.option.clone()).collect();
        let grants = installed.grants.iter().filter(|grant| met.iter().any(|ask| ask.is_met_by(grant)));
        let grants = grants.cloned().collect();
        self.installed = Some(InstalledState { version: installed.version, grants, missing });
    }
}

impl Ask {
    /// Whether this is what was asked for, and given: a folder that was given to be read and is to be written is not.
    fn is_met_by(&self, grant: &Grant) -> bool {
        let Ask { kind, name, access, option: _ } = self;
        match grant {
            Grant::Directory { name: given, access: to, path: _ } => {
                kind == "directory" && name == given && access.as_ref() == Some(to)
            }
            Grant::Http { origin, private: _ } => kind == "http" && name == origin,
            Grant::Config { name: given, value: _ } => kind == "config" && name == given,
            Grant::Secret { name: given, source: _, header: _ } => kind == "secret" && name == given,
            Grant::Study { name: given } => kind == "study" && name == given,
        }
    }
}

impl From<host::Inspection> for Inspection {
    fn from(inspection: host::Inspection) -> Inspection {
        let host::Inspection { manifest, digest, size, world, imports, producers, signature, problems } = inspection;
        let of = |read: fn(&host::Manifest) -> Vec<String>| manifest.as_ref().map(read).unwrap_or_default();
        Inspection {
            bundle: manifest.as_ref().map(|manifest| Text(manifest.id.clone())),
            version: manifest.as_ref().map(|manifest| manifest.version.clone()),
            digest,
            size_bytes: size,
            world: world.map(|world| world.name().to_owned()),
            background_modes: of(|manifest| manifest.background_modes.iter().map(|mode| mode.to_string()).collect()),
            identifiers: of(|manifest| manifest.permitted_identifiers.iter().map(Pattern::to_string).collect()),
            schedules: manifest.iter().flat_map(|manifest| &manifest.schedules).map(DeclaredSchedule::from).collect(),
            entitlements: manifest.as_ref().map(|manifest| manifest.entitlements.clone().into()).unwrap_or_default(),
            asks: manifest.iter().flat_map(host::Manifest::asks).map(Ask::from).collect(),
            memory_bytes: manifest.as_ref().and_then(|manifest| manifest.memory),
            imports: imports.into_iter().map(Import::from).collect(),
            producers: producers.into_iter().map(Producer::from).collect(),
            signature: signature.into(),
            problems,
            installed: None,
        }
    }
}

impl From<host::InstalledInspection> for Inspection {
    fn from(installed: host::InstalledInspection) -> Inspection {
        let host::InstalledInspection { inspection, grants, missing } = installed;
        let version = inspection.manifest.as_ref().map(|manifest| manifest.version.clone()).unwrap_or_default();
        let installed = Some(InstalledState { version, grants: list_grants(grants), missing });
        Inspection { installed, ..Inspection::from(inspection) }
    }
}

impl From<rules::Entitlements> for Entitlements {
    fn from(entitlements: rules::Entitlements) -> Entitlements {
        let rules::Entitlements { continued_processing_gpu, health_research } = entitlements;
        Entitlements { continued_processing_gpu, health_research }
    }
}

impl From<host::Ask> for Ask {
    fn from(ask: host::Ask) -> Ask {
        let (kind, access) = match &ask {
            host::Ask::Directory(host::DirectoryAsk { name: _, access }) => {
                ("directory", Some(access.as_str().to_owned()))
            }
            host::Ask::Http(_) => ("http", None),
            host::Ask::Config(_) => ("config", None),
            host::Ask::Secret(_) => ("secret", None),
            host::Ask::Study(_) => ("study", None),
        };
        Ask { kind: kind.to_owned(), name: ask.name(), access, option: ask.option() }
    }
}

impl From<host::Import> for Import {
    fn from(host::Import { interface, need }: host::Import) -> Import {
        Import {
            interface,
            need: need.map(|need| need.as_str().to_owned()),
            meaning: need.map(|need| need.meaning().to_owned()),
        }
    }
}

impl From<host::Producer> for Producer {
    fn from(host::Producer { role, name, version }: host::Producer) -> Producer {
        Producer { role, name, version }
    }
}

impl From<host::SignatureView> for Signature {
    fn from(host::SignatureView { verdict, text, statement }: host::SignatureView) -> Signature {
        Signature { verdict, text, statement }
    }
}

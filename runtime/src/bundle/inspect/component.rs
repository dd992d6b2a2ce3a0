//! What a component says of itself: the names it imports and exports, and with what it was made.

use std::fmt;

use wasm_metadata::Producers;
use wasmparser::{Parser, Payload, Validator, WasmFeatures};

/// What a component is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum World {
    /// It works in order and polls its expiration.
    Sync,
    /// It awaits its work and its expiration together.
    Async,
}

impl World {
    /// Its name within the contract's package.
    pub fn name(self) -> &'static str {
        match self {
            World::Sync => "background-app",
            World::Async => "async-background-app",
        }
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "idlewild:background-tasks/{}", self.name())
    }
}

/// A tool or a language that a component was made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Producer {
    /// What it did, such as `language` or `processed-by`.
    pub role: String,
    pub name: String,
    pub version: String,
}

#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) exports: Vec<String>,
    pub(super) imports: Vec<String>,
    pub(super) producers: Vec<Producer>,
    /// Why it is no component that can be compiled.
    pub(super) fault: Option<String>,
}

pub(super) fn read(bytes: &[u8]) -> Read {
    let mut read = Read::default();
    let names = names(bytes, &mut read);
    let features = WasmFeatures::default() | WasmFeatures::CM_ASYNC;
    read.fault = match names {
        Err(error) => Some(error.message().to_owned()),
        Ok(()) => {
            Validator::new_with_features(features).validate_all(bytes).err().map(|error| error.message().to_owned())
        }
    };
    read.producers = producers(bytes);
    read
}

/// The outermost imports and exports; those of what is inside are its own matter.
fn names(bytes: &[u8], read: &mut Read) -> Result<(), wasmparser::BinaryReaderError> {
    let mut depth = 0_u32;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(imports) if depth == 0 => {
                for import in imports {
                    read.imports.push(import?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(exports) if depth == 0 => {
                for export in exports {
                    read.exports.push(export?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn producers(bytes: &[u8]) -> Vec<Producer> {
    let Ok(Some(producers)) = Producers::from_wasm(bytes) else { return Vec::new() };
    let mut found = Vec::new();
    for (role, field) in producers.iter() {
        for (name, version) in field.iter() {
            found.push(Producer { role: role.clone(), name: name.clone(), version: version.clone() });
        }
    }
    found
}

const REGISTRATION: &str = "idlewild:background-tasks/registration@0.1.0";
const HANDLER: &str = "idlewild:background-tasks/handler@0.1.0";
const ASYNC_HANDLER: &str = "idlewild:background-tasks/async-handler@0.1.0";

/// The world whose exports these are. Errors: what is missing, or one too many.
pub(super) fn world(exports: &[String]) -> Result<World, String> {
    let has = |name: &str| exports.iter().any(|export| export == name);
    let world = match (has(HANDLER), has(ASYNC_HANDLER)) {
        (true, false) => World::Sync,
        (false, true) => World::Async,
        (true, true) => {
            return Err(format!(
                "the component exports both `{HANDLER}` and `{ASYNC_HANDLER}`, so that it is not clear which to launch; export one"
            ));
        }
        (false, false) => {
            return Err(format!(
                "the component exports neither `{HANDLER}` nor `{ASYNC_HANDLER}`: it is of another world; export one, as the guest kit does"
            ));
        }
    };
    match has(REGISTRATION) {
        true => Ok(world),
        false => Err(format!("the component does not export `{REGISTRATION}`; export it, as the guest kit does")),
    }
}

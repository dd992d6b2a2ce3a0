//! The floor plan: which room may enter which, and where an outside crate may be named. A new arrow is drawn here first.
#![allow(clippy::unwrap_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use syn::visit::{self, Visit};

/// Each room and the rooms it may enter.
const ROOMS: &[(&str, &[&str])] = &[
    ("rules", &[]),
    ("spelling", &[]),
    ("zones", &["rules", "spelling"]),
    ("clock", &["rules"]),
    ("conditions", &["rules", "spelling"]),
    ("store", &["rules"]),
    ("bundle", &["rules", "spelling"]),
    ("engine", &["rules", "clock", "bundle"]),
    ("scheduler", &["rules", "zones", "clock", "conditions", "store", "bundle", "engine"]),
    ("host", &["rules", "spelling", "zones", "clock", "conditions", "store", "bundle", "engine", "scheduler"]),
    ("api", &["host", "rules"]),
    ("config", &["conditions", "rules"]),
    ("daemon", &["api", "bundle", "clock", "conditions", "config", "engine", "host", "rules", "store"]),
    ("cli", &["api", "daemon", "rules", "spelling"]),
];

/// Outside crates that live only in the rooms named.
const GUESTS: &[(&str, &[&str])] = &[
    ("wasmtime", &["engine"]),
    ("wasmtime_wasi", &["engine"]),
    ("wasmtime_wasi_http", &["engine"]),
    ("tokio_rustls", &["engine"]),
    ("rustls_native_certs", &["engine"]),
    ("rusqlite", &["store"]),
    ("toml", &["bundle"]),
    ("sha2", &["bundle", "engine", "host"]),
    ("minisign", &["bundle"]),
    ("wasm_encoder", &["bundle"]),
    ("wasm_metadata", &["bundle"]),
    ("wasmparser", &["bundle"]),
    ("dialoguer", &["cli"]),
    ("cap_std", &["bundle", "engine"]),
    ("axum", &["api"]),
    ("hyper", &["api", "engine"]),
    ("hyper_util", &["api"]),
    ("http_body_util", &["api", "engine"]),
    ("tower", &["api"]),
    ("clap", &["cli"]),
    ("dialoguer", &["cli"]),
    ("include_dir", &["cli"]),
    ("indicatif", &["cli"]),
    ("anyhow", &["cli", "daemon"]),
    ("etcetera", &["config"]),
    ("strsim", &["spelling"]),
    ("semver", &["bundle"]),
    // Arithmetic on dates and nothing else: it reads no clock, and what it is given of a zone is an argument.
    ("croner", &["rules"]),
    ("dialoguer", &["cli"]),
    ("rustix", &["bundle", "clock", "conditions", "daemon", "engine"]),
    ("serde", &["api", "cli", "daemon", "host"]),
    ("serde_json", &["api", "cli", "host"]),
    ("tokio", &["api", "cli", "clock", "daemon", "engine", "host", "scheduler"]),
    ("tokio_stream", &["api"]),
    ("futures_util", &["api", "cli", "clock", "daemon", "engine", "scheduler"]),
    ("tracing", &["daemon", "engine", "host", "scheduler"]),
    ("bytes", &["api", "engine"]),
    ("bytesize", &["bundle", "cli"]),
    ("jiff", &["cli", "rules", "scheduler", "zones"]),
    ("thiserror", &["api", "bundle", "conditions", "config", "engine", "host", "rules", "scheduler", "store"]),
];

/// The paths a file names.
#[derive(Default)]
struct Names {
    paths: Vec<Vec<String>>,
}

impl Names {
    fn take(&mut self, before: &[String], tree: &syn::UseTree) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.take(&with(&path.ident), &path.tree),
            syn::UseTree::Name(name) => self.paths.push(with(&name.ident)),
            syn::UseTree::Rename(rename) => self.paths.push(with(&rename.ident)),
            syn::UseTree::Glob(_) => self.paths.push(before.to_vec()),
            syn::UseTree::Group(group) => group.items.iter().for_each(|item| self.take(before, item)),
        }
    }

    /// Macros are opaque to the parser: their tokens are read as paths where they look like paths.
    fn take_tokens(&mut self, tokens: &str) {
        for piece in tokens.split(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | ':' | ' '))) {
            let parts: Vec<&str> = piece.split("::").map(str::trim).collect();
            if parts.len() > 1 {
                let first = parts[0].rsplit(' ').next().unwrap_or_default().to_owned();
                let rest = parts[1..].iter().map(|part| part.split(' ').next().unwrap_or_default().to_owned());
                self.paths.push(std::iter::once(first).chain(rest).collect());
            }
        }
    }
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::List(list) => attribute.path().is_ident("cfg") && list.tokens.to_string() == "test",
        syn::Meta::Path(_) | syn::Meta::NameValue(_) => false,
    })
}

impl<'ast> Visit<'ast> for Names {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        self.take(&[], &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.paths.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.take_tokens(&call.tokens.to_string());
        visit::visit_macro(self, call);
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        if let syn::Meta::List(list) = &attribute.meta {
            self.take_tokens(&list.tokens.to_string());
        }
        visit::visit_attribute(self, attribute);
    }
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.ends_with("template") {
            // What a new project is made of is text to this house.
        } else if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

fn house() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtime/src")
}

/// What each room names: other rooms, and outside crates.
fn names_of(source: &str) -> Vec<Vec<String>> {
    let mut names = Names::default();
    names.visit_file(&syn::parse_file(source).unwrap());
    names.paths
}

/// What a path leads to from a room: another room, or an outside crate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Door {
    Room(&'static str),
    Guest(&'static str),
}

/// The door a path goes through. `depth` is how many `super`s lead out of the room.
fn door(room: &str, depth: usize, path: &[String]) -> Option<Door> {
    let climbs = path.iter().take_while(|part| *part == "super").count();
    let entered = match path.first().map(String::as_str) {
        Some("crate") => path.get(1),
        Some("super") if climbs > depth => path.get(climbs),
        _ => None,
    };
    let guest = path.first().filter(|_| path.len() > 1);
    let room = entered.and_then(|entered| ROOMS.iter().find(|(other, _)| other == entered && *other != room));
    let guest = guest.and_then(|guest| GUESTS.iter().find(|(known, _)| known == guest));
    room.map(|(room, _)| Door::Room(room)).or(guest.map(|(guest, _)| Door::Guest(guest)))
}

fn is_drawn(room: &str, door: &Door) -> bool {
    match door {
        Door::Room(entered) => ROOMS.iter().any(|(from, rooms)| *from == room && rooms.contains(entered)),
        Door::Guest(guest) => GUESTS.iter().any(|(known, homes)| known == guest && homes.contains(&room)),
    }
}

/// Every door that the code goes through, and a file that does.
fn doors() -> BTreeMap<(&'static str, Door), PathBuf> {
    let mut doors = BTreeMap::new();
    for (room, _) in ROOMS {
        let folder = house().join(room);
        let files = if folder.is_dir() { sources(&folder) } else { vec![folder.with_extension("rs")] };
        for file in files {
            let inside = file.strip_prefix(&folder).unwrap_or(Path::new("")).components().count();
            let depth = inside.saturating_sub(usize::from(file.ends_with("mod.rs")));
            for path in names_of(&fs::read_to_string(&file).unwrap()) {
                if let Some(door) = door(room, depth, &path) {
                    doors.insert((*room, door), file.clone());
                }
            }
        }
    }
    doors
}

#[test]
fn every_door_is_drawn_and_every_drawn_door_is_used() {
    let doors = doors();
    let mut wrong: Vec<String> = doors
        .iter()
        .filter(|((room, door), _)| !is_drawn(room, door))
        .map(|((room, door), file)| format!("{room} goes through {door:?}, in {}", file.display()))
        .collect();
    for (room, rooms) in ROOMS {
        let unused = rooms.iter().filter(|entered| !doors.contains_key(&(*room, Door::Room(entered))));
        wrong.extend(unused.map(|entered| format!("{room} never enters {entered}")));
    }
    for (guest, homes) in GUESTS {
        let unused = homes.iter().filter(|room| !doors.contains_key(&(**room, Door::Guest(guest))));
        wrong.extend(unused.map(|room| format!("{room} never names {guest}")));
    }
    assert!(wrong.is_empty(), "the plan and the house differ:\n{}", wrong.join("\n"));
}

#[test]
fn every_room_and_every_dependency_is_on_the_plan() {
    let rooms: BTreeSet<&str> = ROOMS.iter().map(|(room, _)| *room).collect();
    for entry in fs::read_dir(house()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(rooms.contains(name) || matches!(name, "lib" | "main"), "the room {name} is not on the plan");
    }
    let guests: BTreeSet<&str> = GUESTS.iter().map(|(guest, _)| *guest).collect();
    let manifest = fs::read_to_string(house().join("../Cargo.toml")).unwrap();
    let dependencies = manifest.split("[dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
    for line in dependencies.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        let name = line.split(['.', ' ', '=']).next().unwrap().replace('-', "_");
        // The binary sets up logging; no room does.
        assert!(guests.contains(name.as_str()) || name == "tracing_subscriber", "{name} has no room");
    }
}

#[test]
fn a_forbidden_door_is_seen() {
    use Door::{Guest, Room};
    let planted = [
        ("rules", "use tokio::time;", Guest("tokio")),
        ("rules", "use crate::store::Store;", Room("store")),
        ("rules", "fn f() { crate::clock::pause(x) }", Room("clock")),
        ("rules", "use super::super::store::Store;", Room("store")),
        ("rules", "#[derive(serde::Serialize)] struct S;", Guest("serde")),
        ("api", "use crate::{host::Host, engine::Engine};", Room("engine")),
        ("api", "fn f() { println!(\"{}\", crate::store::x()) }", Room("store")),
        ("scheduler", "use wasmtime::Engine;", Guest("wasmtime")),
        ("scheduler", "use crate::host;", Room("host")),
    ];
    for (room, source, forbidden) in planted {
        let found: Vec<Door> = names_of(source).iter().filter_map(|path| door(room, 1, path)).collect();
        assert!(found.contains(&forbidden), "{source}: {found:?}");
        assert!(!is_drawn(room, &forbidden), "{source}");
    }
    assert!(names_of("#[cfg(test)] mod tests { use crate::store::Store; }").is_empty());
}

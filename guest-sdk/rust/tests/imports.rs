//! What built components export, and that they import no more than they call.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{collections::BTreeSet, fs, path::Path};

use wasmparser::{Parser, Payload};

/// What a built bundle's component imports and exports of the contract.
fn names(bundle: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../target/bundles/{bundle}/{bundle}.wasm"));
    let bytes = fs::read(&file).unwrap_or_else(|_| panic!("{} is not built: `make bundles` does so", file.display()));
    let (mut imports, mut exports, mut depth) = (BTreeSet::new(), BTreeSet::new(), 0);
    for payload in Parser::new(0).parse_all(&bytes) {
        match payload.unwrap() {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(section) if depth == 0 => {
                imports.extend(section.into_iter().map(|import| import.unwrap().name.name.to_owned()));
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                exports.extend(section.into_iter().map(|export| export.unwrap().name.name.to_owned()));
            }
            _ => {}
        }
    }
    (imports, exports)
}

fn contract(interfaces: &[&str]) -> BTreeSet<String> {
    interfaces.iter().map(|interface| format!("idlewild:background-tasks/{interface}@0.1.0")).collect()
}

#[test]
fn a_bundle_exports_the_world_it_is_of() {
    assert_eq!(names("hello").1, contract(&["async-handler", "registration"]));
    assert_eq!(names("gallery").1, contract(&["handler", "registration"]));
}

#[test]
fn what_waits_in_order_imports_what_it_waits_for() {
    let (imports, exports) = names("behaviours");
    assert!(exports.is_superset(&contract(&["handler"])), "{exports:#?}");
    assert!(imports.is_superset(&contract(&["expiration-poll"])), "{imports:#?}");
    assert!(imports.is_disjoint(&contract(&["expiration"])), "{imports:#?}");
}

#[test]
fn what_never_waits_imports_nothing_to_wait_for() {
    for bundle in ["hello", "gallery"] {
        let (imports, _) = names(bundle);
        let ours = imports.iter().filter(|name| !name.starts_with("wasi:")).cloned().collect::<BTreeSet<_>>();
        assert_eq!(ours, contract(&["scheduler", "task", "types"]), "{bundle}");
        assert!(!imports.iter().any(|name| name.ends_with("@0.3.0")), "{bundle}: {imports:#?}");
    }
}

//! What can be told of a bundle, or of any file offered as one, without compiling or running it.

use std::path::Path;

use super::{
    Bundle, BundleError, MANIFEST_NAME, Manifest, Offer, PackedError, Trust, TrustedKey, Verdict, offer, read,
    section::MAGIC, signature,
};

mod component;
mod imports;

pub use component::{Producer, World};
pub use imports::{Import, Need};

/// What is known of a bundle, or of what is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// None where no manifest could be read.
    pub manifest: Option<Manifest>,
    /// None where there is no bundle, and so nothing that a digest could stand for.
    pub digest: Option<String>,
    /// The bytes of the component, or of the file that is none.
    pub size: u64,
    /// None when its exports are those of neither world, or of both.
    pub world: Option<World>,
    /// What the component imports, in its order.
    pub imports: Vec<Import>,
    /// With what it was made, as it says itself.
    pub producers: Vec<Producer>,
    pub signature: SignatureView,
    /// Why it cannot be installed; empty when nothing stands against it that can be seen without running it.
    pub problems: Vec<String>,
}

/// What is known of a bundle's signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureView {
    /// In a few words, such as `not signed`.
    pub verdict: String,
    /// The signature as minisign writes it.
    pub text: Option<String>,
    /// What it signs.
    pub statement: Option<String>,
}

/// Tells of whatever is at `path`. Errors: there is nothing that can be read.
pub fn inspect(path: &Path, trust: &Trust) -> Result<Inspection, BundleError> {
    match read(path) {
        Ok(offer) => Ok(inspect_offer(&offer, trust)),
        Err(error @ (BundleError::Read { .. } | BundleError::NoFile { .. })) => Err(error),
        Err(error) if !path.exists() => Err(error),
        Err(error) => inspect_other(path, error),
    }
}

/// Tells of an installed bundle; `signer` is who had signed it when it was installed.
pub fn inspect_installed(bundle: &Bundle, component: &[u8], signer: Option<&TrustedKey>) -> Inspection {
    let verdict = match signer {
        Some(signer) => Verdict::Signed(signer.clone()).to_string(),
        None => "not signed with a key that was trusted when it was installed".to_owned(),
    };
    Inspection {
        manifest: Some(bundle.manifest.clone()),
        digest: Some(bundle.digest.clone()),
        signature: SignatureView { verdict, text: None, statement: Some(signature::statement(&bundle.digest)) },
        ..of_component(component)
    }
}

/// Tells of a bundle.
fn inspect_offer(offer: &Offer, trust: &Trust) -> Inspection {
    let (verdict, refusal) = match signature::check_signature(offer, trust, None) {
        // Told even where the policy does not ask.
        Ok(Verdict::Unchecked) => (told(signature::verdict(offer, &trust.keys)), None),
        Ok(verdict) => (verdict.to_string(), None),
        Err(error) => (told(signature::verdict(offer, &trust.keys)), Some(error.to_string())),
    };
    let mut inspection = Inspection {
        manifest: Some(offer.manifest.clone()),
        digest: Some(offer.digest.clone()),
        signature: SignatureView {
            verdict,
            text: offer.signature.clone(),
            statement: Some(signature::statement(&offer.digest)),
        },
        ..of_component(&offer.component)
    };
    inspection.problems.extend(refusal);
    inspection
}

fn told(verdict: Result<Verdict, BundleError>) -> String {
    match verdict {
        Ok(verdict) => verdict.to_string(),
        Err(_) => "signed, and the signature does not fit".to_owned(),
    }
}

/// Tells of what is no bundle. Where it holds a component all the same, that is told of too.
fn inspect_other(path: &Path, why: BundleError) -> Result<Inspection, BundleError> {
    let component = match &why {
        BundleError::Packed { path, .. } | BundleError::Manifest { path, .. } if !is_manifest(path) => {
            offer::read_file(path)?.filter(|bytes| bytes.starts_with(MAGIC))
        }
        _ => None,
    };
    let size = || std::fs::metadata(path).map(|metadata| if metadata.is_file() { metadata.len() } else { 0 });
    let mut inspection = match component {
        Some(bytes) => of_component(&bytes),
        None => Inspection { size: size().unwrap_or_default(), ..nothing() },
    };
    // What the component's own parser says of a broken file adds nothing to why it could not be read.
    if matches!(why, BundleError::Packed { error: PackedError::Frame(_), .. }) {
        inspection.problems.clear();
    }
    inspection.problems.insert(0, why.to_string());
    Ok(inspection)
}

fn is_manifest(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == MANIFEST_NAME)
}

fn of_component(bytes: &[u8]) -> Inspection {
    let component::Read { exports, imports, producers, fault } = component::read(bytes);
    let imports: Vec<Import> = imports.into_iter().map(Import::new).collect();
    let mut problems = Vec::new();
    let world = match &fault {
        Some(fault) => {
            problems.push(format!("not a WebAssembly component this host can run: {fault}"));
            None
        }
        None => component::world(&exports).map_err(|fault| problems.push(fault)).ok(),
    };
    for import in imports.iter().filter(|import| import.need.is_none()) {
        problems.push(format!(
            "the component imports `{}`, which this host does not offer; build it without that import",
            import.interface
        ));
    }
    Inspection { size: bytes.len() as u64, world, imports, producers, problems, ..nothing() }
}

fn nothing() -> Inspection {
    Inspection {
        manifest: None,
        digest: None,
        size: 0,
        world: None,
        imports: Vec::new(),
        producers: Vec::new(),
        signature: SignatureView { verdict: "not signed".to_owned(), text: None, statement: None },
        problems: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::bundle::{SignaturePolicy, folder::tests::folder, keys::SecretKey, packed};

    const WORLD: &str = "(component
        (import \"wasi:cli/stdout@0.2.3\" (instance))
        (import \"wasi:keyvalue/store@0.2.0\" (instance))
        (component $inner (import \"wasi:inner/one@0.2.0\" (instance)))
        (instance $empty)
        (export \"idlewild:background-tasks/registration@0.1.0\" (instance $empty))
        (export \"idlewild:background-tasks/HANDLER@0.1.0\" (instance $empty))
        (@producers (processed-by \"wat\" \"1.0\")))";

    fn component(handler: &str) -> Vec<u8> {
        wat::parse_str(WORLD.replace("HANDLER", handler)).unwrap()
    }

    fn packed_file(component: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = folder("gallery.wasm");
        let path = folder.path().join("packed.wasm");
        let manifest = fs::read_to_string(folder.path().join(MANIFEST_NAME)).unwrap();
        fs::write(&path, packed::pack(&manifest, None, component)).unwrap();
        (folder, path)
    }

    #[test]
    fn a_bundle_is_told_by_what_it_says_and_imports() {
        for (handler, world) in [("handler", World::Sync), ("async-handler", World::Async)] {
            let (_folder, path) = packed_file(&component(handler));
            let offer = read(&path).unwrap();
            let Inspection { manifest, digest, size, world: told, imports, producers, signature, problems } =
                inspect(&path, &Trust::default()).unwrap();
            assert_eq!((manifest, digest), (Some(offer.manifest), Some(offer.digest.clone())));
            assert_eq!((size, told), (offer.component.len() as u64, Some(world)));
            let needs: Vec<_> = imports.iter().map(|import| (import.interface.as_str(), import.need)).collect();
            assert_eq!(needs, [("wasi:cli/stdout@0.2.3", Some(Need::Log)), ("wasi:keyvalue/store@0.2.0", None)]);
            let wat = Producer { role: "processed-by".into(), name: "wat".into(), version: "1.0".into() };
            assert_eq!(producers, [wat]);
            assert_eq!((signature.verdict.as_str(), signature.text), ("not signed", None));
            assert_eq!(signature.statement, Some(format!("idlewild bundle {}\n", offer.digest)));
            let missing = "the component imports `wasi:keyvalue/store@0.2.0`, which this host does not offer; build it \
                           without that import";
            assert_eq!(problems, [missing]);
        }
    }

    #[test]
    fn the_policy_of_signatures_is_a_reason_too() {
        let (_folder, path) = packed_file(&component("handler"));
        let offer = read(&path).unwrap();
        let (public, secret) = SecretKey::generate_file(None).unwrap();
        let ada = TrustedKey::new("ada", public).unwrap();
        let told = |policy, keys: &[&TrustedKey]| {
            let keys = keys.iter().map(|key| (*key).clone()).collect();
            let inspection = inspect(&path, &Trust { policy, keys }).unwrap();
            (inspection.signature.verdict, inspection.problems.len())
        };
        assert_eq!(told(SignaturePolicy::Require, &[]), ("not signed".to_owned(), 2));
        let signature = SecretKey::parse(&secret, None).unwrap().sign(&offer).unwrap();
        crate::bundle::attach_signature(&path, &offer, signature).unwrap();
        let signed = (format!("signed by ada (key {})", ada.key.id()), 1);
        assert_eq!(told(SignaturePolicy::Require, &[&ada]), signed);
        assert_eq!(told(SignaturePolicy::Off, &[&ada]), signed);
        let untrusted = format!("signed with key {}, which is not trusted", ada.key.id());
        assert_eq!(told(SignaturePolicy::Require, &[]), (untrusted.clone(), 2));
        assert_eq!(told(SignaturePolicy::Warn, &[]), (untrusted, 1));
    }

    #[test]
    fn any_file_is_told_why_it_cannot_be_installed() {
        let (folder, path) = packed_file(&component("handler"));
        let whole = fs::read(&path).unwrap();
        let bare = wat::parse_str("(component)").unwrap();
        let cases: [(&[u8], &[&str]); 8] = [
            (b"", &["it is a file, and not WebAssembly"]),
            (b"text", &["it is a file, and not WebAssembly"]),
            (&wat::parse_str("(module)").unwrap(), &["it is a core module, not a component"]),
            (&whole[..whole.len() / 2], &["it breaks off inside the section that begins at byte"]),
            (&bare, &["it carries no manifest; pack it", "exports neither"]),
            (&component("handler"), &["it carries no manifest; pack it", "imports `wasi:keyvalue/store@0.2.0`"]),
            (&packed::pack("[bundle]", None, &bare), &["lacks `id`", "exports neither"]),
            (&component("other"), &["it carries no manifest", "exports neither", "imports `wasi:keyvalue"]),
        ];
        for (bytes, reasons) in cases {
            fs::write(&path, bytes).unwrap();
            let inspection = inspect(&path, &Trust::default()).unwrap();
            assert_eq!(inspection.manifest, None);
            assert_eq!(inspection.problems.len(), reasons.len(), "{:?}", inspection.problems);
            for (problem, reason) in inspection.problems.iter().zip(reasons) {
                assert!(problem.contains(reason), "{problem}");
            }
        }
        fs::remove_file(folder.path().join("gallery.wasm")).unwrap();
        assert!(inspect(folder.path(), &Trust::default()).unwrap().problems[0].contains("does not exist; build it"));
        fs::remove_file(folder.path().join(MANIFEST_NAME)).unwrap();
        assert!(inspect(folder.path(), &Trust::default()).unwrap().problems[0].contains("holds no idlewild.toml"));
        assert!(inspect(&folder.path().join("nowhere"), &Trust::default()).is_err());
    }
}

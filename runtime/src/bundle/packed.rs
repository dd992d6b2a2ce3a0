//! A bundle as one file: the component with the manifest, and perhaps a signature, in custom sections of their own.

use wasm_encoder::{ComponentSection as _, CustomSection};

use super::{
    MANIFEST_LIMIT,
    section::{FrameError, Section, sections},
    signature::SIGNATURE_LIMIT,
};

/// What all our sections' names begin with. Only the outermost ones are ours: those of components inside are their own.
const OURS: &str = "idlewild:";
/// Holds the manifest, word for word as in a bundle folder.
pub const MANIFEST_SECTION: &str = "idlewild:manifest";
/// Holds the signature, as `idlewild.minisig` does in a bundle folder.
pub const SIGNATURE_SECTION: &str = "idlewild:signature";

/// Why a component's sections are not a bundle's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PackedError {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(
        "it carries no manifest; pack it: idlewild build FOLDER, or name the folder that holds it and idlewild.toml"
    )]
    NoManifest,
    #[error("it has the section `{name}` twice; pack the bundle again")]
    Twice { name: &'static str },
    #[error("its section `{name}` is {length} bytes long and may have {limit}; pack the bundle again")]
    TooLong { name: &'static str, length: usize, limit: usize },
    #[error("its section `{name}` is not UTF-8 text; pack the bundle again")]
    NotText { name: &'static str },
    #[error(
        "it has the section `{name}`, which this version does not know; install it with the version it was packed for"
    )]
    Unknown { name: String },
    #[error("it carries a manifest of its own; install that file as it is, or put the component alone into the folder")]
    AlreadyPacked,
}

/// What one file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Packed {
    pub(super) manifest: String,
    pub(super) signature: Option<String>,
    /// The component without any section of ours: byte for byte what was packed.
    pub(super) component: Vec<u8>,
}

/// Takes a file apart.
pub(super) fn unpack(mut bytes: Vec<u8>) -> Result<Packed, PackedError> {
    let Ours { sections, manifest, signature } = ours(&bytes)?;
    let manifest = manifest.ok_or(PackedError::NoManifest)?.to_owned();
    let signature = signature.map(str::to_owned);
    let cuts: Vec<_> = sections.into_iter().map(|section| section.whole).collect();
    for cut in cuts.into_iter().rev() {
        bytes.drain(cut);
    }
    Ok(Packed { manifest, signature, component: bytes })
}

/// Puts a file together.
pub(super) fn pack(manifest: &str, signature: Option<&str>, component: &[u8]) -> Vec<u8> {
    let mut bytes = component.to_vec();
    let parts = [(MANIFEST_SECTION, Some(manifest)), (SIGNATURE_SECTION, signature)];
    for (name, text) in parts.into_iter().filter_map(|(name, text)| Some((name, text?))) {
        CustomSection { name: name.into(), data: text.as_bytes().into() }.append_to_component(&mut bytes);
    }
    bytes
}

/// Checks that a bundle folder's component is one that carries nothing of ours, so that no two manifests speak for it.
pub(super) fn check_bare(component: &[u8]) -> Result<(), PackedError> {
    match ours(component)?.sections.is_empty() {
        true => Ok(()),
        false => Err(PackedError::AlreadyPacked),
    }
}

#[derive(Default)]
struct Ours<'b> {
    sections: Vec<Section<'b>>,
    manifest: Option<&'b str>,
    signature: Option<&'b str>,
}

fn ours(bytes: &[u8]) -> Result<Ours<'_>, PackedError> {
    let mut ours = Ours::default();
    for section in sections(bytes)? {
        let section = section?;
        let Some((name, data)) = section.custom.filter(|(name, _)| name.starts_with(OURS)) else { continue };
        let (name, limit, place) = match name {
            MANIFEST_SECTION => (MANIFEST_SECTION, MANIFEST_LIMIT, &mut ours.manifest),
            SIGNATURE_SECTION => (SIGNATURE_SECTION, SIGNATURE_LIMIT, &mut ours.signature),
            _ => {
                return Err(PackedError::Unknown {
                    name: name.chars().take(NAME_SHOWN).flat_map(char::escape_default).collect(),
                });
            }
        };
        if data.len() > limit {
            return Err(PackedError::TooLong { name, length: data.len(), limit });
        }
        let text = str::from_utf8(data).map_err(|_| PackedError::NotText { name })?;
        if place.replace(text).is_some() {
            return Err(PackedError::Twice { name });
        }
        ours.sections.push(section);
    }
    Ok(ours)
}

/// How much of an unknown section's name a message repeats.
const NAME_SHOWN: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    fn component() -> Vec<u8> {
        wat::parse_str(
            "(component (component (@custom \"idlewild:manifest\" \"not ours\")) (@custom \"other\" \"kept\"))",
        )
        .unwrap()
    }

    fn with(bytes: &[u8], name: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        CustomSection { name: name.into(), data: data.into() }.append_to_component(&mut bytes);
        bytes
    }

    #[test]
    fn what_is_packed_comes_out_as_it_was() {
        for signature in [None, Some("signed")] {
            let packed = pack("manifest", signature, &component());
            let expected = Packed {
                manifest: "manifest".to_owned(),
                signature: signature.map(str::to_owned),
                component: component(),
            };
            assert_eq!(unpack(packed), Ok(expected));
        }
    }

    #[test]
    fn our_sections_may_stand_anywhere_among_the_outermost() {
        let bare = component();
        let head = &bare[..8];
        let packed = [&with(head, MANIFEST_SECTION, b"manifest"), &bare[8..]].concat();
        assert_eq!(unpack(packed).unwrap(), Packed { manifest: "manifest".into(), signature: None, component: bare });
    }

    #[test]
    fn sections_that_are_no_bundles_are_named() {
        let bare = component();
        let packed = pack("manifest", Some("signed"), &bare);
        let cases = [
            (bare.clone(), "it carries no manifest; pack it: idlewild build FOLDER, or"),
            (with(&packed, MANIFEST_SECTION, b"manifest"), "it has the section `idlewild:manifest` twice"),
            (with(&packed, SIGNATURE_SECTION, b"signed"), "it has the section `idlewild:signature` twice"),
            (with(&bare, MANIFEST_SECTION, b"\xff"), "its section `idlewild:manifest` is not UTF-8 text"),
            (
                with(&bare, MANIFEST_SECTION, &[b'#'; MANIFEST_LIMIT + 1]),
                "its section `idlewild:manifest` is 65537 bytes long and may have 65536",
            ),
            (
                with(&packed, "idlewild:future", b""),
                "it has the section `idlewild:future`, which this version does not know",
            ),
            (packed[..packed.len() - 1].to_vec(), "it breaks off inside the section that begins at byte"),
        ];
        for (bytes, message) in cases {
            let error = unpack(bytes).unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}\n{message}");
        }
    }

    #[test]
    fn a_component_in_a_folder_carries_nothing_of_ours() {
        assert_eq!(check_bare(&component()), Ok(()));
        assert_eq!(check_bare(&pack("manifest", None, &component())), Err(PackedError::AlreadyPacked));
    }
}

//! The outermost sections of a WebAssembly file, read as frames alone: what stands inside a section is never looked at.

use std::ops::Range;

/// The bytes a WebAssembly file of any sort begins with.
pub(super) const MAGIC: &[u8] = b"\0asm";
/// A component's version and layer, behind the magic bytes.
const COMPONENT: &[u8] = &[0x0d, 0x00, 0x01, 0x00];
/// A core module's.
const MODULE: &[u8] = &[0x01, 0x00, 0x00, 0x00];
/// The number that marks a custom section.
const CUSTOM: u8 = 0;

/// How code begins that wasmtime compiled.
pub(super) const ELF: &[u8] = b"\x7fELF";

/// Why bytes are no row of sections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("it is empty; build it again")]
    Empty,
    #[error("it does not begin as WebAssembly does; name a WebAssembly component")]
    NotWasm,
    #[error("it is compiled code already, which is taken from nobody; name the component it was compiled from")]
    Compiled,
    #[error(
        "it is a core module, not a component; build it as a component, for example with: cargo build --target wasm32-wasip2"
    )]
    Module,
    #[error("it is WebAssembly of a version this host does not know; build it as a component of version 1")]
    Version,
    #[error("it breaks off inside the section that begins at byte {at}; build it or copy it again")]
    Torn { at: usize },
    #[error("the section that begins at byte {at} has a length or a name that cannot be read; build it again")]
    Garbled { at: usize },
}

/// One of the outermost sections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Section<'b> {
    /// The section with its frame.
    pub(super) whole: Range<usize>,
    /// Its name and data, when it is a custom section.
    pub(super) custom: Option<(&'b str, &'b [u8])>,
}

/// Checks what a component begins with, and walks its sections. After an error there are no more.
pub(super) fn sections(bytes: &[u8]) -> Result<Sections<'_>, FrameError> {
    if bytes.is_empty() {
        return Err(FrameError::Empty);
    }
    if bytes.len() < MAGIC.len() && MAGIC.starts_with(bytes) {
        return Err(FrameError::Torn { at: 0 });
    }
    if bytes.starts_with(ELF) {
        return Err(FrameError::Compiled);
    }
    let Some(head) = bytes.strip_prefix(MAGIC) else { return Err(FrameError::NotWasm) };
    match head.get(..COMPONENT.len()) {
        Some(COMPONENT) => Ok(Sections { bytes, at: MAGIC.len() + COMPONENT.len() }),
        Some(MODULE) => Err(FrameError::Module),
        Some(_) => Err(FrameError::Version),
        None => Err(FrameError::Torn { at: 0 }),
    }
}

pub(super) struct Sections<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Iterator for Sections<'b> {
    type Item = Result<Section<'b>, FrameError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let section = read(self.bytes, self.at);
        self.at = match &section {
            Ok(section) => section.whole.end,
            Err(_) => self.bytes.len(),
        };
        Some(section)
    }
}

fn read(bytes: &[u8], at: usize) -> Result<Section<'_>, FrameError> {
    let mut rest = Reader { bytes: &bytes[at..], read: 0 };
    let torn = FrameError::Torn { at };
    let kind = rest.take(1).ok_or(torn)?[0];
    let length = rest.number().map_err(|fault| fault.of(at))?;
    let content = rest.take(length).ok_or(torn)?;
    let whole = at..at + rest.read;
    let custom = match kind {
        CUSTOM => Some(custom(content).ok_or(FrameError::Garbled { at })?),
        _ => None,
    };
    Ok(Section { whole, custom })
}

fn custom(content: &[u8]) -> Option<(&str, &[u8])> {
    let mut rest = Reader { bytes: content, read: 0 };
    let length = rest.number().ok()?;
    let name = str::from_utf8(rest.take(length)?).ok()?;
    Some((name, &content[rest.read..]))
}

struct Reader<'b> {
    bytes: &'b [u8],
    read: usize,
}

enum Fault {
    Torn,
    Garbled,
}

impl Fault {
    fn of(self, at: usize) -> FrameError {
        match self {
            Fault::Torn => FrameError::Torn { at },
            Fault::Garbled => FrameError::Garbled { at },
        }
    }
}

impl<'b> Reader<'b> {
    fn take(&mut self, length: usize) -> Option<&'b [u8]> {
        let taken = self.bytes.get(self.read..self.read.checked_add(length)?)?;
        self.read += length;
        Some(taken)
    }

    /// A number of at most 32 bits, seven of them in each byte, the lowest first.
    fn number(&mut self) -> Result<usize, Fault> {
        let mut number: u64 = 0;
        for shift in (0..35).step_by(7) {
            let byte = self.take(1).ok_or(Fault::Torn)?[0];
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return u32::try_from(number).map(|number| number as usize).map_err(|_| Fault::Garbled);
            }
        }
        Err(Fault::Garbled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn component(sections: &[u8]) -> Vec<u8> {
        [MAGIC, COMPONENT, sections].concat()
    }

    #[test]
    fn walks_the_outermost_sections() {
        // A custom section, one of another kind, and a custom section without data.
        let bytes = component(&[0, 4, 2, b'h', b'i', 7, 9, 1, 0, 0, 0x81, 0, 0]);
        let found: Vec<_> = sections(&bytes).unwrap().map(Result::unwrap).collect();
        let expected = [
            Section { whole: 8..14, custom: Some(("hi", &[7][..])) },
            Section { whole: 14..17, custom: None },
            Section { whole: 17..21, custom: Some(("", &[][..])) },
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_no_component_is_told_what_it_is() {
        let cases: [(&[u8], FrameError); 11] = [
            (b"", FrameError::Empty),
            (b"just some text", FrameError::NotWasm),
            (b"\x7fELF\x02", FrameError::Compiled),
            (b"\0as", FrameError::Torn { at: 0 }),
            (b"\0asm\x0d\0", FrameError::Torn { at: 0 }),
            (b"\0asm\x01\0\0\0", FrameError::Module),
            (b"\0asm\x0e\0\x01\0", FrameError::Version),
            (b"\0asm\x0d\0\x01\0\x07\x05abc", FrameError::Torn { at: 8 }),
            (b"\0asm\x0d\0\x01\0\x07\x80", FrameError::Torn { at: 8 }),
            (b"\0asm\x0d\0\x01\0\x07\xff\xff\xff\xff\x7f", FrameError::Garbled { at: 8 }),
            (b"\0asm\x0d\0\x01\0\0\x03\x05hi", FrameError::Garbled { at: 8 }),
        ];
        for (bytes, expected) in cases {
            let error = sections(bytes).and_then(|sections| sections.collect::<Result<Vec<_>, _>>()).unwrap_err();
            assert_eq!(error, expected, "{bytes:?}");
        }
    }
}

//! Tells what a file is by its first bytes. It reads headers only, and never believes a name.

use std::io::{self, BufRead, Read, Seek};

use imagesize::ImageError;
use serde::{Deserialize, Serialize};

/// What looking into a file showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub(crate) enum Verdict {
    Image(Image),
    /// It begins as an image does and its header ends too early, or it is named as one and is nothing known.
    Broken,
    /// Something else.
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Image {
    pub(crate) format: Format,
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// Its name ends as that of another sort of file.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) misnamed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    Avif,
    Bmp,
    Gif,
    Heif,
    Jpeg,
    Png,
    Tiff,
    Webp,
}

/// Bytes that are enough to tell every format.
const HEADER: u64 = 32;

/// Looks into a file. Errors: it could not be read, which says nothing about what it is.
pub(crate) fn examine(file: &mut (impl BufRead + Seek), name: &str) -> io::Result<Verdict> {
    let mut header = Vec::new();
    file.by_ref().take(HEADER).read_to_end(&mut header)?;
    file.rewind()?;
    let Some(format) = Format::of_content(&header) else {
        return Ok(if Format::claimed_by(name).is_some() { Verdict::Broken } else { Verdict::Other });
    };
    match imagesize::reader_size(file) {
        Ok(size) => Ok(match (u32::try_from(size.width), u32::try_from(size.height)) {
            (Ok(width @ 1..), Ok(height @ 1..)) => {
                Verdict::Image(Image { format, width, height, misnamed: format.belies(name) })
            }
            _ => Verdict::Broken,
        }),
        Err(ImageError::NotSupported | ImageError::CorruptedImage) => Ok(Verdict::Broken),
        Err(ImageError::IoError(error)) => match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
                Ok(Verdict::Broken)
            }
            _ => Err(error),
        },
    }
}

impl Format {
    pub(crate) const ALL: [Format; 8] =
        [Format::Jpeg, Format::Png, Format::Gif, Format::Webp, Format::Bmp, Format::Tiff, Format::Heif, Format::Avif];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Format::Avif => "AVIF",
            Format::Bmp => "BMP",
            Format::Gif => "GIF",
            Format::Heif => "HEIF",
            Format::Jpeg => "JPEG",
            Format::Png => "PNG",
            Format::Tiff => "TIFF",
            Format::Webp => "WebP",
        }
    }

    /// Whether common browsers show it.
    pub(crate) fn is_shown_by_browsers(self) -> bool {
        match self {
            Format::Avif | Format::Bmp | Format::Gif | Format::Jpeg | Format::Png | Format::Webp => true,
            Format::Heif | Format::Tiff => false,
        }
    }

    /// The format a file begins as. Stricter than the reader of sizes where a magic number is short or shared: two letters do
    /// not make a bitmap, and a film is a container of the same family as HEIF.
    fn of_content(header: &[u8]) -> Option<Format> {
        let at = |place: usize, bytes: &[u8]| header.get(place..).is_some_and(|rest| rest.starts_with(bytes));
        if at(0, b"\xFF\xD8\xFF") {
            Some(Format::Jpeg)
        } else if at(0, b"\x89PNG") {
            Some(Format::Png)
        } else if at(0, b"GIF87a") || at(0, b"GIF89a") {
            Some(Format::Gif)
        } else if at(0, b"RIFF") && at(8, b"WEBP") {
            Some(Format::Webp)
        } else if [&b"II*\0"[..], b"MM\0*", b"II+\0", b"MM\0+"].iter().any(|magic| at(0, magic)) {
            Some(Format::Tiff)
        } else if at(0, b"BM")
            && at(6, &[0; 4])
            && matches!(header.get(14..18), Some([12 | 40 | 52 | 56 | 64 | 108 | 124, 0, 0, 0]))
        {
            Some(Format::Bmp)
        } else if at(4, b"ftyp") {
            let brands = || header[8..].chunks_exact(4);
            let has = |known: &[&[u8]]| brands().any(|brand| known.contains(&brand));
            match () {
                () if has(&[b"avif", b"avis"]) => Some(Format::Avif),
                () if has(&[b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"]) => {
                    Some(Format::Heif)
                }
                () => None,
            }
        } else {
            None
        }
    }

    /// The format a file's name promises.
    fn claimed_by(name: &str) -> Option<Format> {
        Some(match ending(name)?.as_str() {
            "avif" => Format::Avif,
            "bmp" => Format::Bmp,
            "gif" => Format::Gif,
            "heic" | "heif" => Format::Heif,
            "jpg" | "jpeg" => Format::Jpeg,
            "png" => Format::Png,
            "tif" | "tiff" => Format::Tiff,
            "webp" => Format::Webp,
            _ => return None,
        })
    }

    /// Whether a name ends in something that is not an ending of this format. A name without an ending promises nothing.
    fn belies(self, name: &str) -> bool {
        let Some(ending) = ending(name) else { return false };
        let others: &[&str] = match self {
            Format::Bmp => &["dib"],
            Format::Heif => &["hif"],
            Format::Jpeg => &["jpe", "jfif", "mpo", "thm"],
            Format::Png => &["apng"],
            // The raw files of many cameras are TIFF.
            Format::Tiff => &["arw", "cr2", "dng", "nef", "nrw", "pef", "srw"],
            Format::Avif | Format::Gif | Format::Webp => &[],
        };
        Format::claimed_by(name) != Some(self) && !others.contains(&ending.as_str())
    }
}

/// What stands after the last dot, in lower case, if it looks like the ending of a file's name and not like a part of a date.
fn ending(name: &str) -> Option<String> {
    let (stem, ending) = name.rsplit_once('.')?;
    let looks_like_one = !stem.is_empty()
        && (2..=5).contains(&ending.len())
        && ending.starts_with(|c: char| c.is_ascii_alphabetic())
        && ending.chars().all(|c| c.is_ascii_alphanumeric());
    looks_like_one.then(|| ending.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn png(width: u32, height: u32) -> Vec<u8> {
        [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".as_slice(), &width.to_be_bytes(), &height.to_be_bytes(), &[8, 2, 0, 0, 0]]
            .concat()
    }

    fn verdict(content: &[u8], name: &str) -> Verdict {
        examine(&mut Cursor::new(content), name).expect("memory can be read")
    }

    fn image(format: Format, width: u32, height: u32, misnamed: bool) -> Verdict {
        Verdict::Image(Image { format, width, height, misnamed })
    }

    #[test]
    fn content_decides_and_the_name_is_only_compared() {
        for (name, misnamed) in [
            ("a.png", false),
            ("a.PNG", false),
            ("a", false),
            (".png", false),
            ("scan 2019.12.05", false),
            ("a.jpg", true),
            ("notes.txt", true),
        ] {
            assert_eq!(verdict(&png(3, 4), name), image(Format::Png, 3, 4, misnamed), "{name}");
        }
    }

    #[test]
    fn a_header_that_ends_early_is_broken() {
        for length in 4..24 {
            assert_eq!(verdict(&png(3, 4)[..length], "a.png"), Verdict::Broken, "{length} bytes");
        }
        assert_eq!(verdict(b"\xFF\xD8\xFF\xE0\x00\x10JFIF", "a"), Verdict::Broken);
        assert_eq!(verdict(b"GIF89a", "a.gif"), Verdict::Broken);
        assert_eq!(verdict(&png(0, 4), "a.png"), Verdict::Broken);
    }

    #[test]
    fn an_image_by_name_alone_is_broken_and_anything_else_is_not_ours() {
        assert_eq!(verdict(b"", "a.jpg"), Verdict::Broken);
        assert_eq!(verdict(b"<html>not found</html>", "a.webp"), Verdict::Broken);
        assert_eq!(verdict(b"", "a.txt"), Verdict::Other);
        assert_eq!(verdict(b"dear diary", "diary"), Verdict::Other);
    }

    #[test]
    fn short_magic_numbers_do_not_mislead() {
        assert_eq!(verdict(b"BMW: service due in the spring of next year", "car.txt"), Verdict::Other);
        assert_eq!(verdict(b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41", "film.mp4"), Verdict::Other);
        assert_eq!(verdict(b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", "film.mov"), Verdict::Other);
    }

    #[test]
    fn tells_the_other_formats() {
        let bmp =
            [b"BM".as_slice(), &[0; 12], &40_u32.to_le_bytes(), &7_u32.to_le_bytes(), &5_u32.to_le_bytes(), &[0; 8]]
                .concat();
        assert_eq!(verdict(&bmp, "a.bmp"), image(Format::Bmp, 7, 5, false));
        assert_eq!(verdict(b"GIF89a\x07\0\x05\0\0\0\0", "a.gif"), image(Format::Gif, 7, 5, false));
        let tiff = [
            b"II*\0\x08\0\0\0\x02\0".as_slice(),
            &[0, 1, 3, 0, 1, 0, 0, 0, 7, 0, 0, 0],
            &[1, 1, 3, 0, 1, 0, 0, 0, 5, 0, 0, 0],
        ];
        assert_eq!(verdict(&tiff.concat(), "a.nef"), image(Format::Tiff, 7, 5, false));
    }
}

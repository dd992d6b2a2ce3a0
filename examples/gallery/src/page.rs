//! The album page: one self-contained file that shows the pictures of the last count, as `photos/…` beside it.

use std::{
    fmt::{self, Display},
    io::{self, Write},
    path::Path,
};

use serde::Serialize;

use crate::{
    picture::{Format, Image},
    seen::{self, Seen},
};

/// What is on the page.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Shown {
    pub(crate) pictures: u64,
    pub(crate) new: u64,
    pub(crate) broken: u64,
}

/// Writes `index.html` into the album folder, in place of the one that was there.
pub(crate) fn write_album(album: &Path, seen: &Seen) -> io::Result<Shown> {
    seen::replace(&album.join("index.html"), |writer| write_page(writer, seen))
}

fn write_page(out: &mut impl Write, seen: &Seen) -> io::Result<Shown> {
    let pictures = seen.images().count() as u64;
    // At the first count everything is new, which would be no news.
    let is_new = |path: &str| (seen.added.len() as u64) < pictures && seen.added.contains(path);
    let shown = Shown {
        pictures,
        new: seen.images().filter(|(path, _)| is_new(path)).count() as u64,
        broken: seen.broken().count() as u64,
    };
    write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Album</title>\n\
         <style>\n{}</style>\n</head>\n<body>\n",
        include_str!("album.css")
    )?;
    write_heading(out, seen, &shown)?;
    write_folders(out, seen, is_new)?;
    write_broken(out, seen)?;
    out.write_all(b"</body>\n</html>\n")?;
    Ok(shown)
}

fn write_heading(out: &mut impl Write, seen: &Seen, shown: &Shown) -> io::Result<()> {
    let Shown { pictures, new, broken } = shown;
    write!(
        out,
        "<header>\n<h1>Album</h1>\n<ul class=\"facts\">\n<li><b>{pictures}</b> {}</li>\n",
        plural(*pictures, "picture")
    )?;
    if *new > 0 {
        writeln!(out, "<li><b>{new}</b> new since the count before</li>")?;
    }
    for format in Format::ALL {
        let count = seen.images().filter(|(_, image)| image.format == format).count();
        if count > 0 {
            writeln!(out, "<li><b>{count}</b> {}</li>", format.name())?;
        }
    }
    if *broken > 0 {
        writeln!(out, "<li><a class=\"broken\" href=\"#broken\">{broken} broken</a></li>")?;
    }
    out.write_all(b"</ul>\n</header>\n")
}

/// A grid for each folder.
fn write_folders(out: &mut impl Write, seen: &Seen, is_new: impl Fn(&str) -> bool) -> io::Result<()> {
    let mut images: Vec<(&str, &str, &Image)> = seen
        .images()
        .map(|(path, image)| {
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
            (folder, name, image)
        })
        .collect();
    images.sort_by_key(|(folder, name, _)| (*folder, *name));
    for folder in images.chunk_by(|left, right| left.0 == right.0) {
        let title = folder[0].0;
        writeln!(out, "<section>")?;
        if !title.is_empty() {
            writeln!(out, "<h2>{} <small>{}</small></h2>", Text(title), folder.len())?;
        }
        writeln!(out, "<div class=\"grid\">")?;
        for (_, name, image) in folder {
            let path = if title.is_empty() { (*name).to_owned() } else { format!("{title}/{name}") };
            write_figure(out, &path, name, image, is_new(&path))?;
        }
        writeln!(out, "</div>\n</section>")?;
    }
    Ok(())
}

fn write_figure(out: &mut impl Write, path: &str, name: &str, image: &Image, is_new: bool) -> io::Result<()> {
    let Image { format, width, height, misnamed } = image;
    let (link, name) = (Link(path), Text(name));
    writeln!(out, "<figure{}>", if is_new { " class=\"new\"" } else { "" })?;
    if format.is_shown_by_browsers() {
        writeln!(
            out,
            "<a href=\"{link}\"><img src=\"{link}\" width=\"{width}\" height=\"{height}\" alt=\"{name}\" loading=\"lazy\" decoding=\"async\"></a>"
        )?;
    } else {
        writeln!(out, "<a href=\"{link}\">{}</a>", format.name())?;
    }
    write!(out, "<figcaption>{name}<span>{} · {width} × {height}</span>", format.name())?;
    if *misnamed {
        write!(out, "<span class=\"warn\">named as something else</span>")?;
    }
    writeln!(out, "</figcaption>\n</figure>")
}

fn write_broken(out: &mut impl Write, seen: &Seen) -> io::Result<()> {
    if seen.broken().next().is_none() {
        return Ok(());
    }
    writeln!(out, "<section id=\"broken\">\n<h2>Broken</h2>\n<ul class=\"broken\">")?;
    for path in seen.broken() {
        writeln!(out, "<li>{}</li>", Text(path))?;
    }
    writeln!(out, "</ul>\n</section>")
}

fn plural(count: u64, word: &str) -> String {
    if count == 1 { word.to_owned() } else { format!("{word}s") }
}

/// Text, safe inside elements and quoted attributes.
struct Text<'a>(&'a str);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in self.0.split_inclusive(['&', '<', '>', '"', '\'']) {
            let (plain, last) = match piece.char_indices().next_back() {
                Some((place, last @ ('&' | '<' | '>' | '"' | '\''))) => (&piece[..place], last),
                _ => (piece, ' '),
            };
            f.write_str(plain)?;
            f.write_str(match last {
                '&' => "&amp;",
                '<' => "&lt;",
                '>' => "&gt;",
                '"' => "&quot;",
                '\'' => "&#39;",
                _ => "",
            })?;
        }
        Ok(())
    }
}

/// The address of a picture beside the page. What it leaves as it is needs no escaping in HTML either.
struct Link<'a>(&'a str);

impl Display for Link<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("photos/")?;
        for byte in self.0.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                    write!(f, "{}", char::from(byte))?
                }
                _ => write!(f, "%{byte:02X}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs};

    use super::*;
    use crate::{
        picture::Verdict,
        seen::{Entry, Files},
    };

    fn entry(verdict: Verdict) -> Entry {
        Entry { size: 1, modified: 0, verdict }
    }

    fn image(format: Format) -> Entry {
        entry(Verdict::Image(Image { format, width: 640, height: 480, misnamed: false }))
    }

    fn page(entries: &[(&str, Entry)], added: &[&str]) -> (String, Shown) {
        let files: Files = entries.iter().map(|(path, entry)| ((*path).to_owned(), *entry)).collect();
        let added: BTreeSet<String> = added.iter().map(|path| (*path).to_owned()).collect();
        let mut out = Vec::new();
        let shown = write_page(&mut out, &Seen { files, added }).expect("memory can be written");
        (String::from_utf8(out).expect("the page is text"), shown)
    }

    #[test]
    fn shows_every_picture_once_and_marks_the_new() {
        let entries = [
            ("b/1.jpg", image(Format::Jpeg)),
            ("a.png", image(Format::Png)),
            ("b/2.heic", image(Format::Heif)),
            ("b/c.png", entry(Verdict::Broken)),
            ("notes.txt", entry(Verdict::Other)),
        ];
        let (page, shown) = page(&entries, &["b/1.jpg"]);
        assert_eq!(shown, Shown { pictures: 3, new: 1, broken: 1 });
        assert_eq!(page.matches("<figure").count(), 3);
        assert_eq!(page.matches("<figure class=\"new\">").count(), 1);
        assert_eq!(page.matches("<img ").count(), 2);
        assert!(page.contains("JPEG · 640 × 480"));
        assert!(page.contains("<li>b/c.png</li>"));
        assert!(!page.contains("notes.txt"));
    }

    #[test]
    fn nothing_is_marked_when_everything_is_new() {
        let (page, shown) = page(&[("a.png", image(Format::Png))], &["a.png"]);
        assert_eq!((shown.pictures, shown.new), (1, 0));
        assert!(!page.contains("class=\"new\""));
    }

    #[test]
    fn odd_names_stay_names() {
        let name = "a & b/\"<script>alert('1')</script> 100% ü#?.png";
        let (page, _) = page(&[(name, image(Format::Png))], &[]);
        assert!(!page.contains("<script>"), "{page}");
        assert!(
            page.contains(
                "photos/a%20%26%20b/%22%3Cscript%3Ealert%28%271%27%29%3C/script%3E%20100%25%20%C3%BC%23%3F.png"
            )
        );
        assert!(page.contains("a &amp; b"));
    }

    #[test]
    fn replaces_the_page_whole() {
        let album = tempfile::tempdir().expect("a folder");
        let seen = Seen::default();
        let shown = write_album(album.path(), &seen).expect("writable");
        assert_eq!(shown, Shown { pictures: 0, new: 0, broken: 0 });
        let names: Vec<_> =
            fs::read_dir(album.path()).expect("a folder").map(|entry| entry.expect("readable").file_name()).collect();
        assert_eq!(names, ["index.html"]);
    }
}

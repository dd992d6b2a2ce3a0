//! A small gallery for demo and tests: landscapes nobody photographed, the same bytes each time.

mod encode;
mod landscape;

use std::{fs, io, path::Path};

use crate::{
    encode::{Format, encode},
    landscape::{Light, Scene},
};

/// What a count of the gallery finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Truth {
    pub total: u64,
    pub broken: u64,
    pub misnamed: u64,
    pub jpeg: u64,
    pub png: u64,
    pub gif: u64,
    pub webp: u64,
}

/// After [`make`].
pub const TRUTH: Truth = Truth { total: 13, broken: 4, misnamed: 3, jpeg: 6, png: 4, gif: 1, webp: 2 };

/// After [`make_later`] too.
pub const TRUTH_LATER: Truth = Truth { total: 15, broken: 4, misnamed: 3, jpeg: 7, png: 5, gif: 1, webp: 2 };

/// Makes the gallery in a folder, which need not exist. What is there under other names is left alone.
///
/// Errors: the folder cannot be written.
pub fn make(folder: &Path) -> io::Result<()> {
    for (path, format, scene) in PICTURES {
        write(folder, path, &encode(&scene.paint(), *format)?)?;
    }
    write(folder, "broken/torn.jpg", &encode(&TORN.paint(), Format::Jpeg)?[..24])?;
    write(folder, "broken/torn.png", &encode(&TORN.paint(), Format::Png)?[..14])?;
    write(folder, "broken/empty.jpg", b"")?;
    write(folder, "broken/error page.gif", b"<!doctype html><title>404 Not Found</title>\n")?;
    write(folder, "about.md", b"These pictures were made by a program. Do with them what you like.\n")?;
    write(folder, "2023 coast/track.gpx", b"<gpx version=\"1.1\"/>\n")
}

/// Adds two pictures to a gallery that was made before.
///
/// Errors: the folder cannot be written.
pub fn make_later(folder: &Path) -> io::Result<()> {
    for (path, format, scene) in LATER {
        write(folder, path, &encode(&scene.paint(), *format)?)?;
    }
    Ok(())
}

type Picture = (&'static str, Format, Scene);

const PICTURES: &[Picture] = &[
    ("2023 coast/first light.jpg", Format::Jpeg, Scene::new(1, 720, 480, Light::Dawn)),
    ("2023 coast/noon & haze.jpg", Format::Jpeg, Scene::new(2, 720, 480, Light::Day)),
    ("2023 coast/last light.jpeg", Format::Jpeg, Scene::new(3, 640, 640, Light::Dusk)),
    ("2023 coast/strip.webp", Format::Webp, Scene::new(4, 240, 80, Light::Day)),
    ("2024 mountains/ridge.jpg", Format::Jpeg, Scene::new(5, 480, 720, Light::Day)),
    ("2024 mountains/camp/night.png", Format::Png, Scene::new(6, 180, 120, Light::Night)),
    ("2024 mountains/camp/Frühstück.JPG", Format::Jpeg, Scene::new(7, 600, 400, Light::Dawn)),
    ("2024 mountains/camp/tent.gif", Format::Gif, Scene::new(8, 160, 120, Light::Dusk)),
    ("2024 mountains/moon", Format::Png, Scene::new(10, 120, 120, Light::Night)),
    ("scan.png", Format::Png, Scene::new(11, 150, 200, Light::Day)),
    // Misnamed: told by their content all the same.
    ("misnamed/really a jpeg.png", Format::Jpeg, Scene::new(12, 480, 320, Light::Dawn)),
    ("misnamed/notes.txt", Format::Png, Scene::new(13, 160, 120, Light::Dusk)),
    ("misnamed/really a webp.jpg", Format::Webp, Scene::new(14, 160, 120, Light::Night)),
];

const LATER: &[Picture] = &[
    ("2025 lake/mirror.jpg", Format::Jpeg, Scene::new(15, 720, 480, Light::Dusk)),
    ("2025 lake/stars.png", Format::Png, Scene::new(16, 180, 120, Light::Night)),
];

/// The picture that is torn off within its header.
const TORN: Scene = Scene::new(9, 480, 320, Light::Dusk);

fn write(folder: &Path, path: &str, content: &[u8]) -> io::Result<()> {
    let place = folder.join(path);
    if let Some(parent) = place.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(place, content)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use imagesize::ImageType;

    use super::*;

    fn files(folder: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("readable").path());
        entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
    }

    /// Counts by content with nothing but the reader of sizes; broken is what is left of the folder of that name.
    fn count(folder: &Path) -> (u64, u64, u64, u64) {
        let (mut jpeg, mut png, mut gif, mut webp) = (0, 0, 0, 0);
        for path in files(folder) {
            let content = fs::read(&path).expect("readable");
            match (imagesize::image_type(&content), imagesize::blob_size(&content)) {
                (Ok(ImageType::Jpeg), Ok(_)) => jpeg += 1,
                (Ok(ImageType::Png), Ok(_)) => png += 1,
                (Ok(ImageType::Gif), Ok(_)) => gif += 1,
                (Ok(ImageType::Webp), Ok(_)) => webp += 1,
                _ => {}
            }
        }
        (jpeg, png, gif, webp)
    }

    fn assert_true(folder: &Path, truth: Truth) {
        let Truth { total, broken, misnamed, jpeg, png, gif, webp } = truth;
        assert_eq!(count(folder), (jpeg, png, gif, webp));
        assert_eq!(jpeg + png + gif + webp, total);
        assert_eq!(files(&folder.join("broken")).len() as u64, broken);
        assert_eq!(count(&folder.join("broken")), (0, 0, 0, 0));
        assert_eq!(files(&folder.join("misnamed")).len() as u64, misnamed);
    }

    #[test]
    fn the_gallery_holds_what_it_says_the_same_each_time() {
        let (one, other) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        make(one.path()).expect("can be made");
        make(other.path()).expect("can be made");
        assert_true(one.path(), TRUTH);
        make_later(one.path()).expect("can be made");
        assert_true(one.path(), TRUTH_LATER);
        for path in files(other.path()) {
            let name = path.strip_prefix(other.path()).expect("below it");
            assert_eq!(
                fs::read(&path).expect("readable"),
                fs::read(one.path().join(name)).expect("readable"),
                "{name:?}"
            );
        }
    }
}

//! The gallery from outside: the counts are right, the album shows them, and both stay right when pictures are added.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{
    ffi::OsStr,
    fs::{self, Permissions},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{PermissionsExt as _, symlink},
    },
    path::Path,
};

use gallery_samples::{TRUTH, TRUTH_LATER, Truth, make, make_later};
use idlewild_tests::{HostEnd, Place, built_bundle};
use serde_json::{Value, json};

const IMAGE_COUNT: &str = "com.example.gallery.image-count";
const REFRESH: &str = "com.example.gallery.refresh";

/// Serves the gallery until nothing is left to do.
fn serve(place: &Place) -> HostEnd {
    let bundle = built_bundle("gallery");
    let [photos, album] = ["photos", "album"].map(|name| format!("{name}={}", place.folder(name).display()));
    let photos = photos.replacen("photos", "gallery", 1);
    let mut host =
        place.serve_at_ease(&[bundle.to_str().unwrap(), "--grant", &photos, "--grant", &album, "--exit-when-done"]);
    host.wait_until("done", |_| true);
    let end = host.end();
    assert_eq!((end.code, end.stderr.as_str()), (Some(0), ""), "{:?}", end.events);
    end
}

/// What the one task of the identifier put out in that run.
fn output(end: &HostEnd, identifier: &str) -> Value {
    let ended = end.events_of("ended", identifier);
    assert_eq!(ended.len(), 1, "{ended:?}");
    assert_eq!(ended[0]["outcome"], "succeeded", "{ended:?}");
    serde_json::from_str(ended[0]["output"]["text"].as_str().unwrap()).unwrap()
}

fn count_of(truth: Truth, added: u64, unreadable: u64) -> Value {
    let Truth { total, broken, misnamed, jpeg, png, gif, webp } = truth;
    json!({
        "total": total, "added": added, "changed": 0, "removed": 0, "broken": broken, "misnamed": misnamed,
        "unreadable": unreadable, "by-format": {"jpeg": jpeg, "png": png, "gif": gif, "webp": webp},
    })
}

/// The pictures the album page shows, as their paths below the gallery; its form is checked on the way.
fn shown(place: &Place) -> Vec<String> {
    let page = fs::read_to_string(place.path("album/index.html")).unwrap();
    for harmful in ["<script", "javascript:", "onerror", "<!doctype html><title>404"] {
        assert!(!page.contains(harmful), "{harmful} is on the page:\n{page}");
    }
    let links = page.split("<img src=\"photos/").skip(1).map(|rest| rest.split('"').next().unwrap());
    links.map(decoded).collect()
}

/// A link's path with its percent signs resolved.
fn decoded(link: &str) -> String {
    assert!(!link.contains(['<', '>', ' ', '\'']), "{link}");
    let mut parts = link.split('%');
    let mut bytes = parts.next().unwrap().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
        bytes.extend(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).unwrap()
}

/// Every picture is there under the path that the page links to.
fn assert_album(place: &Place, pictures: u64) {
    let shown = shown(place);
    assert_eq!(shown.len() as u64, pictures, "{shown:?}");
    for path in shown {
        assert!(place.path("photos").join(&path).is_file(), "the album links to {path}, which is not there");
    }
}

#[test]
fn counts_a_folder_and_counts_again_what_was_added() {
    let place = Place::new();
    make(&place.folder("photos")).unwrap();
    let first = serve(&place);
    assert_eq!(output(&first, IMAGE_COUNT), count_of(TRUTH, TRUTH.total, 0));
    assert_eq!(output(&first, REFRESH), json!({"pictures": TRUTH.total, "new": 0, "broken": TRUTH.broken}));
    assert_album(&place, TRUTH.total);
    assert!(!fs::read_to_string(place.path("album/index.html")).unwrap().contains("stars.png"));

    // Both asked for their next run, in a quarter of an hour: a run at once does nothing.
    make_later(&place.folder("photos")).unwrap();
    assert!(serve(&place).events_of("launched", IMAGE_COUNT).is_empty());

    // A person who does not want to wait replaces what is pending, with no host running.
    let count = place.ask_one(&["submit", IMAGE_COUNT, "--kind", "processing"]);
    assert_eq!(count["replaced"], true);
    let refresh = place.ask_one(&["submit", REFRESH, "--run-after", IMAGE_COUNT]);
    assert_eq!(refresh["replaced"], true);
    let second = serve(&place);
    assert_eq!(output(&second, IMAGE_COUNT), count_of(TRUTH_LATER, 2, 0));
    assert_eq!(output(&second, REFRESH), json!({"pictures": TRUTH_LATER.total, "new": 2, "broken": TRUTH.broken}));
    assert_album(&place, TRUTH_LATER.total);

    // The page was written after the count, and both wait for their next run.
    let place_of = |event: &str, identifier: &str| {
        let is_it = |heard: &Value| heard["event"] == event && heard["identifier"] == identifier;
        second.events.iter().position(is_it).unwrap()
    };
    assert!(place_of("ended", IMAGE_COUNT) < place_of("launched", REFRESH));
    let pending = place.ask(&["pending"]);
    assert_eq!(pending.len(), 2, "{pending:?}");
    assert!(pending.iter().all(|waiting| waiting["record"]["request"]["earliest_begin"].is_string()), "{pending:?}");
}

#[test]
fn counts_a_folder_that_is_a_mess() {
    let place = Place::new();
    let photos = place.folder("photos");
    make(&photos).unwrap();
    let picture = fs::read(photos.join("scan.png")).unwrap();
    fs::write(photos.join(OsStr::from_bytes(b"caf\xe9.png")), &picture).unwrap();
    fs::write(photos.join("<script>alert('&\"').png"), &picture).unwrap();
    fs::write(photos.join("two\nlines.png"), &picture).unwrap();
    symlink(".", photos.join("loop")).unwrap();
    symlink("nowhere", photos.join("dangling.png")).unwrap();
    symlink("/etc/passwd", photos.join("out.png")).unwrap();
    fs::write(photos.join("shut.png"), &picture).unwrap();
    fs::set_permissions(photos.join("shut.png"), Permissions::from_mode(0o000)).unwrap();
    // A superuser reads what is shut.
    let shut = u64::from(fs::read(photos.join("shut.png")).is_err());

    let end = serve(&place);
    let counted = output(&end, IMAGE_COUNT);
    let pictures = TRUTH.total + 2 + (1 - shut);
    assert_eq!(counted["total"], pictures, "{counted}");
    assert_eq!(counted["broken"], TRUTH.broken, "{counted}");
    let unreadable = counted["unreadable"].as_u64().unwrap();
    assert!(unreadable >= shut, "{counted}");
    assert_album(&place, pictures);
    assert!(shown(&place).iter().any(|path| path.contains("<script>")));
    let log = place.run(&["logs", IMAGE_COUNT]);
    assert_eq!(log.code, Some(0), "{}", log.stderr);
    assert!(log.text().contains("really a webp.jpg: is WebP"), "{}", log.text());
}

#[test]
fn a_gallery_that_went_away_is_a_failure_that_names_it() {
    let place = Place::new();
    make(&place.folder("photos")).unwrap();
    serve(&place);
    fs::rename(place.path("photos"), place.path("moved")).unwrap();
    place.ask_one(&["submit", IMAGE_COUNT, "--kind", "processing"]);
    let end = place.serve_at_ease(&["--exit-when-done"]).end();
    assert_eq!(end.code, Some(3), "{:?}", end.events);
    let task = place.ask_one(&["tasks", "--limit", "1"]);
    assert_eq!(task["ended"]["outcome"], "failed", "{task}");
    let message = task["ended"]["message"].as_str().unwrap();
    let photos = place.path("photos");
    let photos: &Path = &photos;
    assert!(message.contains(photos.to_str().unwrap()), "{message}");
}

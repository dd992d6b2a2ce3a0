//! What guests may keep on disk: `/data` of a bundle and `/tmp` of a task, up to their quotas and not beyond.

use std::{fs, time::Duration};

use idlewild::{
    bundle::Access,
    engine::{Engine, EngineSettings, World},
    rules::{End, ExpirationReason},
};

use crate::house::{Heard, House, allowance, grant, guest, returned};

const KIB: u64 = 1 << 10;

/// What Rust's standard library makes of a stream that ended with whatever error.
const REFUSED: &str = "I/O error (os error 29)";

/// Room for what a test can fill at once.
fn small() -> EngineSettings {
    EngineSettings {
        data_bytes: 1024 * KIB,
        data_entries: 20,
        tmp_bytes: 512 * KIB,
        tmp_entries: 8,
        ..EngineSettings::default()
    }
}

trait Told {
    fn tell(&mut self, behaviour: &str, input: &str) -> String;
}

impl Told for House {
    /// What a behaviour says of an input.
    fn tell(&mut self, behaviour: &str, input: &str) -> String {
        let task = self.launch_with(behaviour, input);
        match self.end(task).0 {
            End::Returned(Ok(said)) => String::from_utf8(said).unwrap(),
            other => panic!("{behaviour} of {input} ends with {other:?}"),
        }
    }
}

#[test]
fn bytes_end_at_the_quota_come_back_and_are_said_once_in_the_log() {
    for mut house in House::both_with(small()) {
        let told = house.tell("fills-a-file", "/data/fill");
        assert_eq!(told, format!("{} bytes, {REFUSED}, there is room again", 1024 * KIB));
        assert_eq!(house.file("logs/1.log"), "[/data is full: it may hold 1 MiB, and what goes beyond is refused]\n");
        let told = house.tell("fills-a-file", "/tmp/fill");
        assert_eq!(told, format!("{} bytes, {REFUSED}, there is room again", 512 * KIB));
        assert_eq!(house.file("logs/2.log"), "[/tmp is full: it may hold 512 KiB, and what goes beyond is refused]\n");
        assert!(house.entries("tmp").is_empty());
    }
}

#[test]
fn what_a_bundle_keeps_leaves_less_for_its_next_task_and_each_tmp_begins_empty() {
    let mut house = House::of(World::Sync, small());
    house.tell("fills-a-file", "/data/first");
    let told = house.tell("fills-a-file", "/data/second");
    assert!(told.starts_with(&format!("{} bytes, {REFUSED}", (1024 - 64) * KIB)), "{told}");
    for _ in 0..2 {
        assert!(house.tell("fills-a-file", "/tmp/fill").starts_with(&format!("{} bytes", 512 * KIB)));
    }
}

#[test]
fn a_host_that_starts_counts_what_is_there() {
    let mut house = House::of(World::Sync, small());
    let data = house.state.path().join("data/test.behaviours");
    fs::create_dir_all(data.join("a/b")).unwrap();
    fs::write(data.join("a/b/old"), vec![7; 1000 << 10]).unwrap();
    let told = house.tell("fills-a-file", "/data/fill");
    assert!(told.starts_with(&format!("0 bytes, {REFUSED}, ")), "{told}");
}

#[test]
fn names_end_at_the_quota_and_come_back() {
    for mut house in House::both_with(small()) {
        assert_eq!(house.tell("fills-a-folder", "/tmp"), "8 entries, QuotaExceeded");
        assert_eq!(house.tell("fills-a-folder", "/data"), "20 entries, QuotaExceeded");
        let said = "[/data is full: it may hold 20 files and folders, and what goes beyond is refused]\n";
        assert_eq!(house.file("logs/2.log"), said);
        assert_eq!(house.entries("data/test.behaviours").len(), 20);
    }
}

#[test]
fn what_has_no_name_counts_while_it_is_open() {
    for mut house in House::both_with(small()) {
        assert_eq!(house.run("hides-files"), returned("10 files"));
    }
}

#[test]
fn length_without_content_counts() {
    for mut house in House::both_with(small()) {
        assert_eq!(house.run("stretches-a-file"), returned(&format!("QuotaExceeded, {REFUSED}, 100")));
    }
}

#[test]
fn folders_are_different_devices_and_each_is_one() {
    for mut house in House::both() {
        assert_eq!(house.run("moves-between-folders"), returned("CrossesDevices CrossesDevices x"));
    }
}

#[test]
fn a_granted_folder_has_no_quota() {
    let mut house = House::of(World::Sync, EngineSettings { data_bytes: 0, tmp_bytes: 0, ..small() });
    let shared = house.state.path().join("shared");
    fs::create_dir(&shared).unwrap();
    house.run("succeeds");
    house.grants = vec![grant("shared", Access::Write, &shared)];
    let task = house.launch_with("fills-a-folder", "/shared");
    let stop_at = house.clock.now().uptime + Duration::from_millis(300);
    house.engine.expire(task, ExpirationReason::Cancelled, stop_at);
    assert_eq!(house.end(task).0, End::Stopped, "nothing else ends it");
    assert!(house.entries("shared").len() > 20, "{}", house.entries("shared").len());
}

#[test]
fn a_full_disk_is_an_error_of_the_guest_and_of_nobody_else() {
    for mut house in House::both() {
        // The system's own full disk, as a folder that the operator granted.
        house.grants = vec![grant("shared", Access::Write, "/dev".as_ref())];
        let task = house.launch_with("writes-once", "/shared/full");
        assert_eq!(house.end(task).0, End::Returned(Err(format!("not written: {REFUSED}"))));
        house.grants = Vec::new();
        assert_eq!(house.run("succeeds"), returned("some input"));
    }
}

#[test]
fn two_tasks_at_once_share_one_quota() {
    let mut house = House::of(World::Sync, EngineSettings { turns: 2, ..small() });
    for path in ["/data/one", "/data/two"] {
        house.launch_with("fills-a-file", path);
    }
    let mut written = 0;
    for _ in 0..2 {
        let Heard::Ended(_, End::Returned(Ok(said)), _) = house.next() else { panic!("both return") };
        let said = String::from_utf8(said).unwrap();
        assert!(said.contains(REFUSED), "{said}");
        written += said.split(' ').next().unwrap().parse::<u64>().unwrap();
    }
    assert!(written >= 900 * KIB, "together they filled it: {written}");
    let on_disk: u64 = house.entries("data/test.behaviours").iter().map(|path| fs::metadata(path).unwrap().len()).sum();
    assert!(on_disk <= 1024 * KIB, "{on_disk}");
}

#[test]
fn who_is_stopped_while_it_writes_leaves_a_right_account_and_no_tmp() {
    let mut house = House::of(World::Sync, EngineSettings { data_bytes: 64 << 30, tmp_bytes: 64 << 30, ..small() });
    house.run("succeeds");
    for path in ["/data/fill", "/tmp/fill"] {
        let task = house.launch_with("fills-a-file", path);
        let stop_at = house.clock.now().uptime + Duration::from_millis(100);
        house.engine.expire(task, ExpirationReason::Cancelled, stop_at);
        assert_eq!(house.end(task).0, End::Stopped);
        assert!(house.entries("tmp").is_empty(), "it is gone when the end is told");
    }
    house.engine.stop();
    fs::remove_dir_all(house.state.path().join("data/test.behaviours")).unwrap();
}

#[test]
fn the_streams_of_wasi_0_3_keep_to_the_quota() {
    let mut house = House::of(World::Async, small());
    house.install("awaiting", &guest("awaiting"));
    let mut tell = |behaviour: &str| {
        let task = house.launch_of("awaiting", &format!("test.awaiting.{behaviour}"), Vec::new(), allowance());
        match house.end(task).0 {
            End::Returned(Ok(said)) => String::from_utf8(said).unwrap(),
            other => panic!("{behaviour} ends with {other:?}"),
        }
    };
    let filled = "16 pieces, 1048576 bytes, Err(ErrorCode::Quota)";
    assert_eq!(tell("fills-a-file"), format!("{filled}; {filled}; Err(ErrorCode::Quota)"));
    let apart = "Err(ErrorCode::CrossDevice)";
    assert_eq!(tell("fills-a-folder"), format!("19 made, ErrorCode::Quota, 20 listed, {apart}, {apart}"));
    assert_eq!(house.file("logs/1.log").lines().count(), 1, "{}", house.file("logs/1.log"));
}

#[test]
fn listings_of_wasi_0_3_that_nobody_reads_hold_no_thread() {
    let settings = EngineSettings { blocking_threads: 2, ..small() };
    let mut house = House::of(World::Async, settings);
    house.install("awaiting", &guest("awaiting"));
    let data = house.state.path().join("data/test.behaviours");
    fs::create_dir_all(&data).unwrap();
    for number in 0..10 {
        fs::write(data.join(number.to_string()), "").unwrap();
    }
    let task = house.launch_of("awaiting", "test.awaiting.lists-and-leaves-it", Vec::new(), allowance());
    assert_eq!(house.end(task).0, returned("100 begun, true"));
}

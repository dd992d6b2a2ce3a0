//! Code that is kept: on disk within its bound, damaged, taken away or made unwritable while the engine runs, and in memory.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf, time::Duration};

use idlewild::{
    clock,
    engine::{ComponentError, Engine, EngineSettings},
};
use idlewild_tests::grown;

use crate::house::{House, allowance, returned, written};

/// Components to be loaded one after the other, each time from the disk: one at a time stays linked.
const NAMES: [&str; 3] = ["a", "b", "c"];

fn house(settings: EngineSettings) -> House {
    let house =
        House::with(EngineSettings { linked_components: 1, ..settings }, tempfile::tempdir().expect("a folder"));
    let component = written("", "(func $launch (param i32 i32 i32 i32) (result i32) i32.const 0)");
    for name in NAMES {
        house.install(name, &grown(&component, 100 << 10));
    }
    house
}

fn run(house: &mut House, name: &str) {
    let task = house.launch_of(name, "test.behaviours.any", Vec::new(), allowance());
    assert_eq!(house.end(task).0, returned(""), "{name}");
}

fn run_all(house: &mut House) {
    for name in NAMES {
        run(house, name);
    }
}

/// The file of a component's code.
fn kept(house: &House, name: &str) -> Option<PathBuf> {
    let file =
        |path: &PathBuf| path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(&format!("{name}-")));
    house.entries("cache").into_iter().find(file)
}

#[test]
fn whatever_befalls_the_folder_while_the_engine_runs_tasks_go_on() {
    let mut house = house(EngineSettings::default());
    run_all(&mut house);
    let cache = house.state.path().join("cache");
    let calamities: [(&str, &dyn Fn()); 5] = [
        ("its files are removed", &|| {
            fs::read_dir(&cache).unwrap().for_each(|entry| fs::remove_file(entry.unwrap().path()).unwrap());
        }),
        ("it is removed", &|| fs::remove_dir_all(&cache).unwrap()),
        ("a bit of each file flips", &|| {
            for entry in fs::read_dir(&cache).unwrap() {
                let path = entry.unwrap().path();
                let mut bytes = fs::read(&path).unwrap();
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                fs::write(path, bytes).unwrap();
            }
        }),
        ("each file is cut off", &|| {
            for entry in fs::read_dir(&cache).unwrap() {
                let path = entry.unwrap().path();
                let bytes = fs::read(&path).unwrap();
                fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
            }
        }),
        ("each file is another's", &|| {
            let files: Vec<PathBuf> = fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().path()).collect();
            let bytes: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
            for (i, file) in files.iter().enumerate() {
                fs::write(file, &bytes[(i + 1) % bytes.len()]).unwrap();
            }
        }),
    ];
    for (calamity, befall) in calamities {
        befall();
        let there = |name: &str| cache.exists().then(|| kept(&house, name)).flatten();
        let damaged = NAMES.map(|name| there(name).map(|file| fs::read(file).unwrap()));
        run_all(&mut house);
        assert_eq!(house.entries("cache").len(), NAMES.len(), "after {calamity}");
        for (name, damaged) in NAMES.iter().zip(damaged) {
            let again = fs::read(kept(&house, name).unwrap()).unwrap();
            assert!(damaged.is_none_or(|damaged| again != damaged), "after {calamity} the code of {name} is mended");
        }
    }
}

#[test]
fn where_nothing_can_be_kept_code_is_compiled_each_time() {
    let mut house = house(EngineSettings::default());
    let cache = house.state.path().join("cache");
    fs::remove_dir_all(&cache).unwrap();
    fs::write(&cache, "a file in its place").unwrap();
    run_all(&mut house);
    assert_eq!(fs::read_to_string(&cache).unwrap(), "a file in its place");
    fs::remove_file(&cache).unwrap();
    fs::create_dir(&cache).unwrap();
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o500)).unwrap();
    run_all(&mut house);
    run_all(&mut house);
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn a_folder_that_others_may_write_to_is_closed_again() {
    let mut house = house(EngineSettings::default());
    run_all(&mut house);
    let cache = house.state.path().join("cache");
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o777)).unwrap();
    run_all(&mut house);
    assert_eq!(fs::metadata(&cache).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn the_folder_is_bounded_and_what_was_used_least_recently_goes_first() {
    let mut measured = house(EngineSettings::default());
    run(&mut measured, "a");
    let one = fs::metadata(kept(&measured, "a").unwrap()).unwrap().len();
    let mut house = house(EngineSettings { cache_limit: 2 * one + one / 2, ..EngineSettings::default() });
    for (name, left) in [("a", "a"), ("b", "ab"), ("a", "ab"), ("c", "ac"), ("b", "bc"), ("a", "ab")] {
        // The system's own times of files tell no less apart.
        clock::pause(Duration::from_millis(20));
        run(&mut house, name);
        let found: String = NAMES.into_iter().filter(|name| kept(&house, name).is_some()).collect();
        assert_eq!(found, left, "after {name}");
    }
    let settings = EngineSettings { cache_limit: one / 2, linked_components: 1, ..EngineSettings::default() };
    let mut house = House::with(settings, house.state);
    assert!(house.entries("cache").is_empty(), "the bound holds from the start");
    run_all(&mut house);
    assert!(house.entries("cache").is_empty(), "what is larger than all there may be is not kept");
}

#[test]
fn what_dead_writers_left_is_removed_at_the_start() {
    let mut before = house(EngineSettings::default());
    run(&mut before, "a");
    let cache = before.state.path().join("cache");
    fs::write(cache.join(".4194303-0"), "half a").unwrap();
    let house = House::with(EngineSettings::default(), before.state);
    assert_eq!(house.entries("cache").len(), 1);
    assert!(kept(&house, "a").is_some());
}

#[test]
fn compiled_code_is_taken_from_nobody() {
    let mut house = house(EngineSettings::default());
    assert!(!house.engine.is_compiled("a"));
    run(&mut house, "a");
    assert!(house.engine.is_compiled("a"));
    let file = fs::read(kept(&house, "a").unwrap()).unwrap();
    let code = &file[file.windows(4).position(|bytes| bytes == b"\x7fELF").unwrap()..];
    let said = "it is compiled code already, which is taken from nobody; put the component it was compiled from into the bundle";
    assert_eq!(house.examine(code), Err(ComponentError::Invalid(said.to_owned())));
    let error = house.examine(&file).expect_err("a file of the cache");
    assert!(error.to_string().contains("does not begin as WebAssembly does"), "{error}");
}

#[test]
fn what_is_linked_is_bounded_by_bytes_too() {
    let mut measured = house(EngineSettings::default());
    run(&mut measured, "a");
    let one = fs::metadata(kept(&measured, "a").unwrap()).unwrap().len();
    for (linked_code, is_read_again) in [(3 * one, false), (one / 2, true)] {
        let settings = EngineSettings { linked_code, ..EngineSettings::default() };
        let mut house = House::with(settings, tempfile::tempdir().unwrap());
        let component = written("", "(func $launch (param i32 i32 i32 i32) (result i32) i32.const 0)");
        for name in ["a", "b"] {
            house.install(name, &grown(&component, 100 << 10));
            run(&mut house, name);
        }
        // What is linked needs neither code nor component.
        fs::remove_file(kept(&house, "a").unwrap()).unwrap();
        run(&mut house, "a");
        assert_eq!(kept(&house, "a").is_some(), is_read_again, "{linked_code} bytes");
    }
}

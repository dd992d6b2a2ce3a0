//! The child that compiles: what binds it, what is said when it comes to no good end, and that it never outlives its use.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    process,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use futures_util::future::{join_all, select};
use idlewild::{
    bundle::COMPONENT_LIMIT,
    clock,
    engine::{ComponentError, Engine, EngineSettings},
    rules::{Allowance, End, ExpirationReason},
};
use idlewild_tests::{Child, binary, children, grown};
use rustix::process::{Pid, Signal, kill_process};

use crate::house::{House, allowance, returned, written};

const LOOK_AGAIN: Duration = Duration::from_millis(2);
const LOOKS: usize = 30_000;

/// Large enough that its child is seen, whatever the machine does.
const LARGE: usize = 20 << 20;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

/// A component whose `launch` returns nothing, at least `bytes` long.
fn component(bytes: usize) -> Vec<u8> {
    grown(&written("", "(func $launch (param i32 i32 i32 i32) (result i32) i32.const 0)"), bytes)
}

/// For tasks that wait until their component is compiled, however long that takes.
fn unhurried() -> Allowance {
    Allowance { time: None, ..allowance() }
}

/// Settings that no other test here has: its children are known by them.
fn marked() -> EngineSettings {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mark = NEXT.fetch_add(1, Ordering::Relaxed);
    EngineSettings { component_limit: COMPONENT_LIMIT + mark, ..EngineSettings::default() }
}

/// The children of a house with these settings.
fn children_of(settings: &EngineSettings) -> Vec<Child> {
    let mark = settings.component_limit.to_string();
    let ours = |child: &Child| child.parent == process::id() as i32 && child.arguments.get(5) == Some(&mark);
    children().into_iter().filter(ours).collect()
}

/// Looks until there is something to be seen.
fn seen<T>(look: impl Fn() -> Option<T>) -> T {
    for _ in 0..LOOKS {
        if let Some(seen) = look() {
            return seen;
        }
        clock::pause(LOOK_AGAIN);
    }
    panic!("it was never seen");
}

fn child_of(settings: &EngineSettings) -> Child {
    seen(|| children_of(settings).pop())
}

fn gone(child: &Child) {
    seen(|| (!child.lives()).then_some(()));
}

#[test]
fn what_takes_too_much_is_refused_in_words_and_the_house_stands() {
    let default = EngineSettings::default;
    let large = component(LARGE);
    let cases = [
        (
            EngineSettings { compile_memory: 96 << 20, ..default() },
            "compiling it takes more than 96 MiB of memory (`compile_memory`); make it smaller",
        ),
        (
            EngineSettings { compile_time: Duration::from_secs(1), ..default() },
            "compiling it takes more than 1 s of computing (`compile_time`); make it smaller",
        ),
        (
            EngineSettings { compile_patience: Duration::from_millis(200), ..default() },
            "it was not compiled within 0.2 s (`compile_patience`); make it smaller, or try when the machine is less busy",
        ),
        (EngineSettings { component_limit: 1 << 20, ..default() }, "it is larger than 1 MiB; make it smaller"),
    ];
    for (settings, said) in cases {
        let mut house = House::with(settings, folder());
        assert_eq!(house.examine(&large), Err(ComponentError::NotCompiled(said.to_owned())));
        house.install("small", &component(0));
        let task = house.launch_of("small", "test.behaviours.any", Vec::new(), allowance());
        assert_eq!(house.end(task).0, returned(""), "after: {said}");
        assert_eq!(house.entries("cache").len(), 1, "only what was compiled is kept");
    }
}

#[test]
fn code_larger_than_it_may_be_is_refused() {
    let house = House::with(EngineSettings { code_limit: 1 << 20, ..EngineSettings::default() }, folder());
    let said = "its compiled code is larger than 1 MiB (`code_bytes`); make it smaller".to_owned();
    assert_eq!(house.examine(&component(1 << 20)), Err(ComponentError::NotCompiled(said)));
    assert!(house.entries("cache").is_empty());
}

#[test]
fn a_child_that_dies_is_told_by_how_it_died() {
    let large = component(LARGE);
    for (signal, said) in [
        (
            Signal::KILL,
            "the process that compiled it was killed from outside; the machine may be short of memory: free some, and try again",
        ),
        (Signal::ABORT, "the compiler crashed on it (signal 6); build it anew, with another version of its toolchain"),
    ] {
        let settings = marked();
        let house = House::with(settings.clone(), folder());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let child = child_of(&settings);
                kill_process(Pid::from_raw(child.pid).unwrap(), signal).unwrap();
            });
            assert_eq!(house.examine(&large), Err(ComponentError::NotCompiled(said.to_owned())));
        });
        assert!(house.entries("cache").is_empty());
    }
}

#[test]
fn the_program_that_compiles_is_named_when_it_is_of_no_use() {
    let place = folder();
    let program = |name: &str, text: &str| {
        let path = place.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        path
    };
    let panics = "#!/bin/sh\nprintf \"thread 'main' panicked at x.rs:1:1:\\nit broke\\nnote: more\\n\" >&2\nexit 101\n";
    let cases = [
        (place.path().join("absent"), "absent, cannot be run: "),
        (program("other", "#!/bin/sh\nprintf 'of another version'\n"), "other compiled is of no use to this one: "),
        (program("panics", panics), "the compiler crashed on it (exit code 101: it broke); build it anew"),
    ];
    for (compiler, said) in cases {
        let house = House::compiled_by(compiler, EngineSettings::default(), folder());
        let error = house.examine(&component(0)).unwrap_err();
        assert!(matches!(&error, ComponentError::NotCompiled(message) if message.contains(said)), "{error}");
        assert!(house.entries("cache").is_empty(), "{said}");
    }
}

#[test]
fn the_child_is_bound_and_holds_nothing_but_what_it_needs() {
    let settings = marked();
    let house = House::with(settings.clone(), folder());
    let large = component(LARGE);
    let examining = async {
        let child = tokio::task::spawn_blocking({
            let settings = settings.clone();
            move || {
                let child = child_of(&settings);
                // It binds itself first; this comes last.
                seen(|| fs::read_to_string(child.path("oom_score_adj")).ok().filter(|said| said.trim() == "1000"));
                child
            }
        });
        child.await.unwrap()
    };
    house.control.block_on(async {
        let child = match select(house.engine.examine("large", &large), Box::pin(examining)).await {
            futures_util::future::Either::Right((child, _examining)) => {
                let limits = fs::read_to_string(child.path("limits")).unwrap();
                let limit =
                    |name: &str| limits.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
                assert!(limit("Max data size").contains(&(2u64 << 30).to_string()), "{limits}");
                assert!(limit("Max cpu time").contains(" 300 "), "{limits}");
                assert!(limit("Max core file size").contains(" 0 "), "{limits}");
                assert!(limit("Max file size").contains(&((512u64 << 20) + 1024).to_string()), "{limits}");
                assert_eq!(child.stat()[2], child.pid.to_string(), "a process group of its own");
                assert_eq!(child.stat()[16], "10", "its niceness");
                let environment = fs::read_to_string(child.path("environ")).unwrap();
                assert_eq!(environment, "RAYON_NUM_THREADS=2\0");
                let open = |fd: &str| fs::read_link(child.path("fd").join(fd)).unwrap_or_default();
                assert!(open("0").to_string_lossy().contains("idlewild-component"), "{:?}", open("0"));
                assert!(open("1").starts_with(house.state.path().join("cache")), "{:?}", open("1"));
                let state = house.state.path();
                for fd in fs::read_dir(child.path("fd")).unwrap().map(|fd| fd.unwrap().file_name()) {
                    let fd = fd.to_str().unwrap();
                    let inherited = open(fd).starts_with(state) && fd != "1";
                    assert!(!inherited, "{fd}: {:?}", open(fd));
                }
                child
            }
            futures_util::future::Either::Left((examined, _)) => panic!("it ended before it was seen: {examined:?}"),
        };
        // Nobody waits for it any more.
        tokio::task::spawn_blocking(move || gone(&child)).await.unwrap();
    });
    seen(|| house.entries("cache").is_empty().then_some(()));
}

#[test]
fn an_engine_that_stops_or_goes_leaves_no_child() {
    let large = component(LARGE);
    for stops in [true, false] {
        let settings = marked();
        let mut house = House::with(settings.clone(), folder());
        house.install("large", &large);
        let task = house.launch_of("large", "test.behaviours.any", Vec::new(), allowance());
        let child = child_of(&settings);
        match stops {
            true => {
                house.engine.stop();
                assert_eq!(house.end(task).0, End::Stopped);
            }
            false => drop(house),
        }
        gone(&child);
        assert_eq!(children_of(&settings), []);
    }
}

#[test]
fn one_component_is_compiled_once_however_many_ask() {
    let place = folder();
    let compiler = place.path().join("counts");
    let count = place.path().join("count");
    let text = format!("#!/bin/sh\necho x >> {}\nexec {} \"$@\"\n", count.display(), binary().display());
    fs::write(&compiler, text).unwrap();
    fs::set_permissions(&compiler, fs::Permissions::from_mode(0o700)).unwrap();
    let house = House::compiled_by(compiler, EngineSettings::default(), folder());
    let component = component(100 << 10);
    let asked = (0..8).map(|_| house.engine.examine("same", &component));
    for examined in house.control.block_on(join_all(asked)) {
        assert_eq!(examined, Ok(Vec::new()));
    }
    assert_eq!(fs::read_to_string(count).unwrap(), "x\n");
}

#[test]
fn as_many_components_are_compiled_at_once_as_the_settings_say() {
    let settings = EngineSettings { compiles: 1, ..marked() };
    let house = House::with(settings.clone(), folder());
    let component = component(1 << 20);
    let names = ["a", "b", "c"];
    let asked = join_all(names.map(|name| house.engine.examine(name, &component)));
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let most = scope.spawn(|| {
            let mut most = 0;
            while !done.load(Ordering::Relaxed) {
                most = most.max(children_of(&settings).len());
                clock::pause(LOOK_AGAIN);
            }
            most
        });
        let examined = house.control.block_on(asked);
        done.store(true, Ordering::Relaxed);
        assert_eq!(examined, names.map(|_| Ok(Vec::new())));
        assert_eq!(most.join().unwrap(), 1);
    });
}

#[test]
fn what_a_launch_began_to_compile_goes_on_without_it() {
    let settings = marked();
    let mut house = House::with(settings.clone(), folder());
    house.install("large", &component(2 << 20));
    let task = house.launch_of("large", "test.behaviours.any", Vec::new(), unhurried());
    let first = child_of(&settings);
    house.engine.expire(task, ExpirationReason::TimeLimit, Duration::ZERO);
    assert_eq!(house.end(task).0, End::Stopped);
    let task = house.launch_of("large", "test.behaviours.any", Vec::new(), unhurried());
    seen(|| (!first.lives()).then_some(()));
    assert_eq!(house.end(task).0, returned(""));
    assert_eq!(children_of(&settings), []);
    assert_eq!(house.entries("cache").len(), 1);
}

#[test]
fn what_a_launch_wants_compiled_behind_another_is_compiled_though_nobody_waits_for_it_any_more() {
    let settings = EngineSettings { compiles: 1, ..marked() };
    let mut house = House::with(settings.clone(), folder());
    house.install("first", &component(2 << 20));
    house.install("second", &component(0));
    let first = house.launch_of("first", "test.behaviours.any", Vec::new(), unhurried());
    let child = child_of(&settings);
    let process = Pid::from_raw(child.pid).unwrap();
    kill_process(process, Signal::STOP).unwrap();
    let second = house.launch_of("second", "test.behaviours.any", Vec::new(), unhurried());
    // It waits for its turn with its component open.
    seen(|| {
        let mut open = fs::read_dir("/proc/self/fd").unwrap().filter_map(|fd| fs::read_link(fd.ok()?.path()).ok());
        open.any(|path| path.starts_with(house.state.path()) && path.ends_with("second.wasm")).then_some(())
    });
    house.engine.expire(second, ExpirationReason::TimeLimit, Duration::ZERO);
    assert_eq!(house.end(second).0, End::Stopped);
    kill_process(process, Signal::CONT).unwrap();
    assert_eq!(house.end(first).0, returned(""));
    seen(|| (house.entries("cache").len() == 2).then_some(()));
    assert_eq!(house.examine(&component(1 << 10)), Ok(Vec::new()), "and the turn is free");
}

#[test]
fn other_work_goes_on_while_a_component_is_compiled() {
    let settings = marked();
    let mut house = House::with(settings.clone(), folder());
    assert_eq!(house.run("succeeds"), returned("some input"));
    house.install("large", &component(LARGE));
    let compiling = house.launch_of("large", "test.behaviours.any", Vec::new(), allowance());
    let child = child_of(&settings);
    for _ in 0..20 {
        assert_eq!(house.run("succeeds"), returned("some input"));
    }
    assert!(child.lives(), "twenty tasks take less than compiling {LARGE} bytes");
    house.engine.stop();
    assert_eq!(house.end(compiling).0, End::Stopped);
}

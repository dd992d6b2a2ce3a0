//! What the scheduler costs without guests: `cargo bench --bench scheduler`. A task's way through it while ever more is pending,
//! which must cost the same; then a simulated day of requests that repeat, and how often they wake the machine.

#![allow(clippy::print_stdout, reason = "a bench prints its figures")]
#![allow(clippy::unwrap_used, reason = "a bench may fail")]

use std::{path::Path, time::Duration};

use fastrand::Rng;
use idlewild::{
    clock::{Clock, SystemClock},
    config::Settings,
    rules::*,
    scheduler::Event,
    store::Sqlite,
};
use idlewild_tests::{SharedDatabase, World, bundle, id};
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::oneshot;

/// How many requests are pending when a task's way is measured, and how often it is.
const PENDING: [usize; 6] = [10, 100, 1_000, 10_000, 100_000, 1_000_000];
const MEASURED: usize = 300;
/// Submissions of one step while the pending ones are made.
const BATCH: usize = 1_000;
/// Bundles over which pending requests are spread; each has a lane of every priority.
const BUNDLES: usize = 100;

/// Requests that repeat, and their period.
const REPEATING: usize = 100;
const PERIOD: Duration = Duration::from_secs(15 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn main() {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    let folder = tempfile::tempdir_in(&target).unwrap();
    let database = |on_disk: bool, name: &str| match on_disk {
        true => SharedDatabase::of(Sqlite::open(&folder.path().join(name)).unwrap()),
        false => SharedDatabase::new(),
    };
    println!("a task submitted, picked, launched and ended while others are pending (p50 of {MEASURED})");
    for on_disk in [false, true] {
        for hold in Hold::ALL {
            grow(hold, on_disk, database(on_disk, &format!("{hold:?}.db")));
        }
    }
    println!("a day of {REPEATING} requests that repeat every 15 minutes, on disk");
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    live_a_day("each by its own timer", Duration::ZERO, false, database(true, "own.db"));
    live_a_day("no flex", Duration::ZERO, true, database(true, "none.db"));
    live_a_day("5 minutes of flex", minutes(5), true, database(true, "5.db"));
    live_a_day("14 minutes of flex", minutes(14), true, database(true, "14.db"));
}

/// What the pending requests wait for.
#[derive(Debug, Clone, Copy)]
enum Hold {
    /// Dates that lie ahead.
    Floor,
    /// A condition, in lanes of a hundred bundles.
    Condition,
    /// The one slot, in the lane of the measured ones.
    Slot,
}

impl Hold {
    const ALL: [Hold; 3] = [Hold::Floor, Hold::Condition, Hold::Slot];

    fn name(self) -> &'static str {
        match self {
            Hold::Floor => "for a date",
            Hold::Condition => "for a condition in 300 other lanes",
            Hold::Slot => "for a slot in the same lane",
        }
    }

    fn request(self, number: usize, now: Now) -> Request {
        let identifier = id(&format!("com.example.b{}.r{number}", number % BUNDLES));
        let processing = Kind::Processing(Needs { network: true, external_power: false });
        match self {
            Hold::Floor => {
                let ahead = Duration::from_secs(86_400 + number as u64 * 7_919 % 31_536_000);
                Request { earliest_begin: Some(now.wall + ahead), ..Request::new(identifier, processing) }
            }
            Hold::Condition => {
                let priority = Priority::ALL[number / BUNDLES % Priority::ALL.len()];
                Request { priority, ..Request::new(identifier, processing) }
            }
            Hold::Slot => own(number),
        }
    }
}

/// A request of the measured kind: one that the machine lets run at once.
fn own(number: usize) -> Request {
    Request::new(id(&format!("com.example.own.r{number}")), Kind::AppRefresh)
}

fn grow(hold: Hold, on_disk: bool, database: SharedDatabase) {
    let mut policy = Settings::new(Profile::Server).policy();
    // The measured ones come on top of as many as one bundle may have.
    policy.pending = ByKind { app_refresh: 2_000_000, processing: 2_000_000, ..policy.pending };
    if matches!(hold, Hold::Slot) {
        policy.slots = 1;
    }
    let names: Vec<String> = (0..BUNDLES).map(|number| format!("com.example.b{number}")).collect();
    let mut bundles: Vec<_> = names.iter().map(|name| bundle(name, &[&format!("{name}.*")])).collect();
    bundles.push(bundle("com.example.own", &["com.example.own.*"]));
    let mut world = World::on(database, policy, bundles);
    if matches!(hold, Hold::Condition) {
        world.state(Condition::Network, false);
    }
    let place = if on_disk { "on disk" } else { "in memory" };
    println!("  {place}, waiting {}:", hold.name());
    let clock = SystemClock::start();
    let (mut number, mut first) = (0, None);
    for pending in PENDING {
        while number < pending {
            for _ in 0..BATCH.min(pending - number) {
                let request = hold.request(number, world.now());
                world.send(Event::Submit { bundle: None, request, key: None, reply: oneshot::channel().0 });
                number += 1;
            }
            world.settle();
            world.told.lock().unwrap().clear();
        }
        let mut times: Vec<Duration> =
            (0..MEASURED).map(|cycle| pass(&mut world, &*clock, 9_000_000 + cycle)).collect();
        times.sort();
        let (median, late) = (times[MEASURED / 2].as_secs_f64() * 1e6, times[MEASURED * 99 / 100].as_secs_f64() * 1e6);
        let ratio = median / *first.get_or_insert(median);
        println!("    {pending:>9} pending: {median:>6.0} µs, p99 {late:>6.0} µs; {ratio:.2}x of ten");
    }
    let before = clock.now().uptime;
    world.crash();
    println!("    a host starts with them in {:.0} ms", (clock.now().uptime - before).as_secs_f64() * 1e3);
}

/// One task more: its submission, and the end of one that was launched for it or before it.
fn pass(world: &mut World, clock: &dyn Clock, number: usize) -> Duration {
    let before = clock.now().uptime;
    world.submit(own(number)).unwrap();
    let task = *world.engine.tasks().first().expect("one runs");
    world.engine.take(task);
    world.send(Event::Ended { task, end: End::Returned(Ok(Vec::new())), usage: Usage::default() });
    world.settle();
    let time = clock.now().uptime - before;
    world.told.lock().unwrap().clear();
    time
}

fn live_a_day(name: &str, flex: Duration, meet: bool, database: SharedDatabase) {
    let mut policy = Settings::new(Profile::Device).policy();
    if !meet {
        policy.coalescing = Duration::ZERO;
    }
    let names: Vec<String> = (0..REPEATING).map(|number| format!("com.example.b{number}")).collect();
    let bundles = names.iter().map(|name| bundle(name, &[&format!("{name}.refresh")])).collect();
    let mut world = World::on(database, policy, bundles);
    let begin = world.now().wall;
    let mut rng = Rng::with_seed(7);
    for name in &names {
        let phase = Duration::from_millis(rng.u64(1..=PERIOD.as_millis() as u64));
        let mut request = Request::new(id(&format!("{name}.refresh")), Kind::AppRefresh);
        request.earliest_begin = Some(begin + phase);
        request.repeat = Some(Repeat { every: PERIOD, flex });
        world.submit(request).unwrap();
    }
    let (mut wake_ups, mut ended) = (0_u64, 0_u64);
    let before = processor_time();
    while world.core.next_wake_up().wall.is_some_and(|at| at <= begin + DAY) {
        world.jump();
        wake_ups += 1;
        // What runs has ended before the machine sleeps again.
        loop {
            let tasks = world.engine.tasks();
            if tasks.is_empty() {
                break;
            }
            ended += tasks.len() as u64;
            for task in tasks {
                world.engine.take(task);
                world.send(Event::Ended { task, end: End::Returned(Ok(Vec::new())), usage: Usage::default() });
            }
            world.settle();
        }
        world.told.lock().unwrap().clear();
    }
    let used = processor_time() - before;
    let each = used.as_secs_f64() * 1e6 / ended as f64;
    println!(
        "  {name}: {wake_ups} wake-ups for {ended} tasks, {:.2} s of processor time, {each:.0} µs a task",
        used.as_secs_f64()
    );
}

/// What this process has used of the processors.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

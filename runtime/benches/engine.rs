//! What the engine costs, as ratios within one run: `cargo bench --bench engine`.
//! The same no-op task on wasmtime alone and through the engine, at one and two threads; then what metering costs compute.

#![allow(clippy::print_stdout, reason = "a bench prints its figures")]
#![allow(clippy::unwrap_used, reason = "a bench may fail")]

use std::{
    fs,
    hint::black_box,
    path::{Path, PathBuf},
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use cap_std::{ambient_authority, fs::Dir};
use futures_util::future::BoxFuture;
use idlewild::{
    bundle::{Bundle, Grants, Manifest},
    clock::{Clock, SystemClock},
    engine::{Asker, Engine as _, EngineParts, EngineSettings, Launch, Services, WasmEngine, tuned},
    rules::{Allowance, End, Identifier, Kind, Progress, Refusal, Request, Submission, TaskId, Usage},
};
use wasmtime::{
    Config, Engine, Instance, Module, Store, UpdateDeadline,
    component::{Component, InstancePre, Linker, ResourceTable},
};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

/// Tasks of one measurement, and how many of them may be under way at once for each thread.
const TASKS: u64 = 20_000;
const UNDER_WAY: u64 = 8;
/// Measurements of which the best counts.
const ROUNDS: usize = 5;

fn main() {
    println!("no-op tasks per second (best of {ROUNDS})");
    tasks("an empty component", &wat::parse_str(NO_OP).unwrap(), "test.bench.no-op");
    let bundles = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/bundles");
    for (name, built, identifier) in BUILT {
        let built = bundles.join(built);
        match fs::read(&built) {
            Ok(component) => tasks(name, &component, identifier),
            Err(error) => println!("  {name}: left out, {} cannot be read ({error})", built.display()),
        }
    }
    println!("this machine: the same compute on two threads over one {:.2}x", cores());
    println!("compute, metered over unmetered (best of {ROUNDS})");
    let mut means = [0.0; 3];
    for (name, text, argument) in KERNELS {
        let unmetered = kernel(text, argument, Metering { fuel: false, epochs: false });
        let ratios = [(true, false), (false, true), (true, true)]
            .map(|(fuel, epochs)| kernel(text, argument, Metering { fuel, epochs }) / unmetered);
        println!("  {name}: fuel {:.2}x, epochs {:.2}x, both {:.2}x", ratios[0], ratios[1], ratios[2]);
        for (mean, ratio) in means.iter_mut().zip(ratios) {
            *mean += ratio.ln() / KERNELS.len() as f64;
        }
    }
    let [fuel, epochs, both] = means.map(f64::exp);
    println!("  geometric mean: fuel {fuel:.2}x, epochs {epochs:.2}x, both {both:.2}x");
}

/// Components of Rust, one of each world, and an identifier that returns at once.
const BUILT: [(&str, &str, &str); 2] = [
    ("a component of Rust", "behaviours/behaviours.wasm", "test.behaviours.fails"),
    ("a component of Rust that awaits", "async-behaviours/behaviours.wasm", "test.behaviours.unknown"),
];

fn tasks(name: &str, component: &[u8], identifier: &'static str) {
    let mut rates = Vec::new();
    for threads in [1, 2] {
        let (bare, engine) = compare(threads, component, identifier);
        let ratio = bare / engine;
        println!("  {name}, {threads} threads: wasmtime alone {bare:.0}, engine {engine:.0}; costs {ratio:.2}x");
        rates.push((bare, engine));
    }
    let (bare, engine) = (rates[1].0 / rates[0].0, rates[1].1 / rates[0].1);
    println!("  {name}, two threads over one: wasmtime alone {bare:.2}x, engine {engine:.2}x");
}

/// Seconds that `run` takes, at best.
fn best(mut run: impl FnMut()) -> f64 {
    let clock = SystemClock::start();
    let once = |run: &mut dyn FnMut()| {
        let before = clock.now().uptime;
        run();
        (clock.now().uptime - before).as_secs_f64()
    };
    (0..ROUNDS).map(|_| once(&mut run)).fold(f64::INFINITY, f64::min)
}

/// Tasks per second on wasmtime alone and through the engine. Both are warm.
fn compare(threads: usize, component: &[u8], identifier: &'static str) -> (f64, f64) {
    let bare = Bare::new(threads, component, identifier);
    let through = Through::new(threads, component, identifier);
    let bare = TASKS as f64 / best(|| bare.run());
    let engine = TASKS as f64 / best(|| through.run());
    (bare, engine)
}

/// wasmtime with the engine's own settings and a WASI context per task; no gate, no limits, nobody told.
struct Bare {
    threads: usize,
    identifier: &'static str,
    instance: InstancePre<Context>,
}

struct Context {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for Context {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl Bare {
    fn new(threads: usize, component: &[u8], identifier: &'static str) -> Bare {
        let engine = Engine::new(&tuned(&EngineSettings::default())).unwrap();
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
        let component = Component::new(&engine, component).unwrap();
        linker.define_unknown_imports_as_traps(&component).unwrap();
        Bare { threads, identifier, instance: linker.instantiate_pre(&component).unwrap() }
    }

    fn run(&self) {
        thread::scope(|scope| {
            for _ in 0..self.threads {
                scope.spawn(|| {
                    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                    for _ in 0..TASKS / self.threads as u64 {
                        black_box(runtime.block_on(self.task())).ok();
                    }
                });
            }
        });
    }

    async fn task(&self) -> Result<Vec<u8>, String> {
        let context = Context { wasi: WasiCtx::builder().build(), table: ResourceTable::new() };
        let mut store = Store::new(self.instance.engine(), context);
        store.set_fuel(1 << 40).unwrap();
        store.fuel_async_yield_interval(Some(10_000_000)).unwrap();
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|_| Ok(UpdateDeadline::Yield(1)));
        let instance = self.instance.instantiate_async(&mut store).await.unwrap();
        let names =
            ["idlewild:background-tasks/handler@0.1.0", "idlewild:background-tasks/async-handler@0.1.0"].into_iter();
        let interface = names.filter_map(|name| instance.get_export_index(&mut store, None, name)).next().unwrap();
        let launch = instance.get_export_index(&mut store, Some(&interface), "launch").unwrap();
        let launch = instance.get_typed_func::<(&str, &[u8]), (Result<Vec<u8>, String>,)>(&mut store, launch).unwrap();
        launch.call_async(&mut store, (self.identifier, &[])).await.unwrap().0
    }
}

/// The engine, with as many turns as threads.
struct Through {
    engine: Arc<WasmEngine>,
    bundle: Arc<Bundle>,
    threads: u64,
    identifier: &'static str,
    _control: tokio::runtime::Runtime,
    _state: tempfile::TempDir,
}

impl Through {
    fn new(threads: usize, component: &[u8], identifier: &'static str) -> Through {
        let state = tempfile::tempdir().unwrap();
        let control = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let folder = |name: &str| {
            let path = state.path().join(name);
            fs::create_dir(&path).unwrap();
            Dir::open_ambient_dir(path, ambient_authority()).unwrap()
        };
        let components = folder("components");
        components.write("bench.wasm", component).unwrap();
        let engine = WasmEngine::start(EngineParts {
            clock: SystemClock::start(),
            control: control.handle().clone(),
            components,
            home: Dir::open_ambient_dir(state.path(), ambient_authority()).unwrap(),
            compiler: PathBuf::from(env!("CARGO_BIN_EXE_idlewild")),
            data: folder("data"),
            logs: folder("logs"),
            tmp: folder("tmp"),
            credentials: None,
            settings: EngineSettings { turns: threads, ..EngineSettings::default() },
        })
        .unwrap();
        let bundle = Arc::new(Bundle {
            manifest: Manifest::parse(
                "[bundle]\nid = \"test.bench\"\nversion = \"0.1.0\"\ncomponent = \"bench.wasm\"\n\
                 [scheduling]\npermitted-identifiers = [\"test.bench.no-op\"]",
            )
            .unwrap(),
            digest: "bench".to_owned(),
            grants: Grants::default(),
        });
        Through {
            engine: Arc::new(engine),
            bundle,
            threads: threads as u64,
            identifier,
            _control: control,
            _state: state,
        }
    }

    /// Keeps a few tasks under way until all have ended.
    fn run(&self) {
        let (done, wait) = mpsc::channel();
        let feeder = Arc::new(Feeder {
            engine: Arc::downgrade(&self.engine),
            bundle: self.bundle.clone(),
            identifier: Identifier::parse(self.identifier).unwrap(),
            launched: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            done,
        });
        for _ in 0..UNDER_WAY * self.threads {
            feeder.launch();
        }
        wait.recv().unwrap();
    }
}

/// Hears ends and launches the next, as a scheduler that always has work: no thread waits for another.
struct Feeder {
    engine: Weak<WasmEngine>,
    bundle: Arc<Bundle>,
    identifier: Identifier,
    launched: AtomicU64,
    ended: AtomicU64,
    done: mpsc::Sender<()>,
}

impl Feeder {
    fn launch(self: &Arc<Feeder>) {
        let number = self.launched.fetch_add(1, Ordering::Relaxed) + 1;
        let Some(engine) = self.engine.upgrade() else { return };
        if number > TASKS {
            return;
        }
        let launch = Launch {
            task: TaskId(number),
            bundle: self.bundle.clone(),
            identifier: self.identifier.clone(),
            kind: Kind::AppRefresh,
            attempt: 1,
            input: Vec::new(),
            allowance: Allowance {
                time: Some(Duration::from_secs(30)),
                grace: Duration::from_secs(5),
                fuel: 1 << 40,
                grace_fuel: 1 << 30,
                memory: 64 << 20,
            },
            foreground: false,
        };
        engine.launch(launch, Arc::new(Ear(self.clone())));
    }
}

/// Hears ends, and nothing else: the no-op asks for nothing.
struct Ear(Arc<Feeder>);

impl Services for Ear {
    fn ended(&self, _: TaskId, end: End, _: Usage) {
        assert!(matches!(end, End::Returned(_)), "{end:?}");
        self.0.launch();
        if self.0.ended.fetch_add(1, Ordering::Relaxed) + 1 == TASKS {
            self.0.done.send(()).ok();
        }
    }

    fn fuel_spent(&self, _: TaskId) {}

    fn progressed(&self, _: TaskId, _: Progress) {}

    fn titled(&self, _: TaskId, _: String, _: String) {}

    fn submit(&self, _: Asker, _: Request) -> BoxFuture<'static, Result<Submission, Refusal>> {
        unreachable!("a no-op submits nothing")
    }

    fn cancel(&self, _: Asker, _: Option<Identifier>) -> BoxFuture<'static, ()> {
        unreachable!("a no-op cancels nothing")
    }

    fn pending(&self, _: Asker) -> BoxFuture<'static, Vec<Request>> {
        unreachable!("a no-op asks nothing")
    }

    fn checkpoint(&self, _: TaskId) -> BoxFuture<'static, Option<Vec<u8>>> {
        unreachable!("a no-op asks nothing")
    }

    fn save_checkpoint(&self, _: TaskId, _: Vec<u8>) -> BoxFuture<'static, Result<(), String>> {
        unreachable!("a no-op saves nothing")
    }
}

/// How much more two threads compute than one when they share nothing: what no engine on this machine can exceed.
fn cores() -> f64 {
    let on = |threads: usize| {
        best(|| {
            thread::scope(|scope| {
                for _ in 0..threads {
                    scope.spawn(|| black_box((0..200_000_000_u64).fold(7, |sum, number| black_box(sum ^ number))));
                }
            });
        })
    };
    2.0 * on(1) / on(2)
}

#[derive(Clone, Copy)]
struct Metering {
    fuel: bool,
    epochs: bool,
}

/// Seconds a kernel takes under some metering. No beat is given: what is measured is the checks.
fn kernel(text: &str, argument: i32, metering: Metering) -> f64 {
    let mut config = Config::new();
    config.consume_fuel(metering.fuel).epoch_interruption(metering.epochs);
    let engine = Engine::new(&config).unwrap();
    let module = Module::new(&engine, wat::parse_str(text).unwrap()).unwrap();
    let mut store = Store::new(&engine, ());
    if metering.fuel {
        store.set_fuel(u64::MAX).unwrap();
    }
    if metering.epochs {
        store.set_epoch_deadline(1);
    }
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    let run = instance.get_typed_func::<i32, i32>(&mut store, "run").unwrap();
    best(|| {
        black_box(run.call(&mut store, argument).unwrap());
    })
}

/// Calls, loops over memory, and arithmetic in nested loops.
const KERNELS: [(&str, &str, i32); 3] = [("fib", FIB, 32), ("sieve", SIEVE, 2_000_000), ("matmul", MATMUL, 160)];

const FIB: &str = r#"(module
    (func $fib (export "run") (param $n i32) (result i32)
        (if (result i32) (i32.lt_s (local.get $n) (i32.const 2))
            (then (local.get $n))
            (else (i32.add
                (call $fib (i32.sub (local.get $n) (i32.const 1)))
                (call $fib (i32.sub (local.get $n) (i32.const 2))))))))"#;

const SIEVE: &str = r#"(module
    (memory 32)
    (func (export "run") (param $n i32) (result i32)
        (local $i i32) (local $j i32) (local $primes i32)
        (memory.fill (i32.const 0) (i32.const 0) (local.get $n))
        (local.set $i (i32.const 2))
        (loop $numbers
            (if (i32.eqz (i32.load8_u (local.get $i)))
                (then
                    (local.set $primes (i32.add (local.get $primes) (i32.const 1)))
                    (local.set $j (i32.shl (local.get $i) (i32.const 1)))
                    (block $crossed
                        (loop $multiples
                            (br_if $crossed (i32.ge_u (local.get $j) (local.get $n)))
                            (i32.store8 (local.get $j) (i32.const 1))
                            (local.set $j (i32.add (local.get $j) (local.get $i)))
                            (br $multiples)))))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $numbers (i32.lt_u (local.get $i) (local.get $n))))
        (local.get $primes)))"#;

const MATMUL: &str = r#"(module
    (memory 16)
    (func (export "run") (param $n i32) (result i32)
        (local $i i32) (local $j i32) (local $k i32) (local $sum f64)
        (loop $rows
            (local.set $j (i32.const 0))
            (loop $columns
                (local.set $k (i32.const 0))
                (local.set $sum (f64.const 0))
                (loop $products
                    (local.set $sum (f64.add (local.get $sum) (f64.mul
                        (f64.load (i32.shl (i32.add (i32.mul (local.get $i) (local.get $n)) (local.get $k)) (i32.const 3)))
                        (f64.load (i32.shl (i32.add (i32.mul (local.get $k) (local.get $n)) (local.get $j)) (i32.const 3))))))
                    (local.set $k (i32.add (local.get $k) (i32.const 1)))
                    (br_if $products (i32.lt_u (local.get $k) (local.get $n))))
                (f64.store offset=524288
                    (i32.shl (i32.add (i32.mul (local.get $i) (local.get $n)) (local.get $j)) (i32.const 3))
                    (local.get $sum))
                (local.set $j (i32.add (local.get $j) (i32.const 1)))
                (br_if $columns (i32.lt_u (local.get $j) (local.get $n))))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $rows (i32.lt_u (local.get $i) (local.get $n))))
        (i32.const 0)))"#;

/// A component of the world that does nothing.
const NO_OP: &str = r#"(component
    (core module $m
        (memory (export "memory") 17)
        (func (export "launch") (param i32 i32 i32 i32) (result i32) i32.const 0)
        (func (export "none") (result i32) i32.const 0)
        (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 16))
    (core instance $i (instantiate $m))
    (func $register (result (list string)) (canon lift (core func $i "none") (memory (core memory $i "memory"))))
    (func $activate (result (result (error string)))
        (canon lift (core func $i "none") (memory (core memory $i "memory"))))
    (func $launch (param "identifier" string) (param "input" (list u8)) (result (result (list u8) (error string)))
        (canon lift (core func $i "launch") (memory (core memory $i "memory")) (realloc (core func $i "realloc"))))
    (instance $registration (export "register" (func $register)) (export "activate" (func $activate)))
    (instance $handler (export "launch" (func $launch)))
    (export "idlewild:background-tasks/registration@0.1.0" (instance $registration))
    (export "idlewild:background-tasks/handler@0.1.0" (instance $handler)))"#;

//! A house for the engine's tests: the engine on real folders, and a scripted scheduler that hears and answers.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    time::Duration,
};

use cap_std::{ambient_authority, fs::Dir};
use futures_util::future::BoxFuture;
use idlewild::{
    bundle::{Access, Bundle, DirectoryAsk, DirectoryGrant, Grants, Manifest},
    clock::{Clock, SystemClock},
    engine::{Asker, ComponentError, Engine, EngineParts, EngineSettings, Launch, Services, WasmEngine, World},
    rules::{
        Allowance, End, Identifier, Kind, Pattern, Progress, Refusal, RefusalCode, Request, RequestId, Submission,
        TaskId, Usage,
    },
};
use tempfile::TempDir;
use tokio::{runtime::Runtime, sync::watch};

/// Longer than anything here takes, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The built component of a fixture.
pub(crate) fn guest(name: &str) -> Vec<u8> {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/wasm32-wasip2/guest");
    let places = [built.join(format!("{name}.wasm")), built.join("examples").join(format!("{name}.wasm"))];
    let found = places.iter().find(|place| place.exists());
    fs::read(found.unwrap_or_else(|| panic!("the fixture {name} is not built"))).expect("a readable fixture")
}

/// A component of the world whose `launch` is the core function `$launch` of `functions`: `(param i32 i32 i32 i32) (result i32)`.
pub(crate) fn written(imports: &str, functions: &str) -> Vec<u8> {
    wat::parse_str(written_text(imports, functions)).expect("well-formed text")
}

pub(crate) fn written_text(imports: &str, functions: &str) -> String {
    format!(
        r#"(component
            {imports}
            (core module $m
                (memory (export "memory") 1)
                {functions}
                (export "launch" (func $launch))
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
            (export "idlewild:background-tasks/handler@0.1.0" (instance $handler)))"#
    )
}

/// What the scripted scheduler heard.
#[derive(Debug, PartialEq)]
pub(crate) enum Heard {
    Ended(TaskId, End, Usage),
    FuelSpent(TaskId),
    Progressed(TaskId, Progress),
    Titled(TaskId, String, String),
    Submitted(Asker, Request),
    Cancelled(Asker, Option<Identifier>),
}

/// The scripted scheduler: keeps requests and checkpoints in memory, and permits what stands below `test`.
pub(crate) struct Ear {
    heard: Mutex<Sender<Heard>>,
    pending: Mutex<Vec<Request>>,
    checkpoints: Mutex<HashMap<TaskId, Vec<u8>>>,
    fails_on_submit: AtomicBool,
    /// False while the answers to submissions are held back.
    answers: watch::Sender<bool>,
}

impl Ear {
    fn hear(&self, heard: Heard) {
        self.heard.lock().expect("unpoisoned").send(heard).ok();
    }
}

impl Services for Ear {
    fn ended(&self, task: TaskId, end: End, usage: Usage) {
        self.hear(Heard::Ended(task, end, usage));
    }

    fn fuel_spent(&self, task: TaskId) {
        self.hear(Heard::FuelSpent(task));
    }

    fn progressed(&self, task: TaskId, progress: Progress) {
        self.hear(Heard::Progressed(task, progress));
    }

    fn titled(&self, task: TaskId, title: String, subtitle: String) {
        self.hear(Heard::Titled(task, title, subtitle));
    }

    fn submit(&self, asker: Asker, request: Request) -> BoxFuture<'static, Result<Submission, Refusal>> {
        assert!(!self.fails_on_submit.load(Ordering::Relaxed), "the host's own failure, on purpose");
        if request.identifier.as_str() == "test.behaviours.unheard-of" {
            let refusal = Refusal { code: RefusalCode::NotPermitted, message: "not in the manifest".to_owned() };
            return Box::pin(async { Err(refusal) });
        }
        let mut pending = self.pending.lock().expect("unpoisoned");
        let before = pending.len();
        pending.retain(|other| other.identifier != request.identifier);
        let submission = Submission { request: RequestId(7), replaced: pending.len() < before };
        pending.push(request.clone());
        self.hear(Heard::Submitted(asker, request));
        let mut answers = self.answers.subscribe();
        Box::pin(async move {
            tokio::task::yield_now().await;
            answers.wait_for(|answers| *answers).await.ok();
            Ok(submission)
        })
    }

    fn cancel(&self, asker: Asker, identifier: Option<Identifier>) -> BoxFuture<'static, ()> {
        let goes = |request: &Request| identifier.as_ref().is_none_or(|identifier| request.identifier == *identifier);
        self.pending.lock().expect("unpoisoned").retain(|request| !goes(request));
        self.hear(Heard::Cancelled(asker, identifier));
        Box::pin(async {})
    }

    fn pending(&self, _: Asker) -> BoxFuture<'static, Vec<Request>> {
        let pending = self.pending.lock().expect("unpoisoned").clone();
        Box::pin(async { pending })
    }

    fn checkpoint(&self, task: TaskId) -> BoxFuture<'static, Option<Vec<u8>>> {
        let checkpoint = self.checkpoints.lock().expect("unpoisoned").get(&task).cloned();
        Box::pin(async { checkpoint })
    }

    fn save_checkpoint(&self, task: TaskId, checkpoint: Vec<u8>) -> BoxFuture<'static, Result<(), String>> {
        let fits = checkpoint.len() <= 1 << 20;
        if fits {
            self.checkpoints.lock().expect("unpoisoned").insert(task, checkpoint);
        }
        Box::pin(async move { fits.then_some(()).ok_or_else(|| "larger than 1 MiB".to_owned()) })
    }
}

/// An engine, its folders, and what its scheduler hears.
pub(crate) struct House {
    told: Told,
    pub(crate) engine: WasmEngine,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ear: Arc<Ear>,
    pub(crate) heard: Receiver<Heard>,
    pub(crate) state: TempDir,
    pub(crate) grants: Vec<DirectoryGrant>,
    /// What is granted beside the folders.
    pub(crate) given: Grants,
    next: u64,
    /// Whether a person watches what is launched.
    pub(crate) foreground: bool,
    pub(crate) control: Runtime,
}

impl House {
    /// A house for guests of the synchronous world.
    pub(crate) fn new() -> House {
        House::of(World::Sync, EngineSettings::default())
    }

    /// A house for each world: what a story says holds in both.
    pub(crate) fn both() -> impl Iterator<Item = House> {
        House::both_with(EngineSettings::default())
    }

    pub(crate) fn both_with(settings: EngineSettings) -> impl Iterator<Item = House> {
        [World::Sync, World::Async].into_iter().map(move |world| House::of(world, settings.clone()))
    }

    pub(crate) fn of(world: World, settings: EngineSettings) -> House {
        let house = House::with(settings, tempfile::tempdir().expect("a temporary folder"));
        House { told: Told(world), ..house }
    }

    pub(crate) fn with(settings: EngineSettings, state: TempDir) -> House {
        House::compiled_by(idlewild_tests::binary(), settings, state)
    }

    /// Whose components another program compiles.
    pub(crate) fn compiled_by(compiler: PathBuf, settings: EngineSettings, state: TempDir) -> House {
        let control =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let clock: Arc<dyn Clock> = SystemClock::start();
        let folder = |name: &str| {
            let path = state.path().join(name);
            fs::create_dir_all(&path).expect("a writable folder");
            Dir::open_ambient_dir(path, ambient_authority()).expect("a folder")
        };
        let engine = WasmEngine::start(EngineParts {
            clock: clock.clone(),
            control: control.handle().clone(),
            components: folder("components"),
            home: Dir::open_ambient_dir(state.path(), ambient_authority()).expect("a folder"),
            compiler,
            data: folder("data"),
            logs: folder("logs"),
            tmp: folder("tmp"),
            credentials: None,
            settings,
        })
        .expect("an engine");
        let (sender, heard) = mpsc::channel();
        let ear = Arc::new(Ear {
            heard: Mutex::new(sender),
            pending: Mutex::default(),
            checkpoints: Mutex::default(),
            fails_on_submit: AtomicBool::new(false),
            answers: watch::Sender::new(true),
        });
        House {
            told: Told(World::Sync),
            engine,
            clock,
            ear,
            heard,
            state,
            grants: Vec::new(),
            given: Grants::default(),
            next: 1,
            foreground: false,
            control,
        }
    }

    /// Puts a component where the engine looks for it.
    pub(crate) fn install(&self, digest: &str, component: &[u8]) {
        fs::write(self.state.path().join("components").join(format!("{digest}.wasm")), component).expect("written");
    }

    pub(crate) fn examine(&self, component: &[u8]) -> Result<Vec<Pattern>, ComponentError> {
        self.examine_as("examined", component)
    }

    pub(crate) fn examine_as(&self, digest: &str, component: &[u8]) -> Result<Vec<Pattern>, ComponentError> {
        self.control.block_on(self.engine.examine(digest, component))
    }

    pub(crate) fn activate(&self, digest: &str) -> Result<(), String> {
        self.control.block_on(self.engine.activate(self.bundle(digest), allowance(), self.ear.clone()))
    }

    pub(crate) fn fail_on_submit(&self) {
        self.ear.fails_on_submit.store(true, Ordering::Relaxed);
    }

    /// Whether submissions are answered; those that wait for it are answered as soon as they are.
    pub(crate) fn answer_submissions(&self, answer: bool) {
        self.ear.answers.send_replace(answer);
    }

    /// What is heard within a span.
    pub(crate) fn heard_within(&self, span: Duration) -> Vec<Heard> {
        let until = self.clock.now().uptime + span;
        let left = || until.saturating_sub(self.clock.now().uptime);
        std::iter::from_fn(|| self.heard.recv_timeout(left()).ok()).collect()
    }

    /// Launches a behaviour of the fixture.
    pub(crate) fn launch(&mut self, behaviour: &str, allowance: Allowance) -> TaskId {
        self.launch_behaviour(behaviour, "some input", allowance)
    }

    pub(crate) fn launch_with(&mut self, behaviour: &str, input: &str) -> TaskId {
        self.launch_behaviour(behaviour, input, allowance())
    }

    fn launch_behaviour(&mut self, behaviour: &str, input: &str, allowance: Allowance) -> TaskId {
        let component = self.behaviours();
        if !self.state.path().join(format!("components/{component}.wasm")).exists() {
            self.install(component, &guest(component));
        }
        self.launch_of(component, &format!("test.behaviours.{behaviour}"), input.into(), allowance)
    }

    /// The fixture of this house's world.
    pub(crate) fn behaviours(&self) -> &'static str {
        match self.told.0 {
            World::Sync => "behaviours",
            World::Async => "async_behaviours",
        }
    }

    pub(crate) fn launch_of(&mut self, digest: &str, name: &str, input: Vec<u8>, allowance: Allowance) -> TaskId {
        let task = TaskId(self.next);
        self.next += 1;
        let launch = Launch {
            task,
            bundle: self.bundle(digest),
            identifier: Identifier::parse(name).expect("a good name"),
            kind: Kind::AppRefresh,
            attempt: 1,
            input,
            allowance,
            foreground: self.foreground,
        };
        self.engine.launch(launch, self.ear.clone());
        task
    }

    /// What is heard next.
    pub(crate) fn next(&self) -> Heard {
        self.heard.recv_timeout(PATIENCE).expect("something is heard")
    }

    /// How `task` ends, and what is heard before.
    pub(crate) fn end(&self, task: TaskId) -> (End, Usage, Vec<Heard>) {
        let mut before = Vec::new();
        loop {
            match self.next() {
                Heard::Ended(ended, end, usage) if ended == task => return (end, usage, before),
                other => before.push(other),
            }
        }
    }

    /// Launches a behaviour of the fixture and waits for its end.
    pub(crate) fn run(&mut self, behaviour: &str) -> End {
        let task = self.launch(behaviour, allowance());
        self.end(task).0
    }

    pub(crate) fn file(&self, path: &str) -> String {
        fs::read_to_string(self.state.path().join(path)).unwrap_or_default()
    }

    pub(crate) fn entries(&self, folder: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.state.path().join(folder)).expect("a folder");
        entries.map(|entry| entry.expect("an entry").path()).collect()
    }

    fn bundle(&self, digest: &str) -> Arc<Bundle> {
        let manifest = Manifest::parse(
            "[bundle]\nid = \"test.behaviours\"\nversion = \"0.1.0\"\ncomponent = \"behaviours.wasm\"\n\
             [scheduling]\npermitted-identifiers = [\"test.behaviours.*\"]",
        )
        .expect("a good manifest");
        let ask = |grant: &DirectoryGrant| DirectoryAsk { name: grant.name.clone(), access: grant.access };
        Arc::new(Bundle {
            manifest: Manifest {
                directories: self.grants.iter().map(ask).collect(),
                http: self.given.http.iter().map(|grant| grant.origin.clone()).collect(),
                ..manifest
            },
            digest: digest.to_owned(),
            grants: Grants { directories: self.grants.clone(), ..self.given.clone() },
        })
    }
}

/// Tells in which world a story failed.
struct Told(World);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("this was in the world {}", self.0);
        }
    }
}

/// Generous: what stops a task below is what the test lowers.
pub(crate) fn allowance() -> Allowance {
    Allowance {
        time: Some(Duration::from_secs(30)),
        grace: Duration::from_secs(5),
        fuel: 1 << 40,
        grace_fuel: 1 << 30,
        memory: 64 << 20,
    }
}

pub(crate) fn returned(text: &str) -> End {
    End::Returned(Ok(text.as_bytes().to_vec()))
}

pub(crate) fn grant(name: &str, access: Access, path: &Path) -> DirectoryGrant {
    DirectoryGrant { name: name.to_owned(), access, path: path.to_owned() }
}

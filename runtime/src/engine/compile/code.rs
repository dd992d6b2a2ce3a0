//! The code of components: found in the cache, or compiled. However many ask for one component, it is compiled once.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Seek, Write},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use cap_std::fs::Dir;
use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared, WeakShared},
};
use rustix::fs::{MemfdFlags, memfd_create};
use tokio::sync::Semaphore;
use wasmtime::component::Component;

use super::{
    CompileError,
    leash::{Cut, Leash},
    parent::{Compiler, given_up},
};
use crate::engine::{ComponentError, cache::CodeCache};

type Answer = Result<Component, CompileError>;
type Compiling = Shared<BoxFuture<'static, Answer>>;

/// Gives out loaded components. When it goes, nothing compiles any more.
pub(in crate::engine) struct Code {
    components: Dir,
    workshop: Arc<Workshop>,
    /// By digest.
    under_way: Mutex<HashMap<String, UnderWay>>,
}

struct Workshop {
    cache: CodeCache,
    compiler: Compiler,
    /// How many may compile at once.
    turns: Arc<Semaphore>,
}

struct UnderWay {
    answer: WeakShared<BoxFuture<'static, Answer>>,
    leash: Arc<Leash>,
    /// Whether it goes on though nobody waits.
    kept: bool,
}

impl Code {
    pub(in crate::engine) fn new(components: Dir, cache: CodeCache, compiler: Compiler) -> Code {
        let turns = Arc::new(Semaphore::new(compiler.settings.compiles.max(1)));
        Code { components, workshop: Arc::new(Workshop { cache, compiler, turns }), under_way: Mutex::default() }
    }

    /// The component of an installed bundle. Errors: why there is none, for people.
    ///
    /// What a launch began to compile goes on without it, so that the next launch comes further than this one.
    pub(in crate::engine) async fn load(&self, digest: &str) -> Result<Component, String> {
        if let Some(component) = self.read(digest).await {
            return Ok(component);
        }
        let file = format!("{digest}.wasm");
        let component =
            self.components.open(&file).map_err(|error| format!("the component {file} cannot be read: {error}"))?;
        tracing::warn!(digest, "compiled code is gone; the component is compiled again");
        let compiling = self.compile(digest, component.into_std(), true);
        compiling.await.map_err(|error| error.to_string())
    }

    /// The component of a bundle that is about to be installed. Compiling ends when nobody waits for it.
    pub(in crate::engine) async fn examine(&self, digest: &str, bytes: &[u8]) -> Result<Component, ComponentError> {
        if let Some(component) = self.read(digest).await {
            return Ok(component);
        }
        let component = in_memory(bytes).map_err(|error| {
            ComponentError::NotCompiled(format!("there is no room for it in memory: {error}; free some, and try again"))
        })?;
        self.compile(digest, component, false).await.map_err(|error| match error {
            CompileError::Invalid(message) => ComponentError::Invalid(message),
            CompileError::Failed(message) => ComponentError::NotCompiled(message),
        })
    }

    /// Whether the component need not be compiled, as far as can be seen without looking into the file.
    pub(in crate::engine) fn is_compiled(&self, digest: &str) -> bool {
        self.workshop.cache.has(digest)
    }

    /// Ends every child. Nothing is compiled from now on.
    pub(in crate::engine) fn stop(&self) {
        self.workshop.turns.close();
        for under_way in self.under_way().values() {
            under_way.leash.cut(Cut::GivenUp);
        }
    }

    async fn read(&self, digest: &str) -> Option<Component> {
        let workshop = self.workshop.clone();
        let digest = digest.to_owned();
        self.workshop.compiler.control.spawn_blocking(move || workshop.cache.read(&digest)).await.ok().flatten()
    }

    /// Joins who compiles it already, or begins.
    fn compile(&self, digest: &str, component: File, keep: bool) -> Compiling {
        let mut all = self.under_way();
        // What is over is of no use to who comes now: it is in the cache, or has failed.
        all.retain(|_, under_way| under_way.answer.upgrade().is_some_and(|answer| answer.now_or_never().is_none()));
        if let Some(under_way) = all.get_mut(digest)
            && let Some(answer) = under_way.answer.upgrade()
        {
            if keep && !under_way.kept {
                under_way.kept = true;
                self.go_on_with(&answer);
            }
            return answer;
        }
        let leash = Arc::new(Leash::default());
        let answer = compile(self.workshop.clone(), digest.to_owned(), component, leash.clone()).boxed().shared();
        let weak = answer.downgrade().expect("it was not awaited yet");
        all.insert(digest.to_owned(), UnderWay { answer: weak, leash, kept: keep });
        if keep {
            self.go_on_with(&answer);
        }
        answer
    }

    /// Sees it through, whoever gives up waiting: a compilation nobody polls would keep its turn from those behind it. It ends with
    /// `stop`, which closes the turns and cuts the leash.
    fn go_on_with(&self, answer: &Compiling) {
        self.workshop.compiler.control.spawn(answer.clone().map(drop));
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<String, UnderWay>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Waits for a turn, then has it compiled. Dropped, it ends the child.
async fn compile(workshop: Arc<Workshop>, digest: String, component: File, leash: Arc<Leash>) -> Answer {
    let _cut = CutOnDrop(leash.clone());
    let Ok(turn) = workshop.turns.clone().acquire_owned().await else { return Err(given_up()) };
    let control = workshop.compiler.control.clone();
    let compiled = control.spawn_blocking(move || {
        let _turn = turn;
        workshop.compile(&digest, component, &leash)
    });
    compiled.await.unwrap_or_else(|error| Err(CompileError::Failed(error.to_string())))
}

impl Workshop {
    fn compile(&self, digest: &str, component: File, leash: &Arc<Leash>) -> Answer {
        // Somebody may have been quicker.
        if let Some(component) = self.cache.read(digest) {
            return Ok(component);
        }
        let failed = |error: io::Error| CompileError::Failed(format!("there is no room for its code: {error}"));
        let draft = self.cache.draft().map_err(failed)?;
        self.compiler.compile(leash, component, draft.file().map_err(failed)?)?;
        self.cache.take(digest, draft).map_err(|message| {
            let program = self.compiler.program.display();
            CompileError::Failed(format!("what the program {program} compiled is of no use to this one: {message}"))
        })
    }
}

struct CutOnDrop(Arc<Leash>);

impl Drop for CutOnDrop {
    fn drop(&mut self) {
        self.0.cut(Cut::GivenUp);
    }
}

fn in_memory(bytes: &[u8]) -> io::Result<File> {
    let mut file = File::from(memfd_create("idlewild-component", MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}

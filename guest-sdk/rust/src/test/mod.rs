//! Tests of handlers, by plain `cargo test`: a host in memory, with conditions that are stated and a clock that is moved by hand.
//!
//! A test gives it the bundle that the module declares. The handlers are the same code as in the component.
//!
//! ```
//! #[idlewild_guest::bundle]
//! mod tasks {
//!     use std::time::Duration;
//!
//!     use idlewild_guest::{Request, SubmitError, Task, sleep};
//!
//!     #[activate]
//!     fn schedule() -> Result<(), SubmitError> {
//!         Request::processing("com.example.index.build").requires_external_power().submit()?;
//!         Ok(())
//!     }
//!
//!     #[handler("com.example.index.build")]
//!     async fn build(task: Task) -> Result<&'static str, String> {
//!         let work = sleep(Duration::from_secs(60));
//!         task.until_expired(work).await.map_err(|reason| format!("stopped early: {reason}"))?;
//!         Ok("built")
//!     }
//! }
//!
//! use std::time::Duration;
//!
//! use idlewild_guest::{
//!     ExpirationReason,
//!     test::{Condition, Host, Outcome, Reason, When},
//! };
//!
//! let mut host = Host::new(tasks::BUNDLE);
//! host.state(Condition::ExternalPower, false);
//! host.activate()?;
//! assert!(host.run_due().is_empty());
//! assert_eq!(host.pending()[0].reasons, [Reason::Lacks(Condition::ExternalPower)]);
//!
//! host.state(Condition::ExternalPower, true);
//! host.expire("com.example.index.build", When::After(Duration::from_secs(10)), ExpirationReason::ConditionsLost);
//! let stopped = host.run_due().remove(0);
//! assert_eq!(stopped.took, Duration::from_secs(10));
//! assert_eq!(stopped.outcome.to_string(), "expired: conditions-lost, failed: stopped early: conditions-lost");
//! # Ok::<(), String>(())
//! ```
//!
//! It goes by the host's rules: who may submit what, what waits and why, what is replaced, what comes back, what a success drops, when
//! a task is asked to stop and when it is stopped, what is tried again and what repeats. Four things are simpler. Tasks run one after the other, each to its end. They go in
//! one order, what became urgent first, then short work before long, then by priority and age, where a host takes turns between requests
//! of different needs, spaces launches and counts running time. No time passes but what is slept, waited or moved by hand, so plain
//! computing takes none; and nothing costs fuel. A handler that must be stopped is left at the next thing it asks of the host; none is
//! held in place.

mod folders;
mod moments;
mod port;
mod records;
mod rules;
mod running;
mod world;

use std::{
    any::Any,
    cell::RefCell,
    future::Future,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    pin::Pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::{Duration, SystemTime},
};

pub(crate) use port::Harness;
pub use records::{Condition, Ended, Outcome, Pending, Profile, Reason, Submitted, When};
pub use rules::{ATTEMPTS, CHECKPOINT_BYTES, GRACE, INPUT_BYTES, INTERRUPTIONS, OUTPUT_BYTES, STALL, rest, time_limit};

use self::{
    port::{Entered, in_task},
    rules::Submitter,
    running::{Cut, Plan, Planned},
    world::{End, World},
};
pub use crate::bundle::{AsyncHandler, Handler};
use crate::{Bundle, ExpirationReason, Kind, Request, Submission, SubmitError, Task};

/// A host of one bundle, in memory. Its conditions hold until a test states otherwise, its clock stands until it is moved, and its
/// folders are real, but gone with it.
pub struct Host<H: 'static = AsyncHandler> {
    bundle: Bundle<H>,
    world: Rc<RefCell<World>>,
}

/// Launching a handler of either world.
trait Launchable: Copy {
    fn launch(self, task: Task) -> Work;
}

type Work = Pin<Box<dyn Future<Output = Result<Vec<u8>, String>>>>;

impl Launchable for Handler {
    fn launch(self, task: Task) -> Work {
        Box::pin(async move { self(&task) })
    }
}

impl Launchable for AsyncHandler {
    fn launch(self, task: Task) -> Work {
        self(task)
    }
}

/// More launches than this without the clock being moved mean that a handler asks for itself again without a delay.
const LAUNCHES_AT_ONCE: usize = 1_000;

#[allow(private_bounds, reason = "a bundle is of one of the two worlds")]
impl<H: Launchable> Host<H> {
    /// A host on which the bundle was just installed; [`Host::activate`] is yet to be called. Its manifest permits the identifiers that
    /// it handles and names both background modes.
    pub fn new(bundle: Bundle<H>) -> Host<H> {
        let world = World::new(bundle.identifiers().collect());
        let world = world.unwrap_or_else(|error| panic!("no folder for the test can be made: {error}"));
        let world = Rc::new(RefCell::new(world));
        port::keep_time(&world);
        Host { bundle, world }
    }

    /// Puts a profile's limits in force; at first they are the server's.
    pub fn set_profile(&mut self, profile: Profile) {
        self.world.borrow_mut().profile = profile;
    }

    /// Enrols this machine in the study that the bundle's manifest names. Until then health-research is refused.
    pub fn enrol(&mut self) {
        self.world.borrow_mut().enrolled = true;
    }

    /// States whether a condition of the machine holds from now on.
    pub fn state(&mut self, condition: Condition, holds: bool) {
        let lacking = &mut self.world.borrow_mut().lacking;
        lacking.retain(|other| *other != condition);
        if !holds {
            lacking.push(condition);
        }
    }

    /// Lets handlers see `folder` under the name that the manifest asks for it by; see [`Task::folder`].
    pub fn grant(&mut self, name: &str, folder: impl AsRef<Path>) {
        self.world.borrow_mut().folders.grant(name, folder.as_ref());
    }

    /// Where handlers see the folder of this name; `data` is the bundle's own.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.world.borrow().folders.folder(name)
    }

    /// The moment it is.
    pub fn now(&self) -> SystemTime {
        self.world.borrow().now
    }

    /// Moves the clock on, by which a request that the test makes counts its delays: of several hosts, the one last made or moved. What has become due is launched by [`Host::run_due`].
    pub fn advance(&mut self, span: Duration) {
        port::keep_time(&self.world);
        self.world.borrow_mut().now += span;
    }

    /// Moves the clock on to the next moment at which something that is pending may become due: the end of a rest, an earliest or a
    /// latest begin, the next period of what repeats. False: nothing waits for a moment, and the clock stands.
    pub fn advance_to_next(&mut self) -> bool {
        port::keep_time(&self.world);
        let mut world = self.world.borrow_mut();
        let next = world.next_date();
        world.now = next.unwrap_or(world.now);
        next.is_some()
    }

    /// Asks the next task of this identifier to stop, when that moment comes.
    pub fn expire(&mut self, identifier: &str, when: When, reason: ExpirationReason) {
        self.world.borrow_mut().plan(identifier, Plan { when, what: Planned::Expire(reason) });
    }

    /// Lets the host die under the next task of this identifier, when that moment comes. Its request comes back.
    pub fn interrupt(&mut self, identifier: &str, when: When) {
        self.world.borrow_mut().plan(identifier, Plan { when, what: Planned::Interrupt });
    }

    /// Activates the bundle, as after its installation. Errors: what `#[activate]` returns. Nothing it submitted or took back then stands.
    pub fn activate(&mut self) -> Result<(), String> {
        let before = self.world.borrow().requests();
        let _entered = Entered::new(&self.world);
        self.bundle.activate().inspect_err(|_| self.world.borrow_mut().restore(before))
    }

    /// Submits a request, as a person does. Errors: the host refuses it.
    pub fn submit<K: Into<Kind>>(&mut self, request: Request<K>) -> Result<Submission, SubmitError> {
        self.world.borrow_mut().submit(Submitter::Person, request.into_any())
    }

    /// What is pending, in the order of submission, and why it is not running.
    pub fn pending(&self) -> Vec<Pending> {
        self.world.borrow().pending()
    }

    /// What the identifier keeps for its next launch.
    pub fn checkpoint(&self, identifier: &str) -> Option<Vec<u8>> {
        self.world.borrow().checkpoints.get(identifier).cloned()
    }

    /// Submits a request and launches it now, whatever it would wait for. Panics if the host refuses it.
    #[track_caller]
    pub fn launch<K: Into<Kind>>(&mut self, request: Request<K>) -> Ended {
        match self.submit(request) {
            Ok(Submission { request_id, replaced: _ }) => self.run(request_id.parse().expect("a number was given")),
            Err(error) => panic!("the host refuses the request: {error}"),
        }
    }

    /// Launches what nothing holds back, one after the other, until nothing is left: also what has become due on the way.
    #[track_caller]
    pub fn run_due(&mut self) -> Vec<Ended> {
        let mut ended = Vec::new();
        loop {
            let next = self.world.borrow().next_due();
            let Some(request) = next else { return ended };
            ended.push(self.run(request));
            assert!(
                ended.len() < LAUNCHES_AT_ONCE,
                "{LAUNCHES_AT_ONCE} tasks ran and the next is due: a handler asks for itself again without an earliest begin"
            );
        }
    }

    /// Launches the one request that is due and goes first. Panics if none is.
    #[track_caller]
    pub fn run_next(&mut self) -> Ended {
        let next = self.world.borrow().next_due();
        match next {
            Some(request) => self.run(request),
            None => panic!("nothing is due: {:?}", self.pending()),
        }
    }

    fn run(&mut self, request: u64) -> Ended {
        let launch = self.world.borrow_mut().launch(request).expect("the request is pending");
        let _entered = Entered::new(&self.world);
        let end = match self.bundle.find(&launch.identifier) {
            Ok(handler) => to_end(handler, Task::new(launch.identifier, launch.input)),
            Err(message) => End::Returned(Err(message)),
        };
        let mut world = self.world.borrow_mut();
        let running = world.running.take().expect("a task that was launched has not been settled");
        let ended = world.settle(running, end);
        world.folders.empty_tmp().unwrap_or_else(|error| panic!("a task's /tmp cannot be emptied: {error}"));
        ended
    }
}

/// Runs a handler until it has returned, panicked or been stopped.
fn to_end(handler: impl Launchable, task: Task) -> End {
    match panic::catch_unwind(AssertUnwindSafe(|| drive(handler.launch(task)))) {
        Ok(returned) => End::Returned(returned),
        Err(payload) => match payload.downcast::<Cut>() {
            Ok(cut) => End::Cut(*cut),
            Err(payload) => End::Panicked(message(&*payload)),
        },
    }
}

fn message(payload: &dyn Any) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or(payload.downcast_ref::<&str>().copied()).unwrap_or("a panic without a message").to_owned()
}

/// Polls work to its end. When it waits, the clock goes on to the next moment at which something happens.
fn drive(mut work: Work) -> Result<Vec<u8>, String> {
    let woken = Arc::new(Woken(AtomicBool::new(false)));
    let waker = Waker::from(Arc::clone(&woken));
    let mut context = Context::from_waker(&waker);
    loop {
        woken.0.store(false, Ordering::Relaxed);
        if let Poll::Ready(returned) = work.as_mut().poll(&mut context) {
            return returned;
        }
        if woken.0.load(Ordering::Relaxed) {
            continue;
        }
        let goes_on = in_task(|world, running| match running.next_moment(world.now) {
            Some(moment) => {
                world.now = moment;
                running.notice(moment);
                true
            }
            None => false,
        });
        assert!(goes_on, "the handler awaits what nothing in a test brings about");
    }
}

/// Whether there is a reason to poll again.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl<H> std::fmt::Debug for Host<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let world = self.world.borrow();
        f.debug_struct("Host").field("now", &world.now).field("pending", &world.pending()).finish_non_exhaustive()
    }
}

//! The port of a handler under test: asks the world of the harness that launched it.

use std::{
    cell::RefCell,
    future::poll_fn,
    panic,
    path::PathBuf,
    rc::{Rc, Weak},
    task::Poll,
    time::{Duration, SystemTime},
};

use super::{rules::Submitter, running::Running, world::World};
use crate::{ExpirationReason, Kind, Request, Submission, SubmitError, host::Port};

thread_local! {
    /// The world that handlers on this thread are in.
    static CURRENT: RefCell<Option<Rc<RefCell<World>>>> = const { RefCell::new(None) };

    /// The world whose clock a test's own code on this thread goes by.
    static CLOCK: RefCell<Weak<RefCell<World>>> = const { RefCell::new(Weak::new()) };
}

/// Lets requests that a test makes go by this world's clock, for as long as its host lives and no other does the same.
pub(super) fn keep_time(world: &Rc<RefCell<World>>) {
    CLOCK.set(Rc::downgrade(world));
}

/// While it lives, the bundle's code on this thread is in a world.
pub(super) struct Entered;

impl Entered {
    pub(super) fn new(world: &Rc<RefCell<World>>) -> Entered {
        CURRENT.set(Some(Rc::clone(world)));
        Entered
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(None);
    }
}

fn in_world<T>(ask: impl FnOnce(&mut World) -> T) -> T {
    let world = CURRENT.with_borrow(Clone::clone);
    let Some(world) = world else {
        panic!("this asks the host, and there is none: launch the handler by idlewild_guest::test::Host");
    };
    let mut world = world.borrow_mut();
    ask(&mut world)
}

/// Asks about the running task. A handler whose end has come is left here, as a guest is that the host stops.
pub(super) fn in_task<T>(ask: impl FnOnce(&mut World, &mut Running) -> T) -> T {
    let answer = in_world(|world| {
        let mut running = world.running.take()?;
        let answer = ask(world, &mut running);
        let (cut, fault) = (running.cut, running.fault());
        world.running = Some(running);
        Some((answer, cut, fault))
    });
    let Some((answer, cut, fault)) = answer else {
        panic!("this asks about the running task, and none is running");
    };
    if std::thread::panicking() {
        return answer;
    }
    if let Some(fault) = fault {
        panic!("{fault}");
    }
    if let Some(cut) = cut {
        panic::resume_unwind(Box::new(cut));
    }
    answer
}

pub(crate) struct Harness;

impl Port for Harness {
    #[allow(
        clippy::disallowed_methods,
        reason = "a request that is only made, and not submitted, may be made anywhere"
    )]
    fn now() -> SystemTime {
        let world = CURRENT.with_borrow(Clone::clone).or_else(|| CLOCK.with_borrow(Weak::upgrade));
        world.map_or_else(SystemTime::now, |world| world.borrow().now)
    }

    fn submit(request: Request) -> Result<Submission, SubmitError> {
        in_world(|world| world.submit(Submitter::Bundle, request))
    }

    fn cancel(identifier: &str) {
        in_world(|world| world.cancel(Some(identifier)));
    }

    fn cancel_all() {
        in_world(|world| world.cancel(None));
    }

    fn pending() -> Vec<Request> {
        in_world(|world| world.pending().into_iter().map(|pending| pending.request).collect())
    }

    fn supports_gpu() -> bool {
        false
    }

    fn id() -> String {
        in_task(|_, running| running.id.to_string())
    }

    fn kind() -> Kind {
        in_task(|_, running| running.kind.clone())
    }

    fn attempt() -> u32 {
        in_task(|_, running| running.attempt)
    }

    fn time_remaining() -> Option<Duration> {
        in_task(|world, running| running.time_remaining(world.now))
    }

    fn fuel_remaining() -> u64 {
        in_task(|_, running| super::rules::fuel(&running.kind))
    }

    fn expiration() -> Option<ExpirationReason> {
        in_task(|world, running| running.ask(world.now))
    }

    fn set_progress(completed: u64, total: u64) {
        in_task(|world, running| running.report(world.now, completed, total));
    }

    fn update_title(title: &str, subtitle: &str) {
        in_task(|_, running| running.titles.push((title.to_owned(), subtitle.to_owned())));
    }

    fn checkpoint() -> Option<Vec<u8>> {
        in_task(|world, running| world.checkpoints.get(&running.identifier).cloned())
    }

    fn save_checkpoint(checkpoint: &[u8]) -> Result<(), String> {
        in_task(|world, running| {
            world.save_checkpoint(&running.identifier, checkpoint)?;
            running.checkpoints.push(checkpoint.to_owned());
            Ok(())
        })
    }

    fn folder(name: &str) -> PathBuf {
        in_task(|world, _| world.folders.folder(name))
    }

    async fn expired() -> ExpirationReason {
        poll_fn(|context| {
            in_task(|world, running| match running.ask(world.now) {
                Some(reason) => Poll::Ready(reason),
                None => {
                    running.wake_at_end(context.waker().clone());
                    Poll::Pending
                }
            })
        })
        .await
    }

    async fn sleep(span: Duration) {
        let until = in_task(|world, _| world.now + span);
        poll_fn(|context| {
            in_task(|world, running| {
                if world.now >= until {
                    return Poll::Ready(());
                }
                running.wake_at(until, context.waker().clone());
                Poll::Pending
            })
        })
        .await;
    }

    fn wait(span: Duration) {
        /// Who heeds no end waits no longer; but time must pass for the grace to end.
        const MOMENT: Duration = Duration::from_millis(1);
        in_task(|world, running| {
            let until = match running.expiring {
                Some(_) => world.now + span.min(MOMENT),
                None => running.next_end().map_or(world.now + span, |end| end.min(world.now + span)),
            };
            world.now = until.max(world.now);
            running.notice(world.now);
        });
    }
}

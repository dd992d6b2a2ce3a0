//! The scheduler obeys: wake, look, decide, record, act, sleep until. One thread runs its steps; while a step's commit is
//! in flight the next batch gathers, and there is no batching timer.

mod core;
mod event;
mod launching;
mod ledger;
mod questions;
mod rehearsal;
mod requests;
mod schedules;
mod staging;
mod tasks;

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
};

use futures_util::{FutureExt, future::BoxFuture};
use tokio::sync::oneshot;

pub use self::{
    core::*,
    event::*,
    rehearsal::Rehearsal,
    schedules::{ScheduleGranted, ScheduleWish},
};
use crate::{
    clock::Clock,
    engine::{Asker, Services},
    rules::*,
};

/// How many pending requests a guest is shown at once.
const PENDING_SHOWN_TO_GUESTS: usize = 1_000;

/// Where events for the scheduler go. Cheap to clone; never blocks.
#[derive(Clone)]
pub struct Mailbox {
    shared: Arc<Shared>,
}

struct Shared {
    letters: Mutex<Letters>,
    clock: Arc<dyn Clock>,
}

#[derive(Default)]
struct Letters {
    events: Vec<Event>,
    closed: bool,
}

impl Mailbox {
    pub fn new(clock: Arc<dyn Clock>) -> Mailbox {
        Mailbox { shared: Arc::new(Shared { letters: Mutex::default(), clock }) }
    }

    /// Hands over an event; after the scheduler has stopped it is dropped, and with it its reply.
    pub fn send(&self, event: Event) {
        let mut letters = self.shared.letters.lock().unwrap_or_else(PoisonError::into_inner);
        if !letters.closed {
            letters.events.push(event);
            drop(letters);
            self.shared.clock.nudge();
        }
    }

    /// Sends the event that `make` builds around a reply, and waits for the answer.
    pub async fn call<T>(&self, make: impl FnOnce(Reply<T>) -> Event) -> Result<T, SchedulerError> {
        let (reply, answer) = oneshot::channel();
        self.send(make(reply));
        answer.await.unwrap_or(Err(SchedulerError::Stopping))
    }

    /// Asks a question of the scheduler's state.
    pub async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(Now, &mut Core) -> Result<T, SchedulerError> + Send + 'static,
    ) -> Result<T, SchedulerError> {
        self.call(|reply| {
            Event::Ask(Box::new(move |now, core| {
                // An asker that went away needs no answer.
                let _ = reply.send(question(now, core));
            }))
        })
        .await
    }

    /// The events that came since the last call.
    pub fn take(&self) -> Vec<Event> {
        std::mem::take(&mut self.shared.letters.lock().unwrap_or_else(PoisonError::into_inner).events)
    }

    fn close(&self) {
        let mut letters = self.shared.letters.lock().unwrap_or_else(PoisonError::into_inner);
        letters.closed = true;
        letters.events.clear();
    }

    fn is_closed(&self) -> bool {
        self.shared.letters.lock().unwrap_or_else(PoisonError::into_inner).closed
    }
}

/// The thread that runs a core's steps.
pub struct Scheduler {
    mailbox: Mailbox,
    thread: Option<JoinHandle<()>>,
}

impl Scheduler {
    /// Errors: no thread can be had.
    pub fn start(mut core: Core, mailbox: Mailbox, clock: Arc<dyn Clock>) -> std::io::Result<Scheduler> {
        let inbox = mailbox.clone();
        let thread = std::thread::Builder::new().name("scheduler".to_owned()).spawn(move || {
            while !inbox.is_closed() {
                let again = core.step(clock.now(), inbox.take());
                if !again && !inbox.is_closed() {
                    clock.wait(core.next_wake_up());
                }
            }
        })?;
        Ok(Scheduler { mailbox, thread: Some(thread) })
    }

    /// Stops after the step in flight; what was not taken up is dropped, and its callers are told.
    pub fn stop(&mut self) {
        self.mailbox.close();
        self.mailbox.shared.clock.nudge();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("scheduler-panicked");
        }
    }
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Services for Mailbox {
    fn ended(&self, task: TaskId, end: End, usage: Usage) {
        self.send(Event::Ended { task, end, usage });
    }

    fn fuel_spent(&self, task: TaskId) {
        self.send(Event::FuelSpent { task });
    }

    fn progressed(&self, task: TaskId, progress: Progress) {
        self.send(Event::Progressed { task, progress });
    }

    fn titled(&self, task: TaskId, title: String, subtitle: String) {
        self.send(Event::Titled { task, title, subtitle });
    }

    fn submit(&self, asker: Asker, request: Request) -> BoxFuture<'static, Result<Submission, Refusal>> {
        let mailbox = self.clone();
        async move {
            let bundle = Some(bundle_of(asker));
            let key = None;
            mailbox.call(|reply| Event::Submit { bundle, request, key, reply }).await.map_err(as_refusal)
        }
        .boxed()
    }

    fn cancel(&self, asker: Asker, identifier: Option<Identifier>) -> BoxFuture<'static, ()> {
        let mailbox = self.clone();
        async move {
            let bundle = Some(bundle_of(asker));
            let cancel = |reply| Event::Cancel { bundle, identifier, cause: CancelCause::Bundle, reply };
            if let Err(error) = mailbox.call(cancel).await {
                tracing::warn!(%error, "cancel-not-recorded");
            }
        }
        .boxed()
    }

    fn pending(&self, asker: Asker) -> BoxFuture<'static, Vec<Request>> {
        let mailbox = self.clone();
        async move {
            let bundle = bundle_of(asker);
            let pending = mailbox.ask(move |_, core| core.pending_requests(&bundle, PENDING_SHOWN_TO_GUESTS)).await;
            pending.unwrap_or_else(|error| {
                tracing::warn!(%error, "pending-not-read");
                Vec::new()
            })
        }
        .boxed()
    }

    fn checkpoint(&self, task: TaskId) -> BoxFuture<'static, Option<Vec<u8>>> {
        let mailbox = self.clone();
        async move {
            mailbox.ask(move |_, core| core.checkpoint(task)).await.unwrap_or_else(|error| {
                tracing::warn!(%error, "checkpoint-not-read");
                None
            })
        }
        .boxed()
    }

    fn save_checkpoint(&self, task: TaskId, checkpoint: Vec<u8>) -> BoxFuture<'static, Result<(), String>> {
        let mailbox = self.clone();
        async move {
            let save = |reply| Event::SaveCheckpoint { task, checkpoint, reply };
            mailbox.call(save).await.map_err(|error| error.to_string())
        }
        .boxed()
    }
}

fn bundle_of(asker: Asker) -> BundleId {
    match asker {
        Asker::Task(_, bundle) | Asker::Activation(bundle) => bundle,
    }
}

/// What a guest is told: a store that cannot write is a scheduler that is not available.
fn as_refusal(error: SchedulerError) -> Refusal {
    match error {
        SchedulerError::Refused(refusal) => refusal,
        SchedulerError::Unknown(message) => Refusal { code: RefusalCode::NotPermitted, message },
        SchedulerError::Store(_) | SchedulerError::Stopping => {
            Refusal { code: RefusalCode::Unavailable, message: error.to_string() }
        }
    }
}

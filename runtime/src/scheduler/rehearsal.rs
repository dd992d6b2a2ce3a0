//! What a bundle's `activate` may ask of the scheduler: everything is answered now and done when the change is settled.

use futures_util::{FutureExt, future::BoxFuture};

use super::{Event, Mailbox, PENDING_SHOWN_TO_GUESTS, SchedulerError, as_refusal, bundle_of};
use crate::{
    engine::{Asker, Services},
    rules::*,
};

/// Serves an `activate` while its bundle is being changed. Nothing it asks for comes true unless the change does.
#[derive(Clone)]
pub struct Rehearsal(pub Mailbox);

impl Services for Rehearsal {
    /// No task runs in a rehearsal.
    fn ended(&self, _: TaskId, _: End, _: Usage) {}

    fn fuel_spent(&self, _: TaskId) {}

    fn progressed(&self, _: TaskId, _: Progress) {}

    fn titled(&self, _: TaskId, _: String, _: String) {}

    fn submit(&self, asker: Asker, request: Request) -> BoxFuture<'static, Result<Submission, Refusal>> {
        let mailbox = self.0.clone();
        async move {
            let bundle = bundle_of(asker);
            mailbox.call(|reply| Event::RehearseSubmit { bundle, request, reply }).await.map_err(as_refusal)
        }
        .boxed()
    }

    fn cancel(&self, asker: Asker, identifier: Option<Identifier>) -> BoxFuture<'static, ()> {
        let mailbox = self.0.clone();
        async move {
            let bundle = bundle_of(asker);
            if let Err(error) = mailbox.call(|reply| Event::RehearseCancel { bundle, identifier, reply }).await {
                tracing::warn!(%error, "cancel-not-recorded");
            }
        }
        .boxed()
    }

    fn pending(&self, asker: Asker) -> BoxFuture<'static, Vec<Request>> {
        let mailbox = self.0.clone();
        async move {
            let bundle = bundle_of(asker);
            let pending = mailbox.ask(move |_, core| core.rehearsed_requests(&bundle, PENDING_SHOWN_TO_GUESTS)).await;
            pending.unwrap_or_else(|error| {
                tracing::warn!(%error, "pending-not-read");
                Vec::new()
            })
        }
        .boxed()
    }

    fn checkpoint(&self, _: TaskId) -> BoxFuture<'static, Option<Vec<u8>>> {
        async { None }.boxed()
    }

    fn save_checkpoint(&self, task: TaskId, _: Vec<u8>) -> BoxFuture<'static, Result<(), String>> {
        let refused = SchedulerError::Unknown(format!("task {task} does not run")).to_string();
        async move { Err(refused) }.boxed()
    }
}

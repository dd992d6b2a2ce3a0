//! Waiting, without missing that the task is asked to stop.

use std::{future::Future, pin::pin, task::Poll, time::Duration};

use crate::{
    ExpirationReason, Task,
    host::{Host, Port},
};

impl Task {
    /// Returns when the task is asked to stop, at once if it already was. For the asynchronous world.
    pub async fn expired(&self) -> ExpirationReason {
        Host::expired().await
    }

    /// Awaits the work until the task is asked to stop: what the work came to, or the reason. Work that is not done by then is
    /// dropped where it stands; what it changed outside itself stays changed. For the asynchronous world.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use idlewild_guest::{Task, sleep};
    /// # async fn handler(task: Task) -> Result<&'static str, String> {
    /// match task.until_expired(sleep(Duration::from_secs(60))).await {
    ///     Ok(()) => Ok("a minute has passed"),
    ///     Err(reason) => Err(format!("stopped early: {reason}")),
    /// }
    /// # }
    /// ```
    pub async fn until_expired<T>(&self, work: impl Future<Output = T>) -> Result<T, ExpirationReason> {
        let (mut work, mut expired) = (pin!(work), pin!(self.expired()));
        std::future::poll_fn(|context| {
            // Work goes first: what is done when the end comes was done in time.
            if let Poll::Ready(done) = work.as_mut().poll(context) {
                return Poll::Ready(Ok(done));
            }
            expired.as_mut().poll(context).map(Err)
        })
        .await
    }

    /// Waits this long, or until the task is asked to stop, and then says why it was. For the synchronous world: it holds the
    /// whole component, as [`sleep`] does not.
    pub fn wait(&self, span: Duration) -> Option<ExpirationReason> {
        Host::wait(span);
        self.expiration()
    }
}

/// Returns once this much time has passed. For the asynchronous world.
pub async fn sleep(span: Duration) {
    Host::sleep(span).await;
}

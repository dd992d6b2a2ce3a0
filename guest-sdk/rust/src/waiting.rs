//! Waiting, without missing that the task is asked to stop.

use std::{future::Future, pin::pin, task::Poll, time::Duration};

use crate::{
    ExpirationReason, Task,
    bindings::imported::{
        idlewild::background_tasks::{expiration, expiration_poll},
        wasi::{clocks0_2_0::monotonic_clock as timers, clocks0_3_0::monotonic_clock as async_timers, io::poll::poll},
    },
};

impl Task {
    /// Returns when the task is asked to stop, at once if it already was. For the asynchronous world.
    pub async fn expired(&self) -> ExpirationReason {
        expiration::wait().await.into()
    }

    /// Awaits the work until the task is asked to stop: what the work came to, or the reason. Work that is not done by then is dropped
    /// where it stands; what it keeps outside itself is as it left it. For the asynchronous world.
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

    /// Waits this long, or until the task is asked to stop, and says why if it was. For the synchronous world.
    pub fn wait(&self, span: Duration) -> Option<ExpirationReason> {
        let (end, timer) = (expiration_poll::subscribe(), timers::subscribe_duration(to_nanoseconds(span)));
        poll(&[&end, &timer]);
        self.expiration()
    }
}

/// Returns once this much time has passed. For the asynchronous world.
pub async fn sleep(span: Duration) {
    async_timers::wait_for(to_nanoseconds(span)).await;
}

fn to_nanoseconds(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

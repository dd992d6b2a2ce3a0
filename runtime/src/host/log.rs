//! What a task writes to stdout and stderr: read, and followed as it grows.

use std::sync::Arc;

use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::{Happening, Host, HostError, What, settle::off_the_host};
use crate::rules::TaskId;

/// A task's log, followed until the task has ended.
pub struct GrowingLog {
    host: Host,
    task: TaskId,
    /// How much of it was read.
    read: u64,
    happenings: Receiver<Arc<Happening>>,
    ended: bool,
}

impl Host {
    /// What the task wrote to stdout and stderr so far, from that byte on. Errors: `NotFound`.
    pub async fn log(&self, task: TaskId, from: u64) -> Result<Vec<u8>, HostError> {
        self.task(task).await?;
        self.read_log(task, from).await
    }

    /// The same, and what it goes on to write. Errors: `NotFound`.
    pub async fn follow_log(&self, task: TaskId, from: u64) -> Result<GrowingLog, HostError> {
        // Heard from before it is asked: its end may come between.
        let happenings = self.happenings();
        let ended = self.task(task).await?.ended.is_some();
        Ok(GrowingLog { host: self.clone(), task, read: from, happenings, ended })
    }

    async fn read_log(&self, task: TaskId, from: u64) -> Result<Vec<u8>, HostError> {
        let state = self.inner.state.clone();
        let log = off_the_host(move || state.read_log(task, from)).await.flatten();
        log.map(Option::unwrap_or_default)
            .map_err(|error| HostError::Store(format!("the log of task {task} cannot be read: {error}")))
    }
}

impl GrowingLog {
    /// What was written since; none once the task has ended and all of it was read.
    pub async fn next(&mut self) -> Option<Result<Vec<u8>, HostError>> {
        loop {
            // What is written last is there before the end is told.
            let is_whole = self.ended;
            match self.host.read_log(self.task, self.read).await {
                Ok(bytes) if bytes.is_empty() && is_whole => return None,
                Ok(bytes) if bytes.is_empty() => self.pause().await,
                Ok(bytes) => {
                    self.read += bytes.len() as u64;
                    return Some(Ok(bytes));
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// Until it is time to look again, or the task has ended.
    async fn pause(&mut self) {
        let clock = &self.host.inner.clock;
        let mut again = clock.reach(clock.now().uptime + self.host.inner.log_every);
        while !self.ended {
            tokio::select! {
                () = &mut again => return,
                heard = self.happenings.recv() => match heard {
                    Ok(happening) => {
                        self.ended = matches!(&happening.what, What::Ended { task, .. } if *task == self.task);
                    }
                    Err(RecvError::Lagged(_)) => {
                        self.ended = !matches!(self.host.task(self.task).await, Ok(record) if record.ended.is_none());
                    }
                    Err(RecvError::Closed) => self.ended = true,
                },
            }
        }
    }
}

//! The port of a component: the contract's imports and WASI's.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use super::Port;
use crate::{
    ExpirationReason, Kind, Request, Submission, SubmitError,
    bindings::imported::{
        idlewild::background_tasks::{expiration, expiration_poll, scheduler, task, types},
        wasi::{clocks0_2_0::monotonic_clock as timers, clocks0_3_0::monotonic_clock as async_timers, io::poll::poll},
    },
};

pub(crate) struct Contract;

impl Port for Contract {
    #[allow(clippy::disallowed_methods, reason = "a guest's clock is the one its host gives it")]
    fn now() -> SystemTime {
        SystemTime::now()
    }

    fn submit(request: Request) -> Result<Submission, SubmitError> {
        match scheduler::submit(&request.into()) {
            Ok(types::Submission { request_id, replaced }) => Ok(Submission { request_id, replaced }),
            Err(types::SubmitError { code, message }) => Err(SubmitError { code: code.into(), message }),
        }
    }

    fn cancel(identifier: &str) {
        scheduler::cancel(identifier);
    }

    fn cancel_all() {
        scheduler::cancel_all();
    }

    fn pending() -> Vec<Request> {
        scheduler::pending_requests().into_iter().map(Into::into).collect()
    }

    fn supports_gpu() -> bool {
        scheduler::supported_resources().contains(types::Resources::GPU)
    }

    fn id() -> String {
        task::id()
    }

    fn kind() -> Kind {
        task::kind().into()
    }

    fn attempt() -> u32 {
        task::attempt()
    }

    fn time_remaining() -> Option<Duration> {
        task::time_remaining().map(Duration::from_millis)
    }

    fn fuel_remaining() -> u64 {
        task::fuel_remaining()
    }

    fn expiration() -> Option<ExpirationReason> {
        task::expiration().map(Into::into)
    }

    fn set_progress(completed: u64, total: u64) {
        task::set_progress(completed, total);
    }

    fn update_title(title: &str, subtitle: &str) {
        task::update_title(title, subtitle);
    }

    fn checkpoint() -> Option<Vec<u8>> {
        task::checkpoint()
    }

    fn save_checkpoint(checkpoint: &[u8]) -> Result<(), String> {
        task::save_checkpoint(checkpoint)
    }

    fn folder(name: &str) -> PathBuf {
        Path::new("/").join(name)
    }

    async fn expired() -> ExpirationReason {
        expiration::wait().await.into()
    }

    async fn sleep(span: Duration) {
        async_timers::wait_for(to_nanoseconds(span)).await;
    }

    fn wait(span: Duration) {
        let (end, timer) = (expiration_poll::subscribe(), timers::subscribe_duration(to_nanoseconds(span)));
        poll(&[&end, &timer]);
    }
}

fn to_nanoseconds(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

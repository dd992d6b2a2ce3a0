//! Registers what it should, and waits for its expiration where no task runs.

#![allow(unsafe_code, unused_qualifications, dead_code, reason = "generated")]

use exports::idlewild::background_tasks::{async_handler, registration};
use idlewild::background_tasks::expiration;

wit_bindgen::generate!({
    path: "../../wit",
    world: "async-background-app",
});

struct Misfit;

impl registration::Guest for Misfit {
    fn register() -> Vec<String> {
        ["test.misfits.work", "test.misfits.rest"].map(str::to_owned).to_vec()
    }

    fn activate() -> Result<(), String> {
        Err(format!("asked to stop: {:?}", wit_bindgen::block_on(expiration::wait())))
    }
}

impl async_handler::Guest for Misfit {
    async fn launch(_: String, _: Vec<u8>) -> Result<Vec<u8>, String> {
        Ok(Vec::new())
    }
}

#[cfg(target_family = "wasm")]
export!(Misfit);

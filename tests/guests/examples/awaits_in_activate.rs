//! Registers what it should, and awaits a timer in `activate`, which is no `async func`.

#![allow(unsafe_code, unused_qualifications, dead_code, reason = "generated")]

use exports::idlewild::background_tasks::{async_handler, registration};
use wasi::clocks::monotonic_clock;

wit_bindgen::generate!({
    path: ["../../wit", "awaiting"],
    world: "test:awaiting/awaiting",
    generate_all,
});

struct Misfit;

impl registration::Guest for Misfit {
    fn register() -> Vec<String> {
        ["test.misfits.work", "test.misfits.rest"].map(str::to_owned).to_vec()
    }

    fn activate() -> Result<(), String> {
        wit_bindgen::block_on(monotonic_clock::wait_for(1_000_000));
        Ok(())
    }
}

impl async_handler::Guest for Misfit {
    async fn launch(_: String, _: Vec<u8>) -> Result<Vec<u8>, String> {
        Ok(Vec::new())
    }
}

#[cfg(target_family = "wasm")]
export!(Misfit);

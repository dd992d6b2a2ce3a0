//! Exports a handler of either world.

#![allow(unsafe_code, unused_qualifications, dead_code, reason = "generated")]

use exports::idlewild::background_tasks::{async_handler, handler, registration};

wit_bindgen::generate!({
    path: "../../wit",
    inline: "
        package test:both;
        world misfit {
            include idlewild:background-tasks/background-app@0.1.0;
            include idlewild:background-tasks/async-background-app@0.1.0;
        }
    ",
    world: "test:both/misfit",
    generate_all,
});

struct Misfit;

impl registration::Guest for Misfit {
    fn register() -> Vec<String> {
        ["test.misfits.work", "test.misfits.rest"].map(str::to_owned).to_vec()
    }

    fn activate() -> Result<(), String> {
        Ok(())
    }
}

impl handler::Guest for Misfit {
    fn launch(_: String, _: Vec<u8>) -> Result<Vec<u8>, String> {
        Ok(Vec::new())
    }
}

impl async_handler::Guest for Misfit {
    async fn launch(_: String, _: Vec<u8>) -> Result<Vec<u8>, String> {
        Ok(Vec::new())
    }
}

#[cfg(target_family = "wasm")]
export!(Misfit);

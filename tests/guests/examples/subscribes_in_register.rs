//! Subscribes to its expiration where no task runs, and registers what it should.

#![allow(unsafe_code, unused_qualifications, dead_code, reason = "generated")]

use exports::idlewild::background_tasks::{handler, registration};
use idlewild::background_tasks::expiration_poll;

wit_bindgen::generate!({
    path: "../../wit",
    inline: "
        package test:subscribes;
        world misfit {
            import idlewild:background-tasks/expiration-poll@0.1.0;
            include idlewild:background-tasks/background-app@0.1.0;
        }
    ",
    world: "test:subscribes/misfit",
    generate_all,
});

struct Misfit;

impl registration::Guest for Misfit {
    fn register() -> Vec<String> {
        drop(expiration_poll::subscribe());
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

#[cfg(target_family = "wasm")]
export!(Misfit);

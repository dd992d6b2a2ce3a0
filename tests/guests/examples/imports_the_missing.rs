//! Imports an interface that no host offers.

#![allow(unsafe_code, unused_qualifications, dead_code, reason = "generated")]

wit_bindgen::generate!({
    path: "../../wit",
    inline: "
        package test:missing;
        interface thing { ask: func() -> u32; }
        world misfit {
            import thing;
            include idlewild:background-tasks/background-app@0.1.0;
        }
    ",
    world: "test:missing/misfit",
    generate_all,
});

struct Misfit;

impl exports::idlewild::background_tasks::registration::Guest for Misfit {
    fn register() -> Vec<String> {
        ["test.misfits.work", "test.misfits.rest"].map(str::to_owned).to_vec()
    }

    fn activate() -> Result<(), String> {
        Ok(())
    }
}

impl exports::idlewild::background_tasks::handler::Guest for Misfit {
    fn launch(_: String, _: Vec<u8>) -> Result<Vec<u8>, String> {
        Ok(test::missing::thing::ask().to_string().into_bytes())
    }
}

#[cfg(target_family = "wasm")]
export!(Misfit);

//! A component that fits the world's shape and does as it likes: the guest kit would not let it.

#![allow(unsafe_code, unreachable_pub, unused_qualifications, dead_code, reason = "generated")]

wit_bindgen::generate!({
    path: "../../wit",
    world: "background-app",
    default_bindings_module: "misfit",
});

/// Declares a misfit by what `register` and `activate` do. Launching one does nothing.
macro_rules! misfit {
    ($register:expr, $activate:expr) => {
        struct Misfit;

        impl misfit::exports::idlewild::background_tasks::registration::Guest for Misfit {
            fn register() -> Vec<String> {
                $register().into_iter().map(str::to_owned).collect()
            }

            fn activate() -> Result<(), String> {
                $activate()
            }
        }

        impl misfit::exports::idlewild::background_tasks::handler::Guest for Misfit {
            fn launch(_: String, _: Vec<u8>) -> Result<Vec<u8>, String> {
                Ok(Vec::new())
            }
        }

        #[cfg(target_family = "wasm")]
        #[allow(unsafe_code, reason = "generated")]
        const _: () = {
            misfit::export!(Misfit);
        };
    };
}
pub(crate) use misfit;

//! What the WIT says, as the generator writes it; the rest of the crate says it in Rust's way.

#![allow(unsafe_code, unreachable_pub, unused_qualifications, reason = "generated")]

wit_bindgen::generate!({
    path: "../../wit",
    world: "background-app",
    pub_export_macro: true,
    default_bindings_module: "idlewild_guest::bindings",
});

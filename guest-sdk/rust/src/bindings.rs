//! What the WIT says, as the generator writes it; the rest of the crate says it in Rust's way.

#![allow(unsafe_code, unreachable_pub, unused_qualifications, reason = "generated")]

/// All that a component may import. What it does not call, it does not import.
pub mod imported {
    wit_bindgen::generate!({
        path: ["../../wit", "wit"],
        world: "idlewild:guest-kit/imported",
        generate_all,
    });
}

/// What every bundle exports.
pub mod registered {
    wit_bindgen::generate!({
        path: ["../../wit", "wit"],
        world: "idlewild:guest-kit/registered",
        with: { "idlewild:background-tasks/types@0.1.0": crate::bindings::imported::idlewild::background_tasks::types },
        pub_export_macro: true,
        export_macro_name: "export_registered",
        default_bindings_module: "idlewild_guest::bindings::registered",
    });
}

/// The export of a bundle that works in order.
pub mod synchronous {
    wit_bindgen::generate!({
        path: ["../../wit", "wit"],
        world: "idlewild:guest-kit/synchronous",
        with: { "idlewild:background-tasks/types@0.1.0": crate::bindings::imported::idlewild::background_tasks::types },
        pub_export_macro: true,
        export_macro_name: "export_synchronous",
        default_bindings_module: "idlewild_guest::bindings::synchronous",
    });
}

/// The export of a bundle that awaits its work and its expiration together.
pub mod asynchronous {
    wit_bindgen::generate!({
        path: ["../../wit", "wit"],
        world: "idlewild:guest-kit/asynchronous",
        with: { "idlewild:background-tasks/types@0.1.0": crate::bindings::imported::idlewild::background_tasks::types },
        pub_export_macro: true,
        export_macro_name: "export_asynchronous",
        default_bindings_module: "idlewild_guest::bindings::asynchronous",
    });
}

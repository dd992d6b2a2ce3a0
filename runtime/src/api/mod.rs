//! The router: HTTP and JSON over [`Host`](crate::host::Host), the client every command speaks through, and the socket between them.
//! It sees the host and the rules' words, never the store or the engine.

mod client;
mod extract;
mod problem;
mod routes;
mod socket;
pub mod wire;

pub use axum::Router;

pub use client::{Client, ClientError};
pub use problem::Problem;
pub use routes::{Closing, events_from_start, router};
pub use socket::{listen_unix, serve_unix};

/// The longest body the router reads: the largest input, however it is written, fits many times over.
pub const BODY_LIMIT: usize = 1024 * 1024;

//! Idlewild, a headless host for background tasks written as WebAssembly components.
//!
//! The rules decide. The scheduler obeys. The rooms around it touch the world.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::disallowed_methods))]

pub mod api;
pub mod bundle;
pub mod cli;
pub mod clock;
pub mod conditions;
pub mod config;
pub mod daemon;
pub mod engine;
pub mod host;
pub mod rules;
pub mod scheduler;
pub mod spelling;
pub mod store;
pub mod zones;

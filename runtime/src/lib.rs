//! Idlewild, a headless host for background tasks written as WebAssembly components.
//!
//! The rules decide. The scheduler obeys. The rooms around it touch the world.

pub mod api;
pub mod bundle;
pub mod cli;
pub mod clock;
pub mod daemon;
pub mod engine;
pub mod host;
pub mod rules;

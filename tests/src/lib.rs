//! What the stories share: a scripted engine, a database that can fail and outlive its scheduler, and a host in a box.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

mod database;
mod engine;
mod world;

pub use database::SharedDatabase;
pub use engine::{Script, ScriptedEngine};
pub use world::*;

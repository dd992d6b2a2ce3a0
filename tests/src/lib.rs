//! What the stories share: a scripted engine, a database that can fail and outlive its scheduler, a host in a box, and the
//! real binary from outside.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

mod big;
mod binary;
mod children;
mod database;
mod engine;
mod host_process;
mod server;
mod world;

pub use big::grown;
pub use binary::{AT_EASE, Answer, Place, binary, built_bundle};
pub use children::{Child, StoppedChild, children};
pub use database::SharedDatabase;
pub use engine::{Script, ScriptedEngine, Told};
pub use host_process::{HostEnd, HostProcess, Signal};
pub use server::{Certificate, Server};
pub use world::*;

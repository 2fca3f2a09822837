//! The program as people and scripts use it.

use omni_tests::{loopback::Loopback, program::Program};

mod ask;
mod bad_input;
mod config;
mod policy;
mod schema;
mod tools;

fn omni() -> Program {
    Program::new(env!("CARGO_BIN_EXE_omni-under-test"))
}

/// A home whose configuration has one server, `db`, with more keys for it.
fn with_server(server: &Loopback, more: &str) -> Program {
    omni().with_file("mcps.yaml", &server.mcps(more))
}

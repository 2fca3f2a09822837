//! The HTTP door through a real socket.

mod bounds;
mod chat;
mod docs;
mod health;
mod identity;
mod local;
mod metrics;
mod program;
mod refusals;
mod spans;
mod stream;

/// Whoever the tests ask as.
const ADA: &str = "ada@company.com";

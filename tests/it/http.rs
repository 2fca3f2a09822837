//! The HTTP door through a real socket.

mod bounds;
mod browser;
mod chat;
mod docs;
mod document;
mod health;
mod identity;
mod instances;
mod local;
mod program;
mod refusals;
mod stream;

/// Whoever the tests ask as.
const ADA: &str = "ada@company.com";

//! The HTTP door through a real socket.

mod admin;
mod audit;
mod bounds;
mod browser;
mod chat;
mod docs;
mod document;
mod elicitation;
mod health;
mod identity;
mod instances;
mod keys;
mod lists;
mod local;
mod metrics;
mod mounted;
mod people;
mod pins;
mod program;
mod refusals;
mod results;
mod secrecy;
mod spans;
mod stream;
mod threads;
mod tools;

/// Whoever the tests ask as.
const ADA: &str = "ada@company.com";
/// Who may do everything.
const BOSS: &str = "boss@company.com";

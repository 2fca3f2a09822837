//! The terminal door of omni: what `omni ask` and its sister commands are made of.
//!
//! A command is a file in [`commands`]. The answer goes to standard output and everything else to
//! standard error; [`exit`] holds every exit code, [`render`] every form of an answer.
//! The environment, the arguments and the terminal are looked at once, by [`Process::capture`], and
//! are values from there on.

mod app;
mod approve;
pub mod args;
pub mod bootstrap;
pub mod commands;
mod console;
#[cfg(feature = "demo")]
mod demo;
mod elicit;
pub mod exit;
mod fault;
mod input;
pub mod logging;
pub mod registry;
pub mod render;
mod tty;
mod typed;

pub use app::App;
pub use args::Cli;
pub use exit::Exit;
pub use fault::Fault;
pub use logging::Logging;
pub use omni_core::config::Process;

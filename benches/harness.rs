//! `omni-bench`: the program `omni` in a process of its own, an upstream and a model that do next to nothing in others,
//! and a closed loop of requests from one thread. What is compared is measured in turns, within one run.
#![allow(clippy::print_stdout, reason = "tables are printed")]

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser as _;

use args::{Args, Command};

mod args;
mod asks;
mod calls;
mod child;
mod drive;
mod gates;
mod growth;
mod home;
mod list;
mod machine;
mod memory;
mod model;
mod report;
mod round;
mod run;
mod soak;
mod start;
mod stdio;
mod tokens;

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    match dispatch(&Args::parse()) {
        Ok(code) => code,
        Err(error) => {
            println!("omni-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(args: &Args) -> Result<ExitCode> {
    match &args.command {
        Some(Command::Upstream { bind }) => {
            crate::upstream::serve_with(bind, 1, crate::upstream::handle);
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Model) => {
            crate::upstream::serve_with("127.0.0.1:0", 1, model::handle);
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Stdio { .. }) => stdio::serve().map(|()| ExitCode::SUCCESS),
        Some(Command::Growth(options)) => on_one_thread(growth::run(args, options)),
        Some(Command::Tokens) => on_one_thread(tokens::run(args)),
        Some(Command::Soak(options)) => on_one_thread(soak::run(args, options)),
        None => on_one_thread(run::run(args)),
    }
}

/// The load has one thread: what is measured keeps the rest of the machine.
fn on_one_thread(work: impl Future<Output = Result<ExitCode>>) -> Result<ExitCode> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

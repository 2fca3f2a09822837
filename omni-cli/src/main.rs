//! `omni`: ask your MCP servers from a terminal.

use std::process::ExitCode;

use omni_cli::{App, Logging, Process, bootstrap, commands, registry};

/// A request makes hundreds of small values that live as long as it does.
#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    bootstrap::install_tls();
    let process = Process::capture();
    let cli = match bootstrap::arguments(&process) {
        Ok(cli) => cli,
        Err(exit) => return exit.into(),
    };
    let logging = Logging::start(&process, &cli);
    let app = App::new(process, cli.global.clone(), registry::registry()).with_logging(logging);
    bootstrap::run(commands::run(&app, &cli)).into()
}

//! `omni`: ask your MCP servers from a terminal.

use std::process::ExitCode;

use omni_cli::{App, Process, bootstrap, commands, registry};

fn main() -> ExitCode {
    bootstrap::install_tls();
    let process = Process::capture();
    let cli = match bootstrap::arguments(&process) {
        Ok(cli) => cli,
        Err(exit) => return exit.into(),
    };
    bootstrap::start_logging(&process, &cli);
    let app = App::new(process, cli.global.clone(), registry::registry());
    bootstrap::run(commands::run(&app, &cli)).into()
}

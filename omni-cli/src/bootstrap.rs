//! What happens before a command runs: TLS, arguments, logging, the runtime.

use std::{future::Future, time::Duration};

use clap::{Parser as _, error::ErrorKind};
use tracing_subscriber::EnvFilter;

use crate::{
    args::Cli,
    console::{self, Console},
    exit::Exit,
    fault::Fault,
    process::Process,
    render::{self, Format},
};

/// How long blocking reads of the terminal may hold up the end of the program.
const RUNTIME_GRACE: Duration = Duration::from_millis(100);

/// Makes ring the process's TLS provider. Must come before anything connects.
pub fn install_tls() {
    // An error means that there is one already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Reads the command line. Help, version and mistakes are printed here.
///
/// # Errors
/// The exit code, when there is nothing left to do.
pub fn arguments(process: &Process) -> Result<Cli, Exit> {
    Cli::try_parse_from(&process.args).map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // Nobody is left to tell when help cannot be printed.
            let _ = error.print();
            Exit::Success
        }
        _ => misused(process, &error),
    })
}

/// A mistake in the arguments: clap's text on standard error, and a document for whoever wants one.
fn misused(process: &Process, error: &clap::Error) -> Exit {
    let _ = error.print();
    let format = Format::guess(&process.args);
    if format != Format::Text {
        let console = Console::of(process, &Default::default());
        let text = error.render().to_string();
        let first = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        let is_ask = process.args.iter().skip(1).any(|arg| arg == "ask");
        let _ = render::fault_document(&console, &Fault::usage(first), format, is_ask);
    }
    Exit::Usage
}

/// Sends what omni logs to standard error: warnings, unless `-v`, `RUST_LOG` or `LOG_LEVEL` say otherwise.
pub fn start_logging(process: &Process, cli: &Cli) {
    let filter = EnvFilter::builder().parse_lossy(directives(process, cli));
    let color = console::wants_color(process, cli.global.color, process.stderr_tty);
    let verbose = cli.global.verbose > 0;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(color);
    // An error means that the embedding program has set up its own already.
    let _ = if verbose { log.try_init() } else { log.without_time().with_target(false).try_init() };
}

fn directives(process: &Process, cli: &Cli) -> String {
    match (cli.global.verbose, cli.global.quiet) {
        (1, _) => return "info,rmcp=warn".into(),
        (2, _) => return "debug,rmcp=info,hyper=info,h2=info,sqlx=info".into(),
        (3.., _) => return "trace".into(),
        (0, true) => return "error,rmcp=off".into(),
        (0, false) => {}
    }
    if let Some(directives) = process.var("RUST_LOG") {
        return directives.into();
    }
    let level = process.var("LOG_LEVEL").map(str::to_lowercase).unwrap_or_default();
    match level.as_str() {
        "debug" | "trace" => format!("{level},rmcp=info,hyper=info,h2=info,sqlx=info"),
        "info" => "info,rmcp=warn".into(),
        "error" | "critical" => "error,rmcp=off".into(),
        // What ails a server is part of what every command shows.
        _ => "warn,rmcp=off,omni_core::mcp=error".into(),
    }
}

/// Runs a command on a runtime of its own.
pub fn run(command: impl Future<Output = Exit>) -> Exit {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "the runtime cannot be started");
            return Exit::Failed;
        }
    };
    let exit = runtime.block_on(command);
    // A prompt that nobody answered still waits for a line, on a thread that cannot be cancelled.
    runtime.shutdown_timeout(RUNTIME_GRACE);
    exit
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(env: &[(&str, &str)], args: &[&str]) -> String {
        let mut process = Process::capture();
        process.env = env.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let cli = Cli::try_parse_from(["omni", "version"].iter().chain(args)).unwrap();
        directives(&process, &cli)
    }

    #[test]
    fn the_command_line_beats_the_environment() {
        assert!(level(&[], &[]).starts_with("warn"));
        assert_eq!(level(&[("RUST_LOG", "omni_core=debug")], &[]), "omni_core=debug");
        assert_eq!(level(&[("RUST_LOG", "trace")], &["-v"]), "info,rmcp=warn");
        assert_eq!(level(&[("LOG_LEVEL", "INFO")], &[]), "info,rmcp=warn");
        assert_eq!(level(&[("LOG_LEVEL", "INFO")], &["-q"]), "error,rmcp=off");
    }
}

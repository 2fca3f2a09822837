//! What happens before a command runs: TLS, arguments, the runtime.

use std::{ffi::OsString, future::Future, time::Duration};

use clap::{ColorChoice, CommandFactory as _, FromArgMatches as _, error::ErrorKind};

use crate::{
    Process,
    args::{Cli, words},
    console::Console,
    exit::Exit,
    fault::Fault,
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
    read(&process.args).map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // Nobody is left to tell when help cannot be printed.
            let _ = error.print();
            Exit::Success
        }
        _ => misused(process, &error),
    })
}

fn read(args: &[OsString]) -> Result<Cli, clap::Error> {
    let mut command = Cli::command().color(color(args));
    let mut matches = command.try_get_matches_from_mut(with_help(args))?;
    Cli::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

/// `omni help COMMAND` is `omni COMMAND --help`.
fn with_help(args: &[OsString]) -> Vec<OsString> {
    let Some(help) = words(args).next().filter(|word| *word == "help") else { return args.to_vec() };
    let mut others: Vec<OsString> = args.iter().filter(|arg| !std::ptr::eq(*arg, help)).cloned().collect();
    // Behind a `--` it would be a value.
    let end = others.iter().position(|arg| arg == "--").unwrap_or(others.len());
    others.insert(end, "--help".into());
    others
}

/// When help and mistakes use colours: they are printed before the arguments are understood as a whole.
fn color(args: &[OsString]) -> ColorChoice {
    let args: Vec<_> = args.iter().skip(1).take_while(|arg| *arg != "--").map(|arg| arg.to_string_lossy()).collect();
    let says = |wanted: &str| {
        args.windows(2).any(|pair| pair[0] == "--color" && pair[1] == wanted)
            || args.iter().any(|arg| arg.strip_prefix("--color=") == Some(wanted))
    };
    match () {
        () if says("never") => ColorChoice::Never,
        () if says("always") => ColorChoice::Always,
        () => ColorChoice::Auto,
    }
}

/// A mistake in the arguments: clap's text on standard error, and a document for whoever wants one.
fn misused(process: &Process, error: &clap::Error) -> Exit {
    let _ = error.print();
    let format = Format::guess(&process.args);
    if format != Format::Text {
        let console = Console::of(process, &Default::default());
        let is_ask = words(&process.args).next().is_some_and(|command| command == "ask");
        let _ = render::fault_document(&console, &Fault::usage(message(error)), format, is_ask);
    }
    Exit::Usage
}

/// What is wrong, on one line and without the usage.
fn message(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let is_advice = |line: &&str| line.starts_with("Usage:") || line.starts_with("For more information");
    let lines: Vec<&str> = text.lines().take_while(|line| !is_advice(line)).map(str::trim).collect();
    lines.join(" ").trim_start_matches("error: ").trim_end().split("  ").collect::<Vec<_>>().join("; ")
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

    fn told(args: &[&str]) -> String {
        message(&read(&line(args)).unwrap_err())
    }

    fn line(args: &[&str]) -> Vec<OsString> {
        ["omni"].iter().chain(args).map(OsString::from).collect()
    }

    #[test]
    fn help_and_mistakes_use_colours_when_the_arguments_say_so() {
        for (args, expected) in [
            (&["--color", "never", "ask"][..], ColorChoice::Never),
            (&["ask", "--color=never", "--josn"], ColorChoice::Never),
            (&["--color=always", "--help"], ColorChoice::Always),
            (&["--color", "auto"], ColorChoice::Auto),
            (&["ask", "--", "--color", "never"], ColorChoice::Auto),
            (&["--color"], ColorChoice::Auto),
        ] {
            assert_eq!(color(&line(args)), expected, "{args:?}");
        }
    }

    #[test]
    fn help_is_a_command_too() {
        let shown = |args: &[&str]| read(&line(args)).unwrap_err();
        assert_eq!(shown(&["help"]).to_string(), shown(&["--help"]).to_string());
        assert_eq!(shown(&["help", "audit", "list"]).to_string(), shown(&["audit", "list", "--help"]).to_string());
        assert_eq!(shown(&["help", "audti"]).kind(), ErrorKind::InvalidSubcommand);
        assert_eq!(shown(&["help", "audit", "--", "list"]).to_string(), shown(&["audit", "--help"]).to_string());
        assert!(read(&line(&["ask", "help"])).is_ok());
    }

    #[test]
    fn a_mistake_in_the_arguments_is_told_whole_and_without_the_usage() {
        let unknown = told(&["ask", "--josn", "hi"]);
        assert!(unknown.starts_with("unexpected argument '--josn' found") && unknown.contains("'--json'"), "{unknown}");
        let value = told(&["ask", "--timeout", "soon", "hi"]);
        assert!(value.contains("'--timeout <TIME>'") && value.contains("unknown unit"), "{value}");
        let both = told(&["ask", "--json", "--jsonl", "hi"]);
        assert!(both.contains("'--json'") && both.contains("'--jsonl'"), "{both}");
        assert!([unknown, value, both].iter().all(|told| !told.contains("Usage") && !told.contains("--help")));
    }
}

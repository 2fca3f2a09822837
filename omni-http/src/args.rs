//! The command line of the service.

use std::{
    io::{Write as _, stderr},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, ValueEnum};
use omni_core::{Error, ErrorKind, config::LogFormat};

/// Serves omni over HTTP.
#[derive(Debug, Parser)]
#[command(name = "omni-http", version)]
pub(crate) struct Args {
    /// Configuration directory
    #[arg(
        long,
        value_name = "DIR",
        help = "Configuration directory [default: $OMNI_CONFIG, ./config, ~/.config/omni]"
    )]
    pub(crate) config: Option<PathBuf>,
    /// Address to listen at [default: that of settings.yaml, or 127.0.0.1:8000]
    #[arg(long, value_name = "ADDR")]
    pub(crate) bind: Option<String>,
    /// How to log [default: that of settings.yaml, or console]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(crate) log_format: Option<Format>,
}

/// How to log.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Format {
    /// A JSON document a line.
    Json,
    /// For people.
    Console,
}

impl From<Format> for LogFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Json => Self::Json,
            Format::Console => Self::Console,
        }
    }
}

/// Tells why the service cannot run: the operator reads this, so nothing is kept back.
pub(crate) fn told(error: &Error) -> ExitCode {
    // Nobody is left to tell when standard error is closed.
    let _ = writeln!(stderr(), "error: {error}");
    ExitCode::from(if error.kind() == ErrorKind::Config { 3 } else { 1 })
}

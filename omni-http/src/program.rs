//! What programs have in common that serve from a configuration until they are asked to end: the arguments, the log, the
//! runtime, and how they say why they cannot.

use std::{
    fmt::Display,
    io::{Write as _, stderr},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, ValueEnum};
use omni_core::{
    Config, Error,
    config::{LoadOptions, LogFormat, Process},
};
use tokio::runtime::Runtime;

use crate::logging::{self, LogOptions, Logging};

/// What each of them takes.
#[derive(Debug, Args)]
pub struct Common {
    /// Configuration directory
    #[arg(
        long,
        value_name = "DIR",
        help = "Configuration directory [default: $OMNI_CONFIG, ./config, ~/.config/omni]"
    )]
    pub config: Option<PathBuf>,
    /// How to log [default: that of settings.yaml, or console]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub log_format: Option<Format>,
}

/// How to log.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Format {
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

impl Common {
    /// From where the configuration is loaded.
    #[must_use]
    pub fn load_options(&self, process: &Process) -> LoadOptions {
        let mut options = LoadOptions::new(process.env.clone(), &process.cwd).with_os_user(&process.os_user);
        options.dir.clone_from(&self.config);
        options
    }

    /// Starts the log: as `RUST_LOG` says, or the configuration, or at `level`.
    pub fn start_log(&self, process: &Process, config: &Config, level: Option<&str>) -> Logging {
        logging::start(&LogOptions {
            format: self.log_format.map(Into::into).or(config.log_format).unwrap_or(LogFormat::Console),
            directives: process.var("RUST_LOG"),
            level: config.log_level.as_deref().or(level),
            color: process.stderr_tty,
            env: &process.env,
        })
    }
}

/// Makes ring the process's TLS provider. Must come before anything connects.
pub fn install_tls() {
    // An error means that there is one already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The runtime of such a program.
///
/// # Errors
/// [`Error::Internal`] where it cannot be started.
pub fn runtime() -> Result<Runtime, Error> {
    Runtime::new().map_err(|error| Error::Internal { message: error.to_string() })
}

/// Tells why a program cannot run, and with which code it ends: 3 where configuration or credentials are not right. The
/// operator reads this, so nothing is kept back.
pub fn told(error: &impl Display, is_config: bool) -> ExitCode {
    // Nobody is left to tell when standard error is closed.
    let _ = writeln!(stderr(), "error: {error}");
    ExitCode::from(if is_config { 3 } else { 1 })
}

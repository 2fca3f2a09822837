//! `omni serve`.

use clap::{Args, ValueEnum};
use omni_core::config::LogFormat;

/// Serve omni over HTTP.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:\n  omni serve --bind 127.0.0.1:8000 --log-format json")]
pub struct ServeArgs {
    /// Address to listen at; port 0 takes a free one [default: that of settings.yaml, or 127.0.0.1:8000]
    #[arg(long, value_name = "ADDR")]
    pub bind: Option<String>,
    /// How to log [default: that of settings.yaml, or console]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub log_format: Option<LogForm>,
    /// Answer in Slack too
    #[cfg(feature = "slack")]
    #[arg(long)]
    pub slack: bool,
}

/// How to log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogForm {
    /// A JSON document a line.
    Json,
    /// For people.
    Console,
}

impl From<LogForm> for LogFormat {
    fn from(form: LogForm) -> Self {
        match form {
            LogForm::Json => Self::Json,
            LogForm::Console => Self::Console,
        }
    }
}

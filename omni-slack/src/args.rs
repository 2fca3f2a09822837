//! The command line of the bot.

use std::{
    io::{Write as _, stderr},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, ValueEnum};
use omni_core::config::LogFormat;
use omni_slack::BotError;

/// Answers in Slack.
#[derive(Debug, Parser)]
#[command(name = "omni-slack", version)]
pub(crate) struct Args {
    /// Configuration directory
    #[arg(
        long,
        value_name = "DIR",
        help = "Configuration directory [default: $OMNI_CONFIG, ./config, ~/.config/omni]"
    )]
    pub(crate) config: Option<PathBuf>,
    /// Try the bot in this terminal, without a workspace
    #[arg(long)]
    pub(crate) fake: bool,
    /// Try it as this user
    #[arg(short = 'u', long = "as", value_name = "EMAIL", requires = "fake")]
    pub(crate) act_as: Option<String>,
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

/// Tells why the bot cannot run: the operator reads this, so nothing is kept back.
pub(crate) fn told(error: &BotError) -> ExitCode {
    // Nobody is left to tell when standard error is closed.
    let _ = writeln!(stderr(), "error: {error}");
    ExitCode::from(if error.is_config() { 3 } else { 1 })
}

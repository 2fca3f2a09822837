//! `omni sessions`.

use clap::{Args, Subcommand, ValueEnum};

use crate::render::Format;

const EXAMPLES: &str = "\
Examples:
  omni ask --session incident-42 \"Which sessions block each other?\"
  omni ask -c \"And since when?\"
  omni sessions list
  omni sessions show incident-42
  omni sessions export incident-42 > incident-42.md
  omni sessions rm incident-42

Every question begins a session, unless it goes on with one (-c, --session) or says --no-session. A
session is kept for a day after it was used last; threading.yaml may say otherwise.";

/// What to do with sessions.
#[derive(Debug, Clone, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum SessionsCommand {
    /// List them, those that were used last first
    List(ListSessionsArgs),
    /// Show what was said
    Show(ShowSessionArgs),
    /// Forget them
    Rm(RemoveSessionsArgs),
    /// Write a session as Markdown or JSON
    Export(ExportSessionArgs),
}

impl SessionsCommand {
    /// In which form the result is wanted.
    #[must_use]
    pub fn format(&self) -> Format {
        Format::json_if(match self {
            Self::List(args) => args.json,
            Self::Show(args) => args.json,
            Self::Rm(args) => args.json,
            Self::Export(args) => args.format == SessionForm::Json,
        })
    }
}

/// List sessions.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:\n  omni sessions list --json")]
pub struct ListSessionsArgs {
    /// As this user
    #[arg(short = 'u', long = "as", value_name = "EMAIL")]
    pub act_as: Option<String>,
    /// Print a JSON document
    #[arg(long)]
    pub json: bool,
}

/// Show a session.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:\n  omni sessions show incident-42")]
pub struct ShowSessionArgs {
    /// Its name
    #[arg(value_name = "NAME")]
    pub session: String,
    /// As this user
    #[arg(short = 'u', long = "as", value_name = "EMAIL")]
    pub act_as: Option<String>,
    /// Print a JSON document
    #[arg(long)]
    pub json: bool,
}

/// Forget sessions.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:\n  omni sessions rm incident-42 incident-43")]
pub struct RemoveSessionsArgs {
    /// Their names
    #[arg(value_name = "NAME", required = true)]
    pub sessions: Vec<String>,
    /// As this user
    #[arg(short = 'u', long = "as", value_name = "EMAIL")]
    pub act_as: Option<String>,
    /// Print a JSON document
    #[arg(long)]
    pub json: bool,
}

/// Write a session.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  omni sessions export incident-42 > incident-42.md\n  omni sessions export incident-42 --format json"
)]
pub struct ExportSessionArgs {
    /// Its name
    #[arg(value_name = "NAME")]
    pub session: String,
    /// The form
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: SessionForm,
    /// As this user
    #[arg(short = 'u', long = "as", value_name = "EMAIL")]
    pub act_as: Option<String>,
}

/// The form of an exported session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum SessionForm {
    /// For people.
    #[default]
    Markdown,
    /// For programs.
    Json,
}

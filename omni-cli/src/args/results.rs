//! `omni results`.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::{Approvals, CallFormat, ask::duration};
use crate::render::Format;

const EXAMPLES: &str = "\
Examples:
  omni results list
  omni results show r_4k2m9qx7tz
  omni results export r_4k2m9qx7tz --csv > sessions.csv
  omni results again r_4k2m9qx7tz

What tools return to a question is kept for a day for whoever asked; `results` in settings.yaml may say otherwise.";

/// What to do with results.
#[derive(Debug, Clone, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum ResultsCommand {
    /// List them, the newest first
    List(ListResultsArgs),
    /// Show a page of one
    Show(ShowResultArgs),
    /// Write all of one, as text or as CSV
    Export(ExportResultArgs),
    /// Make its call again
    Again(AgainArgs),
}

impl ResultsCommand {
    /// In which form the result is wanted.
    #[must_use]
    pub fn format(&self) -> Format {
        Format::json_if(match self {
            Self::List(args) => args.json,
            Self::Show(args) => args.json,
            Self::Export(_) => false,
            Self::Again(args) => args.output == Some(CallFormat::Json),
        })
    }
}

/// List results.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  omni results list --json\n  omni results list --session incident-42")]
pub struct ListResultsArgs {
    /// Of this session only
    #[arg(long, value_name = "SESSION")]
    pub session: Option<String>,
    /// As this user
    #[arg(short = 'u', long = "as", value_name = "EMAIL")]
    pub act_as: Option<String>,
    /// Print a JSON document
    #[arg(long)]
    pub json: bool,
}

/// Show a page of a result.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  omni results show r_4k2m9qx7tz\n  omni results show r_4k2m9qx7tz --offset 16384")]
pub struct ShowResultArgs {
    /// Its id
    #[arg(value_name = "ID")]
    pub id: String,
    /// At which byte of its text to begin
    #[arg(long, default_value_t = 0, value_name = "BYTES")]
    pub offset: usize,
    /// Most bytes of its text
    #[arg(long, default_value_t = 16 * 1024, value_name = "BYTES")]
    pub limit: usize,
    /// As this user
    #[arg(short = 'u', long = "as", value_name = "EMAIL")]
    pub act_as: Option<String>,
    /// Print a JSON document
    #[arg(long)]
    pub json: bool,
}

/// Write a result.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:\n  omni results export r_4k2m9qx7tz --csv > sessions.csv")]
pub struct ExportResultArgs {
    /// Its id
    #[arg(value_name = "ID")]
    pub id: String,
    /// As comma-separated values, where it is a table; nothing that a spreadsheet takes for a formula
    #[arg(long)]
    pub csv: bool,
    /// As this user
    #[arg(short = 'u', long = "as", value_name = "EMAIL")]
    pub act_as: Option<String>,
}

/// Make a call again.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:\n  omni results again r_4k2m9qx7tz -o json")]
pub struct AgainArgs {
    /// The id of what it returned then
    #[arg(value_name = "ID")]
    pub id: String,
    /// Form of the output
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub output: Option<CallFormat>,
    /// As this user
    #[arg(short = 'u', long = "as", value_name = "EMAIL")]
    pub act_as: Option<String>,
    /// Give up after this long, such as 60s or 2m
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub timeout: Option<Duration>,
    /// Approvals.
    #[command(flatten)]
    pub approvals: Approvals,
}

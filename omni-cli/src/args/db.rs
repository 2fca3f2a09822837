//! `omni db`.

use clap::{Args, Subcommand};

use crate::render::Format;

/// What to do with the database.
#[derive(Debug, Clone, Subcommand)]
#[command(after_help = "Examples:\n  omni db status\n  omni db migrate\n  omni db prune --older-than 90")]
pub enum DbCommand {
    /// Bring the tables up to date; changes nothing where they are
    Migrate(MigrateArgs),
    /// Say how far the tables are; exits 1 when they are not up to date
    #[command(after_help = "Example:\n  omni db status --json")]
    Status {
        /// Print a JSON document
        #[arg(long)]
        json: bool,
    },
    /// Remove old records of the ledger, and leave a signed checkpoint in their place
    Prune(PruneArgs),
}

impl DbCommand {
    /// In which form the result is wanted.
    #[must_use]
    pub fn format(&self) -> Format {
        match self {
            Self::Status { json } => Format::json_if(*json),
            Self::Prune(args) => Format::json_if(args.json),
            Self::Migrate(_) => Format::Text,
        }
    }
}

/// Bring the tables up to date.
#[derive(Debug, Clone, Default, Args)]
#[command(after_help = "Examples:\n  omni db migrate\n  omni db migrate --print | psql omni")]
pub struct MigrateArgs {
    /// Print the SQL instead
    #[arg(long)]
    pub print: bool,
}

/// Remove old records of the ledger, and leave a signed checkpoint in their place.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  omni db prune --older-than 90\n  omni db prune --older-than 90 --yes")]
pub struct PruneArgs {
    /// Older than this
    #[arg(
        long,
        value_name = "DAYS",
        value_parser = clap::value_parser!(u32).range(1..),
        help = "Older than this [default: audit.retention_days of settings.yaml]"
    )]
    pub older_than: Option<u32>,
    /// Do not ask at the terminal whether it may go
    #[arg(short, long)]
    pub yes: bool,
    /// Print a JSON document
    #[arg(long)]
    pub json: bool,
}

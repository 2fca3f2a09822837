//! `omni config`, `omni doctor` and `omni init`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::render::Format;

/// What to do with the configuration.
#[derive(Debug, Clone, Subcommand)]
#[command(after_help = "Examples:\n  omni config check\n  omni config show")]
pub enum ConfigCommand {
    /// Check the files; exits 1 if something is wrong
    Check(CheckArgs),
    /// Print the JSON Schema of the files
    #[command(after_help = "Example:\n  omni config schema > omni-schemas.json")]
    Schema,
    /// Print what is in effect, secrets redacted
    #[command(after_help = "Example:\n  omni --config ./config config show")]
    Show,
}

impl ConfigCommand {
    /// In which form the result is wanted.
    #[must_use]
    pub fn format(&self) -> Format {
        match self {
            Self::Check(args) => Format::json_if(args.json),
            Self::Schema | Self::Show => Format::Json,
        }
    }
}

/// Check the files; exits 1 if something is wrong.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  omni config check\n  omni --config ./config config check --strict")]
pub struct CheckArgs {
    /// Treat warnings as errors
    #[arg(long)]
    pub strict: bool,
    /// Print a JSON document
    #[arg(long)]
    pub json: bool,
}

/// Check that everything works: ledger, servers, model.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Example:\n  omni doctor\n\nExits 0 when all is well and 1 when there are problems. Asks the model one tiny question."
)]
pub struct DoctorArgs {
    /// Print a JSON document
    #[arg(long)]
    pub json: bool,
}

/// Write a configuration to start from.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  omni init\n  omni init --dir /etc/omni --example team\n\nNever overwrites a file."
)]
pub struct InitArgs {
    /// Where to
    #[arg(long, default_value = "config")]
    pub dir: PathBuf,
    /// Which example
    #[arg(long, value_enum, default_value_t)]
    pub example: Example,
}

/// An example that this build carries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Example {
    /// One person, a model, one server.
    #[default]
    Minimal,
    /// A team: users, roles, limits, several servers.
    Team,
}

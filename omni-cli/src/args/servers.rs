//! `omni servers`.

use clap::Subcommand;

use crate::render::Format;

/// What to do with servers.
#[derive(Debug, Clone, Subcommand)]
pub enum ServersCommand {
    /// List the configured servers; connects to none
    #[command(after_help = "Example:\n  omni servers list --json")]
    List {
        /// Print a JSON document
        #[arg(long)]
        json: bool,
    },
    /// Connect to every server and list its tools; exits 1 if one does not answer
    #[command(after_help = "Examples:\n  omni servers check\n  omni servers check database_mcp")]
    Check {
        /// These servers only
        #[arg(value_name = "SERVER")]
        servers: Vec<String>,
        /// Print a JSON document
        #[arg(long)]
        json: bool,
    },
}

impl ServersCommand {
    /// In which form the result is wanted.
    #[must_use]
    pub fn format(&self) -> Format {
        match self {
            Self::List { json } | Self::Check { json, .. } => Format::json_if(*json),
        }
    }
}

//! `omni policy` and `omni validate-policy`.

#[cfg(feature = "sql")]
use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::render::Format;

/// What to do with the policy.
#[derive(Debug, Clone, Subcommand)]
#[command(after_help = "Examples:\n  omni policy explain --user dba@company.com")]
pub enum PolicyCommand {
    /// Say what a user may do, and which rule of which file decides
    Explain(ExplainArgs),
    #[cfg(feature = "sql")]
    /// Put what a users.yaml says into the database, in place of all that is there but who is kept out
    Import(ImportArgs),
    #[cfg(feature = "sql")]
    /// Write what the database says as a users.yaml
    Export(ExportPolicyArgs),
}

impl PolicyCommand {
    /// In which form the result is wanted.
    #[must_use]
    pub fn format(&self) -> Format {
        Format::json_if(match self {
            Self::Explain(args) => args.json,
            #[cfg(feature = "sql")]
            Self::Import(args) => args.json,
            #[cfg(feature = "sql")]
            Self::Export(args) => args.json,
        })
    }
}

#[cfg(feature = "sql")]
/// Put what a users.yaml says into the database.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:\n  omni policy import --from ./config")]
pub struct ImportArgs {
    /// The directory of the users.yaml
    #[arg(long, value_name = "DIR")]
    pub from: PathBuf,
    /// Let in whom `omni users disable` keeps out, where the file does not say so too
    #[arg(long)]
    pub replace: bool,
    /// Print a JSON document
    #[arg(long)]
    pub json: bool,
}

#[cfg(feature = "sql")]
/// Write what the database says as a users.yaml.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:\n  omni policy export --to ./exported")]
pub struct ExportPolicyArgs {
    /// The directory to write into; a users.yaml that is there is not touched
    #[arg(long, value_name = "DIR")]
    pub to: PathBuf,
    /// Print a JSON document
    #[arg(long)]
    pub json: bool,
}

const EXAMPLES: &str = "\
Examples:
  omni policy explain --user dba@company.com
  omni policy explain --user dba@company.com --server database_mcp --tool drop_table
  omni policy explain --user junior@company.com --server database_mcp --tool query --args '{\"database\": \"prod\"}' --json
  omni policy explain --user junior@company.com --server docs_mcp --resource file:///srv/docs/plan.md";

/// Say what a user may do, and which rule of which file decides.
///
/// Decided from the configuration alone: no server is asked.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct ExplainArgs {
    /// The user
    #[arg(short, long, value_name = "EMAIL")]
    pub user: String,
    /// At this server only
    #[arg(short, long)]
    pub server: Option<String>,
    /// This tool only
    #[arg(short, long, requires = "server")]
    pub tool: Option<String>,
    /// Arguments of the call, as a JSON object
    #[arg(long, value_name = "OBJECT", requires = "tool")]
    pub args: Option<String>,
    /// This prompt only
    #[arg(long, value_name = "NAME", requires = "server", conflicts_with_all = ["tool", "resource", "live"])]
    pub prompt: Option<String>,
    /// This resource only
    #[arg(long, value_name = "URI", requires = "server", conflicts_with_all = ["tool", "live"])]
    pub resource: Option<String>,
    /// Connect, and decide on what the servers have now
    #[arg(long)]
    pub live: bool,
    /// Print a JSON document
    #[arg(long)]
    pub json: bool,
}

/// What a user may do at a server.
#[derive(Debug, Clone, Args)]
pub struct ValidateArgs {
    /// The user
    #[arg(long, value_name = "EMAIL")]
    pub user: String,
    /// The server
    #[arg(long, value_name = "SERVER")]
    pub mcp: Option<String>,
    /// Connect, and decide on every tool that there is
    #[arg(long)]
    pub live: bool,
    /// Print a JSON document
    #[arg(long)]
    pub json: bool,
}

impl From<ValidateArgs> for ExplainArgs {
    fn from(args: ValidateArgs) -> Self {
        Self {
            user: args.user,
            server: args.mcp,
            tool: None,
            args: None,
            prompt: None,
            resource: None,
            live: args.live,
            json: args.json,
        }
    }
}

//! `omni tools`.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::{Approvals, ask::duration};
use crate::render::Format;

/// What to do with tools.
#[derive(Debug, Clone, Subcommand)]
#[command(after_help = "Examples:\n  omni tools list\n  omni tools call database_mcp.get_health --arg limit=5")]
pub enum ToolsCommand {
    /// List the tools you may use
    List(ListArgs),
    /// Show one tool and its arguments
    Show(ShowArgs),
    /// Call a tool yourself, without a model
    Call(CallArgs),
    /// List what tools are agreed to be, and which are kept back; connects to no server
    #[cfg(feature = "sql")]
    Pins(PinsArgs),
    /// Show what changed in a tool that is kept back
    #[cfg(feature = "sql")]
    Diff(DiffArgs),
    /// Agree to what a tool has become, so that it may be used again
    #[cfg(feature = "sql")]
    Approve(ApproveToolArgs),
}

impl ToolsCommand {
    /// In which form the result is wanted.
    #[must_use]
    pub fn format(&self) -> Format {
        match self {
            Self::List(args) => Format::json_if(args.json),
            Self::Show(args) => Format::json_if(args.json),
            Self::Call(args) => Format::json_if(args.output == Some(CallFormat::Json)),
            #[cfg(feature = "sql")]
            Self::Pins(args) => Format::json_if(args.json),
            #[cfg(feature = "sql")]
            Self::Diff(_) => Format::Text,
            #[cfg(feature = "sql")]
            Self::Approve(args) => Format::json_if(args.json),
        }
    }
}

/// List the tools you may use.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  omni tools list\n  omni tools list --as junior@company.com --server database_mcp")]
pub struct ListArgs {
    /// As this user
    #[arg(short = 'u', long = "as", value_name = "EMAIL")]
    pub act_as: Option<String>,
    /// Of this server only
    #[arg(short, long)]
    pub server: Option<String>,
    /// Print a JSON document
    #[arg(long)]
    pub json: bool,
}

impl ListArgs {
    /// What somebody may use, of one server or of all.
    #[must_use]
    pub fn new(server: Option<String>, act_as: Option<String>) -> Self {
        Self { server, act_as, json: false }
    }
}

/// Show one tool and its arguments.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:\n  omni tools show database_mcp.get_health")]
pub struct ShowArgs {
    /// The tool
    #[arg(value_name = "SERVER.TOOL")]
    pub tool: String,
    /// As this user
    #[arg(short = 'u', long = "as", value_name = "EMAIL")]
    pub act_as: Option<String>,
    /// Print a JSON document
    #[arg(long)]
    pub json: bool,
}

const CALL_EXAMPLES: &str = "\
Examples:
  omni tools call database_mcp.get_health --arg database=way4_docker7
  omni tools call everything.get-sum --json '{\"a\": 2, \"b\": 3}'
  omni tools call github_mcp.search --arg query=rust -o json";

/// Call a tool yourself, without a model.
#[derive(Debug, Clone, Args)]
#[command(after_help = CALL_EXAMPLES)]
pub struct CallArgs {
    /// The tool
    #[arg(value_name = "SERVER.TOOL")]
    pub tool: String,
    /// An argument, typed by the tool's schema; may be repeated
    #[arg(long = "arg", value_name = "KEY=VALUE", value_parser = pair)]
    pub args: Vec<(String, String)>,
    /// All arguments as a JSON object
    #[arg(long, value_name = "OBJECT")]
    pub json: Option<String>,
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

/// The form of a tool's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CallFormat {
    /// What a person reads.
    Text,
    /// One JSON document.
    Json,
}

/// List what tools are agreed to be.
#[cfg(feature = "sql")]
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  omni tools pins\n  omni tools pins --server database_mcp --held")]
pub struct PinsArgs {
    /// Of this server only
    #[arg(short, long)]
    pub server: Option<String>,
    /// Only those that are kept back
    #[arg(long)]
    pub held: bool,
    /// Print a JSON document, with the definitions
    #[arg(long)]
    pub json: bool,
}

/// Show what changed in a tool that is kept back.
#[cfg(feature = "sql")]
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:\n  omni tools diff database_mcp get_health")]
pub struct DiffArgs {
    /// The server
    pub server: String,
    /// The tool
    pub tool: String,
}

/// Agree to what a tool has become.
#[cfg(feature = "sql")]
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  omni tools approve database_mcp get_health\n  omni tools approve --all database_mcp"
)]
pub struct ApproveToolArgs {
    /// The server
    pub server: String,
    /// The tool
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub tool: Option<String>,
    /// All tools of the server that are kept back
    #[arg(long)]
    pub all: bool,
    /// Only if this is what the tool has become: the digest, or its beginning
    #[arg(long, conflicts_with = "all")]
    pub digest: Option<String>,
    /// Print a JSON document
    #[arg(long)]
    pub json: bool,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.into(), value.into())),
        Some(_) | None => Err("expected KEY=VALUE".into()),
    }
}

//! `omni tools`.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::{Approvals, ask::duration};
use crate::render::Format;

/// What to do with tools.
#[derive(Debug, Clone, Subcommand)]
pub enum ToolsCommand {
    /// List the tools you may use
    List(ListArgs),
    /// Show one tool and its arguments
    Show(ShowArgs),
    /// Call a tool yourself, without a model
    Call(CallArgs),
}

impl ToolsCommand {
    /// In which form the result is wanted.
    #[must_use]
    pub fn format(&self) -> Format {
        match self {
            Self::List(args) => Format::json_if(args.json),
            Self::Show(args) => Format::json_if(args.json),
            Self::Call(args) => Format::json_if(args.output == Some(CallFormat::Json)),
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

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.into(), value.into())),
        Some(_) | None => Err("expected KEY=VALUE".into()),
    }
}

//! `omni mcp`.

use clap::Args;
#[cfg(feature = "analytics")]
use clap::Subcommand;

const EXAMPLES: &str = "\
Examples:
  omni mcp                     what an MCP client runs as its server
  omni mcp --as dba@company.com
  omni mcp analytics           omni's own history as a server
  omni mcp analytics --http 127.0.0.1:8302

In the configuration of Claude Desktop or Cursor:
  { \"mcpServers\": { \"omni\": { \"command\": \"omni\", \"args\": [\"mcp\", \"--config\", \"/etc/omni\"] } } }

The protocol is on standard input and output; whatever else there is to say is on standard error.";

/// Serve MCP on standard input and output.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct McpArgs {
    /// Serve this user
    #[arg(short = 'u', long = "as", value_name = "EMAIL")]
    pub act_as: Option<String>,
    /// One server alone, in place of all
    #[cfg(feature = "analytics")]
    #[command(subcommand)]
    pub server: Option<McpServer>,
}

/// A server of omni's own.
#[cfg(feature = "analytics")]
#[derive(Debug, Clone, Subcommand)]
pub enum McpServer {
    /// The analytics server: costs, errors, users, tools and latency of what was asked
    Analytics(AnalyticsArgs),
}

/// Where the analytics server is.
#[cfg(feature = "analytics")]
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:\n  omni mcp analytics --as dba@company.com")]
pub struct AnalyticsArgs {
    /// Serve streamable HTTP at /mcp there, for whoever has an API key
    #[cfg(feature = "serve")]
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = "127.0.0.1:8302")]
    pub http: Option<String>,
    /// Serve this user
    #[arg(short = 'u', long = "as", value_name = "EMAIL")]
    pub act_as: Option<String>,
}

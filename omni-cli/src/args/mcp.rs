//! `omni mcp`.

use clap::Args;

const EXAMPLES: &str = "\
Examples:
  omni mcp                     what an MCP client runs as its server
  omni mcp --as dba@company.com

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
}

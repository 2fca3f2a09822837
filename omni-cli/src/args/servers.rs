//! `omni servers`.

use clap::Subcommand;

use crate::render::Format;

/// What to do with servers.
#[derive(Debug, Clone, Subcommand)]
#[command(after_help = "Examples:\n  omni servers list\n  omni servers check database_mcp")]
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
    /// Log in to a server with a browser; omni keeps the tokens, encrypted, and renews them
    #[cfg(feature = "mcp-oauth")]
    #[command(after_help = "Examples:\n  omni servers login github_mcp\n  \
        omni servers login github_mcp --scope repo --no-browser")]
    Login(LoginArgs),
    /// Forget the tokens of a login, and have them taken back where that can be
    #[cfg(feature = "mcp-oauth")]
    #[command(after_help = "Example:\n  omni servers logout github_mcp")]
    Logout {
        /// The server
        server: String,
    },
}

/// How to log in to a server.
#[cfg(feature = "mcp-oauth")]
#[derive(Debug, Clone, clap::Args)]
pub struct LoginArgs {
    /// The server
    pub server: String,
    /// Ask for this too, beside what the server asks for
    #[arg(long = "scope", value_name = "SCOPE")]
    pub scopes: Vec<String>,
    /// Print the address of the login, and open no browser
    #[arg(long)]
    pub no_browser: bool,
    /// How long to wait for the browser
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub timeout: u64,
}

impl ServersCommand {
    /// In which form the result is wanted.
    #[must_use]
    pub fn format(&self) -> Format {
        match self {
            Self::List { json } | Self::Check { json, .. } => Format::json_if(*json),
            #[cfg(feature = "mcp-oauth")]
            Self::Login(_) | Self::Logout { .. } => Format::json_if(false),
        }
    }
}

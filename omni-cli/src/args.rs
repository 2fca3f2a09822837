//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

#[cfg(feature = "sql")]
mod approvals;
mod ask;
mod audit;
mod chat;
mod config;
#[cfg(feature = "sql")]
mod db;
#[cfg(feature = "sql")]
mod feedback;
#[cfg(feature = "serve")]
mod health;
#[cfg(feature = "sql")]
mod keys;
mod mcp;
mod policy;
#[cfg(feature = "sql")]
mod results;
#[cfg(feature = "serve")]
mod serve;
mod servers;
#[cfg(feature = "sql")]
mod sessions;
#[cfg(feature = "slack")]
mod slack;
mod tools;
#[cfg(feature = "sql")]
mod users;
mod words;

#[cfg(feature = "sql")]
pub use approvals::{ApprovalsCommand, ApproveCallArgs, DenyCallArgs, ListApprovalsArgs, ShowApprovalArgs};
pub use ask::{Approvals, ApproveMode, AskArgs};
pub use audit::{
    AuditCommand, ExportArgs, ExportFormat, FilterArgs, KeyArgs, ListLogsArgs, StatsArgs, TailArgs, VerifyArgs,
};
pub use chat::ChatArgs;
pub use config::{CheckArgs, ConfigCommand, DoctorArgs, Example, InitArgs};
#[cfg(feature = "sql")]
pub use db::{DbCommand, MigrateArgs, PruneArgs};
#[cfg(feature = "sql")]
pub use feedback::{FeedbackArgs, Thumb};
#[cfg(feature = "serve")]
pub use health::HealthArgs;
#[cfg(feature = "sql")]
pub use keys::{CreateKeyArgs, KeysCommand, ListKeysArgs, RevokeKeyArgs};
pub use mcp::McpArgs;
#[cfg(feature = "analytics")]
pub use mcp::{AnalyticsArgs, McpServer};
pub use policy::{ExplainArgs, PolicyCommand, ValidateArgs};
#[cfg(feature = "sql")]
pub use policy::{ExportPolicyArgs, ImportArgs};
#[cfg(feature = "sql")]
pub use results::{AgainArgs, ExportResultArgs, ListResultsArgs, ResultsCommand, ShowResultArgs};
#[cfg(feature = "serve")]
pub use serve::{LogForm, ServeArgs};
#[cfg(feature = "mcp-oauth")]
pub use servers::LoginArgs;
pub use servers::ServersCommand;
#[cfg(feature = "sql")]
pub use sessions::{
    ExportSessionArgs, ListSessionsArgs, RemoveSessionsArgs, SessionForm, SessionsCommand, ShowSessionArgs,
};
#[cfg(feature = "slack")]
pub use slack::{SlackArgs, SlackCommand};
#[cfg(feature = "sql")]
pub use tools::{ApproveToolArgs, DiffArgs, PinsArgs};
pub use tools::{CallArgs, CallFormat, ListArgs, ShowArgs, ToolsCommand};
#[cfg(feature = "sql")]
pub use users::{AddUserArgs, ApproveUserArgs, DisableArgs, JsonArgs, UserArgs, UsersCommand};
pub(crate) use words::words;

use crate::render::Format;

const EXIT_CODES: &str = "\
Exit codes:
  0 answered          1 failed             2 wrong usage        3 configuration or credentials
  4 input needed      5 denied             6 rate or budget     7 timeout or turn limit
  8 upstream is away (try again)         130 interrupted

Without any configuration omni works offline; set ANTHROPIC_API_KEY or OPENAI_API_KEY for a model.";

const CONFIG_HELP: &str = "Configuration directory [default: $OMNI_CONFIG, ./config, ~/.config/omni]";

/// Ask your MCP servers in plain language.
#[derive(Debug, Parser)]
#[command(name = "omni", bin_name = "omni", version, after_help = EXIT_CODES, propagate_version = true)]
#[command(disable_help_subcommand = true, arg_required_else_help = true)]
pub struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, Default, Args)]
pub struct Global {
    /// Configuration directory
    #[arg(long, global = true, value_name = "DIR", help = CONFIG_HELP)]
    pub config: Option<PathBuf>,
    /// When to use colours
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub color: ColorChoice,
    /// Try everything on a made-up month and sample databases, which are thrown away afterwards
    #[cfg(feature = "demo")]
    #[arg(long, global = true, conflicts_with = "config")]
    pub demo: bool,
    /// Say only the answer and errors
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Log more; twice for debugging
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless the environment says otherwise.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// A command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Ask one question
    Ask(AskArgs),
    /// Talk: question after question in one session
    Chat(ChatArgs),
    #[cfg(feature = "sql")]
    /// List, show, forget or export conversations
    #[command(subcommand)]
    Sessions(SessionsCommand),
    #[cfg(feature = "sql")]
    /// Read on in what tools returned, export it, or call again
    #[command(subcommand)]
    Results(ResultsCommand),
    #[cfg(feature = "sql")]
    /// Say whether an answer was of use
    Feedback(FeedbackArgs),
    #[cfg(feature = "sql")]
    /// List, approve or deny calls that wait for somebody's agreement
    #[command(subcommand)]
    Approvals(ApprovalsCommand),
    /// List, show, call or approve tools
    #[command(subcommand)]
    Tools(ToolsCommand),
    /// List or check servers
    #[command(subcommand)]
    Servers(ServersCommand),
    /// Explain who may do what
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// What a user may do at a server
    #[command(hide = true)]
    ValidatePolicy(ValidateArgs),
    #[cfg(feature = "sql")]
    /// Add, list, disable or approve people
    #[command(subcommand)]
    Users(UsersCommand),
    #[cfg(feature = "sql")]
    /// Give somebody a role
    #[command(hide = true)]
    AddUser(AddUserArgs),
    #[cfg(feature = "sql")]
    /// Make, list or take back API keys
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Read the ledger: who asked what, what it cost, and whether anybody changed it
    #[command(subcommand)]
    Audit(AuditCommand),
    #[cfg(feature = "sql")]
    /// Bring the database up to date, or remove what is old
    #[command(subcommand)]
    Db(DbCommand),
    #[cfg(feature = "sql")]
    /// Bring the database up to date
    #[command(hide = true)]
    InitDb(MigrateArgs),
    #[cfg(feature = "serve")]
    /// Serve omni over HTTP
    Serve(ServeArgs),
    #[cfg(feature = "serve")]
    /// Ask a running service whether it takes questions
    Health(HealthArgs),
    #[cfg(feature = "slack")]
    /// Answer in Slack
    Slack(SlackArgs),
    /// Serve omni to an MCP client, on standard input and output
    Mcp(McpArgs),
    /// Check, show or describe the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Check that everything works: ledger, servers, model
    Doctor(DoctorArgs),
    /// Write a configuration to start from
    Init(InitArgs),
    /// Print a completion script for a shell
    #[command(after_help = "Example:\n  omni completions bash > ~/.local/share/bash-completion/completions/omni")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write those of all commands
    #[command(after_help = "Examples:\n  omni man | man -l -\n  omni man --dir ~/.local/share/man/man1")]
    Man {
        /// Write a page for every command to this directory
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
    /// Print the version and what this build has
    #[command(after_help = "Example:\n  omni version --json")]
    Version {
        /// Print a JSON document
        #[arg(long)]
        json: bool,
    },
}

impl Command {
    /// Whether it serves others over the network, and so has a service's log.
    #[cfg(feature = "serve")]
    #[must_use]
    pub fn is_service(&self) -> bool {
        match self {
            Self::Serve(_) => true,
            #[cfg(feature = "slack")]
            Self::Slack(args) => args.command.is_none() && !args.fake,
            #[cfg(feature = "analytics")]
            Self::Mcp(args) => matches!(&args.server, Some(McpServer::Analytics(own)) if own.http.is_some()),
            _ => false,
        }
    }

    /// In which form the command's result is wanted.
    #[must_use]
    pub fn format(&self) -> Format {
        match self {
            Self::Ask(args) => args.format(),
            #[cfg(feature = "sql")]
            Self::Sessions(command) => command.format(),
            #[cfg(feature = "sql")]
            Self::Results(command) => command.format(),
            #[cfg(feature = "sql")]
            Self::Approvals(command) => command.format(),
            Self::Tools(command) => command.format(),
            Self::Servers(command) => command.format(),
            Self::Policy(command) => command.format(),
            #[cfg(feature = "sql")]
            Self::Users(command) => command.format(),
            #[cfg(feature = "sql")]
            Self::AddUser(args) => Format::json_if(args.json),
            #[cfg(feature = "sql")]
            Self::Keys(command) => command.format(),
            Self::ValidatePolicy(args) => Format::json_if(args.json),
            Self::Audit(command) => command.format(),
            #[cfg(feature = "sql")]
            Self::Db(command) => command.format(),
            Self::Config(command) => command.format(),
            Self::Doctor(args) => Format::json_if(args.json),
            Self::Version { json } => Format::json_if(*json),
            #[cfg(feature = "sql")]
            Self::InitDb(_) | Self::Feedback(_) => Format::Text,
            #[cfg(feature = "serve")]
            Self::Serve(_) | Self::Health(_) => Format::Text,
            #[cfg(feature = "slack")]
            Self::Slack(_) => Format::Text,
            Self::Chat(_) | Self::Mcp(_) | Self::Init(_) | Self::Completions { .. } | Self::Man { .. } => Format::Text,
        }
    }
}

#[cfg(test)]
mod tests;

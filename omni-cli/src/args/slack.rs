//! `omni slack`.

use clap::{Args, Subcommand};

use super::LogForm;

/// Answer in Slack.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  omni slack manifest > manifest.json\n  omni slack --log-format json\n  omni --demo slack --fake"
)]
pub struct SlackArgs {
    /// How to log [default: that of settings.yaml, or console]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub log_format: Option<LogForm>,
    /// Try the bot in this terminal, without a workspace
    #[arg(long)]
    pub fake: bool,
    /// Try it as this user
    #[arg(short = 'u', long = "as", value_name = "EMAIL", requires = "fake")]
    pub act_as: Option<String>,
    /// Something else than to answer.
    #[command(subcommand)]
    pub command: Option<SlackCommand>,
}

/// What there is to do beside answering.
#[derive(Debug, Clone, Subcommand)]
pub enum SlackCommand {
    /// Print the manifest of the app that this bot needs
    #[command(after_help = "Example:\n  omni slack manifest --http https://omni.company.com")]
    Manifest {
        /// Have Slack post to this address instead of Socket Mode
        #[arg(long, value_name = "URL")]
        http: Option<String>,
    },
}

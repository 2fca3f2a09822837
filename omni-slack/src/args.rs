//! The command line of the bot.

use clap::Parser;
use omni_http::program::Common;

/// Answers in Slack.
#[derive(Debug, Parser)]
#[command(name = "omni-slack", version)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Try the bot in this terminal, without a workspace
    #[arg(long)]
    pub(crate) fake: bool,
    /// Try it as this user
    #[arg(short = 'u', long = "as", value_name = "EMAIL", requires = "fake")]
    pub(crate) act_as: Option<String>,
}

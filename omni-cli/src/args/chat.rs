//! `omni chat`.

use std::time::Duration;

use clap::Args;

use super::ask::{Approvals, dollars, duration};

const EXAMPLES: &str = "\
Examples:
  omni chat
  omni chat --resume
  omni chat --resume=incident-42 -m haiku

In the chat, /help lists the commands. Ctrl-C ends the answer that is coming; Ctrl-D, or Ctrl-C twice,
ends the chat. What was typed before is at the up arrow.";

/// Talk: question after question in one session.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct ChatArgs {
    /// Go on with the session that was used last, or with this one
    #[arg(long, value_name = "SESSION", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub resume: Option<String>,
    /// Ask as this user
    #[arg(short = 'u', long = "as", value_name = "EMAIL")]
    pub act_as: Option<String>,
    /// Model id, or haiku, sonnet, opus
    #[arg(short, long)]
    pub model: Option<String>,
    /// Give an answer up after this long, such as 60s or 2m
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub timeout: Option<Duration>,
    /// Stop an answer before it costs more
    #[arg(long, value_name = "USD", value_parser = dollars)]
    pub max_cost: Option<f64>,
    /// Approvals.
    #[command(flatten)]
    pub approvals: Approvals,
}

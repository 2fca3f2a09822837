//! `omni ask`.

use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::render::Format;

const EXAMPLES: &str = "\
Examples:
  omni ask \"Is the database healthy?\"
  omni ask --as dba@company.com -m haiku Which queries are slow
  cat error.log | omni ask \"What went wrong here?\"
  omni ask -c \"And since when?\"
  omni ask --session incident-42 \"Which sessions block each other?\"
  omni ask --json \"List the open pull requests\" | jq -r .answer
  omni ask --dry-run \"What would you use?\"";

/// Ask one question.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct AskArgs {
    /// The question; `-` reads it from standard input
    #[arg(value_name = "QUESTION")]
    pub question: Vec<String>,
    /// Ask as this user
    #[arg(short = 'u', long = "as", value_name = "EMAIL")]
    pub act_as: Option<String>,
    /// Model id, or haiku, sonnet, opus
    #[arg(short, long)]
    pub model: Option<String>,
    /// Go on with the session that was used last
    #[arg(short = 'c', long = "continue", conflicts_with_all = ["session", "no_session"])]
    pub go_on: bool,
    /// Go on with this session, or begin it
    #[arg(long, value_name = "NAME", conflicts_with = "no_session")]
    pub session: Option<String>,
    /// Keep nothing for later questions
    #[arg(long)]
    pub no_session: bool,
    /// Form of the output
    #[arg(short, long, value_enum, value_name = "FORMAT", conflicts_with_all = ["json", "jsonl"])]
    output: Option<Format>,
    /// Print one JSON document (schema omni.ask/1), also on failure
    #[arg(long, conflicts_with = "jsonl")]
    json: bool,
    /// Print one JSON event per line, as they happen
    #[arg(long)]
    jsonl: bool,
    /// Show model, tools and prompt; ask nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Offer no tools
    #[arg(long)]
    pub no_tools: bool,
    /// Give up after this long, such as 60s or 2m
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub timeout: Option<Duration>,
    /// Stop before it costs more
    #[arg(long, value_name = "USD", value_parser = dollars)]
    pub max_cost: Option<f64>,
    /// Most model turns
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_iterations: Option<u32>,
    /// Print the answer when it is complete
    #[arg(long)]
    pub no_stream: bool,
    /// Exit 0 also when a call was denied
    #[arg(long)]
    pub allow_denied: bool,
    /// Approvals.
    #[command(flatten)]
    pub approvals: Approvals,
}

impl AskArgs {
    /// In which form the answer is wanted.
    #[must_use]
    pub fn format(&self) -> Format {
        match (self.output, self.json, self.jsonl) {
            (Some(format), ..) => format,
            (None, true, _) => Format::Json,
            (None, _, true) => Format::Jsonl,
            (None, false, false) => Format::Text,
        }
    }
}

/// Who approves calls that need a human.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct Approvals {
    /// How to decide on calls that need approval
    #[arg(long = "approve", value_enum, default_value_t, value_name = "MODE")]
    mode: ApproveMode,
    /// Approve such calls (same as --approve auto)
    #[arg(short, long, conflicts_with = "mode")]
    yes: bool,
}

impl Approvals {
    /// The mode that both options say together.
    #[must_use]
    pub fn mode(self) -> ApproveMode {
        if self.yes { ApproveMode::Auto } else { self.mode }
    }
}

/// How calls that need approval are decided. None of them lifts a denial by policy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ApproveMode {
    /// Ask at the terminal; without one, decline.
    #[default]
    Ask,
    /// Decline.
    Never,
    /// Approve.
    Auto,
}

/// Time as people write it: `500ms`, `60s`, `2m`, `1h`, plain seconds.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let scale = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("unknown unit {unit:?}; use ms, s, m or h")),
    };
    let seconds: f64 = number.parse().map_err(|_| "expected a time such as 500ms, 60s or 2m".to_owned())?;
    let time = Duration::try_from_secs_f64(seconds * scale).map_err(|_| "that is too long".to_owned())?;
    if time.is_zero() { Err("it must be more than nothing".into()) } else { Ok(time) }
}

pub(super) fn dollars(text: &str) -> Result<f64, String> {
    let amount: f64 = text.trim_start_matches('$').parse().map_err(|_| "expected dollars such as 0.05".to_owned())?;
    if amount.is_finite() && amount > 0.0 { Ok(amount) } else { Err("it must be more than nothing".into()) }
}

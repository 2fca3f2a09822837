//! `omni approvals`.

use clap::{Args, Subcommand};
use uuid::Uuid;

use crate::render::Format;

const EXAMPLES: &str = "\
Examples:
  omni approvals list
  omni approvals show 0199c0de-0000-7000-8000-000000000000
  omni approvals approve 0199c0de-0000-7000-8000-000000000000
  omni approvals deny 0199c0de-0000-7000-8000-000000000000 --reason \"not on a Friday\"

Questions asked by HTTP wait for a decision. What is asked at the terminal is decided there; see `omni ask --approve`.";

/// What to do with calls that wait for somebody's agreement.
#[derive(Debug, Clone, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum ApprovalsCommand {
    /// List them, the oldest first
    List(ListApprovalsArgs),
    /// Show one, also when it is decided
    Show(ShowApprovalArgs),
    /// Agree to one, and go on with its question
    Approve(ApproveCallArgs),
    /// Refuse one, and go on with its question
    Deny(DenyCallArgs),
}

impl ApprovalsCommand {
    /// In which form the result is wanted.
    #[must_use]
    pub fn format(&self) -> Format {
        Format::json_if(match self {
            Self::List(args) => args.json,
            Self::Show(args) => args.json,
            Self::Approve(args) => args.json,
            Self::Deny(args) => args.json,
        })
    }
}

/// List calls that wait.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:\n  omni approvals list --json")]
pub struct ListApprovalsArgs {
    /// As this user
    #[arg(short = 'u', long = "as", value_name = "EMAIL")]
    pub act_as: Option<String>,
    /// Print a JSON document
    #[arg(long)]
    pub json: bool,
}

/// Show a call that waits.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:\n  omni approvals show 0199c0de-0000-7000-8000-000000000000")]
pub struct ShowApprovalArgs {
    /// Its id
    #[arg(value_name = "ID")]
    pub id: Uuid,
    /// As this user
    #[arg(short = 'u', long = "as", value_name = "EMAIL")]
    pub act_as: Option<String>,
    /// Print a JSON document
    #[arg(long)]
    pub json: bool,
}

/// Agree to a call.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:\n  omni approvals approve 0199c0de-0000-7000-8000-000000000000")]
pub struct ApproveCallArgs {
    /// Its id
    #[arg(value_name = "ID")]
    pub id: Uuid,
    /// As this user
    #[arg(short = 'u', long = "as", value_name = "EMAIL")]
    pub act_as: Option<String>,
    /// Print a JSON document
    #[arg(long)]
    pub json: bool,
}

/// Refuse a call.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Example:\n  omni approvals deny 0199c0de-0000-7000-8000-000000000000 --reason \"not on a Friday\""
)]
pub struct DenyCallArgs {
    /// Its id
    #[arg(value_name = "ID")]
    pub id: Uuid,
    /// Why; the model is told
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// As this user
    #[arg(short = 'u', long = "as", value_name = "EMAIL")]
    pub act_as: Option<String>,
    /// Print a JSON document
    #[arg(long)]
    pub json: bool,
}

//! `omni feedback`.

use clap::{Args, ValueEnum};
use uuid::Uuid;

/// Say whether an answer was of use.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Example:\n  omni feedback 019d2c1e-7c1d-7b8e-9d55-0a1b2c3d4e5f down --reason \"the wrong database\""
)]
pub struct FeedbackArgs {
    /// The ask, as `omni audit list` and `--json` name it
    #[arg(value_name = "ASK")]
    pub ask: Uuid,
    /// What of it
    #[arg(value_enum)]
    pub verdict: Thumb,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Speak for this user
    #[arg(short = 'u', long = "as", value_name = "EMAIL")]
    pub act_as: Option<String>,
}

/// A thumb.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Thumb {
    /// It was.
    Up,
    /// It was not.
    Down,
}

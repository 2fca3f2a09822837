//! Calls that need a human.

use schemars::JsonSchema;
use serde::Deserialize;

/// Calls that need a human.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(extend("x-own" = true))]
pub(crate) struct ApprovalsSpec {
    /// How long a call waits for a decision; then the answer is no. Absent: 15 minutes.
    pub(crate) expire_minutes: Option<f64>,
    /// The roles of those who may agree. Absent: the asker may.
    pub(crate) approvers: Vec<String>,
    /// Whether it must be somebody else than the asker.
    pub(crate) four_eyes: bool,
}

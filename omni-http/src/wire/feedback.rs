//! What people say of answers.

use omni_core::feedback::{Feedback, Verdict};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// Whether an answer was of use.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Thumb {
    Up,
    Down,
}

/// What somebody says of an answer.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct FeedbackRequest {
    /// The ask: its answer's `request_id`.
    pub(crate) request_id: Uuid,
    /// `up` or `down`.
    pub(crate) verdict: Thumb,
    /// Why; at most 1,000 characters are kept.
    #[serde(default)]
    pub(crate) reason: Option<String>,
    /// An e-mail address. Absent: the key's owner; anybody else takes a key with the scope `act_as`.
    #[serde(default)]
    pub(crate) user_id: Option<String>,
}

impl FeedbackRequest {
    pub(crate) fn feedback(&self) -> Feedback {
        let verdict = match self.verdict {
            Thumb::Up => Verdict::Up,
            Thumb::Down => Verdict::Down,
        };
        Feedback::new(self.request_id, verdict).because(self.reason.clone())
    }
}

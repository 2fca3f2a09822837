//! What a server asks of the person in the middle of a call.

use omni_core::elicit::{Elicitation, Field, Reply, Wanted};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

/// A server's question: the event `elicitation`.
#[derive(Debug, Serialize)]
pub(crate) struct Question<'a> {
    event: &'static str,
    /// What answers name.
    id: Uuid,
    mcp: &'a str,
    tool: &'a str,
    /// Why it asks, in its own words.
    message: &'a str,
    #[serde(flatten)]
    wanted: Shown<'a>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "mode", rename_all = "snake_case")]
enum Shown<'a> {
    Form { fields: &'a [Field] },
    Url { url: &'a str, origin: String },
    Unknown,
}

impl<'a> From<&'a Elicitation> for Question<'a> {
    fn from(question: &'a Elicitation) -> Self {
        let wanted = match &question.wanted {
            Wanted::Form(form) => Shown::Form { fields: &form.fields },
            Wanted::Page { url } => Shown::Url { url: url.as_str(), origin: url.origin().ascii_serialization() },
            _ => Shown::Unknown,
        };
        let Elicitation { id, server, tool, message, .. } = question;
        Self { event: "elicitation", id: *id, mcp: server, tool, message, wanted }
    }
}

/// What the person answers.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Action {
    Accept,
    Decline,
    Cancel,
}

/// The answer to a server's question.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct ElicitationAnswer {
    /// `accept`, `decline` or `cancel`.
    pub(crate) action: Action,
    /// The values of the form, by the names of its fields; with `accept` only.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub(crate) content: Option<Map<String, Value>>,
}

impl From<ElicitationAnswer> for Reply {
    fn from(answer: ElicitationAnswer) -> Self {
        match answer.action {
            Action::Accept => Self::Accept(answer.content.unwrap_or_default()),
            Action::Decline => Self::Decline,
            Action::Cancel => Self::Cancel,
        }
    }
}

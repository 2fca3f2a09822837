//! Why a call is refused.

use std::time::Duration;

use serde_json::{Map, Value, json};

/// Slack's error, and whether a bot ought to have known better.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    /// The error's name.
    pub(super) error: String,
    /// What is wrong in detail.
    pub(super) messages: Vec<String>,
    /// More members of the answer.
    pub(super) extra: Map<String, Value>,
    /// Whether it is a broken rule, not the way of the world.
    pub(super) breach: bool,
    /// When to try again.
    pub(super) retry_after: Option<Duration>,
}

pub(super) type Answer = Result<Map<String, Value>, Refusal>;

impl Refusal {
    /// What may happen to a good bot too: the world has changed, or is not as hoped.
    pub(super) fn state(error: &str) -> Self {
        Self { error: error.into(), messages: Vec::new(), extra: Map::new(), breach: false, retry_after: None }
    }

    /// What a good bot never does.
    pub(super) fn breach(error: &str) -> Self {
        Self { breach: true, ..Self::state(error) }
    }

    pub(super) fn because(mut self, message: impl Into<String>) -> Self {
        self.messages.push(message.into());
        self
    }

    pub(super) fn missing(field: &str) -> Self {
        Self::breach("invalid_arguments").because(format!("missing required field: {field}"))
    }

    pub(super) fn rate_limited(retry_after: Duration) -> Self {
        Self { retry_after: Some(retry_after), ..Self::state("ratelimited") }
    }

    pub(super) fn body(&self) -> Map<String, Value> {
        let mut body = self.extra.clone();
        body.insert("ok".into(), false.into());
        body.insert("error".into(), self.error.clone().into());
        if !self.messages.is_empty() {
            let messages: Vec<String> = self.messages.iter().map(|message| format!("[ERROR] {message}")).collect();
            if self.error == "invalid_blocks" {
                body.insert("errors".into(), self.messages.clone().into());
            }
            body.insert("response_metadata".into(), json!({ "messages": messages }));
        }
        body
    }

    /// How the breach reads in a list.
    pub(super) fn told(&self, method: &str) -> String {
        let detail = if self.messages.is_empty() { String::new() } else { format!(": {}", self.messages.join("; ")) };
        format!("{method}: {}{detail}", self.error)
    }
}

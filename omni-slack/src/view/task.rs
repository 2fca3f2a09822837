//! The pieces of a stream: text, and a card for every tool call.

use omni_core::answer::{CallStatus, CallSummary};
use serde_json::{Value, json};

use super::{limits, text, time};

/// How far a task has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It did not begin.
    Pending,
    /// It runs.
    Running,
    /// It is done.
    Done,
    /// It failed.
    Failed,
}

impl State {
    /// Its name for Slack.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "in_progress",
            Self::Done => "complete",
            Self::Failed => "error",
        }
    }
}

/// A card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// Names the task: cards of the same id are one.
    pub id: String,
    /// What is done.
    pub title: String,
    /// How far it has come.
    pub state: State,
    /// With what.
    pub details: Option<String>,
    /// What came of it.
    pub output: Option<String>,
}

impl Card {
    /// A call begins. The arguments are redacted already.
    #[must_use]
    pub fn started(id: &str, server: &str, tool: &str, arguments: &Value) -> Self {
        let is_empty = arguments.as_object().is_some_and(serde_json::Map::is_empty) || arguments.is_null();
        let details = (!is_empty).then(|| arguments.to_string());
        Self { id: id.into(), title: title(server, tool), state: State::Running, details, output: None }
    }

    /// A call ended.
    #[must_use]
    pub fn finished(call: &CallSummary) -> Self {
        let (state, output) = outcome(call);
        let (id, title) = (call.id.clone(), title(&call.server, &call.tool));
        Self { id, title, state, details: None, output: Some(output) }
    }

    /// A call that somebody stopped.
    #[must_use]
    pub fn stopped(id: &str, server: &str, tool: &str) -> Self {
        let (id, output) = (id.into(), Some("stopped".into()));
        Self { id, title: title(server, tool), state: State::Failed, details: None, output }
    }

    /// The piece of a stream.
    #[must_use]
    pub fn chunk(&self) -> Value {
        task(&self.id, &self.title, self.state, self.details.as_deref(), self.output.as_deref())
    }
}

fn title(server: &str, tool: &str) -> String {
    if server.is_empty() { tool.into() } else { format!("{server} · {tool}") }
}

fn outcome(call: &CallSummary) -> (State, String) {
    let took = time::duration(call.duration_ms);
    match call.status {
        CallStatus::Ok => (State::Done, took),
        CallStatus::Denied => (State::Failed, "not allowed".into()),
        CallStatus::Declined => (State::Failed, "not approved".into()),
        CallStatus::RateLimited => (State::Failed, "rate limited".into()),
        CallStatus::Timeout => (State::Failed, format!("timed out after {took}")),
        CallStatus::Cancelled => (State::Failed, "stopped".into()),
        _ => (State::Failed, format!("failed after {took}")),
    }
}

/// A `task_update`.
#[must_use]
pub fn task(id: &str, title: &str, state: State, details: Option<&str>, output: Option<&str>) -> Value {
    let shown = |shown: &str| text::plain_line(shown, limits::TASK);
    let title = Some(shown(title)).filter(|title| !title.is_empty()).unwrap_or_else(|| "tool".into());
    let mut task = json!({ "type": "task_update", "id": id_of(id), "title": title, "status": state.as_str() });
    for (key, words) in [("details", details), ("output", output)] {
        if let Some(words) = words.map(shown).filter(|words| !words.is_empty()) {
            task[key] = words.into();
        }
    }
    task
}

/// Ids come from models: they are as long as models like.
fn id_of(id: &str) -> String {
    let id = text::plain_line(id, limits::ID);
    if id.is_empty() { "task".into() } else { id }
}

/// A piece of text that is safe already.
#[must_use]
pub fn markdown(safe: &str) -> Value {
    json!({ "type": "markdown_text", "text": safe })
}

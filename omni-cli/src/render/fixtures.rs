//! Answers to show.

use omni_core::{
    Answer,
    answer::{CallSummary, Denial},
};
use serde_json::{Value, json};
use uuid::Uuid;

fn from<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

pub(crate) fn denial() -> Denial {
    from(json!({ "server": "db", "tool": "drop_table", "reason": "policy", "rule": "roles.contractor.deny[1]" }))
}

pub(crate) fn call(status: &str) -> CallSummary {
    from(json!({
        "id": "c1", "server": "db", "tool": "get_health", "arguments": {"database": "prod"},
        "status": status, "duration_ms": 412, "error": (status != "ok").then_some("no such \u{1b}[31mdatabase\nmore"),
    }))
}

pub(crate) fn answer() -> Answer {
    let mut answer = Answer::empty(Uuid::nil(), "dba@company.com");
    answer.text = "All is \u{1b}[1mwell\u{1b}[0m.".into();
    answer.role = Some("dba".into());
    answer.model = Some("claude-haiku".into());
    answer.stop_reason = Some("end_turn".into());
    answer.tool_calls.push(call("ok"));
    answer.iterations = 2;
    answer.duration_ms = 8_300;
    answer
}

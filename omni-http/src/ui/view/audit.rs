//! What was asked and called: what is looked for, and what is found.

use askama::Template;
use chrono::{DateTime, Utc};
use omni_core::audit::{LogEntry, LogPage, REQUEST_TYPES};
use serde::Serialize;

use crate::{
    ui::{
        answer::Frame,
        fields::{Fields, link},
        show,
    },
    wire::LogDetail,
};

const STATUSES: [&str; 8] =
    ["success", "warning", "error", "denied", "rate_limited", "cancelled", "timeout", "unknown_outcome"];
const DAYS: [(&str, &str); 4] =
    [("1", "the last day"), ("7", "the last 7 days"), ("30", "the last 30 days"), ("90", "the last 90 days")];

#[derive(Debug, Template, Serialize)]
#[template(path = "audit.html")]
pub(in crate::ui) struct View {
    #[serde(skip)]
    frame: Frame,
    logs: Vec<LogDetail>,
    /// What `after` is of the next page.
    next: Option<String>,
    #[serde(skip)]
    rows: Vec<Row>,
    #[serde(skip)]
    more: Option<String>,
    #[serde(skip)]
    first: Option<String>,
    #[serde(skip)]
    wanted: Wanted,
    #[serde(skip)]
    statuses: Vec<(&'static str, bool)>,
    #[serde(skip)]
    types: Vec<(&'static str, bool)>,
    #[serde(skip)]
    days: Vec<(&'static str, &'static str, bool)>,
}

/// What is looked for, as it was written.
#[derive(Debug)]
struct Wanted {
    user: String,
    server: String,
    tool: String,
    since: String,
    until: String,
}

#[derive(Debug)]
struct Row {
    to: String,
    at: String,
    ago: String,
    who: String,
    source: String,
    kind: String,
    what: String,
    tools: String,
    status: String,
    mark: &'static str,
    took: String,
    cost: String,
}

pub(in crate::ui) fn of(frame: Frame, page: LogPage, query: &Fields, now: DateTime<Utc>) -> View {
    let next = page.next.map(|next| next.to_string());
    let has = |name: &str, value: &str| query.of(name) == Some(value);
    let days = query.of("days").unwrap_or("7");
    View {
        frame,
        rows: page.entries.iter().map(|entry| row(entry, now)).collect(),
        logs: page.entries.into_iter().map(LogDetail::from).collect(),
        more: next.as_ref().map(|next| format!("audit?{}", query.with(&[("after", next)]))),
        first: query.of("after").map(|_| format!("audit?{}", query.with(&[("after", "")]))),
        next,
        wanted: Wanted {
            user: query.text("user"),
            server: query.text("server"),
            tool: query.text("tool"),
            since: query.text("since"),
            until: query.text("until"),
        },
        statuses: STATUSES.into_iter().map(|status| (status, has("status", status))).collect(),
        types: REQUEST_TYPES.into_iter().map(|kind| (kind, has("type", kind))).collect(),
        days: DAYS.into_iter().map(|(value, title)| (value, title, value == days)).collect(),
    }
}

fn row(entry: &LogEntry, now: DateTime<Utc>) -> Row {
    let direct =
        entry.mcp_target.iter().zip(&entry.tool_called).map(|(server, tool)| format!("{server}.{tool}")).next();
    Row {
        to: link("ask", &[("id", &entry.request_id.to_string())]),
        at: show::moment(entry.created_at),
        ago: show::ago(entry.created_at, now),
        who: entry.user_email.clone().or_else(|| entry.actor.clone()).unwrap_or_else(|| show::NONE.into()),
        source: entry.source.clone().unwrap_or_else(|| show::NONE.into()),
        kind: entry.request_type.replace('_', " "),
        tools: if direct.is_some() { String::new() } else { entry.tools_used.join(", ") },
        what: direct.or_else(|| entry.message_preview.clone()).unwrap_or_default(),
        mark: super::mark_of(&entry.status),
        status: entry.status.replace('_', " "),
        took: show::duration(entry.duration_ms),
        cost: entry.cost_estimate.map_or_else(|| show::NONE.into(), show::usd),
    }
}

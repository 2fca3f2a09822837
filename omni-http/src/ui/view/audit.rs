//! What was asked and called: what is looked for, and what is found.

use askama::Template;
use chrono::{DateTime, NaiveDate, Utc};
use omni_core::{
    Source,
    audit::{LogEntry, LogPage, REQUEST_TYPES, UNKNOWN_SOURCE},
};
use serde::Serialize;

use crate::{
    ui::{
        answer::Frame,
        fields::{Fields, link},
        show,
    },
    wire::LogDetail,
};

/// Every status of something that failed.
pub(in crate::ui) const FAILED: &str = "failed";
const STATUSES: [(&str, &str); 9] = [
    (FAILED, "failed in any way"),
    ("success", "success"),
    ("warning", "warning"),
    ("error", "error"),
    ("timeout", "timeout"),
    ("unknown_outcome", "unknown outcome"),
    ("denied", "denied"),
    ("rate_limited", "rate limited"),
    ("cancelled", "cancelled"),
];
/// The kinds of inputs that take a day, and whatever else was written.
const DAY: &str = "date";
const TEXT: &str = "text";
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
    /// Fields that cannot be read, and why.
    #[serde(skip)]
    wrong: Vec<(String, String)>,
    #[serde(skip)]
    statuses: Vec<(&'static str, &'static str, bool)>,
    #[serde(skip)]
    types: Vec<(&'static str, bool)>,
    #[serde(skip)]
    sources: Vec<(&'static str, bool)>,
    #[serde(skip)]
    days: Vec<(&'static str, &'static str, bool)>,
}

/// What is looked for, as it was written.
#[derive(Debug)]
struct Wanted {
    user: String,
    server: String,
    tool: String,
    since: Moment,
    until: Moment,
}

/// When, as it was written, and what input shows it.
#[derive(Debug)]
struct Moment {
    text: String,
    kind: &'static str,
}

impl Moment {
    /// An input for days would show nothing of what is none.
    fn of(text: String) -> Self {
        let is_day = text.is_empty() || text.parse::<NaiveDate>().is_ok();
        Self { text, kind: if is_day { DAY } else { TEXT } }
    }
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

/// Fields that have a place of their own for what is wrong with them.
const PLACES: [&str; 2] = ["since", "until"];

impl View {
    /// Why a field cannot be read.
    fn why(&self, field: &str) -> Option<&str> {
        self.wrong.iter().find(|(name, _)| name == field).map(|(_, why)| why.as_str())
    }

    /// What is wrong with what has no field.
    fn elsewhere(&self) -> impl Iterator<Item = &(String, String)> {
        self.wrong.iter().filter(|(name, _)| !PLACES.contains(&name.as_str()))
    }
}

pub(in crate::ui) fn of(
    frame: Frame,
    page: LogPage,
    query: &Fields,
    wrong: Vec<(String, String)>,
    now: DateTime<Utc>,
) -> View {
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
            since: Moment::of(query.text("since")),
            until: Moment::of(query.text("until")),
        },
        wrong,
        statuses: STATUSES.into_iter().map(|(status, told)| (status, told, has("status", status))).collect(),
        types: REQUEST_TYPES.into_iter().map(|kind| (kind, has("type", kind))).collect(),
        sources: sources().map(|name| (name, has("source", name))).collect(),
        days: DAYS.into_iter().map(|(value, title)| (value, title, value == days)).collect(),
    }
}

fn sources() -> impl Iterator<Item = &'static str> {
    Source::ALL.map(Source::as_str).into_iter().chain([UNKNOWN_SOURCE])
}

/// Each name once, and how often it is there.
fn counted(names: &[String]) -> String {
    let mut counts = Vec::<(&str, usize)>::new();
    for name in names {
        match counts.iter_mut().find(|(known, _)| *known == name.as_str()) {
            Some((_, many)) => *many += 1,
            None => counts.push((name.as_str(), 1)),
        }
    }
    let told = counts.into_iter().map(|(name, many)| match many {
        1 => name.to_owned(),
        many => format!("{name} ×{many}"),
    });
    told.collect::<Vec<_>>().join(", ")
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
        tools: if direct.is_some() { String::new() } else { counted(&entry.tools_used) },
        what: direct.or_else(|| entry.message_preview.clone()).unwrap_or_default(),
        mark: super::mark_of(&entry.status),
        status: entry.status.replace('_', " "),
        took: show::duration(entry.duration_ms),
        cost: entry.cost_estimate.map_or_else(|| show::NONE.into(), |cost| show::cost(cost, entry.cost_is_estimated)),
    }
}

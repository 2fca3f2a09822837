//! Calls that wait for a human, and what was decided of late.

use askama::Template;
use chrono::{DateTime, Utc};
use omni_core::{audit::LogEntry, omni::ConfirmationView};
use serde::Serialize;

use crate::{
    ui::{answer::Frame, fields::link, show},
    wire::Confirmation,
};

/// What the operations of a decision begin with.
const DECISION: &str = "confirmation.";
/// What is recorded before somebody decided.
const ASKED: &str = "asked";
/// How many decisions are shown.
const MOST: usize = 10;

#[derive(Debug, Template, Serialize)]
#[template(path = "approvals.html")]
pub(in crate::ui) struct View {
    #[serde(skip)]
    frame: Frame,
    /// What changes are compared with.
    #[serde(skip)]
    seen: Option<u64>,
    waiting: Vec<Confirmation>,
    #[serde(skip)]
    cards: Vec<Card>,
    #[serde(skip)]
    decided: Vec<Decided>,
}

#[derive(Debug)]
struct Card {
    id: String,
    tool: String,
    who: String,
    who_to: String,
    arguments: String,
    rule: String,
    asked: String,
    ends: String,
    state: &'static str,
    mark: &'static str,
    may_approve: bool,
    is_pending: bool,
}

#[derive(Debug)]
struct Decided {
    when: String,
    who: String,
    what: String,
    target: String,
    mark: &'static str,
    to: String,
}

pub(in crate::ui) fn of(
    frame: Frame,
    seen: Option<u64>,
    waiting: Vec<ConfirmationView>,
    admin_acts: &[LogEntry],
    now: DateTime<Utc>,
) -> View {
    View {
        frame,
        seen,
        cards: waiting.iter().map(|view| card(view, now)).collect(),
        waiting: waiting.into_iter().map(Confirmation::from).collect(),
        decided: admin_acts.iter().filter_map(|entry| decided(entry, now)).take(MOST).collect(),
    }
}

fn card(view: &ConfirmationView, now: DateTime<Utc>) -> Card {
    let one = &view.confirmation;
    let state = one.state.as_str();
    Card {
        id: one.id.to_string(),
        tool: format!("{}.{}", one.server, one.tool),
        who: one.subject.clone(),
        who_to: link("user", &[("email", &one.subject)]),
        arguments: show::json(&view.arguments),
        rule: one.rule.clone(),
        asked: show::ago(one.created_at, now),
        ends: show::ago(one.expires_at, now),
        state,
        mark: super::mark_of(state),
        may_approve: view.may_approve,
        is_pending: state == "pending",
    }
}

fn decided(entry: &LogEntry, now: DateTime<Utc>) -> Option<Decided> {
    let (what, target) = entry.message.as_deref()?.strip_prefix(DECISION)?.split_once(' ')?;
    if what == ASKED {
        return None;
    }
    Some(Decided {
        when: show::ago(entry.created_at, now),
        who: entry.user_email.clone().or_else(|| entry.actor.clone()).unwrap_or_else(|| show::NONE.into()),
        what: what.replace('_', " "),
        target: target.to_owned(),
        mark: super::mark_of(what),
        to: link("ask", &[("id", &entry.request_id.to_string())]),
    })
}

//! A call that waits for a human: the card, what becomes of it, and the modals beside it.

use chrono::{DateTime, Utc};
use omni_core::scan::visible_json;
use serde_json::{Value, json};

use super::{
    Message,
    block::{self, Look},
    ids, limits, text, time,
};

/// Most of the arguments on the card.
const ARGUMENTS: usize = 2_500;
/// Sections of a modal that shows all of the arguments.
const PARTS: usize = 30;
/// Most characters of a reason; as much as omni takes.
const REASON: usize = 500;

/// A call that waits.
#[derive(Debug, Clone, PartialEq)]
pub struct Card {
    /// What the buttons bring back.
    pub value: String,
    /// The server.
    pub server: String,
    /// The tool.
    pub tool: String,
    /// The arguments, redacted.
    pub arguments: Value,
    /// What it does, in its server's words.
    pub effect: Option<String>,
    /// The rule that asks, for whoever may know it.
    pub rule: Option<String>,
    /// For whom it would run, where that is somebody else than who decides.
    pub asker: Option<String>,
    /// Until when somebody may decide.
    pub expires_at: DateTime<Utc>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Somebody agreed, and it runs.
    Approved {
        /// Who: a Slack id or a name.
        by: String,
        /// When.
        at: DateTime<Utc>,
    },
    /// Somebody did not.
    Denied {
        /// Who.
        by: String,
        /// When.
        at: DateTime<Utc>,
        /// Why.
        reason: Option<String>,
    },
    /// Nobody decided in time.
    Expired,
    /// Things are not as they were: it was not run.
    Void {
        /// What is not as it was.
        reason: Option<String>,
    },
    /// It ran.
    Done {
        /// Who agreed.
        by: String,
    },
    /// Nobody knows whether it ran.
    Unknown,
}

/// Asks for a decision.
#[must_use]
pub fn card(card: &Card) -> Message {
    let mut blocks = head(card);
    blocks.push(block::context(&format!(
        "⏳ Until {}. Without a decision it does not run.",
        time::clock(card.expires_at)
    )));
    let approve = block::button(ids::APPROVE, "Approve", &card.value, Look::Danger).map(|mut button| {
        let question = format!("{} of {} runs once, with exactly these arguments.", card.tool, card.server);
        button["confirm"] = block::ask_back("Run this now?", &question, "Run it", "Not yet");
        button
    });
    let others = [
        block::button(ids::DENY, "Deny", &card.value, Look::Plain),
        block::button(ids::DENY_REASON, "Deny with reason", &card.value, Look::Plain),
        block::button(ids::DETAILS, "Details", &card.value, Look::Plain),
    ];
    blocks.extend(block::actions("omni:confirm", approve.into_iter().chain(others.into_iter().flatten()).collect()));
    Message::new(&format!("Approval needed: {}.{}", card.server, card.tool), blocks)
}

/// The card after the decision: the same, without buttons.
#[must_use]
pub fn decided(card: &Card, outcome: &Outcome) -> Message {
    let mut blocks = head(card);
    let line = outcome.line();
    blocks.push(block::context(&line));
    Message::new(&format!("{}.{}: {}", card.server, card.tool, outcome.word()), blocks)
}

fn head(card: &Card) -> Vec<Value> {
    let call = format!("{} · {}", text::mrkdwn_line(&card.server, 100), text::code(&card.tool, 150));
    let mut blocks = vec![block::header("✋ Approval needed"), block::section(&format!("*{call}*"))];
    if let Some(asker) = &card.asker {
        blocks.push(block::section(&format!("For {}", text::mrkdwn_line(asker, 200))));
    }
    let written = text::plain(&written(&card.arguments), usize::MAX);
    let is_cut = limits::width(&written) > ARGUMENTS;
    blocks.push(block::plain_section(&limits::clamp(&written, ARGUMENTS)));
    if is_cut {
        blocks.push(block::context("⚠️ *Not all of it is shown here.* “Details” has the rest."));
    }
    if let Some(effect) = card.effect.as_deref().filter(|effect| !effect.trim().is_empty()) {
        blocks.push(block::context(&format!("The tool says of itself: {}", text::mrkdwn_line(effect, 500))));
    }
    if let Some(rule) = card.rule.as_deref().filter(|rule| !rule.is_empty()) {
        blocks.push(block::context(&format!("Rule: {}", text::mrkdwn_line(rule, 300))));
    }
    blocks
}

/// Arguments as whoever decides reads them: all of them, and what cannot be seen written out.
pub(super) fn written(arguments: &Value) -> String {
    let is_empty = arguments.is_null() || arguments.as_object().is_some_and(serde_json::Map::is_empty);
    if is_empty {
        return "(no arguments)".into();
    }
    visible_json(&serde_json::to_string_pretty(arguments).unwrap_or_default())
}

impl Outcome {
    fn word(&self) -> &'static str {
        match self {
            Self::Approved { .. } => "approved",
            Self::Denied { .. } => "denied",
            Self::Expired => "expired",
            Self::Void { .. } => "not run",
            Self::Done { .. } => "done",
            Self::Unknown => "unknown outcome",
        }
    }

    fn line(&self) -> String {
        let why = |reason: &Option<String>| {
            let reason = reason.as_deref().map(|reason| text::mrkdwn_line(reason, REASON));
            reason.filter(|reason| !reason.is_empty()).map_or(String::new(), |reason| format!(": {reason}"))
        };
        match self {
            Self::Approved { by, at } => format!("✅ Approved by {} {}", who(by), time::clock(*at)),
            Self::Denied { by, at, reason } => {
                format!("⛔ Denied by {} {}{}", who(by), time::clock(*at), why(reason))
            }
            Self::Expired => "⌛ Nobody decided in time: it was not run.".into(),
            Self::Void { reason } => format!("🚫 It was not run: things are not as they were{}", why(reason)),
            Self::Done { by } => format!("✅ Done; approved by {}", who(by)),
            Self::Unknown => "❓ It may have run: nobody knows how it ended. It is not run again.".into(),
        }
    }
}

/// A person: as a mention where that is an id of Slack's, which notifies nobody in an edited message.
fn who(by: &str) -> String {
    if by.is_empty() {
        return "somebody at another door".into();
    }
    let is_id = by.len() > 2
        && by.len() <= 20
        && by.starts_with(['U', 'W'])
        && by.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
    if is_id { format!("<@{by}>") } else { text::mrkdwn_line(by, 100) }
}

/// To the asker, where those decide who do not read there.
#[must_use]
pub fn elsewhere() -> Message {
    Message::of(
        "⏸ Somebody with a role that decides has to agree to this. They find it on my page in Slack, or with \
         `omni approvals`.",
    )
}

/// To others than those who may decide.
#[must_use]
pub fn not_yours(asker: &str) -> Message {
    Message::of(&format!("🚫 Only {} can approve this.", who(asker)))
}

/// To whoever is too late, or clicks twice.
#[must_use]
pub fn stale() -> Message {
    Message::of("⌛ This was decided already, or has expired. Ask again if it is still needed.")
}

/// Asks why.
#[must_use]
pub fn reason_modal(metadata: &str) -> Value {
    let reason = json!({ "type": "plain_text_input", "action_id": "value", "multiline": true, "min_length": 1,
        "max_length": REASON });
    let hint = Some("omni reads it and may try something else.");
    let blocks = vec![block::input("reason", "Why not?", hint, false, reason)];
    block::modal(ids::DENY_MODAL, "Deny with reason", Some("Deny"), metadata, blocks)
}

/// The reason, of `state.values`.
#[must_use]
pub fn reason(values: &Value) -> String {
    let reason = values["reason"]["value"]["value"].as_str().unwrap_or_default();
    text::plain(reason.trim(), REASON)
}

/// All of a call.
#[must_use]
pub fn details_modal(card: &Card) -> Value {
    let mut blocks =
        vec![block::section(&format!("*{} · {}*", text::mrkdwn_line(&card.server, 100), text::code(&card.tool, 150)))];
    if let Some(asker) = &card.asker {
        blocks.push(block::section(&format!("For {}", text::mrkdwn_line(asker, 200))));
    }
    let written = written(&card.arguments);
    let mut rest = written.as_str();
    while !rest.is_empty() && blocks.len() < PARTS {
        // What is parted in it makes it longer.
        let (part, after) = rest.split_at(limits::prefix(rest, limits::SECTION / 2));
        blocks.push(block::plain_section(part));
        rest = after;
    }
    if !rest.is_empty() {
        let bytes = rest.len();
        blocks.push(block::section(&format!(
            "⚠️ *{bytes} more bytes are not shown.* Approve nothing that you have not read."
        )));
    }
    if let Some(effect) = &card.effect {
        blocks.push(block::context(&format!("The tool says of itself: {}", text::mrkdwn_line(effect, 1_500))));
    }
    block::modal(ids::DETAILS_MODAL, "Details", None, "", blocks)
}

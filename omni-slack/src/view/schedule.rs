//! Scheduled reports: the list, and the modal for a new one.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Message,
    block::{self, Look},
    ids, text, time,
};

/// Most schedules of a list.
pub const LISTED: usize = 22;
/// Times that are offered; any other is typed.
const PRESETS: [(&str, &str); 5] = [
    ("0 9 * * *", "Every day at 9:00"),
    ("0 9 * * 1-5", "On weekdays at 9:00"),
    ("0 9 * * 1", "On Mondays at 9:00"),
    ("0 9 1 * *", "On the first of each month at 9:00"),
    ("custom", "At other times (cron)"),
];

/// How a schedule stands.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It runs.
    #[default]
    Active,
    /// Its owner lets it rest.
    Paused,
    /// It rests because it failed too often.
    Failed {
        /// Why.
        reason: String,
    },
}

/// A schedule.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Schedule {
    /// What its buttons bring back.
    pub id: String,
    /// What is asked.
    pub question: String,
    /// When, as cron.
    pub cron: String,
    /// In which time zone.
    pub zone: String,
    /// The channel's id, or a name.
    pub channel: String,
    /// When next.
    pub next: Option<DateTime<Utc>>,
    /// How it stands.
    pub state: State,
    /// Whether a file says so: then only whoever edits it ends it.
    pub is_fixed: bool,
}

/// What a new schedule is to be.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Request {
    /// What is asked.
    pub question: String,
    /// When, as cron of five fields; whether it means a time is for whoever reads cron.
    pub cron: String,
    /// In which time zone.
    pub zone: String,
    /// The channel.
    pub channel: String,
    /// Whether nothing is posted where there is nothing to say.
    pub skip_empty: bool,
    /// Most dollars of one run.
    pub max_cost_usd: Option<f64>,
}

/// The schedules of somebody.
#[must_use]
pub fn list(schedules: &[Schedule]) -> Message {
    let mut blocks = vec![block::header("🗓 Scheduled reports")];
    blocks.extend(lines(schedules));
    let new = block::button(ids::SCHEDULE_NEW, "New schedule", "", Look::Primary);
    blocks.extend(block::actions("omni:schedule", new.into_iter().collect()));
    Message::new("Scheduled reports", blocks)
}

/// The same as blocks of something else.
pub(super) fn lines(schedules: &[Schedule]) -> Vec<Value> {
    if schedules.is_empty() {
        return vec![block::section("_There are none._")];
    }
    let mut blocks = Vec::new();
    for (at, schedule) in schedules.iter().take(LISTED).enumerate() {
        blocks.push(block::section(&line(schedule)));
        blocks.extend(block::actions(&format!("omni:schedule:{at}"), buttons(schedule)));
    }
    if schedules.len() > LISTED {
        blocks.push(block::context(&format!("_… and {} more._", schedules.len() - LISTED)));
    }
    blocks
}

fn line(schedule: &Schedule) -> String {
    let question = text::mrkdwn_line(&schedule.question, 120);
    let (cron, zone) = (text::code(&schedule.cron, 80), text::mrkdwn_line(&schedule.zone, 40));
    let state = match &schedule.state {
        State::Active => schedule.next.map_or("🟢 active".into(), |next| format!("🟢 next {}", time::moment(next))),
        State::Paused => "⏸ paused".into(),
        State::Failed { reason } => format!("🔴 paused, it failed: {}", text::mrkdwn_line(reason, 120)),
    };
    let whence = if schedule.is_fixed { " · from `slack.yaml`" } else { "" };
    format!("*{question}*\n{cron} {zone} → {}{whence}\n{state}", channel(&schedule.channel))
}

/// A channel, by Slack's own name for it where that is an id.
fn channel(channel: &str) -> String {
    let is_id = (3..=20).contains(&channel.len())
        && channel.starts_with(['C', 'G'])
        && channel.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
    if is_id { format!("<#{channel}>") } else { text::mrkdwn_line(channel, 60) }
}

fn buttons(schedule: &Schedule) -> Vec<Value> {
    let turn = match schedule.state {
        State::Active => block::button(ids::SCHEDULE_PAUSE, "Pause", &schedule.id, Look::Plain),
        State::Paused | State::Failed { .. } => {
            block::button(ids::SCHEDULE_RESUME, "Resume", &schedule.id, Look::Primary)
        }
    };
    let delete = block::button(ids::SCHEDULE_DELETE, "Delete", &schedule.id, Look::Danger);
    let delete = delete.filter(|_| !schedule.is_fixed).map(|mut button| {
        button["confirm"] = block::ask_back("Delete this schedule?", "It is asked no more.", "Delete", "Keep");
        button
    });
    [turn, delete].into_iter().flatten().collect()
}

/// Asks for a new schedule; `zone` is the person's own.
#[must_use]
pub fn modal(question: &str, zone: &str, metadata: &str) -> Value {
    let presets: Vec<Value> = PRESETS.iter().filter_map(|(cron, label)| block::option(label, cron)).collect();
    let mut asked = json!({ "type": "plain_text_input", "action_id": "value", "multiline": true, "min_length": 1,
        "max_length": 3_000 });
    let question = text::plain(question, 3_000);
    if !question.is_empty() {
        asked["initial_value"] = question.into();
    }
    let when =
        json!({ "type": "static_select", "action_id": "value", "options": presets, "initial_option": presets[0] });
    let cron = json!({ "type": "plain_text_input", "action_id": "value", "max_length": 100,
        "placeholder": block::plain_text("30 8 * * 1-5", 150) });
    let zone = Some(text::plain_line(zone, 60)).filter(|zone| !zone.is_empty()).unwrap_or_else(|| "UTC".into());
    let zone = json!({ "type": "plain_text_input", "action_id": "value", "max_length": 60, "initial_value": zone });
    let channel = json!({ "type": "conversations_select", "action_id": "value", "default_to_current_conversation": true,
        "filter": { "include": ["public", "private", "im"], "exclude_bot_users": true,
            "exclude_external_shared_channels": true } });
    let empty = json!({ "type": "checkboxes", "action_id": "value",
        "options": [{ "text": block::plain_text("Post nothing if there is nothing to say", 75), "value": "skip" }] });
    let cost = json!({ "type": "number_input", "action_id": "value", "is_decimal_allowed": true, "min_value": "0",
        "max_value": "1000" });
    let blocks = vec![
        block::input("question", "What is asked", None, false, asked),
        block::input("when", "When", None, false, when),
        block::input(
            "cron",
            "Other times",
            Some("Minute, hour, day, month and weekday, for \"At other times\"."),
            true,
            cron,
        ),
        block::input("zone", "Time zone", Some("Such as Europe/Berlin."), false, zone),
        block::input("channel", "Where", None, false, channel),
        block::input("empty", "Without news", None, true, empty),
        block::input("cost", "Most dollars of one run", None, true, cost),
        block::context("It runs with your rights of that day. After three failures it rests."),
    ];
    block::modal(ids::SCHEDULE_MODAL, "Scheduled report", Some("Save"), metadata, blocks)
}

/// What was entered, of `state.values`.
///
/// # Errors
/// What is wrong, by block: the `errors` of an answer to Slack.
pub fn submitted(values: &Value) -> Result<Request, BTreeMap<String, String>> {
    let typed = |block: &str| values[block]["value"]["value"].as_str().unwrap_or_default().trim().to_owned();
    let preset = values["when"]["value"]["selected_option"]["value"].as_str().unwrap_or("custom");
    let cron = if preset == "custom" { typed("cron") } else { preset.to_owned() };
    let channel = values["channel"]["value"]["selected_conversation"].as_str().unwrap_or_default().to_owned();
    let (question, zone, cost) = (typed("question"), typed("zone"), typed("cost"));
    let max_cost_usd = cost.parse::<f64>().ok().filter(|usd| usd.is_finite() && *usd > 0.0);
    let checks = [
        ("question", !question.is_empty(), "This is needed."),
        ("cron", is_cron(&cron), "These are no five fields such as 30 8 * * 1-5."),
        ("zone", !zone.is_empty(), "This is needed."),
        ("channel", !channel.is_empty(), "Choose a channel."),
        ("cost", cost.is_empty() || max_cost_usd.is_some(), "This is no sum."),
    ];
    let wrong: BTreeMap<String, String> = checks
        .into_iter()
        .filter(|(_, is_right, _)| !is_right)
        .map(|(block, _, why)| (block.into(), why.into()))
        .collect();
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let skip_empty = values["empty"]["value"]["selected_options"].as_array().is_some_and(|chosen| !chosen.is_empty());
    Ok(Request { question, cron, zone, channel, skip_empty, max_cost_usd })
}

/// Whether it has the form of cron.
fn is_cron(cron: &str) -> bool {
    let fields: Vec<&str> = cron.split_whitespace().collect();
    let is_field =
        |field: &&str| field.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '*' | '/' | ',' | '-' | '#'));
    fields.len() == 5 && fields.iter().all(is_field)
}

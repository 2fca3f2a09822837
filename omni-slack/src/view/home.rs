//! The home tab.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    block::{self, Look},
    confirm::{self, Card},
    help::Server,
    ids, limits,
    schedule::{self, Schedule},
    status::Standing,
    text, time,
};

/// Most servers that are shown.
const SERVERS: usize = 20;
/// Most questions that are shown.
const RECENT: usize = 5;
/// Longest arguments that are shown.
const ARGUMENTS: usize = 1_000;
/// Most calls that are shown.
const PENDING: usize = 5;

/// How much answers say of themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verbosity {
    /// The answer alone.
    Brief,
    /// As the configuration says.
    #[default]
    Normal,
    /// Each tool, each turn.
    Detailed,
}

impl Verbosity {
    const ALL: [(Self, &'static str, &'static str); 3] = [
        (Self::Brief, "brief", "Only the answer"),
        (Self::Normal, "normal", "Answer and a line about it"),
        (Self::Detailed, "detailed", "Everything that was done"),
    ];
}

/// What somebody prefers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Preferences {
    /// How much answers say of themselves.
    pub verbosity: Verbosity,
    /// Whether answers say what they cost.
    pub show_cost: bool,
    /// Whether `/omni` answers to them alone.
    pub private_by_default: bool,
    /// Whether replies in their threads need no mention.
    pub follow_up: bool,
}

impl Default for Preferences {
    fn default() -> Self {
        Self { verbosity: Verbosity::Normal, show_cost: true, private_by_default: false, follow_up: true }
    }
}

/// A question that was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recent {
    /// The question.
    pub question: String,
    /// When.
    pub at: DateTime<Utc>,
    /// Whether it was answered.
    pub is_answered: bool,
    /// Its message.
    pub link: Option<String>,
    /// The value of "Run again".
    pub again: Option<String>,
}

/// All of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Home {
    /// How the person stands.
    pub standing: Standing,
    /// The servers that they may use.
    pub servers: Vec<Server>,
    /// What they asked, the last first.
    pub recent: Vec<Recent>,
    /// What waits for their decision.
    pub pending: Vec<Card>,
    /// Their schedules.
    pub schedules: Vec<Schedule>,
    /// What they prefer; nothing where it cannot be kept.
    pub preferences: Option<Preferences>,
    /// Whether schedules can be kept.
    pub has_schedules: bool,
}

/// The `view` of `views.publish`.
#[must_use]
pub fn view(home: &Home) -> Value {
    let name = text::plain_line(&home.standing.name, 60);
    let title = if name.is_empty() { "👋 Welcome".to_owned() } else { format!("👋 {name}") };
    let mut blocks = vec![block::header(&title), home.standing.fields()];
    let refresh = block::button(ids::HOME_REFRESH, "Refresh", "", Look::Plain);
    blocks.extend(block::actions("omni:home", refresh.into_iter().collect()));
    blocks.extend(pending(&home.pending));
    blocks.extend(servers(&home.servers));
    blocks.extend(recent(&home.recent));
    if home.has_schedules {
        blocks.push(block::header("🗓 Scheduled reports"));
        blocks.extend(schedule::lines(&home.schedules));
        let new = block::button(ids::SCHEDULE_NEW, "New schedule", "", Look::Plain);
        blocks.extend(block::actions("omni:schedule", new.into_iter().collect()));
    }
    blocks.extend(home.preferences.as_ref().map(preferences_blocks).unwrap_or_default());
    json!({ "type": "home", "blocks": blocks.into_iter().take(limits::VIEW_BLOCKS).collect::<Vec<_>>() })
}

/// Says in the home tab how to be let in.
#[must_use]
pub fn closed(message: &super::Message) -> Value {
    json!({ "type": "home", "blocks": message.blocks })
}

fn pending(cards: &[Card]) -> Vec<Value> {
    if cards.is_empty() {
        return Vec::new();
    }
    let mut blocks = vec![block::header("✋ Waiting for your decision")];
    for (at, card) in cards.iter().take(PENDING).enumerate() {
        let call = format!("{} · {}", text::mrkdwn_line(&card.server, 100), text::code(&card.tool, 150));
        let asker =
            card.asker.as_deref().map_or(String::new(), |asker| format!("\nFor {}", text::mrkdwn_line(asker, 200)));
        blocks.push(block::section(&format!("*{call}*{asker}\nUntil {}", time::clock(card.expires_at))));
        // Who agrees has to have seen what for.
        let written = text::plain(&confirm::written(&card.arguments), usize::MAX);
        let is_shown = limits::width(&written) <= ARGUMENTS;
        if is_shown {
            blocks.push(block::plain_section(&written));
        } else {
            blocks.push(block::context("_It has more arguments than fit here: decide in its message._"));
        }
        let approve = || {
            let mut button = block::button(ids::APPROVE, "Approve", &card.value, Look::Danger)?;
            let question = format!("{} of {} runs once, with exactly these arguments.", card.tool, card.server);
            button["confirm"] = block::ask_back("Run this now?", &question, "Run it", "Not yet");
            Some(button)
        };
        let buttons = [
            is_shown.then(approve).flatten(),
            block::button(ids::DENY, "Deny", &card.value, Look::Plain),
            block::button(ids::DETAILS, "Details", &card.value, Look::Plain),
        ];
        blocks.extend(block::actions(&format!("omni:confirm:{at}"), buttons.into_iter().flatten().collect()));
    }
    if cards.len() > PENDING {
        blocks.push(block::context(&format!("_… and {} more._", cards.len() - PENDING)));
    }
    blocks
}

fn servers(servers: &[Server]) -> Vec<Value> {
    let mut blocks = vec![block::header("🔌 Servers")];
    if servers.is_empty() {
        blocks.push(block::section("⚠️ _No MCPs available. Contact your administrator for access._"));
        return blocks;
    }
    let line = |server: &Server| {
        let name = if server.display_name.trim().is_empty() { &server.name } else { &server.display_name };
        format!("{} *{}* · {} tools", server.dot.sign(), text::mrkdwn_line(name, 60), server.tools)
    };
    let lines: Vec<String> = servers.iter().take(SERVERS).map(line).collect();
    blocks.extend(lines.chunks(10).map(|lines| block::section(&lines.join("\n"))));
    if servers.len() > SERVERS {
        blocks.push(block::context(&format!("_… and {} more; `/omni-help` shows all._", servers.len() - SERVERS)));
    }
    blocks
}

fn recent(questions: &[Recent]) -> Vec<Value> {
    if questions.is_empty() {
        return Vec::new();
    }
    let mut blocks = vec![block::header("🕑 Recent questions")];
    for (at, question) in questions.iter().take(RECENT).enumerate() {
        let sign = if question.is_answered { "✅" } else { "❌" };
        let asked = text::mrkdwn_line(&question.question, 200);
        blocks.push(block::section(&format!("{sign} {asked}\n{}", time::moment(question.at))));
        let open = question.link.as_deref().and_then(|link| block::link(&format!("{}:{at}", ids::LINK), "Open", link));
        let again =
            question.again.as_deref().and_then(|again| block::button(ids::AGAIN, "Run again", again, Look::Plain));
        blocks.extend(block::actions(&format!("omni:recent:{at}"), open.into_iter().chain(again).collect()));
    }
    blocks
}

fn preferences_blocks(preferences: &Preferences) -> Vec<Value> {
    let option = |(_, value, label): &(Verbosity, &str, &str)| block::option(label, value);
    let options: Vec<Value> = Verbosity::ALL.iter().filter_map(option).collect();
    let mut verbosity = json!({ "type": "static_select", "action_id": ids::VERBOSITY, "options": options });
    if let Some(at) = Verbosity::ALL.iter().position(|(verbosity, ..)| *verbosity == preferences.verbosity) {
        verbosity["initial_option"] = options[at].clone();
    }
    let all = [
        ("cost", "Say what answers cost", preferences.show_cost),
        ("private", "Answer /omni to me alone", preferences.private_by_default),
        ("follow", "Take replies in my threads without a mention", preferences.follow_up),
    ];
    let box_of = |value: &str, label: &str| block::option(label, value);
    let boxes: Vec<Value> = all.iter().filter_map(|(value, label, _)| box_of(value, label)).collect();
    let chosen: Vec<Value> =
        all.iter().filter(|(.., is_on)| *is_on).filter_map(|(value, label, _)| box_of(value, label)).collect();
    let mut choices = json!({ "type": "checkboxes", "action_id": ids::PREFERENCES, "options": boxes });
    if !chosen.is_empty() {
        choices["initial_options"] = chosen.into();
    }
    let mut blocks = vec![block::header("⚙️ Preferences")];
    blocks.extend(block::actions("omni:preferences", vec![verbosity, choices]));
    blocks
}

/// What somebody prefers now, of an action of the home tab; nothing where it is another action.
#[must_use]
pub fn preferences(before: Preferences, action: &Value) -> Option<Preferences> {
    match action["action_id"].as_str()? {
        ids::VERBOSITY => {
            let chosen = action["selected_option"]["value"].as_str()?;
            let (verbosity, ..) = Verbosity::ALL.into_iter().find(|(_, value, _)| *value == chosen)?;
            Some(Preferences { verbosity, ..before })
        }
        ids::PREFERENCES => {
            let chosen = action["selected_options"].as_array()?;
            let has = |value: &str| chosen.iter().any(|option| option["value"] == value);
            let (show_cost, private_by_default, follow_up) = (has("cost"), has("private"), has("follow"));
            Some(Preferences { show_cost, private_by_default, follow_up, ..before })
        }
        _ => None,
    }
}

//! The small print around an answer: for whom it is, and what it took.

use omni_core::Answer;
use serde_json::Value;

use super::{block, text, time};

/// Most tools that are named.
const TOOLS: usize = 5;
/// Longest address that is shown.
const TRACE: usize = 500;
/// Longest name that is shown.
const NAME: usize = 60;

/// How much is said of the person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// The role.
    Minimal,
    /// Name and role.
    #[default]
    Standard,
    /// Name, address, role and servers.
    Detailed,
}

/// For whom an answer is. What is `None` is not shown.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Person {
    /// How much is said.
    pub format: Format,
    /// Their name.
    pub name: Option<String>,
    /// Their role.
    pub role: Option<String>,
    /// The sign of the role: `role_emojis`.
    pub emoji: Option<String>,
    /// Their address.
    pub email: Option<String>,
    /// How many servers they may use.
    pub servers: Option<Servers>,
    /// Their names.
    pub server_names: Vec<String>,
}

/// How many servers somebody may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Servers {
    /// All.
    All,
    /// So many.
    Some(usize),
}

impl Person {
    /// The line above an answer.
    #[must_use]
    pub fn header(&self) -> Option<Value> {
        let role = self.role.as_ref().map(|role| title(role));
        let emoji = self.emoji.as_deref().map_or(String::new(), |emoji| format!("{} ", shown(emoji)));
        let line = match self.format {
            Format::Minimal => format!("{emoji}{}", role.unwrap_or_default()),
            Format::Standard => {
                let name = self.name.as_deref().map_or(String::new(), |name| format!("👤 {}", shown(name)));
                let role = role.map_or(String::new(), |role| format!(" ({emoji}{role})"));
                format!("{name}{role}")
            }
            Format::Detailed => self.detailed(role),
        };
        let line = line.trim();
        (!line.is_empty()).then(|| block::context(line))
    }

    fn detailed(&self, role: Option<String>) -> String {
        let name = self.name.as_deref().map(|name| format!("👤 {}", shown(name)));
        let email = self.email.as_deref().map(shown);
        let role = role.map(|role| format!("Role: {role}"));
        let count = self.servers.map(|servers| match servers {
            Servers::All => "MCPs: All Available".to_owned(),
            Servers::Some(count) => format!("MCPs: {count} available"),
        });
        let names = listed(&self.server_names, 3).map(|names| format!("({names})"));
        [name, email, role, count, names].into_iter().flatten().collect::<Vec<_>>().join(" | ")
    }
}

/// What an answer took. What is `None` is not shown.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Footer {
    /// `server.tool` of each call.
    pub tools: Vec<String>,
    /// Whether tools are named.
    pub name_tools: bool,
    /// Model turns.
    pub iterations: Option<u32>,
    /// How long it took.
    pub duration_ms: Option<u64>,
    /// What it cost.
    pub cost_usd: Option<f64>,
    /// Tokens, in and out.
    pub tokens: Option<(u64, u64)>,
    /// The model.
    pub model: Option<String>,
    /// The role that counted.
    pub role: Option<String>,
    /// An address with more about it.
    pub trace: Option<String>,
    /// What the asker should know.
    pub warnings: Vec<String>,
    /// Whether it is a list of its own (`diagnostic_info` in detail) instead of a line.
    pub is_detailed: bool,
}

impl Footer {
    /// All there is to say of an answer; leave out of it what is not to be shown.
    #[must_use]
    pub fn of(answer: &Answer) -> Self {
        let sent = answer.tool_calls.iter().filter(|call| call.was_sent());
        let warnings = answer.warnings.iter().filter(|warning| !warning.is_note());
        let usage = &answer.usage;
        Self {
            tools: sent.map(|call| format!("{}.{}", call.server, call.tool)).collect(),
            name_tools: true,
            iterations: Some(answer.iterations),
            duration_ms: Some(answer.duration_ms),
            cost_usd: answer.cost.map(|cost| cost.as_usd()),
            tokens: Some((usage.input + usage.cache_read + usage.cache_write + usage.cache_write_1h, usage.output)),
            model: answer.model.clone(),
            role: answer.role.clone(),
            trace: None,
            warnings: warnings.map(|warning| warning.message.clone()).collect(),
            is_detailed: false,
        }
    }

    /// The lines under an answer; none where nothing is shown.
    #[must_use]
    pub fn blocks(&self) -> Vec<Value> {
        let mut lines = Vec::new();
        let (join, begin) = if self.is_detailed { ("\n• ", "🔧 *Behind the scenes:*\n• ") } else { (" · ", "") };
        let parts = self.parts().join(join);
        if !parts.is_empty() {
            lines.push(format!("{begin}{parts}"));
        }
        if let Some(names) = self.names() {
            lines.push(format!("📦 {names}"));
        }
        let mut blocks = Vec::new();
        if !lines.is_empty() {
            blocks.push(block::context(&lines.join("\n")));
        }
        let warnings = self.warnings.iter().take(3);
        blocks.extend(
            warnings.map(|warning| block::context(&format!("⚠️ *Warning:* {}", text::mrkdwn_line(warning, 500)))),
        );
        blocks
    }

    fn parts(&self) -> Vec<String> {
        let tools = (!self.tools.is_empty()).then(|| format!("🔧 *Tools used:* {}", self.tools.len()));
        let turns = self.iterations.map(|turns| format!("🔄 *Iterations:* {turns}"));
        let took = self.duration_ms.map(|took| format!("⏱ {}", time::duration(took)));
        let cost = self.cost_usd.map(|usd| format!("💰 {}", time::dollars(usd)));
        let tokens = self.tokens.map(|(input, output)| format!("🔢 {input} in, {output} out"));
        let model = self.model.as_deref().map(|model| text::code(model, NAME));
        let role = self.role.as_deref().map(|role| format!("as {}", text::mrkdwn_line(&title(role), NAME)));
        let trace = self.trace.as_deref().and_then(super::markdown::web);
        let trace = trace.filter(|url| url.as_str().len() <= TRACE);
        let trace = trace.map(|url| super::markdown::mrkdwn(&format!("[trace](<{url}>)")));
        [tools, turns, took, cost, tokens, model, role, trace].into_iter().flatten().collect()
    }

    fn names(&self) -> Option<String> {
        let mut names: Vec<String> = Vec::new();
        for tool in self.tools.iter().filter(|_| self.name_tools) {
            if !names.contains(tool) {
                names.push(tool.clone());
            }
        }
        listed(&names, TOOLS)
    }
}

/// The first names, and how many more there are.
fn listed(names: &[String], most: usize) -> Option<String> {
    let mut shown: Vec<String> = names.iter().take(most).map(|name| text::code(name, NAME)).collect();
    if names.len() > most {
        shown.push(format!("+{} more", names.len() - most));
    }
    (!shown.is_empty()).then(|| shown.join(", "))
}

fn shown(words: &str) -> String {
    text::mrkdwn_line(words, NAME)
}

/// `power_user` as people write it: Power User.
pub(super) fn title(role: &str) -> String {
    let capital = |word: &str| {
        let mut chars = word.chars();
        chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
    };
    let words: Vec<String> = role.split(['_', ' ']).map(capital).collect();
    text::mrkdwn_line(&words.join(" "), NAME)
}

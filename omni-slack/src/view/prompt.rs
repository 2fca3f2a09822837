//! The prompts that are suggested where a conversation begins.

use serde_json::{Value, json};

use super::{limits, text};

/// A prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// What is shown.
    pub title: String,
    /// What is asked.
    pub message: String,
}

impl Prompt {
    /// A prompt.
    #[must_use]
    pub fn new(title: &str, message: &str) -> Self {
        Self { title: title.into(), message: message.into() }
    }
}

/// Prompts by the servers that somebody may use: `(display name, a tool)` of each, the most useful first.
#[must_use]
pub fn for_servers(servers: &[(String, String)]) -> Vec<Prompt> {
    let ask = |(server, tool): &(String, String)| {
        let (server, tool) = (text::plain_line(server, 60), text::plain_line(tool, 60).replace('_', " "));
        Prompt { title: format!("{server}: {tool}"), message: format!("Use {server} to {tool}") }
    };
    let mut prompts = vec![Prompt::new("What can I do?", "Which tools can I use?")];
    prompts.extend(servers.iter().take(limits::PROMPTS - 2).map(ask));
    prompts.push(Prompt::new("My usage", "Show my queries and cost for the last 7 days"));
    prompts
}

/// The `prompts` of `assistant.threads.setSuggestedPrompts`.
#[must_use]
pub fn to_json(prompts: &[Prompt]) -> Value {
    let shown = |shown: &str, max| Some(text::plain_line(shown, max)).filter(|shown| !shown.is_empty());
    let prompt = |prompt: &Prompt| {
        Some(
            json!({ "title": shown(&prompt.title, limits::BUTTON)?, "message": shown(&prompt.message, limits::OPTION * 4)? }),
        )
    };
    prompts.iter().filter_map(prompt).take(limits::PROMPTS).collect()
}

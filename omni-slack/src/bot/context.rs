//! What was said in a thread before the bot was called into it: for the model, as data from outside.

use omni_core::ask::Attachment;
use serde_json::Value;

use super::Bot;
use crate::{event, view};

/// Most messages that are read.
const MOST_MESSAGES: usize = 50;
/// Most characters of one message, and of all.
const MOST_OF_ONE: usize = 2_000;
const MOST_OF_ALL: usize = 24_000;

impl Bot {
    /// The thread up to a message. What the bot itself said there it knows, where it keeps the conversation.
    pub(super) async fn thread_before(
        &self,
        channel: &str,
        thread: &str,
        ts: &str,
        knows_own: bool,
    ) -> Option<Attachment> {
        self.thread_read(channel, thread, ts, false, knows_own).await
    }

    async fn thread_read(
        &self,
        channel: &str,
        thread: &str,
        ts: &str,
        with_last: bool,
        knows_own: bool,
    ) -> Option<Attachment> {
        let messages = match self.api().replies(channel, thread, ts, MOST_MESSAGES).await {
            Ok(messages) => messages,
            Err(error) => {
                tracing::warn!(%error, "a thread cannot be read into which the bot was called");
                return None;
            }
        };
        let mut said = Vec::new();
        // Slack puts the thread's first message in whatever is asked for.
        let upto = |message: &&Value| message["ts"].as_str().is_some_and(|at| at < ts || (with_last && at == ts));
        for message in messages.iter().filter(upto) {
            if let Some(line) = self.line(message, knows_own).await {
                said.push(line);
            }
        }
        let text = newest(&said);
        (!text.is_empty()).then(|| Attachment { name: "slack thread".into(), text })
    }

    /// The same with the message itself, for a question about it.
    pub(super) async fn thread_upto(&self, channel: &str, thread: &str, ts: &str) -> Option<Attachment> {
        self.thread_read(channel, thread, ts, true, false).await
    }

    async fn line(&self, message: &Value, knows_own: bool) -> Option<String> {
        let user = message["user"].as_str().unwrap_or_default();
        let is_mine = user == self.me().user;
        let mut text: String = self.read(&words(message)).trim().chars().take(MOST_OF_ONE).collect();
        let files = event::files(message);
        if !files.is_empty() {
            let gap = if text.is_empty() { "" } else { "\n" };
            text = format!("{text}{gap}({})", view::file::attached(&files));
        }
        if text.is_empty() || (is_mine && knows_own) {
            return None;
        }
        let name = match (is_mine, user) {
            (true, _) => "omni".into(),
            (false, "") => "an app".into(),
            (false, user) => self.0.people.name(self.api(), user).await,
        };
        Some(format!("{name}: {text}"))
    }
}

/// What a message says. Apps often say nothing in its text, and all in what hangs on it.
fn words(message: &Value) -> String {
    let text = |value: &Value| value.as_str().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
    if let Some(text) = text(&message["text"]) {
        return text;
    }
    let mut said = Vec::new();
    blocks(&message["blocks"], &mut said);
    for attachment in message["attachments"].as_array().into_iter().flatten() {
        let before = said.len();
        said.extend(["pretext", "title", "text"].iter().filter_map(|key| text(&attachment[*key])));
        blocks(&attachment["blocks"], &mut said);
        if said.len() == before {
            said.extend(text(&attachment["fallback"]));
        }
    }
    said.join("\n")
}

/// The texts of blocks, at any depth that Slack has.
fn blocks(value: &Value, said: &mut Vec<String>) {
    match value {
        Value::Array(all) => all.iter().for_each(|one| blocks(one, said)),
        Value::Object(fields) => {
            if let Some(text) = fields.get("text").and_then(Value::as_str).filter(|text| !text.trim().is_empty()) {
                said.push(text.to_owned());
            }
            let inner = ["text", "fields", "elements"].iter().filter_map(|key| fields.get(*key));
            inner.filter(|inner| !inner.is_string()).for_each(|inner| blocks(inner, said));
        }
        _ => {}
    }
}

/// The newest lines that there is room for, in order.
fn newest(lines: &[String]) -> String {
    let mut left = MOST_OF_ALL;
    let kept = lines.iter().rev().take_while(|line| {
        let fits = line.len() <= left;
        left = left.saturating_sub(line.len() + 1);
        fits
    });
    let mut kept: Vec<&str> = kept.map(String::as_str).collect();
    kept.reverse();
    kept.join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_alert_is_read_by_what_hangs_on_it() {
        let alert = json!({ "text": "", "attachments": [
            { "title": "Disk is full", "text": "db-1 has 2 % left", "fallback": "not said twice" },
            { "fallback": "only this" },
            { "blocks": [{ "type": "section", "text": { "type": "mrkdwn", "text": "since 10:00" } }] },
        ] });
        assert_eq!(words(&alert), "Disk is full\ndb-1 has 2 % left\nonly this\nsince 10:00");
        let rich = json!({ "blocks": [{ "type": "rich_text", "elements": [
            { "type": "rich_text_section", "elements": [{ "type": "text", "text": "hello" }] } ] }] });
        assert_eq!(words(&rich), "hello");
        assert_eq!(words(&json!({ "text": "said", "blocks": [{ "text": { "text": "other" } }] })), "said");
    }

    #[test]
    fn what_was_said_last_is_kept_where_not_all_fits() {
        let lines: Vec<String> = (0..30).map(|at| format!("{at}: {}", "x".repeat(1_000))).collect();
        let text = newest(&lines);
        assert!(text.len() <= MOST_OF_ALL && text.starts_with("7:") && text.contains("\n29:"), "{}", &text[..20]);
    }
}

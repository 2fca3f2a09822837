//! What was said in a thread before the bot was called into it: for the model, as data from outside.

use omni_core::ask::Attachment;
use serde_json::Value;

use super::Bot;
use crate::{
    event,
    view::{self, ids},
    words,
};

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
        let mut text: String = self.read(&words::of(message)).trim().chars().take(MOST_OF_ONE).collect();
        let files = event::files(message);
        if !files.is_empty() {
            let gap = if text.is_empty() { "" } else { "\n" };
            text = format!("{text}{gap}({})", view::file::attached(&files));
        }
        if text.is_empty() || (is_mine && (knows_own || is_in_progress(message))) {
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

/// Whether a message of the bot's is not the answer that it becomes, or goes with: that has no button to stop it.
pub(super) fn is_in_progress(message: &Value) -> bool {
    let rows = message["blocks"].as_array().into_iter().flatten();
    let mut elements = rows.flat_map(|row| row["elements"].as_array().into_iter().flatten());
    elements.any(|element| element["action_id"] == ids::STOP)
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
    use super::*;
    use crate::view::answer;

    #[test]
    fn what_only_says_that_an_answer_comes_is_none() {
        let working = answer::working("Where?", Some("C1 1.1"));
        assert!(is_in_progress(&serde_json::json!({ "blocks": working.blocks })));
        let said = answer::View { markdown: "Press omni:stop.".into(), ..answer::View::default() };
        assert!(!is_in_progress(&serde_json::json!({ "blocks": answer::message(&said, 0).blocks })));
    }

    #[test]
    fn what_was_said_last_is_kept_where_not_all_fits() {
        let lines: Vec<String> = (0..30).map(|at| format!("{at}: {}", "x".repeat(1_000))).collect();
        let text = newest(&lines);
        assert!(text.len() <= MOST_OF_ALL && text.starts_with("7:") && text.contains("\n29:"), "{}", &text[..20]);
    }
}

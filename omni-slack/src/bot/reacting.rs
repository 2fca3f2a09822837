//! Reactions: thumbs under answers, and signs that have the bot asked what a message says.

use omni_core::ask::Attachment;
use serde_json::json;

use super::{Bot, command::kind_of, judging::verdict_of, question::Question};
use crate::{event::Reaction, words};

/// What is asked about the words of somebody else.
pub(super) const ABOUT: &str =
    "Answer the question in the attached message, if there is one; else say what it is about.";

impl Bot {
    /// Whether a reaction may be for the bot, as far as it can be seen at once.
    pub(super) fn may_matter(&self, reaction: &Reaction) -> bool {
        let is_own = reaction.author == self.me().user;
        reaction.user.id != self.me().user
            && match is_own {
                true => verdict_of(&reaction.name).is_some(),
                false => self.config().reactions.contains(&reaction.name),
            }
    }

    pub(super) async fn reacted(&self, reaction: Reaction) {
        match verdict_of(&reaction.name) {
            Some(verdict) if reaction.author == self.me().user => self.judged_by_reaction(&reaction, verdict).await,
            _ => self.asked_by_reaction(&reaction).await,
        }
    }

    /// Asks what a message says, as whoever reacted to it.
    async fn asked_by_reaction(&self, reaction: &Reaction) {
        let kind = kind_of(&reaction.channel);
        if !self.answers_in(&reaction.channel, kind).await {
            return;
        }
        let Some(Said { own, attached, whole, thread }) = self.said_at(reaction).await else { return };
        let Ok(person) = self.resolve(&reaction.user, &reaction.channel).await else { return };
        // What others wrote is nothing that whoever reacts wants done, also where it hangs on words of their own.
        let is_own = reaction.author == reaction.user.id && !own.is_empty();
        let (asked, about) = if is_own { (own, attached) } else { (ABOUT.to_owned(), whole) };
        let mut question = Question::new(person, &reaction.channel, kind, asked);
        (question.ts, question.thread) = (Some(reaction.ts.clone()), Some(thread));
        question.is_about = !about.is_empty();
        let about = Some(about).filter(|about| !about.is_empty());
        question.attachments.extend(about.map(|text| Attachment { name: "slack message".into(), text }));
        self.ask(question).await;
    }

    /// What a message says.
    async fn said_at(&self, reaction: &Reaction) -> Option<Said> {
        let asked = json!({ "channel": reaction.channel, "ts": reaction.ts, "latest": reaction.ts, "inclusive": true,
            "limit": 200 });
        let found = self.api().call("conversations.replies", &asked).await;
        let found = found.inspect_err(|error| tracing::warn!(%error, "a message cannot be read")).ok()?;
        let message = found["messages"].as_array()?.iter().find(|one| one["ts"] == reaction.ts.as_str())?;
        let whole = self.without_me(&words::of(message));
        if whole.is_empty() {
            tracing::info!(
                channel = reaction.channel,
                "a message that somebody reacted to says nothing that can be read"
            );
            return None;
        }
        let thread = message["thread_ts"].as_str().unwrap_or(&reaction.ts).to_owned();
        let own = self.without_me(message["text"].as_str().unwrap_or_default());
        Some(Said { own, attached: self.read(&words::attached(message)), whole, thread })
    }
}

/// What a message says that somebody reacted to.
struct Said {
    /// Its author's own words.
    own: String,
    /// What hangs on it: others' words.
    attached: String,
    /// All of it.
    whole: String,
    /// The thread that it is in or begins.
    thread: String,
}

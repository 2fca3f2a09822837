//! Threads that the bot takes part in: what is said there is for it, though nobody calls it.
//!
//! Once its first answer is kept a thread is known by its conversation. Until then, and where nothing comes of the first
//! question, the bot knows by a mark that it said something there.

use std::time::Duration;

use serde_json::json;

use super::{
    Bot,
    command::kind_of,
    keeping::in_time,
    message::{BANG, place},
    question::Question,
};
use crate::{
    api::To,
    event::{ChannelKind, Message},
};

/// How long a mark counts that a database keeps; no longer than a conversation.
const KEPT_FOR: Duration = Duration::from_secs(24 * 60 * 60);

fn key(channel: &str, thread: &str) -> String {
    format!("thread/{channel}/{thread}")
}

impl Bot {
    /// Whether a reply in a thread is for the bot though nobody called it: it is part of the conversation.
    pub(super) async fn follows(&self, message: &Message) -> bool {
        let Some(thread) = &message.thread else { return false };
        let text = message.text.trim_start();
        if !self.config().follows(&message.channel) || text.starts_with("<@") {
            return false;
        }
        // What only its asker reads leaves nothing in a thread, and is stopped there all the same.
        self.has_part(&message.channel, thread).await
            || (text.starts_with(BANG) && self.is_answering(&message.channel, thread).await)
    }

    /// A question is answered from now on; where everybody reads the answer, its thread is the bot's too.
    pub(super) async fn begins_in_thread(&self, question: &Question) {
        if question.private.is_none() {
            self.takes_part(&question.to()).await;
        }
    }

    /// From now on a thread is the bot's too. In direct messages everything is for it anyway.
    pub(super) async fn takes_part(&self, to: &To) {
        let Some(thread) = to.thread.as_deref().filter(|_| kind_of(&to.channel) != ChannelKind::Direct) else { return };
        // Where nothing is kept of what was said, a reply needs a mention.
        let rules = self.omni().thread_rules();
        if rules.window(&place(kind_of(&to.channel), &to.channel), u64::MAX).is_none() {
            return;
        }
        let key = key(&to.channel, thread);
        if !self.0.seen.is_new(key.clone()) {
            return;
        }
        let Some(kept) = self.kept() else { return };
        if let Err(error) = in_time(kept.put_for(&key, &json!(true), KEPT_FOR.min(rules.expiry))).await {
            tracing::warn!(%error, "other processes may not know that replies in a thread are for the bot");
        }
    }

    async fn has_part(&self, channel: &str, thread: &str) -> bool {
        let mark = key(channel, thread);
        if self.0.seen.knows(&mark) {
            return true;
        }
        let known = match self.omni().knows_thread(&self.key(channel, thread)).await {
            Ok(false) => match self.kept() {
                Some(kept) => in_time(kept.get(&mark)).await.map(|mark| mark.is_some()),
                None => Ok(false),
            },
            known => known,
        };
        known.unwrap_or_else(|error| {
            tracing::warn!(%error, "it is not known whether a reply is for the bot");
            false
        })
    }
}

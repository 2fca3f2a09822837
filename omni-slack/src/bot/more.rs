//! The rest of an answer of which only the first messages were told: those that the ledger has whole.

use std::time::Duration;

use uuid::Uuid;

use super::{Bot, keeping::Whose};
use crate::{
    api::{Body, To},
    event::Action,
    people::Person,
    view::answer::{self, Buttons, View},
};

/// Most messages of an answer that are told at once, where no one is to be flooded; by the address of a command Slack
/// takes no more.
pub(super) const AT_ONCE: usize = 3;
/// How long the record of an answer that has just ended is waited for.
const SETTLE: Duration = Duration::from_secs(3);
/// Said where the rest is not to be had.
const GONE: &str = "⌛ I do not have the rest of this answer. Ask again, and it is told anew.";
const NOT_YET: &str = "⏳ The rest is not there yet. Please press it again in a moment.";
const NOT_YOURS: &str = "🚫 The rest is shown to whoever asked. Ask it yourself with *Run again*.";

/// What the button of an answer brings back: which one, and from which message on.
pub(super) fn value(ask: Uuid, from: usize, max: Option<usize>) -> String {
    format!("{ask} {from} {}", max.unwrap_or_default())
}

/// Which answer, from which message on, and how long these are.
fn read(value: &str) -> Option<(Uuid, usize, Option<usize>)> {
    let mut parts = value.split(' ');
    let (ask, from) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    Some((ask, from, parts.next()?.parse().ok().filter(|max| *max > 0)))
}

impl Bot {
    /// Tells more of an answer, to whoever may read it in the ledger.
    pub(super) async fn more(&self, person: &Person, action: &Action) {
        let Some((ask, from, max)) = read(&action.value) else { return };
        let text = match self.told_in_ledger(person, ask).await {
            Ok(text) => text,
            Err(body) => return self.answer_click(action, &body).await,
        };
        let place = if action.is_ephemeral { &person.user.id } else { &action.channel };
        let key = format!("more {} {place}", action.value);
        let told_already = Body::of("It is told already, further down.");
        if !self.0.seen.is_new(key.clone()) {
            return self.answer_click(action, &told_already).await;
        }
        let Whose::Ours(claim) = self.take_on(&key).await else {
            return self.answer_click(action, &told_already).await;
        };
        let view = View { markdown: text, max, ..View::default() };
        for message in messages(ask, &view, from) {
            if let Err(error) = self.tell_more(action, &message).await {
                tracing::warn!(%error, "the rest of an answer could not be told");
                // Whoever presses it again gets it.
                self.0.seen.forget(&key);
                claim.leave().await;
                return self.answer_click(action, &Body::of(NOT_YET)).await;
            }
        }
        claim.done().await;
    }

    /// An answer as the ledger has it; what somebody is told otherwise.
    async fn told_in_ledger(&self, person: &Person, ask: Uuid) -> Result<String, Body> {
        let log = self.omni().audit(person.credential()).await.map_err(|error| self.refused(person, &error))?;
        let gone = |error: omni_core::audit::AuditError| {
            tracing::warn!(%error, "the rest of an answer cannot be read");
            Body::of(GONE)
        };
        // It may be so new that the ledger has it only in its file.
        if log.entry(ask).await.map_err(gone)?.is_none() && self.omni().ledger().flush(SETTLE).await.is_err() {
            return Err(Body::of(NOT_YET));
        }
        let Some(entry) = log.entry(ask).await.map_err(gone)? else { return Err(Body::of(NOT_YOURS)) };
        log.answer(&entry).await.map_err(gone)?.ok_or_else(|| Body::of(GONE))
    }

    async fn tell_more(&self, action: &Action, message: &Body) -> Result<(), crate::SlackError> {
        match (&action.response_url, action.is_ephemeral) {
            (Some(url), true) => self.api().respond_in(url, action.thread.as_deref(), message).await,
            _ => {
                let thread = action.thread.clone().or_else(|| self.threads(action).then(|| action.ts.clone()));
                let to = To { channel: action.channel.clone(), thread };
                self.api().post_for(&to, &action.user.id, message).await.map(drop)
            }
        }
    }

    /// Whether what belongs to a message stands in its thread.
    fn threads(&self, action: &Action) -> bool {
        super::command::kind_of(&action.channel) != crate::event::ChannelKind::Direct
    }
}

/// The next messages of an answer, the last of them with a button for what is left.
fn messages(ask: Uuid, view: &View, from: usize) -> Vec<Body> {
    let end = answer::page_count(view).min(from + AT_ONCE);
    let more = Buttons { more: Some(value(ask, end, view.max)), ..Buttons::default() };
    let with_more = View { buttons: more, ..view.clone() };
    (from..end).map(|page| answer::message(if page + 1 == end { &with_more } else { view }, page)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_messages_of_an_answer_come_in_turns_until_all_are_there() {
        let ask = Uuid::now_v7();
        let text: String =
            (0..900).map(|line| format!("Line {line:04} of a long answer, all of which is told.\n\n")).collect();
        let view = View { markdown: text, ..View::default() };
        let pages = answer::page_count(&view);
        assert!(pages > AT_ONCE, "{pages}");
        let (mut from, mut told) = (0, Vec::new());
        while from < pages {
            let next = messages(ask, &view, from);
            from += next.len();
            let has_more =
                next.iter().any(|one| one.blocks.iter().any(|block| block.to_string().contains("Show more")));
            assert_eq!(has_more, from < pages);
            told.extend(next);
        }
        let all: String = told.iter().map(|one| one.blocks[0]["text"].as_str().unwrap_or_default()).collect();
        assert!((0..900).all(|line| all.contains(&format!("Line {line:04} "))), "nothing is lost");
    }
}

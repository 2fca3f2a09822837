//! Step 4 of an ask: what it brings along of its conversation, and what the conversation keeps of it.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures::FutureExt as _;
use tokio::time::timeout;
use tracing::{Instrument as _, debug_span};

use crate::{
    agent::reading,
    answer::{Answer, Status, Warning},
    ask::Ask,
    catalog::Catalog,
    error::Error,
    llm::{Block, Message, ModelInfo, Speaker},
    mcp::Sharing,
    parts::{Parts, STEP_TIMEOUT},
    policy::Grant,
    thread::{
        Append, Called, ChannelKey, Conversation, Place, Summary, ThreadError, ThreadKey, Turn, Window, shorten, view,
    },
};

/// How long keeping a turn may hold up the end of its ask.
const KEEPING: Duration = Duration::from_secs(5);
/// Most characters of a conversation's name.
const MAX_NAME: usize = 200;
/// Most bytes of the place of a conversation.
const MAX_PLACE: usize = 1_000;

/// The conversation of one ask.
#[derive(Debug)]
pub(super) struct Talk {
    pub(super) key: ThreadKey,
    pub(super) window: Window,
    /// Whether there is nothing in it yet, and nobody named it.
    pub(super) is_new: bool,
    /// What the turn will be kept with.
    turn: Turn,
}

impl Talk {
    /// The conversation that an ask belongs to; `None` where it stands alone, or where conversations are
    /// switched off.
    ///
    /// # Errors
    /// [`Error::Invalid`]: it has a name that is none.
    pub(super) fn of(parts: &Parts, ask: &Ask, grant: &Grant, model: &ModelInfo) -> Result<Option<Self>, Error> {
        let Some(conversation) = &ask.thread else { return Ok(None) };
        let own = own_channel(grant, ask.source.as_str());
        let (key, place) = match conversation {
            Conversation::Own(name) | Conversation::New(name) => (own.thread(name), &Place::Own),
            Conversation::At { key, place } => (key.clone(), place),
        };
        check(&key)?;
        let mut turn = Turn::new(&*grant.principal.subject, Vec::new());
        turn.name.clone_from(&grant.display_name);
        turn.rules = grant.rules.fingerprint().to_owned();
        let is_new = matches!(conversation, Conversation::New(_));
        let window = parts.thread_rules.window(place, model.context_window);
        Ok(window.map(|window| Self { key, window, is_new, turn }))
    }

    /// Its name, for whoever goes on with it.
    pub(super) fn name(&self) -> &str {
        &self.key.thread
    }

    /// What was said before, as far as the asker may see it by now.
    ///
    /// # Errors
    /// [`Error::Thread`]: an answer that knows nothing of it would be another one.
    pub(super) async fn recall(&self, parts: &Parts, grant: &Grant, catalog: &Catalog) -> Result<Vec<Message>, Error> {
        if self.is_new {
            return Ok(Vec::new());
        }
        let reading = parts.threads.history(&self.key, self.window.most()).instrument(debug_span!("omni.thread"));
        let (kept, summary) = tokio::join!(timeout(STEP_TIMEOUT, reading), self.summary(parts));
        let kept = kept.unwrap_or_else(|_| Err(ThreadError::new("no answer in time")))?;
        Ok(view::messages(self.window.of(kept), summary.as_ref(), grant, catalog))
    }

    /// What stands for older turns, where that is wanted. An answer without it is what it would be were it not.
    async fn summary(&self, parts: &Parts) -> Option<Summary> {
        parts.thread_rules.summary.as_ref()?;
        done(STEP_TIMEOUT, parts.threads.summary(&self.key)).await.unwrap_or_else(|error| {
            tracing::warn!(error, "a question goes without the summary of its conversation");
            None
        })
    }

    /// The turn began under other rules: others see of its calls what they may use, whatever their own rules are.
    pub(super) fn is_judged_by_each(&mut self) {
        self.turn.rules = String::new();
    }

    /// Keeps what was `said`; `told` is what the asker was told beside it. The turn's number, or what the asker
    /// should know: an answer that is there is none the worse for it if that fails.
    pub(super) async fn keep(
        &self,
        parts: &Parts,
        said: Vec<Message>,
        answer: &Answer,
        told: &str,
    ) -> Result<u64, Option<Warning>> {
        if !is_worth_keeping(answer) || said.is_empty() {
            return Err(None);
        }
        let mut turn = self.turn.clone();
        turn.messages = ended(said, answer, told);
        turn.calls = calls(parts, answer);
        let turn = shorten(turn, &parts.redactor);
        let append = Append::new(&self.key, &turn).keeping(parts.thread_rules.expiry);
        let error = match done(KEEPING, parts.threads.append(append)).await {
            Ok(number) => return Ok(number),
            Err(error) => error,
        };
        tracing::warn!(error, "a turn of a conversation is not kept");
        Err(Some(Warning::new("not_kept", "this answer is not kept: the next question will not know of it")))
    }
}

/// What a store did, or in words why it did not, whatever is wrong with it.
async fn done<T>(within: Duration, doing: impl Future<Output = Result<T, ThreadError>>) -> Result<T, String> {
    let doing = AssertUnwindSafe(doing.instrument(debug_span!("omni.thread"))).catch_unwind();
    match timeout(within, doing).await {
        Ok(Ok(Ok(done))) => Ok(done),
        Ok(Ok(Err(error))) => Err(error.to_string()),
        Ok(Err(_)) => Err("the conversation store panicked".into()),
        Err(_) => Err("the conversation store did not answer in time".into()),
    }
}

/// Where somebody's own conversations are, by one door.
pub(super) fn own_channel(grant: &Grant, source: &str) -> ChannelKey {
    ChannelKey::new(&grant.principal.tenant, source, &grant.principal.subject)
}

fn check(key: &ThreadKey) -> Result<(), Error> {
    let name = key.thread.trim();
    if name.is_empty() || name.chars().any(char::is_control) || name.chars().nth(MAX_NAME).is_some() {
        let message = format!("a conversation's name has 1 to {MAX_NAME} characters, and no control characters");
        return Err(Error::Invalid { message });
    }
    match key.channel.len() {
        0..=MAX_PLACE => Ok(()),
        _ => Err(Error::Invalid { message: "the name of the conversation's channel is too long".into() }),
    }
}

/// What failed or was refused, vendors had better not read again.
fn is_worth_keeping(answer: &Answer) -> bool {
    match answer.status {
        Status::Completed | Status::Timeout | Status::RateLimited => true,
        // What waits for a human is kept when it has gone on.
        Status::Denied | Status::Failed | Status::Cancelled | Status::Waiting => false,
    }
}

/// A turn ends with what the asker was told. Text that was kept back from them is no part of it.
fn ended(mut said: Vec<Message>, answer: &Answer, told: &str) -> Vec<Message> {
    let is_kept_back = |block: &Block| matches!(block, Block::Text { text } if !answer.text.contains(text.trim()));
    for message in said.iter_mut().filter(|message| message.speaker == Speaker::Assistant) {
        message.blocks.retain(|block| !is_kept_back(block));
    }
    said.retain(|message| !message.blocks.is_empty());
    let has_text = |message: &Message| message.speaker == Speaker::Assistant && !message.text().trim().is_empty();
    if said.last().is_some_and(has_text) {
        return said;
    }
    // Of an ask that broke off, only the question is at hand, and what was told.
    let told = if said.iter().any(has_text) { told.trim() } else { answer.text.trim() };
    said.push(Message::assistant(vec![Block::text(if told.is_empty() { "(No answer.)" } else { told })]));
    said
}

fn calls(parts: &Parts, answer: &Answer) -> Vec<Called> {
    let catalog = parts.pool.catalog();
    let called = answer.tool_calls.iter().map(|call| {
        let mut called = Called::new(&*call.id, &*call.server, &*call.tool);
        // Which tool's result was read does not show: it is held to no rule, and only shown under the same ones.
        called.is_whole = !reading::is_own(call);
        // Of a server that is gone meanwhile it is not known.
        let is_shared = match parts.pool.options(&call.server) {
            Some(options) => options.sharing == Sharing::Shared,
            None => call.unsent,
        };
        called.is_own = !is_shared || (reading::is_own(call) && parts.pool.takes_tokens());
        called.is_destructive = catalog.rule_ref(&call.server, &call.tool).is_destructive;
        called
    });
    called.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> Answer {
        let mut answer = Answer::empty(uuid::Uuid::nil(), "ada");
        text.clone_into(&mut answer.text);
        answer
    }

    fn model(text: &str) -> Message {
        Message::assistant(vec![Block::text(text)])
    }

    fn kept(said: Vec<Message>, text: &str, told: &str) -> Vec<String> {
        ended(said, &answer(text), told).iter().map(Message::text).collect()
    }

    #[test]
    fn a_turn_ends_with_what_the_asker_was_told() {
        let question = || Message::user("Who?");
        assert_eq!(kept(vec![question(), model("Ada.")], "Ada.", ""), ["Who?", "Ada."]);
        let stopped = vec![question(), model("I look."), Message::user("results")];
        assert_eq!(
            kept(stopped, "I look.\n\n(Stopped.)", "\n\n(Stopped.)"),
            ["Who?", "I look.", "results", "(Stopped.)"]
        );
        assert_eq!(kept(vec![question()], "I look.\n\n(Stopped.)", "(Stopped.)"), ["Who?", "I look.\n\n(Stopped.)"]);
        assert_eq!(kept(vec![question()], "", ""), ["Who?", "(No answer.)"]);
        let kept_back = vec![question(), model("From what I know …")];
        assert_eq!(kept(kept_back, "I can use: x.", ""), ["Who?", "I can use: x."]);
    }
}

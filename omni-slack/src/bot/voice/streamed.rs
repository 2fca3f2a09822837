//! An answer as it is written: Slack's own streams, with a card for every call.
//!
//! A stream ends by itself after some minutes, and takes only so much. So an answer is as many streams as it
//! takes: what one did not take the next one begins with, and no text is lost in between. Where Slack wants a pause a
//! stream is no worse for that: until then more is gathered for it.
//!
//! A thread of an agent's session has Slack's own button to stop. Where Slack keeps no such session, a message has one until
//! the answer has ended. Nothing of the answer waits for that one.

use std::{mem, time::Duration};

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Bot, End, Voice};
use crate::{
    api::{Api, Body, To, has_ended},
    bot::{interrupted::Doing, question::Question},
    port::SlackError,
    view::{
        answer,
        rollover::Roller,
        task::{Card, State},
    },
};

/// How long a stream is used: Slack ends it after five minutes.
const OPEN_FOR: Duration = Duration::from_secs(4 * 60 + 30);
/// So much text is told at once, without waiting.
const ENOUGH: usize = 256;
/// What the session is called at most.
const MOST_OF_TITLE: usize = 60;
/// How many streams in a row may take nothing at all.
const MOST_IN_VAIN: u32 = 3;
/// What Slack says of a session that nobody can stop by its button.
const NOT_STOPPABLE: &str = "missing_agent_session_stopped_event_subscription";

/// A stream that takes more.
#[derive(Debug)]
struct Open {
    ts: String,
    since: Instant,
    /// When it took something last.
    last: Instant,
}

/// Whether what waits can wait longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Haste {
    /// More comes, and it may go with that.
    Meanwhile,
    /// Nothing more comes.
    AtEnd,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Streamed {
    api: Api,
    to: To,
    thread: String,
    /// Whoever asked, and their workspace: Slack wants to know.
    recipient: (String, String),
    question: String,
    /// What the button to stop names, and the message that has it where Slack has none of its own; whether there is to
    /// be one that is not there yet.
    spot: String,
    button: Option<String>,
    lacks_button: bool,
    /// Where it is kept which message that is and which stream is open, for whoever tidies up after a kill.
    doing: Option<Doing>,
    /// What goes on when the answer has ended.
    tasks: TaskTracker,
    /// Nobody waits any more for what Slack does not take at once.
    stopped: CancellationToken,
    open: Option<Open>,
    roller: Roller,
    /// Cards that are still running.
    cards: Vec<Card>,
    /// Slack opens no stream: what is left is told by messages at the end.
    is_broken: bool,
    in_vain: u32,
    /// The messages that the answer is so far.
    told: Vec<String>,
}

impl Streamed {
    pub(super) fn new(
        bot: &Bot,
        question: &Question,
        thread: &str,
        stopped: CancellationToken,
        doing: Option<Doing>,
    ) -> Self {
        let person = &question.person;
        let (channel, spot) = question.spot();
        Self {
            api: bot.api().clone(),
            to: question.to(),
            thread: thread.to_owned(),
            recipient: (person.user.id.clone(), person.team.clone()),
            question: question.text.clone(),
            spot: format!("{channel} {spot}"),
            button: None,
            lacks_button: false,
            doing,
            tasks: bot.0.tasks.clone(),
            stopped,
            open: None,
            roller: Roller::new(),
            cards: Vec::new(),
            is_broken: false,
            in_vain: 0,
            told: Vec::new(),
        }
    }

    /// Sends what waits.
    async fn flush(&mut self, haste: Haste) {
        if self.is_broken || (haste == Haste::Meanwhile && !self.is_free()) {
            return;
        }
        if self.open.as_ref().is_some_and(|open| open.since.elapsed() > OPEN_FOR) {
            let close = self.roller.roll();
            self.stop(close).await;
        }
        while let Some(batch) = self.roller.batch() {
            if !batch.chunks.is_empty() {
                if let Err(error) = self.send(&batch.chunks, haste).await {
                    match self.is_another_try_left(&error, haste) {
                        true => continue,
                        false => return,
                    }
                }
                self.in_vain = 0;
            }
            self.roller.sent();
            if batch.rolls {
                self.stop(None).await;
            }
        }
    }

    /// Whether Slack is to be told something now that can wait.
    fn is_free(&self) -> bool {
        self.open.as_ref().is_none_or(|open| self.api.may_append(open.last))
    }

    /// Whether what Slack did not take is sent once more at once.
    fn is_another_try_left(&mut self, error: &SlackError, haste: Haste) -> bool {
        match error {
            SlackError::Limited { .. } if self.open.is_some() && haste == Haste::Meanwhile => {
                self.roller.postponed();
                false
            }
            SlackError::Limited { .. } => {
                tracing::info!(%error, "what is left of an answer comes as a message");
                self.is_broken = true;
                false
            }
            _ if self.open.is_some() && self.in_vain < MOST_IN_VAIN => {
                tracing::debug!(%error, "a stream takes nothing more; another one goes on");
                self.in_vain += 1;
                self.leave(error);
                self.roller.lost();
                true
            }
            _ => {
                tracing::info!(%error, "Slack opens no stream; the answer comes as a message");
                self.is_broken = true;
                false
            }
        }
    }

    /// Leaves a stream that did not take something. It may stand open, and what goes on does not wait until it is ended.
    fn leave(&mut self, error: &SlackError) {
        let Some(open) = self.open.take().filter(|_| !has_ended(error)) else { return };
        let (api, channel) = (self.api.clone(), self.to.channel.clone());
        self.tasks.spawn(async move { api.stop_stream(&channel, &open.ts, json!({})).await });
    }

    async fn send(&mut self, chunks: &[Value], haste: Haste) -> Result<(), SlackError> {
        const METHOD: &str = "chat.appendStream";
        let Some(open) = &mut self.open else { return self.start(chunks).await };
        let more = json!({ "channel": self.to.channel, "ts": open.ts, "chunks": chunks });
        open.last = Instant::now();
        match haste {
            Haste::Meanwhile => self.api.call_once(METHOD, &more).await.map(drop),
            Haste::AtEnd => self.api.call_until(METHOD, &more, &self.stopped).await.map(drop),
        }
    }

    async fn start(&mut self, chunks: &[Value]) -> Result<(), SlackError> {
        let start = json!({
            "channel": self.to.channel,
            "thread_ts": self.thread,
            "recipient_user_id": self.recipient.0,
            "recipient_team_id": self.recipient.1,
            "task_display_mode": "timeline",
            "chunks": chunks,
        });
        // Waiting for a stream to begin would be silence.
        let started = self.api.call_once("chat.startStream", &start).await?;
        let ts = started["ts"].as_str().unwrap_or_default().to_owned();
        self.told.push(ts.clone());
        let now = Instant::now();
        self.open = Some(Open { ts, since: now, last: now });
        self.keep_open().await;
        Ok(())
    }

    /// Keeps which stream is open, and how the cards in it end that are still running.
    async fn keep_open(&mut self) {
        let (Some(doing), Some(open)) = (&mut self.doing, &self.open) else { return };
        let ends = self.cards.iter().map(|card| broken_off(card.clone()).chunk()).collect();
        doing.streams(&open.ts, ends).await;
    }

    /// Ends the stream, where another one goes on.
    async fn stop(&mut self, close: Option<Value>) {
        let Some(open) = self.open.take() else { return };
        let with = close.map_or_else(|| json!({}), |close| json!({ "chunks": [close] }));
        self.api.stop_stream(&self.to.channel, &open.ts, with).await;
    }

    /// Ends the last stream, with what stands under the answer.
    async fn close(&mut self, ts: &str, end: &End, status: &str) {
        let mut with = json!({ "session_status": status });
        let tail = end.tail();
        if !tail.is_empty() {
            with["blocks"] = tail.into();
        }
        if !self.api.stop_stream(&self.to.channel, ts, with).await {
            self.post_tail(end).await;
            self.status(status).await;
        }
    }

    /// Tells by messages what no stream took, and what is added to it.
    async fn post_rest(&mut self, end: &End) {
        let mut rest = end.rest(self.roller.rest());
        if rest.view.markdown.is_empty() {
            // Of the answer it is all that there is, or all that stands under it.
            rest.view.person = end.view.person.clone();
        }
        if rest.view.markdown.is_empty() && rest.view.note.is_none() && !self.told.is_empty() {
            return self.post_tail(end).await;
        }
        for message in rest.messages() {
            match self.api.post_for(&self.to, &self.recipient.0, &message).await {
                Ok(posted) => self.told.extend(posted),
                Err(error) => tracing::warn!(%error, "a part of an answer could not be posted"),
            }
        }
    }

    /// Footer and buttons in a message of their own.
    async fn post_tail(&mut self, end: &End) {
        let blocks = end.tail();
        if blocks.is_empty() {
            return;
        }
        match self.api.post(&self.to, &Body { text: "…".into(), blocks }).await {
            Ok(posted) => self.told.push(posted),
            Err(error) => tracing::warn!(%error, "the buttons of an answer could not be posted"),
        }
    }

    /// Says how the session stands; whether Slack keeps one that can be stopped, as far as it says.
    async fn status(&self, status: &str) -> bool {
        let title: String = self.question.chars().take(MOST_OF_TITLE).collect();
        let told = json!({ "channel_id": self.to.channel, "thread_ts": self.thread, "status": status,
            "title": title, "initiator_user_id": self.recipient.0 });
        match self.api.call_once("agents.sessions.setStatus", &told).await {
            Ok(answer) => answer["warning"] != NOT_STOPPABLE,
            Err(error) => {
                tracing::debug!(%error, "Slack takes no status");
                // That it wants a pause, or is away, is no word of whether it keeps any.
                error.code().is_none()
            }
        }
    }

    /// Posts a button to stop where one is to be, unless the channel has other messages to take now.
    async fn offer_stop(&mut self) {
        if !self.lacks_button {
            return;
        }
        let working = answer::working(&self.question, Some(&self.spot));
        match self.api.post_if_free(&self.to, &working).await {
            Ok(None) | Err(SlackError::Limited { .. }) => return,
            Ok(Some(ts)) => {
                if let Some(doing) = &mut self.doing {
                    doing.shows_button(&ts).await;
                }
                self.button = Some(ts);
            }
            Err(error) => tracing::info!(%error, "an answer can be stopped by a word alone"),
        }
        self.lacks_button = false;
    }

    /// There is nothing to be stopped any more.
    fn take_stop_away(&mut self) {
        let Some(ts) = self.button.take() else { return };
        let (api, channel) = (self.api.clone(), self.to.channel.clone());
        self.tasks.spawn(async move {
            if let Err(error) = api.delete(&channel, &ts).await {
                tracing::info!(%error, "a button to stop what has ended could not be taken away");
            }
        });
    }
}

/// How a card ends whose call nobody waits for any more.
fn broken_off(card: Card) -> Card {
    Card { state: State::Failed, output: Some("stopped".into()), ..card }
}

#[async_trait]
impl Voice for Streamed {
    async fn begin(&mut self) {
        self.lacks_button = !self.status("processing").await;
        self.offer_stop().await;
    }

    async fn goes_on(&mut self) {
        self.status("processing").await;
    }

    async fn text(&mut self, piece: &str) {
        self.roller.text(piece);
        if !self.is_broken && self.roller.waiting() >= ENOUGH {
            self.flush(Haste::Meanwhile).await;
        }
    }

    async fn card(&mut self, card: Card) {
        self.flush(Haste::Meanwhile).await;
        self.cards.retain(|one| one.id != card.id);
        if card.state == State::Running {
            self.cards.push(card.clone());
        }
        self.roller.card(card);
        self.flush(Haste::Meanwhile).await;
        self.keep_open().await;
    }

    async fn tick(&mut self) {
        self.offer_stop().await;
        self.flush(Haste::Meanwhile).await;
    }

    async fn end(&mut self, end: &End) -> Vec<String> {
        for card in mem::take(&mut self.cards) {
            self.roller.card(broken_off(card));
        }
        self.roller.finish();
        self.flush(Haste::AtEnd).await;
        let status = if end.is_waiting { "suspended" } else { "active" };
        match self.open.take() {
            Some(open) if !self.is_broken => self.close(&open.ts, end, status).await,
            open => {
                self.post_rest(end).await;
                // It may stand open, and take nothing now.
                self.open = open;
                self.stop(None).await;
                self.status(status).await;
            }
        }
        self.take_stop_away();
        mem::take(&mut self.told)
    }
}

#[cfg(test)]
mod tests;

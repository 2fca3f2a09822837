//! An answer as it is written: Slack's own streams, with a card for every call.
//!
//! A stream ends by itself after some minutes, and takes only so much. So an answer is as many streams as it
//! takes: what one did not take the next one begins with, and no text is lost in between.

use std::{mem, time::Duration};

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Card, CardState, End, Voice};
use crate::{
    api::{Api, Body, To},
    bot::question::Question,
    port::SlackError,
    view::{
        self,
        stream::{Piece, Rollover, TaskState},
    },
};

/// How long a stream is used: Slack ends it after five minutes.
const OPEN_FOR: Duration = Duration::from_secs(4 * 60 + 30);
/// So much text is told at once, without waiting.
const ENOUGH: usize = 256;
/// Most characters of a message that is no stream.
const MOST_OF_MESSAGE: usize = 11_000;
/// What the session is called at most.
const MOST_OF_TITLE: usize = 60;

/// A stream that takes more.
#[derive(Debug)]
struct Open {
    ts: String,
    since: Instant,
}

/// What is not told yet.
#[derive(Debug, Clone, PartialEq)]
enum Item {
    /// Text as it is told.
    Text(String),
    Card(Card),
    /// The stream ends with this text, and the next one begins with that.
    Seam { close: String, reopen: String },
}

/// See the module.
#[derive(Debug)]
pub(super) struct Streamed {
    api: Api,
    to: To,
    thread: String,
    /// Whoever asked, and their workspace: Slack wants to know.
    recipient: (String, String),
    title: String,
    open: Option<Open>,
    rollover: Rollover,
    /// Text that has no place yet.
    pending: String,
    queue: Vec<Item>,
    /// Cards that are still running.
    cards: Vec<Card>,
    /// Slack opens no stream: what is left is told by messages at the end.
    is_broken: bool,
}

impl Streamed {
    pub(super) fn new(api: Api, question: &Question, thread: &str) -> Self {
        let user = &question.person.user;
        Self {
            api,
            to: question.to(),
            thread: thread.to_owned(),
            recipient: (user.id.clone(), user.team.clone()),
            title: question.text.chars().take(MOST_OF_TITLE).collect(),
            open: None,
            rollover: Rollover::default(),
            pending: String::new(),
            queue: Vec::new(),
            cards: Vec::new(),
            is_broken: false,
        }
    }

    /// Gives the text that came a place, and sends what can be sent.
    async fn flush(&mut self) {
        for piece in self.rollover.text(&mem::take(&mut self.pending)) {
            self.queue.push(match piece {
                Piece::Text(text) => Item::Text(text),
                Piece::Seam { close, reopen } => Item::Seam { close, reopen },
            });
        }
        while !self.queue.is_empty() && !self.is_broken {
            if self.open.as_ref().is_some_and(|open| open.since.elapsed() > OPEN_FOR) {
                let Piece::Seam { close, reopen } = self.rollover.seam() else { return };
                self.queue.insert(0, Item::Seam { close, reopen });
            }
            let upto = self.queue.iter().position(|item| matches!(item, Item::Seam { .. }));
            match upto {
                Some(0) => self.roll().await,
                upto => {
                    let count = upto.unwrap_or(self.queue.len());
                    self.send(count).await;
                }
            }
        }
    }

    /// Ends a stream at a seam; what comes next begins another one.
    async fn roll(&mut self) {
        let Item::Seam { close, reopen } = self.queue.remove(0) else { return };
        if let Some(open) = self.open.take() {
            let mut stop = json!({ "channel": self.to.channel, "ts": open.ts });
            if !close.is_empty() {
                stop["chunks"] = json!([text_chunk(&close)]);
            }
            if let Err(error) = self.api.call("chat.stopStream", &stop).await {
                tracing::debug!(%error, "a full stream had ended already");
            }
        }
        if !reopen.is_empty() {
            self.queue.insert(0, Item::Text(reopen));
        }
    }

    /// Sends the first items. A stream that takes nothing more is left, and the items begin another one.
    async fn send(&mut self, count: usize) {
        let chunks: Vec<Value> = self.queue.iter().take(count).map(chunk).collect();
        let sent = match &self.open {
            Some(open) => {
                let more = json!({ "channel": self.to.channel, "ts": open.ts, "chunks": chunks });
                self.api.call("chat.appendStream", &more).await.map(drop)
            }
            None => self.start(&chunks).await,
        };
        match (sent, self.open.is_some()) {
            (Ok(()), _) => drop(self.queue.drain(..count)),
            (Err(error), true) => {
                tracing::debug!(%error, "a stream takes nothing more; another one goes on");
                self.open = None;
                let Piece::Seam { reopen, .. } = self.rollover.seam() else { return };
                if !reopen.is_empty() {
                    self.queue.insert(0, Item::Text(reopen));
                }
            }
            (Err(error), false) => {
                tracing::info!(%error, "Slack opens no stream; the answer comes as a message");
                self.is_broken = true;
            }
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
        // A workspace lets few of them begin in a minute: waiting for one would be silence.
        let started = self.api.call_once("chat.startStream", &start).await?;
        let ts = started["ts"].as_str().unwrap_or_default().to_owned();
        self.open = Some(Open { ts, since: Instant::now() });
        Ok(())
    }

    /// Tells by messages what no stream took.
    async fn post_rest(&mut self, end: &End) {
        let mut rest = String::new();
        for item in mem::take(&mut self.queue) {
            match item {
                Item::Text(text) => rest.push_str(&text),
                Item::Seam { .. } | Item::Card(_) => {}
            }
        }
        rest.push_str(&mem::take(&mut self.pending));
        let mut parts = view::markdown::split(&rest, MOST_OF_MESSAGE);
        if parts.is_empty() {
            parts.push(String::new());
        }
        let last = parts.len() - 1;
        for (at, part) in parts.iter().enumerate() {
            let tail: &[Value] = if at == last { &end.tail } else { &[] };
            let body = view::answer::part(part, tail);
            if let Err(error) = self.api.post(&self.to, &body).await {
                tracing::warn!(%error, "a part of an answer could not be posted");
            }
        }
    }

    async fn status(&self, status: &str) {
        let told = json!({ "channel_id": self.to.channel, "thread_ts": self.thread, "status": status,
            "title": self.title, "initiator_user_id": self.recipient.0 });
        if let Err(error) = self.api.call_once("agents.sessions.setStatus", &told).await {
            tracing::debug!(%error, "Slack takes no status");
        }
    }
}

fn text_chunk(text: &str) -> Value {
    json!({ "type": "markdown_text", "text": text })
}

fn chunk(item: &Item) -> Value {
    match item {
        Item::Text(text) => text_chunk(text),
        Item::Card(card) => {
            let state = match card.state {
                CardState::Running => TaskState::InProgress,
                CardState::Done => TaskState::Complete,
                CardState::Failed => TaskState::Error,
            };
            view::stream::task(&card.id, &card.title, state, card.details.as_deref(), card.output.as_deref())
        }
        Item::Seam { .. } => Value::Null,
    }
}

#[async_trait]
impl Voice for Streamed {
    async fn begin(&mut self) {
        self.status("processing").await;
    }

    async fn text(&mut self, piece: &str) {
        self.pending.push_str(&view::markdown::neutral(piece));
        if self.pending.len() >= ENOUGH {
            self.flush().await;
        }
    }

    async fn card(&mut self, card: Card) {
        self.flush().await;
        self.cards.retain(|one| one.id != card.id);
        if card.state == CardState::Running {
            self.cards.push(card.clone());
        }
        self.queue.push(Item::Card(card));
        self.flush().await;
    }

    async fn tick(&mut self) {
        self.flush().await;
    }

    async fn end(&mut self, end: &End) {
        for card in mem::take(&mut self.cards) {
            let output = Some("stopped".to_owned());
            self.queue.push(Item::Card(Card { state: CardState::Failed, output, ..card }));
        }
        if !end.note.is_empty() {
            self.pending.push_str("\n\n");
            self.pending.push_str(&end.note);
        }
        self.flush().await;
        let status = if end.is_waiting { "suspended" } else { "active" };
        let Some(open) = self.open.take().filter(|_| !self.is_broken) else {
            self.post_rest(end).await;
            return self.status(status).await;
        };
        let mut stop = json!({ "channel": self.to.channel, "ts": open.ts, "session_status": status });
        if !end.tail.is_empty() {
            stop["blocks"] = Value::from(end.tail.clone());
        }
        if let Err(error) = self.api.call("chat.stopStream", &stop).await {
            tracing::debug!(%error, "a stream had ended before its answer");
            self.post_tail(end).await;
            self.status(status).await;
        }
    }
}

impl Streamed {
    /// Footer and buttons in a message of their own.
    async fn post_tail(&self, end: &End) {
        if end.tail.is_empty() {
            return;
        }
        let body = Body { text: "…".into(), blocks: end.tail.clone() };
        if let Err(error) = self.api.post(&self.to, &body).await {
            tracing::warn!(%error, "the buttons of an answer could not be posted");
        }
    }
}

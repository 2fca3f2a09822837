//! A question, from whatever it was made of, on its way into the pipeline.

use std::sync::Arc;

use omni_core::{
    AnswerStream, Ask, Source,
    ask::{Attachment, ChatPlace, Client},
    omni::Decider,
};

use super::{
    Bot,
    asked::Asking,
    message::{conversation, place},
    turns::Turn,
    voice,
};
use crate::{api::To, event::ChannelKind, people::Person};

/// How somebody is told something that nobody else reads.
#[derive(Debug, Clone)]
pub(super) enum Aside {
    /// By the `response_url` of a command.
    Url(String),
    /// By messages in the thread that only they see.
    Whisper,
}

/// The thread of a message that asks something in it.
#[derive(Debug, Clone)]
pub(super) struct Within {
    pub(super) thread: String,
    /// Whether the bot is called by the message.
    pub(super) is_called: bool,
}

/// A question on its way into the pipeline.
pub(super) struct Asked {
    pub(super) stream: AnswerStream,
    /// Whether it waited for what was asked before it.
    pub(super) has_waited: bool,
}

/// A question of somebody at a place.
#[derive(Debug, Clone)]
pub(super) struct Question {
    pub(super) person: Person,
    pub(super) channel: String,
    pub(super) kind: ChannelKind,
    pub(super) text: String,
    /// The message that it was asked with.
    pub(super) ts: Option<String>,
    /// The thread in which it is answered.
    pub(super) thread: Option<String>,
    /// The thread whose words go with it, as they are when it is asked.
    pub(super) within: Option<Within>,
    pub(super) attachments: Vec<Attachment>,
    /// Whether it is about a message that goes with it: without that it asks something else, or nothing.
    pub(super) is_about: bool,
    /// How to answer if nobody else is to read it.
    pub(super) private: Option<Aside>,
    /// Whether it is a run that goes on whether somebody listens or not.
    pub(super) goes_on: bool,
    /// Where whoever asks is asked for their agreement, if not where the answer stands.
    pub(super) asks_in: Option<To>,
}

impl Question {
    pub(super) fn new(person: Person, channel: &str, kind: ChannelKind, text: String) -> Self {
        Self {
            person,
            channel: channel.to_owned(),
            kind,
            text,
            ts: None,
            thread: None,
            within: None,
            attachments: Vec::new(),
            is_about: false,
            private: None,
            goes_on: false,
            asks_in: None,
        }
    }

    pub(super) fn to(&self) -> To {
        To { channel: self.channel.clone(), thread: self.thread.clone() }
    }

    /// Where it runs, for whoever stops it.
    pub(super) fn spot(&self) -> (String, String) {
        (self.channel.clone(), conversation(self.thread.as_deref()).to_owned())
    }

    /// What the ledger keeps of where it was asked.
    pub(super) fn client(&self) -> Client {
        let place = ChatPlace::new(&self.person.user.id, &self.channel);
        Client::default().with_chat(place.with_message(self.ts.as_deref(), self.thread.as_deref()))
    }

    pub(super) fn decider(&self) -> Decider {
        Decider::new(self.person.credential(), Source::Slack).with_client(self.client())
    }
}

impl Bot {
    /// Asks, and tells the answer where the question stands.
    pub(super) async fn ask(&self, question: Question) {
        // What nobody else reads is no part of a conversation.
        let is_open = question.private.is_none();
        let turn = is_open.then(|| self.0.turns.enter(question.spot(), &question.person.user.id));
        self.ask_in_turn(question, turn).await;
    }

    /// The same of a question that has its place in the line.
    pub(super) async fn ask_in_turn(&self, question: Question, turn: Option<Turn>) {
        let grant = match self.admitted(&question).await {
            Ok(grant) => grant,
            Err(refusal) => return self.turn_away(&question, refusal).await,
        };
        let guard = self.0.running.begin(question.spot(), &question.person.user.id, self.0.ending.child_token());
        let (doing, ()) = tokio::join!(self.does(&question), self.begins_in_thread(&question));
        let voice = voice::of(self, &question, &guard.stop, doing.as_ref());
        let mut room = None;
        let asking = Box::pin(async {
            let has_waited = match &turn {
                Some(turn) => turn.comes().await,
                None => false,
            };
            // It is never closed.
            room = Some(self.0.room.acquire().await.ok()?);
            let stream = self.omni().ask_stream(self.ask_of(&question, turn.as_ref()).await);
            Some(Asked { stream, has_waited })
        });
        let _told = self.answer(&question, &grant, asking, voice, guard).await;
        drop((room, turn));
        if let Some(doing) = doing {
            doing.ends().await;
        }
    }

    /// What the pipeline is asked, with what was said by now where the question stands.
    async fn ask_of(&self, question: &Question, turn: Option<&Turn>) -> Ask {
        let elicit = Asking::new(self.clone(), question).with_turn(turn.map(Turn::leaving));
        let mut ask = Ask::new(question.person.credential(), &*question.text)
            .with_source(Source::Slack)
            .with_client(question.client())
            .with_parking()
            .with_elicit(Arc::new(elicit));
        ask.attachments.extend(self.said_before(question).await);
        ask.attachments.extend_from_slice(&question.attachments);
        // What nobody else is to read is no part of what the channel shares.
        if question.private.is_none() {
            let thread = conversation(question.thread.as_deref());
            let key = self.key(&question.channel, thread);
            ask = ask.with_thread(key, place(question.kind, &question.channel));
        }
        ask
    }
}

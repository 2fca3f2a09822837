//! A question, from whatever it was made of, on its way into the pipeline.

use std::sync::Arc;

use omni_core::{
    Ask, Source,
    ask::{Attachment, ChatPlace, Client},
    omni::Decider,
};

use super::{
    Bot,
    asked::Asking,
    message::{conversation, place},
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
    pub(super) attachments: Vec<Attachment>,
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
            attachments: Vec::new(),
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
        // It is never closed.
        let Ok(_room) = self.0.room.acquire().await else { return };
        let grant = match self.admitted(&question).await {
            Ok(grant) => grant,
            Err(refusal) => return self.turn_away(&question, refusal).await,
        };
        let mut ask = Ask::new(question.person.credential(), &*question.text)
            .with_source(Source::Slack)
            .with_client(question.client())
            .with_parking()
            .with_elicit(Arc::new(Asking::new(self.clone(), &question)));
        ask.attachments.clone_from(&question.attachments);
        // What nobody else is to read is no part of what the channel shares.
        if question.private.is_none() {
            let thread = conversation(question.thread.as_deref());
            let key = self.key(&question.channel, thread);
            ask = ask.with_thread(key, place(question.kind, &question.channel));
        }
        let guard = self.0.running.begin(question.spot(), &question.person.user.id, self.0.ending.child_token());
        let stream = self.omni().ask_stream(ask);
        let (doing, ()) = tokio::join!(self.does(&question), self.begins_in_thread(&question));
        let voice = voice::of(self, &question, &guard.stop, doing.as_ref());
        let _told = self.answer(&question, &grant, stream, voice, guard).await;
        if let Some(doing) = doing {
            doing.ends().await;
        }
    }
}

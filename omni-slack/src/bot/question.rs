//! A question, from whatever it was made of, on its way into the pipeline.

use std::sync::Arc;

use omni_core::{
    Ask, Error, Source,
    ask::{Attachment, ChatPlace, Client},
    omni::Decider,
    policy::{Grant, PolicyError},
};

use super::{
    Bot,
    asked::Asking,
    message::{conversation, place},
    voice,
};
use crate::{
    api::{Body, To},
    event::ChannelKind,
    people::Person,
    view,
};

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
            Err(body) => {
                self.refuse(&question, &body).await;
                return self.note_refused(&question).await;
            }
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
        let doing = self.does(&question).await;
        let voice = voice::of(self, &question, &guard.stop);
        let _told = self.answer(&question, &grant, stream, voice, guard).await;
        if let Some(doing) = doing {
            doing.ends().await;
        }
    }

    /// Whether somebody may ask there; what they may do, the pipeline decides.
    pub(super) async fn admitted(&self, question: &Question) -> Result<Arc<Grant>, Body> {
        let grant = self.omni().grant(question.person.credential()).await;
        let grant = grant.map_err(|error| self.refused(&question.person, &error))?;
        let config = self.config();
        let required = config.places.get(&question.channel).and_then(|place| place.required_role.as_deref());
        match required {
            Some(role) if !grant.role.is_one_of(&[role.to_owned()]) => {
                Err(Body::of(&format!("🚫 Asking here takes the role {}.", view::text::code(role, 60))))
            }
            _ => Ok(grant),
        }
    }

    /// The ledger has what somebody asked whom the policy does not let in. That a channel takes another role is no matter
    /// of the policy's.
    pub(super) async fn note_refused(&self, question: &Question) {
        let credential = question.person.credential();
        if self.omni().grant(credential.clone()).await.is_ok() {
            return;
        }
        let ask = Ask::new(credential, &*question.text).with_source(Source::Slack).with_client(question.client());
        if self.omni().ask(ask).await.is_ok() {
            tracing::info!(
                user = question.person.user.id,
                "somebody was let in while they were told that they are not"
            );
        }
    }

    /// What somebody is told whom the policy does not let in.
    pub(super) fn refused(&self, person: &Person, error: &Error) -> Body {
        match error {
            Error::Policy(PolicyError::UnknownSubject { subject }) => {
                let email = Some(subject.as_str()).filter(|subject| subject.contains('@'));
                view::person::unknown(&person.user.id, email, None)
            }
            Error::Policy(PolicyError::Blocked { reason, .. }) => view::person::refused(reason),
            other => Body::of(&view::error::worded(&self.config().templates, other, None, None)),
        }
    }

    pub(super) async fn refuse(&self, question: &Question, body: &Body) {
        match &question.private {
            Some(Aside::Url(url)) => {
                if let Err(error) = self.api().respond(url, body, false).await {
                    tracing::warn!(%error, "somebody could not be told that they may not ask");
                }
            }
            Some(Aside::Whisper) | None => {
                self.tell(&question.to(), &question.person.user.id, question.kind, body).await
            }
        }
    }
}

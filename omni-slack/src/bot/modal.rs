//! Modals that are sent in: what becomes of one has to be said at once.

use omni_core::confirm::Verdict;
use serde_json::json;

use super::{
    Bot,
    action::NOT_OPENED,
    command::kind_of,
    confirming::{Decided, Ticket},
    question::{Aside, Question},
    refusing::Refusal,
};
use crate::{
    api::Body,
    event::{Action, ChannelKind, Shortcut, Submission, User},
    people::Unknown,
    port::Ack,
    view::{self, ids},
};

/// What stands between the parts of what a modal remembers.
const BETWEEN: char = '\n';
/// Remembered last where nothing is asked about a message, but more in its conversation.
const MORE: &str = "more";

impl Bot {
    /// Takes a modal in.
    pub(super) fn submitted(&self, submission: Submission) -> Ack {
        match submission.callback.as_str() {
            ids::ELICIT_MODAL => self.form_sent(&submission),
            ids::DENY_MODAL => self.reason_sent(submission),
            ids::ASK_MESSAGE => self.question_sent(submission),
            ids::FEEDBACK_MODAL => self.complaint_sent(submission),
            ids::SCHEDULE_MODAL => self.schedule_sent(submission),
            _ => Ack::Empty,
        }
    }

    /// Somebody closed a modal: a server that asked may be asked again by the card.
    pub(super) fn closed(&self, submission: &Submission) {
        tracing::debug!(callback = submission.callback, "a modal was closed");
    }

    fn reason_sent(&self, submission: Submission) -> Ack {
        let reason = view::confirm::reason(&submission.values);
        let bot = self.clone();
        self.spawn(async move {
            let (ticket, url) = submission.metadata.split_once(BETWEEN).unwrap_or((&submission.metadata, ""));
            let Some(ticket) = Ticket::read(ticket) else { return };
            let person = match bot.resolve(&submission.user, &ticket.channel).await {
                Ok(person) => person,
                Err(unknown) => return bot.say_unknown(&submission.user, unknown).await,
            };
            // A page has no address by which it is changed.
            let seat = Decided::by(Some(url).filter(|url| !url.is_empty()), url.is_empty());
            bot.decide(&person, &ticket, Verdict::Decline { reason }, seat).await;
        });
        Ack::Empty
    }

    fn complaint_sent(&self, submission: Submission) -> Ack {
        let bot = self.clone();
        self.spawn(async move { bot.complained(&submission).await });
        Ack::Empty
    }

    /// What a modal about a decision remembers.
    pub(super) fn reason_metadata(ticket: &str, url: Option<&str>) -> String {
        format!("{ticket}{BETWEEN}{}", url.unwrap_or_default())
    }

    /// Somebody wants to ask about a message.
    pub(super) async fn shortcut(&self, shortcut: Shortcut) {
        if shortcut.callback != ids::ASK_MESSAGE {
            return;
        }
        let thread = shortcut.thread.as_deref().unwrap_or(&shortcut.ts);
        let metadata = [&*shortcut.channel, thread, &*shortcut.ts].join(&BETWEEN.to_string());
        let view = view::shortcut::modal(&self.read(&shortcut.text), &metadata);
        if let Err(error) = self.api().open(&shortcut.trigger, &view).await {
            tracing::warn!(%error, "the form for a question could not be shown");
            // The bot may not be in that channel.
            self.say_direct(&shortcut.user.id, &Body::of(NOT_OPENED)).await;
        }
    }

    /// Somebody wants to ask more where an answer stands.
    pub(super) async fn ask_more(&self, action: &Action) {
        // In direct messages only what is in a thread goes on there.
        let is_flat = kind_of(&action.channel) == ChannelKind::Direct;
        let thread = action.thread.as_deref().unwrap_or(if is_flat { "" } else { &action.ts });
        let metadata = [&*action.channel, thread, &*action.ts, MORE].join(&BETWEEN.to_string());
        self.open_form(action, &view::shortcut::modal("", &metadata)).await;
    }

    fn question_sent(&self, submission: Submission) -> Ack {
        let Some((text, is_private)) = view::shortcut::submitted(&submission.values) else {
            return Ack::With(
                json!({ "response_action": "errors", "errors": { "question": "What do you want to know?" } }),
            );
        };
        let bot = self.clone();
        self.spawn(async move { bot.ask_about(&submission.user, &submission.metadata, text, is_private).await });
        Ack::Empty
    }

    /// Tells whoever sent a modal in what came of it, where they need not read the channel.
    pub(super) async fn say_direct(&self, user: &str, body: &Body) {
        if body.text.is_empty() {
            return;
        }
        if let Err(error) = self.api().post_direct(user, body).await {
            tracing::warn!(%error, "somebody could not be told what came of a form");
        }
    }

    /// Tells whoever sent a modal in why they are nobody here.
    pub(super) async fn say_unknown(&self, user: &User, unknown: Unknown) {
        self.say_direct(&user.id, &Body::of(unknown.text().unwrap_or_default())).await;
    }

    /// Asks about a message, in its thread.
    async fn ask_about(&self, user: &User, metadata: &str, text: String, is_private: bool) {
        let mut parts = metadata.split(BETWEEN);
        let (Some(channel), Some(thread), Some(ts)) = (parts.next(), parts.next(), parts.next()) else { return };
        let person = match self.resolve(user, channel).await {
            Ok(person) => person,
            Err(unknown) => {
                self.say_unknown(user, unknown.clone()).await;
                let question = |person| Question::new(person, channel, kind_of(channel), text);
                return self.note_unknown(&unknown, user, question).await;
            }
        };
        let unread = view::shortcut::unread(&text);
        let mut question = Question::new(person, channel, kind_of(channel), text);
        if !self.answers_in(channel, question.kind).await {
            let refusal = Refusal::not_here(question.kind, channel);
            self.say_direct(&user.id, &refusal.body).await;
            return self.note_refused(&question, refusal.why).await;
        }
        question.thread = Some(thread.to_owned()).filter(|thread| !thread.is_empty());
        question.ts = Some(ts.to_owned());
        let Some(about) = self.thread_upto(channel, question.thread.as_deref().unwrap_or(ts), ts).await else {
            return self.say_direct(&user.id, &unread).await;
        };
        question.attachments.push(about);
        question.is_about = parts.next() != Some(MORE);
        question.private = is_private.then_some(Aside::Whisper);
        self.ask(question).await;
    }
}

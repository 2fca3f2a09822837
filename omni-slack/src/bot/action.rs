//! Clicks.

use omni_core::{confirm::Verdict, feedback};
use serde_json::Value;

use super::{
    Bot,
    command::kind_of,
    confirming::{Ticket, card_of},
    helping::Open,
    message::conversation,
    question::Question,
    reacting::ABOUT,
    refusing::Refusal,
    stopping::Stopping,
};
use crate::{
    api::{Body, To},
    event::{Action, ChannelKind, User},
    people::Person,
    view::{self, help::Target, ids},
    words,
};

/// In how many messages a question is looked for that is to be asked again.
const LOOKED_THROUGH: usize = 200;
/// Said where a form does not open: Slack gives a click three seconds for that.
pub(super) const NOT_OPENED: &str = "⏳ Slack did not open the form. Please press it again.";

impl Bot {
    pub(super) async fn action(&self, action: Action) {
        match action.id.as_str() {
            ids::ELICIT | ids::ELICIT_OPENED => return self.elicited(&action, true).await,
            ids::ELICIT_DECLINE => return self.elicited(&action, false).await,
            _ => {}
        }
        let person = match self.resolve(&action.user, &action.channel).await {
            Ok(person) => person,
            Err(unknown) => {
                let body = Body::of(unknown.text().unwrap_or_default());
                self.answer_click(&action, &body).await;
                if let Some(text) = asked_by(&action) {
                    self.note_unknown(&unknown, &action.user, |person| question(person, &action, text)).await;
                }
                return;
            }
        };
        match action.id.as_str() {
            ids::STOP => self.stop_clicked(&person, &action).await,
            ids::APPROVE => self.decided(&person, &action, Verdict::Approve).await,
            ids::DENY => {
                let reason = "somebody said no".to_owned();
                self.decided(&person, &action, Verdict::Decline { reason }).await;
            }
            ids::DENY_REASON => self.ask_why(&action).await,
            ids::DETAILS => self.details(&person, &action).await,
            ids::AGAIN => self.again(person, &action, action.value.clone()).await,
            ids::CSV => self.export(&person, &action).await,
            ids::FOLLOW => self.ask_more(&action).await,
            ids::MORE => self.more(&person, &action).await,
            ids::FEEDBACK_GOOD => self.judged(&person, &action, feedback::Verdict::Up).await,
            ids::FEEDBACK_BAD => self.judged(&person, &action, feedback::Verdict::Down).await,
            ids::PREFERENCES | ids::VERBOSITY => self.preferred(&person, &action).await,
            id if id.starts_with(ids::SCHEDULE) => self.schedule_clicked(&person, &action).await,
            id => self.menu_clicked(&person, id, &action).await,
        }
    }

    /// Answers a click to whoever clicked, and leaves what they clicked as it is.
    pub(super) async fn answer_click(&self, action: &Action, body: &Body) {
        let Some(url) = &action.response_url else {
            if action.is_home {
                // There is no place for it.
                return self.say_direct(&action.user.id, body).await;
            }
            let to = To { channel: action.channel.clone(), thread: action.thread.clone() };
            return self.tell(&to, &action.user.id, kind_of(&action.channel), body).await;
        };
        if let Err(error) = self.api().respond_in(url, action.thread.as_deref(), body).await {
            tracing::warn!(%error, "a click could not be answered");
        }
    }

    /// Shows a form to whoever clicked; where Slack does not, they are told so.
    pub(super) async fn open_form(&self, action: &Action, view: &Value) {
        if let Err(error) = self.api().open(&action.trigger, view).await {
            tracing::warn!(%error, action = action.id, "a form could not be shown");
            self.answer_click(action, &Body::of(NOT_OPENED)).await;
        }
    }

    async fn stop_clicked(&self, person: &Person, action: &Action) {
        let (channel, thread) = action.value.split_once(' ').unwrap_or((&action.channel, ""));
        let spot = (channel.to_owned(), thread.to_owned());
        let text = match (self.0.running.at(&spot).first(), self.stop_everywhere(&spot, &person.user.id).await) {
            (_, Stopping::Here) => return,
            (Some(run), _) => format!("🚫 Only <@{}> can stop this.", run.user),
            (None, Stopping::Elsewhere) => "⏹ If this is yours, it stops in a moment.".into(),
            (None, Stopping::Nothing) => "There is nothing of yours to stop here.".into(),
        };
        self.answer_click(action, &Body::of(&text)).await;
    }

    /// Slack's own button to stop.
    pub(super) async fn stopped(&self, user: &User, channel: String, thread: String) {
        if self.stop_everywhere(&(channel, thread), &user.id).await != Stopping::Here {
            tracing::debug!("somebody stopped what is not theirs, or is over");
        }
    }

    async fn ask_why(&self, action: &Action) {
        let Some(ticket) = Ticket::read(&action.value) else { return };
        let metadata = Self::reason_metadata(&ticket.text(), action.response_url.as_deref());
        self.open_form(action, &view::confirm::reason_modal(&metadata)).await;
    }

    async fn details(&self, person: &Person, action: &Action) {
        let Some(ticket) = Ticket::read(&action.value) else { return };
        let view = match self.omni().confirmation(person.credential(), ticket.id).await {
            Ok(found) => view::confirm::details_modal(&card_of(&found, String::new(), None)),
            Err(_) => return self.answer_click(action, &view::confirm::not_yours(&ticket.asker)).await,
        };
        self.open_form(action, &view).await;
    }

    /// Asks what a button names once more, as whoever clicked.
    async fn again(&self, person: Person, action: &Action, text: String) {
        if action.is_home {
            return self.again_from_home(person, text).await;
        }
        let kind = kind_of(&action.channel);
        let mut question = Question::new(person, &action.channel, kind, text);
        if !self.answers_in(&action.channel, kind).await {
            let refusal = Refusal::not_here(kind, &action.channel);
            self.answer_click(action, &refusal.body).await;
            return self.note_refused(&question, refusal.why).await;
        }
        if action.is_ephemeral && action.thread.is_none() {
            // What only one person sees is no message that a thread could begin with.
            return self.ask_openly(question, action.response_url.as_deref()).await;
        }
        question.ts = Some(action.ts.clone());
        question.thread = match kind {
            ChannelKind::Direct => action.thread.clone(),
            ChannelKind::Public | ChannelKind::Private => action.thread.clone().or_else(|| Some(action.ts.clone())),
        };
        self.ask(question).await;
    }

    /// On the app's page there is no place for an answer: it is in the person's direct messages.
    async fn again_from_home(&self, person: Person, text: String) {
        if !self.answers_in("", ChannelKind::Direct).await {
            let refusal = Refusal::not_here(ChannelKind::Direct, "");
            self.say_direct(&person.user.id, &refusal.body).await;
            return self.note_refused(&Question::new(person, "", ChannelKind::Direct, text), refusal.why).await;
        }
        match self.api().direct(&person.user.id).await {
            Ok(channel) => self.ask_openly(Question::new(person, &channel, ChannelKind::Direct, text), None).await,
            Err(error) => tracing::warn!(%error, "direct messages for a question could not be opened"),
        }
    }

    async fn menu_clicked(&self, person: &Person, id: &str, action: &Action) {
        let grant = match self.omni().grant(person.credential()).await {
            Ok(grant) => grant,
            Err(error) => {
                self.answer_click(action, &self.refused(person, &error)).await;
                if let Some(text) = asked_by(action) {
                    self.note_refused(&question(person.clone(), action, text), error).await;
                }
                return;
            }
        };
        if id == ids::HOME_REFRESH {
            return self.publish(&action.user).await;
        }
        if id == ids::HELP_TRY {
            let Some(text) = asked_by(action) else { return };
            return self.again(person.clone(), action, text).await;
        }
        let Some(open) = Open::clicked(id, &action.value) else { return };
        let body = self.menu(person, &grant, open).await;
        match &action.response_url {
            // The menu stays, and shows something else.
            Some(url) if action.is_ephemeral => {
                if let Err(error) = self.api().respond(url, &body, true).await {
                    tracing::warn!(%error, "the menu could not be changed");
                }
            }
            _ => self.answer_click(action, &body).await,
        }
    }

    /// The question that somebody asked last in a thread, or in direct messages, and what hung on it.
    pub(super) async fn last_question(
        &self,
        person: &Person,
        message: &crate::event::Message,
    ) -> Option<(String, String)> {
        let thread = conversation(message.thread.as_deref());
        let said = match &message.thread {
            Some(thread) => self.api().replies(&message.channel, thread, &message.ts, LOOKED_THROUGH).await,
            // The newest come first.
            None => self.api().newest(&message.channel, LOOKED_THROUGH).await,
        };
        let said = said.inspect_err(|error| tracing::warn!(%error, "a question cannot be looked for again")).ok()?;
        let theirs = said.iter().filter(|one| {
            one["user"].as_str() == Some(&person.user.id) && one["bot_id"].is_null() && one["ts"] != message.ts.as_str()
        });
        let texts = theirs.filter_map(|one| {
            let (text, attached) = (self.without_me(one["text"].as_str()?), self.read(&words::attached(one)));
            // As when it was forwarded without a word.
            let text = if text.is_empty() && !attached.is_empty() { ABOUT.to_owned() } else { text };
            Some((one["ts"].as_str()?.to_owned(), text, attached))
        });
        let asks_nothing = |text: &str| text.is_empty() || text.starts_with('!') || text.eq_ignore_ascii_case("help");
        let newest = texts.filter(|(_, text, attached)| !asks_nothing(text) || !attached.is_empty()).max();
        tracing::debug!(thread, found = newest.is_some(), "a question is looked for again");
        newest.map(|(_, text, attached)| (text, attached))
    }
}

/// What a click asks; nothing where it only looks at something, or decides.
fn asked_by(action: &Action) -> Option<String> {
    match action.id.as_str() {
        ids::AGAIN => Some(action.value.clone()),
        ids::HELP_TRY => match Target::read(&action.value)? {
            Target::Tool { server, tool } => Some(view::help::sample(&server, &tool)),
            Target::Page { .. } => None,
        },
        _ => None,
    }
}

/// The question of a click that is not taken.
fn question(person: Person, action: &Action, text: String) -> Question {
    let mut question = Question::new(person, &action.channel, kind_of(&action.channel), text);
    question.thread.clone_from(&action.thread);
    question
}

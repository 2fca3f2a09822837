//! Calls that need somebody's word: the card, the click, and the answer that goes on.
//!
//! Nothing is kept here: what waits is in the pipeline's store, and a button has all that it takes to find its
//! way back. So a click counts whatever process hears it.

use std::{future::ready, sync::Arc};

use chrono::Utc;
use omni_core::{
    Error, ErrorKind,
    answer::PendingCall,
    confirm::{State, Verdict},
    omni::ConfirmationView,
};
use uuid::Uuid;

use super::{
    Bot,
    answering::Last,
    asked::Asking,
    command::kind_of,
    expiring::Posted,
    keeping::Whose,
    question::{Aside, Asked, Question},
    voice,
};
use crate::{
    api::{Body, To},
    event::{Action, ChannelKind, User},
    people::Person,
    view::{
        self,
        confirm::{Card, Outcome},
        text,
    },
};

/// Where a card belongs to nobody's thread.
const NO_THREAD: &str = "-";

/// What a button of a card says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ticket {
    pub(super) id: Uuid,
    pub(super) asker: String,
    pub(super) channel: String,
    pub(super) thread: Option<String>,
    /// Whether nobody else is to read the answer.
    pub(super) is_private: bool,
}

impl Ticket {
    pub(super) fn text(&self) -> String {
        let thread = self.thread.as_deref().unwrap_or(NO_THREAD);
        let private = if self.is_private { " private" } else { "" };
        format!("{} {} {} {thread}{private}", self.id, self.asker, self.channel)
    }

    pub(super) fn read(text: &str) -> Option<Self> {
        let mut parts = text.split(' ');
        let id = parts.next()?.parse().ok()?;
        let (asker, channel, thread) = (parts.next()?, parts.next()?, parts.next()?);
        let thread = Some(thread.to_owned()).filter(|thread| thread != NO_THREAD);
        let is_private = parts.next() == Some("private");
        Some(Self { id, asker: asker.into(), channel: channel.into(), thread, is_private })
    }

    pub(super) fn to(&self) -> To {
        To { channel: self.channel.clone(), thread: self.thread.clone() }
    }
}

/// Where somebody decided.
#[derive(Debug, Clone, Copy)]
pub(super) enum Decided<'a> {
    /// By a card that is changed by this address.
    Card(&'a str),
    /// On the app's page.
    Page,
    /// By a card that cannot be changed.
    Lost,
}

impl<'a> Decided<'a> {
    pub(super) fn by(url: Option<&'a str>, is_page: bool) -> Self {
        match (url, is_page) {
            (_, true) => Self::Page,
            (Some(url), false) => Self::Card(url),
            (None, false) => Self::Lost,
        }
    }
}

/// A message that was posted.
struct Shown {
    channel: String,
    ts: String,
}

impl Bot {
    /// Asks for what an answer waits for: the asker alone, or in the thread where a role decides.
    pub(super) async fn ask_for_decisions(&self, question: &Question, pending: &[PendingCall]) {
        for call in pending.iter().filter(|call| self.0.seen.is_new(format!("card {}", call.id))) {
            let ticket = Ticket {
                id: call.id,
                asker: question.person.user.id.clone(),
                channel: question.channel.clone(),
                thread: question.thread.clone(),
                is_private: question.private.is_some(),
            };
            let found = self.omni().confirmation(question.person.credential(), call.id).await;
            // What cannot be decided any more is told to the asker all the same; where nobody knows whose word it
            // takes, nobody else sees it.
            let is_own = found.as_ref().map_or(true, |found| found.may_approve || found.confirmation.is_decided());
            let asker = (!is_own).then(|| question.person.name.clone());
            let body = view::confirm::card(&Card {
                value: ticket.text(),
                server: call.server.clone(),
                tool: call.tool.clone(),
                arguments: call.arguments.clone(),
                effect: self.effect(&call.server, &call.tool),
                rule: Some(call.rule.clone()),
                asker: asker.clone(),
                expires_at: call.expires_at,
            });
            let shown = match (is_own, question.private.is_some() || question.kind == ChannelKind::Direct) {
                (true, _) => self.show_asker(question, &body).await,
                (false, false) => {
                    // It may be decided at another door.
                    if let Ok(found) = &found {
                        self.wait_for(&ticket, found.confirmation.run);
                    }
                    // Whoever decides reads where it was asked, wherever its asker is asked.
                    self.show_all(&question.to(), &body).await
                }
                // Whoever decides does not read here, and nobody else is to.
                (false, true) => {
                    self.show_asker(question, &view::confirm::elsewhere()).await;
                    if let Ok(found) = &found {
                        self.wait_for(&ticket, found.confirmation.run);
                    }
                    None
                }
            };
            self.0.pages.changed();
            if let Some(Shown { channel, ts }) = shown {
                let expires_at = call.expires_at;
                self.expires(&question.person, Posted { ticket, channel, ts, asker, expires_at });
            }
        }
    }

    /// Shows something to the asker alone; the message, where it is one that can be changed.
    async fn show_asker(&self, question: &Question, body: &Body) -> Option<Shown> {
        if let Some(to) = &question.asks_in {
            return self.show_all(to, body).await;
        }
        let user = &question.person.user.id;
        if let Some(Aside::Url(url)) = &question.private
            && self.api().respond(url, body, false).await.is_ok()
        {
            return None;
        }
        // Nobody else reads there.
        if question.kind == ChannelKind::Direct {
            return self.show_all(&question.to(), body).await;
        }
        let Err(error) = self.api().whisper(&question.to(), user, body).await else { return None };
        tracing::info!(%error, "somebody is asked for their agreement in their direct messages");
        match self.api().direct(user).await {
            Ok(channel) => self.show_all(&To { channel, thread: None }, body).await,
            Err(error) => {
                tracing::warn!(%error, "somebody could not be asked for their agreement");
                None
            }
        }
    }

    /// Shows a card to everybody who reads at a place.
    async fn show_all(&self, to: &To, body: &Body) -> Option<Shown> {
        let posted = self.api().post(to, body).await;
        let ts =
            posted.inspect_err(|error| tracing::warn!(%error, "nobody could be asked for their agreement")).ok()?;
        Some(Shown { channel: to.channel.clone(), ts })
    }

    /// What a tool says that it does.
    fn effect(&self, server: &str, tool: &str) -> Option<String> {
        let catalog = self.omni().known_catalog();
        let view = catalog.servers.iter().find(|view| *view.name == *server)?;
        let def = view.tools.iter().find(|def| *def.name == *tool)?;
        Some(def.description.clone()).filter(|text| !text.trim().is_empty())
    }

    /// A click on a card.
    pub(super) async fn decided(&self, person: &Person, action: &Action, verdict: Verdict) {
        let Some(ticket) = Ticket::read(&action.value) else { return };
        let seat = Decided::by(action.response_url.as_deref(), action.is_home);
        self.decide(person, &ticket, verdict, seat).await;
    }

    /// A decision, from a card or from the modal with its reason.
    pub(super) async fn decide(&self, person: &Person, ticket: &Ticket, verdict: Verdict, seat: Decided<'_>) {
        let mut question = Question::new(person.clone(), &ticket.channel, kind_of(&ticket.channel), String::new());
        question.thread.clone_from(&ticket.thread);
        question.private = ticket.is_private.then_some(Aside::Whisper);
        let is_asker = person.user.id == ticket.asker;
        let by = question.decider().with_elicit(Arc::new(Asking::new(self.clone(), &question)));
        let confirmed = self.omni().confirm(ticket.id, verdict, by).await;
        let stream = match confirmed {
            Ok(stream) => stream,
            Err(error) => return self.not_decided(person, ticket, &error, seat).await,
        };
        self.0.pages.changed();
        let run = self.run_of(person, ticket.id).await.unwrap_or(ticket.id);
        self.keep_wait(ticket, run).await;
        // Whoever waits takes it on when there is something to tell.
        let claim = match is_asker {
            true => Some(self.claims(run).await),
            false => None,
        };
        self.mark(person, ticket, seat).await;
        let claim = match claim {
            Some(Whose::Ours(claim)) => Some(claim),
            Some(Whose::Others | Whose::Done) => None,
            None => return self.wait_for(ticket, run),
        };
        let grant = match self.omni().grant(person.credential()).await {
            Ok(grant) => grant,
            Err(error) => return self.aside(person, ticket, &self.refused(person, &error), seat).await,
        };
        question.goes_on = true;
        let guard = self.0.running.begin(question.spot(), &person.user.id, self.0.ending.child_token());
        let doing = self.carries_out(ticket, run).await;
        let voice = voice::of(self, &question, &guard.stop, doing.as_ref());
        let asked = ready(Some(Asked { stream, has_waited: false }));
        let last = self.answer(&question, &grant, asked, voice, guard).await;
        self.mark_again(person, ticket, seat).await;
        match last {
            Last::Done(answer) if self.still_waits(person, &answer, run).await => self.unclaims(run, claim).await,
            Last::Stopped => {
                self.unclaims(run, claim).await;
                self.wait_for(ticket, run);
            }
            Last::Done(_) | Last::Failed(_) => {
                if let Some(claim) = claim {
                    claim.done().await;
                }
                self.drop_wait(run).await;
            }
        }
        if let Some(doing) = doing {
            doing.ends().await;
        }
    }

    async fn not_decided(&self, person: &Person, ticket: &Ticket, error: &Error, seat: Decided<'_>) {
        let text = match error.kind() {
            // Whether there is such a call is for those who may decide on it.
            ErrorKind::NotFound | ErrorKind::Denied if person.user.id != ticket.asker => {
                format!("🚫 Only <@{}> or somebody with a role that decides can do this.", ticket.asker)
            }
            ErrorKind::Denied => format!("🚫 {}", text::escape(&error.public_message())),
            _ => {
                self.mark(person, ticket, seat).await;
                format!("ℹ️ {}", text::escape(&error.public_message()))
            }
        };
        self.aside(person, ticket, &Body::of(&text), seat).await;
    }

    /// Puts what came of it in the place of the card.
    async fn mark(&self, person: &Person, ticket: &Ticket, seat: Decided<'_>) {
        let url = match seat {
            Decided::Card(url) => url,
            Decided::Page => return self.publish(&person.user).await,
            Decided::Lost => return,
        };
        let Ok(found) = self.omni().confirmation(person.credential(), ticket.id).await else { return };
        let body = view::confirm::decided(&card_of(&found, ticket.text(), None), &outcome(&found, person));
        match self.api().respond(url, &body, true).await {
            Ok(()) => drop(self.0.seen.is_new(marked(ticket.id))),
            Err(error) => tracing::warn!(%error, "a card could not be changed after the decision"),
        }
    }

    /// Puts it right where a call was agreed to and not run after all.
    async fn mark_again(&self, person: &Person, ticket: &Ticket, seat: Decided<'_>) {
        if matches!(seat, Decided::Page) {
            // What was decided may have been written down after the page was made.
            return self.publish(&person.user).await;
        }
        let found = self.omni().confirmation(person.credential(), ticket.id).await;
        if found.is_ok_and(|found| matches!(found.confirmation.state, State::Void | State::UnknownOutcome)) {
            self.mark(person, ticket, seat).await;
        }
    }

    /// Tells whoever decided something that nobody else is to read.
    async fn aside(&self, person: &Person, ticket: &Ticket, body: &Body, seat: Decided<'_>) {
        if matches!(seat, Decided::Page) {
            return self.say_direct(&person.user.id, body).await;
        }
        self.tell(&ticket.to(), &person.user.id, kind_of(&ticket.channel), body).await;
    }
}

/// A confirmation as a card.
pub(super) fn card_of(found: &ConfirmationView, value: String, asker: Option<String>) -> Card {
    let one = &found.confirmation;
    Card {
        value,
        server: one.server.clone(),
        tool: one.tool.clone(),
        arguments: found.arguments.clone(),
        effect: None,
        rule: Some(one.rule.clone()),
        asker,
        expires_at: one.expires_at,
    }
}

/// A call of somebody's own, for a list: what comes of it is told in their direct messages.
pub(super) fn listed(found: &ConfirmationView, user: &User, direct: &str) -> Card {
    let (id, asker, channel) = (found.confirmation.id, user.id.clone(), direct.to_owned());
    let ticket = Ticket { id, asker, channel, thread: None, is_private: false };
    card_of(found, ticket.text(), None)
}

/// A call of somebody else's that one may decide on, for a list: what comes of it is told where it was asked.
pub(super) fn listed_for(found: &ConfirmationView, ticket: &Ticket) -> Card {
    card_of(found, ticket.text(), Some(found.confirmation.subject.clone()))
}

/// Under this it is known that a card shows what was decided.
pub(super) fn marked(id: Uuid) -> String {
    format!("marked {id}")
}

/// How a decision reads to somebody, whose it may be or somebody else's, also at another door.
pub(super) fn outcome(found: &ConfirmationView, reader: &Person) -> Outcome {
    let one = &found.confirmation;
    let by = match &one.decided_by {
        Some(subject) if *subject == reader.principal.subject => reader.user.id.clone(),
        other => other.clone().unwrap_or_default(),
    };
    let reason = one.reason.clone();
    let at = one.decided_at.unwrap_or_else(Utc::now);
    match one.state {
        State::Denied => Outcome::Denied { by, at, reason },
        State::Expired => Outcome::Expired,
        State::Pending if one.expires_at <= Utc::now() => Outcome::Expired,
        State::Void => Outcome::Void { reason },
        State::UnknownOutcome => Outcome::Unknown,
        _ => Outcome::Approved { by, at },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_button_finds_its_way_back() {
        for thread in [None, Some("1.1".to_owned())] {
            for is_private in [false, true] {
                let (asker, channel, thread) = ("U1".into(), "C1".into(), thread.clone());
                let ticket = Ticket { id: Uuid::now_v7(), asker, channel, thread, is_private };
                assert_eq!(Ticket::read(&ticket.text()), Some(ticket));
            }
        }
        assert_eq!(Ticket::read("x y"), None);
    }
}

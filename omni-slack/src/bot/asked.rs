//! What servers ask of people in the middle of a call: a card in the thread, and a modal with the form.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use chrono::Utc;
use omni_core::elicit::{Elicit, Elicitation, Reply, Wanted};
use serde_json::Value;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::{
    Bot,
    question::{Aside, Question},
    turns::Leaving,
};
use crate::{
    api::{Body, To},
    event::{Action, Submission},
    port::{Ack, SlackError},
    view::{self, elicit::Outcome},
};

/// Most questions that wait at a time.
const MOST: usize = 1_000;

/// The questions that wait for somebody in Slack.
#[derive(Debug, Default)]
pub(super) struct Elicited(Mutex<HashMap<Uuid, Waiting>>);

#[derive(Debug)]
struct Waiting {
    /// Whoever is asked, by their id in Slack.
    user: String,
    question: Elicitation,
    reply: oneshot::Sender<Reply>,
    /// The card that asks, once it is known how it is changed.
    card: Option<Shown>,
}

/// How a card is changed.
#[derive(Debug, Clone)]
enum Shown {
    /// By the address of a click on it.
    Clicked(String),
    Posted {
        channel: String,
        ts: String,
    },
}

impl Elicited {
    fn all(&self) -> MutexGuard<'_, HashMap<Uuid, Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A question waits; `None` where too many do.
    fn wait(&self, user: &str, question: &Elicitation) -> Option<oneshot::Receiver<Reply>> {
        let (reply, receiver) = oneshot::channel();
        let mut all = self.all();
        if all.len() >= MOST {
            return None;
        }
        all.insert(question.id, Waiting { user: user.into(), question: question.clone(), reply, card: None });
        Some(receiver)
    }

    /// What somebody is asked; nobody finds what others are.
    fn question(&self, id: Uuid, user: &str) -> Option<Elicitation> {
        self.all().get(&id).filter(|one| one.user == user).map(|one| one.question.clone())
    }

    /// Somebody answers; the card that asked, where anybody waited for it and it can be changed.
    fn answer(&self, id: Uuid, user: &str, reply: Reply) -> Option<Shown> {
        let mut all = self.all();
        all.get(&id).filter(|one| one.user == user)?;
        let waiting = all.remove(&id)?;
        waiting.reply.send(reply).ok()?;
        waiting.card
    }

    /// Keeps how the card of a question is changed.
    fn shown(&self, id: Uuid, card: Shown) {
        if let Some(waiting) = self.all().get_mut(&id) {
            waiting.card = Some(card);
        }
    }
}

/// Whoever asked the question in whose answer a server asks.
#[derive(Debug)]
pub(super) struct Asking {
    bot: Bot,
    to: To,
    user: String,
    /// Nobody else reads where they asked.
    is_direct: bool,
    /// How they are told what nobody else is to read.
    private: Option<Aside>,
    /// By which what they write meanwhile does not wait for them.
    turn: Option<Leaving>,
}

impl Asking {
    pub(super) fn new(bot: Bot, question: &Question) -> Self {
        let is_direct = question.kind == crate::event::ChannelKind::Direct;
        let (to, user) = (question.to(), question.person.user.id.clone());
        Self { bot, to, user, is_direct, private: question.private.clone(), turn: None }
    }

    /// The same of a question whose turn it is until somebody is asked.
    pub(super) fn with_turn(mut self, turn: Option<Leaving>) -> Self {
        self.turn = turn;
        self
    }

    /// Puts a card to the person, by another way where the bot is not; how it is changed, where that is known.
    async fn show(&self, card: &Body) -> Result<Option<Shown>, SlackError> {
        let api = self.bot.api();
        let here = match self.is_direct {
            true => self.post(&self.to, card).await.map(Some),
            false => api.whisper(&self.to, &self.user, card).await.map(|()| None),
        };
        let error = match here {
            Err(error) => error,
            shown => return shown,
        };
        if let Some(Aside::Url(url)) = &self.private
            && api.respond(url, card, false).await.is_ok()
        {
            return Ok(None);
        }
        tracing::info!(%error, "somebody is asked by a server in their direct messages");
        let to = To { channel: api.direct(&self.user).await?, thread: None };
        self.post(&to, card).await.map(Some)
    }

    async fn post(&self, to: &To, card: &Body) -> Result<Shown, SlackError> {
        let ts = self.bot.api().post(to, card).await?;
        Ok(Shown::Posted { channel: to.channel.clone(), ts })
    }
}

/// How long a question may wait for its answer.
const YOUNG: Duration = Duration::from_secs(15 * 60);

/// Whether a question was asked lately: its id says when.
fn is_young(id: Uuid) -> bool {
    let asked = id.get_timestamp().map_or(0, |at| at.to_unix().0);
    let now = u64::try_from(Utc::now().timestamp()).unwrap_or_default();
    asked + YOUNG.as_secs() > now
}

/// Said of a question that is not asked here: another process may wait for its answer.
const NOT_ARRIVED: &str = "This did not arrive, or nobody waits for it any more.";

/// What somebody entered for a question that is not asked here stays where they entered it.
fn not_arrived(submission: &Submission, id: Uuid) -> Ack {
    let first = submission.values.as_object().and_then(|values| values.keys().next());
    match first.filter(|_| is_young(id)) {
        Some(block) => Ack::With(serde_json::json!({ "response_action": "errors",
            "errors": { block: format!("{NOT_ARRIVED} Please send it again.") } })),
        None => Ack::Empty,
    }
}

/// Forgets a question for whose answer nobody waits any more, and takes its buttons away.
struct Forgets<'a>(&'a Bot, Uuid);

impl Drop for Forgets<'_> {
    fn drop(&mut self) {
        let waiting = self.0.0.elicited.all().remove(&self.1);
        if let Some(Waiting { question, card: Some(card), .. }) = waiting {
            self.0.close_question(card, &question, Outcome::Expired);
        }
    }
}

#[async_trait]
impl Elicit for Asking {
    async fn ask(&self, question: &Elicitation) -> Reply {
        let elicited = &self.bot.0.elicited;
        let Some(receiver) = elicited.wait(&self.user, question) else { return Reply::Cancel };
        let _forgets = Forgets(&self.bot, question.id);
        let card = view::elicit::card(question, &question.id.to_string());
        match self.show(&card).await {
            Ok(Some(shown)) => elicited.shown(question.id, shown),
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%error, "a server's question could not be put to the person");
                return Reply::Cancel;
            }
        }
        if let Some(turn) = &self.turn {
            turn.leave();
        }
        receiver.await.unwrap_or(Reply::Cancel)
    }
}

impl Bot {
    /// Somebody clicked on a server's question.
    pub(super) async fn elicited(&self, action: &Action, is_answered: bool) {
        let (Ok(id), user) = (action.value.parse::<Uuid>(), &action.user.id) else { return };
        let Some(question) = self.0.elicited.question(id, user) else {
            if self.kept().is_some() && is_young(id) {
                // Another process of the workspace may wait for it, and a click may come to that one.
                let body = Body::of(&format!("⏳ {NOT_ARRIVED} Please press it again."));
                return self.answer_click(action, &body).await;
            }
            let late = Body::of("⌛ Nobody waits for an answer to this any more.");
            return self.replace(action, &late).await;
        };
        if !is_answered {
            self.0.elicited.answer(id, user, Reply::Decline);
            return self.replace(action, &view::elicit::ended(&question, Outcome::Declined)).await;
        }
        match view::elicit::modal(&question, &id.to_string()) {
            Some(view) => {
                if let Some(url) = &action.response_url {
                    self.0.elicited.shown(id, Shown::Clicked(url.clone()));
                }
                self.open_form(action, &view).await;
            }
            None => {
                self.0.elicited.answer(id, user, Reply::Accept(serde_json::Map::new()));
                self.replace(action, &view::elicit::ended(&question, Outcome::Answered)).await;
            }
        }
    }

    /// Somebody filled a server's form in. What does not fit goes back into the form.
    pub(super) fn form_sent(&self, submission: &Submission) -> Ack {
        let (Ok(id), user) = (submission.metadata.parse::<Uuid>(), &submission.user.id) else { return Ack::Empty };
        let Some(question) = self.0.elicited.question(id, user) else { return not_arrived(submission, id) };
        let Wanted::Form(form) = &question.wanted else { return Ack::Empty };
        match view::elicit::values(form, &submission.values) {
            Ok(values) => {
                if let Some(card) = self.0.elicited.answer(id, user, Reply::Accept(values)) {
                    self.close_question(card, &question, Outcome::Answered);
                }
                Ack::Empty
            }
            Err(wrong) => Ack::With(serde_json::json!({
                "response_action": "errors",
                "errors": wrong.into_iter().map(|(block, why)| (block, Value::from(why))).collect::<serde_json::Map<_, _>>(),
            })),
        }
    }

    /// Says on the card of a question what became of it, beside everything else.
    fn close_question(&self, card: Shown, question: &Elicitation, outcome: Outcome) {
        let (bot, body) = (self.clone(), view::elicit::ended(question, outcome));
        self.spawn(async move {
            let closed = match &card {
                Shown::Clicked(url) => bot.api().respond(url, &body, true).await,
                Shown::Posted { channel, ts } => bot.api().update(channel, ts, &body).await,
            };
            if let Err(error) = closed {
                tracing::warn!(%error, "the card of a question that is over keeps its buttons");
            }
        });
    }

    /// Puts something else in the place of what was clicked.
    async fn replace(&self, action: &Action, body: &Body) {
        let Some(url) = &action.response_url else { return };
        if let Err(error) = self.api().respond(url, body, true).await {
            tracing::warn!(%error, "what was clicked could not be changed");
        }
    }
}

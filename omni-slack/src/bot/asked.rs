//! What servers ask of people in the middle of a call: a card in the thread, and a modal with the form.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use chrono::Utc;
use omni_core::elicit::{Elicit, Elicitation, Reply, Wanted};
use serde_json::Value;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::{Bot, question::Question};
use crate::{
    api::{Body, To},
    event::{Action, Submission},
    port::Ack,
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
        all.insert(question.id, Waiting { user: user.into(), question: question.clone(), reply });
        Some(receiver)
    }

    /// What somebody is asked; nobody finds what others are.
    fn question(&self, id: Uuid, user: &str) -> Option<Elicitation> {
        self.all().get(&id).filter(|one| one.user == user).map(|one| one.question.clone())
    }

    /// Somebody answers; whether anybody waited for it.
    fn answer(&self, id: Uuid, user: &str, reply: Reply) -> bool {
        let mut all = self.all();
        if all.get(&id).is_none_or(|one| one.user != user) {
            return false;
        }
        all.remove(&id).is_some_and(|one| one.reply.send(reply).is_ok())
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
}

impl Asking {
    pub(super) fn new(bot: Bot, question: &Question) -> Self {
        let is_direct = question.kind == crate::event::ChannelKind::Direct;
        Self { bot, to: question.to(), user: question.person.user.id.clone(), is_direct }
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

/// What somebody entered for a question that is not asked here stays where they entered it.
fn not_arrived(submission: &Submission, id: Uuid) -> Ack {
    let first = submission.values.as_object().and_then(|values| values.keys().next());
    match first.filter(|_| is_young(id)) {
        Some(block) => Ack::With(serde_json::json!({ "response_action": "errors",
            "errors": { block: "This did not arrive, or nobody waits for it any more. Please send it again." } })),
        None => Ack::Empty,
    }
}

/// Forgets a question for whose answer nobody waits any more.
struct Forgets<'a>(&'a Arc<Elicited>, Uuid);

impl Drop for Forgets<'_> {
    fn drop(&mut self) {
        self.0.all().remove(&self.1);
    }
}

#[async_trait]
impl Elicit for Asking {
    async fn ask(&self, question: &Elicitation) -> Reply {
        let elicited = &self.bot.0.elicited;
        let Some(receiver) = elicited.wait(&self.user, question) else { return Reply::Cancel };
        let _forgets = Forgets(elicited, question.id);
        let card = view::elicit::card(question, &question.id.to_string());
        let told = match self.is_direct {
            true => self.bot.api().post(&self.to, &card).await.map(drop),
            false => self.bot.api().whisper(&self.to, &self.user, &card).await,
        };
        if let Err(error) = told {
            tracing::warn!(%error, "a server's question could not be put to the person");
            return Reply::Cancel;
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
                return self.answer_click(action, &Body::of("⏳ This did not arrive. Please press it again.")).await;
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
                if let Err(error) = self.api().open(&action.trigger, &view).await {
                    tracing::warn!(%error, "a server's form could not be shown");
                }
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
                self.0.elicited.answer(id, user, Reply::Accept(values));
                Ack::Empty
            }
            Err(wrong) => Ack::With(serde_json::json!({
                "response_action": "errors",
                "errors": wrong.into_iter().map(|(block, why)| (block, Value::from(why))).collect::<serde_json::Map<_, _>>(),
            })),
        }
    }

    /// Puts something else in the place of what was clicked.
    async fn replace(&self, action: &Action, body: &Body) {
        let Some(url) = &action.response_url else { return };
        if let Err(error) = self.api().respond(url, body, true).await {
            tracing::warn!(%error, "what was clicked could not be changed");
        }
    }
}

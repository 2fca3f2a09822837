//! What servers ask in the middle of a call, told in the stream of the ask, and answered by a request of its own.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use omni_core::{
    elicit::{Elicit, Elicitation, Reply, Wanted},
    identity::Holder,
};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::{error::ApiError, extract::Invalid};

/// Most questions that wait at once; more are not asked.
const MOST: usize = 1_000;
/// Questions of one ask that wait to be told.
const UNTOLD: usize = 16;

/// All questions that wait for an answer.
#[derive(Debug, Default)]
pub(crate) struct Questions(Mutex<HashMap<Uuid, Waiting>>);

/// A question, and whose it is.
#[derive(Debug)]
struct Waiting {
    holder: Holder,
    question: Elicitation,
    answer: oneshot::Sender<Reply>,
}

/// Questions that are to be told.
pub(crate) type Untold = mpsc::Receiver<Elicitation>;

impl Questions {
    /// Whoever reads the stream of an ask, to be asked; and what they are to be told.
    pub(crate) fn of_stream(self: &Arc<Self>, holder: Holder) -> (Arc<dyn Elicit>, Untold) {
        let (told, untold) = mpsc::channel(UNTOLD);
        (Arc::new(ByStream { questions: self.clone(), holder, told }), untold)
    }

    /// Answers a question.
    ///
    /// # Errors
    /// There is none, or it is somebody else's: in the same words. Or the values do not fit the form; then it still
    /// waits.
    pub(crate) fn answer(&self, id: Uuid, holder: &Holder, reply: Reply) -> Result<(), ApiError> {
        let none = || ApiError::not_found("no server waits for an answer under this id");
        let mut waiting = self.waiting();
        let question = waiting.get(&id).filter(|question| question.holder == *holder).ok_or_else(none)?;
        if let (Reply::Accept(values), Wanted::Form(form)) = (&reply, &question.question.wanted) {
            form.check(values)
                .map_err(|wrong| Invalid::new("value_error", wrong.join("; ")).within("content").within("body"))?;
        }
        let question = waiting.remove(&id).ok_or_else(none)?;
        drop(waiting);
        question.answer.send(reply).map_err(|_| none())
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<Uuid, Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks whoever reads the stream of one ask.
#[derive(Debug)]
struct ByStream {
    questions: Arc<Questions>,
    holder: Holder,
    told: mpsc::Sender<Elicitation>,
}

/// Takes a question away that nobody waits for any more.
struct Open<'a>(&'a Questions, Uuid);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.waiting().remove(&self.1);
    }
}

#[async_trait]
impl Elicit for ByStream {
    async fn ask(&self, question: &Elicitation) -> Reply {
        let (answer, answered) = oneshot::channel();
        {
            let mut waiting = self.questions.waiting();
            if waiting.len() >= MOST {
                tracing::warn!(server = question.server, "a server's question is not asked: too many wait");
                return Reply::Cancel;
            }
            waiting.insert(question.id, Waiting { holder: self.holder.clone(), question: question.clone(), answer });
        }
        let _open = Open(&self.questions, question.id);
        if self.told.send(question.clone()).await.is_err() {
            return Reply::Cancel;
        }
        answered.await.unwrap_or(Reply::Cancel)
    }
}

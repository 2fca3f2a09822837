//! Whether an answer was good: by buttons under it, by reactions to it, and why not by a form.

use std::time::Duration;

use omni_core::{
    ErrorKind,
    feedback::{Feedback, Verdict},
};
use serde_json::json;
use uuid::Uuid;

use super::{Bot, keeping::in_time, question::Question};
use crate::{
    api::Body,
    event::{Action, Reaction, Submission},
    people::Person,
    view,
};

/// How long it is known which answer a message is.
const KNOWN_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);

fn key(channel: &str, ts: &str) -> String {
    format!("answer/{channel}/{ts}")
}

/// What a reaction says of an answer.
pub(super) fn verdict_of(reaction: &str) -> Option<Verdict> {
    match reaction {
        "+1" | "thumbsup" => Some(Verdict::Up),
        "-1" | "thumbsdown" => Some(Verdict::Down),
        _ => None,
    }
}

impl Bot {
    /// Keeps which answer a message is: for reactions, which say no more than the message.
    pub(super) async fn keep_answer(&self, question: &Question, ts: &str, ask: Uuid) {
        let Some(kept) = self.kept().filter(|_| self.omni().keeps_feedback()) else { return };
        let key = key(&question.channel, ts);
        if let Err(error) = in_time(kept.put_for(&key, &json!(ask), KNOWN_FOR)).await {
            tracing::warn!(%error, "reactions to an answer will not be understood");
        }
    }

    /// Somebody pressed a thumb under an answer.
    pub(super) async fn judged(&self, person: &Person, action: &Action, verdict: Verdict) {
        let Ok(ask) = action.value.parse::<Uuid>() else { return };
        // A form has to be shown within seconds, whatever becomes of the verdict.
        if verdict == Verdict::Down
            && let Err(error) = self.api().open(&action.trigger, &view::feedback::modal(&action.value)).await
        {
            tracing::warn!(%error, "nobody could be asked what was wrong with an answer");
        }
        let body = match self.keep_verdict(person, Feedback::new(ask, verdict)).await {
            Ok(()) => view::feedback::thanks(verdict.is_good()),
            Err(body) => body,
        };
        self.answer_click(action, &body).await;
    }

    /// Somebody said what was wrong with an answer.
    pub(super) async fn complained(&self, submission: &Submission) {
        let Ok(ask) = submission.metadata.parse::<Uuid>() else { return };
        let person = match self.resolve(&submission.user, "").await {
            Ok(person) => person,
            Err(unknown) => return self.say_unknown(&submission.user, unknown).await,
        };
        let reason = view::feedback::submitted(&submission.values).written();
        let feedback = Feedback::new(ask, Verdict::Down).because(reason);
        if let Err(body) = self.keep_verdict(&person, feedback).await {
            self.say_direct(&submission.user.id, &body).await;
        }
    }

    /// Somebody reacted to an answer with a thumb. Whoever is nobody here is not told so: they only put a sign.
    pub(super) async fn judged_by_reaction(&self, reaction: &Reaction, verdict: Verdict) {
        let Some(kept) = self.kept() else { return };
        let found = in_time(kept.get(&key(&reaction.channel, &reaction.ts))).await;
        let found = found.inspect_err(|error| tracing::warn!(%error, "it is not known what a reaction is to"));
        let ask = found.ok().flatten().and_then(|ask| ask.as_str()?.parse::<Uuid>().ok());
        let (Some(ask), Ok(person)) = (ask, self.resolve(&reaction.user, &reaction.channel).await) else { return };
        if self.keep_verdict(&person, Feedback::new(ask, verdict)).await.is_err() {
            tracing::debug!(user = reaction.user.id, "a reaction to an answer does not count");
        }
    }

    /// Keeps what somebody says who reads where the answer stands; what they are told where it is not to be.
    async fn keep_verdict(&self, person: &Person, feedback: Feedback) -> Result<(), Body> {
        let kept = self.omni().feedback(person.credential(), feedback.of_reader()).await;
        kept.map_err(|error| match error.kind() {
            ErrorKind::NotFound => Body::of("⌛ This answer is too old to be judged."),
            _ => self.refused(person, &error),
        })
    }
}

//! An answer by a message that is changed while it is written, where Slack streams nothing.

use async_trait::async_trait;
use tokio::time::Instant;

use super::{End, Voice};
use crate::{
    api::{Api, Body, To},
    bot::{Bot, interrupted::Doing, question::Question},
    view::{
        answer::{self, Buttons, View},
        task::{Card, State},
        text,
    },
};

/// Most characters of the answer that are shown while it is written.
const MOST_MEANWHILE: usize = 2_800;

/// See the module.
#[derive(Debug)]
pub(super) struct Plain {
    api: Api,
    to: To,
    user: String,
    ts: Option<String>,
    question: String,
    text: String,
    /// What is done now.
    doing: Option<String>,
    /// What the button to stop names.
    spot: String,
    /// Where it is kept which message that is, for whoever takes it away after a kill.
    kept: Option<Doing>,
    is_new: bool,
    /// When what is shown was changed last.
    last: Instant,
}

impl Plain {
    pub(super) fn new(bot: &Bot, question: &Question, kept: Option<Doing>) -> Self {
        let (channel, thread) = question.spot();
        Self {
            api: bot.api().clone(),
            to: question.to(),
            user: question.person.user.id.clone(),
            ts: None,
            question: question.text.clone(),
            text: String::new(),
            doing: None,
            spot: format!("{channel} {thread}"),
            kept,
            is_new: false,
            last: Instant::now(),
        }
    }

    fn meanwhile(&self) -> Body {
        if self.text.is_empty() && self.doing.is_none() {
            return answer::working(&self.question, Some(&self.spot));
        }
        let doing = self.doing.as_deref().unwrap_or("writing");
        let view = View {
            markdown: tail_of(&self.text, MOST_MEANWHILE),
            note: Some(format!("⏳ _{} …_", text::mrkdwn_line(doing, 200))),
            buttons: Buttons { stop: Some(self.spot.clone()), ..Buttons::default() },
            ..View::default()
        };
        answer::message(&view, 0)
    }
}

/// The last characters: what is written now.
fn tail_of(text: &str, most: usize) -> String {
    let count = text.chars().count();
    match count > most {
        true => format!("…{}", text.chars().skip(count - most).collect::<String>()),
        false => text.to_owned(),
    }
}

#[async_trait]
impl Voice for Plain {
    async fn begin(&mut self) {
        match self.api.post(&self.to, &self.meanwhile()).await {
            Ok(ts) => {
                if let Some(kept) = &mut self.kept {
                    kept.shows_draft(&ts).await;
                }
                self.ts = Some(ts);
            }
            Err(error) => tracing::warn!(%error, "an answer could not be begun"),
        }
    }

    async fn text(&mut self, piece: &str) {
        self.text.push_str(piece);
        self.is_new = true;
    }

    async fn card(&mut self, card: Card) {
        self.doing = (card.state == State::Running).then_some(card.title);
        self.is_new = true;
    }

    async fn tick(&mut self) {
        let Some(ts) = self.ts.as_deref().filter(|_| self.is_new) else { return };
        match self.api.update_if_free(&self.to.channel, ts, &self.meanwhile(), self.last).await {
            Ok(false) => {}
            Ok(true) => (self.is_new, self.last) = (false, Instant::now()),
            Err(error) => tracing::debug!(%error, "an answer could not be changed while it was written"),
        }
    }

    async fn end(&mut self, end: &End) -> Vec<String> {
        let mut messages = end.messages().into_iter();
        let Some(first) = messages.next() else { return Vec::new() };
        let begun = self.ts.take();
        let is_changed = match &begun {
            Some(ts) => {
                let changed = self.api.update(&self.to.channel, ts, &first).await;
                changed.inspect_err(|error| tracing::info!(%error, "an answer comes as a message of its own")).is_ok()
            }
            None => false,
        };
        let (mut told, stale) = if is_changed { (begun.into_iter().collect(), None) } else { (Vec::new(), begun) };
        for message in (!is_changed).then_some(first).into_iter().chain(messages) {
            match self.api.post_for(&self.to, &self.user, &message).await {
                Ok(posted) => told.extend(posted),
                Err(error) => tracing::warn!(%error, "a part of an answer could not be posted"),
            }
        }
        // Nothing is in progress any more, nor to be stopped.
        if let Some(ts) = stale
            && let Err(error) = self.api.delete(&self.to.channel, &ts).await
        {
            tracing::info!(%error, "what an answer began with could not be taken away");
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;
    use crate::api::wire::Wire;

    fn voice(wire: &Arc<Wire>) -> Plain {
        Plain {
            api: Api::new(wire.clone()),
            to: To { channel: "C1".into(), thread: None },
            user: "U1".into(),
            ts: None,
            question: "Where?".into(),
            text: String::new(),
            doing: None,
            spot: "C1 -".into(),
            kept: None,
            is_new: false,
            last: Instant::now(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn slack_is_away_for_ten_seconds_when_an_answer_ends_and_it_is_told_once() {
        for is_untaken in [true, false] {
            let wire = Arc::new(Wire::default());
            let mut voice = voice(&wire);
            voice.begin().await;
            wire.away(Duration::from_secs(10), is_untaken);
            let end = End { view: View { markdown: "An answer.".into(), ..View::default() }, is_waiting: false };
            let told = voice.end(&end).await;
            assert_eq!((wire.reads().trim(), told.len()), ("An answer.", 1));
            assert_eq!(wire.calls("chat.postMessage").len(), 1, "that it is on its way");
        }
    }
}

//! An answer by a message that is changed while it is written, where Slack streams nothing.

use async_trait::async_trait;

use super::{Card, CardState, End, Voice};
use crate::{
    api::{Api, Body, To},
    bot::{Bot, question::Question},
    view,
};

/// Most characters of the answer that are shown while it is written.
const MOST_MEANWHILE: usize = 2_800;

/// See the module.
#[derive(Debug)]
pub(super) struct Plain {
    api: Api,
    to: To,
    ts: Option<String>,
    text: String,
    card: Option<String>,
    /// What the button to stop names.
    spot: String,
    is_new: bool,
}

impl Plain {
    pub(super) fn new(bot: &Bot, question: &Question) -> Self {
        let (channel, thread) = question.spot();
        Self {
            api: bot.api().clone(),
            to: question.to(),
            ts: None,
            text: String::new(),
            card: None,
            spot: format!("{channel} {thread}"),
            is_new: false,
        }
    }

    fn meanwhile(&self) -> Body {
        let card = self.card.as_deref().unwrap_or("Working on it…");
        view::answer::meanwhile(&tail_of(&self.text, MOST_MEANWHILE), card, &self.spot)
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
            Ok(ts) => self.ts = Some(ts),
            Err(error) => tracing::warn!(%error, "an answer could not be begun"),
        }
    }

    async fn text(&mut self, piece: &str) {
        self.text.push_str(piece);
        self.is_new = true;
    }

    async fn card(&mut self, card: Card) {
        self.card = (card.state == CardState::Running).then(|| format!("{} …", card.title));
        self.is_new = true;
    }

    async fn tick(&mut self) {
        let Some(ts) = self.ts.as_deref().filter(|_| self.is_new) else { return };
        match self.api.update_if_free(&self.to.channel, ts, &self.meanwhile()).await {
            Ok(was_free) => self.is_new = !was_free,
            Err(error) => tracing::debug!(%error, "an answer could not be changed while it was written"),
        }
    }

    async fn end(&mut self, end: &End) {
        let text = if end.note.is_empty() { end.text.clone() } else { format!("{}\n\n{}", end.text, end.note) };
        let mut parts = view::answer::parts(text.trim(), &end.tail);
        let first = parts.remove(0);
        let told = match &self.ts {
            Some(ts) => self.api.update(&self.to.channel, ts, &first).await,
            None => self.api.post(&self.to, &first).await.map(drop),
        };
        if let Err(error) = told {
            tracing::warn!(%error, "an answer could not be told");
        }
        for part in parts {
            if let Err(error) = self.api.post(&self.to, &part).await {
                tracing::warn!(%error, "a part of an answer could not be posted");
            }
        }
    }
}

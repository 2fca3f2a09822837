//! An answer that nobody but the asker reads.

use async_trait::async_trait;

use super::{Card, End, Voice};
use crate::{
    api::{Api, Body, To},
    bot::question::{Aside, Question},
    view,
};

/// Slack takes five messages by one address; one says that the answer is on its way.
const MOST_PARTS: usize = 4;

/// See the module.
#[derive(Debug)]
pub(super) struct Private {
    api: Api,
    aside: Aside,
    to: To,
    user: String,
}

impl Private {
    pub(super) fn new(api: Api, aside: Aside, question: &Question) -> Self {
        Self { api, aside, to: question.to(), user: question.person.user.id.clone() }
    }

    async fn say(&self, body: &Body, replace: bool) {
        let told = match &self.aside {
            Aside::Url(url) => self.api.respond(url, body, replace).await,
            Aside::Whisper => self.api.whisper(&self.to, &self.user, body).await,
        };
        if let Err(error) = told {
            tracing::warn!(%error, "a private answer could not be told");
        }
    }
}

#[async_trait]
impl Voice for Private {
    async fn begin(&mut self) {
        // What is whispered cannot be taken back.
        if matches!(self.aside, Aside::Whisper) {
            return;
        }
        self.say(&Body::of("⏳ Working on it…"), false).await;
    }

    async fn text(&mut self, _: &str) {}

    async fn card(&mut self, _: Card) {}

    async fn tick(&mut self) {}

    async fn end(&mut self, end: &End) {
        let text = if end.note.is_empty() { end.text.clone() } else { format!("{}\n\n{}", end.text, end.note) };
        let parts = view::answer::parts(text.trim(), &end.tail);
        let cut = parts.len() > MOST_PARTS;
        for (at, part) in parts.iter().take(MOST_PARTS).enumerate() {
            self.say(part, at == 0).await;
        }
        if cut {
            tracing::info!("a private answer was longer than Slack takes");
        }
    }
}

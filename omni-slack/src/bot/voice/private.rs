//! An answer that nobody but the asker reads.

use async_trait::async_trait;

use super::{End, Voice};
use crate::{
    api::{Api, Body, To},
    bot::question::{Aside, Question},
    port::SlackError,
    view::{answer, task::Card},
};

/// Slack takes five messages by one address, one of which says that the answer is on its way; by others they are asked
/// for a call that waits, or for a server.
const MOST_BY_URL: usize = 3;

/// See the module.
#[derive(Debug)]
pub(super) struct Private {
    api: Api,
    aside: Aside,
    to: To,
    user: String,
    question: String,
    /// What the button to stop names.
    spot: String,
}

impl Private {
    pub(super) fn new(api: Api, aside: Aside, question: &Question) -> Self {
        let user = question.person.user.id.clone();
        let (channel, thread) = question.spot();
        let (question, to) = (question.text.clone(), question.to());
        Self { api, aside, to, user, question, spot: format!("{channel} {thread}") }
    }

    async fn say(&self, body: &Body, at: usize) -> Result<(), SlackError> {
        if let Aside::Url(url) = &self.aside
            && at < MOST_BY_URL
        {
            match self.api.respond(url, body, at == 0).await {
                Ok(()) => return Ok(()),
                Err(error) => tracing::info!(%error, "a private answer comes by another way"),
            }
        }
        let Err(error) = self.api.whisper(&self.to, &self.user, body).await else { return Ok(()) };
        // The bot may be in no channel with them.
        self.api.post_direct(&self.user, body).await.map_err(|_| error)
    }
}

#[async_trait]
impl Voice for Private {
    async fn begin(&mut self) {
        // What is whispered cannot be taken back.
        let Aside::Url(url) = &self.aside else { return };
        if let Err(error) = self.api.respond(url, &answer::working(&self.question, Some(&self.spot)), false).await {
            tracing::debug!(%error, "nobody could be told that an answer is on its way");
        }
    }

    async fn text(&mut self, _: &str) {}

    async fn card(&mut self, _: Card) {}

    async fn tick(&mut self) {}

    async fn end(&mut self, end: &End) -> Vec<String> {
        for (at, message) in end.messages().iter().enumerate() {
            if let Err(error) = self.say(message, at).await {
                tracing::warn!(%error, "a private answer could not be told");
            }
        }
        Vec::new()
    }
}

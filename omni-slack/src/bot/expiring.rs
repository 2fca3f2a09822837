//! Cards whose time is over lose their buttons.
//!
//! That is done for cards that are messages, by the process that posted them. What only one person sees Slack lets
//! nobody change but by a click: such a card, and one of a process that is gone, loses its buttons then.

use std::time::Duration;

use chrono::{DateTime, Utc};
use omni_core::confirm::State;
use tokio::time::sleep;

use super::{
    Bot,
    confirming::{Ticket, card_of, marked, outcome},
};
use crate::{
    people::Person,
    view::{self, confirm::Outcome},
};

/// How long after its end it is looked whether somebody decided at the last moment.
const AFTER: Duration = Duration::from_millis(500);

/// A card that was posted.
#[derive(Debug)]
pub(super) struct Posted {
    pub(super) ticket: Ticket,
    pub(super) channel: String,
    pub(super) ts: String,
    /// Who asked, where others decide.
    pub(super) asker: Option<String>,
    pub(super) expires_at: DateTime<Utc>,
}

impl Bot {
    /// Takes the buttons of a card away at the end of its time.
    pub(super) fn expires(&self, person: &Person, posted: Posted) {
        let left = (posted.expires_at - Utc::now()).to_std().unwrap_or_default() + AFTER;
        let (bot, person) = (self.clone(), person.clone());
        self.0.timers.spawn(async move {
            // What a process does not see, the click does.
            if bot.0.closing.run_until_cancelled(sleep(left)).await.is_some() {
                bot.expired(&person, &posted).await;
            }
        });
    }

    async fn expired(&self, person: &Person, posted: &Posted) {
        let Ok(found) = self.omni().confirmation(person.credential(), posted.ticket.id).await else { return };
        let card = card_of(&found, posted.ticket.text(), posted.asker.clone());
        let outcome = match found.confirmation.state {
            State::Pending | State::Expired => Outcome::Expired,
            // Whoever decided by this card has changed it.
            _ if !self.0.seen.is_new(marked(posted.ticket.id)) => return,
            _ => outcome(&found, person),
        };
        let body = view::confirm::decided(&card, &outcome);
        if let Err(error) = self.api().update(&posted.channel, &posted.ts, &body).await {
            tracing::warn!(%error, "a card whose time is over keeps its buttons");
        }
    }
}

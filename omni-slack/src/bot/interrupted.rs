//! Asks of a process that was killed while it answered them: whoever asked is told that nothing more comes, once.
//!
//! Each process says as long as it lives that it does, and keeps what it answers. Of one that says so no more, any other
//! sees what it left.

use std::{sync::OnceLock, time::Duration};

use omni_core::kept::Kept;
use serde_json::json;
use tokio::time::sleep;
use uuid::Uuid;

use super::{
    Bot,
    confirming::Ticket,
    keeping::{Claim, Whose, in_time, is_free},
    question::Question,
};
use crate::{SlackError, view::notice};

/// Before the id of each that is answered; how long that is kept at most.
const DOING: &str = "doing/";
const KEPT_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// How often somebody looks.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// This process, as the others see it.
#[derive(Debug)]
pub(super) struct Life {
    id: Uuid,
    lease: OnceLock<Claim>,
}

impl Default for Life {
    fn default() -> Self {
        Self { id: Uuid::now_v7(), lease: OnceLock::new() }
    }
}

/// Something that this process answers.
pub(super) struct Doing {
    kept: Kept,
    key: String,
}

impl Doing {
    /// It does no more.
    pub(super) async fn ends(self) {
        if let Err(error) = in_time(self.kept.remove(&self.key)).await {
            tracing::warn!(%error, "somebody may be told that what they asked was interrupted");
        }
    }
}

fn life(id: &str) -> String {
    format!("life {id}")
}

impl Bot {
    /// From now on others see that this process lives, and it looks what those left that do no more.
    pub(crate) async fn lives(&self) {
        let Some(kept) = self.kept() else { return };
        let lease = Claim::own(kept.clone(), &life(&self.0.life.id.to_string())).await;
        if self.0.life.lease.set(lease).is_err() {
            return;
        }
        let bot = self.clone();
        self.0.timers.spawn(async move {
            loop {
                bot.tell_interrupted(&kept).await;
                if bot.0.closing.run_until_cancelled(sleep(LOOK_EVERY)).await.is_none() {
                    return;
                }
            }
        });
    }

    /// Keeps that this process answers something.
    pub(super) async fn does(&self, question: &Question) -> Option<Doing> {
        let kept = self.kept().filter(|_| self.0.life.lease.get().is_some())?;
        let ticket = Ticket {
            id: Uuid::now_v7(),
            asker: question.person.user.id.clone(),
            channel: question.channel.clone(),
            thread: question.thread.clone(),
            is_private: question.private.is_some(),
        };
        let key = format!("{DOING}{}", ticket.id);
        let value = json!({ "by": self.0.life.id, "ticket": ticket.text() });
        match in_time(kept.put_for(&key, &value, KEPT_FOR)).await {
            Ok(()) => Some(Doing { kept, key }),
            Err(error) => {
                tracing::warn!(%error, "after a kill nobody would tell that an answer was interrupted");
                None
            }
        }
    }

    /// Whether something is answered in a thread, by this process or another one.
    pub(super) async fn is_answering(&self, channel: &str, thread: &str) -> bool {
        if !self.0.running.at(&(channel.to_owned(), thread.to_owned())).is_empty() {
            return true;
        }
        let Some(kept) = self.kept() else { return false };
        let doing = in_time(kept.list(DOING)).await.unwrap_or_default();
        let mut tickets = doing.iter().filter_map(|(_, value)| Ticket::read(value["ticket"].as_str()?));
        tickets.any(|ticket| ticket.channel == channel && ticket.thread.as_deref() == Some(thread))
    }

    async fn tell_interrupted(&self, kept: &Kept) {
        let left = match in_time(kept.list(DOING)).await {
            Ok(left) => left,
            Err(error) => return tracing::warn!(%error, "it is not known what a killed process was answering"),
        };
        for (key, value) in left {
            let (by, ticket) = (value["by"].as_str(), value["ticket"].as_str().and_then(Ticket::read));
            if let (Some(by), Some(ticket)) = (by, ticket)
                && by != self.0.life.id.to_string()
                && is_free(kept, &life(by)).await
            {
                self.tell_of(kept, &key, &ticket).await;
            }
        }
    }

    /// Slack says no more that something is answered.
    async fn ends_session(&self, ticket: &Ticket) {
        let Some(thread) = ticket.thread.as_deref().filter(|_| !ticket.is_private) else { return };
        let told = json!({ "channel_id": ticket.channel, "thread_ts": thread, "status": "active",
            "initiator_user_id": ticket.asker });
        if let Err(error) = self.api().call_once("agents.sessions.setStatus", &told).await {
            tracing::debug!(%error, "Slack takes no status");
        }
    }

    async fn tell_of(&self, kept: &Kept, key: &str, ticket: &Ticket) {
        let told = format!("interrupted {key}");
        if !self.0.seen.is_new(told.clone()) {
            return;
        }
        let Whose::Ours(claim) = self.take_on(&told).await else { return self.0.seen.forget(&told) };
        match self.post_to_asker(ticket, &notice::interrupted()).await {
            // It is told at the next look.
            Err(SlackError::Away { .. } | SlackError::Limited { .. }) => {
                self.0.seen.forget(&told);
                return claim.leave().await;
            }
            Err(error) => tracing::warn!(%error, "somebody could not be told that their answer was interrupted"),
            Ok(()) => tracing::info!(channel = ticket.channel, "an answer was interrupted by the end of its process"),
        }
        self.ends_session(ticket).await;
        claim.done().await;
        Doing { kept: kept.clone(), key: key.to_owned() }.ends().await;
    }
}

//! Asks of a process that was killed while it answered them, and reports that it made: whoever asked is told that nothing
//! more comes, once, and what it left half told is in progress no more.
//!
//! Each process says as long as it lives that it does, and keeps what it answers. Of one that says so no more, any other
//! sees what it left. One that could not say so for a while, because the database was away, has its turn to say it
//! again before the next look.

use std::{collections::BTreeSet, sync::OnceLock, time::Duration};

use omni_core::kept::Kept;
use serde_json::{Value, json};
use tokio::time::sleep;
use uuid::Uuid;

use super::{
    Bot,
    confirming::Ticket,
    context::is_in_progress,
    keeping::{Claim, RENEW_EVERY, Whose, in_time, is_free},
    question::Question,
};
use crate::{SlackError, view::notice};

/// Before the id of each that is answered; how long that is kept at most.
const DOING: &str = "doing/";
const KEPT_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// Most characters of what a report asks that are told.
const MOST_OF_REPORT: usize = 500;
/// How often somebody looks.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(30);

// Whoever lives says so at least once from one look to the next.
const _: () = assert!(LOOK_EVERY.as_secs() > RENEW_EVERY.as_secs() + 5);

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

/// The processes of which nobody says that they live, by the last look.
#[derive(Debug, Default)]
struct Suspects {
    gone: BTreeSet<String>,
    /// How often this process could not say by then that it lives itself.
    missed: u64,
}

impl Suspects {
    /// Those of whom it is seen for the second time in a row, with a database that answered in between.
    fn confirmed(&mut self, gone: BTreeSet<String>, missed: u64) -> BTreeSet<String> {
        let has_answered = missed == self.missed;
        let confirmed = gone.intersection(&self.gone).filter(|_| has_answered).cloned().collect();
        *self = Self { gone, missed };
        confirmed
    }

    /// Nothing could be seen.
    fn lost(&mut self) {
        self.gone.clear();
    }
}

/// What a process answers, as the others read it.
struct Left {
    key: String,
    by: String,
    ticket: Ticket,
    /// What is asked by it, where it is a report on schedule.
    report: Option<String>,
    /// The run whose end it told, where that is one that went on by somebody's agreement.
    run: Option<Uuid>,
    /// The message with its button to stop, where it had one.
    button: Option<String>,
    /// The message that was to become the answer, where it began with one.
    draft: Option<String>,
    /// The stream that was open last, and the pieces that end what is in it, where it was told by such.
    stream: Option<(String, Value)>,
}

impl Left {
    fn read((key, value): (String, Value)) -> Option<Self> {
        let (by, ticket) = (value["by"].as_str()?.to_owned(), Ticket::read(value["ticket"].as_str()?)?);
        let text = |name: &str| value[name].as_str().map(str::to_owned);
        let stream = value["stream"]["ts"].as_str().map(|ts| (ts.to_owned(), value["stream"]["ends"].clone()));
        let run = value["run"].as_str().and_then(|run| run.parse().ok());
        let (report, button, draft) = (text("report"), text("button"), text("draft"));
        Some(Self { key, by, ticket, report, run, button, draft, stream })
    }
}

/// Something that this process answers.
#[derive(Debug, Clone)]
pub(super) struct Doing {
    kept: Kept,
    key: String,
    /// What others read of it.
    value: Value,
}

impl Doing {
    /// From now on a message has a button to stop it.
    pub(super) async fn shows_button(&mut self, ts: &str) {
        self.shows("button", ts.into()).await;
    }

    /// From now on there is a message that becomes the answer.
    pub(super) async fn shows_draft(&mut self, ts: &str) {
        self.shows("draft", ts.into()).await;
    }

    /// From now on this stream is open; the pieces that end what is in it.
    pub(super) async fn streams(&mut self, ts: &str, ends: Vec<Value>) {
        self.shows("stream", json!({ "ts": ts, "ends": ends })).await;
    }

    /// Keeps what people see of it by now.
    async fn shows(&mut self, name: &str, what: Value) {
        if self.value[name] == what {
            return;
        }
        self.value[name] = what;
        if let Err(error) = in_time(self.kept.put_for(&self.key, &self.value, KEPT_FOR)).await {
            tracing::warn!(%error, "after a kill something would look as if it went on");
        }
    }

    /// It does no more.
    pub(super) async fn ends(self) {
        over(&self.kept, &self.key).await;
    }
}

/// Nobody is told of it any more.
async fn over(kept: &Kept, key: &str) {
    if let Err(error) = in_time(kept.remove(key)).await {
        tracing::warn!(%error, "somebody may be told that what they asked was interrupted");
    }
}

fn life(id: &str) -> String {
    format!("life {id}")
}

impl Bot {
    /// From now on others see that this process lives, and it looks every so often what those left that do no more.
    pub(crate) async fn lives(&self, every: Duration) {
        let Some(kept) = self.kept() else { return };
        let lease = Claim::own(kept.clone(), &life(&self.0.life.id.to_string())).await;
        if self.0.life.lease.set(lease).is_err() {
            return;
        }
        let bot = self.clone();
        self.0.timers.spawn(async move {
            let mut suspects = Suspects::default();
            loop {
                bot.tell_interrupted(&kept, &mut suspects).await;
                if bot.0.closing.run_until_cancelled(sleep(every)).await.is_none() {
                    return;
                }
            }
        });
    }

    /// Keeps that this process answers something.
    pub(super) async fn does(&self, question: &Question) -> Option<Doing> {
        let ticket = Ticket {
            id: Uuid::now_v7(),
            asker: question.person.user.id.clone(),
            channel: question.channel.clone(),
            thread: question.thread.clone(),
            is_private: question.private.is_some(),
        };
        self.keeps_doing(&ticket, json!({})).await
    }

    /// Keeps that this process tells what comes of a run that goes on by somebody's agreement.
    pub(super) async fn carries_out(&self, ticket: &Ticket, run: Uuid) -> Option<Doing> {
        self.keeps_doing(ticket, json!({ "run": run })).await
    }

    /// Keeps that this process makes a report in a channel, on somebody's schedule or on that of a file.
    pub(super) async fn makes_report(&self, owner: &str, channel: &str, asked: &str) -> Option<Doing> {
        let (id, asker, channel) = (Uuid::now_v7(), owner.to_owned(), channel.to_owned());
        let ticket = Ticket { id, asker, channel, thread: None, is_private: false };
        let asked: String = asked.chars().take(MOST_OF_REPORT).collect();
        self.keeps_doing(&ticket, json!({ "report": asked })).await
    }

    /// Keeps what others read of something that this process does.
    async fn keeps_doing(&self, ticket: &Ticket, mut value: Value) -> Option<Doing> {
        let kept = self.kept().filter(|_| self.0.life.lease.get().is_some())?;
        let key = format!("{DOING}{}", ticket.id);
        (value["by"], value["ticket"]) = (json!(self.0.life.id), ticket.text().into());
        match in_time(kept.put_for(&key, &value, KEPT_FOR)).await {
            Ok(()) => Some(Doing { kept, key, value }),
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

    async fn tell_interrupted(&self, kept: &Kept, suspects: &mut Suspects) {
        let left: Vec<Left> = match in_time(kept.list(DOING)).await {
            Ok(left) => left.into_iter().filter_map(Left::read).collect(),
            Err(error) => {
                suspects.lost();
                return tracing::warn!(%error, "it is not known what a killed process was answering");
            }
        };
        let own = self.0.life.id.to_string();
        let mut gone = BTreeSet::new();
        for by in left.iter().map(|left| &left.by).filter(|by| **by != own).collect::<BTreeSet<_>>() {
            if matches!(is_free(kept, &life(by)).await, Ok(true)) {
                gone.insert(by.clone());
            }
        }
        let missed = self.0.life.lease.get().map_or(0, Claim::missed);
        let gone = suspects.confirmed(gone, missed);
        for left in left.iter().filter(|left| gone.contains(&left.by)) {
            self.tell_of(kept, left).await;
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

    async fn tell_of(&self, kept: &Kept, left: &Left) {
        let (key, ticket) = (&left.key, &left.ticket);
        let told = format!("interrupted {key}");
        if !self.0.seen.is_new(told.clone()) {
            return;
        }
        let Whose::Ours(claim) = self.take_on(&told).await else { return self.0.seen.forget(&told) };
        let is_told = match left.run {
            Some(run) => self.tell_left(ticket, run).await,
            None => self.tell_asker(left).await,
        };
        if !is_told {
            // It is told at the next look.
            self.0.seen.forget(&told);
            return claim.leave().await;
        }
        self.tidy_up(left).await;
        claim.done().await;
        over(kept, key).await;
    }

    /// Tells whoever asked that nothing more comes; whether nobody has to try it again.
    async fn tell_asker(&self, left: &Left) -> bool {
        let body = match &left.report {
            Some(asked) => notice::report_interrupted(asked),
            None => notice::interrupted(),
        };
        match self.post_to_asker(&left.ticket, &body).await {
            Err(SlackError::Away { .. } | SlackError::Limited { .. }) => return false,
            Err(error) => tracing::warn!(%error, "somebody could not be told that their answer was interrupted"),
            Ok(()) => {
                let channel = &left.ticket.channel;
                tracing::info!(channel, "an answer was interrupted by the end of its process");
            }
        }
        true
    }

    /// Ends or takes away what looks as if the answer went on.
    async fn tidy_up(&self, left: &Left) {
        let ticket = &left.ticket;
        if let Some((ts, ends)) = &left.stream {
            let has_ends = ends.as_array().is_some_and(|ends| !ends.is_empty());
            let with = if has_ends { json!({ "chunks": ends }) } else { json!({}) };
            self.api().stop_stream(&ticket.channel, ts, with).await;
        }
        self.ends_session(ticket).await;
        let mut stale = Vec::from_iter(&left.button);
        if let Some(draft) = &left.draft
            && self.is_in_progress(ticket, draft).await
        {
            stale.push(draft);
        }
        for ts in stale {
            if let Err(error) = self.api().delete(&ticket.channel, ts).await {
                tracing::info!(%error, "a button to stop what was interrupted could not be taken away");
            }
        }
    }

    /// Whether a message did not become the answer: that has no button to stop it.
    async fn is_in_progress(&self, ticket: &Ticket, ts: &str) -> bool {
        match self.api().message(&ticket.to(), ts).await {
            Ok(found) => found.as_ref().is_some_and(is_in_progress),
            Err(error) => {
                tracing::info!(%error, "it is not known whether a message became an answer; it stays");
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn who_is_seen_gone_twice_in_a_row_is_gone() {
        let mut suspects = Suspects::default();
        assert_eq!(suspects.confirmed(all(&["a", "b"]), 0), all(&[]));
        assert_eq!(
            suspects.confirmed(all(&["b", "c"]), 0),
            all(&["b"]),
            "a has come back, and c is seen for the first time"
        );
        assert_eq!(suspects.confirmed(all(&["a", "c"]), 0), all(&["c"]));
    }

    #[test]
    fn who_had_no_database_to_say_that_they_live_is_not_gone() {
        let mut suspects = Suspects::default();
        suspects.confirmed(all(&["a"]), 0);
        suspects.lost();
        assert_eq!(suspects.confirmed(all(&["a"]), 0), all(&[]), "nothing was seen in between");
        assert_eq!(suspects.confirmed(all(&["a"]), 1), all(&[]), "this one could not say it either");
        assert_eq!(suspects.confirmed(all(&["a"]), 1), all(&["a"]));
    }
}

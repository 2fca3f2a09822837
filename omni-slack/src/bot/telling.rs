//! What others agreed to is told where it was asked, once it is there: the answer is the asker's.
//!
//! Everybody who decides on a run may wait for it, and it is told once: by whoever claims it first. Whoever waits is kept
//! where there is a database, so that the next process goes on with it.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use omni_core::{
    Answer, Error,
    answer::{PendingCall, Status},
    confirm::State,
};
use serde_json::Value;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{
    Bot,
    command::kind_of,
    confirming::Ticket,
    keeping::{Claim, Whose, in_time},
    question::{Aside, Question},
};
use crate::{
    api::Body,
    event::User,
    people::{Person, Unknown},
    view::{
        answer::{self, View},
        text,
    },
};

/// How often somebody looks, at first and at last.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const LOOK_SELDOM: Duration = Duration::from_secs(10);
/// How long after the time to decide is over.
const AFTER_EXPIRY: TimeDelta = TimeDelta::minutes(15);
/// How long after a decision nothing more is expected of it.
const AFTER_DECISION: TimeDelta = TimeDelta::hours(6);
/// How often somebody looks whether what is told by others was not told after all.
const LOOKS_AT_OTHERS: u32 = 15;
/// Before the run of each whom somebody waits to tell; how long that is kept at most.
const WAITS: &str = "waits/";
const KEPT_FOR: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// Said where nothing comes any more.
const NOTHING_CAME: &str = "⌛ Nothing came of this: not everybody decided in time, or it was interrupted.";

const NOTHING_KNOWN: &str =
    "⌛ This was agreed to, and it is not known what came of it: look before you ask for it again.";
const NOT_MADE: &str = "🔄 I was interrupted while I answered this, and nothing more comes of it. The call was not made. Please ask again.";
const NOTHING_MORE: &str = "🔄 I was interrupted while I answered this, and nothing more comes of it. What was agreed to may have been carried \
     out: look before you ask for it again.";

/// What a look at a run found.
enum Found {
    /// It is over, and this is its last event.
    Result(Box<Value>),
    /// Nothing came of it.
    Over,
    /// It was agreed to, and nobody says any more what came of it.
    Unknown,
    /// Somebody decided, and it was gone on with; whether the call may have been made.
    Begun(bool),
    /// It goes on, or may.
    Waits,
    /// The process ends, and another one is told.
    Leaves,
}

impl Bot {
    /// Begins to wait for what comes of a run; once for each.
    pub(super) fn wait_for(&self, ticket: &Ticket, run: Uuid) {
        let key = format!("waiter {run}");
        if !self.0.seen.is_new(key.clone()) {
            return;
        }
        let (bot, ticket) = (self.clone(), ticket.clone());
        self.spawn(async move {
            bot.keep_wait(&ticket, run).await;
            if bot.told_to_asker(&ticket, run).await {
                bot.drop_wait(run).await;
            }
            bot.0.seen.forget(&key);
        });
    }

    /// Goes on to wait where a process of before ended.
    pub(crate) async fn go_on_waiting(&self) {
        let Some(kept) = self.kept() else { return };
        match in_time(kept.list(WAITS)).await {
            Ok(waits) => {
                for (key, ticket) in waits {
                    let run = key.strip_prefix(WAITS).and_then(|run| run.parse().ok());
                    let ticket = ticket.as_str().and_then(Ticket::read);
                    if let (Some(run), Some(ticket)) = (run, ticket) {
                        self.wait_for(&ticket, run);
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "what came of agreements before the start is not told"),
        }
    }

    /// Keeps that somebody is to be told what comes of a run.
    pub(super) async fn keep_wait(&self, ticket: &Ticket, run: Uuid) {
        let Some(kept) = self.kept() else { return };
        let (key, text) = (format!("{WAITS}{run}"), Value::from(ticket.text()));
        let put = in_time(kept.put_for(&key, &text, KEPT_FOR)).await;
        if let Err(error) = put {
            tracing::warn!(%error, "after a restart nobody would tell what came of an agreement");
        }
    }

    /// Where the answer of a run is told, by what is kept of it.
    pub(super) async fn waits_at(&self, run: Uuid) -> Result<Option<Ticket>, Error> {
        let Some(kept) = self.kept() else { return Ok(None) };
        let found = in_time(kept.get(&format!("{WAITS}{run}"))).await?;
        Ok(found.as_ref().and_then(Value::as_str).and_then(Ticket::read))
    }

    /// They were told.
    pub(super) async fn drop_wait(&self, run: Uuid) {
        let Some(kept) = self.kept() else { return };
        if let Err(error) = in_time(kept.remove(&format!("{WAITS}{run}"))).await {
            tracing::warn!(%error, "it could not be kept that somebody was told what came of an agreement");
        }
    }

    /// Takes it on to tell what comes of a run, where nobody does it or did.
    pub(super) async fn claims(&self, run: Uuid) -> Whose {
        let told = told(run);
        if !self.0.seen.is_new(told.clone()) {
            return self.whose(&told).await;
        }
        let whose = self.take_on(&told).await;
        if !matches!(whose, Whose::Ours(_)) {
            self.0.seen.forget(&told);
        }
        whose
    }

    /// It was not told after all.
    pub(super) async fn unclaims(&self, run: Uuid, claim: Option<Claim>) {
        self.0.seen.forget(&told(run));
        if let Some(claim) = claim {
            claim.leave().await;
        }
    }

    /// The run that a call belongs to.
    pub(super) async fn run_of(&self, person: &Person, id: Uuid) -> Option<Uuid> {
        let found = self.omni().confirmation(person.credential(), id).await.ok()?;
        Some(found.confirmation.run)
    }

    /// Whether an answer only says that the same run still waits for others.
    pub(super) async fn still_waits(&self, person: &Person, answer: &Answer, run: Uuid) -> bool {
        match answer.pending.first() {
            Some(call) if answer.status == Status::Waiting => self.run_of(person, call.id).await == Some(run),
            _ => false,
        }
    }

    /// Tells the asker what comes of a run, once that is known; whether nobody has to wait for it any more.
    async fn told_to_asker(&self, ticket: &Ticket, run: Uuid) -> bool {
        let asker = match self.asker_of(ticket).await {
            Some(Ok(asker)) => asker,
            // Whoever is nobody any more is told nothing.
            Some(Err(_)) => return true,
            None => return false,
        };
        let (began, mut told_by_others) = (Instant::now(), 0);
        loop {
            match self.look(&asker, ticket).await {
                Found::Leaves => return false,
                // It may be told by whoever saw that its process was killed.
                Found::Begun(_) if matches!(self.whose(&told(run)).await, Whose::Done) => return true,
                Found::Waits | Found::Begun(_) => {}
                found => match self.claims(run).await {
                    Whose::Ours(claim) => {
                        self.tell_found(asker, ticket, found).await;
                        claim.done().await;
                        return true;
                    }
                    Whose::Done => return true,
                    // Without a database nobody says when they are done.
                    Whose::Others if self.kept().is_none() && told_by_others >= LOOKS_AT_OTHERS => return true,
                    Whose::Others => told_by_others += 1,
                },
            }
            if !self.goes_on_after((began.elapsed() / 20).clamp(LOOK_EVERY, LOOK_SELDOM)).await {
                return false;
            }
        }
    }

    /// Tells the asker what came of a run whose process was killed while it told that, where nobody else does; whether
    /// that is seen to.
    pub(super) async fn tell_left(&self, ticket: &Ticket, run: Uuid) -> bool {
        let user = User { id: ticket.asker.clone(), team: self.me().team.clone() };
        let asker = match self.resolve(&user, &ticket.channel).await {
            Ok(asker) => asker,
            Err(unknown) => return unknown != Unknown::Away,
        };
        let found = match self.look(&asker, ticket).await {
            Found::Leaves => return false,
            Found::Waits => {
                self.wait_for(ticket, run);
                return true;
            }
            found => found,
        };
        match self.claims(run).await {
            Whose::Ours(claim) => {
                self.tell_found(asker, ticket, found).await;
                claim.done().await;
                self.drop_wait(run).await;
                true
            }
            Whose::Done => true,
            Whose::Others => false,
        }
    }

    /// Waits a while, or until the process begins to end; whether it has not to end now.
    async fn goes_on_after(&self, pause: Duration) -> bool {
        let closing = &self.0.closing;
        tokio::select! {
            () = sleep(pause) => true,
            () = self.0.ending.cancelled() => false,
            () = closing.cancelled(), if !closing.is_cancelled() => true,
        }
    }

    /// Whoever asked, as soon as Slack says who that is; `None` where the process ends before.
    async fn asker_of(&self, ticket: &Ticket) -> Option<Result<Person, Unknown>> {
        let user = User { id: ticket.asker.clone(), team: self.me().team.clone() };
        loop {
            match self.resolve(&user, &ticket.channel).await {
                Err(Unknown::Away) => {}
                known => return Some(known),
            }
            if self.0.closing.is_cancelled() || !self.goes_on_after(LOOK_SELDOM).await {
                return None;
            }
        }
    }

    async fn tell_found(&self, asker: Person, ticket: &Ticket, found: Found) {
        match found {
            Found::Result(result) => self.tell_result(asker, ticket, &result).await,
            Found::Over => self.post_answer(ticket, NOTHING_CAME).await,
            Found::Unknown => self.post_answer(ticket, NOTHING_KNOWN).await,
            Found::Begun(true) => self.post_answer(ticket, NOTHING_MORE).await,
            Found::Begun(false) => self.post_answer(ticket, NOT_MADE).await,
            Found::Waits | Found::Leaves => {}
        }
    }

    async fn look(&self, asker: &Person, ticket: &Ticket) -> Found {
        let found = match self.omni().confirmation(asker.credential(), ticket.id).await {
            Ok(found) => found,
            Err(error) if error.kind() == omni_core::ErrorKind::NotFound => return Found::Over,
            Err(error) => {
                tracing::warn!(%error, "it is not known what came of a call that others agreed to");
                return Found::Waits;
            }
        };
        let one = &found.confirmation;
        match found.result {
            Some(result) => Found::Result(Box::new(result)),
            None if one.state == State::Expired => Found::Over,
            // Whoever carried it out is gone.
            None if one.state == State::UnknownOutcome => Found::Unknown,
            None if one.state == State::Pending && is_over(one.expires_at, AFTER_EXPIRY) => Found::Over,
            // Without a database nobody else tells what is decided.
            None if self.0.closing.is_cancelled() && (one.state == State::Pending || self.kept().is_some()) => {
                Found::Leaves
            }
            // It may have been carried out by a process that is gone.
            None if one.decided_at.is_some_and(|at| is_over(at, AFTER_DECISION)) => Found::Unknown,
            None if matches!(one.state, State::Running | State::Done) => Found::Begun(true),
            None if matches!(one.state, State::Denied | State::Void) => Found::Begun(false),
            None => Found::Waits,
        }
    }

    async fn tell_result(&self, asker: Person, ticket: &Ticket, result: &Value) {
        let (text, pending) = read(result);
        self.post_answer(ticket, &text).await;
        if pending.is_empty() {
            return;
        }
        let mut question = Question::new(asker, &ticket.channel, kind_of(&ticket.channel), String::new());
        question.thread.clone_from(&ticket.thread);
        question.private = ticket.is_private.then_some(Aside::Whisper);
        self.ask_for_decisions(&question, &pending).await;
    }

    async fn post_answer(&self, ticket: &Ticket, text: &str) {
        let view = View { markdown: text.to_owned(), ..View::default() };
        for page in 0..answer::page_count(&view) {
            let message: Body = answer::message(&view, page);
            if let Err(error) = self.post_to_asker(ticket, &message).await {
                tracing::warn!(%error, "an answer that others agreed to could not be posted");
            }
        }
    }

    pub(super) async fn post_to_asker(&self, ticket: &Ticket, message: &Body) -> Result<(), crate::SlackError> {
        let to = ticket.to();
        if !ticket.is_private {
            return self.api().post_for(&to, &ticket.asker, message).await.map(drop);
        }
        let Err(error) = self.api().whisper(&to, &ticket.asker, message).await else { return Ok(()) };
        self.api().post_direct(&ticket.asker, message).await.map_err(|_| error)
    }
}

fn told(run: Uuid) -> String {
    format!("told {run}")
}

fn is_over(since: DateTime<Utc>, after: TimeDelta) -> bool {
    Utc::now() > since + after
}

/// What the last event of a run says, and what it waits for now.
fn read(result: &Value) -> (String, Vec<PendingCall>) {
    if result["event"] == "error" {
        let (message, id) = (&result["error"]["message"], &result["partial"]["request_id"]);
        let message = message.as_str().unwrap_or("It failed");
        let id = id.as_str().unwrap_or_default();
        return (format!("⚠️ {}\nError id: {}", text::escape(message), text::code(id, 60)), Vec::new());
    }
    let pending: Vec<PendingCall> = result["pending"].as_array().into_iter().flatten().filter_map(pending).collect();
    let said = result["answer"].as_str().unwrap_or_default();
    let text = match (said.trim().is_empty(), pending.is_empty()) {
        (true, false) => "⏸ This waits for another agreement.".to_owned(),
        _ => said.to_owned(),
    };
    (text, pending)
}

fn pending(call: &Value) -> Option<PendingCall> {
    let mut call = call.clone();
    let id = call.as_object_mut()?.remove("confirm_id")?;
    call["id"] = id;
    if call["rule"].is_null() {
        call["rule"] = "".into();
    }
    serde_json::from_value(call).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_run_that_failed_is_told_with_its_reason_and_id() {
        let event = json!({ "event": "error", "error": { "message": "the model is away" },
            "partial": { "request_id": "0193" } });
        let (text, pending) = read(&event);
        assert!(text.contains("the model is away") && text.contains("0193") && pending.is_empty(), "{text}");
    }

    #[test]
    fn a_run_that_waits_again_is_told_with_what_it_waits_for() {
        let id = Uuid::now_v7();
        let call =
            json!({ "confirm_id": id, "server": "lab", "tool": "wipe", "arguments": {}, "expires_at": Utc::now() });
        let (text, pending) = read(&json!({ "event": "done", "answer": "", "status": "waiting", "pending": [call] }));
        assert!(text.contains("waits") && pending.iter().all(|call| call.id == id) && pending.len() == 1, "{text}");
    }
}

//! After a turn was kept: what the next question does not bring along any more is told in short, where that is
//! wanted.
//!
//! The answer has been said by then, so that nobody waits for it and nothing that goes wrong here is the asker's
//! trouble; the end has not been told, so that what it takes is part of what the ask took.

use std::{future, panic::AssertUnwindSafe, time::Duration};

use futures::FutureExt as _;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, debug_span};

use super::{Known, max_cost};
use crate::{
    agent::{
        budget::{self, Payer},
        drive::Progress,
        summary::{self, Unwritten},
    },
    answer::{Answer, Status, millis},
    ask::Ask,
    cost::NanoUsd,
    error::Error,
    limit::Spend,
    metrics,
    omni::{steps, talk::Talk},
    parts::Parts,
    thread::{self, KeptTurn, MAX_THREAD_BYTES, Most, Summary, SummaryRules},
};

/// How long the end of an ask waits for it.
const LONGEST: Duration = Duration::from_secs(20);
/// How many turns others may have added since.
const AT_ONCE: u64 = 16;

/// What there is to be told.
struct Due {
    before: Option<Summary>,
    turns: Vec<KeptTurn>,
}

/// Rolls the conversation's summary on, if the turn of this number made one due. The answer takes what it took, and
/// is otherwise what it was, whatever becomes of it.
pub(super) async fn roll(
    parts: &Parts,
    ask: &Ask,
    known: &Known,
    talk: &Talk,
    turn: u64,
    answer: &mut Answer,
    cancel: &CancellationToken,
) {
    let Some(rules) = &parts.thread_rules.summary else { return };
    let (Some((grant, deadline)), Some(model)) = (&known.admitted, &known.model) else { return };
    let own = rules.model.as_deref().and_then(|name| parts.model(Some(name), grant).ok());
    let model = own.as_ref().unwrap_or(model);
    // One that ranks tools by the question writes nothing of its own, and whoever ends begins nothing new.
    if answer.status != Status::Completed || model.reads_all_tools || steps::admit(parts).is_err() {
        return;
    }
    let began = Instant::now();
    let payer = Payer { grant, model, deadline: (*deadline).min(began + LONGEST) };
    let mut progress = Progress::new(Answer::empty(ask.request_id, ""));
    progress.count_as(parts.known_model(model, grant));
    let left = left(parts, ask, answer);
    let rolled = AssertUnwindSafe(try_roll(parts, rules, talk, turn, payer, &left, &mut progress)).catch_unwind();
    let lost = async {
        match &known.resumed {
            Some(resumed) => resumed.lease.keep().await,
            None => future::pending().await,
        }
    };
    let rolled = tokio::select! {
        biased;
        () = cancel.cancelled() => Err(Error::Cancelled.into()),
        () = lost => Err(Error::Cancelled.into()),
        rolled = timeout_at(payer.deadline, rolled.instrument(debug_span!("omni.summary"))) => match rolled {
            Ok(Ok(rolled)) => rolled,
            Ok(Err(_)) => Err(Error::Internal { message: "it panicked".into() }.into()),
            Err(_) => Err(Error::Internal { message: "it took too long".into() }.into()),
        },
    };
    progress.abandon_turn(model);
    budget::settle(parts, &mut progress).await;
    answer.usage += progress.answer.usage;
    answer.cost = answer.cost.zip(progress.answer.cost).map(|(cost, more)| cost + more);
    answer.duration_ms += millis(began.elapsed());
    note(&rolled);
}

/// What the ask itself may still take.
fn left(parts: &Parts, ask: &Ask, answer: &Answer) -> Vec<Spend> {
    let spent = answer.cost.unwrap_or_default();
    let usd = max_cost(parts, ask).map(|max| Spend::Usd(NanoUsd(max.0.saturating_sub(spent.0))));
    let tokens = parts.bounds.max_tokens.map(|max| Spend::Tokens(max.saturating_sub(answer.usage.total())));
    usd.into_iter().chain(tokens).collect()
}

/// Whether there was anything to be told, and is kept.
async fn try_roll(
    parts: &Parts,
    rules: &SummaryRules,
    talk: &Talk,
    turn: u64,
    payer: Payer<'_>,
    left: &[Spend],
    progress: &mut Progress,
) -> Result<bool, Unwritten> {
    let due = due(parts, rules, talk, turn).await?;
    let Some(newest) = due.turns.last() else { return Ok(false) };
    let before = due.before.as_ref().map(|before| before.text.as_str());
    let text = summary::write(parts, payer, left, before, &due.turns, rules.max_tokens, progress).await?;
    let summary = Summary::new(text, newest);
    Ok(parts.threads.summarize(&talk.key, &summary).await.map_err(Error::from)?)
}

async fn due(parts: &Parts, rules: &SummaryRules, talk: &Talk, turn: u64) -> Result<Due, Error> {
    let before = parts.threads.summary(&talk.key).await?;
    let told = before.as_ref().map_or(0, |before| before.through);
    let most = Most::new(turn.saturating_sub(told) + AT_ONCE, MAX_THREAD_BYTES);
    let mut turns = parts.threads.history(&talk.key, most).await?;
    // Whoever added one later sees to what that moved.
    turns.retain(|kept| (told + 1..=turn).contains(&kept.number));
    let due = thread::due(&turns, &talk.window, rules).len();
    turns.truncate(due);
    Ok(Due { before, turns })
}

fn note(rolled: &Result<bool, Unwritten>) {
    let outcome = match rolled {
        Ok(false) | Err(Unwritten::Failed(Error::Cancelled)) => return,
        Ok(true) => "made",
        Err(Unwritten::Unaffordable(why)) => {
            tracing::info!(why, "older turns of a conversation are told nowhere");
            "skipped"
        }
        Err(Unwritten::Failed(error)) => {
            tracing::warn!(%error, "older turns of a conversation are told nowhere: there is no summary of them");
            "failed"
        }
    };
    metrics::summarized(outcome);
}

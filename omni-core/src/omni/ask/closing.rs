//! The end of an ask: what its answer says of it, its record, and what its asker is told last.

use std::time::Duration;

use tracing::{Instrument as _, debug_span};

use super::{End, Known};
use crate::{
    agent::{
        Finish,
        drive::{Ended, Progress},
    },
    answer::{Answer, AnswerEvent, CallStatus, EventSender, Failure, Status, Warning, millis},
    ask::Ask,
    call,
    cost::NanoUsd,
    error::{Error, ErrorKind},
    ledger::{AskRecord, Event, Outcome, Record, TurnRecord},
    llm::{StopReason, Usage},
    metrics,
    omni::steps,
    parts::Parts,
    trace,
};

/// How long the last events wait for a reader who holds the stream and does not read it.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// What an ask had taken when it went on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Before {
    usage: Usage,
    cost: Option<NanoUsd>,
    iterations: u32,
    calls: usize,
}

impl Before {
    pub(super) fn of(answer: &Answer) -> Self {
        Self { usage: answer.usage, cost: answer.cost, iterations: answer.iterations, calls: answer.tool_calls.len() }
    }

    pub(super) fn iterations(&self) -> u32 {
        self.iterations
    }
}

/// Calls that were under way when the ask ended get their record too. An ask with a call that must be
/// recorded and cannot be has failed.
pub(super) async fn close_calls(parts: &Parts, ask: &Ask, known: &Known, end: End, progress: &mut Progress) -> End {
    let status = if matches!(&end, End::TimedOut) { CallStatus::Timeout } else { CallStatus::Cancelled };
    for (_, open) in std::mem::take(&mut progress.in_flight) {
        let took = millis(open.since.elapsed());
        let unsent = !open.sent.is_so();
        let why = match unsent {
            true => "the ask ended before the call was sent",
            false => "the ask ended before the call did",
        };
        let mut record = call::record(&open.call, status, Some(why), took);
        record.unsent = unsent;
        metrics::called(parts, &record, open.since.elapsed());
        let record = Record::new(ask.request_id, known.party.clone(), Event::ToolCall(record));
        progress.write(&parts.ledger, record);
        let mut summary = call::summary(parts, &open.call, status, Some(why), took);
        summary.unsent = unsent;
        progress.answer.tool_calls.push(summary);
    }
    let mut failed = None;
    while let Some(taken) = progress.recorded().await {
        failed = failed.or(taken.err());
    }
    let Some(error) = failed else { return end };
    tracing::error!(%error, "a tool call could not be recorded");
    match end {
        End::Ran(_) | End::TimedOut => End::Failed(Error::Audit(error)),
        End::Failed(_) => end,
    }
}

/// Turns the end into status, text and warnings of the answer; what is left is an error.
pub(super) fn conclude(end: End, results: Option<String>, answer: &mut Answer) -> Option<Error> {
    let (status, code, message) = match end {
        End::Ran(Ended::Finished(Finish::Model(stop))) => {
            conclude_model(&stop, answer);
            return None;
        }
        End::Failed(error) => {
            answer.status = failed_status(&error);
            return Some(error);
        }
        End::Ran(Ended::Finished(Finish::MaxTurns)) => {
            let turns = if answer.iterations == 1 { "turn" } else { "turns" };
            (Status::Timeout, "max_iterations_reached", format!("stopped after {} model {turns}", answer.iterations))
        }
        End::Ran(Ended::Finished(Finish::MaxTokens)) => {
            let tokens = answer.usage.total();
            let message = match answer.iterations {
                0 => "the question, with what is offered to the model, takes more tokens than an ask may".to_owned(),
                _ => format!("stopped after {tokens} tokens: the token limit leaves nothing for another turn"),
            };
            (Status::RateLimited, "max_tokens_budget", message)
        }
        End::Ran(Ended::Finished(Finish::ToolLoop)) => {
            (Status::Failed, "tool_loop", "stopped because the model made the same call again and again".into())
        }
        End::Ran(Ended::MaxCost) => {
            let spent = answer.cost.unwrap_or_default();
            let message = format!("stopped at {spent}: the cost limit leaves nothing for another turn");
            (Status::RateLimited, "max_cost", message)
        }
        End::Ran(Ended::Budget(exhausted)) => {
            let code = if exhausted.is_money { "max_cost" } else { "max_tokens_budget" };
            (Status::RateLimited, code, exhausted.refusal.to_string())
        }
        End::Ran(Ended::Waits) => {
            answer.status = Status::Waiting;
            let many = answer.pending.len();
            let message = if many == 1 { "a call waits".into() } else { format!("{many} calls wait") };
            answer.warnings.push(Warning::new("approval_required", format!("{message} for somebody's agreement")));
            return None;
        }
        End::TimedOut => {
            (Status::Timeout, "timeout", format!("stopped after {:.1} s", answer.duration_ms as f64 / 1e3))
        }
    };
    partial(answer, status, Warning::new(code, message), results);
    None
}

fn conclude_model(stop: &StopReason, answer: &mut Answer) {
    answer.stop_reason = Some(stop.as_str().to_owned());
    let warning = match stop {
        StopReason::EndTurn | StopReason::StopSequence | StopReason::ToolUse if answer.text.is_empty() => {
            Some(Warning::new("empty_answer", "the model ended without saying anything"))
        }
        StopReason::EndTurn | StopReason::StopSequence | StopReason::ToolUse => None,
        StopReason::MaxTokens => {
            Some(Warning::new("max_tokens", "the answer is cut: the model's output limit was reached"))
        }
        StopReason::Refusal => Some(Warning::new("refusal", "the model declined to answer")),
        StopReason::ContextExceeded => {
            Some(Warning::new("context_exceeded", "the conversation does not fit into the model's window"))
        }
        StopReason::PauseTurn | StopReason::Other(_) => {
            Some(Warning::new("stop_reason", format!("the model stopped with {:?}", stop.as_str())))
        }
    };
    if matches!(stop, StopReason::Refusal | StopReason::ContextExceeded) {
        answer.status = Status::Failed;
    }
    let Some(warning) = warning else { return };
    if answer.text.is_empty() {
        answer.text = sentence(&warning.message);
    }
    answer.warnings.push(warning);
}

/// An ask that ran into a bound answers with what there is.
fn partial(answer: &mut Answer, status: Status, warning: Warning, results: Option<String>) {
    answer.status = status;
    let stopped = sentence(&warning.message);
    for part in [Some(stopped), results].into_iter().flatten() {
        if !answer.text.is_empty() {
            answer.text.push_str("\n\n");
        }
        answer.text.push_str(&part);
    }
    answer.warnings.push(warning);
}

fn sentence(message: &str) -> String {
    let mut chars = message.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("({first}{}.)", chars.as_str())
}

fn failed_status(error: &Error) -> Status {
    match error.kind() {
        ErrorKind::Denied | ErrorKind::Unauthenticated => Status::Denied,
        ErrorKind::RateLimited => Status::RateLimited,
        ErrorKind::Timeout => Status::Timeout,
        ErrorKind::Cancelled => Status::Cancelled,
        ErrorKind::Invalid
        | ErrorKind::Config
        | ErrorKind::NotFound
        | ErrorKind::Unavailable
        | ErrorKind::Conflict
        | ErrorKind::Failed => Status::Failed,
    }
}

/// Step 11: the one closing record, as durable as the ledger promises, before the asker sees the end.
///
/// What an ask took before it waited, its record of then says.
pub(super) async fn record(
    parts: &Parts,
    ask: &Ask,
    known: &Known,
    (answer, turns): (&Answer, Vec<TurnRecord>),
    before: &Before,
    error: Option<Error>,
) -> Option<Error> {
    let outcome = outcome(answer, error.as_ref());
    let sent: Vec<_> = answer.tool_calls.iter().skip(before.calls).filter(|call| call.was_sent()).collect();
    let closing = AskRecord {
        question: ask.question.clone(),
        answer: answer.text.clone(),
        outcome,
        warning: answer.warnings.iter().find(|warning| !warning.is_note()).map(|w| w.code.clone()),
        error: error.as_ref().map(ToString::to_string),
        model: answer.model.clone(),
        iterations: answer.iterations - before.iterations,
        turns,
        tools_used: sent.iter().map(|call| format!("{}.{}", call.server, call.tool)).collect(),
        servers_used: sent.iter().map(|call| call.server.clone()).collect(),
        usage: answer.usage.since(before.usage),
        cost: answer.cost.zip(before.cost).map(|(sum, before)| NanoUsd(sum.0.saturating_sub(before.0))),
        duration_ms: answer.duration_ms,
    };
    let party = known.party.clone().or_else(|| Some(steps::nobody(ask.source, &ask.client)));
    let record = Record::new(ask.request_id, party.clone(), Event::Ask(Box::new(closing)));
    let written = parts.ledger.write_with(record, parts.acks.ask).instrument(debug_span!("omni.ledger")).await;
    let outcome = if written.is_ok() { outcome } else { Outcome::Error };
    metrics::asked(outcome, party.as_ref(), Duration::from_millis(answer.duration_ms));
    metrics::refused(outcome, error.as_ref().map(Error::kind), error.as_ref().and_then(Error::refusal));
    trace::ended(outcome, answer.role.as_deref());
    match written {
        Ok(()) => error,
        Err(failed) => {
            tracing::error!(error = %failed, "an ask could not be recorded");
            error.or(Some(Error::Audit(failed)))
        }
    }
}

/// Tells the asker the rest: what was not `said` or `warned` of yet, what waits for a human, and how it ended.
pub(super) async fn tell(
    parts: &Parts,
    known: &Known,
    (answer, error): (Answer, Option<Error>),
    (said, warned): (usize, usize),
    mut events: EventSender,
) {
    events.text(&answer.text[said..]);
    // Only now: whoever agrees at once finds the ask settled, and written down.
    let pending = answer.pending.iter().filter(|_| error.is_none()).cloned().map(AnswerEvent::Confirm);
    let warnings = answer.warnings[warned..].iter().cloned().map(AnswerEvent::Warning);
    let mut last: Vec<AnswerEvent> = pending.chain(warnings).collect();
    let end = match error {
        None => AnswerEvent::Done(Box::new(answer)),
        Some(error) => AnswerEvent::Error(Box::new(Failure::new(error, answer))),
    };
    if let Some(resumed) = &known.resumed {
        resumed.end(parts, &end).await;
    }
    last.push(end);
    events.end(last, LAST_WORDS).await;
}

fn outcome(answer: &Answer, error: Option<&Error>) -> Outcome {
    match (answer.status, error) {
        (Status::Completed, None) if !answer.warnings.iter().all(Warning::is_note) => Outcome::Warning,
        (Status::Completed, _) => Outcome::Success,
        (Status::Denied, _) => Outcome::Denied,
        // A bound that was met in the middle left an answer; a limit at the door did not.
        (Status::Timeout | Status::RateLimited | Status::Failed, None) | (Status::Waiting, _) => Outcome::Warning,
        (Status::RateLimited, Some(_)) => Outcome::RateLimited,
        (Status::Timeout, Some(_)) => Outcome::Timeout,
        (Status::Failed, Some(_)) => Outcome::Error,
        (Status::Cancelled, _) => Outcome::Cancelled,
    }
}

//! Carries out the calls of one turn, all at the same time.

use std::time::Duration;

use futures::{StreamExt as _, stream::FuturesUnordered};
use tokio::{sync::mpsc, time::Instant};

use super::{
    drive::{AskContext, InFlight, Progress},
    plan::{Asking, Disposition, PlannedCall},
    prompt,
    run::{CallOutcome, Run},
};
use crate::{
    answer::{AnswerEvent, CallStatus, CallSummary, Denial, EventSender, millis},
    ask::Source,
    call::{self, CallEnd, Caller, Human, Sent},
    cost::NanoUsd,
    error::Error,
    ledger::{Event, Record},
    limit::LimitError,
    llm::ResultPart,
    metrics,
    parts::Parts,
    results,
};

mod pictures;

use pictures::Room;

/// How far a call came.
enum Came {
    ToItsEnd(Box<Finished>),
    /// Only now a human has to be asked, who answers later.
    ToWait(String, Asking),
}

struct Finished {
    call: PlannedCall,
    end: CallEnd,
    took: Duration,
    cost: Option<NanoUsd>,
}

/// Carries out `calls` and reports each to `run`, the events and the ledger.
///
/// # Errors
/// [`Error::Audit`] when the ledger must take a call's record and cannot.
pub(super) async fn dispatch(
    parts: &Parts,
    cx: &AskContext<'_>,
    calls: Vec<PlannedCall>,
    run: &mut Run,
    progress: &mut Progress,
    events: &mut EventSender,
) -> Result<(), Error> {
    let order: Vec<String> = calls.iter().map(|call| call.id.clone()).collect();
    let first = progress.answer.tool_calls.len();
    for call in &calls {
        announce(parts, call, progress, events).await;
    }
    // Room for every call: one that ended never waits for a slow reader, nor do those beside it.
    let (told, ended) = mpsc::channel(calls.len().max(1));
    let (worked, ()) = tokio::join!(work(parts, cx, calls, run, progress, told), tell(ended, events));
    worked?;
    // Calls end in any order and are reported in the order in which the model made them.
    progress.answer.tool_calls[first..].sort_by_key(|call| order.iter().position(|id| *id == call.id));
    Ok(())
}

async fn work(
    parts: &Parts,
    cx: &AskContext<'_>,
    calls: Vec<PlannedCall>,
    run: &mut Run,
    progress: &mut Progress,
    told: mpsc::Sender<CallSummary>,
) -> Result<(), Error> {
    let mut room = Room::beside(run.messages());
    // The calls of one turn have equal shares of what it cost.
    let cost = progress.turn_cost.map(|cost| NanoUsd(cost.0 / calls.len().max(1) as u64));
    let begun = calls.into_iter().map(|call| {
        let sent = progress.in_flight.get(&call.id).map(|open| open.sent.clone()).unwrap_or_default();
        execute(parts, cx, call, sent, cost)
    });
    let mut pending: FuturesUnordered<_> = begun.collect();
    loop {
        tokio::select! {
            Some(came) = pending.next() => match came {
                Came::ToItsEnd(finished) => {
                    let summary = note(parts, cx, &finished, progress);
                    use_up(parts, cx, &finished, progress);
                    let outcome = outcome(cx, &finished, summary.result_id.as_deref(), &mut room);
                    let _ = told.try_send(summary);
                    run.call_finished(&finished.call.id, outcome);
                }
                Came::ToWait(id, asking) => {
                    progress.in_flight.remove(&id);
                    run.call_waits(&id, asking);
                }
            },
            Some(taken) = progress.recorded() => taken?,
            else => return Ok(()),
        }
    }
}

async fn tell(mut ended: mpsc::Receiver<CallSummary>, events: &mut EventSender) {
    while let Some(summary) = ended.recv().await {
        events.send(AnswerEvent::ToolFinished(summary)).await;
    }
}

async fn announce(parts: &Parts, call: &PlannedCall, progress: &mut Progress, events: &mut EventSender) {
    if matches!(call.disposition, Disposition::Refuse { .. }) {
        return;
    }
    let open = InFlight { call: call.clone(), since: Instant::now(), sent: Sent::default() };
    progress.in_flight.insert(call.id.clone(), open);
    let mut arguments = call.arguments_json();
    parts.redactor.clean_json(&mut arguments);
    let (id, server, tool) = (call.id.clone(), call.server.clone(), call.tool.clone());
    events.send(AnswerEvent::ToolStarted { id, server, tool, arguments }).await;
}

async fn execute(parts: &Parts, cx: &AskContext<'_>, call: PlannedCall, sent: Sent, cost: Option<NanoUsd>) -> Came {
    let started = Instant::now();
    let agreed = cx.agreed.get(&call.id);
    let caller = Caller {
        request_id: cx.request_id,
        party: cx.party,
        grant: cx.grant,
        human: agreed.map_or_else(|| cx.humans.human(), Human::Agreed),
        elicit: &cx.elicit,
        token: cx.token.as_ref(),
        progress: None,
        relay: None,
        deadline: cx.deadline,
        ack: parts.acks.ask,
        sent: &sent,
    };
    let ended = call::perform(parts, &caller, &call).await;
    match ended {
        Ok(end) => Came::ToItsEnd(Box::new(Finished { call, end, took: started.elapsed(), cost })),
        Err(asking) => Came::ToWait(call.id, asking),
    }
}

/// Takes down how a call ended, all at once: an ask that ends in the next moment has it whole.
fn note(parts: &Parts, cx: &AskContext<'_>, finished: &Finished, progress: &mut Progress) -> CallSummary {
    let Finished { call, end, took, cost } = finished;
    let duration_ms = millis(*took);
    progress.in_flight.remove(&call.id);
    if let Some(output) = end.output.as_ref().filter(|output| !output.is_error && !end.unsent) {
        progress.keep_result(&format!("{}.{}", call.server, call.tool), &output.for_person());
    }
    let denied = denial(call, end);
    progress.answer.denials.extend(denied.map(|denial| if reads_policy(cx) { denial } else { denial.without_rule() }));
    // The closing record comes later in the same chain and is as durable as the ledger promises;
    // with it comes this one.
    let mut record = call::ended(call, end, duration_ms);
    record.cost = *cost;
    metrics::called(parts, &record, *took);
    metrics::refused(record.outcome, None, end.limited.as_ref().and_then(LimitError::refusal));
    progress.write(&parts.ledger, Record::new(cx.request_id, Some(cx.party.clone()), Event::ToolCall(record)));
    let mut summary = call::summary(parts, call, end.status, end.error.as_deref(), duration_ms);
    summary.unsent = end.unsent;
    summary.result = end.output.as_ref().map(|output| call::result(parts, output));
    if let Some(kept) = results::of_call(parts, cx, call, end) {
        summary.result_id = Some(kept.call.id.clone());
        progress.kept.begin(parts, kept);
    }
    progress.answer.tool_calls.push(summary.clone());
    summary
}

/// Begins to take down what became of an agreement. How the call ended is known by then, and an ask that ends in the
/// next moment leaves none behind that looks as if nobody knew.
fn use_up(parts: &Parts, cx: &AskContext<'_>, finished: &Finished, progress: &Progress) {
    let Finished { call, end, .. } = finished;
    let Some(agreed) = cx.agreed.get(&call.id) else { return };
    let unsent = end.came_to_nobody().then(|| end.error.clone().unwrap_or_else(|| "The call was not sent.".into()));
    progress.take_down(agreed.used(parts, unsent));
}

/// What the model reads. A server's words are fenced, also those of a failure. Where it can read on in what is kept
/// of them, the fence says how that is named.
fn outcome(cx: &AskContext<'_>, finished: &Finished, kept: Option<&str>, room: &mut Room) -> CallOutcome {
    let Finished { call, end, .. } = finished;
    let kept = kept.filter(|_| cx.tools.reads_results());
    let fence = |content| prompt::fence_of(&call.server, &call.tool, kept, content);
    if let Some(output) = &end.output {
        return CallOutcome { content: fence(room.fit(output.for_model())), is_error: output.is_error };
    }
    let error = end.error.clone().unwrap_or_else(|| "The call failed.".into());
    match end.fault {
        Some(_) => CallOutcome { content: fence(vec![ResultPart::Text { text: error }]), is_error: true },
        None => CallOutcome::error(error),
    }
}

/// Whether the asker may know rules: administrators may, and whoever sits where the policy itself lies.
pub(crate) fn reads_policy(cx: &AskContext<'_>) -> bool {
    cx.grant.role.is_admin || matches!(cx.party.source, Source::Cli | Source::Embed)
}

/// The refusal that a call ended with.
fn denial(call: &PlannedCall, end: &CallEnd) -> Option<Denial> {
    let reason = match end.status {
        CallStatus::Denied => "policy",
        CallStatus::Declined => "approval",
        CallStatus::RateLimited => "rate_limit",
        CallStatus::Ok | CallStatus::Error | CallStatus::Timeout | CallStatus::Cancelled => return None,
    };
    let rule = end.decided_by(call).to_owned();
    Some(Denial { server: call.server.clone(), tool: call.tool.clone(), reason: reason.into(), rule })
}

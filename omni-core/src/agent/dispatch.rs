//! Carries out the calls of one turn, all at the same time.

use futures::{StreamExt as _, stream::FuturesUnordered};
use tokio::time::Instant;

use super::{
    drive::{AskContext, InFlight, Progress},
    plan::{Disposition, PlannedCall},
    prompt,
    run::{CallOutcome, Run},
};
use crate::{
    answer::{AnswerEvent, CallStatus, Denial, EventSender, millis},
    call::{self, CallEnd, Caller},
    config::Ack,
    ledger::{Event, Record},
    parts::Parts,
};

struct Finished {
    call: PlannedCall,
    end: CallEnd,
    duration_ms: u64,
}

/// Carries out `calls` and reports each to `run`, the events and the ledger.
pub(super) async fn dispatch(
    parts: &Parts,
    cx: &AskContext<'_>,
    calls: Vec<PlannedCall>,
    run: &mut Run,
    progress: &mut Progress,
    events: &mut EventSender,
) {
    let order: Vec<String> = calls.iter().map(|call| call.id.clone()).collect();
    let first = progress.answer.tool_calls.len();
    for call in &calls {
        announce(parts, call, progress, events).await;
    }
    let mut pending: FuturesUnordered<_> = calls.into_iter().map(|call| execute(parts, cx, call)).collect();
    while let Some(finished) = pending.next().await {
        let outcome = report(parts, cx, &finished, progress, events).await;
        run.call_finished(&finished.call.id, outcome);
    }
    // Calls end in any order and are reported in the order in which the model made them.
    progress.answer.tool_calls[first..].sort_by_key(|call| order.iter().position(|id| *id == call.id));
}

async fn announce(parts: &Parts, call: &PlannedCall, progress: &mut Progress, events: &mut EventSender) {
    if matches!(call.disposition, Disposition::Refuse { .. }) {
        return;
    }
    progress.in_flight.insert(call.id.clone(), InFlight { call: call.clone(), since: Instant::now() });
    let arguments = parts.redactor.json(&call.arguments_json());
    let (id, server, tool) = (call.id.clone(), call.server.clone(), call.tool.clone());
    events.send(AnswerEvent::ToolStarted { id, server, tool, arguments }).await;
}

async fn execute(parts: &Parts, cx: &AskContext<'_>, call: PlannedCall) -> Finished {
    let started = Instant::now();
    let caller = Caller {
        request_id: cx.request_id,
        party: cx.party,
        grant: cx.grant,
        approver: &*cx.approver,
        deadline: cx.deadline,
        ack: parts.acks.ask,
    };
    let end = call::perform(parts, &caller, &call).await;
    Finished { call, end, duration_ms: millis(started.elapsed()) }
}

async fn report(
    parts: &Parts,
    cx: &AskContext<'_>,
    finished: &Finished,
    progress: &mut Progress,
    events: &mut EventSender,
) -> CallOutcome {
    let Finished { call, end, duration_ms } = finished;
    progress.in_flight.remove(&call.id);
    if let Some(output) = end.output.as_ref().filter(|output| !output.is_error) {
        progress.keep_result(&format!("{}.{}", call.server, call.tool), &output.for_person());
    }
    let record = call::record(call, end.status, end.error.as_deref(), *duration_ms);
    // The closing record comes later in the same chain and is as durable as the ledger promises;
    // with it comes this one.
    let record = Record::new(cx.request_id, Some(cx.party.clone()), Event::ToolCall(record));
    if let Err(error) = parts.ledger.write_with(record, Ack::Local).await {
        tracing::error!(%error, "a tool call could not be recorded");
    }
    if let Some(denial) = denial(call, end.status) {
        progress.answer.denials.push(denial);
    }
    let summary = call::summary(parts, call, end.status, end.error.as_deref(), *duration_ms);
    progress.answer.tool_calls.push(summary.clone());
    events.send(AnswerEvent::ToolFinished(summary)).await;
    outcome(call, end)
}

fn outcome(call: &PlannedCall, end: &CallEnd) -> CallOutcome {
    match &end.output {
        Some(output) => CallOutcome {
            content: prompt::fence(&call.server, &call.tool, output.for_model()),
            is_error: output.is_error,
        },
        None => CallOutcome::error(end.error.clone().unwrap_or_else(|| "The call failed.".into())),
    }
}

fn denial(call: &PlannedCall, status: CallStatus) -> Option<Denial> {
    let reason = match status {
        CallStatus::Denied => "policy",
        CallStatus::Declined => "approval",
        CallStatus::RateLimited => "rate_limit",
        CallStatus::Ok | CallStatus::Error | CallStatus::Timeout | CallStatus::Cancelled => return None,
    };
    Some(Denial {
        server: call.server.clone(),
        tool: call.tool.clone(),
        reason: reason.into(),
        rule: call.rule.clone(),
    })
}

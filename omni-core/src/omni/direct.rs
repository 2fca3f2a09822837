//! A tool call without a model: the same steps, save thread and agent.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures::FutureExt as _;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, debug_span};

use super::{CallReply, handed::Purpose, offer::AWAY, steps};
use crate::{
    agent::{
        Disposition, PlannedCall,
        plan::{Judge, Refused, rule_text},
    },
    answer::{CallStatus, millis},
    ask::DirectCall,
    call::{self, CallEnd, Caller, Human, Sent},
    catalog::{Catalog, NameRules, ToolDef, ToolSet},
    clock,
    error::{Error, ErrorKind},
    identity::{CallerToken, Holder, Scope},
    ledger::{CallRecord, Event, Outcome, Party, Record},
    limit::{LimitError, charges_for},
    mcp::{McpError, McpReply, ToolOutput},
    metrics,
    parts::Parts,
    policy::Grant,
    trace,
};

mod named;

/// What the record of a call says that its server goes on with: how it ends is a record of its own.
const IN_BACKGROUND: &str = "it goes on in the background";
/// The method of a call, as what goes through a client's hands is sealed for it.
const TOOLS_CALL: &str = "tools/call";

/// What is known of the call, as far as the steps came.
struct Known {
    party: Party,
    holder: Option<Holder>,
    planned: PlannedCall,
    reservation: Option<steps::Held>,
    /// Whether the call came as far as to its server, however it ended.
    sent: Sent,
    /// Whether its server failed when it was asked what tools it has.
    has_failed: bool,
}

/// Runs a direct call from its first step to its one record.
pub(super) async fn run(parts: &Parts, call: &mut DirectCall, cancel: CancellationToken) -> Result<CallReply, Error> {
    let started = Instant::now();
    let mut known = Known {
        party: steps::nobody(call.source, &call.client),
        holder: None,
        planned: planned(call),
        reservation: None,
        sent: Sent::default(),
        has_failed: false,
    };
    let ended = tokio::select! {
        biased;
        () = cancel.cancelled() => Err(Error::Cancelled),
        ended = AssertUnwindSafe(steps(parts, call, &mut known)).catch_unwind() => {
            ended.unwrap_or_else(|_| Err(Error::Internal { message: "the call panicked".into() }))
        }
    };
    steps::settle(parts, known.reservation, is_refused(&ended)).await;
    let duration_ms = millis(started.elapsed());
    let mut record = closing(&known.planned, &ended, duration_ms);
    record.unsent |= !known.sent.is_so() && !known.has_failed;
    count(parts, &record, &ended, started);
    trace::ended(record.outcome, known.party.role.as_deref());
    let record = Record::new(call.request_id, Some(known.party), Event::DirectCall(record));
    parts.ledger.write_with(record, parts.acks.direct).instrument(debug_span!("omni.ledger")).await?;
    let reply = reply(parts, &known.planned, ended?, duration_ms)?;
    sealed(parts, known.holder.as_ref(), reply)
}

/// What the server has the client keep goes out with a seal.
fn sealed(parts: &Parts, holder: Option<&Holder>, mut reply: CallReply) -> Result<CallReply, Error> {
    let Some((raw, holder)) = reply.raw.take().zip(holder) else { return Ok(reply) };
    let (server, tool) = (&reply.summary.server, &reply.summary.tool);
    let purpose = Purpose { holder, server, method: TOOLS_CALL, name: tool };
    let raw = parts.live.handed.seal(&purpose, raw);
    reply.raw = Some(raw.map_err(|source| Error::Server { server: server.clone(), source })?);
    Ok(reply)
}

/// What the client kept for the server goes back as the server wrote it.
fn open(parts: &Parts, call: &mut DirectCall, holder: &Holder) -> Result<(), Error> {
    let Some(relay) = &mut call.relay else { return Ok(()) };
    let purpose = Purpose { holder, server: &call.server, method: TOOLS_CALL, name: &call.tool };
    let opened = parts.live.handed.open(&purpose, &mut relay.rest);
    opened.map_err(|source| Error::Server { server: call.server.clone(), source })
}

fn count(parts: &Parts, record: &CallRecord, ended: &Result<CallEnd, Error>, started: Instant) {
    metrics::called(parts, record, started.elapsed());
    let (error, refusal) = match ended {
        Ok(end) => (None, end.limited.as_ref().and_then(LimitError::refusal)),
        Err(error) => (Some(error.kind()), error.refusal()),
    };
    metrics::refused(record.outcome, error, refusal);
}

fn planned(call: &DirectCall) -> PlannedCall {
    PlannedCall {
        id: String::new(),
        server: call.server.clone(),
        tool: call.tool.clone(),
        arguments: call.arguments.clone(),
        disposition: Disposition::Run,
        rule: String::new(),
    }
}

async fn steps(parts: &Parts, call: &mut DirectCall, known: &mut Known) -> Result<CallEnd, Error> {
    let principal = steps::identity(parts, &call.credential).await?;
    let holder = Holder::new(&principal, &call.credential);
    known.holder = Some(holder.clone());
    known.party = Party::new(&principal, call.source).with_client(call.client.clone());
    let grant = steps::policy(parts, &principal).await?;
    known.party.role = Some(grant.role.name.to_string());
    grant.require(Scope::Tools)?;
    steps::admit(parts)?;
    let deadline = clock::from_now(call.timeout.map_or(parts.bounds.timeout, |own| own.min(parts.bounds.timeout)));
    let token = steps::token(parts, &call.credential, &principal);
    named::resolve(parts, call, &grant, token.as_ref(), deadline).await;
    (known.planned.server, known.planned.tool) = (call.server.clone(), call.tool.clone());
    // Whoever may use nothing of a server learns nothing of it, and it is not asked on their behalf.
    if grant.rules.is_closed(&call.server) {
        let decision = grant.decide(&call.server, &call.tool, None);
        known.planned.rule = rule_text(&decision.rule);
        known.planned.disposition = Disposition::Refuse { reason: Refused::Policy, message: String::new() };
        let tools = parts.tool_sets.of(&parts.pool.catalog(), &grant, NameRules::default());
        return Err(unknown(call, &tools));
    }
    if let Some(sentence) = parts.pool.refusal(&call.server, token.as_deref()) {
        return Err(Error::Denied { message: format!("the call was not made: {sentence}") });
    }
    steps::limit(parts, charges_for(&grant.principal, &grant.quota), deadline, &mut known.reservation).await?;
    let found = Box::pin(catalog(parts, call, &grant, token.as_ref(), deadline)).await;
    // A server that is away has failed; one that omni keeps calls from has not.
    known.has_failed = matches!(&found, Err(Error::Server { source, .. })
        if !matches!(source, McpError::Resting { .. } | McpError::Busy { .. }));
    let catalog = found?;
    let tools = parts.tool_sets.of(&catalog, &grant, NameRules::default());
    let judge = Judge { tools: &tools, catalog: &catalog, grants: &[&grant] };
    if let Some(withheld) = catalog.withheld(&call.server, &call.tool) {
        known.planned.rule = withheld.rule();
        known.planned.disposition = Disposition::Refuse { reason: Refused::Policy, message: String::new() };
    }
    let def = catalog.tool(&call.server, &call.tool).ok_or_else(|| unknown(call, &tools))?;
    judge.judge(&mut known.planned, def);
    if let Disposition::Refuse { reason, message } = &known.planned.disposition {
        return Err(refused(call, &tools, def, *reason, message));
    }
    open(parts, call, &holder)?;
    let caller = Caller {
        request_id: call.request_id,
        party: &known.party,
        grant: &grant,
        human: Human::AtDoor(&*call.approver),
        elicit: &call.elicit,
        token: token.as_ref(),
        progress: call.progress.clone(),
        relay: call.relay.as_ref(),
        deadline,
        ack: parts.acks.direct,
        sent: &known.sent,
    };
    let ended = call::perform(parts, &caller, &known.planned).await;
    ended.map_err(|_| Error::Internal { message: "a direct call waits for a human who answers later".into() })
}

/// Whether the call was refused, here or right before it was sent.
fn is_refused(ended: &Result<CallEnd, Error>) -> bool {
    match ended {
        Ok(end) => matches!(end.status, CallStatus::Denied | CallStatus::RateLimited),
        Err(error) => steps::is_refusal(error),
    }
}

/// Discovery of the one server that is called, within the call's own time.
async fn catalog(
    parts: &Parts,
    call: &DirectCall,
    grant: &Grant,
    token: Option<&Arc<CallerToken>>,
    deadline: Instant,
) -> Result<Arc<Catalog>, Error> {
    let started = Instant::now();
    let discovery = parts.pool.discover_server_for(&call.server, token).instrument(debug_span!("omni.catalog"));
    let discovered = timeout_at(deadline, discovery).await;
    let late = |_| Err(McpError::Timeout { after_ms: millis(started.elapsed()) });
    match discovered.unwrap_or_else(late) {
        Ok(catalog) => Ok(catalog),
        Err(McpError::UnknownServer { .. }) => Ok(parts.pool.catalog()),
        Err(source) => Err(Error::Server { server: call.server.clone(), source: told(source, grant) }),
    }
}

/// Why a server cannot be used may tell of hosts, commands and paths: that is for administrators of all tenants.
fn told(fault: McpError, grant: &Grant) -> McpError {
    match fault {
        McpError::Timeout { .. } => fault,
        other if grant.may_know_places() => other,
        McpError::Resting { retry_after_ms, .. } => McpError::Resting { reason: AWAY.into(), retry_after_ms },
        _ => McpError::Connect { message: AWAY.into() },
    }
}

/// To the caller a tool they may not list does not exist.
fn refused(call: &DirectCall, tools: &ToolSet, def: &ToolDef, reason: Refused, message: &str) -> Error {
    match reason {
        Refused::Policy if tools.by_name(&call.server, &call.tool).is_none() => unknown(call, tools),
        Refused::Policy => Error::Denied { message: message.into() },
        Refused::Unknown => unknown(call, tools),
        Refused::Arguments => {
            let arguments = serde_json::from_str(call.arguments.get());
            let misfits = arguments.map(|arguments| def.check.misfits(&arguments)).unwrap_or_default();
            Error::Arguments { message: message.into(), misfits }
        }
        Refused::Repeated | Refused::Cut => Error::Invalid { message: message.into() },
        Refused::Unapproved => Error::Denied { message: message.into() },
    }
}

fn unknown(call: &DirectCall, tools: &ToolSet) -> Error {
    let name = format!("{}.{}", call.server, call.tool);
    let scored = tools.tools().iter().map(|tool| {
        let full = tool.def.full_name();
        // The server's name, where it is right, says nothing of how near the tool's is.
        let own = *tool.def.server == *call.server;
        let near =
            if own { strsim::jaro_winkler(&call.tool, &tool.def.name) } else { strsim::jaro_winkler(&name, &full) };
        (near, full)
    });
    let near = scored.filter(|(score, _)| *score > 0.85).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, near)| near);
    Error::UnknownTool { name, near }
}

fn closing(planned: &PlannedCall, ended: &Result<CallEnd, Error>, duration_ms: u64) -> CallRecord {
    match ended {
        Ok(end) => {
            let mut record = call::ended(planned, end, duration_ms);
            if matches!(end.reply, Some(McpReply::Task(_))) {
                (record.outcome, record.error) = (Outcome::Warning, Some(IN_BACKGROUND.into()));
            }
            record
        }
        Err(error) => {
            let mut record = call::record(planned, CallStatus::Error, Some(&error.to_string()), duration_ms);
            let is_forbidden = matches!(planned.disposition, Disposition::Refuse { reason: Refused::Policy, .. });
            record.outcome = if is_forbidden { Outcome::Denied } else { outcome(error) };
            record
        }
    }
}

/// What the ledger calls the end of a call, or of another request, that failed with this.
pub(super) fn outcome(error: &Error) -> Outcome {
    match error.kind() {
        ErrorKind::Denied | ErrorKind::Unauthenticated => Outcome::Denied,
        ErrorKind::RateLimited => Outcome::RateLimited,
        ErrorKind::Cancelled => Outcome::Cancelled,
        ErrorKind::Timeout => Outcome::Timeout,
        ErrorKind::Invalid
        | ErrorKind::Config
        | ErrorKind::NotFound
        | ErrorKind::Unavailable
        | ErrorKind::Conflict
        | ErrorKind::Failed => Outcome::Error,
    }
}

fn reply(parts: &Parts, planned: &PlannedCall, end: CallEnd, duration_ms: u64) -> Result<CallReply, Error> {
    if let Some(limited) = end.limited {
        return Err(limited.into());
    }
    let message = end.error.clone().unwrap_or_default();
    if let Some(raw) = end.reply {
        let summary = call::summary(parts, planned, end.status, end.error.as_deref(), duration_ms);
        return Ok(CallReply { summary, output: ToolOutput::default(), raw: Some(raw) });
    }
    match (end.output, end.fault, end.status) {
        (Some(output), _, status) => {
            let summary = call::summary(parts, planned, status, end.error.as_deref(), duration_ms);
            Ok(CallReply { summary, output, raw: None })
        }
        (None, Some(source), _) => Err(Error::Server { server: planned.server.clone(), source }),
        (None, None, CallStatus::Denied | CallStatus::Declined) => Err(Error::Denied { message }),
        (None, None, _) => Err(Error::Internal { message }),
    }
}

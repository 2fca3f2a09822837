//! One tool call, whoever makes it: the current grant, the human, the start entry, the server.
//!
//! Agents and direct callers both come through [`perform`]; there is no other way to a server.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt as _;
use tokio::time::{Instant, timeout, timeout_at};
use tracing::{Instrument as _, debug_span};
use uuid::Uuid;

use crate::{
    agent::{Asking, Disposition, PlannedCall, Refused, plan::rule_text, reading},
    answer::{CallStatus, CallSummary},
    ask::Relay,
    audit::AuditError,
    catalog::Withheld,
    config::Ack,
    confirm::{Broken, ConfirmRequest, Verdict},
    elicit::{Asked, Elicit},
    identity::{CallerToken, Principal},
    ledger::{AdminRecord, CallRecord, Event, Outcome, Party, Record},
    limit::{LimitError, Reserve, server_charges},
    mcp::{CallContext, McpError, McpReply, ProgressFn, ToolOutput},
    parts::{Parts, STEP_TIMEOUT},
    policy::{Grant, Rule, effective},
    trace,
};

mod human;
mod raw;
mod sent;

pub(crate) use human::{Agreed, Human, Humans};
pub(crate) use sent::Sent;

/// Most bytes of a result that an answer has.
const MAX_RESULT: usize = 16 << 10;
/// How long the reservation of a call's charge is remembered.
const CHARGE_TTL: Duration = Duration::from_secs(5);

/// On whose behalf a call is made.
pub(crate) struct Caller<'a> {
    pub(crate) request_id: Uuid,
    pub(crate) party: &'a Party,
    pub(crate) grant: &'a Arc<Grant>,
    pub(crate) human: Human<'a>,
    /// Whom the server may ask something.
    pub(crate) elicit: &'a Arc<dyn Elicit>,
    /// The token with which they came, for servers that are used with it.
    pub(crate) token: Option<&'a Arc<CallerToken>>,
    /// Where the server's reports of progress go.
    pub(crate) progress: Option<ProgressFn>,
    /// The MCP client that calls and gets the result as it came, where it is one.
    pub(crate) relay: Option<&'a Relay>,
    pub(crate) deadline: Instant,
    /// How durable the start of the call must be before it is sent.
    pub(crate) ack: Ack,
    /// Where it is noted that the call was handed on to its server.
    pub(crate) sent: &'a Sent,
}

/// How a call ended.
#[derive(Debug)]
pub(crate) struct CallEnd {
    pub(crate) status: CallStatus,
    pub(crate) output: Option<ToolOutput>,
    /// The same as the server sent it, for a client that gets it like that.
    pub(crate) reply: Option<McpReply>,
    pub(crate) error: Option<String>,
    pub(crate) fault: Option<McpError>,
    /// Why the limiter refused it.
    pub(crate) limited: Option<LimitError>,
    /// Whether omni itself ended it.
    pub(crate) unsent: bool,
    /// The rule that decided, where it is not one of those by which the call was planned.
    rule: Option<String>,
}

impl CallEnd {
    /// The rule that decided. Where nobody agreed, that is the one that asks for a human, not the one that allows the
    /// call.
    pub(crate) fn decided_by<'a>(&'a self, call: &'a PlannedCall) -> &'a str {
        match (&self.rule, &call.disposition) {
            (Some(rule), _) => rule,
            (None, Disposition::Ask(asking)) if self.status == CallStatus::Declined => &asking.rule,
            (None, _) => &call.rule,
        }
    }

    /// The size of what was returned, as text.
    pub(crate) fn bytes(&self) -> Option<u64> {
        let raw = self.reply.as_ref().map(|reply| reply.raw().get().len() as u64);
        raw.or_else(|| self.output.as_ref().map(|output| output.for_person().len() as u64))
    }

    fn sent(status: CallStatus) -> Self {
        Self { status, output: None, reply: None, error: None, fault: None, limited: None, unsent: false, rule: None }
    }

    /// Whether the call certainly did not come to its server.
    pub(crate) fn came_to_nobody(&self) -> bool {
        let is_unsent = matches!(self.fault, Some(McpError::Connect { .. } | McpError::Closed { unsent: true, .. }));
        self.unsent || is_unsent
    }

    /// What omni itself says.
    pub(crate) fn own(text: &str) -> Self {
        Self { output: Some(ToolOutput::text(text)), unsent: true, ..Self::sent(CallStatus::Ok) }
    }

    /// What omni refused, or could not do.
    pub(crate) fn unsent(status: CallStatus, error: impl Into<String>) -> Self {
        Self { error: Some(error.into()), unsent: true, ..Self::sent(status) }
    }

    /// The same, where a rule decided by which the call was not planned.
    fn by(self, rule: String) -> Self {
        Self { rule: Some(rule), ..self }
    }
}

/// Why a call is not sent.
enum Unsent {
    /// It has ended.
    Ended(Box<CallEnd>),
    /// A human has to be asked, who answers later.
    Waits(Asking),
}

impl Unsent {
    /// The same, where a rule asks for a human by which the call was not planned.
    fn by(self, asking: &Asking) -> Self {
        match self {
            Self::Ended(end) if end.status == CallStatus::Declined => (*end).by(asking.rule.clone()).into(),
            other @ (Self::Ended(_) | Self::Waits(_)) => other,
        }
    }
}

impl From<CallEnd> for Unsent {
    fn from(end: CallEnd) -> Self {
        Self::Ended(Box::new(end))
    }
}

/// Carries out a planned call, or says why not.
///
/// # Errors
/// Why a human has to be asked first, where they answer later.
pub(crate) async fn perform(parts: &Parts, caller: &Caller<'_>, call: &PlannedCall) -> Result<CallEnd, Asking> {
    match &call.disposition {
        Disposition::Refuse { reason, message } => return Ok(CallEnd::unsent(refusal_status(*reason), message)),
        Disposition::Answer { text } => return Ok(CallEnd::own(text)),
        Disposition::Read(reading) => return Ok(reading::read(parts, caller, reading).await),
        Disposition::Ask(_) | Disposition::Run => {}
    }
    let span = trace::tool(call);
    let performed = async {
        match cleared(parts, caller, call).await {
            Ok(is_agreed) => Ok(send(parts, caller, call, is_agreed).await),
            Err(Unsent::Ended(refused)) => Ok(*refused),
            Err(Unsent::Waits(asking)) => Err(asking),
        }
    };
    let ended = performed.instrument(span.clone()).await;
    if let Ok(end) = &ended {
        trace::called(&span, end);
    }
    ended
}

/// Everything that must be so before the call is sent; whether a human agreed to it.
async fn cleared(parts: &Parts, caller: &Caller<'_>, call: &PlannedCall) -> Result<bool, Unsent> {
    if let Some(sentence) = parts.pool.refusal(&call.server, caller.token.map(|token| &**token)) {
        return Err(CallEnd::unsent(CallStatus::Denied, format!("The call was not made: {sentence}.")).into());
    }
    let planned = match &call.disposition {
        Disposition::Ask(asking) => Some(asking),
        Disposition::Run | Disposition::Answer { .. } | Disposition::Read(_) | Disposition::Refuse { .. } => None,
    };
    if let Some(asking) = planned {
        // In a box, here and below: few calls ask anybody, and all would carry it.
        Box::pin(ask_human(parts, caller, call, asking)).await?;
    }
    // The grant is asked again after the human and right before the call: rights may have been taken away since.
    let is_agreed = match (still_allowed(parts, caller, call).await?, planned) {
        (Still::Asks(asking), None) => {
            let asked = Box::pin(ask_human(parts, caller, call, &asking)).await;
            asked.map_err(|unsent| unsent.by(&asking))?;
            still_allowed(parts, caller, call).await?;
            true
        }
        (now @ (Still::Asks(_) | Still::Free), Some(planned)) => {
            now.is_agreed(caller, planned).map_err(not_approved)?;
            true
        }
        (Still::Same | Still::Free, planned) => planned.is_some(),
    };
    // Whoever planned the call saw the tool; meanwhile it may have become another one.
    if parts.pool.is_withheld(&call.server, &call.tool) {
        let withheld = parts.pool.catalog().withheld(&call.server, &call.tool).map(Withheld::rule);
        return Err(no_more(call).by(withheld.unwrap_or_default()).into());
    }
    let is_another = |agreed: &Agreed| digest(parts, call).is_some_and(|now| now != agreed.confirmation.tool_digest);
    // Before it is charged, and once more after that, which may take its time.
    if matches!(caller.human, Human::Agreed(agreed) if is_another(agreed)) {
        return Err(not_approved(Broken::Tool).into());
    }
    charge(parts, &caller.grant.principal, &call.server).await?;
    if let Human::Agreed(agreed) = caller.human {
        if is_another(agreed) {
            return Err(not_approved(Broken::Tool).into());
        }
        agreed.begin().await.map_err(not_approved)?;
    }
    note_start(parts, caller, call).await?;
    Ok(is_agreed)
}

/// The digest of the tool as it is by now.
fn digest(parts: &Parts, call: &PlannedCall) -> Option<String> {
    parts.pool.catalog().tool(&call.server, &call.tool).map(|def| def.digest().to_owned())
}

/// What a server allows one person is charged here, so that it holds for agents and direct calls alike.
pub(crate) async fn charge(parts: &Parts, principal: &Principal, server: &str) -> Result<(), CallEnd> {
    let Some(options) = parts.pool.options(server) else { return Ok(()) };
    let charges = server_charges(principal, server, options);
    if charges.is_empty() {
        return Ok(());
    }
    // Windows need no settling, so nothing of this has to be remembered for long.
    let request = Reserve::new(charges).with_ttl(CHARGE_TTL);
    let limited = match timeout(STEP_TIMEOUT, parts.limiter.reserve(&request)).await {
        Ok(Ok(_)) => return Ok(()),
        Ok(Err(limited)) => limited,
        Err(_) => LimitError::Unavailable { message: "no answer in time".into() },
    };
    let (status, text) = match &limited {
        LimitError::Refused(refusal) => (CallStatus::RateLimited, format!("{server}: {refusal}")),
        LimitError::Unavailable { .. } => {
            tracing::error!(error = %limited, server, "a call is not sent because it cannot be counted");
            (CallStatus::Error, "The call was not sent: it cannot be counted at the moment.".to_owned())
        }
    };
    let limited = match limited {
        LimitError::Refused(refusal) => LimitError::Refused(Box::new(refusal.with_text(text.clone()))),
        away @ LimitError::Unavailable { .. } => away,
    };
    Err(CallEnd { limited: Some(limited), ..CallEnd::unsent(status, text) })
}

/// To whoever calls a tool that they may not use by now, it is gone.
fn no_more(call: &PlannedCall) -> CallEnd {
    CallEnd::unsent(CallStatus::Denied, format!("There is no tool {:?} any more.", call.tool))
}

fn not_approved(reason: impl std::fmt::Display) -> CallEnd {
    CallEnd::unsent(CallStatus::Declined, format!("The call was not approved: {reason}."))
}

async fn ask_human(parts: &Parts, caller: &Caller<'_>, call: &PlannedCall, asking: &Asking) -> Result<(), Unsent> {
    let approver = match caller.human {
        Human::AtDoor(approver) => approver,
        Human::Later => return Err(Unsent::Waits(asking.clone())),
        Human::Agreed(_) => return Ok(()),
    };
    parts.approvals.may_agree_alone(caller.grant).map_err(not_approved)?;
    let rule = Rule::new(asking.rule.clone(), None);
    let request = ConfirmRequest::new(&call.server, &call.tool, call.arguments.clone(), rule);
    let shown = digest(parts, call);
    let decided = approver.decide(&request).instrument(debug_span!("omni.confirm"));
    match timeout_at(caller.deadline, decided).await {
        // One that is gone by now is not there for anybody, which the steps after this say.
        Ok(Verdict::Approve) if digest(parts, call).is_some_and(|now| Some(now) != shown) => {
            Err(not_approved(Broken::Tool).into())
        }
        Ok(Verdict::Approve) => Ok(note_agreement(parts, caller, call, &request).await?),
        Ok(Verdict::Decline { reason }) => Err(not_approved(reason).into()),
        Err(_) => Err(CallEnd::unsent(CallStatus::Declined, "The call was not approved in time.").into()),
    }
}

/// That somebody agreed is written down before the call is sent. That somebody did not, the call's own record says.
async fn note_agreement(
    parts: &Parts,
    caller: &Caller<'_>,
    call: &PlannedCall,
    request: &ConfirmRequest,
) -> Result<(), CallEnd> {
    let mut record = AdminRecord::new("confirmation.approved", format!("{}.{}", call.server, call.tool));
    record.details = serde_json::json!({
        "confirmation": request.id, "request_id": caller.request_id, "arguments": call.arguments_json(),
        "rule": request.rule.text,
    });
    let record = Record::new(request.id, Some(caller.party.clone()), Event::Admin(record));
    let written = parts.ledger.write_with(record, Ack::Local).instrument(debug_span!("omni.ledger")).await;
    written.map_err(|error| unrecorded(&error))
}

/// What the policy of now says of a call that was planned before.
enum Still {
    /// It is the policy of then.
    Same,
    /// It lets the call run.
    Free,
    /// A human must agree.
    Asks(Asking),
}

impl Still {
    /// Whether what somebody agreed to some time ago is what is asked for by now. Whoever was asked a moment ago
    /// agreed to the call as it is.
    fn is_agreed(&self, caller: &Caller<'_>, planned: &Asking) -> Result<(), Broken> {
        let is_same = matches!(self, Self::Asks(now) if now.digest == planned.digest);
        match caller.human {
            Human::Agreed(_) if !is_same => Err(Broken::Rule),
            Human::Agreed(_) | Human::AtDoor(_) | Human::Later => Ok(()),
        }
    }
}

/// Whether the call may be made and a human must agree, by the policy of now as far as it is another one.
async fn still_allowed(parts: &Parts, caller: &Caller<'_>, call: &PlannedCall) -> Result<Still, CallEnd> {
    let live = parts.live.policy();
    if Arc::ptr_eq(&live, &parts.policy) && *live.version().borrow() == caller.grant.version {
        return Ok(Still::Same);
    }
    let denied = |message: String| CallEnd::unsent(CallStatus::Denied, message);
    let current = timeout(STEP_TIMEOUT, effective(&*live, &caller.grant.principal)).await;
    let current = match current {
        Ok(Ok(grant)) => grant,
        Ok(Err(error)) => return Err(denied(error.to_string())),
        Err(_) => return Err(denied("the policy store did not answer in time".into())),
    };
    let catalog = parts.pool.catalog();
    let tool = catalog.rule_ref(&call.server, &call.tool);
    let decision = current.decide_tool(tool, Some(&call.arguments_json()));
    match decision.is_allowed() {
        true => Ok(Asking::of(&decision, tool.is_destructive).map_or(Still::Free, Still::Asks)),
        false => Err(no_more(call).by(rule_text(&decision.rule))),
    }
}

/// Before a call that may change something is sent, the ledger knows of it, durably.
async fn note_start(parts: &Parts, caller: &Caller<'_>, call: &PlannedCall) -> Result<(), CallEnd> {
    if is_trusted_read(parts, call) {
        return Ok(());
    }
    let started = record(call, CallStatus::Ok, None, 0);
    let started = CallRecord { outcome: Outcome::UnknownOutcome, ..started };
    let record = Record::new(caller.request_id, Some(caller.party.clone()), Event::Started(started));
    let written = parts.ledger.write_with(record, caller.ack).instrument(debug_span!("omni.ledger")).await;
    written.map_err(|error| unrecorded(&error))
}

fn unrecorded(error: &AuditError) -> CallEnd {
    tracing::error!(%error, "a call is not sent because the ledger cannot take its start");
    CallEnd::unsent(CallStatus::Error, "The call was not sent: the ledger cannot record it at the moment.")
}

fn is_trusted_read(parts: &Parts, call: &PlannedCall) -> bool {
    let trusted = parts.pool.options(&call.server).is_some_and(|options| options.trusted);
    let read_only = || {
        let catalog = parts.pool.catalog();
        catalog.tool(&call.server, &call.tool).is_some_and(|def| def.annotations.read_only_hint == Some(true))
    };
    trusted && read_only()
}

async fn send(parts: &Parts, caller: &Caller<'_>, call: &PlannedCall, is_agreed: bool) -> CallEnd {
    let mut cx = CallContext::within(Duration::ZERO).with_principal(caller.grant.principal.clone());
    cx = cx.with_token(caller.token.cloned());
    // What somebody agreed to, they agreed to once.
    cx.once = is_agreed;
    (cx.deadline, cx.trace, cx.progress) = (caller.deadline, trace::parent(), caller.progress.clone());
    let sent = async {
        match caller.relay {
            Some(relay) => raw::send(parts, caller, relay, call, cx).await,
            None => {
                if caller.elicit.is_there() {
                    cx.peer = Arc::new(Asked::new(&call.server, &call.tool, caller.elicit.clone()));
                }
                caller.sent.note();
                parts.pool.call(&call.server, &call.tool, &call.arguments, &cx).await.map(returned)
            }
        }
    };
    let end = match AssertUnwindSafe(sent).catch_unwind().await {
        Ok(Ok(end)) => end,
        Ok(Err(fault)) => faulted(call, fault),
        Err(_) => {
            tracing::error!(server = call.server, tool = call.tool, "a call panicked");
            let error = Some(format!("{}.{} failed inside omni.", call.server, call.tool));
            CallEnd { error, ..CallEnd::sent(CallStatus::Error) }
        }
    };
    CallEnd { unsent: end.unsent || !caller.sent.is_so(), ..end }
}

fn returned(output: ToolOutput) -> CallEnd {
    if !output.is_error {
        return CallEnd { output: Some(output), ..CallEnd::sent(CallStatus::Ok) };
    }
    let said: String = output.for_person().chars().take(500).collect();
    CallEnd { output: Some(output), error: Some(said), ..CallEnd::sent(CallStatus::Error) }
}

fn faulted(call: &PlannedCall, fault: McpError) -> CallEnd {
    let status = match fault {
        McpError::Timeout { .. } => CallStatus::Timeout,
        McpError::Connect { .. }
        | McpError::Unauthorized { .. }
        | McpError::Closed { .. }
        | McpError::Rpc { .. }
        | McpError::Protocol { .. }
        | McpError::UnknownServer { .. }
        | McpError::Busy { .. }
        | McpError::Resting { .. } => CallStatus::Error,
    };
    let error = Some(format!("{}.{} failed: {fault}", call.server, call.tool));
    // A server that is away has failed; one that omni keeps calls from has not.
    let unsent = matches!(fault, McpError::UnknownServer { .. } | McpError::Busy { .. } | McpError::Resting { .. });
    CallEnd { error, fault: Some(fault), unsent, ..CallEnd::sent(status) }
}

/// The ledger's form of a call that was sent, as far as is known.
pub(crate) fn record(call: &PlannedCall, status: CallStatus, error: Option<&str>, duration_ms: u64) -> CallRecord {
    let outcome = match status {
        CallStatus::Ok => Outcome::Success,
        CallStatus::Error => Outcome::Error,
        CallStatus::Denied | CallStatus::Declined => Outcome::Denied,
        CallStatus::RateLimited => Outcome::RateLimited,
        CallStatus::Timeout => Outcome::Timeout,
        CallStatus::Cancelled => Outcome::Cancelled,
    };
    let mut record = CallRecord::new(&call.server, &call.tool, call.arguments_json(), outcome);
    record.call_id.clone_from(&call.id);
    record.rule = Some(call.rule.clone()).filter(|rule| !rule.is_empty());
    record.duration_ms = duration_ms;
    record.error = error.map(str::to_owned);
    record
}

/// The ledger's form of a call that came to its end.
pub(crate) fn ended(call: &PlannedCall, end: &CallEnd, duration_ms: u64) -> CallRecord {
    let mut record = record(call, end.status, end.error.as_deref(), duration_ms);
    (record.bytes, record.unsent) = (end.bytes(), end.unsent);
    record.rule = Some(end.decided_by(call).to_owned()).filter(|rule| !rule.is_empty());
    record
}

/// The same in short, as answers and events show it.
pub(crate) fn summary(
    parts: &Parts,
    call: &PlannedCall,
    status: CallStatus,
    error: Option<&str>,
    duration_ms: u64,
) -> CallSummary {
    let mut arguments = call.arguments_json();
    parts.redactor.clean_json(&mut arguments);
    CallSummary {
        id: call.id.clone(),
        server: call.server.clone(),
        tool: call.tool.clone(),
        arguments,
        status,
        duration_ms,
        error: error.map(|error| parts.redactor.text(error)),
        unsent: false,
        result: None,
        result_id: None,
    }
}

/// The text of a result, as answers have it.
pub(crate) fn result(parts: &Parts, output: &ToolOutput) -> String {
    let mut text = parts.redactor.text(&output.for_person());
    let end = (0..=MAX_RESULT.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.truncate(end.unwrap_or(0));
    text
}

/// The status of a call that is refused for `reason`.
fn refusal_status(reason: Refused) -> CallStatus {
    match reason {
        Refused::Policy => CallStatus::Denied,
        Refused::Unapproved => CallStatus::Declined,
        Refused::Unknown | Refused::Arguments | Refused::Repeated | Refused::Cut => CallStatus::Error,
    }
}

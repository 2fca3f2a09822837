//! Prompts and resources for whoever speaks MCP: the same steps as a direct call, save that nothing is changed
//! by them. Asking for one is a call that counts and is recorded; completing an argument is free, as lists are.

use std::{collections::BTreeMap, panic::AssertUnwindSafe, sync::Arc};

use futures::FutureExt as _;
use serde_json::{
    Value, json,
    value::{RawValue, to_raw_value},
};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, debug_span};
use uuid::Uuid;

use super::{
    Omni,
    begun::returned,
    direct::outcome,
    handed::Purpose,
    offered::{Offer, Sight},
    steps,
};
use crate::{
    agent::plan::rule_text,
    answer::millis,
    ask::{Client, Source},
    call,
    catalog::NameRules,
    clock,
    error::Error,
    identity::{CallerToken, Credential, Holder, Scope},
    ledger::{CallRecord, Event, Outcome, Party, Record},
    limit::{LimitError, charges_for},
    mcp::{CallContext, Hearing, McpError, McpReply, McpRequest, Peer, ProgressFn, Subscription},
    metrics,
    parts::Parts,
    policy::{Decision, Grant},
    trace,
};

/// How long servers that were not asked yet may take to say that it is theirs.
const DISCOVER_WITHIN: std::time::Duration = std::time::Duration::from_secs(10);

/// What is asked for.
#[derive(Debug, Clone)]
pub(crate) enum Asked {
    /// A prompt, by the name under which it is on offer.
    Prompt(String),
    /// A resource, by its address.
    Resource(String),
    /// What may stand for an argument of a prompt.
    PromptArgument(String),
    /// What may stand in a place of a template.
    TemplateArgument(String),
    /// That somebody is told when a resource changes.
    Subscription(String, Arc<Hearing>),
}

/// A request for a prompt or a resource.
pub(crate) struct Passing {
    pub(crate) credential: Credential,
    pub(crate) client: Client,
    pub(crate) asked: Asked,
    pub(crate) names: NameRules,
    /// The other parameters, as they came.
    pub(crate) rest: BTreeMap<String, Box<RawValue>>,
    pub(crate) peer: Arc<dyn Peer>,
    pub(crate) progress: Option<ProgressFn>,
    pub(crate) request_id: Uuid,
    /// Whether it is asked for once more because its server was away: that was counted and recorded already.
    pub(crate) is_again: bool,
}

impl Passing {
    fn counts(&self) -> bool {
        self.asked.counts() && !self.is_again
    }
}

/// Where a request goes.
struct Target {
    server: Arc<str>,
    /// As the server calls it.
    own: String,
    decision: Decision,
}

/// What came of a request.
enum Passed {
    Reply(McpReply),
    Subscribed(Subscription),
}

struct Known {
    party: Party,
    record: CallRecord,
    reservation: Option<steps::Held>,
    /// Whether the policy says no to what is there.
    is_denied: bool,
    /// Whether it came as far as to its server, however it ended.
    is_sent: bool,
}

impl Asked {
    fn method(&self) -> &'static str {
        match self {
            Self::Prompt(_) => "prompts/get",
            Self::Resource(_) => "resources/read",
            Self::PromptArgument(_) | Self::TemplateArgument(_) => "completion/complete",
            Self::Subscription(..) => "resources/subscribe",
        }
    }

    /// Whether it takes something of a server's, which counts and is recorded.
    fn counts(&self) -> bool {
        matches!(self, Self::Prompt(_) | Self::Resource(_) | Self::Subscription(..))
    }

    fn name(&self) -> &str {
        match self {
            Self::Prompt(name) | Self::PromptArgument(name) => name,
            Self::Resource(uri) | Self::TemplateArgument(uri) | Self::Subscription(uri, _) => uri,
        }
    }

    fn is_prompt(&self) -> bool {
        matches!(self, Self::Prompt(_) | Self::PromptArgument(_))
    }

    /// The error for what is not there, or not for this one.
    fn unknown(&self) -> Error {
        let kind = if self.is_prompt() { "prompt" } else { "resource" };
        Error::NotFound { message: format!("there is no {kind} {:?}", self.name()) }
    }
}

impl Omni {
    /// Gets a prompt, reads a resource, or completes an argument, for somebody who may.
    ///
    /// Dropping the future gives it up; its record is written all the same.
    pub(crate) async fn pass(&self, passing: Passing) -> Result<McpReply, Error> {
        match self.passed(passing).await? {
            Passed::Reply(reply) => Ok(reply),
            Passed::Subscribed(_) => Err(Error::Internal { message: "a subscription is no reply".into() }),
        }
    }

    /// Has somebody who may read a resource be told when it changes, for as long as the subscription lives.
    pub(crate) async fn subscribe(&self, passing: Passing) -> Result<Subscription, Error> {
        match self.passed(passing).await? {
            Passed::Subscribed(subscription) => Ok(subscription),
            Passed::Reply(_) => Err(Error::Internal { message: "a reply is no subscription".into() }),
        }
    }

    async fn passed(&self, passing: Passing) -> Result<Passed, Error> {
        let parts = self.parts();
        let cancel = self.inner.kill.child_token();
        let guard = cancel.clone().drop_guard();
        let span = trace::passed(passing.request_id);
        let reply = returned(self.spawn(span, async move { run(&parts, passing, cancel).await })).await;
        drop(guard);
        reply
    }
}

async fn run(parts: &Parts, passing: Passing, cancel: CancellationToken) -> Result<Passed, Error> {
    let started = Instant::now();
    let arguments = shown(&passing);
    let record = CallRecord::new("", passing.asked.method(), arguments, Outcome::Error);
    let party = steps::nobody(Source::Mcp, &passing.client);
    let mut known = Known { party, record, reservation: None, is_denied: false, is_sent: false };
    let ended = tokio::select! {
        biased;
        () = cancel.cancelled() => Err(Error::Cancelled),
        ended = AssertUnwindSafe(take(parts, &passing, &mut known)).catch_unwind() => {
            ended.unwrap_or_else(|_| Err(Error::Internal { message: "the request panicked".into() }))
        }
    };
    if !passing.counts() {
        return ended;
    }
    steps::settle(parts, known.reservation, ended.as_ref().is_err_and(steps::is_refusal)).await;
    let mut record = closed(known.record, &ended, millis(started.elapsed()));
    record.unsent |= !known.is_sent;
    if known.is_denied {
        record.outcome = Outcome::Denied;
    }
    let refusal = ended.as_ref().err().and_then(Error::refusal);
    metrics::refused(record.outcome, ended.as_ref().err().map(Error::kind), refusal);
    trace::ended(record.outcome, known.party.role.as_deref());
    let record = Record::new(passing.request_id, Some(known.party), Event::DirectCall(record));
    parts.ledger.write_with(record, parts.acks.direct).instrument(debug_span!("omni.ledger")).await?;
    ended
}

/// What the ledger shows of a request.
fn shown(passing: &Passing) -> Value {
    let arguments = passing.rest.get("arguments").and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok());
    match &passing.asked {
        Asked::Prompt(name) | Asked::PromptArgument(name) => json!({ "name": name, "arguments": arguments }),
        other => json!({ "uri": other.name() }),
    }
}

async fn take(parts: &Parts, passing: &Passing, known: &mut Known) -> Result<Passed, Error> {
    let principal = steps::identity(parts, &passing.credential).await?;
    known.party = Party::new(&principal, Source::Mcp).with_client(passing.client.clone());
    let grant = steps::policy(parts, &principal).await?;
    known.party.role = Some(grant.role.name.to_string());
    grant.require(Scope::Tools)?;
    let deadline = clock::from_now(parts.bounds.timeout);
    if passing.counts() {
        steps::admit(parts)?;
        steps::limit(parts, charges_for(&grant.principal, &grant.quota), deadline, &mut known.reservation).await?;
    }
    let token = steps::token(parts, &passing.credential, &principal);
    let target = find(parts, passing, &grant, token.as_ref(), deadline, known).await?;
    if let Some(sentence) = parts.pool.refusal(&target.server, token.as_deref()) {
        return Err(Error::Denied { message: format!("the request was not made: {sentence}") });
    }
    let failed = |source| Error::Server { server: target.server.to_string(), source };
    let holder = Holder::new(&principal, &passing.credential);
    let method = passing.asked.method();
    let purpose = Purpose { holder: &holder, server: &target.server, method, name: &target.own };
    let mut rest = passing.rest.clone();
    parts.live.handed.open(&purpose, &mut rest).map_err(failed)?;
    if passing.counts() {
        call::charge(parts, &grant.principal, &target.server).await.map_err(limited)?;
    }
    let mut cx = CallContext::within(std::time::Duration::ZERO)
        .with_principal(grant.principal.clone())
        .with_token(token)
        .with_peer(passing.peer.clone());
    (cx.deadline, cx.trace, cx.progress) = (deadline, trace::parent(), passing.progress.clone());
    known.is_sent = true;
    send(parts, passing, &purpose, rest, &cx).await.map_err(failed)
}

/// Makes the request. What the server has the client keep goes out sealed, and comes back so.
async fn send(
    parts: &Parts,
    passing: &Passing,
    purpose: &Purpose<'_>,
    rest: BTreeMap<String, Box<RawValue>>,
    cx: &CallContext,
) -> Result<Passed, McpError> {
    if let Asked::Subscription(uri, hearing) = &passing.asked {
        return parts.pool.subscribe(purpose.server, uri, hearing, cx).await.map(Passed::Subscribed);
    }
    let params = to_raw_value(&params(&passing.asked, purpose.name, rest)).ok();
    let reply = parts.pool.request(purpose.server, McpRequest::new(passing.asked.method(), params), cx).await?;
    parts.live.handed.seal(purpose, reply).map(Passed::Reply)
}

pub(super) fn limited(end: call::CallEnd) -> Error {
    match end.limited {
        Some(limited) => limited.into(),
        None => LimitError::Unavailable { message: end.error.unwrap_or_default() }.into(),
    }
}

/// Which server a request is for, after those that were not asked yet were asked. What is there, and not for this
/// one, is told from what is not there in the record alone.
async fn find(
    parts: &Parts,
    passing: &Passing,
    grant: &Grant,
    token: Option<&Arc<CallerToken>>,
    deadline: Instant,
    known: &mut Known,
) -> Result<Target, Error> {
    let look = |sight: Sight| {
        let catalog = parts.pool.catalog();
        target(&Offer::seen(parts, &catalog, grant, passing.names, sight), passing)
    };
    let mut found = look(Sight::Allowed);
    if found.is_none() {
        let until = deadline.min(Instant::now() + DISCOVER_WITHIN);
        let _ = timeout_at(until, parts.pool.discover_for(token)).await;
        found = look(Sight::Allowed).or_else(|| look(Sight::Everything));
    }
    let target = found.ok_or_else(|| passing.asked.unknown())?;
    known.record.server = target.server.to_string();
    known.record.rule = Some(rule_text(&target.decision.rule)).filter(|rule| !rule.is_empty());
    known.is_denied = !target.decision.is_allowed();
    if known.is_denied { Err(passing.asked.unknown()) } else { Ok(target) }
}

fn target(offer: &Offer<'_>, passing: &Passing) -> Option<Target> {
    let asked = &passing.asked;
    let (server, own) = match asked {
        Asked::Prompt(name) | Asked::PromptArgument(name) => {
            offer.prompt(name).map(|def| (def.server.clone(), def.name.to_string()))?
        }
        Asked::Resource(uri) | Asked::Subscription(uri, _) => (offer.server_of(uri)?, uri.clone()),
        Asked::TemplateArgument(template) => (offer.server_of_template(template)?, template.clone()),
    };
    let decision = offer.decide(&server, &own, asked.is_prompt());
    Some(Target { server, own, decision })
}

/// The parameters of a request, by the name that its server knows.
fn params(asked: &Asked, own: &str, mut rest: BTreeMap<String, Box<RawValue>>) -> BTreeMap<String, Box<RawValue>> {
    let mut put = |name: &str, value: Value| to_raw_value(&value).ok().and_then(|raw| rest.insert(name.into(), raw));
    match asked {
        Asked::Prompt(_) => put("name", own.into()),
        Asked::Resource(_) | Asked::Subscription(..) => put("uri", own.into()),
        Asked::PromptArgument(_) => put("ref", json!({ "type": "ref/prompt", "name": own })),
        Asked::TemplateArgument(_) => put("ref", json!({ "type": "ref/resource", "uri": own })),
    };
    rest
}

fn closed(mut record: CallRecord, ended: &Result<Passed, Error>, duration_ms: u64) -> CallRecord {
    record.duration_ms = duration_ms;
    match ended {
        Ok(passed) => {
            record.outcome = Outcome::Success;
            record.bytes = Some(match passed {
                Passed::Reply(reply) => reply.raw().get().len() as u64,
                Passed::Subscribed(_) => 0,
            });
        }
        Err(error) => failed(&mut record, error),
    }
    record
}

/// What the ledger says of a request that failed.
pub(super) fn failed(record: &mut CallRecord, error: &Error) {
    record.error = Some(error.to_string());
    record.outcome = outcome(error);
    let was_sent = matches!(error, Error::Server { source, .. } if !matches!(source, McpError::UnknownServer { .. } | McpError::Busy { .. } | McpError::Resting { .. }));
    record.unsent = !was_sent && !matches!(error, Error::Cancelled | Error::Internal { .. });
}

//! What an MCP client wants of a task of its own: the same steps as a call, save that asking after a task is free, and
//! cancelling it. How a task ended is recorded once, when its client learns of it; what a client tells it, each time.

use std::{collections::BTreeMap, sync::Arc};

use serde::Deserialize;
use serde_json::{
    json,
    value::{RawValue, to_raw_value},
};
use tokio::{sync::OnceCell, time::Instant};
use tracing::{Instrument as _, debug_span};
use uuid::Uuid;

use super::{Omni, passed, steps};
use crate::{
    answer::millis,
    ask::{Client, Source},
    audit::AuditError,
    call,
    error::Error,
    identity::{Credential, Scope},
    ledger::{CallRecord, Event, Outcome, Party, Record},
    mcp::{CallContext, McpError, McpReply, McpRequest, Peer},
    parts::Parts,
    trace,
};

/// The methods by which a task is asked after, and told what its server wants to know.
const ASKS_AFTER: &str = "tasks/get";
const UPDATES: &str = "tasks/update";

/// Something that a server goes on with in the background.
#[derive(Debug)]
pub(crate) struct BackgroundTask {
    server: String,
    tool: String,
    /// The server's own name of it.
    id: String,
    /// The call that it came of.
    call: Uuid,
    since: Instant,
    /// Set when its end is in the ledger.
    ended: OnceCell<()>,
}

impl BackgroundTask {
    pub(crate) fn new(server: &str, tool: &str, id: &str, call: Uuid) -> Self {
        let (server, tool, id) = (server.to_owned(), tool.to_owned(), id.to_owned());
        Self { server, tool, id, call, since: Instant::now(), ended: OnceCell::new() }
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.initialized()
    }

    /// It has ended: that is written unless it has been. Whoever comes meanwhile waits, and writes it if that failed.
    /// What is only not safe in time was accepted all the same: once more would be twice.
    pub(crate) async fn ends(&self, written: impl Future<Output = Result<(), AuditError>>) -> Result<(), AuditError> {
        let mut late = Ok(());
        let accepted = async {
            let written = written.await;
            if matches!(written, Err(AuditError::Unavailable { .. })) {
                late = written;
                return Ok(());
            }
            written
        };
        self.ended.get_or_try_init(|| accepted).await?;
        late
    }
}

/// A request about a task.
pub(crate) struct AboutTask {
    pub(crate) credential: Credential,
    pub(crate) client: Client,
    /// `tasks/get`, `tasks/update` or `tasks/cancel`.
    pub(crate) method: &'static str,
    pub(crate) task: Arc<BackgroundTask>,
    /// The other parameters, as they came.
    pub(crate) rest: BTreeMap<String, Box<RawValue>>,
    pub(crate) peer: Arc<dyn Peer>,
}

impl AboutTask {
    /// The one answer for a task that is not there, is somebody else's, or is not to be used any more.
    pub(crate) fn unknown() -> Error {
        Error::NotFound { message: "there is no such task".into() }
    }
}

impl Omni {
    /// Carries a request about a task to its server.
    ///
    /// Dropping the future gives it up; an end that the server told of is recorded all the same.
    pub(crate) async fn about_task(&self, asked: AboutTask) -> Result<McpReply, Error> {
        let parts = self.parts();
        let cancel = self.inner.kill.child_token();
        let guard = cancel.clone().drop_guard();
        let request_id = Uuid::now_v7();
        let work = async move {
            let started = Instant::now();
            let mut party = steps::nobody(Source::Mcp, &asked.client);
            let mut is_sent = false;
            let carried = cancel.run_until_cancelled(carry(&parts, &asked, &mut party, &mut is_sent)).await;
            let ended = carried.unwrap_or(Err(Error::Cancelled));
            let record = match asked.method {
                ASKS_AFTER => ended.as_ref().ok().and_then(|reply| end(&asked, reply)),
                _ => Some(told(&asked, &ended, is_sent, started)),
            };
            if let Some(record) = record {
                let record = Record::new(request_id, Some(party), Event::DirectCall(record));
                let written = parts.ledger.write_with(record, parts.acks.direct);
                let written = written.instrument(debug_span!("omni.ledger"));
                match asked.method {
                    ASKS_AFTER => asked.task.ends(written).await?,
                    _ => written.await?,
                }
            }
            ended
        };
        let task = self.inner.tasks.spawn(work.instrument(trace::passed(request_id)));
        let reply = task.await.unwrap_or_else(|error| Err(Error::Internal { message: error.to_string() }));
        drop(guard);
        reply
    }
}

/// Carries it to its server; who asks, and whether it came that far, is known also where this is given up.
async fn carry(parts: &Parts, asked: &AboutTask, party: &mut Party, is_sent: &mut bool) -> Result<McpReply, Error> {
    let principal = steps::identity(parts, &asked.credential).await?;
    *party = Party::new(&principal, Source::Mcp).with_client(asked.client.clone());
    let grant = steps::policy(parts, &principal).await?;
    party.role = Some(grant.role.name.to_string());
    grant.require(Scope::Tools)?;
    steps::admit(parts)?;
    let task = &*asked.task;
    let catalog = parts.pool.catalog();
    let is_allowed = grant.decide_tool(catalog.rule_ref(&task.server, &task.tool), None).is_allowed();
    if !is_allowed || parts.pool.is_withheld(&task.server, &task.tool) {
        return Err(AboutTask::unknown());
    }
    let token = steps::token(parts, &asked.credential, &principal);
    if let Some(sentence) = parts.pool.refusal(&task.server, token.as_deref()) {
        return Err(Error::Denied { message: format!("the request was not made: {sentence}") });
    }
    if asked.method == UPDATES {
        call::charge(parts, &grant.principal, &task.server).await.map_err(passed::limited)?;
    }
    let failed = |source| Error::Server { server: task.server.clone(), source };
    let unwritten = |error: serde_json::Error| failed(McpError::Protocol { message: error.to_string() });
    let mut params = asked.rest.clone();
    params.insert("taskId".into(), to_raw_value(&task.id).map_err(unwritten)?);
    let params = to_raw_value(&params).map_err(unwritten)?;
    let mut cx = CallContext::within(parts.bounds.timeout)
        .with_principal(principal)
        .with_token(token)
        .with_peer(asked.peer.clone());
    cx.trace = trace::parent();
    let request = McpRequest::new(asked.method, Some(params));
    *is_sent = true;
    parts.pool.request(&task.server, request, &cx).await.map_err(failed)
}

/// What is looked at of a task's state.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Peek<'a> {
    #[serde(default)]
    status: String,
    status_message: Option<String>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Said {
    is_error: Option<bool>,
    message: String,
}

/// What the ledger shows of a request about a task.
fn shown(task: &BackgroundTask) -> serde_json::Value {
    json!({ "tool": task.tool, "call": task.call })
}

/// What came of telling a task something.
fn told(asked: &AboutTask, ended: &Result<McpReply, Error>, is_sent: bool, started: Instant) -> CallRecord {
    let mut record = CallRecord::new(&asked.task.server, asked.method, shown(&asked.task), Outcome::Success);
    record.duration_ms = millis(started.elapsed());
    match ended {
        Ok(reply) => record.bytes = Some(reply.raw().get().len() as u64),
        Err(error) => passed::failed(&mut record, error),
    }
    record.unsent |= !is_sent;
    record
}

/// How a task ended, if it has and the ledger does not know.
fn end(asked: &AboutTask, reply: &McpReply) -> Option<CallRecord> {
    let task = &asked.task;
    if task.has_ended() {
        return None;
    }
    let peek: Peek<'_> = serde_json::from_str(reply.raw().get()).ok()?;
    let said =
        |raw: Option<&RawValue>| raw.and_then(|raw| serde_json::from_str::<Said>(raw.get()).ok()).unwrap_or_default();
    let (outcome, error) = match &*peek.status {
        "completed" if said(peek.result).is_error == Some(true) => {
            (Outcome::Error, Some("the tool says that it failed".to_owned()))
        }
        "completed" => (Outcome::Success, None),
        "failed" => (Outcome::Error, Some(said(peek.error).message)),
        "cancelled" => (Outcome::Cancelled, peek.status_message),
        _ => return None,
    };
    let mut record = CallRecord::new(&task.server, asked.method, shown(task), outcome);
    record.duration_ms = millis(task.since.elapsed());
    record.bytes = peek.result.map(|result| result.get().len() as u64);
    record.error = error;
    Some(record)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Ack, ledger::Ledger};

    #[tokio::test]
    async fn the_end_of_a_task_that_the_ledger_did_not_take_is_recorded_when_it_is_asked_again() {
        let task = BackgroundTask::new("lab", "slow", "7", Uuid::now_v7());
        let end = || {
            let call = CallRecord::new("lab", ASKS_AFTER, shown(&task), Outcome::Success);
            Record::new(Uuid::now_v7(), None, Event::DirectCall(call))
        };
        let ((closed, _), (ledger, sink)) = (Ledger::in_memory(), Ledger::in_memory());
        closed.shutdown().await;
        assert!(task.ends(closed.write_with(end(), Ack::Local)).await.is_err() && !task.has_ended());
        for _ in 0..2 {
            task.ends(ledger.write_with(end(), Ack::Database)).await.unwrap();
        }
        assert!(task.has_ended());
        // Accepted, and not known to be safe.
        let slow = BackgroundTask::new("lab", "slow", "8", Uuid::now_v7());
        let late = async || Err(AuditError::Unavailable { message: "late".into() });
        assert!(slow.ends(late()).await.is_err() && slow.has_ended());
        assert!(slow.ends(late()).await.is_ok(), "it is not written again");
        let is_end = |record: &&Record| matches!(&record.event, Event::DirectCall(call) if call.tool == ASKS_AFTER);
        assert_eq!(sink.records().iter().filter(is_end).count(), 1);
    }
}

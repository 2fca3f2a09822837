//! What a server goes on with in the background: asked after until it is done (tasks extension).

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde::Deserialize;
use serde_json::{
    json,
    value::{RawValue, to_raw_value},
};
use tokio::time::{Instant, sleep};

use super::{Question, answers};
use crate::mcp::{
    CallContext, McpError, McpReply, McpRequest, McpTransport,
    client::protocol,
    lenient::{duration_ms, or_default},
    tap::words,
};

/// How often a task is asked after where the server does not say, and at the least and most.
const POLL: Duration = Duration::from_secs(1);
const POLL_AT_LEAST: Duration = Duration::from_millis(50);
const POLL_AT_MOST: Duration = Duration::from_secs(10);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct State {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) task_id: String,
    pub(super) status: Status,
    status_message: Option<String>,
    /// `pollInterval` in 2025-11-25.
    #[serde(default, alias = "pollInterval", deserialize_with = "duration_ms")]
    poll_interval_ms: Option<u64>,
    #[serde(default, deserialize_with = "or_default")]
    input_requests: BTreeMap<String, Question>,
    result: Option<Box<RawValue>>,
    error: Option<Failure>,
}

#[derive(Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    Working,
    InputRequired,
    Completed,
    Failed,
    Cancelled,
}

#[derive(Deserialize)]
struct Failure {
    code: i64,
    #[serde(default, deserialize_with = "or_default")]
    message: String,
    #[serde(default)]
    data: Option<serde_json::Value>,
}

/// Waits for a task's result. When nobody waits any more the server is told.
///
/// # Errors
/// An [`McpError`]: the task's own, or that of asking after it.
pub(super) async fn result<T>(transport: &T, created: &RawValue, cx: &CallContext) -> Result<Box<RawValue>, McpError>
where
    T: McpTransport + ?Sized,
{
    let mut state = state(created)?;
    let started = Instant::now();
    let guard = Guard::new(transport, &state);
    let mut answered = BTreeSet::new();
    loop {
        match state.status {
            Status::Completed | Status::Failed | Status::Cancelled => {
                guard.done();
                return ended(state);
            }
            Status::InputRequired => answer(transport, &guard.id, &mut state, &mut answered, cx).await?,
            Status::Working => {}
        }
        state = next(transport, &guard.id, &state, started, cx).await?;
    }
}

/// Asks after a task, when it is time to.
pub(super) async fn next<T>(
    transport: &T,
    id: &str,
    state: &State,
    started: Instant,
    cx: &CallContext,
) -> Result<State, McpError>
where
    T: McpTransport + ?Sized,
{
    let pause = state.poll_interval_ms.map_or(POLL, Duration::from_millis).clamp(POLL_AT_LEAST, POLL_AT_MOST);
    if Instant::now() + pause >= cx.until() {
        return Err(McpError::Timeout { after_ms: crate::mcp::client::millis(started.elapsed()) });
    }
    sleep(pause).await;
    let McpReply::Complete(raw) = transport.request(about("tasks/get", id)?, cx).await? else {
        return Err(McpError::Protocol { message: "the server does not say how its task is doing".into() });
    };
    self::state(&raw)
}

/// Answers what the task wants that was not answered before.
async fn answer<T>(
    transport: &T,
    id: &str,
    state: &mut State,
    answered: &mut BTreeSet<String>,
    cx: &CallContext,
) -> Result<(), McpError>
where
    T: McpTransport + ?Sized,
{
    let mut questions = std::mem::take(&mut state.input_requests);
    questions.retain(|key, _| !answered.contains(key));
    if questions.is_empty() {
        return Ok(());
    }
    answered.extend(questions.keys().cloned());
    if answered.len() > super::MAX_QUESTIONS * super::MAX_ROUNDS {
        return Err(McpError::Protocol { message: "the server's task wants input again and again".into() });
    }
    let answers = answers(questions, cx).await?;
    let params = to_raw_value(&json!({ "taskId": id, "inputResponses": answers })).map_err(|error| protocol(&error))?;
    transport.request(McpRequest::new("tasks/update", Some(params)), cx).await.map(drop)
}

pub(super) fn state(raw: &RawValue) -> Result<State, McpError> {
    serde_json::from_str(raw.get()).map_err(|error| protocol(&error))
}

pub(super) fn about(method: &'static str, id: &str) -> Result<McpRequest, McpError> {
    let params = to_raw_value(&json!({ "taskId": id })).map_err(|error| protocol(&error))?;
    Ok(McpRequest::new(method, Some(params)))
}

pub(super) fn ended(state: State) -> Result<Box<RawValue>, McpError> {
    match (state.status, state.result, state.error) {
        (Status::Completed, Some(result), _) => Ok(result),
        (Status::Failed, _, Some(error)) => Err(McpError::rpc(error.code, words(&error.message)).with_data(error.data)),
        (Status::Cancelled, ..) => {
            let why = state.status_message.map(|text| format!(": {}", words(&text))).unwrap_or_default();
            Err(McpError::rpc(-32_603, format!("the server cancelled its task{why}")))
        }
        _ => Err(McpError::Protocol { message: "the server's task ended without saying how".into() }),
    }
}

/// Tells the server when nobody waits for a task any more.
pub(super) struct Guard<'a, T: McpTransport + ?Sized> {
    transport: &'a T,
    pub(super) id: String,
    done: bool,
}

impl<'a, T: McpTransport + ?Sized> Guard<'a, T> {
    pub(super) fn new(transport: &'a T, state: &State) -> Self {
        Self { transport, id: state.task_id.clone(), done: false }
    }

    pub(super) fn done(mut self) {
        self.done = true;
    }
}

impl<T: McpTransport + ?Sized> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        if !self.done {
            self.transport.abandon_task(&self.id);
        }
    }
}

//! Calls that a server of 2025-11-25 takes as tasks only: it goes on with them in the background, is asked after them,
//! and gives the result when it is asked for.

use serde_json::json;
use tokio::time::Instant;

use super::tasks::{self, Guard, Status};
use crate::mcp::{
    CallContext, McpError, McpReply, McpRequest, McpTransport,
    client::{millis, protocol},
    params,
};

/// What a server answers with that goes on in the background.
#[derive(serde::Deserialize)]
struct Created<'a> {
    #[serde(borrow)]
    task: &'a serde_json::value::RawValue,
}

/// Makes a call as a task, and waits for its result. When nobody waits any more the server is told.
///
/// # Errors
/// An [`McpError`]: the task's own, or that of asking after it.
pub(super) async fn call<T>(transport: &T, request: McpRequest, cx: &CallContext) -> Result<McpReply, McpError>
where
    T: McpTransport + ?Sized,
{
    let started = Instant::now();
    let ttl = millis(cx.latest().saturating_duration_since(started));
    let params = params::with(request.params.as_deref(), "task", &json!({ "ttl": ttl }))?;
    let reply = transport.request(McpRequest::new(request.method, Some(params)), cx).await?;
    // A server that answers at once has answered.
    let Ok(created) = serde_json::from_str::<Created<'_>>(reply.raw().get()) else { return Ok(reply) };
    waited_for(transport, &created, started, cx).await.map_err(McpError::after_the_first)
}

async fn waited_for<T>(
    transport: &T,
    created: &Created<'_>,
    started: Instant,
    cx: &CallContext,
) -> Result<McpReply, McpError>
where
    T: McpTransport + ?Sized,
{
    let mut state = tasks::state(created.task)?;
    let guard = Guard::new(transport, &state);
    loop {
        match state.status {
            Status::Working => state = tasks::next(transport, &guard.id, &state, started, cx).await?,
            // What a server asks in between it asks on the way to the result.
            Status::InputRequired | Status::Completed | Status::Failed => break,
            Status::Cancelled => {
                guard.done();
                return tasks::ended(state).map(McpReply::Complete);
            }
        }
    }
    let result = transport.request(tasks::about("tasks/result", &guard.id)?, cx).await;
    if !matches!(result, Err(McpError::Timeout { .. })) {
        guard.done();
    }
    match result? {
        reply @ McpReply::Complete(_) => Ok(reply),
        McpReply::InputRequired(_) | McpReply::Task(_) => Err(protocol(&"the server's task has no result")),
    }
}

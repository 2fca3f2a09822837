//! Requests that take several rounds (2026-07-28): input that a server wants in between, and what it
//! goes on with in the background.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout_at};

use super::{
    CallContext, McpError, McpReply, McpRequest, McpTransport, client::protocol, lenient::or_default, params, peer,
};

mod augmented;
mod tasks;

/// Most rounds of one request.
const MAX_ROUNDS: usize = 10;

/// Most questions of one round.
const MAX_QUESTIONS: usize = 20;

/// JSON-RPC: the client lacks a capability that the request takes.
const MISSING_CAPABILITY: i64 = -32_021;

/// What a server wants before it goes on.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wanted {
    #[serde(default, deserialize_with = "or_default")]
    input_requests: BTreeMap<String, Question>,
    /// The server's own, given back as it came.
    request_state: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct Question {
    method: String,
    params: Option<Box<RawValue>>,
}

type Answers = BTreeMap<String, Box<RawValue>>;

/// Makes a request, and whatever further requests its answer takes. Whoever takes what comes in between
/// gets it as it came.
///
/// # Errors
/// An [`McpError`]; of code -32021 when the server wants something that nobody can give.
pub(super) async fn request<T>(transport: &T, request: McpRequest, cx: &CallContext) -> Result<McpReply, McpError>
where
    T: McpTransport + ?Sized,
{
    if cx.as_task {
        return Box::pin(augmented::call(transport, request, cx)).await;
    }
    match transport.request(request.clone(), cx).await? {
        complete @ McpReply::Complete(_) => Ok(complete),
        // In a box: whoever gets a result at once carries nothing of what else may come.
        more => Box::pin(completed(transport, &request, more, cx)).await.map_err(McpError::after_the_first),
    }
}

/// Makes whatever further requests a reply takes.
async fn completed<T>(
    transport: &T,
    request: &McpRequest,
    mut reply: McpReply,
    cx: &CallContext,
) -> Result<McpReply, McpError>
where
    T: McpTransport + ?Sized,
{
    for _ in 0..MAX_ROUNDS {
        reply = match reply {
            McpReply::Complete(_) => return Ok(reply),
            McpReply::InputRequired(_) if cx.peer.takes_interim() => return Ok(reply),
            McpReply::Task(_) if cx.peer.takes_tasks() => return Ok(reply),
            McpReply::InputRequired(raw) => transport.request(answered(request, &raw, cx).await?, cx).await?,
            McpReply::Task(raw) => McpReply::Complete(tasks::result(transport, &raw, cx).await?),
        };
    }
    match reply {
        McpReply::Complete(_) => Ok(reply),
        McpReply::InputRequired(_) | McpReply::Task(_) => {
            Err(McpError::Protocol { message: format!("the server wants input more than {MAX_ROUNDS} times") })
        }
    }
}

/// Whether an error says that a server wants what nobody can give.
pub(super) fn is_unanswerable(error: &McpError) -> bool {
    matches!(error, McpError::Rpc { code: MISSING_CAPABILITY, .. })
}

/// The request once more, with what the server wants.
async fn answered(request: &McpRequest, wanted: &RawValue, cx: &CallContext) -> Result<McpRequest, McpError> {
    let wanted: Wanted = serde_json::from_str(wanted.get()).map_err(|error| protocol(&error))?;
    if wanted.input_requests.is_empty() && wanted.request_state.is_none() {
        return Err(McpError::Protocol { message: "the server wants input and does not say which".into() });
    }
    let answers = answers(wanted.input_requests, cx).await?;
    let mut params = params::with(request.params.as_deref(), "inputResponses", &answers)?;
    if let Some(state) = wanted.request_state {
        params = params::with(Some(&params), "requestState", &state)?;
    }
    Ok(McpRequest::new(request.method.clone(), Some(params)))
}

/// The peer's answers, one question after the other: a person reads one at a time.
async fn answers(questions: BTreeMap<String, Question>, cx: &CallContext) -> Result<Answers, McpError> {
    if questions.len() > MAX_QUESTIONS {
        return Err(McpError::Protocol {
            message: format!("the server asks more than {MAX_QUESTIONS} questions at once"),
        });
    }
    let (mut answers, began) = (Answers::new(), Instant::now());
    for (key, question) in questions {
        if !peer::is_askable(&question.method) || !cx.peer.can().answers(&question.method) {
            return Err(unanswerable(&question));
        }
        let params = question.params.unwrap_or_else(empty);
        let answer = timeout_at(cx.latest(), peer::ask(&*cx.peer, &question.method, params));
        answers.insert(key, answer.await.map_err(|_| unanswered(began))??);
    }
    Ok(answers)
}

fn unanswered(began: Instant) -> McpError {
    McpError::Timeout { after_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX) }
}

fn empty() -> Box<RawValue> {
    RawValue::from_string("{}".into()).unwrap_or_default()
}

fn unanswerable(question: &Question) -> McpError {
    let what = match &*question.method {
        "elicitation/create" => "asks the person something",
        "sampling/createMessage" => "asks for a model's answer",
        "roots/list" => "asks for directories",
        _ => "asks for something unknown",
    };
    let message = format!("it {what} in the middle of the call, and nobody is there to answer");
    McpError::rpc(MISSING_CAPABILITY, message)
}

#[cfg(test)]
mod tests;

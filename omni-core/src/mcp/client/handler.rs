//! What a server wants of its client: in the middle of a call it may ask whoever is behind the call.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures::FutureExt;
use rmcp::{
    RoleClient,
    model::{
        ClientConfig, ClientResult, CustomResult, ErrorCode, ErrorData, RequestId, ServerNotification, ServerRequest,
    },
    service::{InboundStreamOrigin, NotificationContext, RequestContext, Service},
};
use serde_json::{
    Value, json,
    value::{RawValue, to_raw_value},
};
use tokio::{sync::Semaphore, time::timeout_at};

use crate::mcp::{
    McpError, Nobody, peer,
    tap::{Asked, Tap},
};

/// Most questions of a server that wait for an answer at once.
const MAX_ASKING: usize = 32;

/// The client's side of a connection.
pub(super) struct Handler {
    config: ClientConfig,
    tap: Arc<Tap>,
    asking: Semaphore,
}

impl Handler {
    pub(super) fn new(config: ClientConfig, tap: Arc<Tap>) -> Self {
        Self { config, tap, asking: Semaphore::new(MAX_ASKING) }
    }

    async fn answer(
        &self,
        method: &str,
        params: Box<RawValue>,
        asked: Option<Asked>,
    ) -> Result<Box<RawValue>, McpError> {
        let Ok(_one) = self.asking.try_acquire() else {
            let message = format!("more than {MAX_ASKING} questions wait for an answer already");
            return Err(McpError::rpc(internal(), message));
        };
        let Some(asked) = asked else { return peer::ask(&Nobody, method, params).await };
        let answer = AssertUnwindSafe(peer::ask(&*asked.peer, method, params)).catch_unwind();
        let given_up = || McpError::rpc(internal(), "nobody waits for the call any more");
        tokio::select! {
            biased;
            () = asked.ended.cancelled() => Err(given_up()),
            answer = timeout_at(asked.deadline, answer) => match answer {
                Ok(Ok(answer)) => answer,
                Ok(Err(_)) => Err(McpError::rpc(internal(), "the client failed to answer")),
                Err(_) => Err(given_up()),
            },
        }
    }
}

impl Service<RoleClient> for Handler {
    async fn handle_request(
        &self,
        request: ServerRequest,
        context: RequestContext<RoleClient>,
    ) -> Result<ClientResult, ErrorData> {
        let raw = self.tap.take_params(&context.id);
        let Some((method, params)) = question(&request) else { return Ok(ClientResult::empty(())) };
        if !peer::is_askable(&method) {
            let message = format!("there is no method {method:?} here");
            return Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, message, None));
        }
        let asked = self.tap.asked(stream_of(&context));
        let params = raw.unwrap_or_else(|| to_raw_value(&params).unwrap_or_default());
        let answer = tokio::select! {
            biased;
            () = context.ct.cancelled() => return Err(ErrorData::internal_error("cancelled", None)),
            answer = Box::pin(self.answer(&method, params, asked)) => answer,
        };
        let answer = answer.map_err(|error| rpc(&error))?;
        let answer: Value = serde_json::from_str(answer.get()).map_err(|error| rpc(&super::protocol(&error)))?;
        Ok(ClientResult::CustomResult(CustomResult::new(answer)))
    }

    async fn handle_notification(
        &self,
        _: ServerNotification,
        _: NotificationContext<RoleClient>,
    ) -> Result<(), ErrorData> {
        // The tap has heard it.
        Ok(())
    }

    fn get_info(&self) -> ClientConfig {
        self.config.clone()
    }
}

/// The request on whose stream a server asks, where the transport knows streams.
fn stream_of(context: &RequestContext<RoleClient>) -> Option<&RequestId> {
    match context.extensions.get::<InboundStreamOrigin>() {
        Some(InboundStreamOrigin::OutboundRequest(id)) => Some(id),
        Some(InboundStreamOrigin::Unassociated) | None => None,
    }
}

/// A server's question as rmcp understood it; `None` for a ping.
fn question(request: &ServerRequest) -> Option<(String, Value)> {
    if let ServerRequest::PingRequest(_) = request {
        return None;
    }
    let mut request = serde_json::to_value(request).unwrap_or_else(|_| json!({}));
    let method = request["method"].as_str().unwrap_or_default().to_owned();
    Some((method, request["params"].take()))
}

fn internal() -> i64 {
    i64::from(ErrorCode::INTERNAL_ERROR.0)
}

fn rpc(error: &McpError) -> ErrorData {
    match error {
        McpError::Rpc { code, message, data } => {
            let code = i32::try_from(*code).map_or(ErrorCode::INTERNAL_ERROR, ErrorCode);
            ErrorData::new(code, message.clone(), data.as_deref().cloned())
        }
        other => ErrorData::internal_error(other.to_string(), None),
    }
}

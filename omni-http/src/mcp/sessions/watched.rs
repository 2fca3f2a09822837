//! The transport of a session, as far as it tells whether somebody uses that, and its end when nobody does.

use std::{sync::Arc, time::Instant};

use rmcp::{
    RoleServer,
    model::{ClientNotification, JsonRpcMessage, RequestId},
    service::{RxJsonRpcMessage, TxJsonRpcMessage},
    transport::Transport,
};
use tokio::select;

use super::used::Used;

/// A transport whose messages are looked at.
pub(in crate::mcp) struct Watched<T> {
    inner: T,
    used: Arc<Used>,
}

impl<T> Watched<T> {
    pub(super) fn new(inner: T, used: Arc<Used>) -> Self {
        Self { inner, used }
    }

    fn hear(&self, message: &RxJsonRpcMessage<RoleServer>) {
        match message {
            JsonRpcMessage::Request(request) => self.used.asks(request.id.clone()),
            JsonRpcMessage::Notification(told) => {
                if let ClientNotification::CancelledNotification(cancelled) = &told.notification
                    && let Some(id) = &cancelled.params.request_id
                {
                    self.used.answered(id);
                }
            }
            JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_) => {}
        }
    }
}

impl<T: Transport<RoleServer>> Transport<RoleServer> for Watched<T> {
    type Error = T::Error;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        match answered(&item) {
            Some(id) => self.used.answered(id),
            // Whoever is told something and does not listen may have gone.
            None => _ = self.used.ends_if_abandoned(Instant::now()),
        }
        self.inner.send(item)
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        let message = select! {
            () = self.used.ended() => None,
            message = self.inner.receive() => message,
        };
        message.inspect(|message| self.hear(message))
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.inner.close().await
    }
}

/// The request that a message answers.
fn answered(message: &TxJsonRpcMessage<RoleServer>) -> Option<&RequestId> {
    match message {
        JsonRpcMessage::Response(response) => Some(&response.id),
        JsonRpcMessage::Error(error) => error.id.as_ref(),
        JsonRpcMessage::Request(_) | JsonRpcMessage::Notification(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rmcp::transport::OneshotTransport;
    use serde_json::{Value, from_value, json};

    use super::*;

    fn says(message: Value) -> TxJsonRpcMessage<RoleServer> {
        from_value(message).unwrap()
    }

    #[tokio::test]
    async fn a_client_that_waits_for_nothing_and_is_told_something_loses_its_session() {
        let asked = from_value(json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" })).unwrap();
        let (inner, told) = OneshotTransport::<RoleServer>::new(asked);
        let used = Arc::new(Used::new(Duration::ZERO));
        let mut transport = Watched::new(inner, used.clone());
        let changed = json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" });
        assert!(transport.receive().await.is_some());
        transport.send(says(changed.clone())).await.unwrap();
        assert!(used.again(), "it waits for an answer");
        transport.send(says(json!({ "jsonrpc": "2.0", "id": 1, "result": {} }))).await.unwrap();
        assert!(used.again(), "an answer is nothing that it is told unasked");
        transport.send(says(changed)).await.unwrap();
        assert!(!used.again());
        assert!(transport.receive().await.is_none());
        assert_eq!(told.len(), 3);
    }
}

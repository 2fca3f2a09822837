//! A transport whose messages pass the ear of its connection.

use std::{future::Future, sync::Arc};

use rmcp::{
    RoleClient,
    service::{RxJsonRpcMessage, TxJsonRpcMessage},
    transport::Transport,
};

use super::Tap;

/// A transport with an ear.
pub(in crate::mcp) struct Tapped<T> {
    inner: T,
    tap: Arc<Tap>,
}

impl<T> Tapped<T> {
    pub(in crate::mcp) fn new(inner: T, tap: Arc<Tap>) -> Self {
        Self { inner, tap }
    }
}

impl<T: Transport<RoleClient>> Transport<RoleClient> for Tapped<T> {
    type Error = T::Error;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        self.tap.register(&item);
        self.inner.send(item)
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        loop {
            let Some(message) = self.inner.receive().await else {
                self.tap.close("the server ended the connection");
                return None;
            };
            if let Some(message) = self.tap.hear(message) {
                return Some(message);
            }
        }
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.tap.close("the connection was closed");
        self.inner.close().await
    }
}

impl<T> Drop for Tapped<T> {
    fn drop(&mut self) {
        self.tap.close("the connection was dropped");
    }
}

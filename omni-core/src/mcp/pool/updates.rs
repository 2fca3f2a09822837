//! Resources whose contents changed, as servers tell it of those that were subscribed to.

use std::sync::Arc;

use futures::stream::{BoxStream, StreamExt, select_all};
use tokio::sync::broadcast::{self, error::RecvError};

use super::{Pool, server::Server};
use crate::mcp::McpEvent;

/// Updates kept for a reader that is slow; more are not worth telling.
const KEPT: usize = 256;

/// What a resource holds changed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResourceUpdate {
    /// Whose resource it is.
    pub server: Arc<str>,
    /// Which one.
    pub uri: String,
}

/// Where one server's updates are told.
#[derive(Debug)]
pub(super) struct Updates(broadcast::Sender<String>);

impl Updates {
    pub(super) fn new() -> Self {
        Self(broadcast::channel(KEPT).0)
    }

    /// Tells on what one connection tells, for as long as it lasts.
    pub(super) fn follow(&self, mut events: BoxStream<'static, McpEvent>) -> impl Future<Output = ()> + use<> {
        let told = self.0.clone();
        async move {
            while let Some(event) = events.next().await {
                if let McpEvent::ResourceUpdated { uri } = event {
                    let _ = told.send(uri);
                }
            }
        }
    }

    fn of(&self, server: &Server) -> BoxStream<'static, ResourceUpdate> {
        let (mut updates, name): (_, Arc<str>) = (self.0.subscribe(), server.name().into());
        Box::pin(async_stream::stream! {
            loop {
                match updates.recv().await {
                    Ok(uri) => yield ResourceUpdate { server: name.clone(), uri },
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return,
                }
            }
        })
    }
}

impl Pool {
    /// Resources that change from now on, of all servers of this pool, of those that somebody subscribed
    /// to (`resources/subscribe`).
    #[must_use]
    pub fn updates(&self) -> BoxStream<'static, ResourceUpdate> {
        let servers = self.shared.servers.values();
        select_all(servers.map(|server| server.updates().of(server))).boxed()
    }
}

//! What a server needs while nobody asks for it: one task for each server that was connected to.

use std::{
    future::pending,
    sync::{Arc, Weak},
    time::Duration,
};

use futures::{StreamExt, stream::BoxStream};
use tokio::{sync::Notify, time::sleep};

use super::{connection::Connection, server::Server};
use crate::mcp::McpEvent;

/// Changes that come together are listed together.
const SETTLE: Duration = Duration::from_millis(100);

/// Listens to a server for as long as there is one. `woken` is told of every new connection.
pub(super) async fn tend(server: Weak<Server>, woken: Arc<Notify>) {
    let mut bell = Bell::default();
    loop {
        {
            let Some(server) = server.upgrade() else { return };
            let is_other = bell.follow(server.present());
            // What was said before anybody listened.
            if is_other && server.has_news() {
                server.look_again().await;
                continue;
            }
        }
        tokio::select! {
            () = woken.notified() => continue,
            () = bell.rung() => {}
        }
        sleep(SETTLE).await;
        let Some(server) = server.upgrade() else { return };
        server.look_again().await;
    }
}

/// Rings when something was said on the present connection. What it was, the connection knows.
#[derive(Default)]
struct Bell {
    of: Option<u64>,
    events: Option<BoxStream<'static, McpEvent>>,
}

impl Bell {
    /// Whether it was another connection's before.
    fn follow(&mut self, connection: Option<Arc<Connection>>) -> bool {
        let number = connection.as_ref().map(|connection| connection.number());
        let is_other = self.of != number;
        if is_other {
            self.events = connection.map(|connection| connection.transport.events());
            self.of = number;
        }
        is_other
    }

    async fn rung(&mut self) {
        loop {
            let Some(events) = &mut self.events else { return pending().await };
            match events.next().await {
                Some(McpEvent::Log { .. } | McpEvent::ResourceUpdated { .. }) => {}
                Some(McpEvent::ToolsChanged | McpEvent::PromptsChanged | McpEvent::ResourcesChanged) => return,
                Some(McpEvent::Closed { .. }) | None => {
                    self.events = None;
                    return;
                }
            }
        }
    }
}

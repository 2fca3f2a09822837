//! Telling a server of which resources somebody wants to hear, and whoever wants to hear what it says.

use std::{sync::Arc, time::Duration};

use serde_json::{
    json,
    value::{RawValue, to_raw_value},
};
use tokio::{
    runtime::Handle,
    time::{Instant, timeout_at},
};

use super::{
    super::{
        connection::{Connection, InUse},
        hearing::{Hearing, Owner, Subscription},
    },
    Server, guarded,
    lane::Lane,
};
use crate::{
    identity::TokenDigest,
    mcp::{CallContext, McpError, McpEvent, McpRequest, client::millis},
};

/// JSON-RPC: the server, or omni in its place, cannot do it.
const INTERNAL: i64 = -32_603;
/// How long a server may take to take note of what nobody waits for.
const NOTE_WITHIN: Duration = Duration::from_secs(10);

impl Server {
    /// Tells `hearing` of a resource's changes from now on.
    pub(in crate::mcp::pool) async fn subscribe(
        &self,
        uri: &str,
        hearing: &Arc<Hearing>,
        cx: &CallContext,
    ) -> Result<Subscription, McpError> {
        let lane = self.lane(cx)?;
        let full = || McpError::rpc(INTERNAL, "too many resources of this server are told of already");
        let id = self.hearers.add(lane.key(), uri, Owner::of(cx), hearing).ok_or_else(full)?;
        // Whatever fails from here on takes it away again.
        let (server, name) = (self.me.clone(), self.name.clone());
        let subscription = Subscription { server, name, lane: lane.key(), uri: uri.to_owned(), id };
        let began = Instant::now();
        let late = |_| McpError::Timeout { after_ms: millis(began.elapsed()) };
        let _in_order = timeout_at(cx.deadline, lane.subscribing.lock()).await.map_err(late)?;
        let _admitted = self.admit()?;
        let connection = self.connected(&lane, cx.deadline).await?;
        // Named before it answers: what it tells in the same breath is for whoever asked.
        self.hearers.asked(lane.key(), uri, connection.number());
        self.tell_server("resources/subscribe", uri, &connection, cx).await?;
        Ok(subscription)
    }

    /// Somebody wants to hear no more of a resource. Where nobody does, the server is told.
    pub(in crate::mcp::pool) fn hears_no_more(self: &Arc<Self>, lane: Option<TokenDigest>, uri: &str, id: u64) {
        let is_last = self.hearers.remove(lane, uri, id);
        if !is_last || Handle::try_current().is_err() || self.gone.is_cancelled() {
            return;
        }
        let (server, uri) = (self.clone(), uri.to_owned());
        let told = async move { server.unsubscribe(lane, &uri).await };
        self.tasks.spawn(self.down.clone().run_until_cancelled_owned(told));
    }

    async fn unsubscribe(&self, key: Option<TokenDigest>, uri: &str) {
        let lane = match key {
            None => Some(self.shared.clone()),
            Some(key) => self.lanes.known(key),
        };
        let Some(lane) = lane else { return };
        let _in_order = lane.subscribing.lock().await;
        // A connection that is not there tells nothing; and by now somebody else may want to know.
        let Some(connection) = lane.present().filter(|one| one.is_alive(&self.name)) else { return };
        let Some(connection) = connection.enter().filter(|_| !self.hearers.wants(key, uri)) else { return };
        let cx = CallContext::within(NOTE_WITHIN);
        if let Err(error) = self.tell_server("resources/unsubscribe", uri, &connection, &cx).await {
            tracing::debug!(server = %self.name, %error, "a server goes on telling of a resource");
        }
    }

    /// What somebody wanted to hear on the connection before, they want to hear on this one. What changed in between
    /// nobody told, so it may have.
    pub(super) fn subscribe_again(&self, lane: &Arc<Lane>, connection: &Arc<Connection>) {
        let uris = self.hearers.asked_before(lane.key(), connection.number());
        let Some(server) = self.me.upgrade().filter(|_| !uris.is_empty()) else { return };
        let (lane, connection) = (lane.clone(), connection.clone());
        let again = async move {
            let _in_order = lane.subscribing.lock().await;
            let Some(connection) = connection.enter() else { return };
            for uri in uris.iter().filter(|uri| server.hearers.wants(lane.key(), uri)) {
                let cx = CallContext::within(NOTE_WITHIN);
                server.hearers.asked(lane.key(), uri, connection.number());
                match server.tell_server("resources/subscribe", uri, &connection, &cx).await {
                    Ok(()) => server.hearers.tell(lane.key(), uri),
                    Err(error) => {
                        tracing::warn!(server = %server.name, %error, "a server tells no more of a resource");
                        // Another connection may do better.
                        server.hearers.asked(lane.key(), uri, 0);
                    }
                }
            }
        };
        self.tasks.spawn(self.gone.clone().run_until_cancelled_owned(again));
    }

    async fn tell_server(
        &self,
        method: &'static str,
        uri: &str,
        connection: &InUse,
        cx: &CallContext,
    ) -> Result<(), McpError> {
        let params: Box<RawValue> = to_raw_value(&json!({ "uri": uri })).unwrap_or_default();
        let answer = guarded(connection.transport.request(McpRequest::new(method, Some(params)), cx)).await;
        self.learn(connection, answer.as_ref().err());
        answer.map(drop)
    }

    /// Tells on what a connection tells, for as long as it lasts.
    pub(super) fn follow(&self, lane: &Arc<Lane>, connection: &Arc<Connection>) {
        let (me, key, woken) = (self.me.clone(), lane.key(), lane.woken.clone());
        let mut events = connection.transport.events();
        let following = async move {
            while let Some(event) = futures::StreamExt::next(&mut events).await {
                let Some(server) = me.upgrade() else { return };
                match event {
                    McpEvent::ResourceUpdated { uri } => server.hearers.tell(key, &uri),
                    McpEvent::ToolsChanged if key.is_some() => server.told_a_caller(),
                    _ => {}
                }
            }
            woken.notify_one();
        };
        self.tasks.spawn(self.gone.clone().run_until_cancelled_owned(following));
    }

    /// A caller's own connection told that there are other tools. Where callers' connections are what is known by,
    /// whoever comes next asks.
    fn told_a_caller(&self) {
        if self.is_left_to_callers() {
            self.with_listing(super::Listing::wait_for_caller);
        }
    }
}

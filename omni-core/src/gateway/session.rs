//! A connection to a client, as rmcp wants it.

use std::sync::Mutex;

use http::request::Parts;
use rmcp::{
    RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, ErrorData, Extensions, Implementation, ListToolsResult,
        PaginatedRequestParams, ServerCapabilities, ServerConfig, SubscriptionFilter,
    },
    service::{NotificationContext, RequestContext, SubscriptionContext},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Gateway, INSTRUCTIONS, Visitor, call, error, list, watch::Watch};

/// One connection. Over HTTP it is a session of an older client, or one request of a newer one.
#[derive(Debug)]
pub struct Session {
    gateway: Gateway,
    /// Who is at the other end, where that is known before anything comes.
    visitor: Option<Visitor>,
    /// Ends the telling of changes together with the session.
    telling: Mutex<Option<DropGuard>>,
}

impl Session {
    pub(super) fn new(gateway: Gateway, visitor: Option<Visitor>) -> Self {
        Self { gateway, visitor, telling: Mutex::default() }
    }

    /// Who sent a message.
    fn visitor(&self, extensions: &Extensions) -> Result<Visitor, ErrorData> {
        let told = || extensions.get::<Parts>()?.extensions.get::<Visitor>().cloned();
        let visitor = self.visitor.clone().or_else(told);
        visitor.ok_or_else(|| ErrorData::internal_error("it is not known who sent this", None))
    }

    /// Takes the place of the telling that was before, if there was one.
    fn begin_telling(&self) -> CancellationToken {
        let token = CancellationToken::new();
        let mut telling = self.telling.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *telling = Some(token.clone().drop_guard());
        token
    }
}

impl ServerHandler for Session {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().enable_tool_list_changed().build();
        let us = Implementation::new("omni", env!("CARGO_PKG_VERSION"));
        ServerConfig::new(capabilities).with_server_info(us).with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let visitor = self.visitor(&context.extensions)?;
        let tools = self.gateway.tools(&visitor).await.map_err(|error| error::of(&error))?;
        Ok(list::tools(&tools))
    }

    async fn call_tool(
        &self,
        params: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let visitor = self.visitor(&context.extensions)?;
        call::run(&self.gateway, visitor, params, context).await.map(Into::into)
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        let Ok(visitor) = self.visitor(&context.extensions) else { return };
        let (gateway, peer, ended) = (self.gateway.clone(), context.peer, self.begin_telling());
        let omni = gateway.omni.clone();
        let telling = async move {
            let mut watch = Watch::begin(gateway, visitor).await;
            while watch.changed().await && peer.notify_tool_list_changed().await.is_ok() {}
        };
        omni.in_background(async move {
            ended.run_until_cancelled(telling).await;
        });
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        let mut accepted = SubscriptionFilter::new();
        accepted.tools_list_changed = requested.tools_list_changed;
        Some(accepted)
    }

    async fn listen(&self, subscription: SubscriptionContext) -> Result<(), ErrorData> {
        let visitor = self.visitor(&subscription.request_context().extensions)?;
        let telling = async {
            let mut watch = Watch::begin(self.gateway.clone(), visitor).await;
            while watch.changed().await && subscription.sink().notify_tool_list_changed().await.is_ok() {}
        };
        tokio::select! {
            () = telling => {}
            () = subscription.cancelled() => {}
        }
        Ok(())
    }
}

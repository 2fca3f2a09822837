//! A connection to a client, as rmcp wants it.
#![expect(deprecated, reason = "older clients subscribe to resources and set the level of messages")]

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
};

use http::request::Parts;
use rmcp::{
    RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CancelTaskParams, CompleteRequestParams, CompleteResult,
        CustomRequest, CustomResult, ErrorData, Extensions, GetPromptRequestParams, GetPromptResponse, GetTaskParams,
        GetTaskResult, Implementation, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult,
        ListToolsResult, PaginatedRequestParams, ProtocolVersion, ReadResourceRequestParams, ReadResourceResponse,
        Reference, ResultType, ServerCapabilities, ServerConfig, SetLevelRequestMethod, SetLevelRequestParams,
        SubscribeRequestParams, SubscriptionFilter, UnsubscribeRequestParams, UpdateTaskParams,
    },
    service::{NotificationContext, RequestContext, SubscriptionContext},
};
use serde_json::{json, value::to_raw_value};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    Gateway, INSTRUCTIONS, Newest, Visitor,
    call::Caller,
    error,
    line::Client,
    list, misread,
    telling::{self, Subscribed},
};
use crate::{
    mcp::{LogLevel, McpReply},
    omni::{Asked, Offer},
};

/// The extension by which a client may be given a task in place of a result.
const TASKS: &str = "io.modelcontextprotocol/tasks";

/// Most resources that one client is told of.
const MOST_SUBSCRIPTIONS: usize = 1_000;

/// One connection. Over HTTP it is a session of an older client, or one request of a newer one.
#[derive(Debug)]
pub struct Session {
    gateway: Gateway,
    /// Who is at the other end, where that is known before anything comes.
    visitor: Option<Visitor>,
    /// The least severe message that an older client wants.
    level: AtomicU8,
    /// The resources of whose changes an older client wants to be told.
    subscribed: Arc<Subscribed>,
    /// Ends the telling of changes together with the session.
    telling: Mutex<Option<DropGuard>>,
}

impl Session {
    pub(super) fn new(gateway: Gateway, visitor: Option<Visitor>) -> Self {
        let level = AtomicU8::new(LogLevel::ALL.number());
        Self { gateway, visitor, level, subscribed: Arc::default(), telling: Mutex::default() }
    }

    /// Who sent a message.
    fn visitor(&self, extensions: &Extensions) -> Result<Visitor, ErrorData> {
        let told = || extensions.get::<Parts>()?.extensions.get::<Visitor>().cloned();
        let visitor = self.visitor.clone().or_else(told);
        visitor.ok_or_else(|| ErrorData::internal_error("it is not known who sent this", None))
    }

    /// Who sends the messages of this session, now and later.
    fn newest(&self, extensions: &Extensions) -> Result<Newest, ErrorData> {
        let told = || extensions.get::<Parts>()?.extensions.get::<Newest>().cloned();
        match told().filter(|_| self.visitor.is_none()) {
            Some(newest) => Ok(newest),
            None => self.visitor(extensions).map(Newest::from),
        }
    }

    fn caller(&self, context: RequestContext<RoleServer>) -> Result<Caller<'_>, ErrorData> {
        let visitor = self.visitor(&context.extensions)?;
        let is_new = is_new(&context);
        let level = match is_new {
            true => {
                context.meta.log_level().and_then(|level| LogLevel::of(serde_json::to_value(level).ok()?.as_str()?))
            }
            false => Some(LogLevel::from_number(self.level.load(Ordering::Relaxed))),
        };
        let client = Client { peer: context.peer.clone(), token: context.meta.get_progress_token(), level };
        Ok(Caller { gateway: &self.gateway, visitor, client, is_new, context })
    }

    async fn look<T>(
        &self,
        context: &RequestContext<RoleServer>,
        look: impl FnOnce(&Offer<'_>) -> T,
    ) -> Result<T, ErrorData> {
        let visitor = self.visitor(&context.extensions)?;
        let looked = self.gateway.omni.with_offer(visitor.credential, self.gateway.names, look).await;
        looked.map_err(|error| error::of(&error))
    }

    /// Takes the place of the telling that was before, if there was one.
    fn begin_telling(&self) -> CancellationToken {
        let token = CancellationToken::new();
        let mut telling = self.telling.lock().unwrap_or_else(PoisonError::into_inner);
        *telling = Some(token.clone().drop_guard());
        token
    }
}

/// Whether a request is of the revision that knows no sessions.
fn is_new(context: &RequestContext<RoleServer>) -> bool {
    context.protocol_version().is_some_and(|version| version >= ProtocolVersion::V_2026_07_28)
}

/// Refuses a cursor: every list has one page, so none of them was handed out. An empty one says nothing.
fn only_page(page: Option<PaginatedRequestParams>) -> Result<(), ErrorData> {
    match page.and_then(|page| page.cursor).filter(|cursor| !cursor.is_empty()) {
        Some(_) => Err(ErrorData::invalid_params("cursor: there is no such page", None)),
        None => Ok(()),
    }
}

/// What omni can do as a server.
fn capabilities() -> ServerCapabilities {
    let all = json!({
        "tools": { "listChanged": true },
        "prompts": { "listChanged": true },
        "resources": { "listChanged": true, "subscribe": true },
        "completions": {},
        "logging": {},
        "extensions": { TASKS: {} },
    });
    serde_json::from_value(all).unwrap_or_default()
}

impl ServerHandler for Session {
    fn get_info(&self) -> ServerConfig {
        let us = Implementation::new("omni", env!("CARGO_PKG_VERSION"));
        ServerConfig::new(capabilities()).with_server_info(us).with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        page: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        only_page(page)?;
        let visitor = self.visitor(&context.extensions)?;
        let tools = self.gateway.tools(&visitor).await.map_err(|error| error::of(&error))?;
        Ok(list::tools(&tools))
    }

    async fn call_tool(
        &self,
        params: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        Box::pin(self.caller(context)?.call_tool(params)).await
    }

    async fn get_task(
        &self,
        params: GetTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        Box::pin(self.caller(context)?.get_task(params)).await
    }

    async fn update_task(
        &self,
        params: UpdateTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Box::pin(self.caller(context)?.update_task(params)).await
    }

    async fn cancel_task(
        &self,
        params: CancelTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Box::pin(self.caller(context)?.cancel_task(params)).await
    }

    async fn list_prompts(
        &self,
        page: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        only_page(page)?;
        self.look(&context, list::prompts).await.map(ListPromptsResult::with_all_items)
    }

    async fn get_prompt(
        &self,
        params: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        Box::pin(self.caller(context)?.get_prompt(params)).await
    }

    async fn list_resources(
        &self,
        page: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        only_page(page)?;
        self.look(&context, list::resources).await.map(ListResourcesResult::with_all_items)
    }

    async fn list_resource_templates(
        &self,
        page: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        only_page(page)?;
        self.look(&context, list::templates).await.map(ListResourceTemplatesResult::with_all_items)
    }

    async fn read_resource(
        &self,
        params: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        Box::pin(self.caller(context)?.read_resource(params)).await
    }

    async fn complete(
        &self,
        params: CompleteRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let asked = match &params.r#ref {
            Reference::Prompt(prompt) => Asked::PromptArgument(prompt.name.clone()),
            Reference::Resource(resource) => Asked::TemplateArgument(resource.uri.clone()),
            _ => return Err(ErrorData::invalid_params("nothing of this kind is completed", None)),
        };
        let mut rest = BTreeMap::new();
        for (name, raw) in [("argument", to_raw_value(&params.argument)), ("context", to_raw_value(&params.context))] {
            let raw = raw.map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
            if raw.get() != "null" {
                rest.insert(name.to_owned(), raw);
            }
        }
        match Box::pin(self.caller(context)?.simply(asked, rest)).await? {
            McpReply::Complete(raw) => {
                let mut result: CompleteResult =
                    serde_json::from_str(raw.get()).map_err(|_| error::not_understood())?;
                result.result_type = Some(ResultType::COMPLETE);
                Ok(result)
            }
            McpReply::InputRequired(_) | McpReply::Task(_) => Err(error::not_understood()),
        }
    }

    async fn set_level(
        &self,
        params: SetLevelRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        if is_new(&context) {
            return Err(ErrorData::method_not_found::<SetLevelRequestMethod>());
        }
        let name = serde_json::to_value(params.level).unwrap_or_default();
        let level = name.as_str().and_then(LogLevel::of).unwrap_or(LogLevel::ALL);
        self.level.store(level.number(), Ordering::Relaxed);
        let visitor = self.visitor(&context.extensions)?;
        self.gateway.log_from(&visitor, level).await.map_err(|error| error::of(&error))
    }

    async fn subscribe(
        &self,
        params: SubscribeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        if self.subscribed.len() >= MOST_SUBSCRIPTIONS {
            return Err(ErrorData::invalid_request("too many subscriptions; end one before you begin another", None));
        }
        let visitor = self.visitor(&context.extensions)?;
        let subscribed = Box::pin(self.subscribed.begin(&self.gateway, &visitor, &params.uri)).await;
        subscribed.map_err(|error| error::of(&error))
    }

    async fn unsubscribe(
        &self,
        params: UnsubscribeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.subscribed.end(&params.uri);
        let visitor = self.visitor(&context.extensions)?;
        let known = self.gateway.omni.server_of(visitor.credential, &params.uri).await;
        known.map(drop).ok_or_else(|| error::no_resource(&params.uri))
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        Err(misread::refusal(request, is_new(&context)))
    }

    async fn on_initialized(&self, context: NotificationContext<RoleServer>) {
        let Ok(newest) = self.newest(&context.extensions) else { return };
        let (gateway, peer, ended) = (self.gateway.clone(), context.peer, self.begin_telling());
        let (omni, subscribed) = (gateway.omni.clone(), self.subscribed.clone());
        let told = telling::to_session(gateway, newest, peer, subscribed);
        omni.in_background(async move {
            ended.run_until_cancelled(told).await;
        });
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        let mut accepted = requested.clone();
        if let Some(uris) = &mut accepted.resource_subscriptions {
            uris.truncate(MOST_SUBSCRIPTIONS);
        }
        Some(accepted)
    }

    async fn listen(&self, subscription: SubscriptionContext) -> Result<(), ErrorData> {
        let visitor = self.visitor(&subscription.request_context().extensions)?;
        tokio::select! {
            () = Box::pin(telling::to_listener(self.gateway.clone(), visitor, &subscription)) => {}
            () = subscription.cancelled() => {}
        }
        Ok(())
    }
}

//! The MCP server that wants tokens of the authorization server.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Body,
    extract::{Request, State as Extract},
    http::{HeaderMap, StatusCode, header::WWW_AUTHENTICATE},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::get,
};
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ListToolsResult, PaginatedRequestParams,
        ServerCapabilities, ServerConfig, Tool,
    },
    service::RequestContext,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
    },
};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Shared;

const MAX_BODY: usize = 1 << 20;

#[derive(Clone)]
struct Server;

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let schema = Arc::new(json!({ "type": "object" }).as_object().cloned().unwrap());
        let tools = ["greet", "admin"].map(|name| Tool::new(name, "says hello", schema.clone()));
        Ok(ListToolsResult::with_all_items(tools.into()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        Ok(CallToolResult::success(vec![ContentBlock::text(format!("hello from {}", request.name))]).into())
    }
}

pub(super) fn router(state: Shared) -> Router {
    let service = StreamableHttpService::new(
        || Ok(Server),
        Arc::<LocalSessionManager>::default(),
        StreamableHttpServerConfig::default(),
    );
    Router::new()
        .nest_service("/mcp", service)
        .layer(middleware::from_fn_with_state(state.clone(), let_in))
        .route("/.well-known/oauth-protected-resource/mcp", get(metadata))
        .with_state(state)
}

async fn metadata(Extract(state): Extract<Shared>) -> Json<Value> {
    let state = state.lock().unwrap();
    Json(json!({
        "resource": state.rules.resource.map_or_else(|| state.resource(), str::to_owned),
        "authorization_servers": [state.issuer()],
        "scopes_supported": ["tools", "admin"],
    }))
}

/// Lets in whoever has a token that counts for what they want.
async fn let_in(Extract(state): Extract<Shared>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, MAX_BODY).await.unwrap();
    let message: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    if let Err(refusal) = judged(&state, &parts.headers, &message) {
        return *refusal;
    }
    next.run(Request::from_parts(parts, Body::from(bytes))).await
}

fn judged(state: &Shared, headers: &HeaderMap, message: &Value) -> Result<(), Box<Response>> {
    let mut state = state.lock().unwrap();
    let token = headers.get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let pointer = format!("resource_metadata=\"{}/.well-known/oauth-protected-resource/mcp\"", state.base);
    let scope = state.rules.scope.map(|scope| format!(", scope=\"{scope}\"")).unwrap_or_default();
    let Some(token) = token.map(str::to_owned) else {
        return Err(Box::new(refused(StatusCode::UNAUTHORIZED, format!("Bearer {pointer}{scope}"), "")));
    };
    let takes_any = !state.rules.accepts_nothing;
    let known = state.access.get(&token).filter(|known| takes_any && known.ends.is_none_or(|end| end > Instant::now()));
    let Some(known) = known.cloned() else {
        let challenge = format!("Bearer error=\"invalid_token\", {pointer}{scope}");
        return Err(Box::new(refused(StatusCode::UNAUTHORIZED, challenge, &token)));
    };
    if message["method"] == "tools/call" {
        let admin = state.rules.admin_scope.filter(|_| message["params"]["name"] == "admin");
        if let Some(missing) = admin.filter(|admin| !known.scopes.iter().any(|scope| scope == admin)) {
            let challenge = format!("Bearer error=\"insufficient_scope\", scope=\"{missing}\", {pointer}");
            return Err(Box::new(refused(StatusCode::FORBIDDEN, challenge, &token)));
        }
        state.calls.push(token);
    }
    Ok(())
}

/// It says what it was sent, as servers do that are too helpful.
fn refused(status: StatusCode, challenge: String, token: &str) -> Response {
    let said = format!("the token {token} does not count");
    (status, [(WWW_AUTHENTICATE, challenge)], said).into_response()
}

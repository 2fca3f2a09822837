//! omni as an MCP server over streamable HTTP: the framing. What a message means, the core's
//! [`Gateway`] knows.
//!
//! A request passes, from the outside in: [`guard`] (it is meant for this service, and no strange page
//! sends it), `caller::admit` (it has a credential), [`envelope`] (it can be read in one way only), and
//! rmcp's transport. Sessions, which only clients older than 2026-07-28 have, belong to whoever began them.

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderName, Method, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse as _, Response},
    routing::{any, get},
};
use omni_core::{
    Error, Omni,
    config::HttpConfig,
    gateway::{Gateway, GatewayOptions, Session, Visitor},
    identity::Scope,
    policy::PolicyError,
};
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use std::{fmt, sync::Arc, time::Duration};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{caller::Caller, error::ApiError, state::App};

mod encoded;
mod envelope;
mod guard;
mod metadata;
mod params;
mod plain;
mod sessions;

use envelope::Message;
pub(crate) use guard::guard;
pub(crate) use metadata::{METADATA, METADATA_OF_ENDPOINT};
use plain::Plain;
use sessions::{Owner, Sessions, Stay};

/// Where MCP clients connect.
pub(crate) const PATH: &str = "/mcp";
/// The header with a session's id.
pub(crate) const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
/// Which revision is spoken.
pub(crate) const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// What the message says, for whoever does not read it.
pub(crate) const METHOD: HeaderName = HeaderName::from_static("mcp-method");
pub(crate) const NAME: HeaderName = HeaderName::from_static("mcp-name");
/// How long what was answered last has to leave before the streams end.
const LAST_WORDS: Duration = Duration::from_millis(250);
/// Longest text in which rmcp says what is wrong with a request, in bytes; of a longer one nothing is told.
const MAX_WORDS: usize = 1_000;

/// What is wrong with a request, as rmcp says it.
#[derive(Debug, Clone)]
pub(crate) struct Words(pub(crate) String);

/// The endpoint, and what lives as long as the service does.
pub(crate) struct Endpoint {
    gateway: Gateway,
    service: StreamableHttpService<Session, Sessions>,
    sessions: Arc<Sessions>,
    ended: CancellationToken,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("sessions", &self.sessions).finish_non_exhaustive()
    }
}

impl Endpoint {
    pub(crate) fn new(omni: &Omni, config: &HttpConfig) -> Self {
        let options = GatewayOptions::default().with_prefix(config.gateway.prefix);
        let gateway = Gateway::new(omni.clone(), options);
        let (sessions, ended) = (Arc::new(Sessions::new(&config.gateway)), CancellationToken::new());
        // Who may come and from which page was judged before.
        let rules = StreamableHttpServerConfig::default()
            .disable_allowed_hosts()
            .with_legacy_session_mode(config.gateway.max_sessions > 0)
            .with_json_response(true)
            .with_max_request_body_bytes(config.max_body_bytes)
            .with_cancellation_token(ended.clone());
        let own = gateway.clone();
        let service = StreamableHttpService::new(move || Ok(own.session()), sessions.clone(), rules);
        Self { gateway, service, sessions, ended }
    }

    /// Ends sessions and streams.
    pub(crate) async fn end(&self) {
        if !self.sessions.is_empty() {
            sleep(LAST_WORDS).await;
        }
        self.ended.cancel();
    }
}

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route(PATH, any(serve))
        .route(METADATA, get(metadata::of_service))
        .route(METADATA_OF_ENDPOINT, get(metadata::of_service))
}

async fn serve(State(app): State<App>, caller: Caller, request: Request) -> Result<Response, ApiError> {
    let mut owner = Owner::of(&caller);
    let (mut parts, body) = request.into_parts();
    let named = parts.headers.get(SESSION_ID).map(|id| id.to_str().unwrap_or_default());
    let stay = named.map(|id| app.mcp.sessions.find(id, &owner).ok_or_else(no_session)).transpose()?;
    let visitor = Visitor::new(caller.credential(None)).with_client(caller.client());
    let newest = stay.as_ref().map(|stay| stay.newest.clone()).unwrap_or_default();
    newest.is(visitor.clone());
    let body = match parts.method {
        Method::POST => {
            // All of it is here already.
            let bytes = to_bytes(body, app.config.max_body_bytes).await;
            let bytes = bytes.map_err(|_| ApiError::body_too_large(app.config.max_body_bytes))?;
            let mut message = match envelope::read(&parts.headers, &bytes, app.config.max_json_depth) {
                Ok(message) => message,
                Err(refusal) => return Ok(refusal.into_response()),
            };
            let checked = Box::pin(params::check(&app.mcp.gateway, &visitor, &parts.headers, &message));
            if let Err(refusal) = checked.await {
                return Ok(refusal.into_response());
            }
            if let Some(plain) = Plain::of(&parts.headers, &mut message, stay.as_ref()) {
                return app.mcp.answer(plain, visitor, stay).await;
            }
            match &stay {
                Some(stay) if app.mcp.is_asked_twice(&message, stay) => {
                    return Ok(message.denied("a request with this id has no answer yet"));
                }
                Some(stay) => app.mcp.hears(&message, stay),
                None if message.begins_session() && app.mcp.sessions.are_kept() => {
                    // Whoever may ask for nothing in it takes no place that others need.
                    if let Some(why) = not_made_for_tools(&caller) {
                        return Ok(message.denied(&why));
                    }
                    let place = app.mcp.sessions.reserve(&owner)?;
                    owner = owner.begins(message.is_of_plain_client(), newest.clone(), place);
                }
                None => {}
            }
            Body::from(bytes)
        }
        _ => Body::empty(),
    };
    parts.extensions.insert(visitor);
    parts.extensions.insert(newest);
    let service = app.mcp.service.clone();
    let is_end = parts.method == Method::DELETE;
    let answer = async { with_words(service.handle(Request::from_parts(parts, body)).await.into_response()).await };
    // In a box: whoever goes the short way carries nothing of it.
    let mut answer = Box::pin(owner.scope(answer)).await;
    if is_end && answer.status() == StatusCode::ACCEPTED {
        // The session has ended by now, and some clients take nothing else for its end.
        *answer.status_mut() = StatusCode::NO_CONTENT;
    }
    Ok(answer)
}

/// The answer with rmcp's own words in it, where it says no in plain text.
async fn with_words(answer: Response) -> Response {
    let kind = answer.headers().get(CONTENT_TYPE);
    let is_plain = kind.is_none_or(|kind| kind.as_bytes().starts_with(b"text/plain"));
    if !answer.status().is_client_error() || !is_plain {
        return answer;
    }
    let (mut parts, body) = answer.into_parts();
    let text = to_bytes(body, MAX_WORDS).await.unwrap_or_default();
    let words: String = String::from_utf8_lossy(&text).chars().filter(|c| !c.is_control()).collect();
    if !words.is_empty() {
        parts.extensions.insert(Words(words));
    }
    Response::from_parts(parts, Body::empty())
}

/// What somebody is told whose credential is made for something else.
fn not_made_for_tools(caller: &Caller) -> Option<String> {
    let principal = caller.principal();
    let lacks = || PolicyError::MissingScope { subject: principal.subject.clone(), scope: Scope::Tools };
    (!principal.scopes.contains(Scope::Tools)).then(|| Error::from(lacks()).public_message())
}

fn no_session() -> ApiError {
    ApiError::not_found("there is no such session; begin with `initialize`")
}

impl Endpoint {
    /// Answers the short way.
    async fn answer(&self, plain: Plain, visitor: Visitor, stay: Option<Stay>) -> Result<Response, ApiError> {
        let Some(stay) = stay else {
            return Ok(plain.answer(&self.gateway, visitor, None).await);
        };
        if !self.sessions.touch(&stay).await {
            return Err(no_session());
        }
        let running = self.sessions.runs(&stay, &plain.id);
        Ok(plain.answer(&self.gateway, visitor, Some(running)).await)
    }

    /// Whether a message is a request with the id of one that has no answer yet: only one of them would get one.
    fn is_asked_twice(&self, message: &Message, stay: &Stay) -> bool {
        let id = message.id().filter(|_| message.method().is_some());
        id.is_some_and(|id| self.sessions.waits_for(stay, id))
    }

    /// Takes from a message what matters to requests outside its session's transport.
    fn hears(&self, message: &Message, stay: &Stay) {
        match message.method() {
            Some("logging/setLevel") => self.sessions.wants_logs(stay),
            Some("notifications/cancelled") => {
                let id = message.params().and_then(|params| params.get("requestId"));
                id.into_iter().for_each(|id| self.sessions.give_up(stay, id));
            }
            _ => {}
        }
    }
}

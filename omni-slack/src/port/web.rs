//! Slack's Web API over slack-morphism.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::{
    self,
    connect::{Connect, HttpConnector},
};
use omni_core::{ExposeSecret as _, SecretString, config::SlackConfig};
use serde_json::Value;
use slack_morphism::{
    SlackApiToken, SlackApiTokenValue, SlackClient, SlackClientHttpConnector as _, errors::SlackClientError,
    hyper_tokio::SlackClientHyperConnector,
};
use tokio::time::timeout;
use url::Url;

use super::{EventSource, Pulse, SlackError, SlackPort, socket::Sockets};

/// How long one call may take.
const CALL_WITHIN: Duration = Duration::from_secs(30);
/// What Slack wants where it does not say.
const PAUSE: Duration = Duration::from_secs(1);

/// The Web API with one token.
pub(crate) struct Web<H: Send + Sync + Clone + Connect + 'static> {
    pub(super) client: Arc<SlackClient<SlackClientHyperConnector<H>>>,
    pub(super) token: SlackApiToken,
}

impl<H: Send + Sync + Clone + Connect + 'static> std::fmt::Debug for Web<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Web").finish_non_exhaustive()
    }
}

/// Both ends of Slack's wire that a configuration describes; the second only where the bot opens sockets.
///
/// # Errors
/// [`SlackError::Config`]: a token is missing, or this machine has no certificates.
pub(crate) fn connect(config: &SlackConfig, pulse: Pulse) -> Result<Ends, SlackError> {
    // The library asks for the process's provider, and its sockets would die without a word if there were none.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match config.api_url.starts_with("https:") {
        true => {
            let connector = SlackClientHyperConnector::<HttpsConnector<HttpConnector>>::new();
            let connector = connector.map_err(|error| SlackError::Config {
                message: format!("the certificates of this machine cannot be read: {error}"),
            })?;
            ends(config, pulse, connector)
        }
        false => ends(config, pulse, SlackClientHyperConnector::with_connector(HttpConnector::new())),
    }
}

/// The Web API, and where deliveries come from.
pub(crate) type Ends = (Arc<dyn SlackPort>, Option<Arc<dyn EventSource>>);

fn ends<H>(config: &SlackConfig, pulse: Pulse, connector: SlackClientHyperConnector<H>) -> Result<Ends, SlackError>
where
    H: Send + Sync + Clone + Connect + 'static,
    SlackClientHyperConnector<H>: std::fmt::Debug,
{
    let client = Arc::new(SlackClient::new(connector.with_slack_api_url(&config.api_url)));
    let web = |token: &Option<SecretString>, what: &str, start: &str| match token {
        Some(token) if token.expose_secret().starts_with(start) => Ok(Web {
            client: client.clone(),
            token: SlackApiToken::new(SlackApiTokenValue(token.expose_secret().into())),
        }),
        Some(_) => Err(SlackError::Config { message: format!("{what} is none: it begins with {start}") }),
        None => Err(SlackError::Config { message: format!("there is no {what}") }),
    };
    let port = web(&config.bot_token, "bot token (slack.bot_token, SLACK_BOT_TOKEN)", "xoxb-")?;
    let sockets: Option<Arc<dyn EventSource>> = match config.socket_mode {
        true => {
            let web = web(&config.app_token, "app token (slack.app_token, SLACK_APP_TOKEN)", "xapp-")?;
            Some(Arc::new(Sockets::new(web, pulse)))
        }
        false => None,
    };
    Ok((Arc::new(port), sockets))
}

impl<H: Send + Sync + Clone + Connect + 'static> Web<H> {
    async fn within<T>(
        &self,
        method: &str,
        call: impl Future<Output = Result<T, SlackClientError>>,
    ) -> Result<T, SlackError> {
        match timeout(CALL_WITHIN, call).await {
            Ok(done) => done.map_err(|error| translated(method, error)),
            Err(_) => Err(SlackError::away(method, "no answer in time")),
        }
    }
}

/// Errors of the library show bodies, which hold what people said.
fn translated(method: &str, error: SlackClientError) -> SlackError {
    let away = |message: String, is_untaken| SlackError::Away { method: method.into(), message, is_untaken };
    match error {
        SlackClientError::ApiError(error) => SlackError::api(method, &error.code),
        SlackClientError::RateLimitError(error) => {
            SlackError::Limited { method: method.into(), retry_after: error.retry_after.unwrap_or(PAUSE) }
        }
        SlackClientError::HttpError(error) => {
            away(format!("status {}", error.status_code), error.status_code.as_u16() == 503)
        }
        SlackClientError::ProtocolError(_) | SlackClientError::SocketModeProtocolError(_) => {
            away("an answer that is no JSON".into(), false)
        }
        SlackClientError::HttpProtocolError(error) => {
            let cause = error.cause.as_deref();
            let own = cause.and_then(|cause| cause.downcast_ref::<legacy::Error>());
            let why = cause.map_or_else(String::new, innermost);
            away(format!("the connection failed{why}"), own.is_some_and(legacy::Error::is_connect))
        }
        SlackClientError::EndOfStream(_) | SlackClientError::SystemError(_) => {
            away("the connection broke off".into(), false)
        }
    }
}

/// What is behind it all, such as a certificate that nobody knows. It holds no body: none came.
fn innermost(error: &(dyn std::error::Error + Send + Sync + 'static)) -> String {
    let mut innermost: &(dyn std::error::Error + 'static) = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    format!(": {innermost}")
}

/// An answer that says it is one: what stands before Slack may say something else in its place, with status 200.
fn answered(method: &str, answer: Value) -> Result<Value, SlackError> {
    match answer["ok"].as_bool() {
        Some(true) => Ok(answer),
        _ => Err(SlackError::away(method, "an answer that is none of Slack's")),
    }
}

fn absolute(method: &str, url: &str) -> Result<Url, SlackError> {
    Url::parse(url).map_err(|_| SlackError::away(method, "its address is none"))
}

/// Methods whose arguments Slack reads in no JSON body: those that only read, and those of files.
const IN_QUERY: [&str; 10] = [
    "auth.test",
    "conversations.history",
    "conversations.info",
    "conversations.members",
    "conversations.replies",
    "files.completeUploadExternal",
    "files.getUploadURLExternal",
    "users.conversations",
    "users.info",
    "users.lookupByEmail",
];

/// An argument in a query: texts as they are, everything else as JSON.
fn in_query(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[async_trait]
impl<H: Send + Sync + Clone + Connect + 'static> SlackPort for Web<H> {
    async fn call(&self, method: &str, arguments: &Value) -> Result<Value, SlackError> {
        let session = self.client.open_session(&self.token);
        let api = &session.http_session_api;
        if !IN_QUERY.contains(&method) {
            return answered(method, self.within(method, api.http_post(method, arguments, None)).await?);
        }
        let named = arguments.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
        let query: Vec<(&str, Option<String>)> =
            named.map(|(name, value)| (name.as_str(), Some(in_query(value)))).collect();
        answered(method, self.within(method, api.http_get(method, &query, None)).await?)
    }

    async fn respond(&self, url: &str, message: &Value) -> Result<(), SlackError> {
        let method = "response_url";
        let (url, span) = (absolute(method, url)?, tracing::Span::none());
        // The address is the credential: no token goes with it.
        let context = slack_morphism::SlackClientApiCallContext {
            rate_control_params: None,
            token: None,
            tracing_span: &span,
            is_sensitive_url: true,
        };
        let done = self.client.http_api.connector.http_post_uri::<Value, Value>(url, message, context);
        self.within(method, done).await.map(drop)
    }

    async fn upload(&self, url: &str, bytes: &[u8]) -> Result<(), SlackError> {
        let method = "upload_url";
        let (url, span) = (absolute(method, url)?, tracing::Span::none());
        let context = slack_morphism::SlackClientApiCallContext {
            rate_control_params: None,
            token: None,
            tracing_span: &span,
            is_sensitive_url: true,
        };
        let kind = "application/octet-stream".to_owned();
        let done = self.client.http_api.connector.http_post_uri_binary::<Value>(url, kind, bytes, context);
        self.within(method, done).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::{Router, http::StatusCode};
    use serde_json::json;
    use tokio::net::TcpListener;

    use super::*;

    async fn bound() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    /// Whether a Slack at this address has not taken a message that it does not answer.
    async fn is_untaken(address: SocketAddr) -> bool {
        let connector = SlackClientHyperConnector::with_connector(HttpConnector::new());
        let client = Arc::new(SlackClient::new(connector.with_slack_api_url(&format!("http://{address}/api"))));
        let web = Web { client, token: SlackApiToken::new(SlackApiTokenValue("xoxb-1".into())) };
        match web.call("chat.postMessage", &json!({ "channel": "C1" })).await {
            Err(SlackError::Away { is_untaken, .. }) => is_untaken,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn what_slack_has_not_taken_is_told_from_what_it_may_have_taken() {
        for (status, is_known) in [(StatusCode::SERVICE_UNAVAILABLE, true), (StatusCode::BAD_GATEWAY, false)] {
            let (listener, address) = bound().await;
            let says = Router::new().fallback(move || async move { status });
            let serving = tokio::spawn(async move { axum::serve(listener, says).await });
            assert_eq!(is_untaken(address).await, is_known, "{status}");
            serving.abort();
        }
        let (listener, address) = bound().await;
        let cut = tokio::spawn(async move { drop(listener.accept().await) });
        assert!(!is_untaken(address).await, "nobody knows");
        cut.await.unwrap();
        assert!(is_untaken(address).await, "there is nobody");
    }
}

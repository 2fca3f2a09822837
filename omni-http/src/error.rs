//! Everything that can go wrong, as an answer: the one mapping from the core's errors to statuses.
//!
//! An [`ApiError`] becomes a response without a body; [`layers::render`](crate::layers) writes the
//! body, because only it knows the request's id.

use std::{sync::Arc, time::Duration};

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
#[cfg(all(feature = "dashboard", feature = "oidc"))]
use omni_core::identity::LoginError;
use omni_core::{
    Error, ErrorKind,
    answer::Failure,
    limit::{Limit, Refusal},
};

use crate::wire::{Detail, FieldError};

/// When to come back where nothing better is known.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// When to come back where there was no room.
const ROOM_AFTER: Duration = Duration::from_secs(1);

/// Something went wrong.
#[derive(Debug, Clone)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: &'static str,
    detail: Detail,
    retry_after: Option<Duration>,
    refusal: Option<Box<Refusal>>,
    /// What the log is told.
    cause: Option<Arc<str>>,
    /// Whether the operator is to know of it although nothing failed here.
    is_loud: bool,
}

impl ApiError {
    fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let detail = Detail::Text(detail.into());
        Self { status, code, detail, retry_after: None, refusal: None, cause: None, is_loud: false }
    }

    /// Nobody said who they are.
    pub(crate) fn unauthenticated() -> Self {
        let detail = "a key is needed: `Authorization: Bearer omni_…` or `X-API-Key: omni_…`";
        Self::new(StatusCode::UNAUTHORIZED, ErrorKind::Unauthenticated.as_str(), detail)
    }

    /// The caller may not.
    pub(crate) fn denied(detail: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, ErrorKind::Denied.as_str(), detail)
    }

    /// What the files say cannot be used; for administrators, who are told what is wrong where.
    pub(crate) fn unusable(error: &Error) -> Self {
        Self::new(StatusCode::CONFLICT, ErrorKind::Config.as_str(), error.to_string())
    }

    /// There is no such thing, or not for this caller.
    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, ErrorKind::NotFound.as_str(), detail)
    }

    /// Things are not as the request takes them to be.
    pub(crate) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", detail)
    }

    /// There are too many of something that lasts.
    pub(crate) fn full(detail: &str) -> Self {
        let full = Self::new(StatusCode::SERVICE_UNAVAILABLE, ErrorKind::Unavailable.as_str(), detail);
        Self { retry_after: Some(RETRY_AFTER), ..full }
    }

    pub(crate) fn method_not_allowed() -> Self {
        let detail = "this path does not take the method";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
    }

    /// Fields of the request are not right.
    pub(crate) fn invalid(fields: Vec<FieldError>) -> Self {
        let detail = Detail::Fields(fields);
        Self { detail, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, ErrorKind::Invalid.as_str(), "") }
    }

    pub(crate) fn body_too_large(most: usize) -> Self {
        let detail = format!("the body may have {most} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
    }

    pub(crate) fn query_too_long(most: usize) -> Self {
        Self::new(StatusCode::URI_TOO_LONG, "too_large", format!("the query may have {most} bytes"))
    }

    pub(crate) fn not_json() -> Self {
        let detail = "the body must be JSON, with `Content-Type: application/json`";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail)
    }

    /// The body is packed.
    pub(crate) fn encoded() -> Self {
        let detail = "send the body without `Content-Encoding`";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail)
    }

    /// The sender took too long over the body.
    pub(crate) fn slow_body() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, ErrorKind::Timeout.as_str(), "the body did not come in time")
    }

    /// omni took too long.
    pub(crate) fn timeout(after: Duration) -> Self {
        Error::Timeout { after }.into()
    }

    /// There are too many requests at the moment, whoever they are from.
    pub(crate) fn no_room() -> Self {
        let full =
            Self::new(StatusCode::SERVICE_UNAVAILABLE, ErrorKind::Unavailable.as_str(), "too many requests at once");
        Self { retry_after: Some(ROOM_AFTER), ..full }
    }

    /// A fault in omni, which the log is told of.
    pub(crate) fn internal(message: &str) -> Self {
        Error::Internal { message: message.into() }.into()
    }

    /// What a library answered with, in our form.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        let (code, detail) = match status {
            StatusCode::PAYLOAD_TOO_LARGE => ("too_large", "the body is too large"),
            StatusCode::NOT_FOUND => ("not_found", "there is nothing at this path"),
            _ if status.is_server_error() => ("failed", "an internal error; the operator finds it in the log"),
            _ => ("invalid", "the request cannot be read"),
        };
        Self::new(status, code, detail)
    }

    #[cfg(feature = "dashboard")]
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    pub(crate) fn detail(&self) -> &Detail {
        &self.detail
    }

    /// Tells the log; the caller is told less.
    pub(crate) fn log(&self) {
        let (status, cause) = (self.status.as_u16(), self.cause.as_deref().unwrap_or_default());
        if self.status.is_server_error() {
            tracing::error!(status, code = self.code, cause, "a request failed");
        } else if self.is_loud {
            tracing::warn!(status, code = self.code, cause, "a request was refused");
        } else {
            tracing::debug!(status, code = self.code, cause, "a request was refused");
        }
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        let status = status(&error);
        let retry_after = (status == StatusCode::SERVICE_UNAVAILABLE || status == StatusCode::TOO_MANY_REQUESTS)
            .then(|| error.retry_after().unwrap_or(RETRY_AFTER));
        let refusal = error.refusal().cloned().map(Box::new);
        let mut new = Self::new(status, error.kind().as_str(), error.public_message());
        if let Error::Arguments { message, misfits } = &error {
            new.detail = Detail::Fields(FieldError::of_arguments(message, misfits));
        }
        Self { retry_after, refusal, cause: Some(error.to_string().into()), ..new }
    }
}

/// Somebody comes back from the issuer's page, and is not let in.
#[cfg(all(feature = "dashboard", feature = "oidc"))]
impl From<LoginError> for ApiError {
    fn from(error: LoginError) -> Self {
        let (status, kind) = match &error {
            LoginError::NotOffered => (StatusCode::NOT_FOUND, ErrorKind::NotFound),
            LoginError::Away { .. } => (StatusCode::SERVICE_UNAVAILABLE, ErrorKind::Unavailable),
            LoginError::Refused { .. } => (StatusCode::BAD_GATEWAY, ErrorKind::Failed),
            // Whose answer is not theirs, whom the issuer or its token names nobody, and what is not known here.
            _ => (StatusCode::FORBIDDEN, ErrorKind::Denied),
        };
        let cause = error.cause().map(Arc::from);
        Self { is_loud: cause.is_some(), cause, ..Self::new(status, kind.as_str(), error.to_string()) }
    }
}

/// What there was until then is in the ledger.
impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        failure.error.into()
    }
}

fn status(error: &Error) -> StatusCode {
    match error {
        Error::NamedInFile { .. } => return StatusCode::CONFLICT,
        Error::NoDatabase { .. } => return StatusCode::SERVICE_UNAVAILABLE,
        _ => {}
    }
    match error.kind() {
        ErrorKind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        ErrorKind::Denied => StatusCode::FORBIDDEN,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::Timeout => StatusCode::GATEWAY_TIMEOUT,
        // Who is told that their request was cancelled is still there: the service gave it up.
        ErrorKind::Unavailable | ErrorKind::Cancelled => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Failed if matches!(error, Error::Llm(_) | Error::Server { .. }) => StatusCode::BAD_GATEWAY,
        // Kinds that are not known here are failures, and failures are 500.
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        let headers = response.headers_mut();
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"omni\""));
        }
        if let Some(after) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds(after).into());
        }
        if let Some(refusal) = &self.refusal {
            headers.insert(header::RETRY_AFTER, refusal.reset_seconds().into());
            headers.insert("ratelimit-reset", refusal.reset_seconds().into());
            // Clients take these for requests, and a budget is of money or tokens.
            if !matches!(refusal.limit, Limit::Budget { .. }) {
                headers.insert("ratelimit-limit", refusal.max().into());
                headers.insert("ratelimit-remaining", refusal.remaining().into());
            }
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// Whole seconds, at least 1.
fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0 || time.is_zero())
}

#[cfg(test)]
mod tests {
    use omni_core::{
        config::ConfigError,
        identity::{AuthError, KeyError, Scope},
        limit::{LimitError, LimitKey, Period},
        llm::LlmError,
        mcp::McpError,
        policy::{PolicyError, SourceRef},
    };

    use super::*;

    fn text() -> String {
        "/etc/omni at 10.0.0.7".into()
    }

    fn server(source: McpError) -> Error {
        Error::Server { server: "db".into(), source }
    }

    #[test]
    fn every_kind_of_error_has_its_status_and_tells_nothing_of_the_inside() {
        let subject = || "a@b.c".to_owned();
        let at = SourceRef { file: "users.yaml".into(), line: 3 };
        let table: [(Error, u16); 20] = [
            (Error::Invalid { message: "no".into() }, 422),
            (ConfigError::NoDirectory { path: text() }.into(), 500),
            (AuthError::InvalidKey.into(), 401),
            (AuthError::MissingScope { subject: subject(), scope: Scope::ActAs }.into(), 403),
            (AuthError::Unavailable(KeyError::new(text())).into(), 503),
            (Error::Denied { message: "no".into() }, 403),
            (PolicyError::UnknownSubject { subject: subject() }.into(), 403),
            (PolicyError::Unavailable { message: text() }.into(), 503),
            (Error::NamedInFile { subject: subject(), at }, 409),
            (Error::Conflict { message: "no".into() }, 409),
            (Error::NoDatabase { what: "keys" }, 503),
            (Error::UnknownTool { name: "x".into(), near: None }, 404),
            (Error::Timeout { after: Duration::from_secs(1) }, 504),
            (Error::ShuttingDown, 503),
            (Error::Cancelled, 503),
            (Error::Internal { message: text() }, 500),
            (server(McpError::Connect { message: text() }), 503),
            (server(McpError::rpc(1, text())), 502),
            (LimitError::Unavailable { message: text() }.into(), 503),
            (Error::Llm(LlmError::Protocol { provider: "openai", message: text() }), 502),
        ];
        for (error, status) in table {
            let api = ApiError::from(error.clone());
            assert!(!format!("{:?}", api.detail()).contains("10.0.0.7"), "{error:?}");
            let response = api.into_response();
            assert_eq!(response.status().as_u16(), status, "{error:?}");
            assert_eq!(response.headers().contains_key("retry-after"), status == 503, "{error:?}");
            assert_eq!(response.headers().contains_key("www-authenticate"), status == 401, "{error:?}");
        }
    }

    #[test]
    fn a_refusal_says_how_much_there_is_and_when_to_come_back() {
        let hourly = Limit::Window { max: 5, per: Duration::from_secs(3_600) };
        let refusal = Refusal::new(LimitKey::new("default", "ask:a"), hourly, 5, Duration::from_millis(1_001));
        let response = ApiError::from(Error::from(LimitError::Refused(Box::new(refusal)))).into_response();
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        let told = ["retry-after", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"];
        assert_eq!(told.map(|name| response.headers()[name].to_str().unwrap()), ["2", "5", "0", "2"]);
    }

    #[test]
    fn a_budget_that_refuses_is_told_in_no_numbers_that_a_client_would_take_for_requests() {
        let daily = Limit::Budget { max: 20_000_000, period: Period::Day };
        let refusal = Refusal::new(LimitKey::new("default", "budget:usd:user:a"), daily, 9_600_000, RETRY_AFTER);
        let response = ApiError::from(Error::from(LimitError::Refused(Box::new(refusal)))).into_response();
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        let told = ["retry-after", "ratelimit-reset", "ratelimit-limit", "ratelimit-remaining"];
        let told = told.map(|name| response.headers().get(name).map(|value| value.to_str().unwrap()));
        assert_eq!(told, [Some("5"), Some("5"), None, None]);
    }
}

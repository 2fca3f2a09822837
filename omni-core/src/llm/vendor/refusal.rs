//! What a vendor's refusal means, and whether trying again helps.

use chrono::Utc;
use http::{HeaderMap, StatusCode, header::LOCATION};
use serde_json::Value;

use super::Vendor;
use crate::{
    cost::replacement,
    llm::{
        LlmError,
        retry::{Again, Failed, retry_after, should_retry},
    },
    mcp::clean,
};

/// Longest message of a vendor that is passed on, in characters.
const MAX_MESSAGE_CHARS: usize = 500;

/// What a refusal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Auth,
    Quota,
    RateLimited,
    UnknownModel,
    TooLong,
    Unavailable,
    Invalid,
}

/// A refusal in a vendor's words.
#[derive(Debug, Default)]
struct Words {
    /// The error's code and type, where there are any: the code says more.
    kinds: Vec<String>,
    message: String,
}

/// A refused request.
pub(super) fn refused(vendor: &Vendor, model: &str, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Failed {
    let mut words = Words::read(body).unwrap_or_else(|| Words::of_no_json(status, body));
    if let Some(to) = headers.get(LOCATION).filter(|_| status.is_redirection()) {
        let to = String::from_utf8_lossy(to.as_bytes());
        words.message =
            shortened(&format!("it redirects to {to}; set {} to the API's own address", vendor.url_variable));
    }
    let wait = retry_after(headers, Utc::now());
    let mut error = words.error(vendor, model, Some(status));
    if let LlmError::RateLimited { retry_after, .. } = &mut error {
        *retry_after = wait;
    }
    let mut failed = failed(error);
    // A conflict and a time-out at the vendor are no fault of the request.
    if matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::CONFLICT) {
        failed.again = Again::Later;
    }
    if let (Again::Later, Some(wait)) = (failed.again, wait) {
        failed.again = Again::After(wait);
    }
    if should_retry(headers) == Some(false) {
        failed.again = Again::Never;
    }
    failed
}

/// An error that came where an answer was to be.
pub(in crate::llm) fn in_answer(vendor: &Vendor, model: &str, body: &Value) -> LlmError {
    Words::of(body).unwrap_or_default().error(vendor, model, None)
}

/// An error before the first event, with what it means for another attempt.
pub(super) fn failed(error: LlmError) -> Failed {
    match error {
        LlmError::RateLimited { .. } | LlmError::Unavailable { .. } | LlmError::Network { .. } => Failed::later(error),
        // What broke off may be charged: it is made again by who pays for it, who would not know of it otherwise.
        LlmError::Cut { .. }
        | LlmError::Auth { .. }
        | LlmError::Quota { .. }
        | LlmError::UnknownModel { .. }
        | LlmError::ContextExceeded { .. }
        | LlmError::InvalidRequest { .. }
        | LlmError::Timeout { .. }
        | LlmError::NotAnApi { .. }
        | LlmError::Protocol { .. } => Failed::never(error),
    }
}

impl Words {
    fn read(body: &[u8]) -> Option<Self> {
        Self::of(&serde_json::from_slice(body).ok()?)
    }

    /// `{"error": {"type", "code", "message"}}` of both vendors; `{"error": "…"}`, `{"message": "…"}`
    /// and `{"detail": "…"}` of servers like theirs.
    fn of(body: &Value) -> Option<Self> {
        let error = body.get("error").unwrap_or(body);
        let message = [error, &error["message"], &body["detail"]].into_iter().find_map(Value::as_str);
        let kinds = [&error["code"], &error["type"]].into_iter().filter_map(Value::as_str).map(shortened).collect();
        Some(Self { kinds, message: shortened(message?) })
    }

    fn of_no_json(status: StatusCode, body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body);
        let text = text.trim();
        let message = if text.is_empty() || text.starts_with('<') {
            let reason = status.canonical_reason().unwrap_or("no reason given");
            format!("{reason} ({})", if text.is_empty() { "without a body" } else { "a web page" })
        } else {
            shortened(text)
        };
        Self { kinds: Vec::new(), message }
    }

    fn error(self, vendor: &Vendor, model: &str, status: Option<StatusCode>) -> LlmError {
        let (provider, meaning) = (vendor.kind, self.meaning(status));
        let Self { kinds, message } = self;
        let model = model.to_owned();
        match meaning {
            Meaning::Auth => LlmError::Auth { provider, variable: vendor.key_variable, message },
            Meaning::Quota => LlmError::Quota { provider, message },
            Meaning::RateLimited => LlmError::RateLimited { provider, message, retry_after: None },
            Meaning::UnknownModel => {
                LlmError::UnknownModel { provider, message: hinted(&message, &model, vendor), model }
            }
            Meaning::TooLong => LlmError::ContextExceeded { model, message },
            Meaning::Unavailable => {
                let kind = kinds.into_iter().next().unwrap_or_else(|| "error".into());
                let status = status.map_or(kind, |status| status.as_u16().to_string());
                LlmError::Unavailable { provider, status, message }
            }
            Meaning::Invalid => {
                let status = status.map_or(200, |status| status.as_u16());
                LlmError::InvalidRequest { provider, status, message }
            }
        }
    }

    fn meaning(&self, status: Option<StatusCode>) -> Meaning {
        let said = self.kinds.iter().find_map(|kind| meaning_of_kind(kind));
        // A spent budget comes as a rate limit, and a long prompt as a bad request: only the words tell.
        let vague = matches!(said, None | Some(Meaning::RateLimited | Meaning::Invalid));
        let words = if vague { self.meaning_of_words() } else { None };
        words.or(said.filter(|said| *said != Meaning::Invalid)).unwrap_or_else(|| match status {
            Some(status) => self.meaning_of_status(status),
            None => said.unwrap_or(Meaning::Unavailable),
        })
    }

    /// The cases that vendors give no type of their own.
    fn meaning_of_words(&self) -> Option<Meaning> {
        const NO_CREDIT: [&str; 2] = ["credit balance is too low", "specified api usage limits"];
        const TOO_LONG: [&str; 4] =
            ["prompt is too long", "exceed context limit", "maximum context length", "available context size"];
        let message = self.message.to_lowercase();
        let says = |phrases: &[&str]| phrases.iter().any(|phrase| message.contains(phrase));
        if says(&NO_CREDIT) {
            Some(Meaning::Quota)
        } else if says(&TOO_LONG) {
            Some(Meaning::TooLong)
        } else {
            None
        }
    }

    fn meaning_of_status(&self, status: StatusCode) -> Meaning {
        match status.as_u16() {
            401 => Meaning::Auth,
            402 => Meaning::Quota,
            404 if self.message.to_lowercase().contains("model") => Meaning::UnknownModel,
            408 | 409 | 500.. => Meaning::Unavailable,
            413 => Meaning::TooLong,
            429 => Meaning::RateLimited,
            _ => Meaning::Invalid,
        }
    }
}

fn meaning_of_kind(kind: &str) -> Option<Meaning> {
    Some(match kind {
        "authentication_error" | "permission_error" | "invalid_api_key" => Meaning::Auth,
        "billing_error" | "insufficient_quota" => Meaning::Quota,
        "rate_limit_error" | "rate_limit_exceeded" => Meaning::RateLimited,
        "model_not_found" => Meaning::UnknownModel,
        "request_too_large" | "context_length_exceeded" | "exceed_context_size_error" => Meaning::TooLong,
        "overloaded_error" | "api_error" | "timeout_error" | "server_error" => Meaning::Unavailable,
        "invalid_request_error" => Meaning::Invalid,
        _ => return None,
    })
}

fn hinted(message: &str, model: &str, vendor: &Vendor) -> String {
    match replacement(model) {
        Some(newer) => format!("{message}; {newer} replaces it"),
        None => format!("{message}; set llm.model or {} to one that is there", vendor.model_variable),
    }
}

/// One line, not too long, with nothing in it that a terminal obeys: a log shows it, and so does whoever asked.
fn shortened(message: &str) -> String {
    let line = clean(message, usize::MAX).split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX_MESSAGE_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

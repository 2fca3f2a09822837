//! What a refusal means, by its status and headers.

use std::{error::Error as StdError, time::Duration};

use chrono::{DateTime, Utc};
use http::{HeaderMap, Response, StatusCode, header::RETRY_AFTER, response::Parts};
use http_body_util::{BodyExt as _, Full};
use octocrab::GitHubError;
use omni_core::net;
use serde_json::Value;

use super::Request;
use crate::{
    error::{Error, Limited},
    text::line,
};

/// How much of what GitHub says is repeated, in characters, and how many of its reasons.
const MAX_MESSAGE: usize = 300;
const MAX_PROBLEMS: usize = 5;
/// How long to wait where GitHub does not say: its documentation asks for a minute.
const PAUSE: Duration = Duration::from_secs(60);

/// What went wrong on the way.
pub(super) fn of_transport(error: &octocrab::Error) -> Error {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<reqwest::Error>() {
            return Error::Unreachable { message: net::describe(error) };
        }
        cause = error.source();
    }
    Error::Unreachable { message: "the connection broke".into() }
}

/// What a response means that is no success.
pub(super) async fn of_response(parts: Parts, body: Vec<u8>, request: &Request, has_token: bool) -> Error {
    let status = parts.status;
    let body = Full::from(body).map_err(|never| match never {}).boxed();
    let Err(octocrab::Error::GitHub { source, .. }) =
        octocrab::map_github_error(Response::from_parts(parts, body)).await
    else {
        return Error::Protocol { message: format!("status {}", status.as_u16()) };
    };
    of_status(&source, request, has_token)
}

fn of_status(refusal: &GitHubError, request: &Request, has_token: bool) -> Error {
    let status = refusal.status_code;
    let headers = refusal.headers.clone().unwrap_or_default();
    let message = line(&refusal.message, MAX_MESSAGE);
    if let Some(limited) = limited(refusal, &headers, has_token) {
        return Error::Limited(limited);
    }
    match status {
        StatusCode::UNAUTHORIZED => Error::Unauthorized { has_token },
        StatusCode::NOT_FOUND => Error::NotFound { wanted: request.wanted.clone(), message, has_token },
        StatusCode::UNPROCESSABLE_ENTITY => Error::Unprocessable { problems: problems(refusal) },
        StatusCode::FORBIDDEN if has_code(refusal, "too_large") => Error::FileTooLarge,
        status if status.is_server_error() => Error::Unavailable { status: status.as_u16() },
        status => Error::Refused { status: status.as_u16(), message, wants_sso: headers.contains_key("x-github-sso") },
    }
}

/// GitHub's reasons, or its message where it gives none.
fn problems(refusal: &GitHubError) -> Vec<String> {
    let told = |error: &Value| -> Option<String> {
        let text = |name: &str| error.get(name).and_then(Value::as_str);
        let problem = match (error.as_str().or_else(|| text("message")), text("field"), text("code")) {
            (Some(message), ..) => message.to_owned(),
            (None, Some(field), Some(code)) => format!("{field}: {code}"),
            (None, ..) => return None,
        };
        Some(format!("\"{}\"", line(&problem, MAX_MESSAGE).trim_end_matches('.')))
    };
    let problems: Vec<String> = refusal.errors.iter().flatten().filter_map(told).take(MAX_PROBLEMS).collect();
    if problems.is_empty() { vec![format!("\"{}\"", line(&refusal.message, MAX_MESSAGE))] } else { problems }
}

fn has_code(refusal: &GitHubError, code: &str) -> bool {
    refusal.errors.iter().flatten().any(|error| error.get("code").and_then(Value::as_str) == Some(code))
}

/// The limit that a refusal is about, if it is about one. A primary limit has nothing left; a secondary one says
/// when to come back or, at the least, where limits are documented.
fn limited(refusal: &GitHubError, headers: &HeaderMap, has_token: bool) -> Option<Limited> {
    if !matches!(refusal.status_code, StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS) {
        return None;
    }
    let retry_after = number(headers, RETRY_AFTER.as_str());
    let is_used_up = number(headers, "x-ratelimit-remaining") == Some(0);
    let names_limits = refusal.documentation_url.as_deref().is_some_and(|url| url.contains("rate-limit"));
    let is_too_many = refusal.status_code == StatusCode::TOO_MANY_REQUESTS;
    if !(is_used_up || retry_after.is_some() || names_limits || is_too_many) {
        return None;
    }
    let now = date(headers).unwrap_or_else(Utc::now);
    let reset = number(headers, "x-ratelimit-reset").filter(|_| is_used_up);
    let reset = reset.and_then(|at| DateTime::from_timestamp(i64::try_from(at).ok()?, 0));
    let wait = match (retry_after, reset) {
        (Some(seconds), _) => Duration::from_secs(seconds),
        (None, Some(reset)) => (reset - now).to_std().unwrap_or_default(),
        (None, None) => PAUSE,
    };
    // A clock that is behind must not make this a limit that has ended.
    let wait = wait.clamp(Duration::from_secs(1), Duration::from_secs(24 * 60 * 60));
    let is_secondary = retry_after.is_some() || !is_used_up;
    let limit = number(headers, "x-ratelimit-limit").filter(|_| !is_secondary);
    Some(Limited { is_secondary, limit, has_token, until: now + wait, wait })
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// What time it is at GitHub, whose clock its windows go by.
fn date(headers: &HeaderMap) -> Option<DateTime<Utc>> {
    let text = headers.get(http::header::DATE)?.to_str().ok()?;
    DateTime::parse_from_rfc2822(text).ok().map(|date| date.to_utc())
}

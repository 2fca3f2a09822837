//! Deliveries by signed requests, where no socket is wanted: events, commands and clicks at one address.
//!
//! A request counts when its signature does and it is at most five minutes old; then it is what a socket would
//! have brought. An address is as good as another: the bot knows by its body what a request is. Who sends one is known
//! once all of it is here, so whoever it is has little time and room for it.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, FromRequest as _, Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::post,
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use omni_core::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use tokio::time::timeout;

use crate::port::{Ack, Delivery, DeliveryKind, Intake};

mod listen;

pub(crate) use listen::Listening;

/// How old a request may be, or how far ahead its clock, in seconds.
const MOST_SKEW: u64 = 5 * 60;
/// Longest body of a request.
const MOST_BODY: usize = 1 << 20;
/// How long a body may take to come: Slack itself waits no longer for an answer.
const BODY_WITHIN: Duration = Duration::from_secs(3);

#[derive(Debug, Clone)]
struct Door {
    to: Arc<dyn Intake>,
    secret: SecretString,
    body_within: Duration,
}

/// The routes that Slack posts to: `/slack/events`, `/slack/commands` and `/slack/interactivity`, which all take
/// everything. A body that takes longer than three seconds to come is answered with 408; for the rest of a request, and
/// for how many there are at once, whoever serves the routes sets the bounds.
pub fn router(to: Arc<dyn Intake>, secret: SecretString) -> Router {
    routes(Door { to, secret, body_within: BODY_WITHIN })
}

fn routes(door: Door) -> Router {
    Router::new()
        .route("/slack/events", post(take))
        .route("/slack/commands", post(take))
        .route("/slack/interactivity", post(take))
        .layer(DefaultBodyLimit::max(MOST_BODY))
        .with_state(door)
}

async fn take(State(door): State<Door>, headers: HeaderMap, request: Request) -> Response {
    let body = match timeout(door.body_within, Bytes::from_request(request, &())).await {
        Ok(Ok(body)) => body,
        Ok(Err(rejection)) => return rejection.into_response(),
        Err(_) => return StatusCode::REQUEST_TIMEOUT.into_response(),
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    if !is_slacks(&door.secret, &headers, &body, now) {
        tracing::warn!("a request came that Slack did not sign, or long ago");
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let Some(mut delivery) = read(&headers, &body) else { return StatusCode::BAD_REQUEST.into_response() };
    if delivery.payload["type"] == "url_verification" {
        return axum::Json(json!({ "challenge": delivery.payload["challenge"] })).into_response();
    }
    delivery.retry = text(&headers, "x-slack-retry-num").and_then(|count| count.parse().ok()).unwrap_or(0);
    match door.to.take(delivery) {
        Ack::Empty => StatusCode::OK.into_response(),
        Ack::With(answer) => axum::Json(answer).into_response(),
        Ack::Refused => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Whether Slack signed a request, lately.
fn is_slacks(secret: &SecretString, headers: &HeaderMap, body: &[u8], now: u64) -> bool {
    let signed = || {
        let stamp = text(headers, "x-slack-request-timestamp")?;
        let at: u64 = stamp.parse().ok()?;
        let brought = text(headers, "x-slack-signature")?.strip_prefix("v0=")?;
        let is_right: bool = signature(secret, stamp, body)?.as_bytes().ct_eq(brought.as_bytes()).into();
        Some(is_right && at.abs_diff(now) <= MOST_SKEW)
    };
    !secret.expose_secret().is_empty() && signed().unwrap_or(false)
}

/// What Slack signs a request with that it sends at `stamp`; `None` where nothing can be signed with the secret.
fn signature(secret: &SecretString, stamp: &str, body: &[u8]) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()).ok()?;
    mac.update(format!("v0:{stamp}:").as_bytes());
    mac.update(body);
    Some(mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// What a request delivers: events are JSON, commands a form, and clicks JSON in a form.
fn read(headers: &HeaderMap, body: &[u8]) -> Option<Delivery> {
    let kind = text(headers, header::CONTENT_TYPE.as_str()).unwrap_or_default();
    if kind.starts_with("application/json") {
        return Some(Delivery::new(DeliveryKind::Event, serde_json::from_slice(body).ok()?));
    }
    let fields: Map<String, Value> =
        url::form_urlencoded::parse(body).map(|(name, value)| (name.into_owned(), value.into_owned().into())).collect();
    if let Some(payload) = fields.get("payload").and_then(Value::as_str) {
        return Some(Delivery::new(DeliveryKind::Interaction, serde_json::from_str(payload).ok()?));
    }
    fields.contains_key("command").then(|| Delivery::new(DeliveryKind::Command, Value::Object(fields)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Slack's documentation.
    const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
    const STAMP: &str = "1531420618";
    const BODY: &str = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    const SIGNATURE: &str = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";

    fn headers(stamp: &str, signature: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("x-slack-request-timestamp", stamp.parse().unwrap());
        headers.insert("x-slack-signature", signature.parse().unwrap());
        headers
    }

    #[test]
    fn a_request_counts_that_slack_signed_in_the_last_five_minutes() {
        let is_slacks = |secret: &str, stamp: &str, signature: &str, body: &str, now: u64| {
            is_slacks(&secret.into(), &headers(stamp, signature), body.as_bytes(), now)
        };
        let at: u64 = STAMP.parse().unwrap();
        assert!(is_slacks(SECRET, STAMP, SIGNATURE, BODY, at + 299));
        assert!(!is_slacks(SECRET, STAMP, SIGNATURE, BODY, at + 301), "it is old");
        assert!(!is_slacks(SECRET, STAMP, SIGNATURE, BODY, at - 301), "it is from tomorrow");
        assert!(!is_slacks(SECRET, STAMP, SIGNATURE, &format!("{BODY}x"), at));
        assert!(!is_slacks("other", STAMP, SIGNATURE, BODY, at));
        assert!(!is_slacks(SECRET, "1531420619", SIGNATURE, BODY, at));
        assert!(!is_slacks(SECRET, STAMP, "v0=", BODY, at) && !is_slacks(SECRET, "x", SIGNATURE, BODY, at));
    }

    #[test]
    fn with_an_empty_secret_nobody_signs() {
        let (secret, at) = (SecretString::from(""), STAMP.parse().unwrap());
        let forged = format!("v0={}", signature(&secret, STAMP, BODY.as_bytes()).unwrap());
        assert!(!is_slacks(&secret, &headers(STAMP, &forged), BODY.as_bytes(), at));
    }

    #[test]
    fn a_body_says_what_it_is() {
        let read = |kind: &str, body: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, kind.parse().unwrap());
            read(&headers, body.as_bytes()).map(|delivery| (delivery.kind, delivery.payload))
        };
        let form = "application/x-www-form-urlencoded";
        let (kind, command) = read(form, BODY).unwrap();
        assert_eq!((kind, &command["command"]), (DeliveryKind::Command, &json!("/webhook-collect")));
        let click = read(form, "payload=%7B%22type%22%3A%22block_actions%22%7D").unwrap();
        assert_eq!(click, (DeliveryKind::Interaction, json!({ "type": "block_actions" })));
        assert_eq!(read("application/json", "{}").unwrap().0, DeliveryKind::Event);
        assert!(read("application/json", "{").is_none() && read(form, "a=b").is_none());
    }
}

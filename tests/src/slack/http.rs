//! HTTP mode: signed posts to the app's addresses.

use std::{sync::Arc, time::Duration};

use axum::body::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use ring::hmac;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use url::Url;

use super::{
    SECRET, Shared,
    delivery::{ACK_WITHIN, Delivery},
};

/// Where the app listens.
#[derive(Debug)]
pub(super) struct Urls {
    pub(super) events: Url,
    pub(super) commands: Url,
    pub(super) interactivity: Url,
}

/// What came back.
struct Answered {
    status: u16,
    content_type: String,
    /// Whether the app asks not to be tried again.
    no_retry: bool,
    body: Bytes,
}

/// A body that is to be posted.
struct Posted {
    content_type: &'static str,
    body: String,
    attempt: u32,
    reason: &'static str,
}

/// `v0=` and the signature of a body.
pub(super) fn signature(timestamp: u64, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let tag = hmac::sign(&key, format!("v0:{timestamp}:{body}").as_bytes());
    tag.as_ref().iter().fold("v0=".to_owned(), |signature, byte| format!("{signature}{byte:02x}"))
}

/// Asks an address whether it is the app's.
pub(super) async fn verify(url: &Url, now: Duration) -> Result<(), String> {
    let challenge = "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P";
    let body = json!({ "token": "verification-token", "challenge": challenge, "type": "url_verification" }).to_string();
    let posted = Posted { content_type: "application/json", body, attempt: 0, reason: "" };
    let answered = post(url, &posted, now).await.map_err(|reason| format!("the address did not answer: {reason}"))?;
    let body = String::from_utf8_lossy(&answered.body).into_owned();
    let as_json: Value = serde_json::from_str(&body).unwrap_or_default();
    let is_answered =
        body.trim() == challenge || as_json["challenge"] == challenge || body == format!("challenge={challenge}");
    if answered.status == 200 && is_answered {
        return Ok(());
    }
    Err(format!("the address answered {} and not the challenge", answered.status))
}

pub(super) async fn deliver(shared: Arc<Shared>, urls: Arc<Urls>, delivery: Delivery) {
    let (url, content_type, body) = match delivery.kind {
        "events_api" => (&urls.events, "application/json", delivery.body.to_string()),
        "slash_commands" => (&urls.commands, "application/x-www-form-urlencoded", form(&delivery.body)),
        _ => {
            let body = form(&json!({ "payload": delivery.body.to_string() }));
            (&urls.interactivity, "application/x-www-form-urlencoded", body)
        }
    };
    let posted = Posted { content_type, body, attempt: delivery.attempt, reason: delivery.reason };
    let began = shared.clock.now();
    let answered = tokio::select! {
        answered = post(url, &posted, shared.clock.unix()) => answered,
        () = shared.clock.sleep_until(began + ACK_WITHIN) => Err("http_timeout"),
    };
    let took = shared.clock.now() - began;
    shared.with(|world| match answered {
        Ok(answered) if answered.status / 100 == 2 => {
            world.acked(&delivery, took, payload(&answered).filter(|_| delivery.accepts))
        }
        Ok(answered) if answered.no_retry => world.deliveries.ends(&delivery.id, super::delivery::Outcome::Failed),
        Ok(answered) => {
            let reason = if answered.status / 100 == 3 { "too_many_redirects" } else { "http_error" };
            shared.retry(world, delivery, reason);
        }
        Err(reason) => {
            if reason == "http_timeout" {
                world.breach(format!("{}: not answered within 3 s", delivery.kind));
            }
            shared.retry(world, delivery, reason);
        }
    });
}

/// What came with an ack: JSON, or the text of an answer to a command.
fn payload(answered: &Answered) -> Option<Value> {
    let text = String::from_utf8_lossy(&answered.body).trim().to_owned();
    let is_json = answered.content_type.starts_with("application/json");
    let value = if is_json { serde_json::from_str(&text).ok()? } else { json!({ "text": text }) };
    Some(value).filter(|value| !text.is_empty() && value.as_object().is_some_and(|value| !value.is_empty()))
}

/// Fields as a form; what is null is empty.
fn form(fields: &Value) -> String {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in fields.as_object().into_iter().flatten() {
        match value {
            Value::String(text) => form.append_pair(name, text),
            Value::Null => &mut form,
            other => form.append_pair(name, &other.to_string()),
        };
    }
    form.finish()
}

async fn post(url: &Url, posted: &Posted, now: Duration) -> Result<Answered, &'static str> {
    let failed = |_| "connection_failed";
    let host = format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or(80));
    let stream = TcpStream::connect(&host).await.map_err(|_| "connection_failed")?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let connection = tokio::spawn(connection);
    let mut request = Request::post(url[url::Position::BeforePath..].to_owned())
        .header(header::HOST, host)
        .header(header::USER_AGENT, "Slackbot 1.0 (+https://api.slack.com/robots)")
        .header(header::CONTENT_TYPE, posted.content_type)
        .header("x-slack-request-timestamp", now.as_secs())
        .header("x-slack-signature", signature(now.as_secs(), &posted.body));
    if posted.attempt > 0 {
        request = request.header("x-slack-retry-num", posted.attempt).header("x-slack-retry-reason", posted.reason);
    }
    let request = request.body(Full::new(Bytes::from(posted.body.clone()))).map_err(|_| "unknown_error")?;
    let answered = sender.send_request(request).await.map_err(failed);
    let read = async {
        let answered = answered?;
        let header = |name| answered.headers().get(name).and_then(|value: &header::HeaderValue| value.to_str().ok());
        let no_retry = header("x-slack-no-retry") == Some("1");
        let content_type = header("content-type").unwrap_or_default().to_owned();
        let status = answered.status().as_u16();
        let body = answered.into_body().collect().await.map_err(failed)?.to_bytes();
        Ok(Answered { status, content_type, no_retry, body })
    };
    let read = read.await;
    connection.abort();
    read
}

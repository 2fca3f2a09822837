//! A bot made by hand, which does what a test tells it and nothing by itself.

use std::time::Duration;

use axum::body::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use omni_tests::slack::{Slack, WITHOUT_JSON};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Error, Message},
};

pub(super) const ANN: &str = "U0ANN";
pub(super) const BOB: &str = "U0BOB";
pub(super) const OPS: &str = "C0OPS";

/// What came back over HTTP.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) retry_after: Option<u64>,
    pub(super) scopes: String,
    pub(super) text: String,
    pub(super) body: Value,
}

#[derive(Debug, Clone)]
pub(super) struct Bot {
    pub(super) slack: Slack,
    token: String,
}

/// A workspace with Ann, Bob and a channel, and a bot for it.
pub(super) async fn workspace() -> (Slack, Bot) {
    at_home(Slack::start().await)
}

/// The same in a workspace that is there already. Its time passes when a test says so.
pub(super) fn at_home(slack: Slack) -> (Slack, Bot) {
    slack.stops_the_clock();
    slack.user(ANN, "ann@acme.test");
    slack.user(BOB, "bob@acme.test");
    slack.channel(OPS, "ops");
    let token = slack.bot_token();
    (slack.clone(), Bot { slack, token })
}

pub(super) fn section(text: &str) -> Value {
    json!({ "type": "section", "text": { "type": "mrkdwn", "text": text } })
}

pub(super) fn button(action_id: &str) -> Value {
    json!({ "type": "button", "action_id": action_id, "text": { "type": "plain_text", "text": "Press" }, "value": action_id })
}

pub(super) fn buttons(elements: &[Value]) -> Value {
    json!({ "type": "actions", "block_id": "buttons", "elements": elements })
}

/// Arguments as a form has them: texts as they are, everything else as JSON.
fn form_of(args: &Value) -> String {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in args.as_object().into_iter().flatten() {
        form.append_pair(name, &value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    }
    form.finish()
}

impl Bot {
    pub(super) fn with_token(&self, token: &str) -> Self {
        Self { slack: self.slack.clone(), token: token.to_owned() }
    }

    /// A call whose answer is all that matters.
    pub(super) async fn call(&self, method: &str, args: Value) -> Value {
        self.called(method, args).await.body
    }

    /// A call that must succeed.
    pub(super) async fn does(&self, method: &str, args: Value) -> Value {
        let answer = self.call(method, args).await;
        assert_eq!(answer["ok"], true, "{method}: {answer}");
        answer
    }

    /// The error of a call that must fail.
    pub(super) async fn refused(&self, method: &str, args: Value) -> String {
        let answer = self.call(method, args).await;
        assert_eq!(answer["ok"], false, "{method} is taken");
        answer["error"].as_str().unwrap().to_owned()
    }

    pub(super) async fn called(&self, method: &str, args: Value) -> Answered {
        if WITHOUT_JSON.contains(&method) {
            let url = format!("{}/{method}", self.slack.api_url());
            return post(&url, &self.token, "application/x-www-form-urlencoded", form_of(&args)).await;
        }
        self.called_in_json(method, args).await
    }

    pub(super) async fn called_in_json(&self, method: &str, args: Value) -> Answered {
        let url = format!("{}/{method}", self.slack.api_url());
        post(&url, &self.token, "application/json; charset=utf-8", args.to_string()).await
    }

    pub(super) async fn form(&self, method: &str, form: &str) -> Value {
        let url = format!("{}/{method}", self.slack.api_url());
        post(&url, &self.token, "application/x-www-form-urlencoded", form.to_owned()).await.body
    }

    /// Posts to a response url.
    pub(super) async fn responds(&self, url: &str, body: Value) -> Answered {
        post(url, "", "application/json", body.to_string()).await
    }

    pub(super) async fn posts(&self, text: &str) -> String {
        let answer = self.does("chat.postMessage", json!({ "channel": OPS, "text": text })).await;
        answer["ts"].as_str().unwrap().to_owned()
    }

    pub(super) async fn connects(&self) -> Socket {
        let app = self.with_token(&self.slack.app_token());
        let url = app.does("apps.connections.open", json!({})).await["url"].as_str().unwrap().to_owned();
        Socket::open(&url).await.expect("a fresh ticket is taken")
    }
}

/// Posts over a connection of its own.
pub(super) async fn post(url: &str, token: &str, kind: &str, body: impl Into<Bytes>) -> Answered {
    try_post(url, token, kind, body).await.expect("there is an answer")
}

/// The same where the connection may break.
pub(super) async fn try_post(
    url: &str,
    token: &str,
    kind: &str,
    body: impl Into<Bytes>,
) -> Result<Answered, hyper::Error> {
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let stream = TcpStream::connect(host).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let request = Request::post(format!("/{path}"))
        .header(header::HOST, host)
        .header(header::CONTENT_TYPE, kind)
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .body(Full::new(body.into()))
        .unwrap();
    let answer = sender.send_request(request).await?;
    let value = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let (status, retry_after, scopes) = (answer.status().as_u16(), value("retry-after"), value("x-oauth-scopes"));
    let bytes = answer.into_body().collect().await?.to_bytes();
    connection.abort();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Ok(Answered {
        status,
        retry_after: retry_after.map(|seconds| seconds.parse().unwrap()),
        scopes: scopes.unwrap_or_default(),
        body: serde_json::from_str(&text).unwrap_or_default(),
        text,
    })
}

/// A connection of Socket Mode.
pub(super) struct Socket {
    stream: WebSocketStream<TcpStream>,
}

impl Socket {
    pub(super) async fn open(url: &str) -> Result<Self, Error> {
        let host = url.strip_prefix("ws://").unwrap().split('/').next().unwrap();
        let stream = TcpStream::connect(host).await.unwrap();
        let (stream, _) = tokio_tungstenite::client_async(url, stream).await?;
        let mut socket = Self { stream };
        assert_eq!(socket.hears().await["type"], "hello");
        Ok(socket)
    }

    /// The next frame, which must come soon; null when the connection has ended.
    pub(super) async fn hears(&mut self) -> Value {
        loop {
            let frame = tokio::time::timeout(Duration::from_secs(10), self.stream.next()).await;
            match frame.expect("a frame comes soon") {
                Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).unwrap(),
                Some(Ok(Message::Ping(_))) => {}
                Some(Ok(_) | Err(_)) | None => return Value::Null,
            }
        }
    }

    /// Whether nothing comes for a moment.
    pub(super) async fn is_quiet(&mut self) -> bool {
        tokio::time::timeout(Duration::from_millis(100), self.stream.next()).await.is_err()
    }

    /// The next envelope, acked at once.
    pub(super) async fn takes(&mut self) -> Value {
        let envelope = self.hears().await;
        self.acks(&envelope).await;
        envelope
    }

    pub(super) async fn acks(&mut self, envelope: &Value) {
        self.says(json!({ "envelope_id": envelope["envelope_id"] })).await;
    }

    pub(super) async fn acks_with(&mut self, envelope: &Value, payload: Value) {
        self.says(json!({ "envelope_id": envelope["envelope_id"], "payload": payload })).await;
    }

    pub(super) async fn says(&mut self, frame: Value) {
        self.stream.send(Message::text(frame.to_string())).await.unwrap();
    }
}

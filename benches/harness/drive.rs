//! The load: an HTTP library, one connection and, where there are such, one session for each that calls, each answer
//! read to its end and looked at.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    body::Incoming,
    client::conn::http1::{SendRequest, handshake},
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{net::TcpStream, task::JoinSet};

/// The part of a measurement that comes before it.
const WARM_UP: f64 = 0.2;
/// Longer answers are lists, in which nothing is looked for.
const LOOKED_AT: usize = 64 * 1_024;
/// What somebody does who was told to come back.
const PAUSE: Duration = Duration::from_millis(10);

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#;
const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

/// One request, to be sent again and again.
#[derive(Debug, Clone)]
pub(super) struct Load {
    address: String,
    path: &'static str,
    headers: HeaderMap,
    body: Bytes,
    has_session: bool,
}

impl Load {
    /// A message to a server or a gateway; `headers` are further ones.
    pub(super) fn new(address: &str, path: &'static str, headers: &[(&str, &str)], body: &str) -> Self {
        let own = [
            ("host", address),
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
        ];
        let pair = |(name, value): &(&str, &str)| -> (HeaderName, HeaderValue) {
            (name.parse().unwrap(), value.parse().unwrap())
        };
        let headers = own.iter().chain(headers).map(pair).collect();
        Self { address: address.to_owned(), path, headers, body: body.to_owned().into(), has_session: false }
    }

    /// The same in a session of each connection's own.
    pub(super) fn in_sessions(mut self) -> Self {
        self.has_session = true;
        self
    }

    /// The same somewhere else.
    pub(super) fn at(&self, address: &str) -> Self {
        let mut load = Self { address: address.to_owned(), ..self.clone() };
        load.headers.insert("host", address.parse().unwrap());
        load
    }
}

/// A connection that sends one load.
#[derive(Debug)]
pub(super) struct Caller {
    sender: SendRequest<Full<Bytes>>,
    load: Load,
}

/// An answer to its end.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    fn says(&self, words: &[u8]) -> bool {
        self.body.len() <= LOOKED_AT && self.body.windows(words.len()).any(|part| part == words)
    }

    /// Whether a result came; an overloaded service may say that one is to come back.
    pub(super) fn is_result(&self) -> Result<bool> {
        if self.status == StatusCode::SERVICE_UNAVAILABLE || self.says(b"\"isError\":true") {
            return Ok(false);
        }
        let is_one = self.status == StatusCode::OK && !self.says(b"\"error\":{");
        ensure!(is_one, "{}: {}", self.status, String::from_utf8_lossy(&self.body));
        Ok(true)
    }
}

impl Caller {
    pub(super) async fn connect(load: &Load) -> Result<Self> {
        let mut caller = Self { sender: connect(&load.address).await?, load: load.clone() };
        if load.has_session {
            caller.begin().await?;
        }
        Ok(caller)
    }

    async fn begin(&mut self) -> Result<()> {
        let begun = self.send_body(Method::POST, INITIALIZE.into()).await?;
        let id = begun.headers.get("mcp-session-id").with_context(|| format!("no session began: {begun:?}"))?.clone();
        self.load.headers.insert("mcp-session-id", id);
        self.load.headers.insert("mcp-protocol-version", HeaderValue::from_static("2025-11-25"));
        self.send_body(Method::POST, INITIALIZED.into()).await?;
        Ok(())
    }

    /// Sends the load's message; the body that is not read yet.
    pub(super) async fn begin_answer(&mut self) -> Result<Incoming> {
        self.sender.ready().await?;
        let answer = self.sender.send_request(self.request(Method::POST, self.load.body.clone())?).await?;
        let (parts, body) = answer.into_parts();
        if parts.status != StatusCode::OK {
            bail!("{}: {}", parts.status, String::from_utf8_lossy(&body.collect().await?.to_bytes()));
        }
        Ok(body)
    }

    /// Sends the load's message.
    pub(super) async fn send(&mut self) -> Result<Answer> {
        self.send_body(Method::POST, self.load.body.clone()).await
    }

    /// Sends another one.
    pub(super) async fn say(&mut self, body: String) -> Result<Answer> {
        self.send_body(Method::POST, body.into()).await
    }

    async fn send_body(&mut self, method: Method, body: Bytes) -> Result<Answer> {
        self.sender.ready().await?;
        let (parts, body) = self.sender.send_request(self.request(method, body)?).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Answer { status: parts.status, headers: parts.headers, body })
    }

    fn request(&self, method: Method, body: Bytes) -> Result<Request<Full<Bytes>>> {
        let mut request = Request::builder().method(method).uri(self.load.path).body(Full::new(body))?;
        request.headers_mut().clone_from(&self.load.headers);
        Ok(request)
    }

    /// Ends the session, as clients do that go.
    pub(super) async fn end(mut self) -> Result<()> {
        if self.load.has_session {
            self.send_body(Method::DELETE, Bytes::new()).await?;
        }
        Ok(())
    }
}

async fn connect(address: &str) -> Result<SendRequest<Full<Bytes>>> {
    let stream = TcpStream::connect(address).await.with_context(|| format!("nobody listens at {address}"))?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// The JSON at a path.
pub(super) async fn get(address: &str, path: &str) -> Result<Value> {
    let mut sender = connect(address).await?;
    let request = Request::get(path).header("host", address).body(Full::default())?;
    let answer = sender.send_request(request).await?.into_body().collect().await?.to_bytes();
    serde_json::from_slice(&answer).with_context(|| format!("{path} is no JSON"))
}

/// What came of a load.
#[derive(Debug, Clone, Default)]
pub(super) struct Driven {
    /// How long each result took, in nanoseconds, late ones too; those of the warm-up are none of them.
    pub(super) times: Vec<u64>,
    /// Those of them that came in time.
    pub(super) in_time: u64,
    /// How much time there was.
    pub(super) seconds: f64,
    /// Results, those of the warm-up among them.
    pub(super) results: u64,
    /// How often somebody was told to come back.
    pub(super) refused: u64,
}

/// Sends a load in a closed loop on so many connections at once, for so many seconds.
pub(super) async fn drive(load: &Load, at_once: usize, seconds: f64) -> Result<Driven> {
    let mut callers = Vec::new();
    for _ in 0..at_once {
        callers.push(Caller::connect(load).await?);
    }
    let from = Instant::now() + Duration::from_secs_f64(seconds * WARM_UP);
    let until = from + Duration::from_secs_f64(seconds);
    let mut loops: JoinSet<Result<Driven>> = JoinSet::new();
    for caller in callers {
        loops.spawn(again_and_again(caller, from, until));
    }
    let mut all = Driven { seconds, ..Driven::default() };
    while let Some(driven) = loops.join_next().await {
        let driven = driven??;
        all.times.extend(driven.times);
        all.in_time += driven.in_time;
        all.results += driven.results;
        all.refused += driven.refused;
    }
    if all.in_time == 0 {
        // Slower than the time that there was: it took as long as it did.
        (all.in_time, all.seconds) = (all.times.len() as u64, from.elapsed().as_secs_f64());
    }
    ensure!(!all.times.is_empty(), "{} answered nothing within {seconds} s", load.path);
    Ok(all)
}

async fn again_and_again(mut caller: Caller, from: Instant, until: Instant) -> Result<Driven> {
    let mut driven = Driven::default();
    loop {
        let started = Instant::now();
        let answer = caller.send().await?;
        let ended = Instant::now();
        if answer.is_result()? {
            driven.results += 1;
            if ended >= from {
                driven.times.push(u64::try_from((ended - started).as_nanos())?);
                driven.in_time += u64::from(ended <= until);
            }
        } else {
            driven.refused += 1;
            tokio::time::sleep(PAUSE).await;
        }
        if ended >= until {
            caller.end().await?;
            return Ok(driven);
        }
    }
}

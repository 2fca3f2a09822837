//! A vendor for tests: answers each connection with the next of its canned answers.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures::StreamExt;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    time::Instant,
};

use super::{Decoder, turn::Turn};

use crate::{
    catalog::{Catalog, NameRules, ServerView, ToolDef, ToolSet},
    config::LlmConfig,
    llm::{
        Block, ChatEvent, ChatRequest, LlmError, LlmProvider, StopReason, Usage,
        sse::{self, SseLimits},
    },
    policy::RuleSet,
};

/// One canned answer.
#[derive(Debug, Clone)]
pub(in crate::llm) enum Canned {
    /// Status, headers and body.
    Whole(u16, Vec<(&'static str, String)>, String),
    /// Server-sent events in pieces, each behind a pause.
    Drip(Vec<String>, Duration),
    /// As `Drip`; then the connection breaks.
    Cut(Vec<String>),
    /// As `Drip`, without pauses; then nothing, for long.
    Stall(Vec<String>),
    /// Nothing at all, for long.
    Hang,
    /// Nothing at all: the connection closes.
    Close,
}

impl Canned {
    pub(in crate::llm) fn json(status: u16, body: &str) -> Self {
        Self::Whole(status, vec![("content-type", "application/json".into())], body.into())
    }

    pub(in crate::llm) fn events(body: &str) -> Self {
        Self::Whole(200, vec![("content-type", "text/event-stream; charset=utf-8".into())], body.into())
    }

    pub(in crate::llm) fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Self::Whole(_, headers, _) = &mut self {
            headers.push((name, value.into()));
        }
        self
    }
}

/// What was asked: the head in lower case, and the body.
pub(in crate::llm) type Asked = (String, Value);

/// The vendor.
#[derive(Debug)]
pub(in crate::llm) struct Fake {
    pub(in crate::llm) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Fake {
    pub(in crate::llm) async fn start(answers: Vec<Canned>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = asked.clone();
        let mut answers = VecDeque::from(answers);
        tokio::spawn(async move {
            while let Some(answer) = answers.pop_front() {
                let (socket, _) = listener.accept().await.unwrap();
                serve(socket, answer, &seen).await;
            }
        });
        Self { url, asked }
    }

    pub(in crate::llm) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// A configuration for this vendor that gives up soon.
    pub(in crate::llm) fn config(&self, provider: &str) -> LlmConfig {
        let mut config = LlmConfig::new(provider);
        config.base_url = Some(self.url.clone());
        config.api_key = Some("test-key".into());
        config.timeout = Duration::from_secs(5);
        config
    }
}

/// Bounds that a test can run into.
pub(in crate::llm) const LIMITS: SseLimits =
    SseLimits { event_bytes: 1 << 16, total_bytes: 1 << 20, idle: Duration::from_secs(5) };

async fn serve(socket: TcpStream, answer: Canned, asked: &Mutex<Vec<Asked>>) {
    let mut socket = BufReader::new(socket);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if socket.read_line(&mut head).await.unwrap() == 0 {
            return;
        }
    }
    let head = head.to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
    let mut body = vec![0; length];
    socket.read_exact(&mut body).await.unwrap();
    asked.lock().unwrap().push((head, serde_json::from_slice(&body).unwrap()));
    // A client that has gone away is what some tests want.
    let _ = reply(socket.into_inner(), answer).await;
}

async fn reply(mut socket: TcpStream, answer: Canned) -> std::io::Result<()> {
    const STREAM: &str =
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let stalls = matches!(answer, Canned::Stall(_));
    let (pieces, pause, end) = match answer {
        Canned::Whole(status, headers, body) => {
            let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            let length = body.len();
            let head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n");
            return socket.write_all(format!("{head}{body}").as_bytes()).await;
        }
        Canned::Hang => {
            tokio::time::sleep(Duration::from_secs(60)).await;
            return Ok(());
        }
        Canned::Close => return Ok(()),
        Canned::Drip(pieces, pause) => (pieces, pause, "0\r\n\r\n"),
        Canned::Stall(ref pieces) | Canned::Cut(ref pieces) => (pieces.clone(), Duration::ZERO, ""),
    };
    socket.write_all(STREAM.as_bytes()).await?;
    for piece in pieces {
        tokio::time::sleep(pause).await;
        socket.write_all(format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes()).await?;
    }
    if stalls {
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    socket.write_all(end.as_bytes()).await
}

/// What came of a turn.
#[derive(Debug, Default)]
pub(in crate::llm) struct Seen {
    pub(in crate::llm) text: String,
    pub(in crate::llm) blocks: Vec<Block>,
    pub(in crate::llm) usage: Usage,
    pub(in crate::llm) warnings: Vec<String>,
    pub(in crate::llm) stop: Option<StopReason>,
    pub(in crate::llm) error: Option<LlmError>,
}

impl Seen {
    pub(in crate::llm) fn add(&mut self, event: Result<ChatEvent, LlmError>) {
        assert!(self.stop.is_none() && self.error.is_none(), "{event:?} came behind the last event");
        match event {
            Ok(ChatEvent::Text(text)) => self.text.push_str(&text),
            Ok(ChatEvent::Block(block)) => self.blocks.push(block),
            Ok(ChatEvent::Usage(usage)) => self.usage = usage,
            Ok(ChatEvent::Warning(warning)) => self.warnings.push(warning),
            Ok(ChatEvent::Done(stop)) => self.stop = Some(stop),
            Err(error) => self.error = Some(error),
        }
    }

    /// The blocks in short.
    pub(in crate::llm) fn shown(&self) -> Vec<String> {
        let show = |block: &Block| match block {
            Block::Text { text } => format!("text {text}"),
            Block::ToolUse { id, name, input } => format!("call {id} {name} {input}"),
            Block::ToolResult { id, .. } => format!("result {id}"),
            Block::Opaque { provider, model, raw } => format!("opaque {provider} {model} {raw}"),
        };
        self.blocks.iter().map(show).collect()
    }
}

/// Makes a turn and reads it to its end.
pub(in crate::llm) async fn turn(provider: &impl LlmProvider, request: ChatRequest) -> Seen {
    let mut seen = Seen::default();
    match provider.stream(request).await {
        Ok(mut events) => {
            while let Some(event) = events.next().await {
                seen.add(event);
            }
        }
        Err(error) => seen.add(Err(error)),
    }
    seen
}

/// Reads a body that comes in these chunks.
pub(in crate::llm) async fn decode<D: Decoder>(decoder: D, chunks: &[&[u8]]) -> Seen {
    let chunks: Vec<_> = chunks.iter().map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
    let events = sse::events("test", futures::stream::iter(chunks), LIMITS);
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut events = Turn::events("test", Some(deadline), events, decoder).into_stream();
    let mut seen = Seen::default();
    while let Some(event) = events.next().await {
        seen.add(event);
    }
    seen
}

/// A tool set of `(server, name, description, schema)`.
pub(in crate::llm) fn tools(tools: &[(&str, &str, &str, &str)]) -> Arc<ToolSet> {
    let mut servers: Vec<ServerView> = Vec::new();
    for (server, name, description, schema) in tools {
        let schema = serde_json::value::RawValue::from_string((*schema).into()).unwrap();
        let def = Arc::new(ToolDef::new(*server, *name, schema).with_description(description));
        match servers.iter_mut().find(|view| &*view.name == *server) {
            Some(view) => view.tools.push(def),
            None => {
                let mut view = ServerView::new(*server, "in_process");
                view.tools.push(def);
                servers.push(view);
            }
        }
    }
    Arc::new(ToolSet::build(&Catalog::new(1, servers), &RuleSet::allow_all(), NameRules::up_to(64)))
}

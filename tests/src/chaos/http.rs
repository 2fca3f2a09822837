//! A server over streamable HTTP that misbehaves as it is told, down to the socket.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use omni_core::mcp::{Connector, http::HttpServer};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{broadcast, watch},
    task::JoinHandle,
    time::sleep,
};

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// An answer of this status.
    Status(u16),
    /// The connection is reset before, or after, the answer's headers.
    ResetBeforeHeaders,
    /// See there.
    ResetAfterHeaders,
    /// Nothing ever comes.
    Hang,
    /// A stream of events begins, and nothing comes on it.
    HalfOpen,
    /// The answer comes byte by byte.
    Drip,
    /// The stream ends within an event.
    TruncatedEvent,
    /// The answer is one to another request.
    WrongId,
    /// The answer is no JSON.
    Malformed,
    /// The answer has 100 MB.
    Big,
}

/// What is said to whoever listens.
#[derive(Debug, Clone, Copy)]
enum News {
    /// Its tools changed.
    Changed,
    /// It says nothing more.
    Over,
}

/// Misbehaviour by method, and how often it is shown; that of the stream of changes is called `GET`.
type Orders = BTreeMap<String, (Fault, usize)>;

#[derive(Debug, Default)]
struct State {
    orders: Mutex<Orders>,
    seen: Mutex<Vec<String>>,
    tools: Mutex<Vec<String>>,
    sessions: Mutex<(usize, BTreeSet<String>)>,
}

/// The server.
#[derive(Debug)]
pub struct Faulty {
    address: SocketAddr,
    state: Arc<State>,
    news: broadcast::Sender<News>,
    running: Mutex<Option<(JoinHandle<()>, watch::Sender<()>)>>,
}

impl Faulty {
    /// A server that behaves well and has the tool `t`.
    ///
    /// # Panics
    /// Where nothing can be listened at; so for all of these.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State { tools: Mutex::new(vec!["t".into()]), ..State::default() });
        let faulty = Self { address, state, news: broadcast::channel(16).0, running: Mutex::default() };
        faulty.listen(listener);
        faulty
    }

    /// Misbehaves so many times when it is asked by this method.
    pub fn behave(&self, method: &str, fault: Fault, times: usize) {
        self.state.orders.lock().unwrap().insert(method.into(), (fault, times));
    }

    /// Behaves well from now on.
    pub fn heal(&self) {
        self.state.orders.lock().unwrap().clear();
    }

    /// From now on these are its tools.
    pub fn offer(&self, tools: &[&str]) {
        *self.state.tools.lock().unwrap() = tools.iter().map(ToString::to_string).collect();
    }

    /// Says to whoever listens that its tools changed.
    pub fn announce(&self) {
        let _ = self.news.send(News::Changed);
    }

    /// Ends the streams of whoever listens.
    pub fn break_off(&self) {
        let _ = self.news.send(News::Over);
    }

    /// Knows none of its sessions any more.
    pub fn forget_sessions(&self) {
        self.state.sessions.lock().unwrap().1.clear();
    }

    /// Ends, with every connection, and with its sessions.
    pub async fn stop(&self) {
        let running = self.running.lock().unwrap().take();
        if let Some((accepting, open)) = running {
            accepting.abort();
            let _ = accepting.await;
            drop(open);
        }
        self.forget_sessions();
    }

    /// Listens where it did before.
    pub async fn restart(&self) {
        self.stop().await;
        let bound = async {
            loop {
                match TcpListener::bind(self.address).await {
                    Ok(listener) => return listener,
                    Err(_) => sleep(Duration::from_millis(20)).await,
                }
            }
        };
        let listener = tokio::time::timeout(Duration::from_secs(30), bound).await.unwrap();
        self.listen(listener);
    }

    /// How to connect to it.
    #[must_use]
    pub fn connector(&self) -> Arc<dyn Connector> {
        Arc::new(HttpServer::new(format!("http://{}/mcp", self.address)).unwrap())
    }

    /// How often a message of this method came.
    #[must_use]
    pub fn count(&self, method: &str) -> usize {
        self.state.seen.lock().unwrap().iter().filter(|seen| *seen == method).count()
    }

    fn listen(&self, listener: TcpListener) {
        let (open, closed) = watch::channel(());
        let (state, news) = (self.state.clone(), self.news.clone());
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (talk, mut closed) = (Talk::new(stream, state.clone(), news.subscribe()), closed.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        () = talk.run() => {}
                        _ = closed.changed() => {}
                    }
                });
            }
        });
        *self.running.lock().unwrap() = Some((accepting, open));
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        if let Some((accepting, _)) = self.running.lock().unwrap().take() {
            accepting.abort();
        }
    }
}

impl State {
    fn order(&self, method: &str) -> Option<Fault> {
        let mut orders = self.orders.lock().unwrap();
        let (fault, times) = orders.get_mut(method)?;
        *times = times.checked_sub(1)?;
        Some(*fault)
    }

    fn new_session(&self) -> String {
        let mut sessions = self.sessions.lock().unwrap();
        sessions.0 += 1;
        let id = format!("session-{}", sessions.0);
        sessions.1.insert(id.clone());
        id
    }

    fn answer(&self, message: &Value) -> Value {
        let result = match message["method"].as_str().unwrap_or_default() {
            "initialize" => json!({
                "protocolVersion": "2025-11-25",
                "capabilities": { "tools": { "listChanged": true } },
                "serverInfo": { "name": "faulty", "version": "1" },
            }),
            "tools/list" => {
                let tools = self.tools.lock().unwrap();
                let tool = |name: &String| json!({ "name": name, "inputSchema": { "type": "object" } });
                json!({ "tools": tools.iter().map(tool).collect::<Vec<_>>() })
            }
            "tools/call" => json!({ "content": [{ "type": "text", "text": "done" }] }),
            "ping" => json!({}),
            _ => {
                let error = json!({ "code": -32601, "message": "no such method" });
                return json!({ "jsonrpc": "2.0", "id": message["id"], "error": error });
            }
        };
        json!({ "jsonrpc": "2.0", "id": message["id"], "result": result })
    }
}

/// One connection.
struct Talk {
    stream: TcpStream,
    state: Arc<State>,
    news: broadcast::Receiver<News>,
    read: Vec<u8>,
}

struct Asked {
    head: String,
    body: Vec<u8>,
}

impl Asked {
    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

impl Talk {
    fn new(stream: TcpStream, state: Arc<State>, news: broadcast::Receiver<News>) -> Self {
        Self { stream, state, news, read: Vec::new() }
    }

    async fn run(mut self) {
        while let Some(asked) = self.next().await {
            let went_well = match asked.head.split(' ').next() {
                Some("POST") => self.post(&asked).await,
                Some("GET") => self.changes().await,
                _ => self.status(200).await,
            };
            if went_well.is_none() {
                return;
            }
        }
    }

    async fn next(&mut self) -> Option<Asked> {
        loop {
            if let Some(end) = self.read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&self.read[..end]).into_owned();
                let mut asked = Asked { head, body: Vec::new() };
                let size = asked.header("content-length").map_or(0, |size| size.parse().unwrap());
                while self.read.len() < end + 4 + size {
                    self.more().await?;
                }
                asked.body = self.read[end + 4..end + 4 + size].to_vec();
                self.read.drain(..end + 4 + size);
                return Some(asked);
            }
            self.more().await?;
        }
    }

    async fn more(&mut self) -> Option<()> {
        let size = self.stream.read_buf(&mut self.read).await.ok()?;
        (size > 0).then_some(())
    }

    async fn post(&mut self, asked: &Asked) -> Option<()> {
        let message: Value = serde_json::from_slice(&asked.body).ok()?;
        let method = message["method"].as_str().unwrap_or_default().to_owned();
        self.state.seen.lock().unwrap().push(method.clone());
        if let Some(fault) = self.state.order(&method) {
            return self.misbehave(fault, &message).await;
        }
        let session = asked.header("mcp-session-id").map(str::to_owned);
        if session.is_some_and(|session| !self.state.sessions.lock().unwrap().1.contains(&session)) {
            return self.status(404).await;
        }
        if message["id"].is_null() {
            return self.status(202).await;
        }
        let session = (method == "initialize").then(|| format!("mcp-session-id: {}\r\n", self.state.new_session()));
        let body = self.state.answer(&message).to_string();
        self.json(&session.unwrap_or_default(), &body).await
    }

    async fn misbehave(&mut self, fault: Fault, message: &Value) -> Option<()> {
        const EVENTS: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
        let answer = self.state.answer(message);
        match fault {
            Fault::Status(status) => self.status(status).await,
            Fault::ResetBeforeHeaders => self.reset(),
            Fault::ResetAfterHeaders => {
                self.write("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{")
                    .await?;
                // What was written before a reset may be lost with it.
                sleep(Duration::from_millis(100)).await;
                self.reset()
            }
            Fault::Hang => self.until_gone().await,
            Fault::HalfOpen => {
                self.write(EVENTS).await?;
                self.until_gone().await
            }
            Fault::Drip => {
                self.write("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000000\r\n\r\n")
                    .await?;
                loop {
                    self.write(" ").await?;
                    sleep(Duration::from_millis(50)).await;
                }
            }
            Fault::TruncatedEvent => {
                let text = answer.to_string();
                self.write(&format!("{EVENTS}data: {}", &text[..text.len() / 2])).await?;
                None
            }
            Fault::WrongId => {
                let mut other = answer;
                other["id"] = json!(1_000_000);
                self.json("", &other.to_string()).await
            }
            Fault::Malformed => self.json("", "{\"jsonrpc\":").await,
            Fault::Big => {
                const SIZE: usize = 100 * 1024 * 1024;
                let head =
                    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {SIZE}\r\n\r\n");
                self.write(&head).await?;
                let chunk = " ".repeat(1024 * 1024);
                for _ in 0..SIZE / chunk.len() {
                    self.write(&chunk).await?;
                }
                Some(())
            }
        }
    }

    /// The stream on which changes are told.
    async fn changes(&mut self) -> Option<()> {
        // What was said before is not for this stream.
        self.news = self.news.resubscribe();
        self.state.seen.lock().unwrap().push("GET".into());
        match self.state.order("GET") {
            Some(Fault::Status(status)) => return self.status(status).await,
            Some(Fault::HalfOpen) => return self.misbehave(Fault::HalfOpen, &Value::Null).await,
            Some(_) => return self.status(405).await,
            None => {}
        }
        self.write("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n: hello\n\n")
            .await?;
        let mut ignored = [0; 64];
        loop {
            tokio::select! {
                news = self.news.recv() => match news.ok()? {
                    News::Changed => {
                        let note = json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" });
                        self.write(&format!("data: {note}\n\n")).await?;
                    }
                    News::Over => return None,
                },
                read = self.stream.read(&mut ignored) => if read.unwrap_or(0) == 0 { return None },
            }
        }
    }

    async fn until_gone(&mut self) -> Option<()> {
        while self.more().await.is_some() {}
        None
    }

    fn reset(&self) -> Option<()> {
        self.stream.set_zero_linger().unwrap();
        None
    }

    async fn status(&mut self, status: u16) -> Option<()> {
        self.write(&format!("HTTP/1.1 {status} So\r\ncontent-length: 0\r\n\r\n")).await
    }

    async fn json(&mut self, headers: &str, body: &str) -> Option<()> {
        let size = body.len();
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{headers}content-length: {size}\r\n\r\n");
        self.write(&format!("{head}{body}")).await
    }

    async fn write(&mut self, text: &str) -> Option<()> {
        self.stream.write_all(text.as_bytes()).await.ok()
    }
}

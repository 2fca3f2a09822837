use std::{
    borrow::Borrow,
    sync::{
        Mutex as StdMutex,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::SeqCst},
    },
};

use async_trait::async_trait;
use futures::stream::BoxStream;
use serde_json::{Value, json, value::to_raw_value};
use tokio::sync::{Barrier, Notify, broadcast};
use tokio_stream::{StreamExt, wrappers::BroadcastStream};

use super::{Connect as ConnectWhen, *};
use crate::{
    catalog::Health,
    mcp::{BreakerOptions, McpEvent, McpReply, McpRequest, McpTransport},
    pin::memory::MemoryPins,
    policy::PatternSet,
};

mod calls;
mod discovery;
mod keeping;

/// What a stand-in does when a tool is called.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Call {
    Answer,
    Hang,
    /// Answers when it is told to.
    Wait,
    Break,
    Panic,
    /// The tool says that it failed.
    Fail,
    /// The server answers with an error.
    Refuse,
}

/// What a stand-in does when it is connected to.
#[derive(Debug, Clone)]
enum Connect {
    AtOnce,
    Soon,
    /// When as many others are at it.
    Together(Arc<Barrier>),
    Never,
}

/// A server that does as it is told.
#[derive(Debug)]
struct Fake {
    connects: AtomicU32,
    lists: AtomicU32,
    calls: AtomicU32,
    running: AtomicUsize,
    most_running: AtomicUsize,
    closes: AtomicU32,
    connect_error: StdMutex<Option<McpError>>,
    connect: Connect,
    call: StdMutex<Call>,
    tools: StdMutex<Value>,
    events: broadcast::Sender<McpEvent>,
    /// Whether it answers pings, and how many there were.
    pings: AtomicBool,
    pinged: AtomicU32,
    lists_hang: AtomicBool,
    changes_while_listing: AtomicBool,
    /// A transport that does not end when its time is over.
    forgets_time: AtomicBool,
    go_on: Notify,
}

impl Fake {
    fn new() -> Self {
        Self {
            connects: AtomicU32::new(0),
            lists: AtomicU32::new(0),
            calls: AtomicU32::new(0),
            running: AtomicUsize::new(0),
            most_running: AtomicUsize::new(0),
            closes: AtomicU32::new(0),
            connect_error: StdMutex::default(),
            connect: Connect::AtOnce,
            call: StdMutex::new(Call::Answer),
            tools: StdMutex::new(json!([{ "name": "t", "inputSchema": { "type": "object" } }])),
            events: broadcast::channel(16).0,
            pings: true.into(),
            pinged: AtomicU32::new(0),
            lists_hang: false.into(),
            changes_while_listing: false.into(),
            forgets_time: false.into(),
            go_on: Notify::new(),
        }
    }

    fn dead() -> Self {
        let fake = Self::new();
        *fake.connect_error.lock().unwrap() = Some(McpError::Connect { message: "nobody is there".into() });
        fake
    }

    fn on_call(self, call: Call) -> Self {
        *self.call.lock().unwrap() = call;
        self
    }

    fn connecting(connect: Connect) -> Self {
        Self { connect, ..Self::new() }
    }

    fn set(&self, call: Call) {
        *self.call.lock().unwrap() = call;
    }

    async fn called(&self) -> Result<McpReply, McpError> {
        self.calls.fetch_add(1, SeqCst);
        let now = self.running.fetch_add(1, SeqCst) + 1;
        self.most_running.fetch_max(now, SeqCst);
        let call = *self.call.lock().unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        self.running.fetch_sub(1, SeqCst);
        match call {
            Call::Wait => {
                self.go_on.notified().await;
                Ok(reply(&json!({ "content": [{ "type": "text", "text": "at last" }] })))
            }
            Call::Answer => Ok(reply(&json!({ "content": [{ "type": "text", "text": "done" }] }))),
            Call::Hang => std::future::pending().await,
            Call::Break => Err(McpError::Closed { message: "broken".into(), unsent: false }),
            Call::Panic => panic!("a transport crashes"),
            Call::Fail => Ok(reply(&json!({ "isError": true, "content": [{ "type": "text", "text": "no" }] }))),
            Call::Refuse => Err(McpError::rpc(-32_603, "not today")),
        }
    }
}

fn reply(value: &Value) -> McpReply {
    McpReply::Complete(to_raw_value(value).unwrap())
}

#[derive(Debug)]
struct FakeConnector(Arc<Fake>);

#[derive(Debug)]
struct FakeTransport(Arc<Fake>);

#[async_trait]
impl Connector for FakeConnector {
    fn kind(&self) -> &'static str {
        "fake"
    }

    async fn connect(&self, _: &CallContext) -> Result<Arc<dyn McpTransport>, McpError> {
        self.0.connects.fetch_add(1, SeqCst);
        match &self.0.connect {
            Connect::AtOnce => {}
            Connect::Soon => tokio::time::sleep(Duration::from_millis(50)).await,
            Connect::Together(barrier) => {
                barrier.wait().await;
            }
            Connect::Never => std::future::pending().await,
        }
        let error = self.0.connect_error.lock().unwrap().clone();
        match error {
            Some(error) => Err(error),
            None => Ok(Arc::new(FakeTransport(self.0.clone()))),
        }
    }
}

#[async_trait]
impl McpTransport for FakeTransport {
    async fn request(&self, request: McpRequest, cx: &CallContext) -> Result<McpReply, McpError> {
        let answer = async {
            match &*request.method {
                "tools/list" => {
                    self.0.lists.fetch_add(1, SeqCst);
                    if self.0.changes_while_listing.swap(false, SeqCst) {
                        self.0.events.send(McpEvent::ToolsChanged).unwrap();
                    }
                    if self.0.lists_hang.load(SeqCst) {
                        return std::future::pending().await;
                    }
                    Ok(reply(&json!({ "tools": *self.0.tools.lock().unwrap() })))
                }
                "tools/call" => self.0.called().await,
                _ => {
                    self.0.pinged.fetch_add(1, SeqCst);
                    while !self.0.pings.load(SeqCst) {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                    Ok(reply(&json!({})))
                }
            }
        };
        if self.0.forgets_time.load(SeqCst) {
            return answer.await;
        }
        tokio::time::timeout_at(cx.deadline, answer).await.unwrap_or(Err(McpError::Timeout { after_ms: 0 }))
    }

    fn events(&self) -> BoxStream<'static, McpEvent> {
        Box::pin(BroadcastStream::new(self.0.events.subscribe()).filter_map(Result::ok))
    }

    async fn close(&self) {
        self.0.closes.fetch_add(1, SeqCst);
    }
}

struct Stand {
    pool: Pool,
    fakes: BTreeMap<&'static str, Arc<Fake>>,
}

impl Stand {
    fn new(fakes: impl IntoIterator<Item = (&'static str, Fake)>, options: &ServerOptions) -> Self {
        Self::judged_by(None, fakes, options)
    }

    fn judged_by(
        vetter: Option<Arc<Vetter>>,
        fakes: impl IntoIterator<Item = (&'static str, Fake)>,
        options: &ServerOptions,
    ) -> Self {
        let fakes: BTreeMap<_, _> = fakes.into_iter().map(|(name, fake)| (name, Arc::new(fake))).collect();
        let entry = |fake: &Arc<Fake>| ServerEntry {
            connector: Arc::new(FakeConnector(fake.clone())),
            options: options.clone(),
        };
        let servers = fakes.iter().map(|(name, fake)| ((*name).to_owned(), entry(fake))).collect();
        Self { pool: Pool::vetted(servers, vetter), fakes }
    }

    fn one(fake: Fake, options: impl Borrow<ServerOptions>) -> Self {
        Self::new([("s", fake)], options.borrow())
    }

    /// The same, and its tools are pinned.
    fn vetted(fake: Fake, options: impl Borrow<ServerOptions>) -> Self {
        Self::all_vetted([("s", fake)], options.borrow())
    }

    fn all_vetted(fakes: impl IntoIterator<Item = (&'static str, Fake)>, options: &ServerOptions) -> Self {
        let vetter = Arc::new(Vetter::new(Arc::new(MemoryPins::new()), None));
        let stand = Self::judged_by(Some(vetter.clone()), fakes, options);
        vetter.beside(stand.pool.names(), false);
        stand
    }

    fn fake(&self) -> &Fake {
        &self.fakes["s"]
    }

    async fn call(&self, within: Duration) -> Result<ToolOutput, McpError> {
        let arguments = to_raw_value(&json!({})).unwrap();
        self.pool.call("s", "t", &arguments, &CallContext::within(within)).await
    }
}

fn options() -> ServerOptions {
    ServerOptions::default()
}

const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(200);

async fn eventually(what: impl Fn() -> bool) {
    let wait = async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG, wait).await.unwrap();
}

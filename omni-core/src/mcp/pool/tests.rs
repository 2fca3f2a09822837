use std::sync::{
    Mutex as StdMutex,
    atomic::{AtomicU32, AtomicUsize, Ordering::SeqCst},
};

use async_trait::async_trait;
use futures::stream::BoxStream;
use serde_json::{Value, json, value::to_raw_value};
use tokio::sync::broadcast;
use tokio_stream::{StreamExt, wrappers::BroadcastStream};

use super::*;
use crate::{
    catalog::Health,
    mcp::{McpEvent, McpReply, McpRequest, McpTransport},
    policy::PatternSet,
};

/// What a stand-in does when a tool is called.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Call {
    Answer,
    Hang,
    Break,
    Panic,
}

/// A server that does as it is told.
#[derive(Debug)]
struct Fake {
    connects: AtomicU32,
    lists: AtomicU32,
    calls: AtomicU32,
    running: AtomicUsize,
    most_running: AtomicUsize,
    connect_error: StdMutex<Option<McpError>>,
    connect_takes: Duration,
    call: StdMutex<Call>,
    tools: StdMutex<Value>,
    events: broadcast::Sender<McpEvent>,
    pings: bool,
}

impl Fake {
    fn new() -> Self {
        Self {
            connects: AtomicU32::new(0),
            lists: AtomicU32::new(0),
            calls: AtomicU32::new(0),
            running: AtomicUsize::new(0),
            most_running: AtomicUsize::new(0),
            connect_error: StdMutex::default(),
            connect_takes: Duration::ZERO,
            call: StdMutex::new(Call::Answer),
            tools: StdMutex::new(json!([{ "name": "t", "inputSchema": { "type": "object" } }])),
            events: broadcast::channel(16).0,
            pings: true,
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

    async fn called(&self) -> Result<McpReply, McpError> {
        self.calls.fetch_add(1, SeqCst);
        let now = self.running.fetch_add(1, SeqCst) + 1;
        self.most_running.fetch_max(now, SeqCst);
        let call = *self.call.lock().unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        self.running.fetch_sub(1, SeqCst);
        match call {
            Call::Answer => Ok(reply(&json!({ "content": [{ "type": "text", "text": "done" }] }))),
            Call::Hang => std::future::pending().await,
            Call::Break => Err(McpError::Closed { message: "broken".into(), unsent: false }),
            Call::Panic => panic!("a transport crashes"),
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
        tokio::time::sleep(self.0.connect_takes).await;
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
                    Ok(reply(&json!({ "tools": *self.0.tools.lock().unwrap() })))
                }
                "tools/call" => self.0.called().await,
                _ if self.0.pings => Ok(reply(&json!({}))),
                _ => std::future::pending().await,
            }
        };
        tokio::time::timeout_at(cx.deadline, answer).await.unwrap_or(Err(McpError::Timeout { after_ms: 0 }))
    }

    fn events(&self) -> BoxStream<'static, McpEvent> {
        Box::pin(BroadcastStream::new(self.0.events.subscribe()).filter_map(Result::ok))
    }

    async fn close(&self) {}
}

struct Stand {
    pool: Pool,
    fakes: BTreeMap<&'static str, Arc<Fake>>,
}

impl Stand {
    fn new(fakes: impl IntoIterator<Item = (&'static str, Fake)>, options: ServerOptions) -> Self {
        let fakes: BTreeMap<_, _> = fakes.into_iter().map(|(name, fake)| (name, Arc::new(fake))).collect();
        let entry = |fake: &Arc<Fake>| ServerEntry {
            connector: Arc::new(FakeConnector(fake.clone())),
            options: options.clone(),
        };
        let servers = fakes.iter().map(|(name, fake)| ((*name).to_owned(), entry(fake))).collect();
        Self { pool: Pool::new(servers), fakes }
    }

    fn one(fake: Fake, options: ServerOptions) -> Self {
        Self::new([("s", fake)], options)
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

#[tokio::test]
async fn discovery_takes_as_long_as_the_slowest_server() {
    let slow = || Fake { connect_takes: Duration::from_millis(600), ..Fake::new() };
    let names = ["a", "b", "c", "d", "e", "f"];
    let stand = Stand::new(names.map(|name| (name, slow())), options());
    let started = Instant::now();
    let catalog = stand.pool.discover().await;
    assert!(started.elapsed() < Duration::from_millis(1_800), "{:?}", started.elapsed());
    assert_eq!(catalog.tools().count(), names.len());
}

#[tokio::test]
async fn a_hung_server_costs_its_own_deadline_and_is_unhealthy() {
    let hung = Fake { connect_takes: Duration::from_secs(3_600), ..Fake::new() };
    let short = ServerOptions { connect_timeout: Duration::from_millis(500), ..options() };
    let stand = Stand::new([("hung", hung), ("fine", Fake::new())], short);
    let started = Instant::now();
    let catalog = stand.pool.discover().await;
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    assert!(matches!(&catalog.servers[1].health, Health::Unhealthy { reason } if reason.contains("no answer within")));
    assert!(catalog.tool("fine", "t").is_some());
}

#[tokio::test]
async fn calls_at_the_same_time_share_one_discovery() {
    let stand = Stand::one(Fake { connect_takes: Duration::from_millis(100), ..Fake::new() }, options());
    join_all((0..10).map(|_| stand.pool.discover())).await;
    assert_eq!((stand.fake().connects.load(SeqCst), stand.fake().lists.load(SeqCst)), (1, 1));
}

#[tokio::test]
async fn a_dead_server_is_left_alone_for_a_while_unless_asked_for() {
    let stand = Stand::one(Fake::dead(), options());
    stand.pool.discover().await;
    stand.pool.discover().await;
    assert_eq!(stand.fake().connects.load(SeqCst), 1);
    stand.pool.refresh().await;
    assert_eq!(stand.fake().connects.load(SeqCst), 2);
    *stand.fake().connect_error.lock().unwrap() = None;
    assert!(stand.pool.refresh().await.servers[0].health.is_healthy());
}

#[tokio::test]
async fn the_version_grows_only_when_the_content_changes() {
    let stand = Stand::one(Fake::new(), options());
    let first = stand.pool.discover().await;
    let again = stand.pool.refresh().await;
    assert_eq!(first.version, again.version);
    assert!(Arc::ptr_eq(first.tool("s", "t").unwrap(), again.tool("s", "t").unwrap()));
    *stand.fake().tools.lock().unwrap() = json!([{ "name": "other", "inputSchema": {} }]);
    let changed = stand.pool.refresh().await;
    assert_eq!(changed.version, first.version + 1);
    assert!(changed.tool("s", "t").is_none());
}

#[tokio::test]
async fn changed_tools_are_listed_at_the_next_discovery() {
    let stand = Stand::one(Fake::new(), options());
    stand.pool.discover().await;
    stand.pool.discover().await;
    assert_eq!(stand.fake().lists.load(SeqCst), 1);
    stand.fake().events.send(McpEvent::ToolsChanged).unwrap();
    stand.pool.discover().await;
    stand.pool.discover().await;
    assert_eq!(stand.fake().lists.load(SeqCst), 2);
}

#[tokio::test]
async fn a_lost_connection_is_made_anew_at_its_next_use() {
    let stand = Stand::one(Fake::new(), options());
    stand.pool.discover().await;
    stand.fake().events.send(McpEvent::Closed { reason: "killed".into() }).unwrap();
    stand.call(LONG).await.unwrap();
    assert_eq!(stand.fake().connects.load(SeqCst), 2);
}

#[tokio::test]
async fn no_more_calls_run_at_once_than_configured() {
    let stand = Stand::one(Fake::new(), ServerOptions { max_concurrent: 3, ..options() });
    let results = join_all((0..20).map(|_| stand.call(LONG))).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(stand.fake().most_running.load(SeqCst), 3);
}

#[tokio::test]
async fn waiting_for_a_busy_server_ends_at_the_deadline() {
    let stand = Stand::one(Fake::new().on_call(Call::Hang), ServerOptions { max_concurrent: 1, ..options() });
    let (first, second) = tokio::join!(stand.call(Duration::from_secs(1)), stand.call(Duration::from_millis(200)));
    assert!(matches!(first, Err(McpError::Timeout { .. })), "{first:?}");
    assert!(matches!(second, Err(McpError::Busy { limit: 1 })), "{second:?}");
}

#[tokio::test]
async fn a_call_ends_at_the_servers_own_timeout() {
    let stand = Stand::one(
        Fake::new().on_call(Call::Hang),
        ServerOptions { call_timeout: Duration::from_millis(300), ..options() },
    );
    let started = Instant::now();
    assert!(matches!(stand.call(LONG).await, Err(McpError::Timeout { .. })));
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_broken_call_is_not_made_twice() {
    let stand = Stand::one(Fake::new().on_call(Call::Break), ServerOptions { max_attempts: 5, ..options() });
    assert!(stand.call(LONG).await.is_err());
    assert_eq!(stand.fake().calls.load(SeqCst), 1);
}

#[tokio::test]
async fn a_call_that_configuration_trusts_is_repeated_up_to_the_limit() {
    let trusting = ServerOptions { max_attempts: 3, retry_safe: PatternSet::new(&["t*"]).unwrap(), ..options() };
    let stand = Stand::one(Fake::new().on_call(Call::Break), trusting);
    assert!(stand.call(LONG).await.is_err());
    assert_eq!(stand.fake().calls.load(SeqCst), 3);
}

#[tokio::test]
async fn a_read_only_hint_counts_only_from_a_trusted_server() {
    for (trusted, calls) in [(false, 1), (true, 2)] {
        let fake = Fake::new().on_call(Call::Break);
        *fake.tools.lock().unwrap() =
            json!([{ "name": "t", "inputSchema": {}, "annotations": { "readOnlyHint": true } }]);
        let stand = Stand::one(fake, ServerOptions { trusted, ..options() });
        stand.pool.discover().await;
        assert!(stand.call(LONG).await.is_err());
        assert_eq!(stand.fake().calls.load(SeqCst), calls, "trusted: {trusted}");
    }
}

#[tokio::test]
async fn a_call_of_which_nothing_was_sent_is_repeated() {
    let stand = Stand::one(Fake::dead(), options());
    assert!(matches!(stand.call(LONG).await, Err(McpError::Connect { .. })));
    assert_eq!(stand.fake().connects.load(SeqCst), 2);
}

#[tokio::test]
async fn after_a_timeout_a_server_that_answers_keeps_its_connection() {
    for (pings, connects) in [(true, 1), (false, 2)] {
        let stand = Stand::one(Fake { pings, ..Fake::new() }.on_call(Call::Hang), options());
        assert!(stand.call(Duration::from_millis(200)).await.is_err());
        *stand.fake().call.lock().unwrap() = Call::Answer;
        stand.call(LONG).await.unwrap();
        assert_eq!(stand.fake().connects.load(SeqCst), connects, "pings: {pings}");
    }
}

#[tokio::test]
async fn a_transport_that_panics_fails_its_own_call_only() {
    let stand = Stand::new([("s", Fake::new().on_call(Call::Panic)), ("fine", Fake::new())], options());
    assert!(matches!(stand.call(LONG).await, Err(McpError::Closed { .. })));
    assert_eq!(stand.pool.refresh().await.tools().count(), 2);
}

#[tokio::test]
async fn a_disabled_server_is_never_asked_and_unknown_to_callers() {
    let stand = Stand::one(Fake::new(), ServerOptions { enabled: false, ..options() });
    assert_eq!(stand.pool.discover().await.servers[0].health, Health::Disabled);
    assert!(matches!(stand.call(LONG).await, Err(McpError::UnknownServer { .. })));
    assert_eq!(stand.fake().connects.load(SeqCst), 0);
}

#[tokio::test]
async fn a_shutdown_ends_an_attempt_to_connect() {
    let stand = Stand::one(Fake { connect_takes: Duration::from_secs(3_600), ..Fake::new() }, options());
    let shutdown = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        stand.pool.shutdown().await;
    };
    let started = Instant::now();
    let (result, ()) = tokio::join!(stand.call(LONG), shutdown);
    assert!(matches!(result, Err(McpError::Closed { unsent: true, .. })), "{result:?}");
    assert!(started.elapsed() < Duration::from_secs(3));
}

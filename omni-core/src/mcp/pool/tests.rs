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
    /// Answers when it is told to.
    Wait,
    Break,
    Panic,
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
    pings: AtomicBool,
    changes_while_listing: AtomicBool,
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
            changes_while_listing: false.into(),
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
                    Ok(reply(&json!({ "tools": *self.0.tools.lock().unwrap() })))
                }
                "tools/call" => self.0.called().await,
                _ if self.0.pings.load(SeqCst) => Ok(reply(&json!({}))),
                _ => std::future::pending().await,
            }
        };
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
        let fakes: BTreeMap<_, _> = fakes.into_iter().map(|(name, fake)| (name, Arc::new(fake))).collect();
        let entry = |fake: &Arc<Fake>| ServerEntry {
            connector: Arc::new(FakeConnector(fake.clone())),
            options: options.clone(),
        };
        let servers = fakes.iter().map(|(name, fake)| ((*name).to_owned(), entry(fake))).collect();
        Self { pool: Pool::new(servers), fakes }
    }

    fn one(fake: Fake, options: impl Borrow<ServerOptions>) -> Self {
        Self::new([("s", fake)], options.borrow())
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

#[tokio::test]
async fn discovery_asks_all_servers_at_the_same_time() {
    let names = ["a", "b", "c", "d", "e", "f"];
    let barrier = Arc::new(Barrier::new(names.len()));
    let fakes = names.map(|name| (name, Fake::connecting(Connect::Together(barrier.clone()))));
    let catalog = Stand::new(fakes, &options()).pool.discover().await;
    assert_eq!(catalog.tools().count(), names.len());
}

#[tokio::test]
async fn a_hung_server_costs_its_own_deadline_and_is_unhealthy() {
    let short = ServerOptions { connect_timeout: SHORT, ..options() };
    let stand = Stand::new([("hung", Fake::connecting(Connect::Never)), ("fine", Fake::new())], &short);
    let catalog = stand.pool.discover().await;
    assert!(matches!(&catalog.servers[1].health, Health::Unhealthy { reason } if reason.contains("no answer within")));
    assert!(catalog.tool("fine", "t").is_some());
}

#[tokio::test]
async fn what_a_server_answers_is_there_before_a_hung_one_is_given_up() {
    let stand = Stand::new([("hung", Fake::connecting(Connect::Never)), ("fine", Fake::new())], &options());
    assert!(timeout(SHORT, stand.pool.discover()).await.is_err());
    let catalog = stand.pool.catalog();
    assert!(catalog.tool("fine", "t").is_some());
    assert_eq!(catalog.servers[1].health, Health::Unknown);
}

#[tokio::test]
async fn a_discovery_goes_on_when_nobody_waits_for_it_any_more() {
    let short = ServerOptions { connect_timeout: SHORT, ..options() };
    let stand = Stand::one(Fake::connecting(Connect::Never), short);
    assert!(timeout(Duration::ZERO, stand.pool.discover()).await.is_err());
    eventually(|| matches!(stand.pool.catalog().servers[0].health, Health::Unhealthy { .. })).await;
    stand.pool.discover().await;
    assert_eq!(stand.fake().connects.load(SeqCst), 1, "what was found out is not asked again at once");
}

#[tokio::test]
async fn what_a_server_tells_the_pool_before_is_known_to_the_pool_after() {
    let stand = Stand::one(Fake::new(), options());
    let entry = || ServerEntry { connector: Arc::new(FakeConnector(stand.fakes["s"].clone())), options: options() };
    let entries = || BTreeMap::from([("s".to_owned(), entry())]);
    let same = BTreeSet::from(["s".to_owned()]);
    // The list arrives at the old pool after the new one was made.
    let next = stand.pool.succeed(entries(), &same);
    assert!(stand.pool.discover().await.tool("s", "t").is_some());
    assert!(next.catalog().tool("s", "t").is_some());
    next.discover().await;
    assert_eq!(stand.fake().connects.load(SeqCst), 1, "the connection is the same");
    assert!(next.catalog().version > stand.pool.catalog().version);
    let changed = next.succeed(entries(), &BTreeSet::new());
    assert!(changed.discover().await.tool("s", "t").is_some());
    assert_eq!(stand.fake().connects.load(SeqCst), 2);
}

#[tokio::test]
async fn one_server_is_discovered_whatever_the_others_do() {
    let stand = Stand::new([("hung", Fake::connecting(Connect::Never)), ("fine", Fake::new())], &options());
    assert!(stand.pool.discover_server("fine").await.unwrap().tool("fine", "t").is_some());
    assert_eq!(stand.fakes["hung"].connects.load(SeqCst), 0);
    let nobody = stand.pool.discover_server("nobody").await.unwrap_err();
    assert!(matches!(nobody, McpError::UnknownServer { .. }), "{nobody}");
    let dead = Stand::one(Fake::dead(), options()).pool.discover_server("s").await.unwrap_err();
    assert!(matches!(dead, McpError::Connect { .. }), "{dead}");
}

#[tokio::test]
async fn refreshes_at_the_same_time_share_one_discovery() {
    let stand = Stand::one(Fake::connecting(Connect::Soon), options());
    join_all((0..10).map(|_| stand.pool.refresh())).await;
    assert_eq!(stand.fake().lists.load(SeqCst), 1);
    stand.pool.refresh().await;
    assert_eq!(stand.fake().lists.load(SeqCst), 2);
}

#[tokio::test]
async fn calls_at_the_same_time_share_one_discovery() {
    let stand = Stand::one(Fake::connecting(Connect::Soon), options());
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
async fn changed_tools_are_there_and_told_of_without_anybody_asking() {
    let stand = Stand::one(Fake::new(), options());
    stand.pool.discover().await;
    let mut changes = stand.pool.changes();
    changes.mark_unchanged();
    *stand.fake().tools.lock().unwrap() = json!([{ "name": "other", "inputSchema": {} }]);
    stand.fake().events.send(McpEvent::ToolsChanged).unwrap();
    timeout(LONG, changes.changed()).await.unwrap().unwrap();
    let catalog = stand.pool.catalog();
    assert!(catalog.tool("s", "other").is_some());
    assert_eq!(catalog.version, *changes.borrow());
    // Told, and nothing changed.
    stand.fake().events.send(McpEvent::ToolsChanged).unwrap();
    eventually(|| stand.fake().lists.load(SeqCst) == 3).await;
    assert!(!changes.has_changed().unwrap());
}

#[tokio::test]
async fn changes_are_those_of_the_pool_in_use() {
    let stand = Stand::one(Fake::new(), options());
    let mut changes = stand.pool.changes();
    let entry = || ServerEntry { connector: Arc::new(FakeConnector(stand.fakes["s"].clone())), options: options() };
    let next = stand.pool.succeed(BTreeMap::from([("s".to_owned(), entry())]), &BTreeSet::new());
    next.discover().await;
    assert!(!changes.has_changed().unwrap(), "it is not in use yet");
    next.take_over();
    assert!(changes.has_changed().unwrap());
    assert_eq!(next.catalog().version, *changes.borrow_and_update());
    stand.pool.discover().await;
    assert!(!changes.has_changed().unwrap(), "nobody uses the old one any more");
}

#[tokio::test]
async fn a_lost_connection_is_made_anew_at_its_next_use() {
    let stand = Stand::one(Fake::new(), options());
    stand.pool.discover().await;
    stand.fake().events.send(McpEvent::Closed { reason: "killed".into() }).unwrap();
    stand.call(LONG).await.unwrap();
    assert_eq!(stand.fake().connects.load(SeqCst), 2);
    stand.pool.discover().await;
    assert_eq!(stand.fake().lists.load(SeqCst), 2, "the server may have been another one, with other tools");
}

#[tokio::test]
async fn a_change_that_is_told_during_a_listing_is_listed() {
    let stand = Stand::one(Fake::new(), options());
    stand.fake().changes_while_listing.store(true, SeqCst);
    stand.pool.discover().await;
    eventually(|| stand.fake().lists.load(SeqCst) == 2).await;
    stand.pool.discover().await;
    assert_eq!(stand.fake().lists.load(SeqCst), 2);
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
    assert!(matches!(stand.call(Duration::from_secs(3_600)).await, Err(McpError::Timeout { .. })));
}

#[tokio::test]
async fn a_call_after_its_deadline_is_not_sent() {
    let stand = Stand::one(Fake::new(), options());
    stand.pool.discover().await;
    assert!(matches!(stand.call(Duration::ZERO).await, Err(McpError::Timeout { .. })));
    assert_eq!(stand.fake().calls.load(SeqCst), 0);
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
        let stand = Stand::one(Fake { pings: pings.into(), ..Fake::new() }.on_call(Call::Hang), options());
        assert!(stand.call(SHORT).await.is_err());
        stand.fake().set(Call::Answer);
        stand.call(LONG).await.unwrap();
        assert_eq!(stand.fake().connects.load(SeqCst), connects, "pings: {pings}");
    }
}

#[tokio::test]
async fn a_caller_in_a_hurry_does_not_end_a_connection_in_doubt_nor_its_doubt() {
    let stand = Stand::one(Fake::new().on_call(Call::Hang), options());
    assert!(stand.call(SHORT).await.is_err());
    stand.fake().set(Call::Answer);
    stand.fake().pings.store(false, SeqCst);
    assert!(matches!(stand.call(SHORT).await, Err(McpError::Timeout { .. })));
    assert!(timeout(SHORT, stand.call(LONG)).await.is_err(), "still in doubt");
    stand.fake().pings.store(true, SeqCst);
    stand.call(LONG).await.unwrap();
    assert_eq!((stand.fake().connects.load(SeqCst), stand.fake().calls.load(SeqCst)), (1, 2));
}

#[tokio::test]
async fn calls_on_a_connection_that_is_replaced_come_to_their_end() {
    let stand = Stand::one(Fake::new().on_call(Call::Wait), options());
    let fake = stand.fake();
    let others = async {
        eventually(|| fake.calls.load(SeqCst) == 1).await;
        fake.set(Call::Hang);
        assert!(stand.call(SHORT).await.is_err());
        fake.set(Call::Answer);
        fake.pings.store(false, SeqCst);
        stand.call(LONG).await.unwrap();
        assert_eq!((fake.connects.load(SeqCst), fake.closes.load(SeqCst)), (2, 0));
        fake.go_on.notify_one();
    };
    let (first, ()) = tokio::join!(stand.call(LONG), others);
    assert_eq!(first.unwrap().for_person(), "at last");
    eventually(|| fake.closes.load(SeqCst) == 1).await;
}

#[tokio::test]
async fn a_transport_that_panics_fails_its_own_call_only() {
    let stand = Stand::new([("s", Fake::new().on_call(Call::Panic)), ("fine", Fake::new())], &options());
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
    let stand = Stand::one(Fake::connecting(Connect::Never), options());
    let shutdown = async {
        eventually(|| stand.fake().connects.load(SeqCst) == 1).await;
        stand.pool.shutdown().await;
    };
    let (result, ()) = tokio::join!(stand.call(LONG), shutdown);
    assert!(matches!(result, Err(McpError::Closed { unsent: true, .. })), "{result:?}");
}

#[tokio::test]
async fn a_shutdown_ends_a_discovery_that_nobody_waits_for() {
    let stand = Stand::one(Fake::connecting(Connect::Never), options());
    assert!(timeout(Duration::ZERO, stand.pool.discover()).await.is_err());
    eventually(|| stand.fake().connects.load(SeqCst) == 1).await;
    stand.pool.shutdown().await;
    assert!(stand.pool.tasks.is_empty());
}

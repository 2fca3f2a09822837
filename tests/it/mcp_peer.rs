//! What a server asks of whoever is behind a call, in the middle of it: over each transport and in both
//! ways of the protocol.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::Router;
use futures::future::join_all;
use omni_core::mcp::{
    CallContext, Connector, McpError, McpTransport, McpTransportExt, Peer, PeerCapabilities, Pool, ServerOptions,
    http::HttpServer, in_process::InProcess, pool::ServerEntry, sse::SseServer, stdio::StdioServer,
};
use omni_tests::parts::{Parts, base_env};
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ElicitRequestParams,
        InputRequiredResult, ListToolsResult, PaginatedRequestParams, ProtocolVersion, ServerCapabilities,
        ServerConfig, Tool,
    },
    service::RequestContext,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
    },
};
use serde_json::{
    Value, json,
    value::{RawValue, to_raw_value},
};

const LONG: Duration = Duration::from_secs(60);

/// A server whose one tool greets whoever tells it their name.
#[derive(Clone)]
struct Greeter {
    modern: bool,
}

fn form() -> Value {
    json!({
        "message": "Who are you?",
        "requestedSchema": { "type": "object", "properties": { "name": { "type": "string" } }, "required": ["name"] },
    })
}

fn greeting(answer: &Value) -> CallToolResult {
    CallToolResult::success(vec![ContentBlock::text(match answer["action"].as_str() {
        Some("accept") => format!("hello {}", answer["content"]["name"].as_str().unwrap_or("?")),
        _ => "hello, stranger".into(),
    })])
}

impl ServerHandler for Greeter {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        let version = if self.modern { ProtocolVersion::V_2026_07_28 } else { ProtocolVersion::V_2025_11_25 };
        Cow::Owned(vec![version])
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let schema = json!({ "type": "object" }).as_object().cloned().unwrap();
        Ok(ListToolsResult::with_all_items(vec![Tool::new("greet", "says hello", Arc::new(schema))]))
    }

    #[expect(deprecated, reason = "servers of the revisions before 2026-07-28 log")]
    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        if self.modern {
            let Some(answers) = request.input_responses else {
                let question = json!({ "method": "elicitation/create", "params": form() });
                let questions = serde_json::from_value(json!({ "name": question })).unwrap();
                return Ok(InputRequiredResult::new(Some(questions), Some("state é 1".into())).into());
            };
            assert_eq!(request.request_state.as_deref(), Some("state é 1"));
            return Ok(greeting(&answers["name"]).into());
        }
        let level = rmcp::model::LoggingLevel::Info;
        let note = rmcp::model::LoggingMessageNotificationParam::new(level, json!("about to ask"));
        context.peer.notify_logging_message(note).await.unwrap();
        let form: ElicitRequestParams = serde_json::from_value(form()).unwrap();
        let answer =
            context.peer.create_elicitation(form).await.map_err(|e| ErrorData::internal_error(e.to_string(), None))?;
        Ok(greeting(&serde_json::to_value(answer).unwrap()).into())
    }
}

async fn serve(server: Greeter) -> HttpServer {
    let service = StreamableHttpService::new(
        move || Ok(server.clone()),
        Arc::<LocalSessionManager>::default(),
        StreamableHttpServerConfig::default(),
    );
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().nest_service("/mcp", service)).await });
    HttpServer::new(url).unwrap()
}

/// Somebody with a name, who remembers what they were asked and told.
#[derive(Debug, Default)]
struct Person {
    name: String,
    thinks: Duration,
    asked: Mutex<Vec<(String, Value)>>,
    told: Mutex<Vec<(String, Value)>>,
}

impl Person {
    fn named(name: &str) -> Arc<Self> {
        Arc::new(Self { name: name.into(), ..Self::default() })
    }

    fn methods(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|(method, _)| method.clone()).collect()
    }
}

#[async_trait::async_trait]
impl Peer for Person {
    fn can(&self) -> PeerCapabilities {
        PeerCapabilities::everything()
    }

    async fn ask(&self, method: &str, params: Box<RawValue>) -> Result<Box<RawValue>, McpError> {
        let params = serde_json::from_str(params.get()).unwrap();
        self.asked.lock().unwrap().push((method.into(), params));
        // Others are asked meanwhile.
        tokio::time::sleep(self.thinks.max(Duration::from_millis(50))).await;
        let answer = match method {
            "elicitation/create" => json!({ "action": "accept", "content": { "name": self.name } }),
            "sampling/createMessage" => json!({
                "role": "assistant", "content": { "type": "text", "text": "the model says so" }, "model": "m",
            }),
            _ => json!({ "roots": [{ "uri": "file:///srv", "name": "srv" }] }),
        };
        Ok(to_raw_value(&answer).unwrap())
    }

    fn tell(&self, method: &str, params: Box<RawValue>) {
        self.told.lock().unwrap().push((method.into(), serde_json::from_str(params.get()).unwrap()));
    }
}

fn pool(connector: impl Connector + 'static) -> Pool {
    let entry = ServerEntry { connector: Arc::new(connector), options: ServerOptions::default() };
    Pool::new(BTreeMap::from([("s".to_owned(), entry)]))
}

async fn greet(pool: &Pool, cx: &CallContext) -> String {
    pool.call("s", "greet", &to_raw_value(&json!({})).unwrap(), cx).await.unwrap().for_person()
}

#[tokio::test]
async fn each_of_many_on_one_connection_is_asked_about_their_own_call() {
    for modern in [false, true] {
        let pool = pool(serve(Greeter { modern }).await);
        let people: Vec<Arc<Person>> = (0..20).map(|i| Person::named(&format!("p{i}"))).collect();
        let calls = people.iter().map(|person| {
            let (pool, cx) = (&pool, CallContext::within(LONG).with_peer(person.clone()));
            async move { greet(pool, &cx).await }
        });
        let greetings = join_all(calls).await;
        for (person, greeting) in people.iter().zip(greetings) {
            assert_eq!(greeting, format!("hello {}", person.name), "modern: {modern}");
            assert_eq!(person.methods(), ["elicitation/create"]);
            assert_eq!(person.asked.lock().unwrap()[0].1["requestedSchema"], form()["requestedSchema"]);
        }
        pool.shutdown().await;
    }
}

#[tokio::test]
async fn what_a_server_logs_in_a_call_is_told_to_whoever_is_behind_it() {
    let pool = pool(serve(Greeter { modern: false }).await);
    let (ann, bob) = (Person::named("ann"), Person::named("bob"));
    greet(&pool, &CallContext::within(LONG).with_peer(ann.clone())).await;
    assert!(bob.told.lock().unwrap().is_empty());
    greet(&pool, &CallContext::within(LONG).with_peer(bob.clone())).await;
    pool.shutdown().await;
    for person in [ann, bob] {
        let told = person.told.lock().unwrap();
        assert_eq!(told.len(), 1, "{} {told:?}", person.name);
        assert_eq!((told[0].0.as_str(), &told[0].1["data"]), ("notifications/message", &json!("about to ask")));
    }
}

#[tokio::test]
async fn where_nobody_is_there_a_question_is_declined_or_says_so() {
    let old = pool(serve(Greeter { modern: false }).await);
    assert_eq!(greet(&old, &CallContext::within(LONG)).await, "hello, stranger");
    let new = pool(serve(Greeter { modern: true }).await);
    let said = greet(&new, &CallContext::within(LONG)).await;
    assert!(said.contains("asks the person something") && said.contains("nobody is there to answer"), "{said}");
    old.shutdown().await;
    new.shutdown().await;
}

#[tokio::test]
async fn in_this_process_a_question_reaches_the_call_that_runs_alone() {
    let pool = pool(InProcess::new(|| Greeter { modern: false }));
    let ann = Person::named("ann");
    assert_eq!(greet(&pool, &CallContext::within(LONG).with_peer(ann)).await, "hello ann");
    // Whose question it is nobody knows while several run.
    let people: Vec<_> = (0..4).map(|i| Person::named(&format!("p{i}"))).collect();
    let calls = people.iter().map(|person| {
        let (pool, cx) = (&pool, CallContext::within(LONG).with_peer(person.clone()));
        async move { greet(pool, &cx).await }
    });
    for (person, greeting) in people.iter().zip(join_all(calls).await) {
        let own = format!("hello {}", person.name);
        assert!(greeting == own || greeting == "hello, stranger", "{greeting} to {}", person.name);
    }
    pool.shutdown().await;
}

fn slow(thinks: Duration) -> Arc<Person> {
    Arc::new(Person { name: "ann".into(), thinks, ..Person::default() })
}

#[tokio::test(start_paused = true)]
async fn whoever_is_asked_may_think_for_longer_than_their_server_may() {
    let pool = pool(InProcess::new(|| Greeter { modern: false }));
    let cx = CallContext::within(Duration::from_secs(300)).with_peer(slow(Duration::from_secs(200)));
    assert_eq!(greet(&pool, &cx).await, "hello ann", "the server has thirty seconds");
    pool.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_whose_question_nobody_answered_has_not_failed() {
    let mut options = ServerOptions::default();
    options.breaker.failures = 1;
    let connector = Arc::new(InProcess::new(|| Greeter { modern: false }));
    let pool = Pool::new(BTreeMap::from([("s".to_owned(), ServerEntry { connector, options })]));
    let unanswered = CallContext::within(LONG).with_peer(slow(10 * LONG));
    let error = pool.call("s", "greet", &to_raw_value(&json!({})).unwrap(), &unanswered).await.unwrap_err();
    assert!(matches!(error, McpError::Timeout { .. }), "{error}");
    assert_eq!(greet(&pool, &CallContext::within(LONG).with_peer(Person::named("bob"))).await, "hello bob");
    pool.shutdown().await;
}

/// The tools of server-everything that ask, on a connection of the person's own.
async fn ask_everything(transport: &dyn McpTransport, person: &Person) {
    let cx = CallContext::within(LONG);
    let tools = transport.list_tools(&Arc::from("s"), &cx).await.unwrap();
    let names: Vec<&str> = tools.iter().map(|tool| &*tool.name).collect();
    let arguments = to_raw_value(&json!({ "prompt": "why?", "maxTokens": 10 })).unwrap();
    for tool in ["trigger-elicitation-request", "trigger-sampling-request", "get-roots-list"] {
        assert!(names.contains(&tool), "{names:?}");
        let output = transport.call_tool(tool, &arguments, 10_000, &cx).await.unwrap();
        assert!(!output.is_error, "{tool}: {output:?}");
    }
    let methods = person.methods();
    for method in ["elicitation/create", "sampling/createMessage", "roots/list"] {
        assert!(methods.iter().any(|asked| asked == method), "{methods:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_a_connection_of_somebodys_own_asks_them_over_each_transport() {
    let parts = Parts::find();
    let (http, sse) = (parts.serve_everything("streamableHttp"), parts.serve_everything("sse"));
    let child = StdioServer::new(parts.node())
        .with_args([parts.everything().display().to_string(), "stdio".into()])
        .with_base_env(base_env());
    let connectors: [(&str, Box<dyn Connector>); 3] = [
        ("stdio", Box::new(child)),
        ("sse", Box::new(SseServer::new(sse.url("/sse")).unwrap())),
        ("http", Box::new(HttpServer::new(http.url("/mcp")).unwrap())),
    ];
    for (kind, connector) in connectors {
        let person = Person::named("ann");
        let transport = connector.connect(&CallContext::within(LONG).with_peer(person.clone())).await.unwrap();
        println!("{kind}");
        ask_everything(&*transport, &person).await;
        transport.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_child_process_is_told_that_nobody_can_be_asked() {
    let parts = Parts::find();
    let child = StdioServer::new(parts.node())
        .with_args([parts.everything().display().to_string(), "stdio".into()])
        .with_base_env(base_env());
    let pool = pool(child);
    let catalog = pool.discover_server("s").await.unwrap();
    assert!(catalog.tool("s", "echo").is_some() && catalog.tool("s", "trigger-elicitation-request").is_none());
    pool.shutdown().await;
}

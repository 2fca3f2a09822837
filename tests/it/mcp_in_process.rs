//! The contract of a transport, on an rmcp server in this process.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use futures::{StreamExt, future::join_all};
use omni_core::mcp::{
    CallContext, Connector, McpError, McpEvent, McpReply, McpRequest, McpTransport, McpTransportExt,
    in_process::InProcess,
};
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ListToolsResult, PaginatedRequestParams,
        ProgressNotificationParam, ServerCapabilities, ServerConfig, SubscriptionFilter, Tool,
    },
    service::{RequestContext, SubscriptionContext},
};
use serde_json::{json, value::to_raw_value};

const LONG: Duration = Duration::from_secs(30);

/// What the server saw.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) cancelled: AtomicBool,
    /// Whether it ends the telling of changes after the first one.
    pub(crate) ends_telling: AtomicBool,
    /// Whether it has the tool `more` too.
    pub(crate) has_more: AtomicBool,
    pub(crate) changed: tokio::sync::Notify,
}

#[derive(Clone)]
pub(crate) struct Server(pub(crate) Arc<Seen>);

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().enable_tool_list_changed().build())
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        tokio::select! {
            () = context.cancelled() => {}
            () = self.0.changed.notified() => context.sink().notify_tool_list_changed().await.unwrap(),
        }
        if !self.0.ends_telling.load(SeqCst) {
            context.cancelled().await;
        }
        Ok(())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let schema = json!({ "type": "object" }).as_object().cloned().unwrap();
        let mut tools = vec![Tool::new("echo", "says it again", Arc::new(schema.clone()))];
        if self.0.has_more.load(SeqCst) {
            tools.push(Tool::new("more", "does more", Arc::new(schema)));
        }
        Ok(ListToolsResult::with_all_items(tools))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        match &*request.name {
            "echo" => {
                let text = request.arguments.unwrap()["text"].as_str().unwrap().to_owned();
                // Answers in another order than the questions came in.
                tokio::time::sleep(Duration::from_millis(u64::try_from(text.len() % 7).unwrap())).await;
                Ok(CallToolResult::success(vec![ContentBlock::text(text)]).into())
            }
            "hang" => {
                context.ct.cancelled().await;
                self.0.cancelled.store(true, SeqCst);
                Err(ErrorData::internal_error("cancelled", None))
            }
            "count" => {
                let token = context.meta.get_progress_token().unwrap();
                for step in 1..=20 {
                    let note = ProgressNotificationParam::new(token.clone(), f64::from(step));
                    context.peer.notify_progress(note).await.unwrap();
                }
                Ok(CallToolResult::success(vec![]).into())
            }
            "change" => {
                context.peer.notify_tool_list_changed().await.unwrap();
                Ok(CallToolResult::success(vec![]).into())
            }
            "panic" => panic!("a tool crashes"),
            _ => Err(ErrorData::invalid_params("no such tool", None)),
        }
    }
}

async fn connect() -> (Arc<dyn McpTransport>, Arc<Seen>) {
    let seen = Arc::new(Seen::default());
    let server = Server(seen.clone());
    let connector = InProcess::new(move || server.clone());
    (connector.connect(&CallContext::within(LONG)).await.unwrap(), seen)
}

pub(crate) async fn call(
    transport: &dyn McpTransport,
    tool: &str,
    text: &str,
    within: Duration,
) -> Result<String, McpError> {
    let arguments = to_raw_value(&json!({ "text": text })).unwrap();
    let output = transport.call_tool(tool, &arguments, 1_000_000, &CallContext::within(within)).await?;
    Ok(output.for_person())
}

pub(crate) async fn eventually(what: impl Fn() -> bool) {
    let wait = async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(LONG, wait).await.expect("it happens");
}

#[tokio::test]
async fn replies_never_cross() {
    let (transport, _) = connect().await;
    let texts: Vec<String> = (0..200).map(|i| format!("{i}-{}", "x".repeat(i % 11))).collect();
    let answers = join_all(texts.iter().map(|text| call(&*transport, "echo", text, LONG))).await;
    let answers: Vec<String> = answers.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers, texts);
}

#[tokio::test]
async fn a_request_ends_at_its_deadline_and_the_server_is_told() {
    let (transport, seen) = connect().await;
    let error = call(&*transport, "hang", "", Duration::from_millis(200)).await.unwrap_err();
    assert!(matches!(error, McpError::Timeout { .. }), "{error}");
    eventually(|| seen.cancelled.load(SeqCst)).await;
    assert_eq!(call(&*transport, "echo", "still here", LONG).await.unwrap(), "still here");
}

#[tokio::test]
async fn a_request_that_is_dropped_is_cancelled_at_the_server() {
    let (transport, seen) = connect().await;
    let request = call(&*transport, "hang", "", LONG);
    assert!(tokio::time::timeout(Duration::from_millis(200), request).await.is_err());
    eventually(|| seen.cancelled.load(SeqCst)).await;
}

#[tokio::test]
async fn a_tool_that_panics_costs_its_own_call_only() {
    let (transport, _) = connect().await;
    let crash = call(&*transport, "panic", "", Duration::from_secs(1));
    let (crash, echo) = tokio::join!(crash, call(&*transport, "echo", "fine", LONG));
    assert!(crash.is_err());
    assert_eq!(echo.unwrap(), "fine");
}

#[tokio::test]
async fn progress_arrives_in_order() {
    let (transport, _) = connect().await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let heard = seen.clone();
    let cx = CallContext::within(LONG)
        .with_progress(Arc::new(move |progress| heard.lock().unwrap().push(progress.progress)));
    transport.call_tool("count", &to_raw_value(&json!({})).unwrap(), 100, &cx).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), (1..=20).map(f64::from).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_error_of_the_server_keeps_its_code() {
    let (transport, _) = connect().await;
    let error = call(&*transport, "nothing", "", LONG).await.unwrap_err();
    assert!(matches!(&error, McpError::Rpc { code: -32602, message, .. } if message == "no such tool"), "{error}");
}

#[tokio::test]
async fn an_unknown_method_is_passed_on() {
    let (transport, _) = connect().await;
    let request = McpRequest::new("own/method", Some(to_raw_value(&json!({ "a": 1 })).unwrap()));
    let error = transport.request(request, &CallContext::within(LONG)).await.unwrap_err();
    assert!(matches!(error, McpError::Rpc { code: -32601, .. }), "{error}");
    let pong = transport.request(McpRequest::new("ping", None), &CallContext::within(LONG)).await.unwrap();
    assert!(matches!(pong, McpReply::Complete(raw) if raw.get() == "{}"));
}

#[tokio::test]
async fn changed_tools_and_the_end_are_events() {
    let (transport, _) = connect().await;
    let mut events = transport.events();
    call(&*transport, "change", "", LONG).await.unwrap();
    assert!(matches!(events.next().await, Some(McpEvent::ToolsChanged)));
    transport.close().await;
    transport.close().await;
    assert!(matches!(events.next().await, Some(McpEvent::Closed { .. })));
    assert!(events.next().await.is_none());
    let late: Vec<_> = transport.events().collect().await;
    assert!(matches!(late[..], [McpEvent::Closed { .. }]), "{late:?}");
}

#[tokio::test]
async fn after_the_end_every_request_fails_at_once_and_unsent() {
    let (transport, _) = connect().await;
    let waiting = call(&*transport, "hang", "", Duration::from_secs(3_600));
    let closing = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        transport.close().await;
    };
    let (waiting, ()) = tokio::join!(waiting, closing);
    assert!(matches!(waiting, Err(McpError::Closed { unsent: false, .. })), "{waiting:?}");
    let next = call(&*transport, "echo", "", LONG).await;
    assert!(matches!(next, Err(McpError::Closed { unsent: true, .. })), "{next:?}");
}

#[tokio::test]
async fn a_large_result_arrives_whole() {
    let (transport, _) = connect().await;
    let text = "ä".repeat(500_000);
    assert_eq!(call(&*transport, "echo", &text, LONG).await.unwrap(), text);
}

//! The contract of connectors and of the transports that they make.

#![allow(clippy::expect_used, reason = "this is test code")]

use std::{sync::Arc, time::Duration};

use futures::{StreamExt as _, future::join_all, stream::BoxStream};
use serde_json::{Value, json, value::to_raw_value};
use tokio::time::{sleep, timeout};

use crate::mcp::{
    CallContext, Connector, Content, McpError, McpEvent, McpRequest, McpTransport, McpTransportExt as _, ToolOutput,
};

mod server;

pub use server::McpContractServer;

/// Longer than any suite takes.
const LONG: Duration = Duration::from_secs(30);
/// Within this, what is at once has happened also where there is much else to do.
const SOON: Duration = Duration::from_secs(5);
/// Short enough to wait for.
const SHORT: Duration = Duration::from_millis(200);
/// How many requests there are at once.
const CALLERS: usize = 50;
/// More events than anybody keeps for a listener that does not listen.
const MANY: usize = 1_000;

/// Checks a connector, and what it connects to. It needs an [`McpContractServer`] at the other end, or another server
/// whose tools do the same; each connection is a new one, and nobody else has it.
///
/// # Panics
/// Where the contract is broken.
pub async fn mcp_transport_contract(connector: &dyn Connector) {
    what_is_connected_can_be_used(connector).await;
    what_takes_too_long_to_connect_ends_at_its_deadline(connector).await;
    a_failure_of_a_tool_is_a_reply_and_one_of_the_server_an_error(connector).await;
    replies_never_cross(connector).await;
    a_request_ends_at_its_deadline_and_the_server_is_told(connector).await;
    everybody_who_listens_hears_all_from_then_on(connector).await;
    whoever_does_not_listen_is_told_in_the_end_that_there_was_something(connector).await;
    after_its_end_every_request_fails_and_the_end_is_told_once(connector).await;
}

async fn connect(connector: &dyn Connector) -> Arc<dyn McpTransport> {
    connector.connect(&CallContext::within(LONG)).await.expect("the server can be connected to")
}

async fn call(transport: &dyn McpTransport, tool: &str, arguments: Value) -> Result<ToolOutput, McpError> {
    call_within(transport, tool, arguments, LONG).await
}

async fn call_within(
    transport: &dyn McpTransport,
    tool: &str,
    arguments: Value,
    within: Duration,
) -> Result<ToolOutput, McpError> {
    let arguments = to_raw_value(&arguments).expect("arguments are JSON");
    transport.call_tool(tool, &arguments, 10_000, &CallContext::within(within)).await
}

/// The text of a result that is nothing else.
fn text(output: &ToolOutput) -> &str {
    match output.content.as_slice() {
        [Content::Text { text }] => text,
        _ => "",
    }
}

async fn next(events: &mut BoxStream<'static, McpEvent>) -> Option<McpEvent> {
    timeout(LONG, events.next()).await.expect("what happens is told")
}

/// What is told until the stream ends.
async fn rest(events: BoxStream<'static, McpEvent>) -> Vec<McpEvent> {
    timeout(LONG, events.collect()).await.expect("events end with their connection")
}

fn is_change(event: &McpEvent) -> bool {
    matches!(event, McpEvent::ToolsChanged)
}

fn is_end(event: &McpEvent) -> bool {
    matches!(event, McpEvent::Closed { .. })
}

async fn what_is_connected_can_be_used(connector: &dyn Connector) {
    assert!(!connector.kind().is_empty(), "a kind has a name");
    let transport = connect(connector).await;
    let listed = transport.list_tools(&"contract".into(), &CallContext::within(LONG)).await.expect("tools are listed");
    let mut names: Vec<&str> = listed.iter().map(|tool| &*tool.name).collect();
    names.sort_unstable();
    assert_eq!(names, ["cancelled", "change", "echo", "fail", "hang"], "every tool is listed");
    let said = "é 'x' \"\u{1f980}\"";
    let echo = call(&*transport, "echo", json!({ "text": said })).await.expect("a tool can be called");
    assert!(!echo.is_error && text(&echo) == said, "what is said comes back: {echo:?}");
    let other = connect(connector).await;
    transport.close().await;
    let echo = call(&*other, "echo", json!({ "text": "still here" })).await.expect("a tool can be called");
    assert_eq!(text(&echo), "still here", "the end of one connection is not that of another");
    other.close().await;
}

async fn what_takes_too_long_to_connect_ends_at_its_deadline(connector: &dyn Connector) {
    let late = timeout(SOON, connector.connect(&CallContext::within(Duration::ZERO))).await;
    match late.expect("whoever connects is answered by the deadline") {
        Ok(transport) => transport.close().await,
        Err(error) => {
            let is_no_connection = matches!(error, McpError::Connect { .. } | McpError::Timeout { .. });
            assert!(is_no_connection, "there is no connection: {error}");
        }
    }
}

async fn a_failure_of_a_tool_is_a_reply_and_one_of_the_server_an_error(connector: &dyn Connector) {
    let transport = connect(connector).await;
    let failed = call(&*transport, "fail", json!({})).await;
    assert!(failed.is_ok_and(|failed| failed.is_error && !text(&failed).is_empty()), "what a tool says is handed on");
    let unknown = call(&*transport, "nothing", json!({})).await;
    assert!(matches!(unknown, Err(McpError::Rpc { .. })), "the server's error keeps its code: {unknown:?}");
    let unknown = transport.request(McpRequest::new("no/such", None), &CallContext::within(LONG)).await;
    assert!(matches!(unknown, Err(McpError::Rpc { .. })), "so it does of a method that there is not: {unknown:?}");
    assert!(call(&*transport, "echo", json!({ "text": "on" })).await.is_ok(), "neither ends the connection");
    transport.close().await;
}

async fn replies_never_cross(connector: &dyn Connector) {
    let transport = connect(connector).await;
    let all = (0..CALLERS).map(async |caller| {
        let said = format!("{caller}-{}", "x".repeat(caller % 11));
        let output = call(&*transport, "echo", json!({ "text": said })).await.expect("a tool can be called");
        assert_eq!(text(&output), said, "each has the answer to its own");
    });
    join_all(all).await;
    transport.close().await;
}

async fn a_request_ends_at_its_deadline_and_the_server_is_told(connector: &dyn Connector) {
    let transport = connect(connector).await;
    let hung = timeout(SOON, call_within(&*transport, "hang", json!({}), SHORT)).await;
    assert!(matches!(hung, Ok(Err(McpError::Timeout { .. }))), "it ends by its deadline: {hung:?}");
    server_is_told_of(&*transport, 1).await;
    let dropped = timeout(SHORT, call(&*transport, "hang", json!({}))).await;
    assert!(dropped.is_err(), "nothing was answered: {dropped:?}");
    server_is_told_of(&*transport, 2).await;
    transport.close().await;
}

/// Waits until the server knows that nobody waits for so many calls any more.
async fn server_is_told_of(transport: &dyn McpTransport, count: u64) {
    let told = async {
        loop {
            let told = call(transport, "cancelled", json!({})).await.expect("a tool can be called");
            if text(&told) == count.to_string() {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(timeout(SOON, told).await.is_ok(), "the server is told when nobody waits any more");
}

async fn everybody_who_listens_hears_all_from_then_on(connector: &dyn Connector) {
    let transport = connect(connector).await;
    let mut listeners = [transport.events(), transport.events()];
    call(&*transport, "change", json!({ "times": 1 })).await.expect("a tool can be called");
    for events in &mut listeners {
        let heard = next(events).await;
        assert!(heard.as_ref().is_some_and(is_change), "everybody is told: {heard:?}");
    }
    let late = transport.events();
    transport.close().await;
    let late = rest(late).await;
    assert!(!late.iter().any(is_change) && late.last().is_some_and(is_end), "nobody is told what was before: {late:?}");
    for events in listeners {
        let left = rest(events).await;
        assert!(left.iter().all(is_end) && left.len() == 1, "the end is told once, and comes last: {left:?}");
    }
}

async fn whoever_does_not_listen_is_told_in_the_end_that_there_was_something(connector: &dyn Connector) {
    let transport = connect(connector).await;
    let (idle, mut heard) = (transport.events(), transport.events());
    call(&*transport, "change", json!({ "times": MANY })).await.expect("a tool can be called");
    assert!(next(&mut heard).await.as_ref().is_some_and(is_change), "changes are told");
    transport.close().await;
    let told = rest(idle).await;
    assert!(told.len() < MANY, "what is kept for whoever does not listen is bounded: {} events", told.len());
    assert!(told.iter().any(is_change) && told.last().is_some_and(is_end), "that something changed is not lost");
}

async fn after_its_end_every_request_fails_and_the_end_is_told_once(connector: &dyn Connector) {
    let transport = connect(connector).await;
    let events = transport.events();
    let waiting = call(&*transport, "hang", json!({}));
    let closing = async {
        sleep(SHORT).await;
        transport.close().await;
        transport.close().await;
    };
    let ended = timeout(LONG - SOON, async { tokio::join!(waiting, closing) }).await;
    let (waiting, ()) = ended.expect("whoever waits for an answer is told that none comes");
    assert!(matches!(waiting, Err(McpError::Closed { .. })), "the connection is lost: {waiting:?}");
    let next = timeout(SOON, call(&*transport, "echo", json!({ "text": "" }))).await;
    assert!(matches!(next, Ok(Err(McpError::Closed { .. }))), "every request fails at once: {next:?}");
    for events in [events, transport.events()] {
        let told = rest(events).await;
        assert!(matches!(told.as_slice(), [McpEvent::Closed { .. }]), "the end is told once: {told:?}");
    }
}

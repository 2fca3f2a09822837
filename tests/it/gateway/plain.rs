//! The short way: one request there, one JSON text back.

use omni_core::{identity::Scope, mcp::http::HttpServer};
use omni_tests::{
    agent::Speaks,
    door::{Door, Reply},
    rig::until,
    server::FakeServer,
    wire::{Answer, Wire, bare},
};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::{
    http::ADA,
    modern::{Modern, message},
    security::{INITIALIZE, framed},
};

/// What no type of anybody's would keep: an unknown kind, and numbers and blanks as somebody wrote them.
const ODD: &str = r#"[{"type":"hologram", "z":1,"a":2.50,"big":123456789012345678901234567890}]"#;

/// A client of 2025-11-25 that can be asked nothing, in its session.
struct Plain<'a> {
    door: &'a Door,
    key: String,
    session: String,
}

impl<'a> Plain<'a> {
    async fn begin(door: &'a Door) -> Self {
        let key = door.key(ADA, &[Scope::Tools]).await;
        let begun = Reply::of(framed(door.request(Method::POST, "/mcp").bearer_auth(&key), INITIALIZE)).await.is(200);
        Self { door, key, session: begun.header("mcp-session-id").to_owned() }
    }

    fn send(&self, message: &Value) -> RequestBuilder {
        let request = self.door.request(Method::POST, "/mcp").bearer_auth(&self.key);
        framed(request, &message.to_string()).header("mcp-session-id", &self.session)
    }

    async fn ask(&self, id: u32, method: &str, params: Value) -> Reply {
        Reply::of(self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }))).await
    }

    async fn call(&self, id: u32, tool: &str) -> Reply {
        self.ask(id, "tools/call", json!({ "name": tool, "arguments": {} })).await.is(200)
    }
}

async fn before(wire: &Wire) -> Door {
    let url = wire.url.clone();
    let door = Door::with(|_| {}, |builder| builder.server("lab", HttpServer::new(url).unwrap())).await;
    door.omni.catalog().await;
    door
}

fn is_json(reply: &Reply) -> bool {
    reply.header("content-type") == "application/json"
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_sent_comes_out_byte_for_byte_and_a_call_is_one_request_there() {
    for speaks in [Speaks::Old, Speaks::New] {
        let kind = if speaks == Speaks::New { r#""resultType":"complete","# } else { "" };
        let result = format!(r#"{{{kind}"structuredContent":{{"n":1.0}}, "content":{ODD}}}"#);
        let sent = result.clone();
        let wire = Wire::start(speaks, json!([bare("odd")]), move |method, _| match method {
            "tools/call" => Answer::Result(sent.clone()),
            _ => Answer::unknown(),
        });
        let wire = wire.await;
        let door = before(&wire).await;
        let modern = Modern::new(&door, json!({})).await;
        let old = Plain::begin(&door).await;
        let call = async || match speaks {
            Speaks::New => {
                Reply::of(modern.request("tools/call", json!({ "name": "lab__odd", "arguments": {} }))).await.is(200)
            }
            Speaks::Old => old.call(1, "lab__odd").await,
        };
        // By the first call it is learned that the server answers in JSON.
        call().await;
        let posts = wire.posts();
        for _ in 0..5 {
            let reply = call().await;
            assert!(is_json(&reply), "{reply:?}");
            assert_eq!(reply.text, format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#));
        }
        assert_eq!(wire.posts() - posts, 5, "{speaks:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_its_client_cancels_ends_at_the_server() {
    let lab = FakeServer::new().hanging("wait");
    let door = Door::with(|_| {}, |builder| builder.server("lab", lab.clone())).await;
    let client = Plain::begin(&door).await;
    let call = async {
        let reply = client.call(7, "lab__wait").await;
        assert!(is_json(&reply), "{reply:?}");
        assert_eq!((&reply.json()["id"], &reply.json()["error"]["code"]), (&json!(7), &json!(-32_603)));
    };
    let cancel = async {
        until(|| lab.running() == 1).await;
        let note =
            |id: u32| json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": id } });
        Reply::of(client.send(&note(8))).await.is(202);
        assert_eq!(lab.running(), 1, "it was about another request");
        Reply::of(client.send(&note(7))).await.is(202);
    };
    tokio::join!(call, cancel);
    until(|| lab.running() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_in_a_session_goes_on_when_its_connection_is_lost_until_its_client_cancels_it() {
    let lab = FakeServer::new().hanging("wait");
    let door = Door::with(|_| {}, |builder| builder.server("lab", lab.clone())).await;
    let client = Plain::begin(&door).await;
    tokio::select! {
        reply = client.call(7, "lab__wait") => panic!("{reply:?}"),
        () = until(|| lab.running() == 1) => {}
    }
    client.ask(8, "tools/list", json!({})).await.is(200);
    assert_eq!(lab.running(), 1);
    let note = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 7 } });
    Reply::of(client.send(&note)).await.is(202);
    until(|| lab.running() == 0).await;
}

/// Two calls of a session with one id that wait at the server, after one with that id that ended.
async fn two_of_one_id<'a>(door: &'a Door, lab: &FakeServer) -> Plain<'a> {
    let client = Plain::begin(door).await;
    client.ask(7, "tools/list", json!({})).await.is(200);
    for count in 1..=2 {
        tokio::select! {
            reply = client.call(7, "lab__wait") => panic!("{reply:?}"),
            () = until(|| lab.running() == count) => {}
        }
    }
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_requests_with_one_id_neither_outlives_its_session_or_what_its_client_cancels() {
    let lab = FakeServer::new().hanging("wait");
    let door = Door::with(|_| {}, |builder| builder.server("lab", lab.clone())).await;
    let client = two_of_one_id(&door, &lab).await;
    let request = door.request(Method::DELETE, "/mcp").bearer_auth(&client.key);
    Reply::of(request.header("mcp-session-id", &client.session)).await.is(204);
    until(|| lab.running() == 0).await;
    let client = two_of_one_id(&door, &lab).await;
    let note = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 7 } });
    Reply::of(client.send(&note)).await.is(202);
    until(|| lab.running() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_clients_status_says_what_a_servers_error_is_and_the_error_is_whole() {
    for (code, status) in [(-32_021, 400), (-32_601, 404), (-32_000, 200)] {
        let wire = Wire::start(Speaks::New, json!([bare("no")]), move |method, _| match method {
            "tools/call" => Answer::Error(code, "no"),
            _ => Answer::unknown(),
        });
        let wire = wire.await;
        let door = before(&wire).await;
        let client = Modern::new(&door, json!({})).await;
        let reply = Reply::of(client.request("tools/call", json!({ "name": "lab__no", "arguments": {} }))).await;
        let reply = reply.is(status);
        assert_eq!(reply.json()["error"], json!({ "code": code, "message": "no" }));
    }
}

/// A server that logs before it answers.
async fn logging() -> Wire {
    let note =
        json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "level": "info", "data": "begun" } });
    let wire = Wire::start(Speaks::Old, json!([bare("log")]), move |method, _| match method {
        "tools/call" => Answer::Stream(vec![note.clone()], r#"{"content":[{"type":"text","text":"done"}]}"#.into()),
        _ => Answer::unknown(),
    });
    wire.await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_logs_before_it_answers_comes_before_the_answer_on_a_stream() {
    let wire = logging().await;
    let door = before(&wire).await;
    let reply = Plain::begin(&door).await.call(3, "lab__log").await;
    assert_eq!(reply.header("content-type"), "text/event-stream");
    let events: Vec<Value> = reply
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect();
    let [note, answer] = &events[..] else { panic!("{reply:?}") };
    assert_eq!((&note["method"], &note["params"]["data"]), (&json!("notifications/message"), &json!("begun")));
    assert_eq!((&answer["id"], &answer["result"]["content"][0]["text"]), (&json!(3), &json!("done")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_client_that_asked_for_no_logs_gets_none() {
    let wire = logging().await;
    let door = before(&wire).await;
    let client = Modern::new(&door, json!({})).await;
    let reply = Reply::of(client.request("tools/call", json!({ "name": "lab__log", "arguments": {} }))).await.is(200);
    assert!(is_json(&reply) && message(&reply)["result"]["content"][0]["text"] == "done", "{reply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_sets_the_level_of_logs_goes_the_long_way_from_then_on() {
    let door = Door::with(|_| {}, |builder| builder.server("lab", FakeServer::echo())).await;
    let client = Plain::begin(&door).await;
    let echo = async |id: u32| {
        let params = json!({ "name": "lab__echo", "arguments": { "message": "hi" } });
        let reply = client.ask(id, "tools/call", params).await.is(200);
        assert_eq!(message(&reply)["result"]["content"][0]["text"], "hi", "{reply:?}");
        is_json(&reply)
    };
    assert!(echo(1).await);
    client.ask(2, "logging/setLevel", json!({ "level": "debug" })).await.is(200);
    assert!(!echo(3).await, "what is told comes in order, on the stream of the session's own transport");
}

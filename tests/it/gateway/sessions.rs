//! Sessions of older clients: where there are none, and how long they last.

use std::time::{Duration, Instant};

use omni_core::{config::HttpConfig, identity::Scope, mcp::http::HttpServer};
use omni_tests::{
    agent::{Agent, Speaks},
    door::{Door, Reply},
    fixture::FixtureServer,
    rig::until,
};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::{
    http::ADA,
    modern::message,
    security::{INITIALIZE, framed},
};

const VERSION: &str = "2025-06-18";
const WATCHED: &str = "test://watched-resource";

/// A client of 2025-06-18 that writes its own messages.
struct Older<'a> {
    door: &'a Door,
    key: String,
    session: Option<String>,
}

impl<'a> Older<'a> {
    async fn begin(door: &'a Door, key: &str) -> Self {
        let body = INITIALIZE.replace("2025-11-25", VERSION);
        let begun = Reply::of(framed(door.request(Method::POST, "/mcp").bearer_auth(key), &body)).await.is(200);
        assert_eq!(message(&begun)["result"]["protocolVersion"], VERSION);
        let session = begun.headers.get("mcp-session-id").map(|id| id.to_str().unwrap().to_owned());
        let client = Self { door, key: key.to_owned(), session };
        let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        Reply::of(framed(client.request(Method::POST), &ready.to_string())).await.is(202);
        client
    }

    fn request(&self, method: Method) -> RequestBuilder {
        let request = self.door.request(method, "/mcp").bearer_auth(&self.key).header("mcp-protocol-version", VERSION);
        self.session.iter().fold(request, |request, id| request.header("mcp-session-id", id))
    }

    async fn result(&self, method: &str, params: Value) -> Value {
        let body = json!({ "jsonrpc": "2.0", "id": 2, "method": method, "params": params }).to_string();
        let answer = message(&Reply::of(framed(self.request(Method::POST), &body)).await.is(200));
        assert!(answer.get("error").is_none(), "{answer}");
        answer["result"].clone()
    }
}

/// A door before a fixture, whose sessions end after so long.
async fn before(fixture: &FixtureServer, idle: Duration) -> Door {
    let front = HttpServer::new(&fixture.url).unwrap();
    let set = |config: &mut HttpConfig| {
        config.gateway.max_sessions = 4;
        config.gateway.session_idle = idle;
    };
    Door::with(set, |builder| builder.server("fix", front)).await
}

/// Somebody else, who changes what others watch.
async fn changing(door: &Door) -> Agent {
    let key = door.key("eve@company.com", &[Scope::Tools]).await;
    Agent::connect(&format!("http://{}/mcp", door.address()), &key, Speaks::New).await
}

#[tokio::test]
async fn where_no_sessions_are_kept_an_older_client_is_served_request_by_request() {
    let door = Door::with(|config| config.gateway.max_sessions = 0, |builder| builder).await;
    let key = door.key(ADA, &[Scope::Tools]).await;
    for _ in 0..3 {
        let client = Older::begin(&door, &key).await;
        assert_eq!(client.session, None);
        let tools = client.result("tools/list", json!({})).await;
        assert_eq!(tools["tools"][0]["name"], "lab__echo", "{tools}");
        let params = json!({ "name": "lab__echo", "arguments": { "message": "hi" } });
        let called = client.result("tools/call", params).await;
        assert_eq!(called["content"][0]["text"], "hi", "{called}");
        Reply::of(client.request(Method::GET).header("accept", "text/event-stream")).await.is(405);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_went_without_a_word_keeps_neither_what_it_subscribed_to_nor_its_place() {
    let fixture = FixtureServer::start().await;
    let door = before(&fixture, Duration::from_secs(1)).await;
    let key = door.key(ADA, &[Scope::Tools]).await;
    let gone = Older::begin(&door, &key).await;
    gone.result("resources/subscribe", json!({ "uri": WATCHED })).await;
    until(|| fixture.subscribed() == [WATCHED]).await;
    // It is told all the time, so something happens in its session.
    let other = changing(&door).await;
    for _ in 0..300 {
        let _ = other.call("fix__test_touch_resource", json!({})).await;
        if fixture.subscribed().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(fixture.subscribed().is_empty(), "it is told for ever");
    // Of four sessions one is for each who comes.
    Older::begin(&door, &key).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_listens_keeps_its_session_however_long_it_says_nothing() {
    let (fixture, idle) = (FixtureServer::start().await, Duration::from_secs(3));
    let door = before(&fixture, idle).await;
    let client = Older::begin(&door, &door.key(ADA, &[Scope::Tools]).await).await;
    client.result("resources/subscribe", json!({ "uri": WATCHED })).await;
    let listening = client.request(Method::GET).header("accept", "text/event-stream").send().await.unwrap();
    assert_eq!(listening.status().as_u16(), 200);
    let (other, began) = (changing(&door).await, Instant::now());
    while began.elapsed() < idle * 2 {
        let _ = other.call("fix__test_touch_resource", json!({})).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    client.result("tools/list", json!({})).await;
    assert_eq!(fixture.subscribed(), [WATCHED]);
    drop(listening);
}

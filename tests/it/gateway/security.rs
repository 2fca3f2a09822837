//! Incidents of other gateways, each as a test; and bounds.

use omni_core::{config::SecurityMode, identity::Scope};
use omni_tests::{
    agent::{Agent, Speaks},
    door::{Door, Reply},
    office::Office,
    server::FakeServer,
};
use reqwest::{Method, RequestBuilder};
use serde_json::json;

use super::http::ADA;

pub(super) const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;

pub(super) fn framed(request: RequestBuilder, body: &str) -> RequestBuilder {
    request
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .body(body.to_owned())
}

fn post(office: &Office, key: &str, body: &str) -> RequestBuilder {
    framed(office.request(Method::POST, key, "/mcp"), body)
}

async fn session(office: &Office, key: &str) -> String {
    let reply = Reply::of(post(office, key, INITIALIZE)).await.is(200);
    reply.header("mcp-session-id").to_owned()
}

fn ping(id: u32) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "method": "tools/list" }).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_for_whoever_began_it_and_for_no_other_key() {
    let office = Office::open().await;
    let (ada, other, eve) = (office.key(ADA).await, office.key(ADA).await, office.key("chief@company.com").await);
    let id = session(&office, &ada).await;
    let with = |request: RequestBuilder| request.header("mcp-session-id", &id);
    Reply::of(with(post(&office, &ada, &ping(2)))).await.is(200);
    for stranger in [&other, &eve] {
        Reply::of(with(post(&office, stranger, &ping(3)))).await.error(404, "not_found");
        let stream = office.request(Method::GET, stranger, "/mcp").header("accept", "text/event-stream");
        Reply::of(with(stream)).await.error(404, "not_found");
        Reply::of(with(office.request(Method::DELETE, stranger, "/mcp"))).await.error(404, "not_found");
    }
    Reply::of(with(post(&office, &ada, &ping(4)))).await.is(200);
    Reply::of(with(office.request(Method::DELETE, &ada, "/mcp"))).await.is(204);
    Reply::of(with(post(&office, &ada, &ping(5)))).await.error(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn session_ids_are_random_and_long() {
    let office = Office::open().await;
    let key = office.key(ADA).await;
    let mut ids = Vec::new();
    for _ in 0..8 {
        ids.push(session(&office, &key).await);
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 8);
    assert!(ids.iter().all(|id| id.len() >= 32), "{ids:?}");
}

#[tokio::test]
async fn sessions_are_bounded_and_one_person_does_not_take_them_all() {
    let door = Door::with(|config| config.gateway.max_sessions = 8, |builder| builder).await;
    let ada = door.key(ADA, &[Scope::Tools]).await;
    let begin = |key: String| {
        let request = framed(door.request(Method::POST, "/mcp").bearer_auth(key), INITIALIZE);
        async move { Reply::of(request).await }
    };
    // However many begin at once.
    let begun = futures::future::join_all((0..24).map(|_| begin(ada.clone()))).await;
    assert_eq!(begun.iter().filter(|reply| reply.status == 200).count(), 2);
    let full = begin(ada.clone()).await;
    full.error(503, "unavailable");
    assert!(!full.header("retry-after").is_empty());
    for name in ["bob@company.com", "cid@company.com", "dan@company.com"] {
        let key = door.key(name, &[Scope::Tools]).await;
        for _ in 0..2 {
            begin(key.clone()).await.is(200);
        }
    }
    begin(door.key("eve@company.com", &[Scope::Tools]).await).await.error(503, "unavailable");
}

#[tokio::test]
async fn a_session_in_which_nothing_happens_ends() {
    let idle = std::time::Duration::from_millis(200);
    let door = Door::with(|config| config.gateway.session_idle = idle, |builder| builder).await;
    let key = door.key(ADA, &[Scope::Tools]).await;
    let reply = Reply::of(framed(door.request(Method::POST, "/mcp").bearer_auth(&key), INITIALIZE)).await.is(200);
    let id = reply.header("mcp-session-id").to_owned();
    for _ in 0..100 {
        tokio::time::sleep(idle * 3).await;
        let request = framed(door.request(Method::POST, "/mcp").bearer_auth(&key), &ping(2));
        if Reply::of(request.header("mcp-session-id", &id)).await.status == 404 {
            return;
        }
    }
    panic!("the session lives for ever");
}

#[tokio::test]
async fn hosts_and_origins_that_are_not_ours_are_refused_by_default() {
    let door = Door::with(|config| config.mode = SecurityMode::TrustedLocal, |builder| builder).await;
    let key = door.key(ADA, &[Scope::Tools]).await;
    let begin = |name: &'static str, value: &'static str| {
        let request = door.request(Method::POST, "/mcp").bearer_auth(&key).header(name, value);
        Reply::of(framed(request, INITIALIZE))
    };
    for (name, value) in [
        ("host", "evil.example"),
        ("host", "127.0.0.1.evil.example:80"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
    ] {
        begin(name, value).await.error(403, "denied");
    }
    begin("x-own", "1").await.is(200);
    // Without a key as well: what is refused is not even asked who it is.
    let request = door.request(Method::POST, "/mcp").header("host", "evil.example");
    Reply::of(framed(request, INITIALIZE)).await.error(403, "denied");
}

#[tokio::test]
async fn nobody_is_let_in_without_a_credential_nor_with_one_for_something_else() {
    let door = Door::new().await;
    let url = format!("http://{}/mcp", door.address());
    let reply = Reply::of(framed(door.request(Method::POST, "/mcp"), INITIALIZE)).await;
    reply.error(401, "unauthenticated");
    assert!(Agent::try_connect(&url, Some("omni_wrong"), Speaks::New, None).await.is_err());
    let asks = door.key(ADA, &[Scope::Ask]).await;
    let agent = Agent::connect(&url, &asks, Speaks::New).await;
    let error = agent.peer().list_all_tools().await.unwrap_err().to_string();
    assert!(error.contains("mcp"), "{error}");
    assert!(agent.call("lab__echo", json!({ "message": "hi" })).await.is_err());
}

#[tokio::test]
async fn a_key_that_is_made_for_something_else_begins_no_session() {
    let door = Door::new().await;
    let asks = door.key(ADA, &[Scope::Ask]).await;
    let reply = Reply::of(framed(door.request(Method::POST, "/mcp").bearer_auth(&asks), INITIALIZE)).await.is(200);
    let answer = reply.json();
    assert_eq!((&answer["error"]["code"], &answer["id"]), (&json!(-32600), &json!(1)), "{answer}");
    assert!(answer["error"]["message"].as_str().unwrap().contains("mcp"), "{answer}");
    assert_eq!(reply.header("mcp-session-id"), "");
}

#[tokio::test]
async fn headers_that_are_unlike_the_body_and_keys_that_are_there_twice_are_refused() {
    let door = Door::new().await;
    let key = door.key(ADA, &[Scope::Tools]).await;
    let call =
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"lab__echo","arguments":{"message":"hi"}}}"#;
    let send = |headers: &[(&'static str, &'static str)], body: &str| {
        let request = door.request(Method::POST, "/mcp").bearer_auth(&key);
        Reply::of(framed(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)), body))
    };
    for headers in [&[("mcp-name", "lab__other")][..], &[("mcp-method", "tools/list")]] {
        let reply = send(headers, call).await.is(400).json();
        assert_eq!((&reply["error"]["code"], &reply["id"]), (&json!(-32020), &json!(7)), "{reply}");
    }
    let twice = call.replace(r#""name":"lab__echo""#, r#""name":"lab__echo","name":"lab__other""#);
    assert_eq!(send(&[], &twice).await.is(400).json()["error"]["code"], -32700);
    let inner = call.replace(r#"{"message":"hi"}"#, r#"{"message":"hi","message":"ho"}"#);
    assert_eq!(send(&[], &inner).await.is(400).json()["error"]["code"], -32700);
    assert_eq!(send(&[], &format!("[{call}]")).await.is(400).json()["error"]["code"], -32600);
}

#[tokio::test]
async fn bodies_have_a_bound() {
    let door = Door::with(|config| config.max_body_bytes = 400, |builder| builder).await;
    let key = door.key(ADA, &[Scope::Tools]).await;
    let long = INITIALIZE.replace("\"t\"", &format!("{:?}", "t".repeat(400)));
    let request = door.request(Method::POST, "/mcp").bearer_auth(&key);
    Reply::of(framed(request, &long)).await.error(413, "too_large");
}

/// Answers to the wrong client: 200 clients use the same ids.
#[tokio::test(flavor = "multi_thread")]
async fn clients_that_use_the_same_ids_get_their_own_answers() {
    let calls = if std::env::var_os("OMNI_TEST_FULL").is_some() { 500 } else { 10 };
    let door =
        Door::with(|config| config.max_concurrent = 10_000, |builder| builder.server("lab", FakeServer::echo())).await;
    let key = door.key(ADA, &[Scope::Tools]).await;
    let client = |number: usize| {
        let (door, key) = (&door, &key);
        async move {
            let begin = framed(door.request(Method::POST, "/mcp").bearer_auth(key), INITIALIZE);
            let id = Reply::of(begin).await.is(200).header("mcp-session-id").to_owned();
            for call in 0..calls {
                let message = format!("{number}-{call}");
                let body = json!({ "jsonrpc": "2.0", "id": call, "method": "tools/call",
                    "params": { "name": "lab__echo", "arguments": { "message": message } } });
                let request = framed(door.request(Method::POST, "/mcp").bearer_auth(key), &body.to_string());
                let reply = Reply::of(request.header("mcp-session-id", &id)).await.is(200);
                // The short way: clients that ask for more have a transport of their own, and share nothing.
                assert_eq!(reply.header("content-type"), "application/json");
                let answer = reply.json();
                assert_eq!(answer["id"], call);
                assert_eq!(answer["result"]["content"][0]["text"], message, "an answer crossed");
            }
        }
    };
    futures::future::join_all((0..200).map(client)).await;
}

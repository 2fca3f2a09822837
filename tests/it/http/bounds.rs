//! Nothing that comes from outside is without a bound.

use std::time::Duration;

use omni_core::{
    config::HttpConfig,
    identity::Scope,
    llm::scripted::{Scripted, call_turn},
};
use omni_tests::{
    door::{Door, Reply},
    rig::until,
    server::FakeServer,
};
use reqwest::Method;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::ADA;

/// A door whose model waits for a tool that never ends.
async fn waiting(set: impl FnOnce(&mut HttpConfig)) -> (Door, FakeServer) {
    let server = FakeServer::new().hanging("wait");
    let llm = Scripted::from_fn(|_| Ok(call_turn(0, &[("lab__wait", json!({}))])));
    (Door::with(set, |builder| builder.llm(llm).server("lab", server.clone())).await, server)
}

#[tokio::test]
async fn bodies_queries_and_depth_have_a_bound() {
    let set =
        |config: &mut HttpConfig| (config.max_body_bytes, config.max_query_bytes, config.max_json_depth) = (200, 20, 3);
    let door = Door::with(set, |builder| builder).await;
    let key = door.key(ADA, &[Scope::Ask]).await;
    let long = json!({ "message": "x".repeat(200) });
    assert_eq!(door.post_by(&key, "/chat/ask", &long).await.error(413, "too_large"), "the body may have 200 bytes");
    let deep = json!({ "message": "x", "more": [[[1]]] });
    assert_eq!(door.post_by(&key, "/chat/ask", &deep).await.error(422, "invalid")[0]["type"], "json_invalid");
    door.post_by(&key, "/chat/ask", &json!({ "message": "x", "more": [[1]] })).await.is(200);
    door.get(&format!("/health?{}", "x".repeat(21))).await.error(414, "too_large");
    door.get("/health?x").await.is(200);
}

/// The beginning of the answer to a request whose body does not come.
async fn told_at_once(door: &Door, request: &str, bytes: usize) -> String {
    let mut stream = TcpStream::connect(door.address()).await.unwrap();
    let head = format!("{request} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {bytes}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    timeout(Duration::from_secs(10), stream.read_exact(&mut answer)).await.expect("it waits for the body").unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn who_has_no_credential_finds_room_for_a_login_and_no_more() {
    let door = Door::new().await;
    for request in ["GET /health/live", "GET /", "HEAD /health", "GET /openapi.json"] {
        assert_eq!(told_at_once(&door, request, 100_000).await, "HTTP/1.1 413", "{request}");
    }
    Reply::of(door.request(Method::GET, "/health/live").body("x".repeat(4_000))).await.is(200);
    let key = door.key(ADA, &[Scope::Ask]).await;
    let long = json!({ "message": "x", "more": "x".repeat(100_000) });
    door.post_by(&key, "/chat/ask", &long).await.is(200);
}

#[tokio::test]
async fn a_head_has_a_bound() {
    let door = Door::with(|config| config.max_header_bytes = 8_192, |builder| builder).await;
    let mut stream = TcpStream::connect(door.address()).await.unwrap();
    let head = format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "x".repeat(10_000));
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // The rest of the head is never read, and the connection may be reset for it.
    let _ = stream.read_to_end(&mut answer).await;
    assert!(answer.starts_with(b"HTTP/1.1 431"), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn whoever_finds_no_room_is_told_to_come_back_and_probes_find_some() {
    let (door, server) = waiting(|config| config.max_concurrent = 1).await;
    let key = door.key(ADA, &[Scope::Ask]).await;
    let request = door.request(Method::POST, "/chat/ask").bearer_auth(&key).json(&json!({ "message": "Wait" }));
    let asking = tokio::spawn(Reply::of(request));
    until(|| server.running() == 1).await;
    let refused = door.post_by(&key, "/chat/ask", &json!({ "message": "Hi" })).await;
    refused.error(503, "unavailable");
    assert_eq!(refused.header("retry-after"), "1");
    door.get("/health/ready").await.is(200);
    asking.abort();
    until(|| server.running() == 0).await;
}

#[tokio::test]
async fn a_request_has_its_time() {
    let (door, server) = waiting(|config| config.request_timeout = Duration::from_millis(300)).await;
    let key = door.key(ADA, &[Scope::Ask]).await;
    door.post_by(&key, "/chat/ask", &json!({ "message": "Wait" })).await.error(504, "timeout");
    until(|| server.running() == 0).await;
}

#[tokio::test]
async fn answers_are_made_for_browsers_that_are_careful() {
    let set = |config: &mut HttpConfig| config.cors_origins = vec!["https://portal.company.com".into()];
    let door = Door::with(set, |builder| builder).await;
    let reply = door.get("/").await.is(200);
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("cache-control", "no-store"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ] {
        assert_eq!(reply.header(name), value);
    }
    let ask = async |origin: &str| {
        let request = door.request(Method::OPTIONS, "/chat/ask").header("origin", origin);
        Reply::of(request.header("access-control-request-method", "POST")).await
    };
    let own = ask("https://portal.company.com").await.is(200);
    assert_eq!(own.header("access-control-allow-origin"), "https://portal.company.com");
    assert_eq!(own.header("access-control-allow-credentials"), "");
    assert_eq!(own.header("access-control-max-age"), "600");
    let told = Reply::of(door.request(Method::GET, "/").header("origin", "https://portal.company.com")).await;
    let told: Vec<&str> = told.header("access-control-expose-headers").split(',').map(str::trim).collect();
    for header in ["x-request-id", "x-omni-request-id", "content-disposition", "x-next-after"] {
        assert!(told.contains(&header), "{header}: {told:?}");
    }
    assert_eq!(ask("https://evil.example").await.header("access-control-allow-origin"), "");
}

/// The head of an answer, as it comes for somebody who takes it small.
async fn small_head(door: &Door, request: &str) -> String {
    let mut stream = TcpStream::connect(door.address()).await.unwrap();
    let more = "host: localhost\r\norigin: https://portal.company.com\r\naccept-encoding: gzip\r\nconnection: close";
    stream.write_all(format!("{request} HTTP/1.1\r\n{more}\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    timeout(Duration::from_secs(30), stream.read_to_end(&mut answer)).await.unwrap().unwrap();
    let end = answer.windows(4).position(|end| end == b"\r\n\r\n").unwrap();
    String::from_utf8_lossy(&answer[..end]).to_lowercase()
}

#[tokio::test]
async fn an_answer_is_made_small_for_who_takes_it_so_and_has_the_headers_of_every_other() {
    const ALWAYS: [&str; 2] = ["x-request-id: ", "x-content-type-options: nosniff"];
    for origins in [vec!["https://portal.company.com".to_owned()], Vec::new()] {
        let door = Door::with(|config| config.cors_origins.clone_from(&origins), |builder| builder).await;
        let large = small_head(&door, "GET /openapi.json").await;
        let asked = small_head(&door, "OPTIONS /openapi.json").await;
        assert!(large.contains("content-encoding: gzip"), "{large}");
        for head in [large, asked] {
            assert!(ALWAYS.iter().all(|header| head.contains(header)), "{head}");
            let is_told = head.contains("access-control-allow-origin: https://portal.company.com");
            assert_eq!(is_told, !origins.is_empty(), "{head}");
        }
    }
}

#[tokio::test]
async fn two_doors_in_one_process_know_nothing_of_each_other() {
    let (one, other) = (Door::new().await, Door::with(|config| config.docs = false, |builder| builder).await);
    let key = one.key(ADA, &[Scope::Ask]).await;
    one.post_by(&key, "/chat/ask", &json!({ "message": "Hi" })).await.is(200);
    other.post_by(&key, "/chat/ask", &json!({ "message": "Hi" })).await.error(401, "unauthenticated");
    one.get("/openapi.json").await.is(200);
    other.get("/openapi.json").await.error(401, "unauthenticated");
}

#[tokio::test]
async fn who_is_slow_with_a_body_takes_nobodys_room() {
    let door = Door::with(|config| config.max_concurrent = 1, |builder| builder).await;
    let key = door.key(ADA, &[Scope::Ask]).await;
    let mut slow = Vec::new();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(door.address()).await.unwrap();
        let head = format!(
            "POST /chat/ask HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n\
             content-length: 100\r\n\r\n{{"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    for _ in 0..20 {
        door.post_by(&key, "/chat/ask", &json!({ "message": "Hi" })).await.is(200);
    }
}

//! The document, and the pages that show it.

use omni_core::{
    Omni,
    config::HttpConfig,
    net::{self, ClientOptions},
};
use omni_tests::door::{Door, Reply};
use reqwest::Method;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// What anybody may ask for.
const OPEN: [(&str, &str); 5] =
    [("get", "/"), ("get", "/health"), ("get", "/health/live"), ("get", "/health/ready"), ("get", "/health/cache")];

/// Every operation of the document: method, path, description.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    let operations = paths.flat_map(|(path, item)| {
        item.as_object()
            .unwrap()
            .iter()
            .map(move |(method, operation)| (method.clone(), path.clone(), operation.clone()))
    });
    operations.collect()
}

#[tokio::test]
async fn the_document_is_what_it_was() {
    let document = Door::new().await.get("/openapi.json").await.is(200).json();
    insta::assert_json_snapshot!("openapi", document, { ".info.version" => "[version]" });
}

#[tokio::test]
async fn every_route_of_the_document_is_there_and_closed_unless_it_is_listed() {
    let door = Door::new().await;
    let document = door.get("/openapi.json").await.json();
    for (method, path, operation) in operations(&document) {
        let is_open = OPEN.contains(&(&*method, &*path));
        let reply = Reply::of(door.request(method.to_uppercase().parse().unwrap(), &path)).await;
        assert_eq!(reply.status, if is_open { 200 } else { 401 }, "{method} {path}");
        let wants_key = operation["security"][0].as_object().is_some_and(|scheme| !scheme.is_empty());
        assert_eq!(wants_key, !is_open, "{method} {path}");
        assert_eq!(operation["responses"].get("401").is_some(), !is_open, "{method} {path}");
        let wrong = &operation["responses"]["500"]["content"]["application/json"]["schema"]["$ref"];
        assert_eq!(wrong, "#/components/schemas/ErrorBody", "{method} {path}");
    }
}

#[tokio::test]
async fn the_document_names_nothing_that_it_does_not_have() {
    let document = Door::new().await.get("/openapi.json").await.json();
    let mut open = vec![&document];
    while let Some(value) = open.pop() {
        match value {
            Value::Object(entries) => {
                if let Some(name) = entries.get("$ref").and_then(Value::as_str) {
                    assert!(document.pointer(name.trim_start_matches('#')).is_some(), "{name}");
                }
                open.extend(entries.values());
            }
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_door_that_is_mounted_below_a_path_is_open_and_closed_as_anywhere() {
    let omni = Omni::builder().build().await.unwrap();
    let outer = axum::Router::new().nest("/omni", omni_http::router(omni, HttpConfig::default()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = format!("http://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(axum::serve(listener, outer).into_future());
    let client = net::client(&ClientOptions::for_url(&host.parse().unwrap())).unwrap();
    let get = async |path: &str| {
        let reply = Reply::of(client.get(format!("{host}{path}"))).await;
        (reply.status, reply.header("location").to_owned())
    };
    for path in ["/omni", "/omni/health", "/omni/openapi.json", "/omni/docs/", "/omni/redoc", "/omni/redoc/start.js"] {
        assert_eq!(get(path).await.0, 200, "{path}");
    }
    assert_eq!(get("/omni/docs").await, (303, "docs/".into()));
    for path in ["/omni/users", "/omni/admin/mcps", "/omni/nowhere", "/omni/metrics"] {
        assert_eq!(get(path).await.0, 401, "{path}");
    }
    serving.abort();
}

#[tokio::test]
async fn the_pages_load_nothing_from_anywhere_else() {
    let door = Door::new().await;
    let moved = door.get("/docs").await.is(303);
    assert_eq!(moved.header("location"), "docs/");
    for path in ["/docs/", "/redoc"] {
        let page = door.get(path).await.is(200);
        assert!(page.header("content-type").starts_with("text/html"), "{path}");
        assert!(!page.text.contains("http://") && !page.text.contains("https://"), "{}", page.text);
        let policy = page.header("content-security-policy");
        assert!(policy.contains("script-src 'self';") && policy.starts_with("default-src 'none'"), "{policy}");
        let scripts: Vec<&str> =
            page.text.split("<script src=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(scripts.len() >= 2, "{scripts:?}");
        for script in scripts {
            let script = script.strip_prefix("./").map_or(format!("/{script}"), |script| format!("/docs/{script}"));
            let script = door.get(&script).await.is(200);
            assert!(script.header("content-type").contains("javascript"));
        }
    }
    let start = door.get("/docs/swagger-initializer.js").await.is(200);
    assert!(start.text.contains("/openapi.json") && !start.text.contains("http"), "{}", start.text);
    let redoc = door.get("/redoc/redoc.standalone.js").await.is(200);
    assert!(!redoc.text.contains("cdn.redoc.ly"));
    assert!(door.get("/redoc/LICENSE").await.is(200).text.contains("MIT License"));
    Reply::of(door.request(Method::POST, "/docs/")).await.error(401, "unauthenticated");
}

/// An answer as it is on the wire: clients unpack what is packed.
async fn on_the_wire(door: &Door, path: &str, accepted: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(door.address()).await.unwrap();
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: localhost\r\naccept-encoding: {accepted}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap();
    let body = answer.split_off(end + 4);
    (String::from_utf8(answer).unwrap().to_lowercase(), body)
}

#[tokio::test]
async fn what_the_program_carries_packed_is_packed_for_those_alone_who_take_it_so() {
    let door = Door::new().await;
    for path in ["/docs/swagger-ui-bundle.js", "/redoc/redoc.standalone.js"] {
        let (packed, small) = on_the_wire(&door, path, "gzip").await;
        let (plain, large) = on_the_wire(&door, path, "identity").await;
        assert!(packed.contains("content-encoding: gzip") && !plain.contains("content-encoding"), "{packed}{plain}");
        assert!(large.len() > 1_000_000 && small.len() < large.len() / 2, "{} {}", small.len(), large.len());
        assert!(String::from_utf8_lossy(&large).contains("function"));
    }
}

//! The document, and the pages that show it.

use omni_core::{
    Omni,
    config::HttpConfig,
    net::{self, ClientOptions},
};
use omni_tests::door::{Door, Reply};
use reqwest::Method;
use serde_json::Value;

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
    for (accepted, encoding) in [("identity", ""), ("gzip", "gzip")] {
        for script in ["/docs/swagger-ui-bundle.js", "/redoc/redoc.standalone.js"] {
            let script = door.request(Method::GET, script).header("accept-encoding", accepted).send().await.unwrap();
            let said = script.headers().get("content-encoding").map_or("", |said| said.to_str().unwrap());
            assert_eq!(said, encoding);
            let is_packed = script.bytes().await.unwrap().starts_with(&[0x1f, 0x8b]);
            assert_eq!(is_packed, encoding == "gzip");
        }
    }
    assert!(door.get("/redoc/LICENSE").await.is(200).text.contains("MIT License"));
    Reply::of(door.request(Method::POST, "/docs/")).await.error(401, "unauthenticated");
}

//! What one may not use is not there for one, and how servers are reached is for administrators, by
//! whichever route.

use omni_tests::office::{INSIDE, Office};
use serde_json::{Value, json};

use super::{ADA, BOSS};

/// Every route of the document that somebody may read, with its parameters filled in.
async fn readable(office: &Office, key: &str) -> Vec<String> {
    let document = office.get(key, "/openapi.json").await.json();
    let paths = document["paths"].as_object().unwrap().iter();
    let mut all: Vec<String> =
        paths.filter(|(_, item)| item.get("get").is_some()).map(|(path, _)| path.clone()).collect();
    all.extend(
        ["/audit/logs?format=csv", "/audit/my-logs?format=ndjson", "/mcp/tools/servers?include_health=true"]
            .map(String::from),
    );
    let filled = |path: String| {
        let path = path.replace("{server}", "away").replace("{mcp_name}", "lab").replace("{email}", ADA);
        path.replace("{id}", "1")
    };
    all.into_iter().map(filled).collect()
}

#[tokio::test]
async fn no_route_tells_a_person_of_the_inside_or_of_what_is_not_for_them() {
    let office = Office::open().await;
    let ada = office.key(ADA).await;
    let mut told: Vec<Value> = Vec::new();
    for (server, tool) in [("lab", "echo"), ("lab", "drop_table"), ("away", "echo"), ("lab", "fail")] {
        told.push(office.call(&ada, server, tool).await.json()["request_id"].clone());
    }
    office.post(&ada, "/chat/ask", &json!({ "message": "away echo" })).await.is(200);
    office.settle().await;
    let mut routes = readable(&office, &ada).await;
    routes.retain(|path| !path.starts_with("/audit/logs/"));
    routes.extend(told.iter().filter_map(Value::as_str).map(|id| format!("/audit/logs/{id}")));
    assert!(routes.len() > 30, "{routes:?}");
    let table = office.get(&ada, "/audit/logs?format=csv").await.is(200);
    assert!(table.text.lines().count() > 5 && table.text.contains("away"), "there is something to tell: {table:?}");
    for path in routes {
        let reply = office.get(&ada, &path).await;
        // The open routes tell anybody which servers there are and how they do, and nothing else of them.
        let is_open = path.starts_with("/health");
        for secret in INSIDE.into_iter().filter(|secret| !(is_open && *secret == "hidden")) {
            assert!(!reply.text.contains(secret), "{path} tells of {secret}: {}", reply.text);
        }
    }
}

#[tokio::test]
async fn administrators_are_told() {
    let office = Office::open().await;
    let (ada, boss) = (office.key(ADA).await, office.key(BOSS).await);
    let id = office.call(&ada, "away", "echo").await.is(503).json()["request_id"].as_str().unwrap().to_owned();
    office.settle().await;
    let path = format!("/audit/logs/{id}");
    let own = office.get(&ada, &path).await.is(200).json();
    assert_eq!(own["error_message"], "it failed; an administrator can see why");
    assert_eq!(own["response_preview"], own["error_message"]);
    assert_eq!(own["tool_calls"][0]["error"], own["error_message"]);
    let of_all = office.get(&boss, &path).await.is(200).json();
    for secret in [&of_all["error_message"], &of_all["tool_calls"][0]["error"]] {
        assert!(!secret.as_str().unwrap().contains("an administrator"), "{of_all}");
    }
}

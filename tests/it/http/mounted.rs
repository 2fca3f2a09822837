//! What a door links to that a program mounts below a path.

use omni_core::{
    config::HttpConfig,
    identity::Scope,
    llm::scripted::{Scripted, call_turn, text_turn},
    net::{self, ClientOptions},
    policy::{Quota, Role, RuleSet, memory::MemoryPolicy},
};
use omni_tests::{
    door::{Door, Reply},
    server::{FakeServer, any, text},
};
use serde_json::{Value, json};
use url::Url;

use super::ADA;

#[tokio::test]
async fn what_a_door_links_to_is_where_it_is_mounted() {
    let server = FakeServer::new().tool("wipe", any(), |_| Box::pin(async { Ok(text("wiped")) }));
    let llm = Scripted::new().turn(call_turn(0, &[("lab__wipe", json!({}))])).turn(text_turn("It is done."));
    let rules = RuleSet::builder().allow("lab", "*").confirm("lab", "wipe").build().unwrap();
    let policy = MemoryPolicy::new().with_subject(ADA, Role::new("dba"), rules, Quota::default());
    let door = Door::with(|_| {}, |builder| builder.llm(llm).server("lab", server).policy(policy)).await;
    let key = door.key(ADA, &[Scope::Ask]).await;
    let outer = axum::Router::new().nest("/omni", omni_http::router(door.omni.clone(), HttpConfig::default()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host: Url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let serving = tokio::spawn(axum::serve(listener, outer).into_future());
    let client = net::client(&ClientOptions::for_url(&host)).unwrap();

    let root = Reply::of(client.get(host.join("/omni").unwrap())).await.is(200).json();
    assert_eq!((&root["docs"], &root["health"]), (&json!("/omni/docs"), &json!("/omni/health")));
    let at = host.join("/omni/openapi.json").unwrap();
    let document = Reply::of(client.get(at.clone())).await.is(200).json();
    let base = at.join(document["servers"][0]["url"].as_str().unwrap()).unwrap();
    let post = async |to: Url, body: Value| Reply::of(client.post(to).bearer_auth(&key).json(&body)).await;
    let asked = post(base.join("chat/ask").unwrap(), json!({ "message": "Wipe it" })).await.is(202).json();
    let url = host.join(asked["confirmations"][0]["url"].as_str().unwrap()).unwrap();
    let done = post(url, json!({ "approve": true })).await.is(200).json();
    assert_eq!(done["answer"], "It is done.");
    serving.abort();
}

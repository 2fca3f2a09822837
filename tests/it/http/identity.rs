//! People whom an issuer or a proxy vouches for, at the HTTP door.

use std::{collections::BTreeMap, path::Path};

use omni_core::{Config, Omni, Registry, audit, config::LoadOptions, limit, llm, policy};
use omni_tests::{
    door::{Door, Reply},
    issuer::{Issuer, Signer},
};
use reqwest::Method;
use serde_json::{Value, json};

const USERS: &str =
    "users: [{ email: ann@company.com, role: contractor }]\nblocked_users: [{ email: bad@company.com }]";

/// A pipeline of files, with these lines under `security`.
async fn omni(dir: &Path, security: &str) -> Omni {
    let mut registry = Registry::empty();
    policy::yaml::register(&mut registry);
    limit::memory::register(&mut registry);
    llm::offline::register(&mut registry);
    audit::sql::register(&mut registry);
    let settings = format!("data_dir: data\nllm: {{ provider: offline }}\nsecurity:\n{security}");
    std::fs::write(dir.join("settings.yaml"), settings).unwrap();
    std::fs::write(dir.join("users.yaml"), USERS).unwrap();
    let config = Config::load(LoadOptions::new(BTreeMap::new(), dir).with_dir(dir)).unwrap();
    Omni::from_config(&config, &registry).await.unwrap()
}

fn question() -> Value {
    json!({ "message": "What can you do?" })
}

#[tokio::test]
async fn a_token_of_the_issuer_lets_in_and_another_does_not() {
    let (signer, forger) = (Signer::p256("k1"), Signer::p256("k1"));
    let issuer = Issuer::start(&[&signer]);
    let dir = tempfile::tempdir().unwrap();
    let oidc = format!("  oidc:\n    issuer: {}\n    audience: omni\n    roles:\n      dbas: dba\n", issuer.url());
    let door = Door::over(omni(dir.path(), &oidc).await, |_| {}).await;
    let claims = |email: &str| issuer.claims(json!({ "email": email, "groups": ["dbas"] }));
    let token = signer.token(&claims("new@company.com"));
    let answer = door.post_by(&token, "/chat/ask", &question()).await.is(200).json();
    assert_eq!((&answer["user"], &answer["role"]), (&json!("new@company.com"), &json!("dba")));

    let forged = forger.token(&claims("new@company.com"));
    for refused in [&*forged, "a.b.c", "nonsense"] {
        door.post_by(refused, "/chat/ask", &question()).await.error(401, "unauthenticated");
    }
    let blocked = signer.token(&claims("bad@company.com"));
    door.post_by(&blocked, "/chat/ask", &question()).await.error(403, "denied");
    let for_another = json!({ "message": "Hi", "user_id": "ann@company.com" });
    door.post_by(&token, "/chat/ask", &for_another).await.error(403, "denied");
    let in_the_wrong_header = door.request(Method::POST, "/chat/ask").header("x-api-key", &token).json(&question());
    Reply::of(in_the_wrong_header).await.error(401, "unauthenticated");
    door.end().await;
}

/// A request with what a proxy would say.
async fn told(door: &Door, email: &str) -> Reply {
    let request = door.request(Method::POST, "/chat/ask").json(&question());
    Reply::of(request.header("x-auth-email", email).header("x-forwarded-for", "198.51.100.1")).await
}

#[tokio::test]
async fn headers_say_who_asks_only_where_a_trusted_proxy_is_at_the_other_end() {
    for (trusted, is_let_in) in [("127.0.0.0/8", true), ("10.0.0.0/8", false)] {
        let dir = tempfile::tempdir().unwrap();
        let proxy = format!("  proxy:\n    trusted: [{trusted}]\n    email_header: X-Auth-Email\n");
        let omni = omni(dir.path(), &proxy).await;
        let set = |config: &mut omni_core::config::HttpConfig| config.trusted_proxies = vec![trusted.parse().unwrap()];
        let door = Door::over(omni, set).await;
        let reply = told(&door, "ann@company.com").await;
        match is_let_in {
            true => assert_eq!(reply.is(200).json()["user"], "ann@company.com"),
            false => drop(reply.error(401, "unauthenticated")),
        }
        door.end().await;
    }
}

#[tokio::test]
async fn the_record_has_the_address_that_trusted_proxies_tell_of() {
    for (trusted, address) in [("127.0.0.0/8", "198.51.100.1"), ("10.0.0.0/8", "127.0.0.1")] {
        let set = |config: &mut omni_core::config::HttpConfig| config.trusted_proxies = vec![trusted.parse().unwrap()];
        let door = Door::with(set, |builder| builder).await;
        let key = door.key("ann@company.com", &[omni_core::identity::Scope::Ask]).await;
        let request = door.request(Method::POST, "/chat/ask").bearer_auth(&key).json(&question());
        Reply::of(request.header("x-forwarded-for", "198.51.100.1")).await.is(200);
        let recorder = door.end().await;
        let party = recorder.records().into_iter().filter_map(|record| record.party).next_back().unwrap();
        assert_eq!(party.client.address.unwrap().to_string(), address);
    }
}

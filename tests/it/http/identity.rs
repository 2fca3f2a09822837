//! People whom an issuer or a proxy vouches for, at the HTTP door.

use std::{collections::BTreeMap, path::Path};

use omni_core::{Config, Omni, Registry, audit, config::LoadOptions, limit, llm, policy};
use omni_tests::{
    door::{Door, Reply},
    issuer::{Issuer, Signer},
    office::{MCPS, Office},
};
use reqwest::Method;
use serde_json::{Value, json};

use super::BOSS;

const USERS: &str =
    "users: [{ email: ann@company.com, role: contractor }]\nblocked_users: [{ email: bad@company.com }]";
const PROXY: &str = "security: { proxy: { trusted: [127.0.0.1], email_header: X-Auth-Email } }\n";

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

/// What a browser posts without a body for an administrator whom a proxy vouches for.
async fn posted(office: &Office, path: &str, headers: &[(&str, &str)]) -> Reply {
    let request = office.stranger(Method::POST, path).header("x-auth-email", BOSS);
    Reply::of(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
}

#[tokio::test]
async fn a_page_of_another_site_changes_nothing_for_whom_a_proxy_vouches_for() {
    let office = Office::with_settings(PROXY).await;
    office.write("mcps.yaml", &format!("{MCPS}  - {{ name: new_mcp, transport: fake, url: 'http://new:1/mcp' }}\n"));
    let has_new = || office.omni.known_catalog().servers.iter().any(|server| &*server.name == "new_mcp");
    let foreign: [&[(&str, &str)]; 5] = [
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")],
    ];
    for headers in foreign {
        for path in ["/admin/tools/refresh", "/admin/users/eve@company.com/enable", "/health/cache/invalidate"] {
            let told = posted(&office, path, headers).await.error(403, "denied");
            assert!(told.as_str().unwrap().contains("app.cors_origins"), "{told}");
        }
    }
    // A page of another site may have something fetched: no browser shows it what comes.
    let looked = office.stranger(Method::GET, "/admin/mcps").header("x-auth-email", BOSS);
    Reply::of(looked.header("sec-fetch-site", "cross-site")).await.is(200);
    assert!(!has_new());
    posted(&office, "/admin/tools/refresh", &[]).await.is(200);
    assert!(has_new());
}

#[tokio::test]
async fn a_page_of_omnis_own_and_whoever_is_no_page_change_something_behind_a_proxy() {
    let (public, portal) = ("public_url: 'https://omni.company.com'", "cors_origins: ['https://portal.company.com']");
    let settings = format!("{PROXY}http: {{ {public} }}\napp: {{ {portal} }}\n");
    let office = Office::with_settings(&settings).await;
    let here = office.url("");
    let own: [&[(&str, &str)]; 6] = [
        &[],
        &[("origin", &*here)],
        &[("origin", "https://omni.company.com")],
        &[("origin", "https://portal.company.com"), ("sec-fetch-site", "cross-site")],
        // The proxy asks under a name of its own, and the browser knows better.
        &[("origin", "https://intranet.company.com"), ("sec-fetch-site", "same-origin")],
        &[("sec-fetch-site", "none")],
    ];
    for headers in own {
        posted(&office, "/health/cache/invalidate", headers).await.is(200);
    }
    // Whoever brings a key may come from anywhere: no page of another site has it.
    let key = office.key(BOSS).await;
    let brought = office.request(Method::POST, &key, "/health/cache/invalidate");
    Reply::of(brought.header("origin", "https://evil.example")).await.is(200);
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

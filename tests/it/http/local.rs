//! A service that trusts this machine.

use omni_core::{
    Omni,
    config::{HttpConfig, ProxyConfig, SecurityMode},
    identity::Authenticator,
};
use omni_tests::door::{Door, Reply};
use reqwest::Method;
use serde_json::{Value, json};

use super::ADA;

fn trusts(config: &mut HttpConfig) {
    config.mode = SecurityMode::TrustedLocal;
    config.local_user = "root".into();
    config.cors_origins = vec!["https://portal.company.com".into()];
}

async fn trusting() -> Door {
    Door::with(trusts, |builder| builder).await
}

fn ask(door: &Door, body: &Value) -> reqwest::RequestBuilder {
    door.request(Method::POST, "/chat/ask").json(body)
}

#[tokio::test]
async fn whoever_comes_without_a_key_is_whom_the_request_names_or_whoever_runs_it() {
    let door = trusting().await;
    let user = async |body: Value| Reply::of(ask(&door, &body)).await.is(200).json()["user"].clone();
    assert_eq!(user(json!({ "message": "Hi", "user_id": "Ada@Company.com" })).await, ADA);
    assert_eq!(user(json!({ "message": "Hi" })).await, "local:root");
    let key = "omni_wrong";
    door.post_by(key, "/chat/ask", &json!({ "message": "Hi" })).await.error(401, "unauthenticated");
    let invalidated = Reply::of(door.request(Method::POST, "/health/cache/invalidate")).await.is(200);
    assert_eq!(invalidated.json()["success"], true);
    door.get("/metrics").await.is(200);
}

#[tokio::test]
async fn a_page_in_a_browser_here_is_not_this_machine() {
    let door = trusting().await;
    let by =
        async |name: &str, value: &str| Reply::of(ask(&door, &json!({ "message": "Hi" })).header(name, value)).await;
    for (name, value) in [
        ("host", "evil.example"),
        ("host", "127.0.0.1.evil.example"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("origin", "http://localhost:3000"),
        ("origin", "chrome-extension://localhost"),
        ("host", "evil.com@localhost"),
        ("sec-fetch-site", "cross-site"),
        ("x-forwarded-for", "203.0.113.9"),
        ("via", "1.1 nginx"),
        ("forwarded", "for=203.0.113.9"),
        ("x-forwarded-host", "omni.company.com"),
        ("x-forwarded-proto", "https"),
        ("x-real-ip", "203.0.113.9"),
    ] {
        by(name, value).await.error(401, "unauthenticated");
    }
    for (name, value) in [
        ("host", "localhost:1"),
        ("host", "[::1]"),
        ("origin", &*format!("http://{}", door.address())),
        ("origin", "https://portal.company.com"),
    ] {
        by(name, value).await.is(200);
    }
    let form = door.request(Method::POST, "/chat/ask").header("content-type", "text/plain").body(r#"{"message":"Hi"}"#);
    Reply::of(form).await.error(415, "unsupported_media_type");
}

#[tokio::test]
async fn what_a_proxy_on_this_machine_passes_on_is_not_this_machine_though_no_header_says_so() {
    for (proxy, is_let_in) in [("127.0.0.1/32", false), ("10.0.0.0/8", true)] {
        let set = |config: &mut HttpConfig| {
            trusts(config);
            config.trusted_proxies = vec![proxy.parse().unwrap()];
        };
        let of_the_door = Door::with(set, |builder| builder).await;
        let proxies = ProxyConfig::new(vec![proxy.parse().unwrap()]);
        let authenticator = Authenticator::new().with_local_act_as().with_proxy(proxies);
        let of_the_pipeline = Door::with(trusts, |builder| builder.authenticator(authenticator)).await;
        for door in [of_the_door, of_the_pipeline] {
            let reply = Reply::of(ask(&door, &json!({ "message": "Hi" }))).await;
            match is_let_in {
                true => assert_eq!(reply.is(200).json()["user"], "local:root"),
                false => drop(reply.error(401, "unauthenticated")),
            }
        }
    }
}

#[tokio::test]
async fn it_listens_on_loopback_only() {
    let mut config = HttpConfig::default();
    config.mode = SecurityMode::TrustedLocal;
    for (bind, is_let) in [("0.0.0.0:0", false), ("[::]:0", false), ("127.0.0.1:0", true), ("localhost:0", true)] {
        let omni = Omni::builder().build().await.unwrap();
        let bound = omni_http::Server::bind(omni, config.clone().with_bind(bind).unwrap()).await;
        assert_eq!(bound.is_ok(), is_let, "{bind}");
        if let Err(error) = bound {
            assert!(error.to_string().contains("listens on loopback only"), "{error}");
        }
    }
}

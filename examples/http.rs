//! The HTTP door below a path of an axum application of one's own:
//! `cargo run -p omni-examples --example http [-- 127.0.0.1:8000]`.
//!
//! Without an address it asks itself one question, as a client would, and ends.

use std::net::SocketAddr;

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::Request,
    http::header,
    routing::get,
};
use omni_core::{
    ExposeSecret as _, Omni,
    config::HttpConfig,
    identity::{ApiKey, Authenticator, Keys, Scope, keys::memory::MemoryKeys},
};
use tower::ServiceExt as _;

/// Longest answer that is read.
const MAX_ANSWER: usize = 1 << 20;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let keys = Keys::new(MemoryKeys::new());
    let issued = ApiKey::issue("ada@company.com", [Scope::Ask].into_iter().collect());
    keys.store().insert(&issued.key).await?;
    let omni = Omni::builder().authenticator(Authenticator::new().with_keys(keys)).build().await?;
    let app = Router::new()
        .route("/", get(async || "an application of one's own"))
        .nest("/omni", omni_http::router(omni.clone(), HttpConfig::default()));
    let key = issued.secret.expose_secret();
    match std::env::args().nth(1) {
        Some(address) => serve(app, &address, key).await?,
        None => show(&ask(app, key).await?),
    }
    omni.shutdown().await;
    Ok(())
}

async fn serve(app: Router, address: &str, key: &str) -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::bind(address).await?;
    show(&format!("http://{}/omni/docs, with the key {key}", listener.local_addr()?));
    // The door records where requests come from.
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    let stop = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    Ok(axum::serve(listener, service).with_graceful_shutdown(stop).await?)
}

async fn ask(app: Router, key: &str) -> anyhow::Result<String> {
    let request = Request::post("/omni/chat/ask")
        .header(header::AUTHORIZATION, format!("Bearer {key}"))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(r#"{"message": "What can you do?"}"#))?;
    let answer = app.oneshot(request).await?;
    Ok(String::from_utf8(to_bytes(answer.into_body(), MAX_ANSWER).await?.to_vec())?)
}

#[allow(clippy::print_stdout, reason = "this sample's output is for a person")]
fn show(text: &str) {
    println!("{text}");
}

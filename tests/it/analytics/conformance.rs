//! The conformance suite's scenarios that need no fixture, on the server's HTTP form.

use axum::{Router, body::Body, extract::State, http::Request, response::Response, routing::any};
use omni_core::net::{self, ClientOptions};
use omni_tests::parts::Conformance;
use tokio::{net::TcpListener, process::Command};

use super::program::{Served, home_with_key};

const OLD: &[&str] = &["server-initialize", "ping", "tools-list", "dns-rebinding-protection"];
const NEW: &[&str] = &["tools-list", "dns-rebinding-protection"];

/// The suite has no key: something before the server adds it, and changes nothing else.
async fn keyed(served: &Served, key: &str) -> String {
    let client = net::client(&ClientOptions::for_url(&served.url.parse().unwrap())).unwrap();
    let state = (client, served.url.clone(), format!("Bearer {key}"));
    let router = Router::new().route("/mcp", any(forward)).with_state(state);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

async fn forward(
    State((client, url, key)): State<(reqwest::Client, String, String)>,
    request: Request<Body>,
) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let mut headers = parts.headers;
    headers.insert("authorization", key.parse().unwrap());
    headers.remove("content-length");
    let answer = client.request(parts.method, format!("{url}/mcp")).headers(headers).body(body).send().await.unwrap();
    let mut response = Response::builder().status(answer.status());
    for (name, value) in answer.headers().iter().filter(|(name, _)| *name != "transfer-encoding") {
        response = response.header(name, value);
    }
    response.body(Body::from_stream(answer.bytes_stream())).unwrap()
}

async fn passes(url: &str, revision: &str, scenario: &str) {
    let out = tempfile::tempdir().unwrap();
    let args = ["server", "--url", url, "--spec-version", revision, "--scenario", scenario];
    let mut suite = Conformance::find().command(&args);
    suite.arg("-o").arg(out.path());
    let ran = Command::from(suite).kill_on_drop(true).output().await.unwrap();
    let told = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{revision} {scenario}\n{told}\n{}", String::from_utf8_lossy(&ran.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_http_form_conforms_to_either_revision() {
    let (home, key) = home_with_key();
    let served = Served::start(&home);
    let url = keyed(&served, &key).await;
    for (revision, scenarios) in [("2025-11-25", OLD), ("2026-07-28", NEW)] {
        for scenario in scenarios {
            passes(&url, revision, scenario).await;
        }
    }
    served.stop();
}

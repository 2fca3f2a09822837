//! The official SDKs as clients.

use std::path::{Path, PathBuf};

use omni_tests::{office::Office, parts::Parts};
use serde_json::Value;
use tokio::process::Command;

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(name)
}

async fn saw(command: &mut Command) -> Value {
    let output = command.kill_on_drop(true).output().await.unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    serde_json::from_str(out.trim()).unwrap_or_else(|error| panic!("{error}: {out}\n{err}"))
}

/// Somebody who may call one tool of one server, once an hour.
async fn seldom(office: &Office) -> String {
    office.key("tim@company.com").await
}

fn check(saw: &Value, said: &str) {
    let tools = saw["tools"].as_array().unwrap();
    assert!(tools.contains(&"lab__echo".into()) && !tools.contains(&"hidden__echo".into()), "{saw}");
    assert_eq!(saw["echoed"], said, "{saw}");
    assert_eq!(saw["limited"][0], true, "{saw}");
    assert!(saw["limited"][1].as_str().unwrap().contains("limit"), "{saw}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_sdk_lists_calls_and_is_limited() {
    let parts = Parts::find();
    for mode in ["legacy", "2026-07-28"] {
        let office = Office::open().await;
        let key = seldom(&office).await;
        let mut python = Command::new(parts.python());
        python.arg(script("client.py")).args([&office.url("/mcp"), &key, mode]);
        check(&saw(&mut python).await, "from python");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_typescript_sdk_lists_calls_and_is_limited() {
    let parts = Parts::find();
    let office = Office::open().await;
    let key = seldom(&office).await;
    let mut node = Command::new(parts.node());
    node.arg(script("client.mjs")).arg(parts.typescript_sdk()).args([&office.url("/mcp"), &key]);
    check(&saw(&mut node).await, "from node");
}

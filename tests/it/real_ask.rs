//! Whole asks through real MCP servers, with the offline and the scripted provider.

use std::{sync::Arc, time::Duration};

use omni_core::{
    Answer, AnswerEvent, Ask, Omni, Principal,
    answer::{CallStatus, Status},
    llm::{LlmProvider, offline::Offline, scripted::Scripted},
    mcp::{Connector, ServerOptions, http::HttpServer, sse::SseServer, stdio::StdioServer},
};
use omni_tests::parts::{Parts, base_env};
use serde_json::json;

use crate::mcp_stdio::{processes, signal};

async fn omni(llm: impl LlmProvider + 'static, connector: impl Connector + 'static) -> Omni {
    let mut options = ServerOptions::default();
    options.connect_timeout = Duration::from_secs(60);
    Omni::builder().llm(llm).server_with("lab", connector, options).build().await.unwrap()
}

async fn ask(omni: &Omni, question: &str) -> Answer {
    let answer = omni.ask(Ask::new(Principal::email("ada@company.com"), question)).await.unwrap();
    assert_eq!(answer.status, Status::Completed, "{answer:?}");
    answer
}

fn node(script: &std::path::Path, arguments: &[&str]) -> StdioServer {
    let script = script.display().to_string();
    let arguments = std::iter::once(script.as_str()).chain(arguments.iter().copied());
    StdioServer::new(Parts::find().node()).with_args(arguments).with_base_env(base_env())
}

/// Both providers ask the same server: one finds the tool by itself, the other is told.
async fn both_providers(
    connector: impl Connector + 'static,
    question: &str,
    tool: &str,
    arguments: serde_json::Value,
    expected: &str,
) {
    let connector: Arc<dyn Connector> = Arc::new(connector);
    let offline = omni(Offline::new(), connector.clone()).await;
    let answer = ask(&offline, question).await;
    assert!(answer.text.contains(expected) && answer.text.contains("offline"), "{}", answer.text);
    assert_eq!((answer.tool_calls[0].tool.as_str(), answer.tool_calls[0].status), (tool, CallStatus::Ok));
    offline.shutdown().await;

    let script = Scripted::new().call(&[(&format!("lab__{tool}"), arguments)]).say("Done.");
    let scripted = omni(script.clone(), connector).await;
    assert_eq!(ask(&scripted, question).await.text, "Done.");
    let told = format!("{:?}", script.requests()[1].messages.last());
    assert!(told.contains(expected), "{told}");
    scripted.shutdown().await;
}

#[tokio::test]
async fn an_ask_through_server_everything_over_stdio() {
    let server = node(&Parts::find().everything(), &["stdio", "ask-over-stdio"]);
    both_providers(server, "What is the sum of 17 and 25?", "get-sum", json!({ "a": 17, "b": 25 }), "42").await;
    assert_eq!(processes("ask-over-stdio"), [0_u32; 0]);
}

#[tokio::test]
async fn an_ask_through_server_everything_over_streamable_http() {
    let part = Parts::find().serve_everything("streamableHttp");
    let server = HttpServer::new(part.url("/mcp")).unwrap();
    both_providers(server, "Echo \"good morning\"", "echo", json!({ "message": "good morning" }), "good morning").await;
}

#[tokio::test]
async fn an_ask_through_server_everything_over_sse() {
    let part = Parts::find().serve_everything("sse");
    let server = SseServer::new(part.url("/sse")).unwrap();
    both_providers(server, "Echo \"good evening\"", "echo", json!({ "message": "good evening" }), "good evening").await;
}

#[tokio::test]
async fn an_ask_through_server_filesystem() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().canonicalize().unwrap();
    let file = dir.join("notes.txt");
    std::fs::write(&file, "the meeting is at noon").unwrap();
    let server = node(&Parts::find().filesystem(), &[&dir.display().to_string()]);
    let path = file.display().to_string();
    let question = format!("Read the text file {path}");
    both_providers(server, &question, "read_text_file", json!({ "path": path }), "the meeting is at noon").await;
}

#[tokio::test]
async fn an_ask_through_mcp_server_time() {
    let mut env = base_env();
    env.push(("TZ".into(), "UTC".into()));
    let server = StdioServer::new(Parts::find().time().display().to_string()).with_base_env(env);
    let question = "What time is it in Europe/Berlin?";
    both_providers(server, question, "get_current_time", json!({ "timezone": "Europe/Berlin" }), "Europe/Berlin").await;
}

#[tokio::test]
async fn a_server_that_is_killed_in_mid_call_is_a_tool_error_and_the_ask_still_answers() {
    let server = node(&Parts::find().everything(), &["stdio", "ask-killed"]);
    let llm = Scripted::new()
        .call(&[("lab__trigger-long-running-operation", json!({ "duration": 60, "steps": 60 }))])
        .call(&[("lab__echo", json!({ "message": "back again" }))])
        .say("It broke, and came back.");
    let omni = omni(llm, server).await;
    let mut stream = omni.ask_stream(Ask::new(Principal::email("ada@company.com"), "q"));
    let mut answer = None;
    while let Some(event) = stream.next().await {
        match event {
            AnswerEvent::ToolStarted { tool, .. } if tool.starts_with("trigger") => {
                tokio::time::sleep(Duration::from_millis(500)).await;
                for pid in processes("ask-killed") {
                    signal("-KILL", pid);
                }
            }
            AnswerEvent::Done(done) => answer = Some(*done),
            _ => {}
        }
    }
    let answer = answer.expect("the ask answers");
    let statuses: Vec<_> = answer.tool_calls.iter().map(|call| call.status).collect();
    assert_eq!(statuses, [CallStatus::Error, CallStatus::Ok], "{answer:?}");
    assert_eq!(answer.text, "It broke, and came back.");
    omni.shutdown().await;
}

#[tokio::test]
async fn a_dead_server_is_a_warning_and_not_the_end() {
    let port = omni_tests::parts::free_port();
    let dead = HttpServer::new(format!("http://127.0.0.1:{port}/mcp")).unwrap();
    let omni = Omni::builder()
        .llm(Scripted::new().say("Without it, then."))
        .server("dead", dead)
        .server("lab", omni_tests::server::FakeServer::echo())
        .build()
        .await
        .unwrap();
    let answer = omni.ask(Ask::new(Principal::email("ada@company.com"), "q")).await.unwrap();
    assert_eq!((answer.text.as_str(), answer.warnings[0].code.as_str()), ("Without it, then.", "server_unhealthy"));
    omni.shutdown().await;
}

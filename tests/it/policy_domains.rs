//! Whoever may have no answer but from tools gets none but from tools.

use omni_benches::Instant;
use omni_core::{
    Ask, Omni, Principal,
    config::{Config, LoadOptions},
    llm::{
        Speaker,
        scripted::{Scripted, call_turn, text_turn},
    },
    policy::yaml::YamlPolicy,
};
use serde_json::{Value, json};

const USERS: &str = "users: [{ email: a@x, role: dba, allowed_domains: [] }, { email: b@x, role: dba }]";

/// A model that answers at once, or calls a tool with these arguments first.
async fn omni(arguments: Option<Value>) -> Omni {
    let dir = tempfile::TempDir::new().unwrap();
    std::fs::write(dir.path().join("users.yaml"), USERS).unwrap();
    std::fs::write(dir.path().join("mcps.yaml"), "mcps: [{ name: lab, url: http://h }]").unwrap();
    let config = Config::load(LoadOptions::default().with_dir(dir.path())).unwrap();
    let llm = Scripted::from_fn(move |request| {
        let first = !request.messages.iter().any(|message| message.speaker == Speaker::Assistant);
        Ok(match &arguments {
            Some(arguments) if first => call_turn(0, &[("lab__echo", arguments.clone())]),
            _ => text_turn("Paris."),
        })
    });
    Omni::builder()
        .llm(llm)
        .server("lab", Instant)
        .policy(YamlPolicy::from_config(&config).unwrap())
        .build()
        .await
        .unwrap()
}

async fn answer(omni: &Omni, email: &str) -> String {
    omni.ask(Ask::new(Principal::email(email), "What is the capital of France?")).await.unwrap().text
}

#[tokio::test]
async fn an_answer_that_no_tool_stands_behind_is_replaced_by_what_omni_can_do() {
    let omni = omni(None).await;
    let replaced = answer(&omni, "a@x").await;
    assert!(!replaced.contains("Paris") && replaced.contains("I can use: lab.echo"), "{replaced}");
    assert_eq!(answer(&omni, "b@x").await, "Paris.");
}

#[tokio::test]
async fn an_answer_from_a_tool_stays() {
    assert_eq!(answer(&omni(Some(json!({}))).await, "a@x").await, "Paris.");
}

#[tokio::test]
async fn a_call_that_was_refused_stands_behind_no_answer() {
    let omni = omni(Some(json!(["no arguments"]))).await;
    let replaced = answer(&omni, "a@x").await;
    assert!(!replaced.contains("Paris") && replaced.contains("I can use: lab.echo"), "{replaced}");
    assert_eq!(answer(&omni, "b@x").await, "Paris.");
}

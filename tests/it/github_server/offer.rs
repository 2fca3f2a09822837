//! What the server has on offer, and that a plain question finds it.

use omni_core::{
    Ask, Omni, Principal,
    catalog::ToolDef,
    llm::offline::Offline,
    mcp::{CallContext, McpTransportExt},
};
use omni_tests::{
    github::{Answer, GitHub, README, SEARCH},
    server::FakeServer,
};
use serde_json::{Value, json};

use super::{LONG, Rig, file, in_process, settings};

async fn tools(rig: &Rig) -> Vec<ToolDef> {
    rig.transport.list_tools(&"github".into(), &CallContext::within(LONG)).await.unwrap()
}

#[tokio::test]
async fn the_tools_have_the_names_and_arguments_of_githubs_own_server() {
    let rig = Rig::anonymous(GitHub::start().await).await;
    let tools = tools(&rig).await;
    insta::assert_json_snapshot!(
        "tools",
        tools
            .iter()
            .map(|tool| json!({
                "name": tool.name, "title": tool.title, "description": tool.description,
                "inputSchema": serde_json::from_str::<Value>(tool.input_schema.get()).unwrap(),
            }))
            .collect::<Vec<_>>()
    );
    for tool in tools {
        let hints = &tool.annotations;
        assert_eq!((hints.read_only_hint, hints.destructive_hint), (Some(true), Some(false)), "{}", tool.name);
        assert_eq!((hints.idempotent_hint, hints.open_world_hint), (Some(true), Some(true)), "{}", tool.name);
    }
}

#[tokio::test]
async fn structured_results_are_what_the_output_schemas_say() {
    let github = GitHub::start().await.having("/search/repositories", [Answer::new(200, SEARCH)]);
    let at = |path: &str| format!("/repos/tokio-rs/tokio/contents/{path}");
    for (path, body) in [
        ("README.md", README),
        ("logo.png", omni_tests::github::PICTURE),
        ("examples", omni_tests::github::DIRECTORY),
        ("current", omni_tests::github::SYMLINK),
        ("qunit", omni_tests::github::SUBMODULE),
    ] {
        github.has(&at(path), [Answer::new(200, body)]);
    }
    let rig = Rig::new(github).await;
    let calls = ["README.md", "logo.png", "examples", "current", "qunit"]
        .map(|path| ("get_file_contents", file(path, &json!({}))));
    let searches =
        [true, false].map(|minimal| ("search_repositories", json!({ "query": "x", "minimal_output": minimal })));
    let tools = tools(&rig).await;
    for (name, arguments) in calls.into_iter().chain(searches) {
        let schema = tools.iter().find(|tool| &*tool.name == name).unwrap().output_schema.as_ref().unwrap();
        let schema: Value = serde_json::from_str(schema.get()).unwrap();
        let (_, structured) = rig.read(name, arguments).await;
        if let Err(error) = jsonschema::validate(&schema, &structured) {
            panic!("{name}: {error} in {structured}");
        }
    }
}

#[tokio::test]
async fn a_plain_question_finds_the_tool_and_its_arguments_without_a_model() {
    let github = GitHub::start().await.having("/search/repositories", [Answer::new(200, SEARCH)]);
    github.has("/repos/tokio-rs/tokio/contents/README.md", [Answer::new(200, README)]);
    github.has("/repos/tokio-rs/tokio/contents/src/lib.rs", [Answer::new(200, README)]);
    let builder = Omni::builder().llm(Offline::new()).server("lab", FakeServer::echo());
    let omni = builder.server("github_mcp", in_process(settings(&github))).build().await.unwrap();
    let asked = [
        (
            "Find Rust web frameworks on GitHub",
            "/search/repositories?q=Rust+web+frameworks",
            "tokio-rs/axum: 24,187 stars",
        ),
        ("search repositories for machine learning", "/search/repositories?q=machine+learning", "4,213 repositories"),
        (
            "look for kubernetes operators repositories",
            "/search/repositories?q=kubernetes+operators",
            "4,213 repositories",
        ),
        ("Show README.md of tokio-rs/tokio", "/repos/tokio-rs/tokio/contents/README.md", "# Tokio"),
        ("Show me the README from tokio-rs/tokio", "/repos/tokio-rs/tokio/contents/README.md", "# Tokio"),
        ("What is in src/lib.rs of the repo tokio-rs/tokio?", "/repos/tokio-rs/tokio/contents/src/lib.rs", "# Tokio"),
    ];
    for (question, sent, told) in asked {
        let before = github.paths().len();
        let answer = omni.ask(Ask::new(Principal::email("dba@company.com"), question)).await.unwrap();
        let sent_now = github.paths().split_off(before);
        assert!(sent_now.len() == 1 && sent_now[0].starts_with(sent), "{question}: {sent_now:?} {}", answer.text);
        assert!(answer.text.contains(told), "{question}: {}", answer.text);
    }
    omni.shutdown().await;
}

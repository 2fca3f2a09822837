use std::sync::Arc;

use chrono::NaiveDate;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::*;
use crate::{
    catalog::{Catalog, NameRules, ServerView, ToolAnnotations, ToolDef},
    llm::{Message, ResultPart, Speaker},
    policy::RuleSet,
    testing::llm_provider_contract,
};

mod answers;
mod questions;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fixture {
    server: String,
    name: String,
    title: Option<String>,
    description: String,
    input_schema: Box<RawValue>,
    annotations: ToolAnnotations,
}

/// The 13 tools of the reference server and those of a made-up team.
fn tools() -> Arc<ToolSet> {
    let fixtures: Vec<Fixture> = serde_json::from_str(include_str!("tests/catalog.json")).unwrap();
    let mut servers: Vec<ServerView> = Vec::new();
    for fixture in fixtures {
        let mut def = ToolDef::new(fixture.server.as_str(), fixture.name.as_str(), fixture.input_schema)
            .with_description(&fixture.description);
        def.title = fixture.title;
        def.annotations = fixture.annotations;
        match servers.iter_mut().find(|view| *view.name == *fixture.server) {
            Some(view) => view.tools.push(Arc::new(def)),
            None => {
                let mut view = ServerView::new(fixture.server.as_str(), "stdio");
                view.tools.push(Arc::new(def));
                servers.push(view);
            }
        }
    }
    set(servers)
}

fn set(servers: Vec<ServerView>) -> Arc<ToolSet> {
    Arc::new(ToolSet::build(&Catalog::new(1, servers), &RuleSet::allow_all(), NameRules::default()))
}

#[tokio::test]
async fn it_keeps_the_contract_whether_it_calls_a_tool_or_says_something() {
    for question in ["echo hello world", "Who wrote the Odyssey?"] {
        let mut request = ChatRequest::new("offline", vec![Message::user(question)], 1_000);
        llm_provider_contract(&Offline::new(), &request).await;
        request.tools = tools();
        llm_provider_contract(&Offline::new(), &request).await;
    }
}

fn today() -> NaiveDate {
    "2026-03-12".parse().unwrap()
}

#[test]
fn the_right_tool_is_first_for_nine_of_ten_plain_questions() {
    let tools = tools();
    let index = Index::build(&tools);
    let mut misses = Vec::new();
    for (question, expected) in questions::QUESTIONS {
        let hits = index.rank(&tools, question, &facts::read(question, today()));
        let name =
            |hit: &Hit| format!("{} {:.1} {:.2}", tools.tools()[hit.tool].def.full_name(), hit.score, hit.coverage);
        let top: Vec<String> = hits.iter().take(3).map(name).collect();
        if !top.first().is_some_and(|top| top.starts_with(&format!("{expected} "))) {
            misses.push(format!("{question}: expected {expected}, got {top:?}"));
        }
    }
    let right = questions::QUESTIONS.len() - misses.len();
    println!("{right} of {} right; misses:\n{}", questions::QUESTIONS.len(), misses.join("\n"));
    assert!(questions::QUESTIONS.len() >= 60);
    assert!(right * 10 >= questions::QUESTIONS.len() * 9, "{right} right; misses:\n{}", misses.join("\n"));
}

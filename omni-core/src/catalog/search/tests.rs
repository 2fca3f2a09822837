use std::sync::Arc;

use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{json, value::RawValue, value::to_raw_value};

use crate::{
    catalog::{Catalog, NameRules, ServerView, ToolDef, ToolSet},
    policy::RuleSet,
};

mod golden;

use golden::GOLDEN;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Published {
    server: String,
    name: String,
    title: Option<String>,
    description: String,
    input_schema: Box<RawValue>,
}

/// The tools of public servers.
fn published() -> Catalog {
    let all: Vec<Published> = serde_json::from_str(include_str!("tests/servers.json")).unwrap();
    let mut servers: Vec<ServerView> = Vec::new();
    for tool in all {
        let mut def = ToolDef::new(tool.server.as_str(), tool.name.as_str(), tool.input_schema)
            .with_description(&tool.description);
        def.title = tool.title;
        match servers.iter_mut().find(|view| *view.name == *tool.server) {
            Some(view) => view.tools.push(Arc::new(def)),
            None => {
                let mut view = ServerView::new(tool.server.as_str(), "stdio");
                view.tools.push(Arc::new(def));
                servers.push(view);
            }
        }
    }
    Catalog::new(1, servers)
}

fn set(catalog: &Catalog, rules: &RuleSet) -> ToolSet {
    ToolSet::build(catalog, rules, NameRules::default())
}

fn found(set: &ToolSet, query: &str, limit: usize) -> Vec<String> {
    set.search(query, limit).into_iter().map(|tool| tool.def.full_name()).collect()
}

#[test]
fn what_is_looked_for_is_among_the_first_five() {
    let tools = set(&published(), &RuleSet::allow_all());
    let (mut first, mut in_five, mut misses) = (0, 0, Vec::new());
    for (question, wanted) in GOLDEN {
        for name in *wanted {
            let (server, tool) = name.split_once('.').unwrap();
            assert!(tools.by_name(server, tool).is_some(), "{name} is no tool");
        }
        let found = found(&tools, question, 5);
        let is_wanted = |name: &String| wanted.contains(&name.as_str());
        first += usize::from(found.first().is_some_and(is_wanted));
        match found.iter().any(is_wanted) {
            true => in_five += 1,
            false => misses.push(format!("{question}: wanted {wanted:?}, found {found:?}")),
        }
    }
    let share = |count: usize| count as f64 / GOLDEN.len() as f64;
    println!(
        "{} questions, {} tools: recall@5 {:.3}, recall@1 {:.3}; misses:\n{}",
        GOLDEN.len(),
        tools.len(),
        share(in_five),
        share(first),
        misses.join("\n")
    );
    assert!(share(in_five) >= 0.90, "recall@5 is {:.3}:\n{}", share(in_five), misses.join("\n"));
}

#[test]
fn what_may_not_be_used_is_not_found() {
    let catalog = published();
    let rules = RuleSet::builder().allow("github", "list_*").build().unwrap();
    let tools = set(&catalog, &rules);
    for query in ["merge pull request", "github merge_pull_request", "github__merge_pull_request", "delete", "click"] {
        for name in found(&tools, query, 1_000) {
            assert!(name.starts_with("github.list_"), "{query}: {name}");
        }
    }
    assert!(found(&tools, "list issues", 5).contains(&"github.list_issues".to_owned()));
}

#[test]
fn a_tool_is_found_by_its_very_name_a_part_of_a_word_and_with_a_letter_wrong() {
    let tools = set(&published(), &RuleSet::allow_all());
    for name in ["mongodb.collection-schema", "mongodb__collection-schema", "collection-schema"] {
        assert_eq!(found(&tools, &format!("call {name} please"), 1), ["mongodb.collection-schema"], "{name}");
    }
    assert!(found(&tools, "screnshot", 5).iter().any(|name| name.contains("screenshot")));
    assert!(found(&tools, "kube logs", 3).contains(&"kubernetes.kubectl_logs".to_owned()));
    assert!(found(&tools, "xyzzy plugh", 5).is_empty(), "nothing is found that shares no word");
    assert!(found(&tools, "", 5).is_empty());
}

#[test]
fn of_equals_the_first_is_the_same_every_time() {
    let mut view = ServerView::new("s", "stdio");
    let schema = || to_raw_value(&json!({ "type": "object" })).unwrap();
    view.tools = (0..50).map(|i| Arc::new(ToolDef::new("s", format!("tool_{i:02}_same"), schema()))).collect();
    let catalog = Catalog::new(1, vec![view]);
    let names: Vec<Vec<String>> =
        (0..3).map(|_| found(&set(&catalog, &RuleSet::allow_all()), "same tool", 5)).collect();
    assert_eq!(names[0], names[1]);
    assert_eq!(names[1], names[2]);
    assert_eq!(names[0][0], "s.tool_00_same");
}

proptest! {
    #[test]
    fn any_query_finds_tools_of_the_set_and_no_more_than_asked_for(query in "\\PC{0,200}", limit in 0_usize..30) {
        let catalog = Catalog::new(1, published().servers.into_iter().take(4).collect());
        let tools = set(&catalog, &RuleSet::allow_all());
        let found = tools.search(&query, limit);
        prop_assert!(found.len() <= limit);
        prop_assert!(found.iter().all(|tool| tools.by_llm_name(&tool.llm_name).is_some()));
    }
}

//! Prompts and resources.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{YamlPolicy, config, grant, property};
use crate::policy::{Grant, Pattern};

const NAMES: [&str; 4] = ["get_a", "drop_a", "kill_b", "list"];

fn of(server: &Value, user: &Value) -> Arc<Grant> {
    let mut server = server.clone();
    (server["name"], server["url"]) = (json!("docs"), json!("http://h"));
    let mut user = user.clone();
    user["email"] = json!("ann");
    if user["role"].is_null() {
        user["role"] = json!("dba");
    }
    let (mcps, users) = (json!({ "mcps": [server] }).to_string(), json!({ "users": [user] }).to_string());
    grant(&YamlPolicy::from_config(&config(&mcps, &users)).unwrap(), "ann")
}

fn prompts(grant: &Grant) -> Vec<&'static str> {
    NAMES.into_iter().filter(|name| grant.decide_prompt("docs", name).is_allowed()).collect()
}

fn may_read(grant: &Grant, uri: &str) -> bool {
    grant.decide_resource("docs", uri).is_allowed()
}

#[test]
fn where_nothing_is_said_they_are_as_the_servers_tools() {
    let open = of(&json!({}), &json!({}));
    assert!(prompts(&open).len() == NAMES.len() && may_read(&open, "file:///a"));
    let one_tool = of(&json!({ "role_restrictions": { "dba": { "allow_only": ["get_a"] } } }), &json!({}));
    assert!(prompts(&one_tool).len() == NAMES.len() && may_read(&one_tool, "file:///a"));
    for closed in [
        of(&json!({ "role_restrictions": { "dba": { "deny_all": true } } }), &json!({})),
        of(&json!({ "role_restrictions": { "other": {} } }), &json!({})),
        of(&json!({}), &json!({ "allowed_mcps": { "docs": "none" } })),
        of(&json!({}), &json!({ "allowed_mcps": ["another"] })),
    ] {
        assert!(prompts(&closed).is_empty() && !may_read(&closed, "file:///a"));
    }
}

#[test]
fn a_list_is_all_that_there_is_and_an_empty_one_nothing() {
    let server = json!({ "prompts": ["get_*", "list"], "resources": ["file:///docs/*"] });
    let grant = of(&server, &json!({}));
    assert_eq!(prompts(&grant), ["get_a", "list"]);
    assert!(may_read(&grant, "file:///docs/a/b.md") && !may_read(&grant, "file:///etc/passwd"));
    let rule = grant.decide_prompt("docs", "drop_a").rule;
    assert_eq!(rule.text, "mcps.docs.prompts: does not name it");
    assert_eq!(grant.decide_prompt("docs", "list").rule.text, "mcps.docs.prompts: list");
    assert!(prompts(&of(&json!({ "prompts": [] }), &json!({}))).is_empty());
}

#[test]
fn a_deny_wins_wherever_it_stands() {
    let everything = json!({ "allowed_mcps": { "docs": { "mode": "all", "prompts": ["*"] } } });
    let of_role = json!({ "role_restrictions": { "dba": { "denied_prompts": ["drop_*"] } } });
    assert!(!prompts(&of(&of_role, &everything)).contains(&"drop_a"));
    let every = json!({ "allowed_mcps": { "*": { "denied_resources": ["*secret*"] }, "docs": {} } });
    assert!(!may_read(&of(&json!({}), &every), "file:///secret/a"));
    assert!(may_read(&of(&json!({}), &every), "file:///docs"));
}

#[test]
fn what_a_role_may_is_cut_by_the_persons_entry_unless_that_stands_in_its_place() {
    let role = json!({ "role_restrictions": { "dba": { "prompts": ["get_*"] } } });
    let inherits = json!({ "allowed_mcps": { "docs": { "prompts": ["*_a"] } } });
    assert_eq!(prompts(&of(&role, &inherits)), ["get_a"]);
    let all = json!({ "allowed_mcps": { "docs": { "mode": "all", "prompts": ["*_a"] } } });
    assert_eq!(prompts(&of(&role, &all)), ["get_a", "drop_a"]);
}

#[test]
fn under_a_ceiling_only_what_both_may_is_there() {
    let rules = |prompts: &str| crate::policy::RuleSet::builder().allow("docs", "*").prompts("docs", prompts).build();
    let both = rules("*_a").unwrap().under(rules("get_*").unwrap());
    let allowed = |name: &str| both.decide_prompt("docs", name).is_allowed();
    assert!(allowed("get_a") && !allowed("drop_a") && !allowed("list"));
    assert_ne!(rules("*_a").unwrap().fingerprint(), rules("get_*").unwrap().fingerprint());
}

/// What a place may say, and what of some names it leaves.
fn said() -> impl Strategy<Value = Value> {
    (prop::option::weighted(0.6, property::globs()), property::globs()).prop_map(|(only, denied)| {
        let mut said = json!({ "denied_prompts": denied });
        if let Some(only) = only {
            said["prompts"] = json!(only);
        }
        said
    })
}

fn leaves(said: &Value, name: &str) -> bool {
    let matches = |list: &Value| {
        list.as_array().unwrap().iter().any(|glob| Pattern::new(glob.as_str().unwrap()).unwrap().is_match(name))
    };
    !matches(&said["denied_prompts"]) && (said["prompts"].is_null() || matches(&said["prompts"]))
}

proptest! {
    /// A model that is written down once more, place by place: the same for what is listed and for what
    /// is used, because both ask `decide_prompt`.
    #[test]
    fn there_is_what_every_place_leaves(server in said(), role in said(), own in said()) {
        let mut spec = server.clone();
        spec["role_restrictions"] = json!({ "dba": role });
        let grant = of(&spec, &json!({ "allowed_mcps": { "docs": own } }));
        let expected: Vec<_> =
            NAMES.into_iter().filter(|name| [&server, &role, &own].iter().all(|said| leaves(said, name))).collect();
        prop_assert_eq!(prompts(&grant), expected);
    }
}

//! What holds for any two files, once they are in a database: it decides as the files do, and what
//! is exported from it does too.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    YamlPolicy, config, grant,
    property::{EMAILS, TOOLS, globs, server, users},
};
use crate::{
    config::{Config, to_yaml},
    identity::Principal,
    people::{Blocks, Tables},
    policy::{Grant, PolicyStore, ToolRef, sql::SqlPolicy},
};

/// The policy of a database with these people, and what would be exported from it.
async fn stored(config: &Config) -> (SqlPolicy, String) {
    let tables = Tables::at("sqlite::memory:");
    tables.replace(config.files.users.as_ref().unwrap(), "boss", Blocks::Stay).await.unwrap();
    let users = tables.read().await.unwrap().users;
    let policy = SqlPolicy::new(config, tables).unwrap();
    policy.refresh().await.unwrap();
    (policy, to_yaml(&serde_json::to_value(users).unwrap()))
}

/// Everything that a grant says of these servers, and of tools, prompts and resources with these names.
fn said(grant: &Grant) -> Vec<Value> {
    let arguments = [
        None,
        Some(json!({})),
        Some(json!({ "database": "list" })),
        Some(json!({ "db": "other", "mode": "get_a" })),
        Some(json!({ "mode": "other" })),
    ];
    let role = &grant.role;
    let mut said = vec![json!([&*role.name, role.is_admin, role.permissions, grant.domains, grant.models])];
    for (server, tool) in ["one", "two", "nowhere"].into_iter().flat_map(|server| TOOLS.map(|tool| (server, tool))) {
        for is_destructive in [false, true] {
            let tool = ToolRef { server, name: tool, is_destructive };
            let decisions = arguments.iter().map(|arguments| grant.decide_tool(tool, arguments.as_ref()));
            let decisions: Vec<(bool, bool)> = decisions.map(|it| (it.is_allowed(), it.confirm)).collect();
            assert!(decisions[0].0 || decisions.iter().all(|called| !called.0), "{tool:?} is called and not listed");
            said.push(json!([server, tool.name, is_destructive, decisions]));
        }
        let beside = [grant.decide_prompt(server, tool), grant.decide_resource(server, tool)];
        said.push(json!([server, tool, beside.map(|decision| decision.is_allowed())]));
    }
    said
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_database_and_what_is_exported_from_it_decide_as_the_files_do(
        one in server("one"),
        two in server("two"),
        blocked in globs(),
        users in users(),
    ) {
        let mcps = json!({ "global": { "blocked_tools": blocked }, "mcps": [one, two] }).to_string();
        let files = config(&mcps, &users.to_string());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (stored, exported) = runtime.block_on(stored(&files));
        let of_files = YamlPolicy::from_config(&files).unwrap();
        let of_export = YamlPolicy::from_config(&config(&mcps, &exported)).unwrap();
        for email in EMAILS {
            let expected = said(&grant(&of_files, email));
            let of_table: Arc<Grant> = runtime.block_on(stored.resolve(&Principal::email(email))).unwrap();
            prop_assert_eq!(&said(&of_table), &expected, "{} in the database", email);
            prop_assert_eq!(&said(&grant(&of_export, email)), &expected, "{} in {}", email, &exported);
        }
    }
}

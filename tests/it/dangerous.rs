//! A role from which dangerous tools are taken, by every way to see and to call them.

use std::{collections::BTreeMap, sync::Arc};

use omni_core::{
    Config, ErrorKind, Omni, Principal, Registry, Source,
    ask::DirectCall,
    audit,
    config::LoadOptions,
    identity::{Credential, Scope, Scopes},
    limit, llm,
    mcp::Connector,
    policy,
};
use omni_tests::server::{FakeServer, any, text};
use serde_json::{json, value::to_raw_value};

const USERS: &str = "\
users: [{ email: dev@company.com, role: dev }, { email: dba@company.com, role: dba }]
roles: { dev: { permissions: { can_execute_dangerous_tools: false } } }
";

/// A server whose `wipe` says that it may destroy something.
fn lab() -> FakeServer {
    let lab = FakeServer::echo().tool("wipe", any(), |_| Box::pin(async { Ok(text("wiped")) }));
    lab.annotated("wipe", json!({ "destructiveHint": true }))
}

async fn omni(dir: &std::path::Path) -> Omni {
    let mut registry = Registry::empty();
    policy::yaml::register(&mut registry);
    limit::memory::register(&mut registry);
    llm::offline::register(&mut registry);
    audit::memory::register(&mut registry);
    registry.transports.register("fake", |_| Box::pin(async { Ok(Arc::new(lab()) as Arc<dyn Connector>) }));
    std::fs::write(dir.join("mcps.yaml"), "mcps: [{ name: lab, transport: fake, url: 'http://h' }]").unwrap();
    std::fs::write(dir.join("users.yaml"), USERS).unwrap();
    std::fs::write(dir.join("settings.yaml"), "data_dir: data\naudit: { enabled: false }\n").unwrap();
    let config = Config::load(LoadOptions::new(BTreeMap::new(), dir).with_dir(dir)).unwrap();
    Omni::from_config(&config, &registry).await.unwrap()
}

#[tokio::test]
async fn what_a_role_may_not_call_is_in_no_list_of_its_tools() {
    let dir = tempfile::tempdir().unwrap();
    let omni = omni(dir.path()).await;
    for (who, has_wipe) in [("dev@company.com", false), ("dba@company.com", true)] {
        let who = || Principal::email(who).with_scopes([Scope::Ask, Scope::Tools].into_iter().collect::<Scopes>());
        let offered = omni.servers(who()).await.unwrap().remove(0);
        let shown = |name: &str| offered.view.tools.iter().any(|tool| *tool.name == *name);
        let listed = omni.tools(who()).await.unwrap().tools().iter().any(|tool| *tool.def.name == *"wipe");
        assert_eq!((shown("wipe"), listed, shown("echo")), (has_wipe, has_wipe, true), "{:?}", who());
    }
    let admin = omni.admin(Credential::Local { os_user: "root".into(), act_as: None }, Source::Cli).await.unwrap();
    let explained = admin.explain("dev@company.com", "lab", "wipe", None).await.unwrap().decision;
    assert_eq!(explained.rule.text, "roles.dev.permissions.can_execute_dangerous_tools: false");
    let arguments = to_raw_value(&json!({})).unwrap();
    let refused = omni.call_tool(DirectCall::new(Principal::email("dev@company.com"), "lab", "wipe", arguments)).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::NotFound);
    omni.shutdown().await;
}

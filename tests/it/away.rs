//! Servers that hang or are dead: what they cost those who ask others, and who hears of them.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use omni_core::{
    Answer, Ask, Config, Error, ErrorKind, McpTransport, Omni, Principal, Registry,
    answer::Status,
    ask::{AskOptions, DirectCall},
    audit,
    config::LoadOptions,
    limit,
    llm::{self, scripted::Scripted},
    mcp::{self, CallContext, Connector, McpError, OnStartFailure, ServerOptions},
    policy::{Quota, Role, RuleSet, memory::MemoryPolicy},
    uptime::{UptimeStore as _, memory::MemoryUptime},
};
use omni_tests::server::FakeServer;
use serde_json::{json, value::to_raw_value};

/// Nothing is ever heard of it.
#[derive(Debug, Clone, Default)]
struct Hung(Arc<AtomicUsize>);

#[async_trait::async_trait]
impl Connector for Hung {
    fn kind(&self) -> &'static str {
        "hung"
    }

    async fn connect(&self, _: &CallContext) -> Result<Arc<dyn McpTransport>, McpError> {
        self.0.fetch_add(1, SeqCst);
        std::future::pending().await
    }
}

/// It cannot be started, and tells too much of why.
#[derive(Debug)]
struct Dead;

const WHY: &str = "cannot start \"/opt/secret-place/server\"";

#[async_trait::async_trait]
impl Connector for Dead {
    fn kind(&self) -> &'static str {
        "dead"
    }

    async fn connect(&self, _: &CallContext) -> Result<Arc<dyn McpTransport>, McpError> {
        Err(McpError::Connect { message: WHY.into() })
    }
}

fn ada() -> Principal {
    Principal::email("ada@company.com")
}

/// Rules over the servers `dead` and `lab` for Ada.
fn policy(role: Role, servers: &[&str]) -> MemoryPolicy {
    let rules = servers.iter().fold(RuleSet::builder(), |rules, server| rules.allow(server, "*"));
    MemoryPolicy::new().with_subject("ada@company.com", role, rules.build().unwrap(), Quota::default())
}

async fn with_dead(llm: &Scripted, policy: MemoryPolicy) -> Omni {
    let builder = Omni::builder().llm(llm.clone()).server("lab", FakeServer::echo()).server("dead", Dead);
    builder.policy(policy).build().await.unwrap()
}

async fn ask_with_dead(role: Role, servers: &[&str]) -> (Answer, String) {
    let llm = Scripted::new().say("ok");
    let omni = with_dead(&llm, policy(role, servers)).await;
    let answer = omni.ask(Ask::new(ada(), "q")).await.unwrap();
    omni.shutdown().await;
    (answer, format!("{:?}", llm.requests()[0].messages))
}

#[tokio::test]
async fn a_hung_server_leaves_time_for_an_answer_by_means_of_the_others() {
    let llm = Scripted::new().call(&[("lab__echo", json!({ "message": "hi" }))]).say("It said hi.").say("Again.");
    let hung = Hung::default();
    let mut options = ServerOptions::default();
    options.connect_timeout = Duration::from_secs(5);
    let builder = Omni::builder().llm(llm.clone()).server("lab", FakeServer::echo());
    let builder = builder.policy(policy(Role::new("reader"), &["lab", "hung"]));
    let omni = builder.server_with("hung", hung.clone(), options).build().await.unwrap();
    let mut short = AskOptions::default();
    short.timeout = Some(Duration::from_secs(4));
    let answer = omni.ask(Ask::new(ada(), "q").with_options(short)).await.unwrap();
    assert_eq!((answer.text.as_str(), answer.status), ("It said hi.", Status::Completed));
    let warnings: Vec<_> = answer.warnings.iter().map(|warning| warning.message.as_str()).collect();
    assert_eq!(warnings, ["hung has not answered yet"]);
    // The question went on, and its end is remembered.
    let catalog = omni.catalog().await;
    assert!(!catalog.servers[0].health.is_healthy() && catalog.servers[1].health.is_healthy());
    let again = omni.ask(Ask::new(ada(), "q")).await.unwrap();
    assert_eq!(again.warnings[0].message, "hung does not answer at the moment");
    assert_eq!(hung.0.load(SeqCst), 1);
    omni.shutdown().await;
}

#[tokio::test]
async fn a_direct_call_asks_no_other_server() {
    let hung = Hung::default();
    let builder = Omni::builder().llm(Scripted::new()).server("hung", hung.clone()).server("lab", FakeServer::echo());
    let omni = builder.build().await.unwrap();
    let echo = DirectCall::new(ada(), "lab", "echo", to_raw_value(&json!({ "message": "hi" })).unwrap());
    assert_eq!(omni.call_tool(echo).await.unwrap().text(), "hi");
    assert_eq!(hung.0.load(SeqCst), 0);
    omni.shutdown().await;
}

#[tokio::test]
async fn a_direct_call_to_a_hung_server_ends_at_its_own_deadline() {
    let omni = Omni::builder().llm(Scripted::new()).server("hung", Hung::default()).build().await.unwrap();
    let mut call = DirectCall::new(ada(), "hung", "echo", to_raw_value(&json!({})).unwrap());
    call.timeout = Some(Duration::from_millis(300));
    assert_eq!(omni.call_tool(call).await.unwrap_err().kind(), ErrorKind::Timeout);
    omni.shutdown().await;
}

#[tokio::test]
async fn a_program_that_embeds_omni_does_not_start_without_a_server_that_it_needs() {
    let mut needed = ServerOptions::default();
    needed.on_start_failure = OnStartFailure::FailClosed;
    let builder = || Omni::builder().llm(Scripted::new());
    let error = builder().server_with("dead", Dead, needed.clone()).build().await.unwrap_err();
    assert!(matches!(&error, Error::Needed { server, .. } if server == "dead"), "{error}");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("dead") && error.to_string().contains("fail_closed"), "{error}");
    let omni = builder().server_with("lab", FakeServer::echo(), needed).build().await.unwrap();
    assert!(omni.known_catalog().tool("lab", "echo").is_some());
    omni.shutdown().await;
}

/// A configuration with these servers, and nothing that is kept.
fn config(dir: &Path, mcps: &str) -> Config {
    fs::create_dir_all(dir.join("config")).unwrap();
    fs::write(dir.join("config/mcps.yaml"), mcps).unwrap();
    fs::write(dir.join("config/settings.yaml"), "audit: { enabled: false }\nllm: { provider: offline }\n").unwrap();
    Config::load(LoadOptions::new(BTreeMap::new(), dir)).unwrap()
}

#[tokio::test]
async fn a_reload_to_a_server_that_is_needed_and_away_changes_nothing_in_a_service() {
    let mut registry = Registry::empty();
    llm::offline::register(&mut registry);
    mcp::http::register(&mut registry);
    omni_core::policy::yaml::register(&mut registry);
    limit::memory::register(&mut registry);
    audit::memory::register(&mut registry);
    let dir = tempfile::tempdir().unwrap();
    let config = |mcps: &str| config(dir.path(), mcps);
    let omni = Omni::from_config(&config("mcps: []\n"), &registry).await.unwrap();
    let needed = "mcps: [{ name: dead, url: 'http://127.0.0.1:1/mcp', on_start_failure: fail_closed }]\n";
    omni.start().await.unwrap();
    let error = omni.reload(&config(needed), &registry).await.unwrap_err();
    assert!(matches!(&error, Error::Needed { server, .. } if server == "dead"), "{error}");
    assert!(omni.known_catalog().servers.is_empty());
    omni.reload(&config(&needed.replace("fail_closed", "fail_open")), &registry).await.unwrap();
    assert_eq!(omni.known_catalog().servers.len(), 1);
    omni.shutdown().await;
}

#[tokio::test]
async fn who_may_use_nothing_of_a_server_does_not_hear_that_it_is_away() {
    let (answer, told) = ask_with_dead(Role::new("reader"), &["lab"]).await;
    assert_eq!(answer.warnings, []);
    assert!(!told.contains("dead"), "{told}");
}

#[tokio::test]
async fn why_a_server_is_away_is_for_admins() {
    let (answer, told) = ask_with_dead(Role::new("reader"), &["lab", "dead"]).await;
    assert_eq!(answer.warnings[0].message, "dead does not answer at the moment");
    assert!(told.contains("do not answer at the moment: dead") && !told.contains("secret-place"), "{told}");
    let (answer, told) = ask_with_dead(Role::super_admin(), &["lab", "dead"]).await;
    assert!(answer.warnings[0].message.contains(WHY), "{:?}", answer.warnings);
    assert!(!told.contains("secret-place"), "{told}");
}

#[tokio::test]
async fn a_direct_call_to_a_dead_server_says_so_and_to_admins_why() {
    let call = || DirectCall::new(ada(), "dead", "echo", to_raw_value(&json!({})).unwrap());
    for (role, servers, kind, why) in [
        (Role::new("reader"), &["lab"][..], ErrorKind::NotFound, false),
        (Role::new("reader"), &["lab", "dead"], ErrorKind::Unavailable, false),
        (Role::super_admin(), &["lab", "dead"], ErrorKind::Unavailable, true),
    ] {
        let omni = with_dead(&Scripted::new(), policy(role, servers)).await;
        let error = omni.call_tool(call()).await.unwrap_err();
        assert_eq!((error.kind(), error.to_string().contains(WHY)), (kind, why), "{error}");
        omni.shutdown().await;
    }
}

/// A pipeline with one server, and where it keeps how that did.
async fn watched() -> (Omni, Arc<MemoryUptime>) {
    let store = Arc::new(MemoryUptime::new());
    let builder = Omni::builder().server("lab", FakeServer::echo()).uptime(store.clone());
    let omni = builder.llm(Scripted::new()).build().await.unwrap();
    assert_eq!(omni.catalog().await.tools().count(), 1);
    (omni, store)
}

#[tokio::test]
async fn how_servers_did_is_kept_by_a_service_and_not_by_a_command_that_uses_them_in_passing() {
    let since = chrono::Utc::now() - chrono::TimeDelta::days(1);
    let (command, store) = watched().await;
    command.shutdown().await;
    assert_eq!(store.since(since, None).await.unwrap(), []);
    let (service, store) = watched().await;
    service.start().await.unwrap();
    service.shutdown().await;
    let kept = store.since(since, Some("lab")).await.unwrap();
    assert!(matches!(&*kept, [spell] if spell.is_up), "{kept:?}");
}

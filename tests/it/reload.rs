//! A configuration that changes under running asks.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use omni_core::{
    Ask, Config, Error, Omni, Principal, Registry,
    answer::CallStatus,
    ask::DirectCall,
    audit,
    config::LoadOptions,
    identity::Scopes,
    limit,
    llm::{Block, scripted::Scripted},
    mcp::{CallContext, Connector, McpError},
    policy,
    reload::Reloader,
};
use omni_http::Metrics;
use omni_tests::{
    log::Log,
    rig::until,
    scrape::Scrape,
    server::{FakeServer, any, text},
};
use serde_json::{json, value::RawValue};
use tempfile::TempDir;
use tracing::Level;

mod away;
mod directory;
mod waits;

/// Counts how often somebody connects.
#[derive(Debug, Clone)]
struct Counted {
    server: FakeServer,
    connects: Arc<AtomicUsize>,
}

#[async_trait::async_trait]
impl Connector for Counted {
    fn kind(&self) -> &'static str {
        "fake"
    }

    async fn connect(&self, cx: &CallContext) -> Result<Arc<dyn omni_core::McpTransport>, McpError> {
        self.connects.fetch_add(1, Ordering::SeqCst);
        self.server.connect(cx).await
    }
}

/// A directory of files, and everything that is built from it.
struct Lab {
    dir: TempDir,
    registry: Arc<Registry>,
    connects: Arc<AtomicUsize>,
    /// What the newest server of the program's own was made with.
    told: Arc<Mutex<Option<Arc<Config>>>>,
    omni: Omni,
}

const SOON: Duration = Duration::from_secs(20);
const MCPS: &str = "mcps: [{ name: lab, transport: fake, url: http://lab }]";
const ADA: &str =
    "super_admins: [{ email: boss@company.com }]\nusers: [{ email: ada@company.com, role: dba, allowed_mcps: '*' }]";

impl Lab {
    async fn new(server: FakeServer, llm: Scripted) -> Self {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "settings.yaml", "data_dir: data\nllm: { provider: script }");
        write(dir.path(), "mcps.yaml", MCPS);
        write(dir.path(), "users.yaml", ADA);
        let connects = Arc::new(AtomicUsize::new(0));
        let counted = Counted { server, connects: connects.clone() };
        let mut registry = Registry::empty();
        policy::yaml::register(&mut registry);
        policy::memory::register(&mut registry);
        limit::memory::register(&mut registry);
        audit::sql::register(&mut registry);
        registry.llm.register("script", move |_| {
            let llm = llm.clone();
            Box::pin(async move { Ok(Arc::new(llm) as Arc<dyn omni_core::LlmProvider>) })
        });
        let (told, own): (Arc<Mutex<Option<Arc<Config>>>>, _) = (Arc::default(), counted.clone());
        let tell = told.clone();
        registry.builtins.register("own", move |context| {
            *tell.lock().unwrap() = Some(context.config);
            let own = own.clone();
            Box::pin(async move { Ok(Arc::new(own) as Arc<dyn Connector>) })
        });
        registry.transports.register("fake", move |_| {
            let counted = counted.clone();
            Box::pin(async move { Ok(Arc::new(counted) as Arc<dyn Connector>) })
        });
        let config = Config::load(options(dir.path())).unwrap();
        let omni = Omni::from_config(&config, &registry).await.unwrap();
        Self { dir, registry: Arc::new(registry), connects, told, omni }
    }

    fn reloader(&self) -> Reloader {
        Reloader::new(self.omni.clone(), self.registry.clone(), options(self.dir.path()))
    }

    fn write(&self, name: &str, text: &str) {
        write(self.dir.path(), name, text);
    }
}

fn options(dir: &Path) -> LoadOptions {
    LoadOptions::new(BTreeMap::new(), dir).with_dir(dir)
}

/// As editors and deployments write: a new file in the old one's place.
fn write(dir: &Path, name: &str, text: &str) {
    let draft = dir.join(format!("{name}.draft"));
    std::fs::write(&draft, text).unwrap();
    std::fs::rename(&draft, dir.join(name)).unwrap();
}

fn ada() -> Principal {
    Principal::email("ada@company.com")
}

fn echo() -> DirectCall {
    DirectCall::new(ada(), "lab", "echo", RawValue::from_string(json!({ "message": "hi" }).to_string()).unwrap())
}

#[tokio::test]
async fn a_reload_in_the_middle_of_an_ask_decides_its_next_call() {
    let place: Arc<std::sync::OnceLock<Reloader>> = Arc::default();
    let reloader = place.clone();
    let dir = Arc::new(std::sync::OnceLock::<std::path::PathBuf>::new());
    let files = dir.clone();
    let server = FakeServer::echo().tool("revoke", any(), move |_| {
        let (reloader, files) = (reloader.clone(), files.clone());
        Box::pin(async move {
            write(
                files.get().unwrap(),
                "users.yaml",
                "users: [{ email: ada@company.com, role: dba, allowed_mcps: [] }]",
            );
            reloader.get().unwrap().reload().await.unwrap();
            Ok(text("revoked"))
        })
    });
    let llm = Scripted::new()
        .call(&[("lab__revoke", json!({}))])
        .call(&[("lab__echo", json!({ "message": "still?" }))])
        .say("No.");
    let lab = Lab::new(server, llm).await;
    place.set(lab.reloader()).unwrap();
    dir.set(lab.dir.path().to_owned()).unwrap();
    let answer = lab.omni.ask(Ask::new(ada(), "q")).await.unwrap();
    let statuses: Vec<_> = answer.tool_calls.iter().map(|call| call.status).collect();
    assert_eq!(statuses, [CallStatus::Ok, CallStatus::Denied]);
    assert!(lab.omni.call_tool(echo()).await.is_err(), "a new call is made with the new files");
    lab.omni.shutdown().await;
}

#[tokio::test]
async fn reloads_are_counted_and_a_server_that_went_is_neither_up_nor_down() {
    let metrics = Metrics::install().unwrap();
    let shown = || Scrape(metrics.render());
    let reloads = |outcome| shown().count("omni_config_reloads_total", &[("outcome", outcome)]);
    let up = || shown().value("omni_server_up", &[("server", "passing")]);
    let lab = Lab::new(FakeServer::echo(), Scripted::new()).await;
    let before = (reloads("success"), reloads("error"));
    lab.write("mcps.yaml", "mcps: [{ name: passing, transport: fake, url: http://lab }]");
    lab.reloader().reload().await.unwrap();
    assert_eq!(up(), None, "nobody asked it yet");
    lab.omni.catalog().await;
    assert_eq!(up(), Some(1.0));
    lab.write("mcps.yaml", MCPS);
    lab.reloader().reload().await.unwrap();
    assert!(up().is_some_and(f64::is_nan));
    lab.write("mcps.yaml", "mcps: [{ name: [] }]");
    lab.reloader().reload().await.unwrap_err();
    // Other tests reload as well.
    assert!(reloads("success") >= before.0 + 2.0 && reloads("error") >= before.1 + 1.0);
    lab.omni.shutdown().await;
}

#[tokio::test]
async fn a_bad_file_is_reported_with_its_line_and_changes_nothing() {
    let lab = Lab::new(FakeServer::echo(), Scripted::new()).await;
    assert!(lab.omni.call_tool(echo()).await.is_ok());
    let bad = [
        ("users.yaml", "users:\n  - email: ada@company.com\n    role: [", "users.yaml:4"),
        ("mcps.yaml", "mcps:\n  - name: lab\n    enabled: perhaps", "mcps.yaml:3"),
        ("mcps.yaml", "mcps: [{ name: lab, transport: pigeon, url: http://lab }]", "pigeon"),
        ("settings.yaml", "data_dir: data\nllm: { provider: antropic }", "antropic"),
    ];
    for (file, text, told) in bad {
        let good = std::fs::read_to_string(lab.dir.path().join(file)).unwrap();
        lab.write(file, text);
        let error = lab.reloader().reload().await.unwrap_err();
        assert!(error.to_string().contains(told), "{error}");
        assert!(lab.omni.call_tool(echo()).await.is_ok());
        lab.write(file, &good);
    }
    lab.reloader().reload().await.unwrap();
    assert_eq!(lab.connects.load(Ordering::SeqCst), 1, "a server whose entry is the same keeps its connection");
    lab.omni.ledger().flush(std::time::Duration::from_secs(20)).await.unwrap();
    let seen = lab.omni.audit(Principal::email("boss@company.com").with_scopes(Scopes::all())).await.unwrap();
    let page = seen.logs(&omni_core::audit::AuditQuery::default()).await.unwrap();
    let mut reloads: Vec<_> = page
        .entries
        .iter()
        .filter(|entry| entry.request_type == "admin")
        .inspect(|entry| assert_eq!(entry.actor.as_deref(), Some("omni")))
        .map(|entry| (entry.message.clone().unwrap().split(' ').next().unwrap().to_owned(), entry.status.clone()))
        .collect();
    reloads.sort();
    let of = |status: &str| ("config.reload".to_owned(), status.to_owned());
    assert_eq!(reloads, [of("error"), of("error"), of("error"), of("error"), of("success")]);
    lab.omni.shutdown().await;
}

#[tokio::test]
async fn servers_come_go_and_change_and_the_others_stay_connected() {
    let lab = Lab::new(FakeServer::echo(), Scripted::new()).await;
    let names = |catalog: Arc<omni_core::catalog::Catalog>| {
        catalog.servers.iter().map(|server| server.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(lab.omni.catalog().await), ["lab"]);
    lab.write("mcps.yaml", "# moved down\n\nmcps: [{ name: lab, transport: fake, url: http://lab }, { name: new, transport: fake, url: http://new }]");
    let reload = lab.reloader().reload().await.unwrap();
    assert_eq!(reload.servers.into_iter().collect::<Vec<_>>(), ["new"]);
    assert_eq!(
        (names(lab.omni.catalog().await), lab.connects.load(Ordering::SeqCst)),
        (vec!["lab".into(), "new".into()], 2)
    );
    lab.write("mcps.yaml", "mcps: [{ name: lab, transport: fake, url: http://lab, headers: { X-Key: other } }]");
    let reload = lab.reloader().reload().await.unwrap();
    assert_eq!(reload.servers.into_iter().collect::<Vec<_>>(), ["lab"], "other credentials are another server");
    assert_eq!((names(lab.omni.catalog().await), lab.connects.load(Ordering::SeqCst)), (vec!["lab".into()], 3));
    lab.write("settings.yaml", "data_dir: elsewhere\nllm: { provider: script }");
    assert_eq!(lab.reloader().reload().await.unwrap().after_restart, ["database.url", "data_dir"]);
    lab.omni.shutdown().await;
}

#[tokio::test]
async fn an_address_of_the_command_line_is_no_change_of_the_files() {
    let lab = Lab::new(FakeServer::echo(), Scripted::new()).await;
    let options = options(lab.dir.path()).with_bind(Some("127.0.0.1:0"));
    let registry = lab.registry.clone();
    let started = Omni::from_config(&Config::load(options.clone()).unwrap(), &registry).await.unwrap();
    let reloader = Reloader::new(started.clone(), registry, options);
    assert_eq!(reloader.reload().await.unwrap().after_restart, Vec::<&str>::new());
    lab.write("settings.yaml", "data_dir: data\nllm: { provider: script }\nhttp: { max_concurrent: 7 }");
    for _ in 0..2 {
        let waits = reloader.reload().await.unwrap().after_restart;
        assert_eq!(waits, ["app, http, mcp_gateway, security.mode"], "it waits for as long as nothing was restarted");
    }
    lab.write("settings.yaml", "data_dir: data\nllm: { provider: script }");
    assert_eq!(reloader.reload().await.unwrap().after_restart, Vec::<&str>::new(), "it is again as it was begun with");
    started.shutdown().await;
    lab.omni.shutdown().await;
}

#[tokio::test]
async fn how_safe_a_record_must_be_changes_with_the_file() {
    let lab = Lab::new(FakeServer::echo(), Scripted::new()).await;
    let settings = |audit: &str| {
        lab.write("settings.yaml", &format!("data_dir: data\nllm: {{ provider: script }}\naudit: {{ {audit} }}"));
    };
    assert!(lab.omni.call_tool(echo()).await.is_ok());
    let database = lab.dir.path().join("data/omni.db");
    let pool = sqlx::SqlitePool::connect(database.to_str().unwrap()).await.unwrap();
    for (ack, waits) in [("local", false), ("database", true), ("local", false)] {
        settings(&format!("ack: {ack}"));
        assert_eq!(lab.reloader().reload().await.unwrap().after_restart, Vec::<&str>::new());
        lab.omni.ledger().flush(SOON).await.unwrap();
        let lock = pool.begin_with("BEGIN EXCLUSIVE").await.unwrap();
        let omni = lab.omni.clone();
        let mut call = tokio::spawn(async move { omni.call_tool(echo()).await });
        // One that waits for the database waits for as long as it is locked.
        let within = if waits { Duration::from_millis(300) } else { SOON };
        assert_eq!(tokio::time::timeout(within, &mut call).await.is_err(), waits, "{ack}");
        lock.rollback().await.unwrap();
        if waits {
            call.await.unwrap().unwrap();
        }
    }
    settings(&format!("verify_keys: ['{}']", "07".repeat(32)));
    assert_eq!(lab.reloader().reload().await.unwrap().after_restart, ["audit.verify_keys"]);
    lab.omni.shutdown().await;
}

#[tokio::test]
async fn what_is_counted_stays_counted() {
    let lab = Lab::new(FakeServer::echo(), Scripted::new()).await;
    lab.write(
        "users.yaml",
        "users: [{ email: ada@company.com, role: dba, allowed_mcps: '*', rate_limit: { requests_per_hour: 2 } }]",
    );
    lab.reloader().reload().await.unwrap();
    assert!(lab.omni.call_tool(echo()).await.is_ok());
    lab.reloader().reload().await.unwrap();
    assert!(lab.omni.call_tool(echo()).await.is_ok());
    lab.reloader().reload().await.unwrap();
    assert!(matches!(lab.omni.call_tool(echo()).await, Err(Error::Limit(_))));
    lab.omni.shutdown().await;
}

#[tokio::test]
async fn what_is_counted_stays_counted_when_only_the_way_to_do_without_it_changes() {
    let lab = Lab::new(FakeServer::echo(), Scripted::new()).await;
    let on_error = |on_error: &str| {
        lab.write(
            "settings.yaml",
            &format!("data_dir: data\nllm: {{ provider: script }}\nlimit: {{ on_error: {on_error} }}"),
        );
    };
    lab.write(
        "users.yaml",
        "users: [{ email: ada@company.com, role: dba, allowed_mcps: '*', rate_limit: { requests_per_hour: 2 } }]",
    );
    for way in ["deny", "allow"] {
        on_error(way);
        lab.reloader().reload().await.unwrap();
        assert!(lab.omni.call_tool(echo()).await.is_ok());
    }
    for way in ["allow", "deny"] {
        on_error(way);
        lab.reloader().reload().await.unwrap();
        assert!(matches!(lab.omni.call_tool(echo()).await, Err(Error::Limit(_))), "{way}");
    }
    lab.omni.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_reloads_under_load_drop_nothing() {
    let llm = Scripted::from_fn(|request| {
        let answered = request
            .messages
            .iter()
            .flat_map(|message| &message.blocks)
            .any(|block| matches!(block, Block::ToolResult { .. }));
        Ok(if answered {
            omni_core::llm::scripted::text_turn("done")
        } else {
            omni_core::llm::scripted::call_turn(0, &[("lab__echo", json!({ "message": "hi" }))])
        })
    });
    let lab = Lab::new(FakeServer::echo(), llm).await;
    lab.write(
        "settings.yaml",
        "data_dir: data\nllm: { provider: script }\nrate_limiting: { enabled: false }\naudit: { ack: local }",
    );
    lab.reloader().reload().await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let workers: Vec<_> = (0..8)
        .map(|_| {
            let (omni, stop) = (lab.omni.clone(), stop.clone());
            tokio::spawn(async move {
                let mut asked = 0;
                while !stop.load(Ordering::SeqCst) {
                    let answer = omni.ask(Ask::new(ada(), "q")).await.unwrap();
                    assert_eq!((answer.text.as_str(), answer.tool_calls[0].status), ("done", CallStatus::Ok));
                    asked += 1;
                }
                asked
            })
        })
        .collect();
    for turn in 0..200 {
        lab.write("mcps.yaml", &format!("# turn {turn}\n{MCPS}"));
        lab.reloader().reload().await.unwrap();
    }
    stop.store(true, Ordering::SeqCst);
    let asked: usize = futures::future::join_all(workers).await.into_iter().map(Result::unwrap).sum();
    assert!(asked > 200, "{asked} asks in the time of 200 reloads");
    assert_eq!(lab.connects.load(Ordering::SeqCst), 1);
    lab.omni.shutdown().await;
}

/// What the files say in each round: whether Ada may call, and with which secret the server is called.
fn change(lab: &Lab, round: usize) {
    let allowed = if round.is_multiple_of(2) { "'*'" } else { "[]" };
    let ada = format!("users: [{{ email: ada@company.com, role: dba, allowed_mcps: {allowed} }}]");
    lab.write("users.yaml", &format!("super_admins: [{{ email: boss@company.com }}]\n{ada}"));
    let servers = match round % 4 {
        0 => "{ name: lab, transport: fake, url: http://lab }",
        1 => "{ name: lab, transport: fake, url: http://lab, headers: { X-Key: other } }",
        2 => "{ name: lab, transport: fake, url: http://lab }, { name: new, transport: fake, url: http://new }",
        _ => "{ name: lab, transport: fake, url: http://lab }, { name: new, transport: fake, enabled: false }",
    };
    lab.write("mcps.yaml", &format!("mcps: [{servers}]"));
}

/// Asks again and again; between two reloads every ask has its one right end. How many had which.
async fn ask_through(omni: Omni, round: Arc<AtomicUsize>, stop: Arc<AtomicBool>) -> [usize; 2] {
    let mut sure = [0, 0];
    while !stop.load(Ordering::SeqCst) {
        let before = round.load(Ordering::SeqCst);
        let answer = omni.ask(Ask::new(ada(), "q")).await.unwrap();
        let called = answer.tool_calls.iter().any(|call| call.status == CallStatus::Ok);
        let refused =
            answer.tool_calls.iter().all(|call| matches!(call.status, CallStatus::Denied | CallStatus::Error));
        assert!(called != refused, "{answer:?}");
        // An odd number is a reload under way.
        if before == round.load(Ordering::SeqCst) && before.is_multiple_of(2) {
            let may = (before / 2).is_multiple_of(2);
            assert_eq!(called, may, "round {before}: {answer:?}");
            sure[usize::from(may)] += 1;
        }
    }
    sure
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloads_that_change_policy_and_servers_under_load_give_every_ask_its_right_end() {
    let llm = Scripted::from_fn(|request| {
        let blocks = request.messages.iter().flat_map(|message| &message.blocks);
        let answered = blocks.into_iter().any(|block| matches!(block, Block::ToolResult { .. }));
        Ok(if answered {
            omni_core::llm::scripted::text_turn("done")
        } else {
            omni_core::llm::scripted::call_turn(0, &[("lab__echo", json!({ "message": "hi" }))])
        })
    });
    let lab = Lab::new(FakeServer::echo(), llm).await;
    let fast = "data_dir: data\nllm: { provider: script }\nrate_limiting: { enabled: false }\naudit: { ack: local }";
    lab.write("settings.yaml", fast);
    lab.reloader().reload().await.unwrap();
    let (round, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let worker = |_| tokio::spawn(ask_through(lab.omni.clone(), round.clone(), stop.clone()));
    let workers: Vec<_> = (0..8).map(worker).collect();
    for turn in 1..=60 {
        round.fetch_add(1, Ordering::SeqCst);
        change(&lab, turn);
        lab.reloader().reload().await.unwrap();
        round.fetch_add(1, Ordering::SeqCst);
        // As long as it takes to ask a few times between two reloads.
        for _ in 0..3 {
            let called = lab.omni.call_tool(echo()).await;
            assert_eq!(called.is_ok(), turn % 2 == 0, "turn {turn}: {called:?}");
        }
    }
    stop.store(true, Ordering::SeqCst);
    let sure = futures::future::join_all(workers).await.into_iter().map(Result::unwrap);
    let sure = sure.fold([0, 0], |[refused, called], more| [refused + more[0], called + more[1]]);
    assert!(sure.iter().all(|count| *count > 0), "{sure:?} asks were refused and let through between reloads");
    lab.omni.ledger().flush(SOON).await.unwrap();
    lab.omni.shutdown().await;
    let store = audit::sql::SqlAudit::open(lab.dir.path().join("data/omni.db").to_str().unwrap()).await.unwrap();
    let key = omni_core::ledger::SealKey::load(&lab.dir.path().join("data")).unwrap();
    let verified = omni_core::ledger::verify::verify(&store, &key).await.unwrap();
    assert_eq!(verified.first_break, None);
}

#[tokio::test]
async fn a_changed_file_is_live_by_itself_and_so_is_a_hangup() {
    let lab = Lab::new(FakeServer::echo(), Scripted::new()).await;
    let watching = lab.reloader().watch().unwrap();
    let mut outcome = watching.outcome();
    lab.write("users.yaml", "users: [{ email: ada@company.com, role: dba, allowed_mcps: [] }]");
    outcome.changed().await.unwrap();
    assert!(lab.omni.call_tool(echo()).await.is_err());

    lab.write("users.yaml", "users: [nobody");
    outcome.changed().await.unwrap();
    assert!(outcome.borrow_and_update().as_ref().is_some_and(|outcome| outcome.is_err()));

    lab.write("users.yaml", ADA);
    outcome.changed().await.unwrap();
    assert!(outcome.borrow_and_update().as_ref().is_some_and(|outcome| outcome.is_ok()));
    until(|| outcome.has_changed().is_ok_and(|changed| !changed)).await;
    assert!(lab.omni.call_tool(echo()).await.is_ok());

    let (log, listening) = Log::of(Level::WARN);
    lab.write("settings.yaml", "data_dir: data\nllm: { provider: script }\nhttp: { max_concurrent: 7 }");
    outcome.changed().await.unwrap();
    let told = log.take();
    assert!(told.contains("waits for a restart: app, http, mcp_gateway, security.mode"), "{told}");
    drop(listening);

    let me = std::process::id();
    assert!(std::process::Command::new("sh").args(["-c", &format!("kill -HUP {me}")]).status().unwrap().success());
    outcome.changed().await.unwrap();
    assert!(outcome.borrow().as_ref().is_some_and(|outcome| outcome.is_ok()));
    drop(watching);
    assert!(outcome.changed().await.is_err(), "nobody watches any more");
    lab.omni.shutdown().await;
}

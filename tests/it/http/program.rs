//! `omni serve` as people and supervisors run it.

use omni_tests::{
    door::Reply,
    loopback::Loopback,
    program::{Program, Ran},
    rig::until,
    service::Service,
};
use serde_json::{Value, json};

pub(super) fn omni() -> Program {
    Program::new(env!("CARGO_BIN_EXE_omni-under-test"))
}

/// A key of somebody, made as an operator makes it.
pub(super) fn key(home: &Program, scopes: &str) -> String {
    let ran = home.run(&["keys", "create", "--user", "ada@company.com", "--scope", scopes]).exits(0);
    ran.out.trim().to_owned()
}

async fn statuses(home: &Program) -> Vec<String> {
    let database = home.home().join("xdg/data/omni/omni.db");
    let pool = sqlx::SqlitePool::connect(database.to_str().unwrap()).await.unwrap();
    sqlx::query_scalar("SELECT status FROM audit_logs WHERE request_type = 'chat' ORDER BY id")
        .fetch_all(&pool)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_run_says_where_it_is_and_how_to_let_somebody_in() {
    let home = omni();
    let mut service = Service::start(&home, &[]);
    assert_eq!(service.lines.len(), 1, "one line when it is ready: {:?}", service.lines);
    let hint = service.next_line();
    assert!(hint.contains("omni keys create --user you@company.com --scope ask"), "{hint}");
    Reply::of(service.client.get(format!("{}/health", service.url))).await.is(200);
    Reply::of(service.ask("", "Hi")).await.error(401, "unauthenticated");
    let key = key(&home, "ask");
    Reply::of(service.ask(&key, "What can you do?")).await.is(200);
    service.signal("INT");
    assert_eq!(service.end().0, 0);
    assert_eq!(statuses(&home).await, ["success"]);

    let again = Service::start(&home, &["--log-format", "json"]);
    let line: Value = serde_json::from_str(&again.lines[0]).unwrap();
    assert_eq!((&line["level"], line["message"].as_str().unwrap().contains(&again.url)), (&json!("INFO"), true));
    again.signal("TERM");
    let (code, rest) = again.end();
    assert!(code == 0 && !rest.contains("omni keys create"), "{rest}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_has_no_files_outlives_a_hangup() {
    let mut service = Service::start(&omni(), &[]);
    service.signal("HUP");
    // What it says of its beginning comes before.
    assert!((0..4).any(|_| service.next_line().contains("no files to read again")));
    Reply::of(service.client.get(format!("{}/health/live", service.url))).await.is(200);
    service.signal("TERM");
    assert_eq!(service.end().0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_is_in_the_log_without_what_they_came_with() {
    let home = omni();
    let log = ("RUST_LOG", "info,omni_http=debug");
    let service = Service::start_with(&home, &[log], &["--log-format", "json"]);
    Reply::of(service.ask("omni_s3cret", "Hi")).await.error(401, "unauthenticated");
    service.signal("TERM");
    let (_, rest) = service.end();
    let lines: Vec<Value> = rest.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let line = |message: &str| lines.iter().find(|line| line["message"] == message).unwrap_or_else(|| panic!("{rest}"));
    let told = line("somebody was refused");
    let seen = ["level", "client", "method", "route"].map(|field| told[field].as_str().unwrap());
    assert_eq!((seen, &told["status"]), (["WARN", "127.0.0.1", "POST", "/chat/ask"], &json!(401)));
    assert!(line("a request was answered")["duration_ms"].is_u64(), "{rest}");
    assert!(!rest.contains("s3cret"), "{rest}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_of_the_log_names_the_record_of_what_failed_also_where_the_sender_chose_an_id() {
    let ada = "users: [{ email: ada@company.com, role: dba, allowed_mcps: '*' }]\n";
    let away = "mcps: [{ name: away, url: 'http://127.0.0.1:1/mcp' }]\n";
    let home = omni().with_file("mcps.yaml", away).with_file("users.yaml", ada);
    let key = key(&home, "mcp");
    let service = Service::start(&home, &["--log-format", "json"]);
    let request = service.client.post(format!("{}/mcp/tools/call", service.url)).bearer_auth(&key);
    let call = json!({ "server": "away", "tool": "echo" });
    let failed = Reply::of(request.header("x-request-id", "web-1").json(&call)).await.is(503);
    service.signal("TERM");
    let (_, rest) = service.end();
    let mut lines = rest.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let line = lines.find(|line| line["message"] == "a request failed").unwrap_or_else(|| panic!("{rest}"));
    let span = &line["spans"][0];
    let id = failed.header("x-omni-request-id");
    assert_eq!((&span["request_id"], &span["omni.request_id"]), (&json!("web-1"), &json!(id)), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_asked_to_end_finishes_what_runs_and_takes_nothing_new() {
    let server = Loopback::start();
    let ada = "users: [{ email: ada@company.com, role: dba, allowed_mcps: '*' }]\n";
    let home = omni().with_file("mcps.yaml", &server.mcps("")).with_file("users.yaml", ada);
    let key = key(&home, "ask");
    let service = Service::start(&home, &[]);
    let asking = tokio::spawn(Reply::of(service.ask(&key, "drop table \"slow\"")));
    until(|| !server.calls().is_empty()).await;
    service.signal("TERM");
    let answer = asking.await.unwrap().is(200);
    assert!(answer.json()["answer"].as_str().unwrap().contains("dropped"), "{answer:?}");
    let (url, client) = (service.url.clone(), service.client.clone());
    let (code, rest) = service.end();
    assert_eq!(code, 0, "{rest}");
    assert!(client.get(format!("{url}/health/live")).send().await.is_err());
    assert_eq!(statuses(&home).await, ["success"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_trusts_this_machine_is_the_super_admins_and_listens_nowhere_else() {
    let home = omni()
        .with_file("users.yaml", "super_admins: [{ email: Boss@company.com }]\n")
        .with_file("settings.yaml", "security: { mode: trusted_local }\n");
    let refused: Ran = home.run(&["serve", "--bind", "0.0.0.0:0"]).exits(3);
    assert!(
        refused.err.contains("listens on loopback only") && refused.err.contains("--bind 127.0.0.1"),
        "{refused:?}"
    );
    let service = Service::start(&home, &[]);
    // Whoever has the address may end, so that supervisors try again.
    let taken = home.run(&["serve", "--bind", service.url.trim_start_matches("http://")]).exits(8);
    assert!(taken.err.contains("cannot listen at 127.0.0.1"), "{taken:?}");
    assert!(!taken.err.contains("config check"), "nothing is wrong with the files: {taken:?}");
    let request =
        service.client.post(format!("{}/chat/ask", service.url)).json(&json!({ "message": "What can you do?" }));
    assert_eq!(Reply::of(request).await.is(200).json()["user"], "boss@company.com");
    service.signal("TERM");
    assert_eq!(service.end().0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_does_not_start_without_a_server_that_it_needs_and_starts_without_others() {
    let mcps = |failure: &str| {
        format!("mcps: [{{ name: ledger_mcp, url: 'http://127.0.0.1:1/mcp', on_start_failure: {failure} }}]\n")
    };
    let ada = "users: [{ email: ada@company.com, role: dba }]\n";
    let home = omni().with_file("mcps.yaml", &mcps("fail_closed")).with_file("users.yaml", ada);
    let refused = home.run(&["serve", "--bind", "127.0.0.1:0"]).exits(8);
    assert!(refused.err.contains("does not start without the server ledger_mcp"), "{refused:?}");
    assert!(refused.err.contains("fail_closed") && !refused.err.contains("omni listens"), "{refused:?}");
    // What needs no server works.
    key(&home, "ask");
    let home = omni().with_file("mcps.yaml", &mcps("fail_open"));
    let service = Service::start(&home, &[]);
    Reply::of(service.client.get(format!("{}/health", service.url))).await.is(200);
    service.signal("TERM");
    assert_eq!(service.end().0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_is_live_in_a_running_service() {
    let users = |role: &str| {
        format!("super_admins: [{{ email: b@c.d }}]\nusers: [{{ email: ada@company.com, role: {role} }}]\n")
    };
    let home = omni().with_file("users.yaml", &users("dba"));
    let made = home.run(&["keys", "create", "--user", "ada@company.com", "--scope", "ask"]);
    assert_eq!(made.code, 0, "{made:?}");
    let key = made.out.trim().to_owned();
    let service = Service::start(&home, &[]);
    Reply::of(service.ask(&key, "What can you do?")).await.is(200);
    std::fs::write(home.config_dir().join("users.yaml"), users("nobody_knows")).unwrap();
    let mut status = 200;
    for _ in 0..600 {
        status = Reply::of(service.ask(&key, "What can you do?")).await.status;
        if status != 200 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(status, 403);
    service.signal("TERM");
    assert_eq!(service.end().0, 0);
}

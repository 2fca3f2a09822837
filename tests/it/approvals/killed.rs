//! A service that is killed between the question and the click, and while the call runs; and another instance.

use std::time::Duration;

use omni_tests::{loopback::Loopback, program::Program, service::Service};
use serde_json::{Value, json};

/// A home whose service asks before anything is dropped. Homes with the same database are one service.
fn home(server: &Loopback, database: &str) -> Program {
    let settings = format!("llm: {{ provider: offline }}\ndatabase: {{ url: \"{database}\" }}\n");
    let users = "super_admins:\n- { email: boss@x.org }\nusers:\n- { email: ada@x.org, role: dba }\n";
    Program::new(env!("CARGO_BIN_EXE_omni-under-test"))
        .with_file("mcps.yaml", &server.mcps("    confirm: [\"drop_*\"]\n"))
        .with_file("settings.yaml", &settings)
        .with_file("users.yaml", users)
}

fn key(home: &Program) -> String {
    home.run(&["keys", "create", "--user", "ada@x.org", "--scope", "ask"]).exits(0).out.trim().to_owned()
}

/// Asks for a table to be dropped; the path of what waits.
async fn waits(service: &Service, key: &str, table: &str) -> String {
    let asked = service.ask(key, &format!(r#"drop table {{"table":"{table}"}}"#)).send().await.unwrap();
    assert_eq!(asked.status(), 202);
    let asked: Value = asked.json().await.unwrap();
    asked["confirmations"][0]["url"].as_str().unwrap().to_owned()
}

fn approve(service: &Service, key: &str, path: &str) -> reqwest::RequestBuilder {
    service.client.post(format!("{}{path}", service.url)).bearer_auth(key).json(&json!({ "approve": true }))
}

async fn shown(service: &Service, key: &str, path: &str) -> Value {
    let request = service.client.get(format!("{}{path}", service.url)).bearer_auth(key);
    request.send().await.unwrap().json().await.unwrap()
}

fn kill(service: Service) {
    service.signal("KILL");
    assert_ne!(service.end().0, 0);
}

/// Every row of the audit log: its type and how it ended, the oldest first; and that it can be proved.
fn logged(home: &Program) -> Vec<(String, String)> {
    let listed = home.run(&["audit", "list", "--json", "--as", "boss@x.org"]).exits(0).json();
    home.run(&["audit", "verify"]).exits(0);
    let text = |entry: &Value, field: &str| entry[field].as_str().unwrap_or_default().to_owned();
    let entries = listed["entries"].as_array().unwrap();
    let mut rows: Vec<_> = entries
        .iter()
        .map(|entry| {
            let message = text(entry, "message");
            let what = message.split(' ').next().filter(|word| word.starts_with("confirmation."));
            (what.map_or_else(|| text(entry, "request_type"), str::to_owned), text(entry, "status"))
        })
        .collect();
    rows.reverse();
    rows
}

fn rows(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(what, status)| ((*what).to_owned(), (*status).to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_killed_before_the_click_runs_the_call_once_after_it() {
    let server = Loopback::start();
    let dir = tempfile::tempdir().unwrap();
    let home = home(&server, &dir.path().join("omni.db").display().to_string());
    let key = key(&home);
    let service = Service::start(&home, &[]);
    let path = waits(&service, &key, "users").await;
    kill(service);
    assert_eq!(server.calls().len(), 0);

    let service = Service::start(&home, &[]);
    assert_eq!(shown(&service, &key, &path).await["state"], "pending");
    let answer = approve(&service, &key, &path).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let answer: Value = answer.json().await.unwrap();
    assert!(answer["answer"].as_str().unwrap().contains("dropped"), "{answer}");
    assert_eq!(server.calls()[0]["arguments"]["table"], "users");
    assert_eq!(approve(&service, &key, &path).send().await.unwrap().status(), 409);
    assert_eq!(server.calls().len(), 1);
    service.signal("TERM");
    assert_eq!(service.end().0, 0);
    let expected = [
        ("confirmation.asked", "success"),
        ("chat", "warning"),
        ("confirmation.approved", "success"),
        ("chat", "success"),
    ];
    let logged = logged(&home);
    assert_eq!(logged.iter().filter(|(what, _)| what != "admin").cloned().collect::<Vec<_>>(), rows(&expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_killed_while_the_call_runs_does_not_send_it_again() {
    let server = Loopback::start();
    let dir = tempfile::tempdir().unwrap();
    let home = home(&server, &dir.path().join("omni.db").display().to_string());
    let key = key(&home);
    let service = Service::start(&home, &[]);
    let path = waits(&service, &key, "endless").await;
    let click = tokio::spawn(approve(&service, &key, &path).send());
    while server.calls().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    kill(service);
    assert!(click.await.unwrap().is_err());

    let service = Service::start(&home, &[]);
    let state = loop {
        let shown = shown(&service, &key, &path).await;
        if shown["state"] != "running" {
            break shown["state"].clone();
        }
        assert_eq!(approve(&service, &key, &path).send().await.unwrap().status(), 409);
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    assert_eq!(state, "unknown_outcome");
    assert_eq!(approve(&service, &key, &path).send().await.unwrap().status(), 409);
    assert_eq!(server.calls().len(), 1, "it was sent once");
    service.signal("TERM");
    assert_eq!(service.end().0, 0);
    let logged = logged(&home);
    let unknown =
        |what: &str| logged.iter().filter(|row| **row == (what.to_owned(), "unknown_outcome".to_owned())).count();
    assert_eq!((unknown("confirmation.unknown_outcome"), unknown("chat")), (1, 1), "{logged:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_instance_over_the_same_database_goes_on() {
    let server = Loopback::start();
    let dir = tempfile::tempdir().unwrap();
    let database = match omni_core::testing::postgres_schema().await {
        Some(url) => url,
        None => dir.path().join("omni.db").display().to_string(),
    };
    let homes = [home(&server, &database), home(&server, &database)];
    let key = key(&homes[0]);
    let [one, other] = [0, 1].map(|at: usize| Service::start(&homes[at], &[]));
    let path = waits(&one, &key, "users").await;
    let clicks = [&one, &other].map(|service| approve(service, &key, &path).send());
    let statuses: Vec<u16> =
        futures::future::join_all(clicks).await.into_iter().map(|reply| reply.unwrap().status().as_u16()).collect();
    assert!(statuses.contains(&200), "{statuses:?}");
    assert_eq!((statuses.iter().filter(|status| **status == 409).count(), server.calls().len()), (1, 1));
    let path = waits(&one, &key, "orders").await;
    assert_eq!(approve(&other, &key, &path).send().await.unwrap().status(), 200);
    assert_eq!(shown(&one, &key, &path).await["state"], "done");
    assert_eq!(server.calls().len(), 2);
    for service in [one, other] {
        service.signal("TERM");
        assert_eq!(service.end().0, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_listed_and_decided_on_at_the_terminal() {
    let server = Loopback::start();
    let dir = tempfile::tempdir().unwrap();
    let home = home(&server, &dir.path().join("omni.db").display().to_string());
    let key = key(&home);
    let service = Service::start(&home, &[]);
    let paths = [waits(&service, &key, "users").await, waits(&service, &key, "orders").await];
    let ids = paths.each_ref().map(|path| path.rsplit('/').next().unwrap());
    let as_ada = |args: &[&'static str], id: &str| {
        let mut all: Vec<String> = ["approvals"].iter().chain(args).map(|arg| (*arg).to_owned()).collect();
        all.extend((!id.is_empty()).then(|| id.to_owned()));
        all.extend(["--as".to_owned(), "ada@x.org".to_owned()]);
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        home.run(&all)
    };
    let listed = as_ada(&["list", "--json"], "").exits(0).json();
    assert_eq!(listed.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect::<Vec<_>>(), ids);
    let text = as_ada(&["list"], "").exits(0).out;
    assert!(text.contains(ids[0]) && text.contains("db.drop_table") && text.contains("ada@x.org"), "{text}");
    assert!(as_ada(&["show"], ids[0]).exits(0).out.contains("State:     pending"));
    assert!(as_ada(&["approve"], ids[0]).exits(0).out.contains("dropped"));
    let no = as_ada(&["deny", "--reason", "no"], ids[1]).exits(0);
    assert!(!no.out.contains("dropped"), "{no:?}");
    as_ada(&["approve"], ids[1]).exits(2);
    assert_eq!(server.calls().len(), 1);
    let unknown = as_ada(&["approve"], "0199c0de-0000-7000-8000-000000000000").exits(2);
    assert!(unknown.err.contains("omni approvals list"), "{unknown:?}");
    assert!(as_ada(&["list"], "").exits(0).out.contains("No call waits"));
    service.signal("TERM");
    service.end();
}

//! A real process that is killed at each step of its way, and the next one.

use std::{
    net::TcpListener,
    process::{Child, Command},
    time::{Duration, Instant},
};

use omni_tests::{postgres::Postgres, program::Program};

fn home() -> Program {
    Program::new(env!("CARGO_BIN_EXE_omni-under-test"))
}

const STARTED: &str = "\"kind\":\"started\"";

/// Waits until the write-ahead file says so, and kills the process as nothing can be caught.
fn kill_when(home: &Program, mut child: Child, said: &str) {
    wait_for(home, said);
    child.kill().unwrap();
    child.wait().unwrap();
}

fn wait_for(home: &Program, said: &str) {
    let started = Instant::now();
    while !wal(home).contains(said) {
        assert!(started.elapsed() < Duration::from_secs(60), "{said} is not in the file: {}", wal(home));
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// All that lies in write-ahead files.
fn wal(home: &Program) -> String {
    let Ok(dir) = std::fs::read_dir(home.home().join("xdg/data/omni")) else { return String::new() };
    let files =
        dir.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.extension() == Some("wal".as_ref()));
    files.filter_map(|path| std::fs::read_to_string(path).ok()).collect()
}

/// The entries that the next process finds, and that it can prove them.
fn found(home: &Program) -> Vec<(String, String)> {
    found_with(home, &[])
}

fn found_with(home: &Program, env: &[(&str, &str)]) -> Vec<(String, String)> {
    let listed = home.run_with(env, &["audit", "list", "--json"]).exits(0).json();
    let entries = listed["entries"].as_array().unwrap();
    let text = |entry: &serde_json::Value, field: &str| entry[field].as_str().unwrap_or_default().to_owned();
    home.run_with(env, &["audit", "verify"]).exits(0);
    assert!(!wal(home).contains("kind"), "what is in the database is in no file");
    entries.iter().map(|entry| (text(entry, "request_type"), text(entry, "status"))).collect()
}

/// A server or a model that takes connections and says nothing.
fn silent() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

#[test]
fn an_ask_that_is_killed_while_the_model_thinks_is_closed_once_as_unknown() {
    let (_listener, url) = silent();
    let settings = format!("llm:\n  provider: openai\n  model: m\n  api_key: sk-x\n  base_url: {url}\n");
    let home = home().with_file("settings.yaml", &settings);
    kill_when(&home, home.command(&["ask", "Anybody?"]).spawn().unwrap(), "ask_started");
    assert_eq!(found(&home), [("chat".into(), "unknown_outcome".into())]);
    assert_eq!(found(&home).len(), 1);
}

#[test]
fn a_call_that_is_killed_while_the_server_works_is_closed_once_as_unknown() {
    let server = omni_tests::loopback::Loopback::start();
    let home = home().with_file("mcps.yaml", &server.mcps(""));
    let mut command = home.command(&["tools", "call", "db.drop_table", "--arg", "table=endless"]);
    kill_when(&home, command.spawn().unwrap(), STARTED);
    assert_eq!(found(&home), [("tool_call".into(), "unknown_outcome".into())]);
    assert_eq!(found(&home).len(), 1);
}

#[test]
fn an_answer_that_was_given_while_the_database_was_locked_survives_the_kill() {
    let server = omni_tests::loopback::Loopback::start();
    let home = home().with_file("mcps.yaml", &server.mcps(""));
    let child = home.command(&["tools", "call", "db.drop_table", "--arg", "table=slow"]).spawn().unwrap();
    wait_for(&home, STARTED);
    let database = home.home().join("xdg/data/omni/omni.db");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let pool = runtime.block_on(sqlx::SqlitePool::connect(database.to_str().unwrap())).unwrap();
    let lock = runtime.block_on(pool.begin_with("BEGIN EXCLUSIVE")).unwrap();
    // The record is in the file, and so the answer was given; the database does not have it.
    kill_when(&home, child, "\"kind\":\"direct_call\"");
    runtime.block_on(lock.rollback()).unwrap();
    runtime.block_on(pool.close());
    assert_eq!(found(&home), [("tool_call".into(), "success".into())]);
    assert_eq!(found(&home).len(), 1);
}

/// Processes are killed at any moment; each ask that began has one row, however often one looks.
fn killed_at_any_moment(home: &Program, env: &[(&str, &str)]) {
    home.run_with(env, &["db", "migrate"]).exits(0);
    for pause in [0, 5, 10, 20, 40, 80, 160, 320] {
        let mut child = home.command(&["ask", "What can you do?"]).envs(env.iter().copied()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(pause));
        let _ = Command::new("sh").args(["-c", &format!("kill -9 {}", child.id())]).status();
        child.wait().unwrap();
    }
    let first = found_with(home, env);
    assert!(first.len() <= 8, "{first:?}");
    assert_eq!(found_with(home, env), first);
}

#[test]
fn processes_that_are_killed_at_any_moment_leave_one_row_for_every_ask_that_began() {
    killed_at_any_moment(&home(), &[]);
}

#[test]
fn so_they_do_where_postgres_is_the_store() {
    let Some(postgres) = Postgres::start() else { return };
    killed_at_any_moment(&home(), &[("DATABASE_URL", &postgres.url())]);
}

#[test]
fn calls_that_are_killed_with_postgres_as_the_store_are_closed_once_as_they_went() {
    let Some(postgres) = Postgres::start() else { return };
    let (server, url) = (omni_tests::loopback::Loopback::start(), postgres.url());
    let env = [("DATABASE_URL", &*url)];
    let home = home().with_file("mcps.yaml", &server.mcps(""));
    home.run_with(&env, &["db", "migrate"]).exits(0);
    let call = |table: &str| {
        let mut command = home.command(&["tools", "call", "db.drop_table", "--arg", table]);
        command.envs(env).spawn().unwrap()
    };
    // One while the server works, and one whose end is in the file while PostgreSQL is stopped.
    kill_when(&home, call("table=endless"), STARTED);
    assert_eq!(found_with(&home, &env), [("tool_call".into(), "unknown_outcome".into())]);
    let child = call("table=slow");
    wait_for(&home, STARTED);
    postgres.stop();
    kill_when(&home, child, "\"kind\":\"direct_call\"");
    postgres.start_again();
    for _ in 0..2 {
        let expected = ["success", "unknown_outcome"].map(|status| ("tool_call".into(), status.into()));
        assert_eq!(found_with(&home, &env), expected);
    }
}

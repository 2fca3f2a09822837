use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    process::Stdio,
};

use omni_tests::{
    loopback::Loopback,
    program::Ran,
    vendor::{KEY, Reply, Vendor},
};
use serde_json::json;

use super::{LONG, accept, interrupt, omni, os_user, schema, silent_vendor, statuses, with_server};

#[test]
fn without_configuration_and_key_a_question_is_answered_offline() {
    let ran = omni().run(&["ask", "What", "can", "you", "do?"]).exits(0);
    assert!(ran.out.to_lowercase().contains("offline"), "{ran:?}");
    assert!(ran.out.ends_with('\n'), "{ran:?}");
    assert_eq!((ran.err.lines().count(), ran.err.contains("omni init")), (1, true), "{ran:?}");
}

#[test]
fn the_document_names_user_role_and_calls() {
    let server = Loopback::start();
    let document = schema::document(&with_server(&server, "").run(&["ask", "--json", "database health"]).exits(0));
    assert_eq!(document["status"], "completed");
    assert_eq!(document["tool_calls"][0]["tool"], "get_health", "{document:#}");
    assert!(document["answer"].as_str().unwrap().contains("all healthy"), "{document:#}");
    assert_eq!(server.calls().len(), 1);
}

#[test]
fn lines_tell_the_ask_from_its_start_to_its_end() {
    let server = Loopback::start();
    let events = schema::events(&with_server(&server, "").run(&["ask", "--jsonl", "database health"]).exits(0));
    let names: Vec<&str> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(names[0], "started", "{names:?}");
    for name in ["tool_start", "tool_end", "token", "usage"] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    let text: String = events.iter().filter_map(|event| event["text"].as_str()).collect();
    assert_eq!(events.last().unwrap()["answer"], text.as_str());
}

#[test]
fn what_is_piped_in_goes_along_and_a_dash_is_the_question() {
    let home = omni();
    let dash = home.run_piped("What can you do?", &["ask", "-", "--json"]).exits(0);
    let alone = home.run_piped("What can you do?", &["ask", "--json"]).exits(0);
    let words = home.run(&["ask", "--json", "What can you do?"]).exits(0);
    assert_eq!(dash.json()["answer"], words.json()["answer"]);
    assert_eq!(alone.json()["answer"], words.json()["answer"]);
    let long = "x".repeat(2 * 1024 * 1024);
    let cut = home.run_piped(&long, &["ask", "What is this?"]).exits(0);
    assert!(cut.err.contains("longer than 1 MiB"), "{}", cut.err);
}

#[test]
fn the_model_is_given_what_was_piped_in() {
    let (vendor, settings) = silent_vendor();
    let home = omni().with_file("settings.yaml", &settings);
    let parts = ["What went wrong?", "<attachment name=\\\"stdin\\\">", "disk full on node 7"];
    let heard = std::thread::spawn(move || {
        let mut connection = accept(&vendor);
        connection.set_read_timeout(Some(LONG)).unwrap();
        let (mut heard, mut more) = (String::new(), [0; 4096]);
        while !parts.iter().all(|part| heard.contains(part)) {
            let read = connection.read(&mut more).unwrap();
            assert_ne!(read, 0, "not all of it is in {heard}");
            heard.push_str(&String::from_utf8_lossy(&more[..read]));
        }
    });
    let ran = home.run_piped("disk full on node 7", &["ask", "What went wrong?"]);
    assert_ne!(ran.code, 0, "{ran:?}");
    heard.join().unwrap();
}

#[test]
fn an_ask_that_runs_out_of_turns_says_what_it_has_and_is_exit_code_7() {
    let server = Loopback::start();
    let home = with_server(&server, "");
    let document = schema::document(&home.run(&["ask", "--json", "--max-iterations", "1", "database health"]).exits(7));
    assert!(document["answer"].as_str().unwrap().contains("all healthy"), "{document:#}");
    assert_eq!(document["warnings"][0]["code"], "max_iterations_reached");
}

#[test]
fn a_dry_run_shows_everything_and_asks_nothing() {
    let server = Loopback::start();
    let home = with_server(&server, "");
    let ran = home.run(&["ask", "--dry-run", "database health"]).exits(0);
    for part in ["offline", &*format!("local:{}", os_user()), "super_admin", "db.get_health", "You are omni"] {
        assert!(ran.out.contains(part), "{part} in {}", ran.out);
    }
    let bare = schema::dry_run(&home.run(&["ask", "--dry-run", "--no-tools", "--json", "database health"]).exits(0));
    assert_eq!(bare["tools"], json!([]));
    for lines in [&["--jsonl"][..], &["-o", "jsonl"]] {
        schema::events(&home.run(&[&["ask", "--dry-run", "database health"], lines].concat()).exits(2));
    }
    assert_eq!(server.calls().len(), 0);
}

#[test]
fn nothing_of_a_terminal_is_printed_where_there_is_none() {
    let server = Loopback::start();
    let home = with_server(&server, "");
    for env in [&[][..], &[("NO_COLOR", "1")], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]] {
        let ran = home.run_with(env, &["ask", "paint with terminal colours"]).exits(0);
        assert!(ran.out.contains("red"), "{ran:?}");
        assert!(!ran.out.contains('\u{1b}') && !ran.err.contains('\u{1b}'), "{ran:?}");
    }
    let forced = home.run(&["--color", "always", "ask", "--model", "", " "]);
    assert!(forced.err.contains('\u{1b}'), "{forced:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_vendor_says_neither_controls_the_terminal_nor_forges_a_line_of_the_log() {
    let vendor = Vendor::start().await;
    let said = "bo\u{1b}[31mom\u{1b}]0;pwn\u{7}\r\nERROR forged\u{9b}2J";
    for _ in 0..2 {
        vendor.push(Reply::Body(500, "text/plain".into(), said.into()));
    }
    let settings = format!("llm:\n  provider: openai\n  model: m\n  api_key: {KEY}\n  max_retries: 1\n");
    let settings = format!("{settings}  base_url: {}\n", vendor.base_url());
    let ran = omni().with_file("settings.yaml", &settings).run(&["ask", "#plain Hi"]);
    assert!(ran.err.contains("trying again") && ran.err.contains("boom ERROR forged2J"), "{ran:?}");
    assert!(!ran.err.contains(|c: char| c.is_control() && c != '\n'), "{ran:?}");
    assert!(ran.err.lines().all(|line| !line.starts_with("ERROR forged")), "{ran:?}");
}

#[test]
fn a_call_that_nobody_can_approve_is_denied_and_the_exit_code_says_so() {
    let server = Loopback::start();
    let home = with_server(&server, "    confirm: [\"drop_*\"]\n");
    let question = ["ask", "drop table \"users\""];
    let ran = home.run(&question).exits(5);
    assert!(ran.err.contains("--approve auto or -y"), "{}", ran.err);
    assert_eq!(server.calls().len(), 0);
    let document = schema::document(&home.run(&[&question[..], &["--json"]].concat()).exits(5));
    assert_eq!(document["status"], "denied");
    assert_eq!(document["denials"][0]["reason"], "approval");
    home.run(&[&question[..], &["--allow-denied"]].concat()).exits(0);
    home.run(&[&question[..], &["--approve", "never"]].concat()).exits(5);
    assert_eq!(server.calls().len(), 0);
    home.run(&[&question[..], &["-y"]].concat()).exits(0);
    assert_eq!(server.calls().len(), 1);
}

#[test]
fn a_timeout_is_kept_and_has_its_exit_code() {
    let (_vendor, settings) = silent_vendor();
    let home = omni().with_file("settings.yaml", &settings);
    let document = schema::document(&home.run(&["ask", "--json", "--timeout", "700ms", "hello"]).exits(7));
    assert_eq!(document["status"], "timeout");
    assert_eq!(document["warnings"][0]["code"], "timeout", "{document:#}");
    assert_eq!(statuses(&home), ["warning"]);
}

#[test]
fn an_interruption_ends_the_ask_and_leaves_a_document() {
    let (vendor, settings) = silent_vendor();
    let home = omni().with_file("settings.yaml", &settings);
    let child = home.command(&["ask", "--json", "hello"]).spawn().unwrap();
    let _connection = accept(&vendor);
    let ran = interrupt(child).exits(130);
    assert_eq!(schema::document(&ran)["status"], "cancelled");
    assert_eq!(statuses(&home), ["cancelled"]);
}

#[test]
fn what_an_interrupted_ask_took_is_told_as_it_is_written_down() {
    let (vendor, settings) = silent_vendor();
    let home = omni().with_file("settings.yaml", &settings);
    let child = home.command(&["ask", "--json", "hello"]).spawn().unwrap();
    let _connection = accept(&vendor);
    let document = schema::document(&interrupt(child).exits(130));
    let usage = &document["usage"];
    assert_eq!((&document["iterations"], &usage["estimated"]), (&json!(1), &json!(true)), "{document:#}");
    assert!(usage["input_tokens"].as_u64() > Some(0), "{document:#}");
    let entry = home.run(&["audit", "list", "--json"]).exits(0).json()["entries"][0].clone();
    assert_eq!((&entry["request_id"], &entry["cost_is_estimated"]), (&document["request_id"], &json!(true)));
    assert_eq!((&entry["tokens_input"], &entry["tokens_output"]), (&usage["input_tokens"], &usage["output_tokens"]));
    assert_eq!((&entry["cost_estimate"], &entry["iterations"]), (&usage["cost_usd"], &json!(1)), "{entry:#}");
}

#[test]
fn standard_input_that_never_ends_is_not_waited_for_beyond_the_timeout() {
    let home = omni();
    let mut child = home.command(&["ask", "--timeout", "500ms", "hello"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut held = child.stdin.take().unwrap();
    held.write_all(b"some").unwrap();
    let ran = Ran::from(child.wait_with_output().unwrap()).exits(7);
    assert!(ran.err.contains("standard input did not end"), "{}", ran.err);
}

#[test]
fn whoever_holds_standard_input_open_is_told_what_is_waited_for() {
    let home = omni();
    let mut child = home.command(&["ask", "What can you do?"]).stdin(Stdio::piped()).spawn().unwrap();
    let held = child.stdin.take().unwrap();
    let mut told = String::new();
    BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut told).unwrap();
    assert!(told.contains("< /dev/null"), "{told}");
    drop(held);
    Ran::from(child.wait_with_output().unwrap()).exits(0);
}

//! The forms that programs rely on are written down, and every output keeps to them.

use std::{fs, path::Path};

use omni_cli::render::document;
use omni_tests::{loopback::Loopback, program::Ran};
use serde_json::Value;

use super::{omni, with_server};

fn file(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

/// Compares a file with what the code says; with `UPDATE_SCHEMAS=1` writes it instead.
fn holds(name: &str, generated: &Value) {
    let text = serde_json::to_string_pretty(generated).unwrap() + "\n";
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        fs::create_dir_all(file(name).parent().unwrap()).unwrap();
        fs::write(file(name), &text).unwrap();
    }
    let written = fs::read_to_string(file(name)).unwrap_or_default();
    assert!(written == text, "{name} is not what the code says; run this test with UPDATE_SCHEMAS=1");
}

fn validate(schema: &Value, document: &Value) {
    let validator = jsonschema::validator_for(schema).unwrap();
    let errors: Vec<String> = validator.iter_errors(document).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?} in {document:#}");
}

/// The document of an ask, held to its schema.
pub(super) fn document(ran: &Ran) -> Value {
    held(ran, &document::ask_schema())
}

/// The document of a dry run, held to its schema.
pub(super) fn dry_run(ran: &Ran) -> Value {
    held(ran, &document::dry_run_schema())
}

/// The document of a direct call, or of its failure, held to its schema.
pub(super) fn call(ran: &Ran) -> Value {
    let has_result = ran.json().get("content").is_some();
    held(ran, &if has_result { document::call_schema() } else { document::fault_schema() })
}

fn held(ran: &Ran, schema: &Value) -> Value {
    let document = ran.json();
    validate(schema, &document);
    assert_eq!(document["exit_code"], ran.code);
    assert_eq!(document["ok"], ran.code == 0);
    document
}

/// The events of an ask, each held to its schema; the last one is the end.
pub(super) fn events(ran: &Ran) -> Vec<Value> {
    let (events, schema) = (ran.json_lines(), omni_core::answer::json::schema());
    events.iter().for_each(|event| validate(&schema, event));
    let last = events.last().unwrap_or_else(|| panic!("no event in {ran:?}"));
    assert_eq!(last["event"], if ran.code == 0 || last["event"] == "done" { "done" } else { "error" }, "{last:#}");
    events
}

#[test]
fn the_schemas_in_the_repository_are_those_of_the_code() {
    holds("omni-cli/schema/ask.json", &document::ask_schema());
    holds("omni-cli/schema/dry-run.json", &document::dry_run_schema());
    holds("omni-cli/schema/call.json", &document::call_schema());
    holds("omni-cli/schema/fault.json", &document::fault_schema());
    holds("omni-core/schema/events.json", &omni_core::answer::json::schema());
}

#[test]
fn every_ending_keeps_to_the_schemas() {
    let server = Loopback::start();
    let denied = "    confirm: [\"drop_*\"]\n";
    for (home, code, args) in [
        (omni(), 0, vec!["ask", "hello"]),
        (with_server(&server, ""), 0, vec!["ask", "database health"]),
        (with_server(&server, denied), 5, vec!["ask", "drop table \"users\""]),
        (omni(), 3, vec!["--config", "nowhere", "ask", "hello"]),
        (omni(), 4, vec!["ask"]),
        (omni(), 2, vec!["ask", "hello", "--nonsense"]),
    ] {
        document(&home.run(&[&args[..], &["--json"]].concat()).exits(code));
        events(&home.run(&[&args[..], &["--jsonl"]].concat()).exits(code));
    }
}

#[test]
fn what_a_call_returns_and_why_it_failed_keep_to_their_schemas() {
    let server = Loopback::start();
    let home = with_server(&server, "");
    for (code, args) in [
        (0, &["db.get_health", "--arg", "limit=5"][..]),
        (1, &["db.fail"]),
        (1, &["db.nothing"]),
        (2, &["db.get_health", "--arg", "limit=many"]),
        (2, &["db.get_health", "--nonsense"]),
    ] {
        call(&home.run(&[&["tools", "call", "-o", "json"], args].concat()).exits(code));
    }
}

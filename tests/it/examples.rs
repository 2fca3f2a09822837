//! The examples do what they say.

use std::{path::Path, process::Command};

use omni_tests::{parts::Parts, program::Ran};

/// Runs an example without a key. Building the workspace's tests builds it.
fn example(name: &str, args: &[&str]) -> String {
    let built = Path::new(env!("CARGO_BIN_EXE_omni-under-test")).parent().unwrap().join("examples").join(name);
    assert!(built.is_file(), "{} is missing; run: cargo build --workspace --all-targets", built.display());
    let mut command = Command::new(built);
    command.args(args).env_remove("ANTHROPIC_API_KEY").env_remove("OMNI_CONFIG");
    Ran::from(command.output().unwrap()).exits(0).out
}

#[test]
fn a_policy_of_ones_own_decides() {
    let said = example("custom_policy", &[]);
    for part in ["get_page: Allow", "get_secret: Deny", "delete_page: Deny", "eve@example.org"] {
        assert!(said.contains(part), "{part} in {said}");
    }
}

#[test]
fn a_model_of_ones_own_answers() {
    assert_eq!(example("custom_provider", &["hello"]), "olleh\n");
}

#[test]
fn an_answer_comes_event_by_event() {
    let said = example("stream", &[]);
    assert!(said.contains("written beforehand.") && said.contains("model turns: 1"), "{said}");
}

#[test]
fn the_http_door_is_a_part_of_an_application() {
    let said = example("http", &[]);
    assert!(said.contains("\"success\":true") && said.contains("ada@company.com"), "{said}");
}

#[test]
fn omni_is_embedded_with_and_without_a_server() {
    assert!(example("embed", &[]).contains("offline"));
    let parts = Parts::find();
    let said = example("embed", &[&parts.node(), parts.everything().to_str().unwrap(), "stdio"]);
    assert!(said.contains("The sum of 17 and 25 is 42"), "{said}");
}

use omni_tests::loopback::Loopback;
use serde_json::{Value, json};

use super::{omni, statuses, with_server};

/// One line that names the fault, perhaps advice, and nothing on standard output.
fn one_clear_line(ran: &omni_tests::program::Ran) -> &str {
    assert_eq!(ran.out, "", "{ran:?}");
    let mut lines = ran.err.lines();
    let first = lines.next().unwrap_or_default();
    assert!(first.starts_with("error: "), "{ran:?}");
    assert!(lines.all(|line| line.starts_with("hint: ")), "{ran:?}");
    first
}

#[test]
fn a_wrong_command_line_is_exit_code_2() {
    for args in
        [&["ask", "--nonsense"][..], &["ask", "--timeout", "soon", "hi"], &["frobnicate"], &["ask", "-o", "xml", "hi"]]
    {
        let ran = omni().run(args).exits(2);
        assert!(ran.err.contains("error:") && ran.out.is_empty(), "{ran:?}");
    }
}

#[test]
fn a_wrong_command_line_is_told_in_the_form_of_its_command_whatever_its_values_are_called() {
    for args in [
        &["keys", "create", "x@x.org", "--scope", "ask", "--json"][..],
        &["--config", "ask", "tools", "list", "--json", "--nonsense"],
        &["--", "ask", "--json"],
    ] {
        let told = omni().run(args).exits(2).json();
        assert_eq!((&told["ok"], &told["schema"]), (&json!(false), &Value::Null), "{args:?}");
    }
    for args in [&["ask", "--json", "--nonsense"][..], &["--color", "never", "ask", "--nonsense", "--json", "call"]] {
        assert_eq!(omni().run(args).exits(2).json()["schema"], "omni.ask/1", "{args:?}");
    }
}

#[test]
fn a_question_that_is_not_there_is_exit_code_4() {
    let ran = omni().run(&["ask"]).exits(4);
    assert!(one_clear_line(&ran).contains("no question"), "{ran:?}");
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let ran = omni().run(&["--config", "no/where", "ask", "hi"]).exits(3);
    assert!(one_clear_line(&ran).contains("no/where"), "{ran:?}");
}

#[test]
fn malformed_yaml_is_named_by_file_and_line() {
    let home = omni().with_file("mcps.yaml", "mcps:\n  - name: db\n    url: [unclosed\n");
    let ran = home.run(&["ask", "hi"]).exits(3);
    assert!(one_clear_line(&ran).contains("mcps.yaml:"), "{ran:?}");
}

#[test]
fn an_unknown_provider_kind_lists_the_kinds_of_this_build() {
    let home = omni().with_file("settings.yaml", "llm:\n  provider: oracle\n");
    let ran = home.run(&["ask", "hi"]).exits(3);
    let line = one_clear_line(&ran);
    for part in ["oracle", "anthropic", "openai", "offline"] {
        assert!(line.contains(part), "{part} in {line}");
    }
    assert_eq!(statuses(&home), ["error"]);
}

#[test]
fn an_unset_variable_for_the_key_is_named() {
    let home = omni().with_file("settings.yaml", "llm:\n  provider: anthropic\n  api_key: ${MY_LLM_KEY}\n");
    let ran = home.run(&["ask", "hi"]).exits(3);
    assert!(one_clear_line(&ran).contains("MY_LLM_KEY"), "{ran:?}");
    home.run(&["tools", "list"]).exits(0);
    home.run(&["servers", "check"]).exits(0);
    let doctor = home.run(&["doctor"]).exits(1);
    assert!(doctor.out.contains("✗ model") && doctor.out.contains("MY_LLM_KEY"), "{doctor:?}");
}

#[test]
fn a_model_that_cannot_be_reached_is_worth_another_try() {
    let yaml =
        "llm:\n  provider: openai\n  model: m\n  api_key: sk-x\n  base_url: http://127.0.0.1:1/v1\n  max_retries: 0\n";
    let home = omni().with_file("settings.yaml", yaml);
    let ran = home.run(&["ask", "hi"]).exits(8);
    assert!(one_clear_line(&ran).contains("127.0.0.1:1"), "{ran:?}");
    assert_eq!(statuses(&home), ["error"]);
}

#[test]
fn an_unknown_user_is_denied() {
    let users = "users:\n  - email: dba@company.com\n    name: Dba\n    role: dba\n";
    let home = omni().with_file("users.yaml", users);
    let ran = home.run(&["ask", "--as", "nobody@company.com", "hi"]).exits(5);
    assert!(one_clear_line(&ran).contains("nobody@company.com"), "{ran:?}");
    assert_eq!(statuses(&home), ["denied"]);
}

#[test]
fn an_unset_variable_of_a_servers_address_is_named() {
    let home = omni().with_file("mcps.yaml", "mcps:\n  - name: db\n    url: http://${DB_HOST}:8300\n");
    let ran = home.run(&["ask", "hi"]).exits(3);
    let line = one_clear_line(&ran);
    assert!(line.contains("mcps.yaml:3") && line.contains("DB_HOST"), "{line}");
    home.run(&["servers", "list"]).exits(0);
    home.run(&["ask", "--no-tools", "hi"]).exits(0);
}

#[test]
fn a_deny_list_without_its_variable_lets_nobody_in() {
    let server = Loopback::start();
    let home = with_server(&server, "    denied_tools: [\"${DANGEROUS}\"]\n");
    for args in [&["ask", "hi"][..], &["tools", "list"], &["policy", "explain", "--user", "a@b.c"]] {
        let ran = home.run(args).exits(3);
        assert!(one_clear_line(&ran).contains("DANGEROUS"), "{ran:?}");
    }
    home.run_with(&[("DANGEROUS", "drop_*")], &["tools", "list"]).exits(0);
}

#[test]
fn a_misspelt_key_of_omnis_own_is_named_with_the_nearest() {
    let home = omni().with_file("settings.yaml", "agent:\n  max_turn: 3\n");
    let ran = home.run(&["ask", "hi"]).exits(3);
    let line = one_clear_line(&ran);
    assert!(line.contains("settings.yaml:2") && line.contains("did you mean \"max_turns\"?"), "{line}");
}

#[test]
fn a_value_of_the_environment_is_not_replaced_in_silence() {
    let ran = omni().run_with(&[("DATABASE_HOST", "db host")], &["ask", "hi"]).exits(3);
    assert!(one_clear_line(&ran).contains("DATABASE_HOST"), "{ran:?}");
}

use omni_tests::{
    issuer::{Answer, Issuer, Signer},
    loopback::Loopback,
    program::Ran,
};
use serde_json::Value;

use super::{omni, silent_vendor, with_server};

/// State and message of a check of `doctor --json`.
fn check(ran: &Ran, name: &str) -> (String, String) {
    let document = ran.json();
    let checks = document["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("{name} in {document:#}"));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&check["state"]), text(&check["message"]))
}

#[test]
fn the_doctor_names_what_is_wrong() {
    let server = Loopback::start();
    let well = with_server(&server, "").run(&["doctor", "--json"]).exits(0);
    for (name, state) in [("server db", "ok"), ("ledger", "ok"), ("identity", "ok"), ("model", "skipped")] {
        assert_eq!(check(&well, name).0, state, "{name}");
    }
    let mcps = "mcps:\n  - name: gone\n    url: http://127.0.0.1:1/mcp\n    protocol: http\n    enabled: true\n";
    let ill = omni().with_file("mcps.yaml", mcps).run(&["doctor"]).exits(1);
    assert!(ill.out.contains("✗ server gone"), "{ill:?}");
}

#[test]
fn a_model_that_says_nothing_is_a_problem() {
    let (_vendor, settings) = silent_vendor();
    let home = omni().with_file("settings.yaml", &format!("{settings}agent: {{ timeout_seconds: 0.5 }}\n"));
    let (state, message) = check(&home.run(&["doctor", "--json"]).exits(1), "model");
    assert_eq!(state, "problem", "{message}");
}

#[test]
fn whoever_may_not_ask_is_the_problem_and_not_the_model() {
    let (_vendor, settings) = silent_vendor();
    let home = omni().with_file("settings.yaml", &settings);
    let home = home.with_file("users.yaml", "users:\n  - email: dba@company.com\n    role: dba\n");
    let ran = home.run(&["doctor", "--json"]).exits(1);
    let (state, message) = check(&ran, "identity");
    assert!(state == "problem" && message.contains("local:"), "{message}");
    assert_eq!(check(&ran, "model").0, "skipped");
}

#[test]
fn the_issuer_of_tokens_answers_or_is_a_problem() {
    let issuer = Issuer::start(&[&Signer::p256("k1")]);
    let settings = format!("security: {{ oidc: {{ issuer: '{}', audience: omni }} }}", issuer.url());
    let home = omni().with_file("settings.yaml", &settings);
    let (state, message) = check(&home.run(&["doctor", "--json"]).exits(0), "issuer");
    assert!(state == "ok" && message.contains("keys: 1"), "{message}");
    issuer.answers(Answer::Away);
    let (state, message) = check(&home.run(&["doctor", "--json"]).exits(1), "issuer");
    assert!(state == "problem" && message.contains("503"), "{message}");
}

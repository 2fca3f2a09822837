//! What is said of `slack.yaml` beside what the door makes of it.

use super::{Severity, findings, load};

/// What is said of a file, with the token of a bot or without.
fn said(slack: &str, token: &str) -> Vec<String> {
    let files = [("slack.yaml", slack), ("users.yaml", "{}")];
    let config = load(&files, &[("SLACK_BOT_TOKEN", token)]).unwrap();
    findings(&config, Severity::Info).into_iter().filter(|finding| finding.contains("slack.yaml")).collect()
}

#[test]
fn people_who_ask_in_slack_are_said_to_be_of_a_tenant_of_their_own_unless_it_is_set() {
    let told = said("slack:\n  socket_mode: true\n", "xoxb-1");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("slack.yaml:1: slack.tenant: ") && told[0].contains("`tenant: default`"), "{told:?}");
    assert_eq!(said("slack:\n  tenant: default\n", "xoxb-1"), [""; 0]);
    assert_eq!(said("slack:\n  socket_mode: true\n", ""), [""; 0], "without a token there is no bot");
}

#[test]
fn rules_of_a_command_are_said_to_be_enforced_only_where_the_bot_has_it() {
    let told = said(
        "commands:\n- { command: /omni, required_role: dba }\n- { command: /omni-help, enabled: true }\n\
         - { command: /omni-admin, enabled: true, required_role: admin }\n- { command: /omni-statsu, enabled: false }\n",
        "",
    );
    assert_eq!(
        told,
        [
            "slack.yaml:4: commands[2]: not used: the bot has no command \"/omni-admin\"",
            "slack.yaml:5: commands[3]: not used: the bot has no command \"/omni-statsu\"; did you mean \"/omni-status\"?",
            "slack.yaml:2: commands[0].required_role: now enforced; the original ignored it",
            "slack.yaml:3: commands[1].enabled: now enforced; the original ignored it",
        ]
    );
}

use super::*;
use crate::config::yaml;

fn config(text: &str, env: &[(&str, &str)]) -> (SlackConfig, Vec<String>) {
    let document = yaml::parse("slack.yaml", text).unwrap();
    let spec: SlackSpec = serde_json::from_value(document.value).unwrap();
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let mut findings = Findings::default();
    let config = build(&spec, &document.lines, &env, &mut findings);
    (config, findings.all.iter().map(ToString::to_string).collect())
}

#[test]
fn tokens_are_those_of_the_file_and_else_those_of_the_environment() {
    let env = [("SLACK_BOT_TOKEN", "xoxb-env"), ("SLACK_APP_TOKEN", "xapp-env")];
    let (config, _) = config("slack: { bot_token: xoxb-file, app_token: '' }", &env);
    assert_eq!(config.secrets(), ["xoxb-file", "xapp-env"]);
    assert!(!format!("{config:?}").contains("xoxb"), "{config:?}");
}

#[test]
fn a_channel_is_allowed_by_its_list_and_by_its_own_word_before_that() {
    let (listed, _) = config(
        "allowed_channels: { mode: whitelist, whitelist: [C1], allow_private_channels: false }\n\
         channel_overrides: { C2: { enabled: true }, C1: { required_role: dba } }",
        &[],
    );
    let allows = |config: &SlackConfig, id: &str, is_private: bool| config.allows(id, None, is_private);
    assert!(allows(&listed, "C1", false) && allows(&listed, "C2", false) && !allows(&listed, "C3", false));
    assert!(!allows(&listed, "C1", true), "a private one");
    assert_eq!(listed.places["C1"].required_role.as_deref(), Some("dba"));
    let (others, told) = config("allowed_channels: { mode: blacklist, blacklist: [C1], whitelist: [C9] }", &[]);
    assert!(!allows(&others, "C1", false) && allows(&others, "C2", true));
    assert!(told.is_empty() && !others.channels.have_names());
}

#[test]
fn a_channel_that_is_shared_with_others_is_allowed_as_the_file_says_and_by_its_own_word_before_that() {
    let (listed, _) = config(
        "allowed_channels: { mode: whitelist, whitelist: [C1], allow_shared_channels: false }\n\
         channel_overrides: { C2: { enabled: true }, C3: { required_role: dba } }",
        &[],
    );
    assert!(listed.allows_shared("C2") && !listed.allows_shared("C1") && !listed.allows_shared("C3"));
    assert!(SlackConfig::default().allows_shared("C1"));
}

#[test]
fn a_channel_is_listed_by_its_name_too_and_one_of_an_unknown_name_is_none_that_is_allowed() {
    let (listed, told) = config("allowed_channels: { mode: whitelist, whitelist: ['#Database', dev-ops, C1] }", &[]);
    assert!(listed.channels.have_names() && told.len() == 2 && told[0].contains("may rename channels"), "{told:?}");
    for (id, name, is_allowed) in [
        ("C7", Some("database"), true),
        ("C7", Some("dev-ops"), true),
        ("C1", Some("anything"), true),
        ("C1", None, true),
        ("C7", Some("c1"), false),
        ("C7", Some("random"), false),
        ("C7", None, false),
    ] {
        assert_eq!(listed.allows(id, name, false), is_allowed, "{id} {name:?}");
    }
    let (others, _) = config("allowed_channels: { mode: blacklist, blacklist: ['#random'] }", &[]);
    for (name, is_allowed) in [(Some("random"), false), (Some("database"), true), (None, false)] {
        assert_eq!(others.allows("C7", name, false), is_allowed, "{name:?}");
    }
}

#[test]
fn tokens_go_nowhere_but_to_slack_or_to_this_machine() {
    let url = |text: &str| config("{}", &[("SLACK_API_URL", text)]);
    assert_eq!(url("http://127.0.0.1:9/api/").0.api_url, "http://127.0.0.1:9/api");
    let (config, told) = url("http://slack.example/api");
    assert_eq!(config.api_url, API_URL);
    assert!(told[0].contains("no https address"), "{told:?}");
}

#[test]
fn guests_may_ask_unless_the_file_says_that_they_may_not() {
    assert!(SlackConfig::default().guests && config("security: { verify_signatures: true }", &[]).0.guests);
    assert!(!config("security: { allow_guests: false }", &[]).0.guests);
}

#[test]
fn reactions_call_the_bot_where_that_is_switched_on() {
    let text = |enabled: bool| {
        format!(
            "mentions: {{ reaction_triggers: {{ enabled: {enabled}, reactions: [':robot_face:', {{ emoji: eyes, \
             action: summarize }}, ''] }} }}"
        )
    };
    assert!(config(&text(false), &[]).0.reactions.is_empty());
    let names: Vec<String> = config(&text(true), &[]).0.reactions.into_iter().collect();
    assert_eq!(names, ["eyes", "robot_face"]);
}

#[test]
fn an_operator_has_texts_of_their_own() {
    let (config, _) = config("templates: { welcome: 'Moin {user}', rate_limit: ' ' }", &[]);
    assert_eq!((config.templates.welcome.as_deref(), config.templates.rate_limit), (Some("Moin {user}"), None));
}

#[test]
fn templates_of_the_original_are_texts_with_a_sign_of_their_own() {
    let text = "templates:
  welcome: { enabled: false, message: Hello }
  query_error: { emoji: '💥', format: \"{emoji} **Oh**\\n{error_id}\\n\" }
  permission_denied: { format: '{emoji} No' }
  mcp_unavailable: { enabled: true, message: Away }
  query_success: { emoji: '✅', format: '{result}' }
  help: { format: '{commands_list}' }";
    let templates = config(text, &[]).0.templates;
    assert_eq!((templates.welcome, templates.rate_limit), (None, None));
    assert_eq!(templates.query_error.as_deref(), Some("💥 *Oh*\n{error_id}"));
    assert_eq!(templates.permission_denied.as_deref(), Some("{emoji} No"), "what it is there omni knows best");
    assert_eq!(templates.mcp_unavailable.as_deref(), Some("Away"));
}

#[test]
fn what_is_shown_of_somebody_is_what_the_elements_say() {
    let (config, told) = config(
        "user_info_display:\n  format: detailed\n  elements: { show_role: false, show_email: true }\n  role_emojis: { \
         dba: '🗄', default: '👤' }",
        &[],
    );
    let info = config.user_info;
    assert_eq!((info.format, told), (UserInfoFormat::Detailed, Vec::new()));
    assert_eq!(
        (info.name, info.role, info.email, info.server_count, info.server_names),
        (true, false, true, true, true)
    );
    assert_eq!((info.emoji_of("dba"), info.emoji_of("reader")), (Some("🗄"), Some("👤")));
    let plain = SlackConfig::default().user_info;
    assert!(!plain.email && plain.emoji_of("dba").is_none(), "nobody's address, unless somebody wants that");
}

#[test]
fn a_command_may_take_a_role_or_be_off() {
    let text = "commands:\n- { command: /omni, required_role: any }\n- { command: /omni-status, required_role: admin }\n\
                - { command: /omni-help, enabled: false }";
    let (config, _) = config(text, &[]);
    assert_eq!(config.commands["/omni"], CommandRules::default());
    assert_eq!(config.commands["/omni-status"].required_role.as_deref(), Some("admin"));
    assert!(config.commands["/omni-help"].is_off);
}

/// What is wrong about these schedules, and those that run.
fn schedules(text: &str) -> (Vec<SlackSchedule>, Vec<String>) {
    let (config, told) =
        config(&format!("advanced:\n  scheduled_messages:\n    enabled: true\n    schedules:\n{text}"), &[]);
    (config.schedules, told)
}

#[test]
fn what_is_said_and_asked_on_schedule_is_read() {
    let (all, told) = schedules(
        "    - { cron: '0 9 * * MON', channel: C1A, message: Good morning }\n\
         \x20   - { cron: '0 9 * * *', channel: C1A, command: /omni Who is on call?, run_as: bot@x.org, timezone: Europe/Berlin }\n\
         \x20   - { cron: '0 9 * * *', channel: C1A, command: /omni-status, run_as: bot@x.org }\n\
         \x20   - { cron: '0 9 * * *', channel: C1A, command: What broke?, run_as: bot@x.org, max_cost_usd: 0.5 }\n",
    );
    assert_eq!(told, [""; 0]);
    let commands: Vec<_> = all.iter().map(|one| one.task.as_ref().map(|task| task.command.clone())).collect();
    let ask = |question: &str| Some(SlackCommand::Ask(question.into()));
    assert_eq!(commands, [None, ask("Who is on call?"), Some(SlackCommand::Status), ask("What broke?")]);
    assert_eq!((all[0].zone.as_str(), all[1].zone.as_str(), all[3].max_cost_usd), ("UTC", "Europe/Berlin", Some(0.5)));
    assert_eq!(all.iter().map(|one| &one.id).collect::<BTreeSet<_>>().len(), 4, "each is another one");
}

#[test]
fn a_command_on_schedule_runs_as_somebody_or_not_at_all() {
    let (all, told) = schedules("    - { cron: '0 9 * * *', channel: C1A, command: What broke?, message: Report }\n");
    assert!(all.is_empty() && told.len() == 1);
    assert!(told[0].contains("slack.yaml:5") && told[0].contains("add `run_as`"), "{told:?}");
}

#[cfg(feature = "schedule")]
#[test]
fn a_schedule_that_cannot_be_is_told_with_its_line() {
    for (one, words) in [
        ("{ cron: every day, channel: C1A, message: x }", "no cron"),
        ("{ cron: '0 9 30 2 *', channel: C1A, message: x }", "never comes"),
        ("{ cron: '0 9 * * *', timezone: Europe/Atlantis, channel: C1A, message: x }", "no time zone"),
        ("{ cron: '0 9 * * *', channel: '#general', message: x }", "no channel's id"),
        ("{ cron: '0 9 * * *', channel: C1A }", "neither"),
        ("{ cron: '0 9 * * *', channel: C1A, command: /omni-admin x, run_as: a@x.org }", "/omni-admin"),
        ("{ cron: '0 9 * * *', channel: C1A, command: x, run_as: root }", "no address"),
        ("{ cron: '0 9 * * *', channel: C1A, command: x, run_as: a@x.org, max_cost_usd: 0 }", "cost"),
    ] {
        let (all, told) = schedules(&format!("    - {{ cron: '0 9 * * *', channel: C1A, message: x }}\n    - {one}\n"));
        assert!(all.len() == 1 && told.len() == 1, "{one}: {told:?}");
        assert!(told[0].contains("slack.yaml:6") && told[0].contains(words), "{told:?}");
    }
}

use super::{Config, ConfigError, LoadOptions, Severity, dir, env, error, findings, load};
use crate::config::Need;

#[test]
fn malformed_yaml_is_named_with_its_line() {
    insta::assert_snapshot!(error(&[("mcps.yaml", "mcps:\n  - name: a\n    url: [http://x\n")]), @"mcps.yaml:4: this is not valid YAML: did not find expected ',' or ']'");
    insta::assert_snapshot!(error(&[("users.yaml", "users:\n\t- email: a\n")]), @"users.yaml:2: this is not valid YAML: found character that cannot start any token");
}

#[test]
fn a_duplicate_key_is_an_error() {
    insta::assert_snapshot!(error(&[("users.yaml", "roles:\n  dba: {}\n  dba: {}\n")]), @"users.yaml:3: roles.dba: this key is there twice");
}

#[test]
fn a_wrong_type_is_named_with_what_was_expected() {
    insta::assert_snapshot!(error(&[("mcps.yaml", "mcps:\n  - name: a\n    tool_policy:\n      exclude: drop_*\n")]), @"mcps.yaml:4: mcps[0].tool_policy.exclude: expected a list, found a string");
    insta::assert_snapshot!(error(&[("mcps.yaml", "mcps: {}\n")]), @"mcps.yaml:1: mcps: expected a list, found a mapping");
    insta::assert_snapshot!(error(&[("mcps.yaml", "- a\n")]), @"mcps.yaml:1: the file must be a mapping of keys to values");
    insta::assert_snapshot!(error(&[("settings.yaml", "llm:\n  max_tokens: many\n")]), @"settings.yaml:2: llm.max_tokens: expected a whole number, found a string");
    insta::assert_snapshot!(error(&[("settings.yaml", "llm:\n  max_tokens: -1\n")]), @"settings.yaml:2: llm.max_tokens: expected a number from 0 to 4294967295, found -1");
    insta::assert_snapshot!(error(&[("users.yaml", "users:\n  - email: a\n    allowed_mcps: { db: 3 }\n")]), @"users.yaml:3: users[0].allowed_mcps.db: expected a string or a mapping, found a whole number");
}

#[test]
fn an_unknown_value_is_named_with_the_values_there_are() {
    insta::assert_snapshot!(error(&[("mcps.yaml", "mcps:\n- name: a\n  tool_policy: { mode: allow_al }\n")]), @r#"mcps.yaml:3: mcps[0].tool_policy.mode: unknown value "allow_al"; did you mean "allow_all"? It may be: allow_all, allow_only, allow_all_except"#);
    insta::assert_snapshot!(error(&[("mcps.yaml", "mcps:\n- name: a\n  tool_policy: allow_onyl\n")]), @r#"mcps.yaml:3: mcps[0].tool_policy: unknown value "allow_onyl"; did you mean "allow_only"? It may be: allow_all, allow_only, allow_all_except"#);
}

#[test]
fn a_missing_key_is_named() {
    insta::assert_snapshot!(error(&[("mcps.yaml", "mcps:\n\n- url: http://x\n")]), @r#"mcps.yaml:3: mcps[0]: the key "name" is missing"#);
    insta::assert_snapshot!(error(&[("users.yaml", "users:\n- role: dba\n")]), @r#"users.yaml:2: users[0]: the key "email" is missing"#);
}

#[test]
fn several_errors_are_reported_at_once() {
    let text = error(&[
        ("settings.yaml", "agent: { max_turns: 0, timeout_seconds: -1 }\n"),
        ("mcps.yaml", "mcps:\n- name: a\n- name: a\n"),
    ]);
    insta::assert_snapshot!(text, @r#"
    mcps.yaml:3: mcps[1].name: the name "a" is empty or taken by another server
    settings.yaml:1: agent.max_turns: an ask needs at least 1 turn
    settings.yaml:1: agent.timeout_seconds: a time-out must be more than 0 and at most 86400 seconds, not -1
    "#);
}

#[test]
fn an_unknown_key_is_a_warning_with_the_nearest_name_where_the_original_had_the_mapping() {
    let files = [("mcps.yaml", "mcps:\n  - name: a\n    url: http://x\n    tool_polcy: {}\n    zzz: 1\n")];
    let config = load(&files, &[]).unwrap();
    insta::assert_snapshot!(findings(&config, Severity::Warning).join("\n"), @r#"
    mcps.yaml:4: mcps[0].tool_polcy: unknown key; did you mean "tool_policy"?
    mcps.yaml:5: mcps[0].zzz: unknown key
    "#);
    let unused = load(&[("settings.yaml", "app:\n  prot: 1\n")], &[]).unwrap();
    insta::assert_snapshot!(findings(&unused, Severity::Warning).join("\n"), @r#"settings.yaml:2: app.prot: unknown key; did you mean "port"?"#);

    let dir = dir(&files);
    let strict = LoadOptions::new(env(&[]), dir.path()).with_dir(dir.path()).with_strict(true);
    assert!(matches!(Config::load(strict), Err(ConfigError::Several { findings }) if findings.len() == 2));
}

#[test]
fn an_unknown_key_is_an_error_where_only_omni_has_the_mapping() {
    insta::assert_snapshot!(error(&[("settings.yaml", "agent:\n  max_turn: 3\n")]), @r#"settings.yaml:2: agent.max_turn: unknown key; did you mean "max_turns"?"#);
    insta::assert_snapshot!(error(&[("users.yaml", "users:\n- email: a\n  rate_limit: { request_per_hour: 1 }\n")]), @r#"users.yaml:3: users[0].rate_limit.request_per_hour: unknown key; did you mean "requests_per_hour"?"#);
    let of_a_role =
        [("users.yaml", "users: [{ email: a, role: dba }]\nroles:\n  dba: { rate_limit: { request_per_hour: 1 } }\n")];
    assert_eq!(findings(&load(&of_a_role, &[]).unwrap(), Severity::Warning).len(), 1);
}

#[test]
fn an_unknown_role_is_named_with_the_nearest() {
    let users = "users:\n  - email: a@b.c\n    role: jnior_dba\n";
    let mcps = "mcps:\n- name: a\n  url: http://x\n  role_restrictions:\n    junior_dba: { allow_all: true }\n    readonly: { allow_all: true }\n";
    let config = load(&[("users.yaml", users), ("mcps.yaml", mcps)], &[]).unwrap();
    insta::assert_snapshot!(findings(&config, Severity::Warning).join("\n"), @r#"
    mcps.yaml:6: mcps[0].role_restrictions.readonly: the role "readonly" is not known; did you mean "read_only"?
    users.yaml:3: users[0].role: whoever has it is denied everything: the role "jnior_dba" is not known; did you mean "junior_dba"?
    "#);
}

#[test]
fn names_that_lead_nowhere_are_reported() {
    let users = "
users:
  - email: a@b.c
    allowed_mcps: [databse_mcp]
    allowed_domains: [sql_hepl]
  - email: A@b.c
    allowed_mcps:
      database_mcp: { tools: [get_*] }
      other: yes
";
    let config = load(
        &[
            ("users.yaml", users),
            ("mcps.yaml", "mcps:\n- { name: database_mcp, url: http://x, tool_policy: allow_all }\n"),
        ],
        &[],
    );
    insta::assert_snapshot!(findings(&config.unwrap(), Severity::Warning).join("\n"), @r#"
    users.yaml:4: users[0].allowed_mcps[0]: mcps.yaml has no server "databse_mcp"; did you mean "database_mcp"?
    users.yaml:5: users[0].allowed_domains: the domain "sql_hepl" is not known; did you mean "sql_help"?
    users.yaml:6: users[1].email: this person is listed twice; super_admins holds, else the last entry
    users.yaml:8: users[1].allowed_mcps.database_mcp.tools: not used: it counts only with mode: custom
    users.yaml:9: users[1].allowed_mcps.other: mcps.yaml has no server "other"
    users.yaml:9: users[1].allowed_mcps.other: "yes" gives no tool; "*" gives all, and a mapping with mode the rest
    "#);
}

#[test]
fn keys_that_the_original_ignored_are_reported_as_now_enforced() {
    let mcps = "global:\n  blocked_tools: [drop_*]\n  admin_only_tools: []\ntool_patterns: { dangerous: [wipe_*], analysis: [] }\n";
    let settings = ("settings.yaml", "limit: { backend: sql }");
    let config = load(&[("mcps.yaml", mcps), ("users.yaml", "{}"), settings], &[]).unwrap();
    insta::assert_snapshot!(findings(&config, Severity::Info).join("\n"), @"
    mcps.yaml:2: global.blocked_tools: now enforced; the original ignored it
    mcps.yaml:4: tool_patterns.dangerous: now enforced; the original ignored it
    mcps.yaml:4: tool_patterns: accepted and not used by omni: analysis
    ");
}

#[test]
fn what_is_kept_and_never_used_of_teams_and_of_roles_of_servers_is_said() {
    let mcps = "roles:\n  dba: { description: x, can_manage_users: true }\n  clerk: {}\n  guest:\n";
    let users = "teams:\n  ops: { name: Ops, slack_channel: C1, notify_on_errors: true }\n  all: { name: All }\n";
    let settings = ("settings.yaml", "limit: { backend: sql }");
    let config = load(&[("mcps.yaml", mcps), ("users.yaml", users), settings], &[]).unwrap();
    insta::assert_snapshot!(findings(&config, Severity::Info).join("\n"), @"
    mcps.yaml:2: roles.dba: accepted and not used by omni: can_manage_users, description; what a role may is in users.yaml
    users.yaml:2: teams.ops: accepted and not used by omni: slack_channel, notify_on_errors
    ");
}

#[test]
fn an_unset_variable_is_a_warning_and_an_error_only_for_who_needs_it() {
    let files = [
        ("settings.yaml", "llm:\n  provider: anthropic\n  api_key: ${SOME_KEY}\ndatabase:\n  url: ${SOME_DB}\n"),
        ("mcps.yaml", "mcps:\n- name: a\n  url: http://${SOME_HOST}\n- name: b\n  enabled: false\n  url: ${NO}\n"),
    ];
    let config = load(&files, &[]).unwrap();
    insta::assert_snapshot!(findings(&config, Severity::Warning).join("\n"), @"
    mcps.yaml:3: mcps[0].url: the environment variable SOME_HOST is not set, and the server needs it
    settings.yaml:3: llm.api_key: the environment variable SOME_KEY is not set, and the language model needs it
    settings.yaml:5: database.url: the environment variable SOME_DB is not set, and the ledger needs it
    ");
    let needs = [Need::Llm, Need::Servers, Need::Ledger];
    let errors: Vec<String> = needs.iter().map(|need| config.require(*need).unwrap_err().to_string()).collect();
    insta::assert_snapshot!(errors.join("\n"), @"
    settings.yaml:3: llm.api_key: the environment variable SOME_KEY is not set, and the language model needs it
    mcps.yaml:3: mcps[0].url: the environment variable SOME_HOST is not set, and the server needs it
    settings.yaml:5: database.url: the environment variable SOME_DB is not set, and the ledger needs it
    ");

    // A ledger that is meant to be somewhere else is no file of this machine because the variable is empty.
    let empty = load(&files, &[("SOME_KEY", ""), ("SOME_DB", ""), ("SOME_HOST", "")]).unwrap();
    let errors: Vec<String> = needs.iter().map(|need| empty.require(*need).unwrap_err().to_string()).collect();
    insta::assert_snapshot!(errors.join("\n"), @"
    settings.yaml:3: llm.api_key: the environment variable SOME_KEY is empty, and the language model needs it
    mcps.yaml:3: mcps[0].url: this is no address: empty host
    settings.yaml:5: database.url: the environment variable SOME_DB is empty, and the ledger needs it
    ");

    let set = [("SOME_KEY", "k"), ("SOME_DB", "sqlite:x"), ("SOME_HOST", "h")];
    let config = load(&files, &set).unwrap();
    assert!(needs.iter().all(|need| config.require(*need).is_ok()));
}

#[test]
fn a_rule_whose_variable_is_not_set_is_an_error_for_who_needs_the_policy() {
    let mcps = "
global: { blocked_tools: ['${A}'], confirm: ['x_${B}'], default_timeout_seconds: '${NO_RULE}' }
mcps:
  - { name: a, url: http://x, denied_tools: ['${C}'], tool_policy: { mode: allow_all_except, exclude: ['${D}'] } }
  - { name: b, url: http://x, role_restrictions: { dba: { deny: ['${E}'] } }, rate_limit: { requests_per_minute: '${F}' } }
  - { name: d, url: http://x, denied_prompts: ['${I}'], denied_resources: ['${J}'] }
  - { name: c, url: http://x, enabled: false, denied_tools: ['${OFF}'] }
";
    let users = "
users: [{ email: a@b.c, description: '${NO_RULE}', rate_limit: { requests_per_hour: '${G}' } }]
roles: { dba: { denied_tools: ['${H}'] } }
teams: { x: { slack_channel: '${NO_RULE}' } }
blocked_users: [{ email: '${K}', message: '${NO_RULE}' }]
auto_provisioning: { enabled: true, default_role: read_only, require_approval: '${L}' }
";
    let config = load(&[("mcps.yaml", mcps), ("users.yaml", users)], &[]).unwrap();
    let error = config.require(Need::Policy).unwrap_err().to_string();
    let variables = ["A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K", "L"];
    for variable in variables {
        let said = format!("the environment variable {variable} is not set, and the policy needs it");
        assert!(error.contains(&said), "{variable} in {error}");
    }
    assert!(!error.contains("NO_RULE") && !error.contains("OFF"), "{error}");
    // So a container is handed it from where it is not set.
    let empty = load(&[("mcps.yaml", mcps), ("users.yaml", users)], &variables.map(|name| (name, ""))).unwrap();
    let error = empty.require(Need::Policy).unwrap_err().to_string();
    for variable in variables {
        let said = format!("the environment variable {variable} is empty, and the policy needs it");
        assert!(error.contains(&said), "{variable} in {error}");
    }
    let set = variables.map(|name| (name, "1"));
    let config = load(&[("mcps.yaml", mcps), ("users.yaml", users)], &set).unwrap();
    assert!(config.require(Need::Policy).is_ok());
}

#[test]
fn a_bound_whose_variable_is_not_set_is_not_no_bound() {
    let settings = "
approvals: { approvers: [dba], four_eyes: '${A}' }
agent: { max_cost_usd: '${B}' }
budgets: [{ per: user, period: day, usd: '${C}', tokens: 1000000 }]
rate_limiting: { default_burst: '${D}', cleanup_interval_seconds: '${NO_BOUND}' }
performance: { max_concurrent_requests_per_user: '${E}' }
notifications: { smtp_user: '${NO_BOUND}' }
";
    let files = [("settings.yaml", settings), ("mcps.yaml", "mcps: [{ name: a, url: http://x, enabled: '${F}' }]")];
    let error = load(&files, &[]).unwrap().require(Need::Policy).unwrap_err().to_string();
    let variables = ["A", "B", "C", "D", "E", "F"];
    for variable in variables {
        let said = format!("the environment variable {variable} is not set, and the policy needs it");
        assert!(error.contains(&said), "{variable} in {error}");
    }
    assert!(!error.contains("NO_BOUND"), "{error}");
    let empty = variables.map(|name| (name, ""));
    let error = load(&files, &empty).unwrap().require(Need::Policy).unwrap_err().to_string();
    assert!(variables.iter().all(|variable| error.contains(&format!("variable {variable} is empty"))), "{error}");
    assert!(load(&files, &variables.map(|name| (name, "1"))).unwrap().require(Need::Policy).is_ok());
}

#[test]
fn what_slack_lets_in_is_not_wider_because_a_variable_is_not_set() {
    for rule in [
        "commands: [{ command: /omni, required_role: '${X}' }]",
        "commands: [{ command: /omni, enabled: '${X}' }]",
        "commands: [{ command: '/omni${X}', required_role: admin }]",
        "allowed_channels: { mode: blacklist, blacklist: ['${X}'] }",
        "allowed_channels: { mode: whitelist, whitelist: ['#team-${X}'] }",
        "allowed_channels: { allow_private_channels: '${X}' }",
        "allowed_channels: { allow_shared_channels: '${X}' }",
        "security: { workspace_restriction: { enabled: '${X}', allowed_workspaces: [T1] } }",
        "security: { workspace_restriction: { enabled: true, allowed_workspaces: ['T${X}'] } }",
        "security: { allow_guests: '${X}' }",
        "channel_overrides: { C1: { enabled: '${X}' } }",
        "channel_overrides: { C1: { required_role: '${X}' } }",
        "mentions: { respond_to_dm_without_command: '${X}' }",
        "interactive: { require_confirmation: { actions: ['drop_*', '${X}'] } }",
        "diagnostic_info: { enabled: true, show_for_roles: '${X}' }",
        "advanced: { scheduled_messages: { enabled: true, schedules: [{ max_cost_usd: '${X}' }] } }",
    ] {
        let error = load(&[("slack.yaml", rule)], &[]).unwrap().require(Need::Policy).unwrap_err().to_string();
        assert!(error.contains("the environment variable X is not set, and the policy needs it"), "{rule}: {error}");
        let error = load(&[("slack.yaml", rule)], &[("X", "")]).unwrap().require(Need::Policy).unwrap_err().to_string();
        assert!(error.contains("the environment variable X is empty, and the policy needs it"), "{rule}: {error}");
    }
    // What the original's file says of variables, and lists that are not in force.
    let tokens = "
slack: { bot_token: '${X}', app_token: '${X}', signing_secret: '${X}', workspace_id: '${X}' }
commands: [{ command: /omni, description: '${X}' }]
allowed_channels: { mode: whitelist, whitelist: [C1], blacklist: ['${X}'] }
security: { workspace_restriction: { enabled: false, allowed_workspaces: ['${X}'] } }
templates: { welcome: '${X}' }
";
    let config = load(&[("slack.yaml", tokens)], &[]).unwrap();
    assert!(config.require(Need::Policy).is_ok());
    assert_eq!(findings(&config, Severity::Warning), [""; 0]);
}

#[test]
fn a_value_of_the_environment_that_cannot_be_used_is_an_error_for_who_needs_it() {
    let said = |need, variables: &[(&str, &str)]| load(&[], variables).unwrap().require(need).unwrap_err().to_string();
    insta::assert_snapshot!(said(Need::Llm, &[("ANTHROPIC_API_KEY", "k"), ("ANTHROPIC_MAX_TOKENS", "4k")]), @r#"ANTHROPIC_MAX_TOKENS: expected a whole number of tokens, found "4k""#);
    insta::assert_snapshot!(said(Need::Ledger, &[("DATABASE_HOST", "db"), ("DATABASE_PORT", "54320000")]), @r#"DATABASE_PORT: expected a port's number, found "54320000""#);
    for host in ["db host", "db:5433", "/var/run/postgresql", "u@db"] {
        assert!(said(Need::Ledger, &[("DATABASE_HOST", host)]).starts_with("DATABASE_HOST: "), "{host}");
    }
    for host in ["db", "DB.example.org", "127.0.0.1", "[::1]"] {
        assert!(load(&[], &[("DATABASE_HOST", host)]).unwrap().require(Need::Ledger).is_ok(), "{host}");
    }
}

#[test]
fn a_server_without_an_address_is_an_error_for_who_needs_servers() {
    let mcps =
        "mcps:\n- name: a\n- { name: b, protocol: stdio }\n- { name: c, url: 'ftp://x' }\n- { name: d, url: '::' }\n";
    let config = load(&[("mcps.yaml", mcps)], &[]).unwrap();
    insta::assert_snapshot!(config.require(Need::Servers).unwrap_err().to_string(), @"
    mcps.yaml:2: mcps[0].url: a server over HTTP needs a url, such as http://host:8300
    mcps.yaml:3: mcps[1].command: a stdio server needs a command
    mcps.yaml:4: mcps[2].url: the address starts with ftp:, not with http: or https:
    mcps.yaml:5: mcps[3].url: this is no address: relative URL without a base
    ");
}

#[test]
fn a_file_over_a_mebibyte_is_refused() {
    let text = format!("#{}", "x".repeat(1 << 20));
    assert!(error(&[("users.yaml", &text)]).contains("larger than 1 MiB"));
}

#[test]
fn empty_files_and_empty_keys_are_fine() {
    let files = [("settings.yaml", ""), ("mcps.yaml", "mcps:\nglobal:\n"), ("users.yaml", "users:\nroles:\n  x:\n")];
    let config = load(&files, &[]).unwrap();
    assert_eq!(findings(&config, Severity::Error), Vec::<String>::new());
    assert!(config.files.users.as_ref().unwrap().roles.contains_key("x"));
}

#[test]
fn yaml_of_older_days_reads_as_it_did() {
    let mcps = "mcps:\n- &a { name: a, url: http://x, enabled: no, timeout_seconds: \"${T}\" }\n- { <<: *a, name: b, enabled: on }\n";
    let config = load(&[("mcps.yaml", mcps)], &[("T", "7")]).unwrap();
    let enabled: Vec<bool> = config.servers.iter().map(|server| server.options.enabled).collect();
    assert_eq!(enabled, [false, true]);
    assert_eq!(config.servers[1].options.call_timeout.as_secs(), 7);
}

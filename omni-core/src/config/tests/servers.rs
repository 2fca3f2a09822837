use std::time::Duration;

use secrecy::ExposeSecret;

use super::{Severity, findings, load};
use crate::{
    config::{ServerAuth, ServerConfig},
    mcp::{Connect, OnStartFailure},
};

fn servers(mcps: &str, variables: &[(&str, &str)]) -> Vec<ServerConfig> {
    load(&[("mcps.yaml", mcps)], variables).unwrap().servers
}

fn server(entry: &str) -> ServerConfig {
    servers(&format!("mcps: [{{ name: a, {entry} }}]"), &[]).remove(0)
}

#[test]
fn the_path_mcp_is_added_where_the_original_added_it() {
    let url = |entry: &str| {
        let server = server(entry);
        (server.kind, server.url.unwrap())
    };
    let is = |kind: &str, url: &str| (kind.to_owned(), url.to_owned());
    assert_eq!(url("url: http://oracle-mcp:8300"), is("http", "http://oracle-mcp:8300/mcp"));
    assert_eq!(url("url: http://h/api/"), is("http", "http://h/api/mcp"));
    assert_eq!(url("url: http://h/api?k=v"), is("http", "http://h/api/mcp?k=v"));
    assert_eq!(url("url: https://h/mcp/"), is("http", "https://h/mcp/"));
    assert_eq!(url("url: http://h/sse"), is("sse", "http://h/sse"));
    assert_eq!(url("url: http://h/events, protocol: SSE"), is("sse", "http://h/events"));
    assert_eq!(url("url: http://h/v1, transport: http"), is("http", "http://h/v1"));
    assert_eq!(url("url: http://h, protocol: http-streamable"), is("http", "http://h/mcp"));
}

#[test]
fn a_command_without_a_protocol_is_stdio_and_sees_what_every_process_needs_and_what_it_is_given() {
    let mcps = "
mcps:
  - name: a
    command: npx
    args: [-y, pkg]
    cwd: tools
    env: { TOKEN: \"${TOKEN}\", PORT: 8080, UNSET: \"${UNSET}\", EMPTY: '' }
    env_allow: [DB_HOST, MISSING]
";
    let own = [("TOKEN", "t"), ("PATH", "/bin"), ("HOME", "/home/a"), ("DB_HOST", "db"), ("OTHER_KEY", "x")];
    let server = servers(mcps, &own).remove(0);
    assert_eq!((server.kind.as_str(), server.command.as_deref()), ("stdio", Some("npx")));
    assert_eq!(server.args, ["-y", "pkg"]);
    assert!(server.cwd.unwrap().ends_with("tools"));
    let env: Vec<_> = server.env.iter().map(|(name, value)| (name.as_str(), value.expose_secret())).collect();
    let expected =
        [("DB_HOST", "db"), ("EMPTY", ""), ("HOME", "/home/a"), ("PATH", "/bin"), ("PORT", "8080"), ("TOKEN", "t")];
    assert_eq!(env, expected);
}

#[test]
fn every_kind_of_credential_is_read_and_an_empty_one_is_none() {
    let auth = |entry: &str| match server(&format!("url: http://h, authentication: {{ {entry} }}")).auth {
        ServerAuth::None => "none".into(),
        ServerAuth::Bearer(token) => format!("bearer {}", token.expose_secret()),
        ServerAuth::Basic { username, password } => format!("basic {username}:{}", password.expose_secret()),
        ServerAuth::Header { name, value } => format!("{name}: {}", value.expose_secret()),
        ServerAuth::OAuth(oauth) => format!("oauth {}", oauth.grant.name()),
        ServerAuth::PassThrough(own) => format!("pass_through {}", own.audience),
    };
    assert_eq!(auth("enabled: true, type: bearer, api_key: k"), "bearer k");
    assert_eq!(auth("api_key: k"), "bearer k");
    assert_eq!(auth("enabled: false, api_key: k"), "none");
    assert_eq!(auth("enabled: true, type: bearer, api_key: ''"), "none");
    assert_eq!(auth("enabled: true, type: bearer, api_key: '${NOT_SET}'"), "none");
    assert_eq!(auth("enabled: true, type: bearer, api_key: 'prefix-${NOT_SET}'"), "none");
    assert_eq!(auth("type: basic, username: u, password: p"), "basic u:p");
    assert_eq!(auth("type: basic, username: u, password: '${NOT_SET}'"), "none");
    assert_eq!(auth("type: basic, username: u, password: '${NOT_SET:-}'"), "none");
    assert_eq!(auth("type: basic, username: '${NOT_SET}', password: p"), "none");
    assert_eq!(auth("type: api_key, api_key: k"), "X-API-Key: k");
    assert_eq!(auth("type: api_key, header_name: X-Mine, header_value: v"), "X-Mine: v");
    assert_eq!(auth("type: api_key, header_value: 'Token ${NOT_SET}'"), "none");
    assert!(matches!(server("url: http://h").auth, ServerAuth::None));
}

#[test]
fn half_a_value_is_not_sent() {
    let entry = "url: http://h, headers: { Authorization: 'Bearer ${NOT_SET}', X: y }, env: { A: 'a${NOT_SET}', B: b }";
    let server = server(entry);
    assert_eq!(server.headers.into_keys().collect::<Vec<_>>(), ["X"]);
    assert_eq!(server.env.into_keys().collect::<Vec<_>>(), ["B"]);
}

#[test]
fn options_come_from_the_server_then_from_all_servers() {
    let mcps = "
global: { default_timeout_seconds: 12, retry: { max_attempts: 5 } }
mcps:
  - { name: a, url: http://h, timeout_seconds: 3, retry: { max_attempts: 0 }, max_concurrent: 2, trusted: true,
      retry_safe: [get_*], rate_limit: { requests_per_minute: 9, burst: 2 }, tags: [x], max_output_chars: 100 }
  - { name: b, url: http://h, enabled: false, display_name: B, retry: { max_attempts: 1 } }
";
    let servers = servers(mcps, &[]);
    let a = &servers[0].options;
    assert_eq!((a.call_timeout.as_secs(), a.max_attempts, a.max_concurrent), (3, 5, 2));
    assert_eq!((a.calls_per_minute, a.max_output_chars, a.trusted, a.enabled), (Some(9), 100, true, true));
    assert_eq!(a.calls_burst, Some(2));
    assert!(a.retry_safe.is_match("get_x") && !a.retry_safe.is_match("drop_x"));
    assert_eq!(
        (servers[0].tags.as_slice(), servers[0].source.as_ref().unwrap().line),
        (["x".to_owned()].as_slice(), 4)
    );
    let b = &servers[1].options;
    assert_eq!(
        (b.call_timeout.as_secs(), b.max_attempts, b.enabled, b.display_name.as_deref()),
        (12, 1, false, Some("B"))
    );
}

#[test]
fn how_a_server_is_kept_comes_from_it_then_from_all_servers_then_from_the_settings() {
    let settings = "mcp: { discovery_interval_minutes: 10, health_check_interval_seconds: 30 }";
    let mcps = "
global: { discovery_interval_minutes: 2, breaker: { failures: 3, pause_seconds: 1 }, retry: { delay_seconds: 0.5 } }
mcps:
  - { name: a, url: http://h, connect: lazy, on_start_failure: fail_closed, keep_alive_seconds: 0, refresh_seconds: 7,
      idle_close_seconds: 90, retry: { connection_max_age_seconds: 600 }, breaker: { failures: 0, probes: 2 } }
  - { name: b, url: http://h }
";
    let files = [("settings.yaml", settings), ("mcps.yaml", mcps)];
    let servers = load(&files, &[]).unwrap().servers;
    let seconds = |time: Option<Duration>| time.map(|time| time.as_secs());
    let a = &servers[0].options;
    assert_eq!((a.connect, a.on_start_failure), (Connect::Lazy, OnStartFailure::FailClosed));
    assert_eq!((a.keep_alive, seconds(a.refresh), seconds(a.idle_close)), (None, Some(7), Some(90)));
    assert_eq!((seconds(a.max_age), a.retry_delay.as_millis()), (Some(600), 500));
    assert_eq!((a.breaker.failures, a.breaker.probes, a.breaker.pause.as_secs()), (0, 2, 1));
    let b = &servers[1].options;
    assert_eq!((b.connect, b.on_start_failure), (Connect::Eager, OnStartFailure::FailOpen));
    assert_eq!((seconds(b.keep_alive), seconds(b.refresh), b.idle_close, b.max_age), (Some(30), Some(120), None, None));
    assert_eq!((b.breaker.failures, b.breaker.probes, b.breaker.max_pause.as_secs()), (3, 1, 300));
    let silent =
        load(&[("mcps.yaml", "global: { auto_discovery_enabled: false }\nmcps: [{ name: a, url: http://h }]")], &[]);
    assert_eq!(silent.unwrap().servers[0].options.refresh, None);
}

#[test]
fn a_time_that_is_none_is_an_error_with_its_line() {
    for key in ["keep_alive_seconds: -1", "idle_close_seconds: 1e12", "breaker: { pause_seconds: 0 }"] {
        let config = load(&[("mcps.yaml", &format!("mcps: [{{ name: a, url: http://h, {key} }}]"))], &[]);
        let name = key.split([':', '{']).next().unwrap();
        let told = match config {
            Ok(config) => findings(&config, Severity::Error).join("\n"),
            Err(error) => error.to_string(),
        };
        assert!(told.contains(name) && told.contains("mcps.yaml"), "{key}: {told}");
    }
}

#[test]
fn the_readmes_shortest_forms_load() {
    let mcps = "mcps:\n  - name: oracle_mcp\n    url: http://oracle-mcp:8300\n    enabled: true\n    tool_policy:\n      \
                mode: \"allow_all_except\"\n      exclude:\n        - \"delete_*\"\n        - \"drop_*\"\n";
    let users = "super_admins:\n  - email: \"owner@company.com\"\n    name: \"Owner\"\n\nusers:\n  - email: \
                 \"dba@company.com\"\n    role: \"dba\"\n    allowed_databases: [\"*\"]\n";
    let settings = "app:\n  host: \"0.0.0.0\"\n  port: 8000\n  debug: true\n  reload: true\ndatabase:\n  url: \
                    \"postgresql+asyncpg://omni:devpass@host.docker.internal:5432/omni\"\nllm:\n  provider: \
                    \"anthropic\"\n  api_key: \"${ANTHROPIC_API_KEY}\"\n  model: \"claude-3-5-sonnet-20241022\"\n  \
                    timeout_seconds: 60\n";
    let files = [("mcps.yaml", mcps), ("users.yaml", users), ("settings.yaml", settings)];
    let config = load(&files, &[("ANTHROPIC_API_KEY", "k")]).unwrap();
    let found = findings(&config, Severity::Warning);
    let expected = ["llm.model", "audit.key", "limit.backend"];
    assert!(found.len() == 3 && found.iter().zip(expected).all(|(found, key)| found.contains(key)), "{found:?}");
    assert_eq!(config.llm.provider, "anthropic");
}

use std::time::Duration;

use super::{Config, LoadOptions, Severity, dir, env, error, findings, load};
use crate::config::{HttpConfig, LogFormat, SecurityMode};

fn http(settings: &str) -> HttpConfig {
    load(&[("settings.yaml", settings)], &[]).unwrap().http
}

#[test]
fn a_public_address_is_an_address_and_nothing_else() {
    let of = |url: &str| load(&[("settings.yaml", &format!("http: {{ public_url: '{url}' }}"))], &[]);
    for (url, is) in [
        ("https://omni.company.com", Some("https://omni.company.com")),
        (" https://omni.company.com/omni/ ", Some("https://omni.company.com/omni")),
        ("http://10.0.0.1:8000", Some("http://10.0.0.1:8000")),
        ("", None),
    ] {
        assert_eq!(of(url).unwrap().http.public_url.as_deref(), is, "{url}");
    }
    for url in ["omni.company.com", "ftp://x", "https://u@h", "https://h?x=1", "https://h/#x", "https://"] {
        let error = error(&[("settings.yaml", &format!("http: {{ public_url: '{url}' }}"))]);
        assert!(
            error.contains("http.public_url") && error.contains("such as https://omni.company.com"),
            "{url}: {error}"
        );
    }
}

#[test]
fn the_service_listens_on_this_machine_and_wants_keys_unless_the_file_says_otherwise() {
    let default = http("");
    assert_eq!(default, HttpConfig::default());
    assert_eq!((default.host.as_str(), default.port, default.mode), ("127.0.0.1", 8000, SecurityMode::Keys));
    let own = http(
        "app: { host: 0.0.0.0, port: 80, cors_origins: ['https://a.b/', '*'] }\n\
         agent: { timeout_seconds: 10 }\n\
         http: { max_json_depth: 5, resume_grace: 2, trusted_proxies: [10.0.0.0/8], docs: no }",
    );
    assert_eq!((own.host.as_str(), own.port, own.docs), ("0.0.0.0", 80, false));
    assert_eq!((own.max_json_depth, own.resume_grace), (5, Duration::from_secs(2)));
    assert_eq!(own.request_timeout, Duration::from_secs(40), "an ask ends by itself before its request does");
    assert_eq!(own.cors_origins, ["https://a.b", "*"]);
    assert!(own.trusted_proxies[0].contains("10.9.9.9".parse().unwrap()));
    assert!(http("app: { cors_enabled: false, cors_origins: ['*'] }").cors_origins.is_empty());
}

#[test]
fn what_cannot_be_right_about_the_service_is_an_error_with_its_line() {
    let settings = "app:\n  port: 70000\n  cors_origins: [portal]\nhttp:\n  max_header_bytes: 100\n  \
                    trusted_proxies: [proxy]\n  drain_seconds: 0\nsecurity:\n  mode: open\n";
    insta::assert_snapshot!(error(&[("settings.yaml", settings)]), @r#"settings.yaml:9: security.mode: unknown value "open"; It may be: keys, trusted_local"#);
    let settings = settings.replace("open", "keys");
    insta::assert_snapshot!(error(&[("settings.yaml", &settings)]), @r#"
    settings.yaml:2: app.port: expected a number from 0 to 65535, found 70000
    settings.yaml:5: http.max_header_bytes: expected a number from 8192 to 1048576, found 100
    settings.yaml:7: http.drain_seconds: a time-out must be more than 0 and at most 86400 seconds, not 0
    settings.yaml:3: app.cors_origins[0]: "portal" is no origin such as https://portal.company.com, and not "*"
    settings.yaml:6: http.trusted_proxies[0]: "proxy" is no network; write an address, or one with its bits such as 10.0.0.0/8
    "#);
    insta::assert_snapshot!(error(&[("settings.yaml", "http: { max_boddy_bytes: 1 }")]), @r#"settings.yaml:1: http.max_boddy_bytes: unknown key; did you mean "max_body_bytes"?"#);
}

#[test]
fn whom_trusted_local_lets_in_cannot_come_from_another_machine() {
    let settings = [("settings.yaml", "app: { host: 0.0.0.0 }\nsecurity: { mode: trusted_local }")];
    let config = load(&settings, &[]).unwrap();
    insta::assert_snapshot!(findings(&config, Severity::Warning).join("\n"), @"settings.yaml:2: security.mode: trusted_local lets in whoever comes, so it listens on loopback only, and 0.0.0.0 is not; use --bind 127.0.0.1:8000, or security.mode: keys");
    for (address, is_right) in [("127.0.0.1", true), ("::1", true), ("10.0.0.1", false), ("::", false)] {
        assert_eq!(config.http.check_address(address.parse().unwrap()).is_ok(), is_right, "{address}");
        assert!(HttpConfig::default().check_address(address.parse().unwrap()).is_ok());
    }
}

#[test]
fn whoever_runs_a_service_that_trusts_this_machine_is_the_first_super_admin() {
    let users = "super_admins: [{ email: Boss@x.org }]\nusers: [{ email: ann@x.org, os_user: ann }]";
    let who = |mode: &str| {
        let dir = dir(&[("users.yaml", users), ("settings.yaml", &format!("security: {{ mode: {mode} }}"))]);
        let options = LoadOptions::new(env(&[]), dir.path()).with_dir(dir.path()).with_os_user("ann");
        let config = Config::load(options).unwrap();
        (config.http.local_user, config.os_users["ann"].clone())
    };
    assert_eq!(who("trusted_local"), ("ann".into(), "boss@x.org".into()));
    assert_eq!(who("keys"), ("ann".into(), "ann@x.org".into()));
}

#[test]
fn an_address_to_listen_at_is_read_as_people_write_it() {
    let bind = |text: &str| HttpConfig::default().with_bind(text).map(|http| (http.host, http.port));
    for (text, host, port) in [
        ("0.0.0.0:80", "0.0.0.0", 80),
        ("[::1]:0", "::1", 0),
        ("::1", "::1", 8000),
        ("localhost", "localhost", 8000),
        ("localhost:9", "localhost", 9),
    ] {
        assert_eq!(bind(text).unwrap(), (host.into(), port), "{text}");
    }
    for text in ["", ":80", "a:b", "a:99999"] {
        assert!(bind(text).is_err(), "{text:?}");
    }
}

#[test]
fn the_form_of_the_log_is_the_environments_then_the_files() {
    let format = |settings: &str, variables: &[(&str, &str)]| {
        load(&[("settings.yaml", settings)], variables).unwrap().log_format
    };
    assert_eq!(format("", &[]), None);
    assert_eq!(format("audit: { log_format: text }", &[]), Some(LogFormat::Console));
    assert_eq!(format("audit: { log_format: text }", &[("LOG_FORMAT", "JSON")]), Some(LogFormat::Json));
}

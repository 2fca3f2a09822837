//! What is a secret, and what is not.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn text(text: &str) -> String {
    Redactor::new().text(text)
}

#[test]
fn every_pattern_is_one() {
    for (pattern, _) in LOOKS {
        Regex::new(pattern).unwrap();
    }
    assert_eq!(PATTERNS.len(), LOOKS.len());
    assert_eq!(LOOK.as_ref().map(RegexSet::len), Some(LOOKS.len()));
}

#[test]
fn text_that_looks_like_a_secret_is_removed() {
    let secrets = [
        "sk-ant-api03-abcdefghijklmnop",
        "sk-proj-Zm9vYmFyYmF6cXV4",
        "xoxb-1234567890-abcdefghij",
        "xapp-1-A0123456789-abcdef",
        "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
        "github_pat_11ABCDEFG0123456789_abcdef",
        "AKIAIOSFODNN7EXAMPLE",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N",
        "https://hooks.slack.com/services/T000/B000/XXXXXXXXXXXX",
    ];
    for secret in secrets {
        let redacted = text(&format!("use {secret}, please"));
        let bare = secret.strip_prefix("https://").unwrap_or(secret);
        assert!(!redacted.contains(bare) && redacted.contains(REDACTED), "{redacted}");
        assert!(redacted.starts_with("use ") && redacted.ends_with(", please"), "{redacted}");
    }
}

#[test]
fn named_values_in_text_are_removed_and_their_names_stay() {
    let cases = [
        ("password=hunter2 host=db", "password=[redacted] host=db"),
        ("Authorization: Bearer xyz", "Authorization: [redacted]"),
        ("curl -H 'Authorization: Basic dXNlcjpwYXNz'", "curl -H 'Authorization: [redacted]'"),
        ("Bearer xyz", "Bearer [redacted]"),
        (r#"{"api_key": "abc def", "host": "db"}"#, r#"{"api_key": [redacted], "host": "db"}"#),
        (r#"{\"token\": \"abc\", \"host\": \"db\"}"#, r#"{\"token\": [redacted], \"host\": \"db\"}"#),
        ("API-KEY: abc", "API-KEY: [redacted]"),
        ("postgres://app:p@ss:w0rd@db:5432/x", "postgres://app:[redacted]@db:5432/x"),
        ("redis://:hunter2@cache", "redis://:[redacted]@cache"),
        ("DB_PASSWORD='a b'; x", "DB_PASSWORD=[redacted]; x"),
    ];
    for (before, after) in cases {
        assert_eq!(text(before), after);
    }
}

#[test]
fn a_private_key_is_removed_even_when_it_is_cut() {
    let whole = "a -----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- b";
    assert_eq!(text(whole), "a [redacted] b");
    assert_eq!(text("-----BEGIN PRIVATE KEY-----\nMIIE\nabc"), REDACTED);
}

#[test]
fn ordinary_text_is_left_alone() {
    let plain = [
        "Which databases are unhealthy this week?",
        "What does basic authentication mean?",
        "Show max_tokens for the last 7 days",
        "http://localhost:8300/mcp and https://example.com/a:b",
        "the risk-assessment-of-the-secretary",
        "SELECT * FROM tokens WHERE id = 7",
    ];
    for plain in plain {
        assert_eq!(text(plain), plain);
    }
}

#[test]
fn keys_that_name_secrets_lose_their_values_in_any_spelling() {
    for key in
        ["password", "DB_PASSWORD", "apiKey", "X-Api-Key", "access-token", "clientSecret", "Set-Cookie", "auth", "pwd"]
    {
        let value = json!({ "outer": [{ key: "v", "n": 1 }] });
        assert_eq!(Redactor::new().json(&value), json!({ "outer": [{ key: REDACTED, "n": 1 }] }), "{key}");
        assert_eq!(Redactor::new().json(&json!({ key: { "a": 1 } })), json!({ key: REDACTED }), "{key}");
    }
}

#[test]
fn keys_that_only_sound_like_secrets_keep_their_values() {
    let value =
        json!({"max_tokens": 100, "author": "me", "passed": 3, "has_password": true, "token_count": 4, "secret": null});
    assert_eq!(Redactor::new().json(&value), value);
}

#[test]
fn known_values_are_removed_from_keys_numbers_and_nested_text() {
    let redactor = Redactor::new().with_value("12345678").with_value("va\"l ue");
    let value = json!({ "a va\"l ue": 1, "n": 12_345_678, "url": "x?q=va%22l+ue", "json": "{\"p\":\"va\\\"l ue\"}" });
    let expected =
        json!({ "a [redacted]": 1, "n": REDACTED, "url": "x?q=[redacted]", "json": "{\"p\":\"[redacted]\"}" });
    assert_eq!(redactor.json(&value), expected);
}

#[test]
fn short_values_do_not_tear_words_apart() {
    assert_eq!(Redactor::new().with_value("a").with_value("").text("banana"), "banana");
}

#[test]
fn what_is_too_deep_is_not_kept() {
    let deep = (0..200).fold(json!({"password": "hunter2"}), |inner, _| json!([inner]));
    let redacted = Redactor::new().json(&deep).to_string();
    assert!(!redacted.contains("hunter2") && redacted.contains(REDACTED));
}

#[test]
fn debug_shows_no_value() {
    assert!(!format!("{:?}", Redactor::new().with_value("hunter22")).contains("hunter22"));
}

proptest! {
    #[test]
    fn a_known_value_never_survives(
        secret in "[a-zA-Z0-9!@#$%^&*()_+=./:;~ é-]{5,40}",
        around in prop::collection::vec("[a-z0-9 =:\"'/@.-]{0,12}", 1..6),
    ) {
        prop_assume!(!REDACTED.contains(&secret));
        let redactor = Redactor::new().with_value(&secret);
        let plain = around.join(&secret);
        prop_assert!(!redactor.text(&plain).contains(&secret));
        let value = json!({ "a": [plain.clone(), { "b": plain.clone() }], plain.clone(): 1 });
        let redacted = redactor.json(&value).to_string();
        prop_assert!(!redacted.contains(&secret), "{}", redacted);
    }

    #[test]
    fn redacting_twice_changes_nothing_more(text in "[a-z ]{0,20}(password=|Bearer |sk-|://u:)?[a-zA-Z0-9@]{0,20}") {
        let redactor = Redactor::new();
        let once = redactor.text(&text);
        prop_assert_eq!(redactor.text(&once), once);
    }
}

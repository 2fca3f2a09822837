//! What is a secret, and what is not.

use proptest::{collection::vec, prelude::*, sample::select};
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::*;
use crate::identity::{ApiKey, Scopes};

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
fn no_pattern_asks_what_a_letter_is_where_a_word_begins_or_ends() {
    for (pattern, _) in LOOKS {
        let asks_ascii_alone = pattern.replace(r"(?-u:\b)", "");
        assert!(!asks_ascii_alone.to_lowercase().contains(r"\b"), "the fast engines give up at an umlaut: {pattern}");
    }
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
        "sk_live_abcdefghijklmnop",
        "rk_test_abcdefghijklmnop",
        "pk_live_abcdefghijklmnop",
        "glpat-abcdefghij_12345678",
        "npm_abcdefghijklmnopqrstuvwxyz0123456789",
        "hf_abcdefghijklmnopqrstuvwxyz",
        "AIzaSyAbcdefghijklmnopqrstuvwxyz0123456",
        "AKIAIOSFODNN7EXAMPLE",
        "ASIAIOSFODNN7EXAMPLE",
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
fn a_key_of_omnis_own_is_removed_also_when_it_is_cut_and_what_finds_it_stays() {
    let issued = ApiKey::issue("ann@company.com", Scopes::user());
    let key = issued.secret.expose_secret();
    assert_eq!(text(&format!("why is {key} refused?")), "why is [redacted] refused?");
    assert_eq!(text(&format!("why is {}… refused?", &key[..30])), "why is [redacted]… refused?");
    let shown = format!("omni_{}… was taken back", issued.key.prefix);
    assert_eq!(text(&shown), shown);
}

#[test]
fn secrets_are_found_among_letters_that_are_not_ascii() {
    let cases = [
        ("Schlüssel für Übung: sk-ant-api03-abcdefghijklmnop, größer", "Schlüssel für Übung: [redacted], größer"),
        ("„ghp_abcdefghijklmnop“ läuft", "„[redacted]“ läuft"),
        ("Schlüßsk-ant-api03-abcdefghijklmnop", "Schlüß[redacted]"),
        ("für Köln: pwd=geheim dsn=geheim", "für Köln: pwd=[redacted] dsn=[redacted]"),
        ("Größe; token: geheim, größer", "Größe; token: [redacted], größer"),
        ("ßBearer geheim für", "ßBearer [redacted] für"),
        ("ü Basic Z2VoZWltOng= ü", "ü Basic [redacted] ü"),
        ("über postgres://app:geheim@db für", "über postgres://app:[redacted]@db für"),
        ("épostgres://app:geheim@db", "épostgres://app:[redacted]@db"),
    ];
    for (before, after) in cases {
        assert_eq!(text(before), after);
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
fn every_name_of_a_secret_is_known_in_text() {
    let names = [
        "DB_PASSWD",
        "passphrase",
        "client_secret",
        "AWS_ACCESS_KEY_ID",
        "private-key",
        "signing_key",
        "credential",
        "credentials",
        "Set-Cookie",
        "connection_string",
        "connectionString",
        "DATABASE_URL",
    ];
    for name in names {
        assert_eq!(text(&format!("{name}=geheim host=db")), format!("{name}=[redacted] host=db"));
        assert_eq!(text(&format!("{name}: geheim, db")), format!("{name}: [redacted], db"));
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
        "Tokenübersicht: 12 Einträge, Tokens: 7",
    ];
    for plain in plain {
        assert_eq!(text(plain), plain);
    }
}

#[test]
fn keys_that_name_secrets_lose_their_values_in_any_spelling() {
    let keys = [
        "password",
        "DB_PASSWORD",
        "DB_PASSWD",
        "keyPassphrase",
        "apiKey",
        "X-Api-Key",
        "AWS_ACCESS_KEY_ID",
        "privateKey",
        "signing_key",
        "Proxy-Authorization",
        "credentials",
        "access-token",
        "clientSecret",
        "Set-Cookie",
        "ConnectionString",
        "DATABASE_URL",
        "auth",
        "pwd",
        "SENTRY_DSN",
        "user_jwt",
        "X-Bearer",
    ];
    for key in keys {
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

/// The patterns after the first as they were while word boundaries knew all letters, as far as the secrets below
/// take them.
const BEFORE: [&str; 5] = [
    r#"(?i)\b([a-z][a-z0-9+.-]*://[^\s:/@"']*):[^\s"']+@"#,
    r"(?i)\b(bearer\s+)[a-z0-9._~+/=-]{3,}",
    r"(?i)\b(basic\s+)[a-z0-9+/]{8,}=+",
    r"\b(?:sk-[A-Za-z0-9_-]{12,}|xox[a-z]-[A-Za-z0-9-]{8,}|gh[opsur]_[A-Za-z0-9]{16,}|AIza[A-Za-z0-9_-]{30,})",
    r#"(?xi) ( (?: password | secret | api[-_\ ]?key | authorization | \bpwd | token\b | \bdsn )
        [\w-]* \\?["']? \s* [:=] \s* )
        (?: (?:(?:basic|bearer|digest)\s+)? \[redacted\] | (?:basic|bearer|digest)\s+[^\s"',;]+ | \\?"[^"\\]*\\?"? | '[^']*'? | [^\s"',;&}\])]+ )"#,
];

/// What they made of a text.
fn text_before(text: &str) -> String {
    static FIND: LazyLock<[Regex; 5]> = LazyLock::new(|| BEFORE.map(|find| Regex::new(find).unwrap()));
    let [_, looks @ ..] = LOOKS;
    let looks = FIND.iter().zip(looks);
    looks.fold(text.to_owned(), |text, (find, (_, replace))| find.replace_all(&text, replace).into_owned())
}

/// Secrets in what gives them away.
const SECRETS: [&str; 12] = [
    "sk-ant-Geheim4711abcdef",
    "xoxb-Geheim4711abcdef",
    "ghp_Geheim4711abcdefgh",
    "Bearer Geheim4711abcdef",
    "Basic Geheim4711abcdef=",
    "postgres://app:Geheim4711abcdef@db",
    "password=Geheim4711abcdef",
    "pwd: Geheim4711abcdef",
    "dsn='Geheim4711abcdef'",
    "token = Geheim4711abcdef",
    "token-id: Geheim4711abcdef",
    r#""api_key": "Geheim4711abcdef""#,
];

/// What may stand around them, of all kinds that a boundary tells apart.
const AROUND: [&str; 16] =
    ["Schlüssel", "für", "größe", "ß", "é", "\u{17f}", "\u{212a}", "x", "7", " ", "\n", "-", "_", ".", "„", "“"];

proptest! {
    #[test]
    fn what_was_removed_while_boundaries_knew_all_letters_is_removed_still(
        before in vec(select(AROUND.to_vec()), 0..4),
        secret in select(SECRETS.to_vec()),
        after in vec(select(AROUND.to_vec()), 0..4),
    ) {
        let said = format!("{}{secret}{}", before.concat(), after.concat());
        let was_removed = !text_before(&said).contains("Geheim4711");
        prop_assert!(!was_removed || !text(&said).contains("Geheim4711"), "{}", said);
    }

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

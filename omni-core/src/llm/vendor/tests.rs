use http::{HeaderMap, HeaderValue, StatusCode};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::cost::{Price, PriceTable, Rates};
use crate::llm::{
    anthropic, openai,
    retry::{Again, Failed},
};

static TEST: Vendor = Vendor {
    kind: "anthropic",
    key_variable: "ANTHROPIC_API_KEY",
    url_variable: "ANTHROPIC_BASE_URL",
    model_variable: "ANTHROPIC_MODEL",
    base_url: "https://api.anthropic.com",
    followed: true,
};

fn refused(status: u16, body: &str) -> Failed {
    let status = StatusCode::from_u16(status).unwrap();
    refusal::refused(&TEST, "claude-sonnet-4-5", status, &HeaderMap::new(), body.as_bytes())
}

fn typed(kind: &str, message: &str) -> String {
    json!({"type": "error", "error": {"type": kind, "message": message}}).to_string()
}

/// The variant's name and whether it is tried again.
fn sorted(failed: &Failed) -> (String, bool) {
    let name = format!("{:?}", failed.error);
    let name = name.split([' ', '{']).next().unwrap().to_owned();
    (name, failed.again != Again::Never)
}

#[test]
fn refusals_are_sorted_by_what_they_mean() {
    let openai = |code: &str, kind: &str| json!({"error": {"message": "no", "type": kind, "code": code}}).to_string();
    let cases = [
        (401, typed("authentication_error", "invalid x-api-key"), "Auth", false),
        (403, typed("permission_error", "not for you"), "Auth", false),
        (401, openai("invalid_api_key", "invalid_request_error"), "Auth", false),
        (402, typed("billing_error", "pay"), "Quota", false),
        (400, typed("invalid_request_error", "Your credit balance is too low to access the API"), "Quota", false),
        (429, typed("rate_limit_error", "You have reached your specified API usage limits."), "Quota", false),
        (429, openai("insufficient_quota", "insufficient_quota"), "Quota", false),
        (404, typed("not_found_error", "model: claude-sonnet-4-5"), "UnknownModel", false),
        (404, openai("model_not_found", "invalid_request_error"), "UnknownModel", false),
        (404, r#"{"error":"model \"llama9\" not found, try pulling it first"}"#.into(), "UnknownModel", false),
        (404, typed("not_found_error", "Not Found"), "InvalidRequest", false),
        (413, typed("request_too_large", "Request exceeds the maximum size"), "ContextExceeded", false),
        (400, typed("invalid_request_error", "prompt is too long: 210000 tokens > 200000"), "ContextExceeded", false),
        (400, openai("context_length_exceeded", "invalid_request_error"), "ContextExceeded", false),
        (400, typed("invalid_request_error", "messages: at least one message is required"), "InvalidRequest", false),
        (422, r#"{"detail":"Field required"}"#.into(), "InvalidRequest", false),
        (403, "<html>Forbidden</html>".into(), "InvalidRequest", false),
        (408, typed("timeout_error", "slow"), "Unavailable", true),
        (409, typed("conflict_error", "busy"), "Unavailable", true),
        (429, typed("rate_limit_error", "This request would exceed the limit"), "RateLimited", true),
        (
            429,
            json!({"error": {"type": "throttling_error", "code": "429", "message": "x"}}).to_string(),
            "RateLimited",
            true,
        ),
        (500, typed("api_error", "Internal server error"), "Unavailable", true),
        (502, "<html><h1>502 Bad Gateway</h1></html>".into(), "Unavailable", true),
        (503, String::new(), "Unavailable", true),
        (529, typed("overloaded_error", "Overloaded"), "Unavailable", true),
    ];
    for (status, body, name, again) in cases {
        assert_eq!(sorted(&refused(status, &body)), (name.to_owned(), again), "{status} {body}");
    }
}

#[test]
fn messages_say_what_to_do_and_hold_no_page() {
    let text = |status, body: &str| refused(status, body).error.to_string();
    assert!(
        text(401, &typed("authentication_error", "invalid x-api-key")).contains("or ANTHROPIC_API_KEY to a valid key")
    );
    assert!(text(404, &typed("not_found_error", "model: x")).contains("claude-sonnet-5-5 replaces it"));
    assert_eq!(text(502, "<html>\n<h1>secret</h1>"), "anthropic is not available (502): Bad Gateway (a web page)");
    let controls = "bo\u{1b}[31mom\u{1b}]0;pwn\u{7}\r\nERROR forged\u{9b}\u{202e}\u{2028}!";
    assert_eq!(text(500, controls), "anthropic is not available (500): boom ERROR forged !");
    let typed_so = json!({"error": {"type": controls, "message": controls}});
    let told = refusal::in_answer(&TEST, "m", &typed_so).to_string();
    assert_eq!(told, "anthropic is not available (boom ERROR forged !): boom ERROR forged !");
    let long = text(500, &"ä ".repeat(5_000));
    assert!(long.chars().count() < 600 && long.ends_with('…'), "{long}");
}

#[test]
fn a_redirect_names_where_it_leads_and_the_setting() {
    let headers = HeaderMap::from_iter([(http::header::LOCATION, HeaderValue::from_static("https://elsewhere/"))]);
    let failed = refusal::refused(&TEST, "m", StatusCode::PERMANENT_REDIRECT, &headers, b"");
    let text = failed.error.to_string();
    assert!(text.contains("https://elsewhere/") && text.contains("ANTHROPIC_BASE_URL"), "{text}");
    assert_eq!(failed.again, Again::Never);
}

#[test]
fn the_vendors_word_on_retries_counts() {
    let with = |name: &'static str, value: &'static str, status: u16| {
        let headers = HeaderMap::from_iter([(http::HeaderName::from_static(name), HeaderValue::from_static(value))]);
        refusal::refused(&TEST, "m", StatusCode::from_u16(status).unwrap(), &headers, b"")
    };
    let limited = with("retry-after", "7", 429);
    assert_eq!(limited.again, Again::After(std::time::Duration::from_secs(7)));
    assert!(matches!(limited.error, LlmError::RateLimited { retry_after: Some(wait), .. } if wait.as_secs() == 7));
    assert_eq!(with("x-should-retry", "false", 503).again, Again::Never);
    assert_eq!(with("retry-after", "7", 400).again, Again::Never);
}

fn endpoint(kind: &str, base: &str) -> Result<String, BuildError> {
    let mut config = LlmConfig::new(kind);
    config.base_url = Some(base.into());
    let (vendor, path) = if kind == "openai" { (&OPENAI, "/chat/completions") } else { (&TEST, "/messages") };
    vendor.url(&config, path).map(String::from)
}

static OPENAI: Vendor = Vendor {
    kind: "openai",
    key_variable: "OPENAI_API_KEY",
    url_variable: "OPENAI_BASE_URL",
    model_variable: "OPENAI_MODEL",
    base_url: "https://api.openai.com/v1",
    followed: false,
};

#[test]
fn base_urls_do_with_and_without_a_slash_and_a_version() {
    for base in ["http://h:1", "http://h:1/", "http://h:1/v1", "http://h:1/v1/", " http://h:1/v1/messages"] {
        assert_eq!(endpoint("anthropic", base).unwrap(), "http://h:1/v1/messages", "{base}");
    }
    assert_eq!(endpoint("anthropic", "http://h/gateway/?a=b").unwrap(), "http://h/gateway/v1/messages?a=b");
    for base in ["http://h:1", "http://h:1/v1/", "http://h:1/v1/chat/completions"] {
        assert_eq!(endpoint("openai", base).unwrap(), "http://h:1/v1/chat/completions", "{base}");
    }
    assert_eq!(endpoint("openai", "http://h/v1beta/openai").unwrap(), "http://h/v1beta/openai/chat/completions");
}

#[test]
fn a_base_url_that_is_none_names_the_variable() {
    for base in ["api.anthropic.com", "ftp://h", ""] {
        let error = endpoint("anthropic", base).unwrap_err().to_string();
        assert!(error.contains("ANTHROPIC_BASE_URL"), "{error}");
    }
}

#[test]
fn a_missing_key_and_a_placeholder_name_the_variable() {
    let build = |kind: &str, key: Option<&str>| {
        let mut config = LlmConfig::new(kind);
        config.api_key = key.map(Into::into);
        if kind == "openai" {
            openai::OpenAi::from_config(&config).map(drop)
        } else {
            anthropic::Anthropic::from_config(&config).map(drop)
        }
    };
    for (kind, variable) in [("anthropic", "ANTHROPIC_API_KEY"), ("openai", "OPENAI_API_KEY")] {
        for key in [None, Some(""), Some("  "), Some("your-anthropic-api-key-here"), Some("sk-\n-x")] {
            let error = build(kind, key).unwrap_err().to_string();
            assert!(error.contains(variable), "{key:?}: {error}");
        }
        assert!(build(kind, Some(" sk-test\n")).is_ok());
    }
}

#[test]
fn the_configured_model_comes_first() {
    let mut config = LlmConfig::new("anthropic");
    let ids = |vendor: &Vendor, config: &LlmConfig| -> Vec<String> {
        vendor.models(config).into_iter().map(|model| model.id).collect()
    };
    assert_eq!(ids(&TEST, &config)[0], "claude-haiku-5-5");
    config.model = Some("opus".into());
    let with_opus = ids(&TEST, &config);
    assert_eq!(with_opus[0], "claude-opus-5-5");
    assert_eq!(with_opus.iter().filter(|id| *id == "claude-opus-5-5").count(), 1);

    config.model = Some("llama3".into());
    config.base_url = Some("http://localhost:11434".into());
    assert_eq!(ids(&OPENAI, &config), ["llama3"]);
}

#[test]
fn the_operators_prices_come_before_the_known_ones() {
    let own = Price::flat(Rates::new(1, 2, 3, 4, 5));
    let mut config = LlmConfig::new("openai");
    config.model = Some("llama3".into());
    config.base_url = Some("http://localhost:11434".into());
    config.prices = PriceTable::default().with_price("llama3", own).with_price("qwen", own);
    let prices: Vec<_> = OPENAI.models(&config).into_iter().map(|model| (model.id, model.price)).collect();
    assert_eq!(prices, [("llama3".to_owned(), Some(own)), ("qwen".to_owned(), Some(own))]);

    let mut config = LlmConfig::new("anthropic");
    config.prices = PriceTable::default().with_price("claude-opus-5", own);
    let price = |id: &str| TEST.models(&config).into_iter().find(|model| model.id == id).unwrap().price;
    assert_eq!((price("claude-opus-5"), price("claude-opus-4-8")), (Some(own), None));
    assert_eq!(price("claude-opus-5-5"), PriceTable::default().price("claude-opus-5-5"));
}

#[test]
fn a_key_is_not_in_what_is_shown_for_debugging() {
    let provider = anthropic::Anthropic::builder().api_key("sk-very-secret").build().unwrap();
    assert!(!format!("{provider:?}").contains("very-secret"));
}

#[test]
fn warnings_are_told_with_the_question_and_not_with_every_result() {
    let warnings = vec!["careful".to_owned()];
    let question = Message::user("which?");
    let result = Block::ToolResult { id: "a".into(), content: vec![], is_error: false };
    let results = Message { speaker: crate::llm::Speaker::User, blocks: vec![result] };
    assert_eq!(told_once(warnings.clone(), std::slice::from_ref(&question)), warnings);
    assert!(told_once(warnings, &[question, results]).is_empty());
}

proptest! {
    #[test]
    fn any_arguments_can_be_said_again_as_an_object(text in ".{0,80}") {
        let raw = legal::arguments(&text);
        let again: serde_json::Value = serde_json::from_str(legal::object(&raw).get()).unwrap();
        prop_assert!(again.is_object());
    }

    #[test]
    fn any_name_becomes_legal(text in ".{0,200}", max_len in 8_usize..200) {
        let name = legal::name(&text, max_len);
        prop_assert!((1..=max_len).contains(&name.len()));
        prop_assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-'));
    }
}

#[test]
fn of_many_tools_that_are_left_out_a_few_are_named() {
    let names: Vec<String> = (0..40).map(|n| format!("tool{n}")).collect();
    let all: Vec<_> = names.iter().map(|name| ("db", name.as_str(), "", "7")).collect();
    let form = tools::Form {
        key: "test",
        warnings_key: "test.warnings",
        max_tools: 10,
        max_name: 64,
        max_description: 100,
        tool: |name, _, _, _| name.into(),
        dialect: crate::catalog::Dialect::OpenAi,
    };
    let warnings = form.render(&super::fake::tools(&all)).warnings;
    assert_eq!(warnings.len(), 6, "{warnings:?}");
    assert_eq!(warnings[5], "35 more tools are left out");
}

#[test]
fn arguments_that_are_objects_stay_as_they_are() {
    let text = r#"{"b": 1.0, "a":[ ]}"#;
    let raw = legal::arguments(text);
    assert_eq!(legal::object(&raw).get(), text);
    assert_eq!(legal::arguments("").get(), "{}");
    assert_eq!(legal::object(&legal::arguments(r#"{"query": "unfinis"#)).get(), r#"{"input":"{\"query\": \"unfinis"}"#);
    assert_eq!(legal::object(&legal::arguments("[1]")).get(), r#"{"input":[1]}"#);
    let half = legal::object(&legal::arguments(r#"{"a":"\ud83d"}"#)).into_owned();
    assert_eq!(half.get(), r#"{"input":"{\"a\":\"\\ud83d\"}"}"#);
}

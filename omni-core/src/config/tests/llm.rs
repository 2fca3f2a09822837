use secrecy::ExposeSecret;
use serde_json::json;

use super::{Config, env, findings, load};
use crate::{
    config::{LlmConfig, Severity},
    cost::Rates,
};

fn from_env(variables: &[(&str, &str)]) -> LlmConfig {
    Config::embedded(&env(variables), "/nowhere".as_ref()).llm
}

fn from_settings(settings: &str, variables: &[(&str, &str)]) -> LlmConfig {
    load(&[("settings.yaml", settings)], variables).unwrap().llm
}

fn key(llm: &LlmConfig) -> Option<&str> {
    llm.api_key.as_ref().map(ExposeSecret::expose_secret)
}

#[test]
fn without_any_key_the_offline_provider_answers() {
    assert_eq!(from_env(&[]).provider, "offline");
    assert_eq!(from_env(&[("ANTHROPIC_API_KEY", "")]).provider, "offline");
}

#[test]
fn the_environment_chooses_anthropic_then_openai() {
    let both = [("ANTHROPIC_API_KEY", "a"), ("OPENAI_API_KEY", "o"), ("ANTHROPIC_BASE_URL", "http://proxy")];
    let llm = from_env(&both);
    assert_eq!(
        (llm.provider.as_str(), key(&llm), llm.base_url.as_deref()),
        ("anthropic", Some("a"), Some("http://proxy"))
    );
    let llm = from_env(&[("OPENAI_BASE_URL", "http://ollama"), ("OPENAI_MODEL", "m")]);
    assert_eq!((llm.provider.as_str(), key(&llm), llm.model.as_deref()), ("openai", None, Some("m")));
    let llm = from_env(&[("ANTHROPIC_API_KEY", "a"), ("ANTHROPIC_MODEL", "m"), ("ANTHROPIC_MAX_TOKENS", "9")]);
    assert_eq!((llm.model.as_deref(), llm.max_tokens), (Some("m"), 9));
}

#[test]
fn a_key_that_nobody_filled_in_is_none() {
    for key in ["your-anthropic-api-key-here", "sk-ant-your-api-key", "sk-ant-...", "<key>", " "] {
        assert_eq!(from_env(&[("ANTHROPIC_API_KEY", key)]).provider, "offline", "{key}");
    }
}

#[test]
fn settings_win_for_what_they_set_and_the_environment_fills_the_rest() {
    let variables = [("ANTHROPIC_API_KEY", "a"), ("OPENAI_API_KEY", "o"), ("OPENAI_MODEL", "env-model")];
    let llm = from_settings("llm: { provider: OpenAI, max_retries: 7, timeout_seconds: 1.5 }", &variables);
    assert_eq!((llm.provider.as_str(), key(&llm), llm.model.as_deref()), ("openai", Some("o"), Some("env-model")));
    assert_eq!((llm.max_retries, llm.timeout.as_millis()), (7, 1_500));
    let llm = from_settings("llm: { provider: openai, api_key: mine, model: my-model }", &variables);
    assert_eq!((key(&llm), llm.model.as_deref()), (Some("mine"), Some("my-model")));
    assert_eq!(from_settings("llm: { api_key: mine }", &[]).provider, "anthropic");
}

#[test]
fn what_the_environment_says_and_the_file_overrules_is_told() {
    let settings = "llm:\n  api_key: mine\n  model: haiku\n  max_tokens: 4096\n";
    let load = |variables: &[(&str, &str)]| load(&[("settings.yaml", settings)], variables).unwrap();
    let config = load(&[("ANTHROPIC_MODEL", "my-model"), ("ANTHROPIC_MAX_TOKENS", "8192")]);
    assert_eq!((config.llm.model.as_deref(), config.llm.max_tokens), (Some("claude-haiku-5-5"), 4_096));
    let told = findings(&config, Severity::Warning);
    for says in [
        "settings.yaml:3: llm.model: haiku counts, and ANTHROPIC_MODEL of the environment (my-model) does not",
        "settings.yaml:4: llm.max_tokens: 4096 counts, and ANTHROPIC_MAX_TOKENS of the environment (8192) does not",
    ] {
        assert!(told.iter().any(|finding| finding.starts_with(says)), "{told:?}");
    }
    for same in [
        &[("ANTHROPIC_MODEL", "claude-haiku-5-5"), ("ANTHROPIC_MAX_TOKENS", " 4096 ")][..],
        &[("ANTHROPIC_MODEL", ""), ("OPENAI_MODEL", "my-model")],
    ] {
        let told = findings(&load(same), Severity::Warning);
        assert!(!told.iter().any(|finding| finding.contains("of the environment")), "{told:?}");
    }
}

#[test]
fn a_model_that_its_vendor_no_longer_has_is_told_where_it_is_set() {
    let said = |settings: &str, variables: &[(&str, &str)]| {
        let variables = [&[("ANTHROPIC_API_KEY", "a")][..], variables].concat();
        let told = findings(&load(&[("settings.yaml", settings)], &variables).unwrap(), Severity::Warning);
        told.into_iter().filter(|finding| finding.contains("no longer has")).collect::<Vec<_>>()
    };
    let pinned = "llm:\n  model: claude-3-5-sonnet-20241022\n";
    assert_eq!(
        said(pinned, &[]),
        [
            "settings.yaml:2: llm.model: the vendor no longer has claude-3-5-sonnet-20241022; claude-sonnet-5-5 replaces it"
        ]
    );
    let of_env = [("ANTHROPIC_MODEL", "claude-sonnet-4-5-20250929")];
    assert_eq!(
        said("{}", &of_env),
        ["ANTHROPIC_MODEL: the vendor no longer has claude-sonnet-4-5-20250929; claude-sonnet-5-5 replaces it"]
    );
    assert_eq!(said("llm: { model: haiku }", &of_env), [""; 0], "the file's counts");
    // Another than the vendor may have it.
    assert_eq!(said(pinned, &[("ANTHROPIC_BASE_URL", "http://127.0.0.1:1")]), [""; 0]);
    assert_eq!(said("{}", &[]), [""; 0]);
}

#[test]
fn a_model_that_is_not_named_is_the_providers_default() {
    let variables = [("ANTHROPIC_API_KEY", "a")];
    for model in ["'${MODEL}'", "''", "' '"] {
        assert_eq!(from_settings(&format!("llm: {{ model: {model} }}"), &variables).model, None, "{model}");
    }
    let of_env = [("ANTHROPIC_API_KEY", "a"), ("ANTHROPIC_MODEL", "m")];
    assert_eq!(from_settings("llm: { model: '${MODEL}' }", &of_env).model.as_deref(), Some("m"));
}

#[test]
fn sampling_parameters_are_sent_only_if_set() {
    assert!(from_settings("llm: { provider: offline }", &[]).extra.is_empty());
    let llm = from_settings("llm: { provider: offline, temperature: 0.0, top_k: 5, extra: { seed: 1 } }", &[]);
    assert_eq!(json!(llm.extra), json!({ "temperature": 0.0, "top_k": 5, "seed": 1 }));
}

#[test]
fn prices_are_dollars_for_a_million_tokens() {
    let prices = "llm: { provider: offline, prices: { mine: { input: 0.125, output: 2, cache_read: 0 }, opus: { input: 1, output: 1 } } }";
    let prices = from_settings(prices, &[]).prices;
    assert_eq!(prices.price("mine").unwrap().base, Rates::new(125, 2_000, 125, 125, 0));
    assert_eq!(prices.price("claude-opus-5-5").unwrap().base, Rates::new(1_000, 1_000, 1_000, 1_000, 1_000));
}

#[test]
fn prices_are_exact_to_six_decimals() {
    let prices = "llm: { provider: offline, prices: { fine: { input: 0.0375, output: 0.15, cache_read: 0.01875 }, \
                  cheap: { input: 0.0004, output: 0.000001 }, dear: { input: 999999.999999, output: 1e6 } } }";
    let prices = from_settings(prices, &[]).prices;
    let base = |model| prices.price(model).unwrap().base;
    assert_eq!(base("fine"), Rates::in_picos(37_500, 150_000, 37_500, 37_500, 18_750));
    assert_eq!(base("cheap"), Rates::in_picos(400, 1, 400, 400, 400));
    let dear = 999_999_999_999;
    assert_eq!(base("dear"), Rates::in_picos(dear, 1_000_000_000_000, dear, dear, dear));
}

#[test]
fn a_price_that_is_none_names_its_place() {
    for (prices, said) in [
        ("m: { input: 0.0000004, output: 2 }", "llm.prices.m.input: a price has at most six decimals"),
        ("m: { input: 1, output: 0.0375001001 }", "in dollars for a million tokens; 0.0375001001 has more"),
        ("m: { input: -1, output: 2 }", "llm.prices.m.input: a price is between 0 and"),
        ("m: { input: 1, output: 2, cache_read: 1e9 }", "llm.prices.m.cache_read: a price is"),
        ("m: { input: 1 }", r#"the key "output" is missing"#),
        ("m: { input: 1, output: 2, cache_writes: 3 }", "did you mean \"cache_write\"?"),
    ] {
        let settings = format!("llm: {{ provider: offline, prices: {{ {prices} }} }}");
        let error = load(&[("settings.yaml", &settings)], &[]).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}

//! Asks through the program: what `settings.yaml` and the environment say reaches the vendor.

use omni_tests::{
    loopback::Loopback,
    program::{Program, Ran},
    vendor::{KEY, Refusal, Reply, Vendor},
};
use serde_json::{Value, json};

/// A home with these keys under `llm:`; the key of the vendor is in `MY_LLM_KEY`.
fn home(provider: &str, vendor: &Vendor, more: &str) -> Program {
    let url = vendor.base_url();
    let llm = format!("llm:\n  provider: {provider}\n  base_url: {url}\n  api_key: ${{MY_LLM_KEY}}\n{more}");
    Program::new(env!("CARGO_BIN_EXE_omni-under-test")).with_file("settings.yaml", &llm)
}

fn ask(home: &Program, args: &[&str]) -> Ran {
    home.run_with(&[("MY_LLM_KEY", KEY)], &[&["ask"], args].concat())
}

/// Status, warning, tokens in and out, cost and iterations of every ask in the audit log.
async fn asks(home: &Program) -> Vec<(String, Option<String>, i64, i64, Option<i64>, i64)> {
    let database = home.home().join("xdg/data/omni/omni.db");
    let pool = sqlx::SqlitePool::connect(database.to_str().unwrap()).await.unwrap();
    let query = "SELECT status, warning, tokens_input, tokens_output, cost_nano_usd, iterations \
                 FROM audit_logs WHERE request_type = 'chat' ORDER BY id";
    sqlx::query_as(query).fetch_all(&pool).await.unwrap()
}

fn codes(document: &Value) -> Vec<&str> {
    document["warnings"].as_array().unwrap().iter().map(|warning| warning["code"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_settings_say_of_anthropic_reaches_it() {
    let (vendor, server) = (Vendor::start().await, Loopback::start());
    let more = "  model: claude-haiku-4-5\n  api_version: \"2026-10-21\"\n  max_tokens: 777\n  temperature: 0.0\n";
    let home = home("anthropic", &vendor, more).with_file("mcps.yaml", &server.mcps(""));

    let document = ask(&home, &["--json", r#"#tool db__get_health {"limit":3}"#]).exits(0).json();

    assert!(document["answer"].as_str().unwrap().contains("all healthy, limit 3"), "{document:#}");
    assert_eq!((vendor.violations(), vendor.requests().len()), (vec![], 2));
    for seen in vendor.requests() {
        let sent = ["anthropic-version", "x-api-key"].map(|name| seen.headers[name].to_str().unwrap().to_owned());
        assert_eq!(sent, ["2026-10-21", KEY]);
        assert_eq!((&seen.body["model"], &seen.body["max_tokens"]), (&json!("claude-haiku-4-5"), &json!(777)));
    }
    // The parameter that this version refuses is told, and makes the answer no worse.
    assert_eq!(codes(&document), ["llm"]);
    let (status, warning, input, ..) = asks(&home).await.remove(0);
    assert_eq!((status.as_str(), warning), ("success", None));
    assert!(input > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_settings_say_of_an_openai_compatible_server_reaches_it() {
    let (vendor, server) = (Vendor::start().await, Loopback::start());
    let more =
        "  model: llama3\n  max_tokens: 9000\n  temperature: 0.0\n  prices: { llama3: { input: 1, output: 2 } }\n";
    let home = home("openai", &vendor, more).with_file("mcps.yaml", &server.mcps(""));

    let document = ask(&home, &["--json", r#"#tool db__get_health {"limit":3}"#]).exits(0).json();

    assert!(document["answer"].as_str().unwrap().contains("all healthy, limit 3"), "{document:#}");
    assert_eq!((vendor.violations(), vendor.requests().len()), (vec![], 2));
    for seen in vendor.requests() {
        assert_eq!(seen.headers["authorization"], format!("Bearer {KEY}"));
        let sent = ["model", "max_tokens", "temperature"].map(|key| &seen.body[key]);
        assert_eq!(sent, [&json!("llama3"), &json!(9_000), &json!(0.0)]);
    }
    assert_eq!(codes(&document), Vec::<&str>::new());
    let (status, _, input, output, cost, turns) = asks(&home).await.remove(0);
    assert_eq!((status.as_str(), cost, turns), ("success", Some(input * 1_000 + output * 2_000), 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_alone_is_enough() {
    let vendor = Vendor::start().await;
    let home = Program::new(env!("CARGO_BIN_EXE_omni-under-test"));
    for (vendor_name, path) in [("ANTHROPIC", ""), ("OPENAI", "/v1")] {
        let url = format!("{}{path}", vendor.base_url());
        let names = ["API_KEY", "BASE_URL", "MODEL", "MAX_TOKENS"].map(|name| format!("{vendor_name}_{name}"));
        let values = [KEY, &url, "a-model", "321"];
        let env: Vec<(&str, &str)> = names.iter().map(String::as_str).zip(values).collect();
        let ran = home.run_with(&env, &["ask", "#plain Good morning."]).exits(0);
        assert_eq!(ran.out.trim(), "Good morning.");
    }
    assert_eq!(vendor.violations(), Vec::<String>::new());
    for seen in vendor.requests() {
        assert_eq!((&seen.body["model"], &seen.body["max_tokens"]), (&json!("a-model"), &json!(321)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_says_where_it_is_set_and_costs_nothing() {
    let vendor = Vendor::start().await;
    for (provider, variable) in [("anthropic", "ANTHROPIC_API_KEY"), ("openai", "OPENAI_API_KEY")] {
        let home = home(provider, &vendor, "");
        let env = [("MY_LLM_KEY", "not-the-key")];
        let ran = home.run_with(&env, &["ask", "#plain hi"]).exits(3);
        assert!(ran.err.contains("llm.api_key in settings.yaml") && ran.err.contains(variable), "{ran:?}");
        assert!(!ran.err.contains("not-the-key") && ran.out.is_empty(), "{ran:?}");
        let row = asks(&home).await.remove(0);
        assert_eq!((row.0.as_str(), (row.2, row.3, row.4, row.5)), ("error", (0, 0, Some(0), 0)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_is_gone_names_what_replaces_it_and_a_spent_quota_is_told() {
    let vendor = Vendor::start().await;
    let home = home("anthropic", &vendor, "");
    vendor.push(Reply::Error(Refusal::new(404, "not_found_error", "model: claude-sonnet-4-5")));
    let ran = ask(&home, &["-m", "claude-sonnet-4-5", "hello"]).exits(3);
    assert!(ran.err.contains("claude-sonnet-5-5 replaces it"), "{ran:?}");
    let ran = ask(&home, &["#quota"]).exits(3);
    assert!(ran.err.contains("no credit left"), "{ran:?}");
    assert_eq!(vendor.requests().len(), 2, "neither is tried again");
    assert_eq!(asks(&home).await.iter().map(|row| row.0.as_str()).collect::<Vec<_>>(), ["error", "error"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dated_model_has_the_price_of_its_family_and_may_be_used_under_a_cost_limit() {
    let vendor = Vendor::start().await;
    let home = home("anthropic", &vendor, "");
    let args = ["--json", "--max-cost", "1", "-m", "claude-haiku-4-5-20251001", "#usage in=100 out=10 cache=0"];
    let document = ask(&home, &args).exits(0).json();
    assert_eq!(document["usage"]["cost_usd"], json!(0.000_15), "{document:#}");
    assert_eq!(vendor.violations(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_without_a_price_is_told_and_no_worse_for_it() {
    let vendor = Vendor::start().await;
    let home = home("anthropic", &vendor, "  model: claude-next-9\n  max_tokens: 9000\n");
    let document = ask(&home, &["--json", "#plain hi"]).exits(0).json();
    assert_eq!((codes(&document), &document["usage"]["cost_usd"]), (vec!["unknown_price"], &Value::Null));
    assert_eq!(vendor.requests()[0].body["max_tokens"], 9_000);
    let row = asks(&home).await.remove(0);
    assert_eq!((row.0.as_str(), row.1, row.4), ("success", None, None));
}

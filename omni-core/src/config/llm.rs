//! Which language model: what `settings.yaml` sets, else what the environment has.

use std::{collections::BTreeMap, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::{
    Diagnostic, LlmConfig, Need, Severity,
    load::{Findings, Source},
    spec::{LlmSpec, PriceSpec},
    yaml::join,
};
use crate::cost::{Price, PriceTable, Rates, alias, retired};

/// Most dollars for a million tokens: more is a slip of the pen.
const MAX_PRICE: f64 = 1e6;
/// A dollar for a million tokens is so many pico-dollars for one, which is as fine as prices get.
const PICOS: f64 = 1e6;

/// A vendor's variables.
struct Variables {
    key: &'static str,
    base_url: &'static str,
    model: &'static str,
    max_tokens: &'static str,
}

const ANTHROPIC: Variables = Variables {
    key: "ANTHROPIC_API_KEY",
    base_url: "ANTHROPIC_BASE_URL",
    model: "ANTHROPIC_MODEL",
    max_tokens: "ANTHROPIC_MAX_TOKENS",
};
const OPENAI: Variables = Variables {
    key: "OPENAI_API_KEY",
    base_url: "OPENAI_BASE_URL",
    model: "OPENAI_MODEL",
    max_tokens: "OPENAI_MAX_TOKENS",
};

/// The language model.
pub(super) fn build(source: &Source<'_>, findings: &mut Findings) -> LlmConfig {
    let spec = &source.settings.llm;
    let mut llm = LlmConfig::new(provider(spec, source.env));
    let variables = match llm.provider.as_str() {
        "anthropic" => Some(&ANTHROPIC),
        "openai" => Some(&OPENAI),
        _ => None,
    };
    let from_env = |name: fn(&Variables) -> &'static str| variables.and_then(|own| text(source.env, name(own)));
    let model = filled(spec.model.as_ref()).or_else(|| from_env(|own| own.model));
    llm.model = model.map(|model| alias(&model).map_or(model, str::to_owned));
    llm.base_url = filled(spec.base_url.as_ref()).or_else(|| from_env(|own| own.base_url));
    llm.api_key = key(spec).or_else(|| from_env(|own| own.key).filter(|key| !is_placeholder(key)).map(Into::into));
    llm.api_version = filled(spec.api_version.as_ref());
    llm.max_tokens = spec.max_tokens.unwrap_or_else(|| max_tokens(variables, source, findings, llm.max_tokens));
    if let Some(own) = variables {
        report_overruled(own, source, findings);
        report_retired(&llm, own, source, findings);
    }
    llm.timeout = seconds(source, findings, llm.timeout);
    llm.max_retries = spec.max_retries.unwrap_or(llm.max_retries);
    llm.extra = extra(spec);
    llm.prices = prices(source, findings);
    if llm.api_key.is_none() && !matches!(llm.provider.as_str(), "offline") {
        report_missing_key(source, findings);
    }
    llm
}

/// The provider that is named; else the one whose key the configuration or the environment has.
fn provider(spec: &LlmSpec, env: &BTreeMap<String, String>) -> String {
    let has_key = |name: &str| text(env, name).is_some_and(|key| !is_placeholder(&key));
    if let Some(named) = filled(spec.provider.as_ref()) {
        return named.trim().to_lowercase();
    }
    let provider = match () {
        // The original knew one provider, so a key without a name is for that one.
        () if key(spec).is_some() || has_key(ANTHROPIC.key) => "anthropic",
        () if has_key(OPENAI.key) || text(env, OPENAI.base_url).is_some() => "openai",
        () => "offline",
    };
    provider.into()
}

fn key(spec: &LlmSpec) -> Option<SecretString> {
    spec.api_key.clone().filter(|key| !is_placeholder(key.expose_secret()))
}

/// A key that nobody filled in: empty, or as samples have it.
pub(super) fn is_placeholder(key: &str) -> bool {
    let key = key.trim().to_lowercase();
    key.is_empty()
        || key.starts_with("your-")
        || key.starts_with('<')
        || key.contains("-your-")
        || key.ends_with("...")
        || key.ends_with("-here")
        || matches!(key.as_str(), "changeme" | "change-me" | "xxx")
}

fn seconds(source: &Source<'_>, findings: &mut Findings, default: Duration) -> Duration {
    findings.seconds(source.settings.llm.timeout_seconds, default, source.settings_lines, "llm.timeout_seconds")
}

/// What the environment says of it, or `default`.
fn max_tokens(own: Option<&Variables>, source: &Source<'_>, findings: &mut Findings, default: u32) -> u32 {
    let Some(name) = own.map(|own| own.max_tokens) else { return default };
    let Some(given) = text(source.env, name) else { return default };
    given.trim().parse().unwrap_or_else(|_| {
        findings.unusable(Need::Llm, name, format!("expected a whole number of tokens, found {given:?}"));
        default
    })
}

fn extra(spec: &LlmSpec) -> serde_json::Map<String, Value> {
    let mut extra = spec.extra.clone();
    let sampling = [
        ("temperature", spec.temperature.map(Value::from)),
        ("top_p", spec.top_p.map(Value::from)),
        ("top_k", spec.top_k.map(Value::from)),
    ];
    extra.extend(sampling.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    extra
}

fn prices(source: &Source<'_>, findings: &mut Findings) -> PriceTable {
    source.settings.llm.prices.iter().fold(PriceTable::default(), |table, (model, spec)| {
        let at = join("llm.prices", model);
        let rates = rates(spec, |key, message| {
            findings.all.push(source.settings_lines.finding(Severity::Error, &join(&at, key), message));
        });
        table.with_price(alias(model).unwrap_or(model), Price::flat(rates))
    })
}

/// Rates of one model; `report` is told what is no price, and why.
fn rates(spec: &PriceSpec, mut report: impl FnMut(&str, String)) -> Rates {
    let mut rate = |key, usd: Option<f64>| {
        let rate = pico_per_token(usd.unwrap_or(spec.input));
        rate.unwrap_or_else(|message| {
            // What stands for it is told where it stands.
            if usd.is_some() {
                report(key, message);
            }
            0
        })
    };
    Rates::in_picos(
        rate("input", Some(spec.input)),
        rate("output", Some(spec.output)),
        rate("cache_write", spec.cache_write),
        rate("cache_write_1h", spec.cache_write_1h),
        rate("cache_read", spec.cache_read),
    )
}

/// A price exactly as it is written, or why it cannot be one.
fn pico_per_token(usd: f64) -> Result<u64, String> {
    if !(0.0..=MAX_PRICE).contains(&usd) {
        return Err(format!("a price is between 0 and {MAX_PRICE} dollars for a million tokens, not {usd}"));
    }
    let picos = (usd * PICOS).round();
    // Six decimals make the very number again; any more do not.
    if picos / PICOS == usd {
        return Ok(picos as u64);
    }
    Err(format!("a price has at most six decimals, in dollars for a million tokens; {usd} has more"))
}

/// A key that the configuration takes from a variable without a value is needed once the model is.
fn report_missing_key(source: &Source<'_>, findings: &mut Findings) {
    if let Some(lacking) = source.settings_variables.lacking_at("llm.api_key") {
        findings.needed(Need::Llm, source.settings_lines, lacking, "the language model");
    }
}

/// The original read the environment alone, so whoever sets it there as well may think that it counts.
fn report_overruled(own: &Variables, source: &Source<'_>, findings: &mut Findings) {
    let spec = &source.settings.llm;
    let set = [
        ("llm.model", filled(spec.model.as_ref()), own.model),
        ("llm.max_tokens", spec.max_tokens.map(|tokens| tokens.to_string()), own.max_tokens),
    ];
    for (key, in_file, variable) in set {
        let (Some(in_file), Some(in_env)) = (in_file, text(source.env, variable)) else { continue };
        if means(&in_file) != means(&in_env) {
            let message = format!(
                "{in_file} counts, and {variable} of the environment ({in_env}) does not; remove what is not meant"
            );
            findings.all.push(source.settings_lines.finding(Severity::Warning, key, message));
        }
    }
}

/// A model that its vendor no longer has: without this the first question would say so. Another address than the vendor's
/// may have it.
fn report_retired(llm: &LlmConfig, own: &Variables, source: &Source<'_>, findings: &mut Findings) {
    let Some(model) = llm.model.as_deref().filter(|_| llm.base_url.is_none()) else { return };
    let Some(newer) = retired(model) else { return };
    let message = format!("the vendor no longer has {model}; {newer} replaces it");
    let severity = Severity::Warning;
    findings.all.push(match filled(source.settings.llm.model.as_ref()) {
        Some(_) => source.settings_lines.finding(severity, "llm.model", message),
        None => Diagnostic { severity, source: None, key: own.model.into(), message },
    });
}

/// A value in its long form.
fn means(value: &str) -> &str {
    alias(value.trim()).unwrap_or(value.trim())
}

/// A variable that is set to something.
fn text(env: &BTreeMap<String, String>, name: &str) -> Option<String> {
    filled(env.get(name))
}

fn filled(value: Option<&String>) -> Option<String> {
    value.filter(|value| !value.trim().is_empty()).cloned()
}

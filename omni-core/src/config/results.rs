//! What `settings.yaml` says of what tools returned.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    Severity,
    load::{Findings, Source},
};
use crate::results::{MAX_BYTES, MAX_EXPIRY, ResultRules};

const SECONDS_AN_HOUR: f64 = 3_600.0;

/// The rules of the file.
pub(super) fn build(source: &Source<'_>, findings: &mut Findings) -> ResultRules {
    let spec = &source.settings.results;
    let lines = source.settings_lines;
    let mut error = |key: &str, message: String| findings.all.push(lines.finding(Severity::Error, key, message));
    let mut rules = ResultRules::default();
    let most = MAX_EXPIRY.as_secs_f64() / SECONDS_AN_HOUR;
    match spec.expire_hours {
        None => {}
        Some(hours) if (0.0..=most).contains(&hours) => {
            rules = rules.expiring(Duration::from_secs_f64(hours * SECONDS_AN_HOUR));
        }
        Some(hours) => error("results.expire_hours", format!("it must be at least 0 and at most {most}, not {hours}")),
    }
    match spec.max_bytes {
        None => {}
        Some(bytes) if (1..=MAX_BYTES).contains(&bytes) => rules = rules.up_to(bytes),
        Some(bytes) => {
            error("results.max_bytes", format!("it must be at least 1 and at most {MAX_BYTES}, not {bytes}"))
        }
    }
    rules
}

/// The rules for people, as `omni config show` has them.
pub(super) fn show(rules: &ResultRules) -> Value {
    json!({
        "expire_hours": rules.expiry.as_secs_f64() / SECONDS_AN_HOUR,
        "max_bytes": rules.max_bytes,
    })
}

//! What `threading.yaml` says, as rules for conversations.

use std::{ops::RangeInclusive, time::Duration};

use serde_json::{Value, json};

use super::{
    Severity,
    load::Findings,
    spec::{ChannelSpec, ContextSpec, SummarySpec, ThreadingSpec},
    yaml::Lines,
};
use crate::thread::{ContextRules, MAX_EXPIRY, PlaceRules, ReplyRules, SummaryRules, ThreadRules};

const SECONDS_AN_HOUR: f64 = 3_600.0;
/// Fewer tokens tell of nothing, and more are no summary.
const SUMMARY_TOKENS: RangeInclusive<u32> = 64..=4_096;

/// The rules of a file, for a provider of this kind.
pub(super) fn build(spec: &ThreadingSpec, provider: &str, lines: &Lines, findings: &mut Findings) -> ThreadRules {
    let default = ThreadRules::default();
    let (threads, direct) = (&spec.threading, &spec.direct_messages);
    warn_of_too_many(spec, lines, findings);
    let own = ContextSpec {
        enabled: spec.sessions.enabled.or(direct.context.enabled),
        max_messages: spec.sessions.max_messages.or(direct.context.max_messages),
    };
    let max_tokens = threads.max_context_tokens.filter(|tokens| *tokens > 0);
    if threads.max_context_tokens == Some(0) {
        let message = "it must be more than 0; `max_messages: 0` brings nothing along";
        findings.all.push(lines.finding(Severity::Error, "threading.max_context_tokens", message));
    }
    ThreadRules {
        channels: context(&threads.context, default.channels),
        direct: context(&direct.context, default.direct),
        own: context(&own, default.own),
        replies: ReplyRules {
            enabled: threads.enabled.unwrap_or(default.replies.enabled),
            always: threads.behavior.always_use_threads.unwrap_or(default.replies.always),
            continues: threads.behavior.continue_threads.unwrap_or(default.replies.continues),
            direct: direct.use_threads.unwrap_or(default.replies.direct),
        },
        places: spec.channel_overrides.iter().map(|(id, channel)| (id.clone(), place(channel))).collect(),
        max_tokens: max_tokens.unwrap_or(default.max_tokens),
        expiry: expiry(threads.expire_hours, lines, findings).unwrap_or(default.expiry),
        summary: summary(&threads.summary, provider, lines, findings),
    }
}

/// What is wrong is said also where it is switched off.
fn summary(spec: &SummarySpec, provider: &str, lines: &Lines, findings: &mut Findings) -> Option<SummaryRules> {
    let mut rules = SummaryRules::default();
    rules.above_tokens = spec.above_tokens.unwrap_or(rules.above_tokens);
    rules.max_tokens = spec.max_tokens.unwrap_or(rules.max_tokens);
    rules.model = spec.model.as_ref().map(|name| name.trim().to_owned());
    let mut note = |severity, key: &str, message: String| {
        findings.all.push(lines.finding(severity, &format!("threading.summary{key}"), message));
    };
    if !SUMMARY_TOKENS.contains(&rules.max_tokens) {
        let (least, most) = (SUMMARY_TOKENS.start(), SUMMARY_TOKENS.end());
        note(Severity::Error, ".max_tokens", format!("it must be from {least} to {most}, not {}", rules.max_tokens));
    }
    if rules.model.as_ref().is_some_and(String::is_empty) {
        note(Severity::Error, ".model", "it must name a model, or be left out".into());
    }
    if spec.enabled != Some(true) {
        return None;
    }
    if provider == "offline" {
        note(Severity::Warning, "", "the offline provider writes none: what goes is told nowhere".into());
    }
    Some(rules)
}

fn context(spec: &ContextSpec, default: ContextRules) -> ContextRules {
    ContextRules {
        enabled: spec.enabled.unwrap_or(default.enabled),
        max_messages: spec.max_messages.unwrap_or(default.max_messages),
    }
}

fn place(spec: &ChannelSpec) -> PlaceRules {
    PlaceRules { threads: spec.threading_enabled, context: spec.context_enabled, max_messages: spec.max_messages }
}

fn expiry(hours: Option<f64>, lines: &Lines, findings: &mut Findings) -> Option<Duration> {
    let hours = hours?;
    let most = MAX_EXPIRY.as_secs_f64() / SECONDS_AN_HOUR;
    if hours > 0.0 && hours <= most {
        return Some(Duration::from_secs_f64(hours * SECONDS_AN_HOUR));
    }
    let message = format!("it must be more than 0 and at most {most} hours, not {hours}");
    findings.all.push(lines.finding(Severity::Error, "threading.expire_hours", message));
    None
}

/// More than is kept can be set, and brings no more along.
fn warn_of_too_many(spec: &ThreadingSpec, lines: &Lines, findings: &mut Findings) {
    let own = spec.channel_overrides.iter();
    let own = own.map(|(id, channel)| (format!("channel_overrides.{id}.max_messages"), channel.max_messages));
    let set = [
        ("threading.context.max_messages".to_owned(), spec.threading.context.max_messages),
        ("direct_messages.context.max_messages".to_owned(), spec.direct_messages.context.max_messages),
        ("sessions.max_messages".to_owned(), spec.sessions.max_messages),
    ];
    let most = ThreadRules::most_messages();
    for (path, count) in set.into_iter().chain(own).filter(|(_, count)| count.is_some_and(|count| count > most)) {
        let message = format!("{} are more than the {most} messages that are kept", count.unwrap_or_default());
        findings.all.push(lines.finding(Severity::Warning, &path, message));
    }
}

/// The rules for people, as `omni config show` has them.
pub(super) fn show(rules: &ThreadRules) -> Value {
    let context = |rules: ContextRules| json!({ "enabled": rules.enabled, "max_messages": rules.max_messages });
    let place = |own: &PlaceRules| {
        json!({
            "threading_enabled": own.threads,
            "context_enabled": own.context,
            "max_messages": own.max_messages,
        })
    };
    json!({
        "enabled": rules.replies.enabled,
        "always_use_threads": rules.replies.always,
        "continue_threads": rules.replies.continues,
        "channels": context(rules.channels),
        "direct_messages": context(rules.direct),
        "direct_messages_use_threads": rules.replies.direct,
        "sessions": context(rules.own),
        "channel_overrides": rules.places.iter().map(|(id, own)| (id.clone(), place(own))).collect::<Value>(),
        "max_context_tokens": rules.max_tokens,
        "expire_hours": rules.expiry.as_secs_f64() / SECONDS_AN_HOUR,
        "summary": rules.summary.as_ref().map(|summary| json!({
            "above_tokens": summary.above_tokens,
            "max_tokens": summary.max_tokens,
            "model": summary.model,
        })),
    })
}

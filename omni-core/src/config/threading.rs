//! What `threading.yaml` says, as rules for conversations.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    Severity,
    load::Findings,
    spec::{ChannelSpec, ContextSpec, ThreadingSpec},
    yaml::Lines,
};
use crate::thread::{ContextRules, MAX_EXPIRY, PlaceRules, ReplyRules, ThreadRules};

const SECONDS_AN_HOUR: f64 = 3_600.0;

/// The rules of a file.
pub(super) fn build(spec: &ThreadingSpec, lines: &Lines, findings: &mut Findings) -> ThreadRules {
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
    }
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
    })
}

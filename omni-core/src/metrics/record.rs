//! What is counted when: one function for each fact that the pipeline knows.

use std::time::Duration;

use super::{
    ASK_DURATION, ASKS, ASKS_RUNNING, CONFIG_RELOADS, LEDGER_BACKLOG, LEDGER_SINK_FAILURES, MODEL_TURN_COST,
    MODEL_TURN_DURATION, MODEL_TURNS, REFUSALS, SERVER_BREAKER, SERVER_UP, SUMMARIES, TOKENS, TOOL_CALL_DURATION,
    TOOL_CALLS, UNKNOWN,
    facade::{
        IS_ON, Raised,
        Value::{Fixed, Kept, Told},
        add, observe, raise, set, shift,
    },
};
use crate::{
    catalog::{BreakerState, Catalog, Health},
    cost::NanoUsd,
    error::ErrorKind,
    ledger::{CallRecord, Outcome, Party},
    limit::{Limit, Refusal},
    llm::Usage,
    parts::Parts,
};

/// Shows that there is nothing to show yet: what first appears with a 1 did not grow.
pub(super) fn begin() {
    shift(ASKS_RUNNING, 0.0);
    shift(LEDGER_BACKLOG, 0.0);
    add(LEDGER_SINK_FAILURES, &[], 0);
    for outcome in ["success", "error"] {
        add(CONFIG_RELOADS, &[("outcome", Fixed(outcome))], 0);
    }
    for outcome in ["made", "skipped", "failed"] {
        add(SUMMARIES, &[("outcome", Fixed(outcome))], 0);
    }
    for kind in ["policy", "identity", "rate", "concurrency", "budget"] {
        add(REFUSALS, &[("kind", Fixed(kind))], 0);
    }
}

/// An ask runs for as long as this lives.
pub(crate) struct Running(#[allow(dead_code, reason = "what counts is how long it lives")] Raised);

impl Running {
    pub(crate) fn begin() -> Self {
        Self(raise(ASKS_RUNNING))
    }
}

/// An ask ended.
pub(crate) fn asked(outcome: Outcome, party: Option<&Party>, took: Duration) {
    let source = party.map_or(UNKNOWN, |party| party.source.as_str());
    let role = party.and_then(|party| party.role.as_deref()).unwrap_or(UNKNOWN);
    let labels = [("outcome", Fixed(outcome.as_str())), ("source", Fixed(source)), ("role", Told(role))];
    add(ASKS, &labels, 1);
    observe(ASK_DURATION, &labels[..2], took.as_secs_f64());
}

/// A call ended.
pub(crate) fn called(parts: &Parts, call: &CallRecord, took: Duration) {
    if !IS_ON {
        return;
    }
    let [server, tool] = parts.live.names.of(&parts.pool.catalog(), &call.server, &call.tool);
    let labels = [("server", Kept(&server)), ("tool", Kept(&tool)), ("outcome", Fixed(call.outcome.as_str()))];
    add(TOOL_CALLS, &labels, 1);
    if call.was_sent() && *tool != *UNKNOWN {
        observe(TOOL_CALL_DURATION, &labels[..2], took.as_secs_f64());
    }
}

/// An ask or a call came to this end; it counts where it is a refusal. `error` and `refusal` say more of
/// it, where there is more to say.
pub(crate) fn refused(outcome: Outcome, error: Option<ErrorKind>, refusal: Option<&Refusal>) {
    if let Some(kind) = kind_of_refusal(outcome, error, refusal) {
        add(REFUSALS, &[("kind", Fixed(kind))], 1);
    }
}

fn kind_of_refusal(outcome: Outcome, error: Option<ErrorKind>, refusal: Option<&Refusal>) -> Option<&'static str> {
    let kind = match (outcome, refusal.map(|refusal| refusal.limit)) {
        (Outcome::Denied, _) if error == Some(ErrorKind::Unauthenticated) => "identity",
        (Outcome::Denied, _) => "policy",
        (Outcome::RateLimited, Some(Limit::Concurrent { .. })) => "concurrency",
        (Outcome::RateLimited, Some(Limit::Budget { .. })) => "budget",
        (Outcome::RateLimited, Some(Limit::Window { .. }) | None) => "rate",
        (
            Outcome::Success
            | Outcome::Warning
            | Outcome::Error
            | Outcome::Cancelled
            | Outcome::Timeout
            | Outcome::UnknownOutcome,
            _,
        ) => return None,
    };
    Some(kind)
}

/// A turn of a model ended; one that was completed took so long.
pub(crate) fn turn_ended(model: &str, completed: Option<Duration>) {
    let outcome = if completed.is_some() { "completed" } else { "failed" };
    add(MODEL_TURNS, &[("model", Told(model)), ("outcome", Fixed(outcome))], 1);
    if let Some(took) = completed {
        observe(MODEL_TURN_DURATION, &[("model", Told(model))], took.as_secs_f64());
    }
}

/// What a turn took.
pub(crate) fn usage(model: &str, usage: &Usage, cost: Option<NanoUsd>) {
    let kinds = [
        ("input", usage.input),
        ("output", usage.output),
        ("cache_read", usage.cache_read),
        ("cache_write", usage.cache_write.saturating_add(usage.cache_write_1h)),
    ];
    for (kind, tokens) in kinds {
        add(TOKENS, &[("model", Told(model)), ("kind", Fixed(kind))], tokens);
    }
    if let Some(cost) = cost {
        observe(MODEL_TURN_COST, &[("model", Told(model))], cost.as_usd());
    }
}

/// What is known of servers. Nothing is said of those that nobody asked.
pub(crate) fn servers(catalog: &Catalog) {
    for view in &catalog.servers {
        match view.health {
            Health::Healthy => set(SERVER_UP, &[("server", Kept(&view.name))], 1.0),
            Health::Unhealthy { .. } => set(SERVER_UP, &[("server", Kept(&view.name))], 0.0),
            Health::Unknown | Health::Disabled => continue,
        }
        let breaker = match view.breaker {
            BreakerState::Closed => 0.0,
            BreakerState::HalfOpen => 1.0,
            BreakerState::Open { .. } => 2.0,
        };
        set(SERVER_BREAKER, &[("server", Kept(&view.name))], breaker);
    }
}

/// A server that is no more is neither up nor down.
pub(crate) fn servers_gone(before: &Catalog, now: &Catalog) {
    let is_there = |name: &str| now.servers.iter().any(|view| *view.name == *name && view.health != Health::Disabled);
    for view in before.servers.iter().filter(|view| !is_there(&view.name)) {
        if view.health != Health::Disabled {
            set(SERVER_UP, &[("server", Kept(&view.name))], f64::NAN);
            set(SERVER_BREAKER, &[("server", Kept(&view.name))], f64::NAN);
        }
    }
}

/// So many more records wait for the ledger's store, or fewer.
pub(crate) fn backlog(by: i64) {
    shift(LEDGER_BACKLOG, by as f64);
}

/// The ledger's store did not take what it was given.
pub(crate) fn sink_failed() {
    add(LEDGER_SINK_FAILURES, &[], 1);
}

/// The configuration was reloaded, or was not.
pub(crate) fn reloaded(is_done: bool) {
    add(CONFIG_RELOADS, &[("outcome", Fixed(if is_done { "success" } else { "error" }))], 1);
}

/// A conversation was due to be told in short, and was, or was not.
pub(crate) fn summarized(outcome: &'static str) {
    add(SUMMARIES, &[("outcome", Fixed(outcome))], 1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::{LimitKey, Period};

    #[test]
    fn every_refusal_has_its_kind_and_nothing_else_is_one() {
        let refusal = |limit| Refusal::new(LimitKey::new("default", "ask"), limit, 5, Duration::from_secs(1));
        let hourly = refusal(Limit::Window { max: 5, per: Duration::from_secs(3_600) });
        let leases = refusal(Limit::Concurrent { max: 5 });
        let monthly = refusal(Limit::Budget { max: 5, period: Period::Month });
        let limited = |refusal| kind_of_refusal(Outcome::RateLimited, Some(ErrorKind::RateLimited), Some(refusal));
        let kinds = [&hourly, &leases, &monthly].map(limited);
        assert_eq!(kinds, [Some("rate"), Some("concurrency"), Some("budget")]);
        let denied = |error| kind_of_refusal(Outcome::Denied, error, None);
        let kinds = [Some(ErrorKind::Unauthenticated), Some(ErrorKind::Denied), None].map(denied);
        assert_eq!(kinds, [Some("identity"), Some("policy"), Some("policy")]);
        for outcome in [Outcome::Success, Outcome::Warning, Outcome::Error, Outcome::Cancelled, Outcome::Timeout] {
            assert_eq!(kind_of_refusal(outcome, None, None), None);
        }
    }
}

//! Spans: what ran when and under what, in the names of OpenTelemetry's conventions for generative AI and
//! for MCP.
//!
//! | span | level | what |
//! |---|---|---|
//! | `omni.ask`, `omni.call`, `omni.pass` | info | an ask, a direct call, a prompt or resource; the roots, with `request_id` |
//! | `chat {model}` | info | a turn of the model |
//! | `tools/call {tool}` | info | a call, from the last look at the grant to the server's answer |
//! | `omni.identity`, `.policy`, `.limit`, `.thread`, `.summary`, `.catalog`, `.confirm`, `.settle`, `.ledger`, `invoke_agent omni` | debug | the steps between |
//! | `omni.result` | debug | keeping what a call returned, beside the ask |
//!
//! Spans at debug are made where the steps run, all others here.
//!
//! `omni.identity` is the door's own where that lets somebody in. It is below the ask or the call where they name somebody
//! else, or came to it late.
//!
//! No span holds a question, an answer, an argument or who somebody is, and no name is one that a request made up.

use tracing::{Span, field::Empty};
#[cfg(feature = "gateway")]
use uuid::Uuid;

use crate::{
    agent::PlannedCall,
    answer::CallStatus,
    ask::{Ask, DirectCall},
    call::CallEnd,
    error::Error,
    ledger::Outcome,
    llm::{ModelInfo, ModelTurn},
};

/// What OpenTelemetry calls a span that did not go well.
const ERROR: &str = "ERROR";

/// The root of an ask.
pub(crate) fn ask(ask: &Ask) -> Span {
    tracing::info_span!(
        "omni.ask",
        request_id = %ask.request_id,
        omni.source = ask.source.as_str(),
        omni.role = Empty,
        omni.outcome = Empty,
        otel.status_code = Empty,
    )
}

/// The root of a direct call.
pub(crate) fn direct(call: &DirectCall) -> Span {
    tracing::info_span!(
        "omni.call",
        request_id = %call.request_id,
        omni.source = call.source.as_str(),
        omni.role = Empty,
        omni.outcome = Empty,
        otel.status_code = Empty,
    )
}

/// The root of a request for a prompt or a resource.
#[cfg(feature = "gateway")]
pub(crate) fn passed(request_id: Uuid) -> Span {
    tracing::info_span!(
        "omni.pass",
        %request_id,
        omni.source = "mcp",
        omni.role = Empty,
        omni.outcome = Empty,
        otel.status_code = Empty,
    )
}

/// How a root ended: the span that runs now.
pub(crate) fn ended(outcome: Outcome, role: Option<&str>) {
    let span = Span::current();
    span.record("omni.outcome", outcome.as_str());
    if let Some(role) = role {
        span.record("omni.role", role);
    }
    if matches!(outcome, Outcome::Error | Outcome::Timeout | Outcome::UnknownOutcome) {
        span.record("otel.status_code", ERROR);
    }
}

/// A turn of a model; `known_as` is its name where it is one that the configuration knows.
pub(crate) fn chat(model: &ModelInfo, known_as: &str, max_tokens: u32) -> Span {
    tracing::info_span!(
        "chat",
        otel.name = format!("chat {known_as}"),
        otel.kind = "client",
        gen_ai.operation.name = "chat",
        gen_ai.provider.name = model.provider,
        gen_ai.request.model = known_as,
        gen_ai.request.max_tokens = max_tokens,
        gen_ai.response.finish_reasons = Empty,
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
        gen_ai.usage.cache_read.input_tokens = Empty,
        gen_ai.usage.cache_creation.input_tokens = Empty,
        "error.type" = Empty,
        otel.status_code = Empty,
    )
}

/// How a turn ended.
pub(crate) fn chatted(span: &Span, made: &Result<ModelTurn, Error>) {
    let turn = match made {
        Ok(turn) => turn,
        Err(error) => return failed(span, error.kind().as_str()),
    };
    let usage = &turn.usage;
    span.record("gen_ai.response.finish_reasons", turn.stop.as_str());
    span.record("gen_ai.usage.input_tokens", usage.prompt());
    span.record("gen_ai.usage.output_tokens", usage.output);
    span.record("gen_ai.usage.cache_read.input_tokens", usage.cache_read);
    let written = usage.cache_write.saturating_add(usage.cache_write_1h);
    span.record("gen_ai.usage.cache_creation.input_tokens", written);
}

/// A call that was judged: its server and its tool are known.
pub(crate) fn tool(call: &PlannedCall) -> Span {
    tracing::info_span!(
        "tools/call",
        otel.name = format!("tools/call {}", call.tool),
        otel.kind = "client",
        mcp.method.name = "tools/call",
        gen_ai.operation.name = "execute_tool",
        gen_ai.tool.name = call.tool,
        omni.server = call.server,
        "error.type" = Empty,
        otel.status_code = Empty,
    )
}

/// How a call ended.
pub(crate) fn called(span: &Span, end: &CallEnd) {
    match (end.status, &end.output) {
        (CallStatus::Ok, _) => {}
        (_, Some(_)) => failed(span, "tool_error"),
        (status, None) => failed(span, status.as_str()),
    }
}

fn failed(span: &Span, kind: &str) {
    span.record("error.type", kind);
    span.record("otel.status_code", ERROR);
}

/// The span that runs now in the form of W3C's `traceparent`, where it is part of a trace.
#[cfg(feature = "otel")]
pub(crate) fn parent() -> Option<String> {
    use opentelemetry::trace::TraceContextExt as _;
    use tracing_opentelemetry::OpenTelemetrySpanExt as _;

    let context = Span::current().context();
    let span = context.span().span_context().clone();
    let told = || format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), span.trace_flags().to_u8());
    span.is_valid().then(told)
}

/// Nobody traces without the feature `otel`.
#[cfg(not(feature = "otel"))]
pub(crate) fn parent() -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    /// All that is written in a directory.
    fn sources(dir: &Path) -> String {
        let paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
        let text = |path: &Path| match path.is_dir() {
            true => sources(path),
            false if path.extension().is_some_and(|extension| extension == "rs") => fs::read_to_string(path).unwrap(),
            false => String::new(),
        };
        paths.map(|path| text(path.as_path())).collect()
    }

    #[test]
    fn the_table_names_every_span() {
        let table: String = include_str!("trace.rs").lines().filter(|line| line.starts_with("//! |")).collect();
        let all = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
        let names: Vec<&str> =
            all.split(concat!("_span", "!(")).skip(1).filter_map(|made| made.split('"').nth(1)).collect();
        assert!(names.len() > 10, "{names:?}");
        for name in names {
            let step = name.strip_prefix("omni").unwrap_or(name);
            assert!([name, step].iter().any(|name| table.contains(&format!("`{name}"))), "{name}");
        }
    }
}

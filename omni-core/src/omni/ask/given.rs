//! What an ask is given: servers, tools, and what it is told of them first.

use std::sync::Arc;

use tokio::time::{Instant, timeout};
use tracing::{Instrument as _, debug_span};

use crate::{
    agent::drive::Progress,
    answer::{AnswerEvent, EventSender, Warning},
    ask::Ask,
    catalog::{Catalog, Health, NameRules, ServerView, ToolSet},
    identity::CallerToken,
    llm::ModelInfo,
    parts::Parts,
    policy::Grant,
};

/// Discovery within half of the ask's time: a hung server leaves the other half for an answer by means
/// of the rest. What is not there by then is taken as it was.
pub(super) async fn catalog(
    parts: &Parts,
    ask: &Ask,
    token: Option<&Arc<CallerToken>>,
    deadline: Instant,
) -> Arc<Catalog> {
    if ask.options.no_tools {
        return parts.pool.catalog();
    }
    let discovery = parts.pool.discover_for(token).instrument(debug_span!("omni.catalog"));
    let within = deadline.saturating_duration_since(Instant::now()) / 2;
    timeout(within, discovery).await.unwrap_or_else(|_| parts.pool.catalog())
}

/// Servers that did not answer, of those that the asker may use something of.
pub(super) fn away<'a>(ask: &Ask, grant: &Grant, catalog: &'a Catalog) -> Vec<&'a ServerView> {
    if ask.options.no_tools {
        return Vec::new();
    }
    let is_away = |view: &&ServerView| match view.health {
        Health::Unhealthy { .. } | Health::Unknown => !grant.rules.is_closed(&view.name),
        Health::Healthy | Health::Disabled => false,
    };
    catalog.servers.iter().filter(is_away).collect()
}

/// Why a server does not answer may tell of hosts, commands and paths: that is for administrators of all tenants.
fn unhealthy(view: &ServerView, grant: &Grant) -> Warning {
    let name = &view.name;
    let message = match &view.health {
        Health::Unhealthy { reason } if grant.may_know_places() => format!("{name} does not answer: {reason}"),
        Health::Unknown => format!("{name} has not answered yet"),
        Health::Unhealthy { .. } | Health::Healthy | Health::Disabled => {
            format!("{name} does not answer at the moment")
        }
    };
    Warning::new("server_unhealthy", message)
}

pub(super) fn tool_set(
    parts: &Parts,
    ask: &Ask,
    catalog: &Catalog,
    grant: &Grant,
    model: &ModelInfo,
    reads_results: bool,
) -> Arc<ToolSet> {
    if ask.options.no_tools {
        return Arc::new(ToolSet::empty());
    }
    let names = NameRules::up_to(model.tool_name_len);
    let threshold = if model.reads_all_tools { usize::MAX } else { parts.tools.search_threshold };
    // One that ranks tools by the question would take omni's own for one of theirs.
    let reads_results = reads_results && !model.reads_all_tools;
    parts.tool_sets.for_model(catalog, &grant.rules, names, (threshold, reads_results))
}

pub(super) async fn started(
    ask: &Ask,
    grant: &Grant,
    away: &[&ServerView],
    tools: &ToolSet,
    model: &ModelInfo,
    progress: &mut Progress,
    events: &mut EventSender,
) {
    let started = AnswerEvent::Started {
        request_id: ask.request_id,
        user: grant.principal.subject.clone(),
        role: grant.role.name.to_string(),
        model: model.id.clone(),
        tools: tools.len(),
        thread: progress.answer.thread.clone(),
    };
    events.send(started).await;
    // Of an ask that goes on, what was said before: the answer is all of it.
    events.text(&progress.answer.text);
    for view in away {
        let warning = unhealthy(view, grant);
        progress.answer.warnings.push(warning.clone());
        events.send(AnswerEvent::Warning(warning)).await;
    }
}

//! A tool that is called by the name under which it is on offer.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, timeout_at};

use crate::{
    ask::DirectCall,
    catalog::{Catalog, NameRules, ToolSet},
    identity::CallerToken,
    parts::Parts,
    policy::{Grant, RuleSet},
};

/// How long servers that were not asked yet may take to say that the tool is theirs.
const DISCOVER_WITHIN: Duration = Duration::from_secs(10);

/// Finds out which tool of which server the name stands for. One that is not on offer is looked for among
/// all tools, so that the ledger tells what was denied; to the caller it is unknown like any other.
pub(super) async fn resolve(
    parts: &Parts,
    call: &mut DirectCall,
    grant: &Grant,
    token: Option<&Arc<CallerToken>>,
    deadline: Instant,
) {
    let Some(names) = call.names.take() else { return };
    let mut found = of_offered(parts, &parts.pool.catalog(), grant, names, &call.tool);
    if found.is_none() {
        let until = deadline.min(Instant::now() + DISCOVER_WITHIN);
        let _ = timeout_at(until, Box::pin(parts.pool.discover_for(token))).await;
        let catalog = parts.pool.catalog();
        found = of_offered(parts, &catalog, grant, names, &call.tool)
            .or_else(|| find(&parts.tool_sets.of_rules(&catalog, &RuleSet::allow_all(), names), &call.tool));
    }
    if let Some((server, tool)) = found {
        (call.server, call.tool) = (server, tool);
    }
}

fn of_offered(
    parts: &Parts,
    catalog: &Catalog,
    grant: &Grant,
    names: NameRules,
    name: &str,
) -> Option<(String, String)> {
    find(&parts.tool_sets.of(catalog, grant, names), name)
}

fn find(tools: &ToolSet, name: &str) -> Option<(String, String)> {
    tools.by_llm_name(name).map(|tool| (tool.def.server.to_string(), tool.def.name.to_string()))
}

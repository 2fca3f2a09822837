//! What is known of one server's tools and health.

use std::{collections::HashMap, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use crate::{
    catalog::{Catalog, Health, ToolDef},
    mcp::McpError,
};

/// How long a server that failed is left alone at first.
const PAUSE: Duration = Duration::from_secs(30);

/// How long it is left alone at most.
const MAX_PAUSE: Duration = Duration::from_secs(300);

/// What a list was asked of: which connection, and after how many changes that it told of.
pub(super) type Source = (u64, u64);

#[derive(Debug, Clone)]
pub(super) struct Listing {
    pub(super) health: Health,
    pub(super) latency_ms: Option<u64>,
    /// When the last answer came, or did not.
    pub(super) checked_at: Option<DateTime<Utc>>,
    pub(super) tools: Vec<Arc<ToolDef>>,
    /// Why the last question had no answer.
    pub(super) fault: Option<McpError>,
    /// Where the last answer came from.
    source: Option<Source>,
    pub(super) failures: u32,
    pub(super) last_seen: Option<DateTime<Utc>>,
    retry_at: Option<Instant>,
}

impl Listing {
    pub(super) fn new(health: Health) -> Self {
        Self {
            health,
            latency_ms: None,
            checked_at: None,
            tools: Vec::new(),
            fault: None,
            source: None,
            failures: 0,
            last_seen: None,
            retry_at: None,
        }
    }

    /// Whether the server failed a short while ago, so that asking again would only cost time.
    pub(super) fn is_pausing(&self, now: Instant) -> bool {
        self.retry_at.is_some_and(|at| now < at)
    }

    /// Whether the list is the one that `source` would give now.
    pub(super) fn is_of(&self, source: Source) -> bool {
        self.source == Some(source)
    }

    /// Whether the last question was answered.
    pub(super) fn is_listed(&self) -> bool {
        self.source.is_some()
    }

    pub(super) fn succeeded(&mut self, tools: Vec<ToolDef>, source: Source, latency_ms: u64) {
        self.tools = keep_known(&self.tools, tools);
        self.health = Health::Healthy;
        (self.latency_ms, self.checked_at) = (Some(latency_ms), Some(Utc::now()));
        (self.fault, self.source) = (None, Some(source));
        (self.failures, self.retry_at) = (0, None);
        self.last_seen = self.checked_at;
    }

    pub(super) fn failed(&mut self, error: McpError, latency_ms: u64) {
        self.tools = Vec::new();
        self.health = Health::Unhealthy { reason: error.to_string() };
        (self.fault, self.source) = (Some(error), None);
        (self.latency_ms, self.checked_at) = (Some(latency_ms), Some(Utc::now()));
        let pause = PAUSE.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX)).min(MAX_PAUSE);
        self.failures = (self.failures + 1).min(16);
        self.retry_at = Some(Instant::now() + pause);
    }
}

/// A tool that did not change stays the same value, with its compiled schema.
fn keep_known(old: &[Arc<ToolDef>], new: Vec<ToolDef>) -> Vec<Arc<ToolDef>> {
    let by_name: HashMap<&str, &Arc<ToolDef>> = old.iter().map(|tool| (&*tool.name, tool)).collect();
    let known =
        |tool: &ToolDef| by_name.get(&*tool.name).filter(|old| is_same_tool(old, tool)).map(|old| Arc::clone(old));
    new.into_iter().map(|tool| known(&tool).unwrap_or_else(|| Arc::new(tool))).collect()
}

fn is_same_tool(a: &ToolDef, b: &ToolDef) -> bool {
    let raw = |tool: &ToolDef| tool.output_schema.as_ref().map(|schema| schema.get().to_owned());
    a.name == b.name
        && a.title == b.title
        && a.description == b.description
        && a.input_schema.get() == b.input_schema.get()
        && raw(a) == raw(b)
        && a.annotations == b.annotations
}

/// Whether two snapshots hold the same: how long an answer took is not part of it.
pub(super) fn same(a: &Catalog, b: &Catalog) -> bool {
    a.servers.len() == b.servers.len()
        && a.servers.iter().zip(&b.servers).all(|(a, b)| {
            a.name == b.name
                && a.health == b.health
                && a.tools.len() == b.tools.len()
                && a.tools.iter().zip(&b.tools).all(|(a, b)| Arc::ptr_eq(a, b))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_fails_again_is_left_alone_longer_up_to_a_limit() {
        let mut listing = Listing::new(Health::Unknown);
        let error = McpError::Connect { message: "no".into() };
        for seconds in [30, 60, 120, 240, 300, 300] {
            listing.failed(error.clone(), 1);
            let now = Instant::now();
            assert!(listing.is_pausing(now + Duration::from_secs(seconds - 1)), "{seconds}");
            assert!(!listing.is_pausing(now + Duration::from_secs(seconds)), "{seconds}");
        }
        listing.succeeded(Vec::new(), (1, 0), 1);
        assert!(!listing.is_pausing(Instant::now()));
    }
}

//! What is known of one server's tools and health.

use std::{collections::HashMap, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use crate::{
    catalog::{Catalog, Definition, Health, PromptDef, ResourceDef, ResourceTemplateDef, ServerCapabilities, ToolDef},
    mcp::{Listed, McpError},
};

/// How long a server that failed is left alone at first.
const PAUSE: Duration = Duration::from_secs(30);

/// How long it is left alone at most.
const MAX_PAUSE: Duration = Duration::from_secs(300);

/// Lists hold at least and at most so long, whatever a server says.
const MIN_FRESH: Duration = Duration::from_secs(5);
const MAX_FRESH: Duration = Duration::from_secs(24 * 3_600);

/// What a list was asked of: which connection, and after how many changes that it told of.
pub(super) type Source = (u64, u64);

#[derive(Debug, Clone)]
pub(super) struct Listing {
    pub(super) health: Health,
    pub(super) latency_ms: Option<u64>,
    /// When the last answer came, or did not.
    pub(super) checked_at: Option<DateTime<Utc>>,
    pub(super) tools: Vec<Arc<ToolDef>>,
    pub(super) prompts: Vec<Arc<PromptDef>>,
    pub(super) resources: Vec<Arc<ResourceDef>>,
    pub(super) templates: Vec<Arc<ResourceTemplateDef>>,
    pub(super) capabilities: Arc<ServerCapabilities>,
    /// Until when the lists hold by the server's word.
    fresh_until: Option<Instant>,
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
            prompts: Vec::new(),
            resources: Vec::new(),
            templates: Vec::new(),
            capabilities: Arc::default(),
            fresh_until: None,
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

    /// Whether the lists are those that `source` would give now.
    pub(super) fn is_of(&self, source: Source) -> bool {
        self.source == Some(source) && self.fresh_until.is_none_or(|until| Instant::now() < until)
    }

    /// Whether the last question was answered.
    pub(super) fn is_listed(&self) -> bool {
        self.source.is_some()
    }

    pub(super) fn succeeded(&mut self, listed: Listed, source: Source, latency_ms: u64) {
        self.tools = keep_known(&self.tools, listed.tools);
        self.prompts = keep_known(&self.prompts, listed.prompts);
        self.resources = keep_known(&self.resources, listed.resources);
        self.templates = keep_known(&self.templates, listed.templates);
        self.capabilities = listed.capabilities;
        self.fresh_until = listed.fresh_for.map(|fresh| Instant::now() + fresh.clamp(MIN_FRESH, MAX_FRESH));
        self.health = Health::Healthy;
        (self.latency_ms, self.checked_at) = (Some(latency_ms), Some(Utc::now()));
        (self.fault, self.source) = (None, Some(source));
        (self.failures, self.retry_at) = (0, None);
        self.last_seen = self.checked_at;
    }

    pub(super) fn failed(&mut self, error: McpError, latency_ms: u64) {
        (self.tools, self.prompts) = (Vec::new(), Vec::new());
        (self.resources, self.templates) = (Vec::new(), Vec::new());
        self.health = Health::Unhealthy { reason: error.to_string() };
        (self.fault, self.source) = (Some(error), None);
        (self.latency_ms, self.checked_at) = (Some(latency_ms), Some(Utc::now()));
        let pause = PAUSE.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX)).min(MAX_PAUSE);
        self.failures = (self.failures + 1).min(16);
        self.retry_at = Some(Instant::now() + pause);
    }
}

/// What did not change stays the same value, a tool with its compiled schema.
fn keep_known<T: Definition>(old: &[Arc<T>], new: Vec<T>) -> Vec<Arc<T>> {
    let by_key: HashMap<&str, &Arc<T>> = old.iter().map(|known| (&**known.key(), known)).collect();
    let known = |new: &T| by_key.get(&**new.key()).filter(|old| old.is_same(new)).map(|old| Arc::clone(old));
    new.into_iter().map(|new| known(&new).unwrap_or_else(|| Arc::new(new))).collect()
}

/// Whether two snapshots hold the same: how long an answer took is not part of it.
pub(super) fn same(a: &Catalog, b: &Catalog) -> bool {
    a.servers.len() == b.servers.len()
        && a.servers.iter().zip(&b.servers).all(|(a, b)| {
            a.name == b.name
                && a.health == b.health
                && are_same(&a.tools, &b.tools)
                && are_same(&a.prompts, &b.prompts)
                && are_same(&a.resources, &b.resources)
                && are_same(&a.templates, &b.templates)
                && a.capabilities == b.capabilities
        })
}

fn are_same<T>(a: &[Arc<T>], b: &[Arc<T>]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| Arc::ptr_eq(a, b))
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
        listing.succeeded(Listed::default(), (1, 0), 1);
        assert!(!listing.is_pausing(Instant::now()));
    }

    #[tokio::test(start_paused = true)]
    async fn lists_hold_as_long_as_the_server_says() {
        let mut listing = Listing::new(Health::Unknown);
        listing.succeeded(Listed { fresh_for: Some(Duration::from_secs(60)), ..Listed::default() }, (1, 0), 1);
        tokio::time::advance(Duration::from_secs(59)).await;
        assert!(listing.is_of((1, 0)));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(!listing.is_of((1, 0)));
    }
}

//! How a door is set up.

use omni_core::{config::HttpConfig, reload::Reloader};

use crate::metrics::Metrics;

/// What a door is made with beside the pipeline.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct DoorOptions {
    /// What the configuration says.
    pub config: HttpConfig,
    /// What `GET /metrics` shows; without it there is no such thing.
    pub metrics: Option<Metrics>,
    /// Reads the configuration again when an administrator wants it; without it servers are only asked again.
    pub reloader: Option<Reloader>,
    /// Only `/mcp`, `/health` and `/healthz`.
    pub mcp_only: bool,
}

impl DoorOptions {
    /// The same with nothing but MCP, and whether it is there.
    #[must_use]
    pub fn with_mcp_only(mut self) -> Self {
        self.mcp_only = true;
        self
    }

    /// The same with metrics.
    #[must_use]
    pub fn with_metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = Some(metrics);
        self
    }
}

impl From<HttpConfig> for DoorOptions {
    fn from(config: HttpConfig) -> Self {
        Self { config, metrics: None, reloader: None, mcp_only: false }
    }
}

//! What every route has at hand.

use std::{ops::Deref, sync::Arc, time::Instant};

use omni_core::{Omni, config::HttpConfig, reload::Reloader};
use tokio::sync::Semaphore;

use crate::{asked::Questions, mcp::Endpoint, metrics::Metrics, options::DoorOptions, refused::Refused, stream::Table};

/// The pipeline, and how its HTTP door is set up. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct App(Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) omni: Omni,
    pub(crate) config: HttpConfig,
    pub(crate) metrics: Option<Metrics>,
    pub(crate) started: Instant,
    /// Reads the configuration again, where it came from files.
    pub(crate) reloader: Option<Reloader>,
    /// The requests that may still begin.
    pub(crate) room: Semaphore,
    /// Tells the log who was not let in.
    pub(crate) refused: Refused,
    /// Answers that are told as they come.
    pub(crate) streams: Arc<Table>,
    /// What servers ask, and waits for an answer.
    pub(crate) questions: Arc<Questions>,
    /// What the admin pages share.
    #[cfg(feature = "dashboard")]
    pub(crate) ui: crate::ui::Shared,
    /// omni as an MCP server.
    pub(crate) mcp: Endpoint,
    /// Whether there is nothing else.
    pub(crate) mcp_only: bool,
}

impl App {
    pub(crate) fn new(omni: Omni, options: DoorOptions) -> Self {
        let DoorOptions { config, metrics, reloader, mcp_only } = options;
        let room = Semaphore::new(config.max_concurrent.min(Semaphore::MAX_PERMITS));
        let streams = Arc::new(Table::new(config.max_connections));
        let mcp = Endpoint::new(&omni, &config);
        Self(Arc::new(Inner {
            omni,
            config,
            metrics,
            started: Instant::now(),
            reloader,
            room,
            refused: Refused::default(),
            streams,
            questions: Arc::default(),
            #[cfg(feature = "dashboard")]
            ui: crate::ui::Shared::default(),
            mcp,
            mcp_only,
        }))
    }
}

impl Deref for App {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

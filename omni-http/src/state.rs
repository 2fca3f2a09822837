//! What every route has at hand.

use std::{ops::Deref, sync::Arc, time::Instant};

use omni_core::{Omni, config::HttpConfig};
use tokio::sync::Semaphore;

use crate::{metrics::Metrics, options::DoorOptions};

/// The pipeline, and how its HTTP door is set up. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct App(Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) omni: Omni,
    pub(crate) config: HttpConfig,
    pub(crate) metrics: Option<Metrics>,
    pub(crate) started: Instant,
    /// The requests that may still begin.
    pub(crate) room: Semaphore,
}

impl App {
    pub(crate) fn new(omni: Omni, options: DoorOptions) -> Self {
        let DoorOptions { config, metrics } = options;
        let room = Semaphore::new(config.max_concurrent.min(Semaphore::MAX_PERMITS));
        Self(Arc::new(Inner { omni, config, metrics, started: Instant::now(), room }))
    }
}

impl Deref for App {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

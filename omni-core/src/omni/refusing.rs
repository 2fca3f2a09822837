//! Asks that a door refuses before they come into the pipeline.

use tracing::Instrument as _;

use super::{Omni, ask};
use crate::{ask::Ask, error::Error, trace};

impl Omni {
    /// Writes down an ask that its door refuses by a rule of its own, such as that of a chat's channel: one record with the
    /// question and why, as of any refused ask. Nothing is asked or charged.
    ///
    /// Dropping the future does not keep it from being written down; a ledger that takes no more is told in the log.
    pub async fn refuse(&self, ask: Ask, why: Error) {
        let (parts, span) = (self.parts(), trace::ask(&ask));
        let work = async move { ask::refuse(&parts, &ask, why).await };
        if let Err(error) = self.inner.tasks.spawn(work.instrument(span)).await {
            tracing::error!(%error, "a refused ask is not recorded");
        }
    }
}

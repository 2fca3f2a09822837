//! What was seen of the servers is kept as soon as they answer, in the background.

use std::{sync::Arc, time::Duration};

use tokio::time::{sleep, timeout};

use super::Omni;

/// Servers that are asked at once answer one after the other.
const SETTLE: Duration = Duration::from_millis(500);
/// How long keeping may take: a database that hangs keeps nobody from keeping what comes later.
const EACH: Duration = Duration::from_secs(30);
/// How long a shutdown waits for the last of it.
const LAST: Duration = Duration::from_secs(3);

impl Omni {
    /// Keeps what servers answer, until this `Omni` ends.
    pub(crate) fn keep_answers(&self) {
        let (answered, inner) = (self.parts().pool.answered(), Arc::downgrade(&self.inner));
        self.in_background(async move {
            loop {
                answered.notified().await;
                sleep(SETTLE).await;
                let Some(parts) = inner.upgrade().map(|inner| inner.parts.load_full()) else { return };
                if timeout(EACH, parts.live.keeper.keep(&parts)).await.is_err() {
                    tracing::debug!("what the servers answered was not kept in time; the next answer tries again");
                }
            }
        });
    }

    /// Keeps what came since.
    pub(super) async fn keep_the_last(&self) {
        let parts = self.parts();
        if timeout(LAST, parts.live.keeper.keep(&parts)).await.is_err() {
            tracing::debug!("what the servers answered last was not kept in time");
        }
    }
}

//! Calls that nobody decides on expire, and what a process left behind is told, by whichever instance sees it first.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use uuid::Uuid;

use super::{Omni, noted};
use crate::{
    confirm::{Confirmation, RunError, State},
    parts::Parts,
};

/// How often it is looked for; not in the short life of a command at a terminal.
const EVERY: Duration = Duration::from_secs(15);
/// How long one look may take.
const EACH: Duration = Duration::from_secs(30);

impl Omni {
    /// Does what time brings, from time to time, until this `Omni` ends.
    pub(crate) fn keep_lapsing(&self) {
        let inner = Arc::downgrade(&self.inner);
        self.in_background(async move {
            let mut ticks = interval_at(Instant::now() + EVERY, EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let Some(omni) = inner.upgrade().map(|inner| Self { inner }) else { return };
                let parts = omni.parts();
                match timeout(EACH, omni.lapse(&parts)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::warn!(%error, "what waits for a decision is looked after later"),
                    Err(_) => tracing::warn!("what waits for a decision was not looked after in time"),
                }
            }
        });
    }

    /// Does what time brings by now: a run of which some calls were decided and the last ones expired goes on.
    pub(super) async fn lapse(&self, parts: &Arc<Parts>) -> Result<(), RunError> {
        let changed = parts.runs.lapse().await?;
        noted::write_all(parts, &changed).await;
        let expired = changed.iter().filter(|one| one.state == State::Expired);
        let runs: BTreeSet<Uuid> = expired.map(|one| one.run).collect();
        for run in runs {
            self.close(parts, run).await?;
        }
        Ok(())
    }

    /// A run of which a call expired: it goes on if somebody answered at all. Else nobody is there to be told.
    async fn close(&self, parts: &Arc<Parts>, run: Uuid) -> Result<(), RunError> {
        let all = parts.runs.of_run(run).await?;
        if !all.iter().all(Confirmation::is_decided) {
            return Ok(());
        }
        if !all.iter().any(Confirmation::was_answered) {
            let left = parts.runs.end(run, None).await?;
            noted::write_all(parts, &left).await;
            return Ok(());
        }
        if let Err(error) = self.resume(parts, run, None).await {
            tracing::warn!(%error, %run, "a run whose last call expired does not go on");
        }
        Ok(())
    }
}

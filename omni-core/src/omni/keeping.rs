//! What was seen of the servers is kept as soon as they answer, in the background; that they are as they were, from time
//! to time, and only by a service: what a command at a terminal sees in passing, with what it has and may use there, says
//! little of them.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use chrono::Utc;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};

use super::Omni;
use crate::{parts::Parts, uptime::HEARTBEAT};

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
            let mut heartbeat = interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
            heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                let is_heartbeat = tokio::select! {
                    () = answered.notified() => false,
                    _ = heartbeat.tick() => true,
                };
                if !is_heartbeat {
                    sleep(SETTLE).await;
                }
                let Some(parts) = inner.upgrade().map(|inner| inner.parts.load_full()) else { return };
                keep(&parts, is_heartbeat, EACH).await;
            }
        });
    }

    /// Keeps what came since.
    pub(super) async fn keep_the_last(&self) {
        keep(&self.parts(), true, LAST).await;
    }
}

/// Keeps how servers are, and what they offer, each in its own while.
async fn keep(parts: &Parts, is_heartbeat: bool, within: Duration) {
    let catalog = parts.pool.catalog();
    let kept = timeout(within, parts.live.keeper.keep(parts));
    let watching = async {
        if !parts.live.is_started.load(Ordering::Acquire) {
            return Ok(());
        }
        parts.live.watch.keep(&*parts.uptime, &catalog, &parts.redactor, is_heartbeat, Utc::now()).await
    };
    let (kept, seen) = tokio::join!(kept, timeout(within, watching));
    if kept.is_err() {
        tracing::debug!("what the servers answered was not kept in time; the next answer tries again");
    }
    match seen {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "how the servers are was not kept; the next time tries again"),
        Err(_) => tracing::debug!("how the servers are was not kept in time; the next time tries again"),
    }
}

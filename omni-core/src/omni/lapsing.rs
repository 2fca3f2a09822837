//! Calls that nobody decides on expire, and what a process left behind is told, by whichever instance sees it first.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::OwnedMutexGuard,
    time::{Instant, MissedTickBehavior, interval_at, timeout},
};
use uuid::Uuid;

use super::{
    Omni, noted,
    resumed::{caught, within},
};
use crate::{
    confirm::{Confirmation, RunError, State},
    error::Error,
    parts::Parts,
};

/// How often it is looked for; not in the short life of a command at a terminal.
const EVERY: Duration = Duration::from_secs(15);
/// How long one look may take.
const EACH: Duration = Duration::from_secs(30);
/// How long a store may take, whether anybody waits or not, for what it tells once.
const AT_MOST: Duration = Duration::from_secs(5 * 60);
/// How long a decided run is left to whoever decided, and then to whoever tried to go on with it; longer each time.
const FIRST_PAUSE: Duration = Duration::from_secs(60);
const LONGEST_PAUSE: Duration = Duration::from_secs(4 * 60);
/// Most runs that are looked at, and that go on, at a time.
const LOOKED_AT: usize = 500;
const AT_ONCE: usize = 20;

/// Decided runs that nobody goes on with: when it is tried next, and how long after that again.
type Left = BTreeMap<Uuid, (Instant, Duration)>;

impl Omni {
    /// Does what time brings, from time to time, until this `Omni` ends.
    pub(crate) fn keep_lapsing(&self) {
        let inner = Arc::downgrade(&self.inner);
        self.in_background(async move {
            let mut ticks = interval_at(Instant::now() + EVERY, EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut left = Left::new();
            loop {
                ticks.tick().await;
                let Some(omni) = inner.upgrade().map(|inner| Self { inner }) else { return };
                let parts = omni.parts();
                let looking = async {
                    omni.lapse(&parts).await?;
                    omni.pick_up(&parts, &mut left).await
                };
                match timeout(EACH, looking).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::warn!(%error, "what waits for a decision is looked after later"),
                    Err(_) => tracing::warn!("what waits for a decision was not looked after in time"),
                }
            }
        });
    }

    /// Does what time brings by now: a run of which some calls were decided and the last ones expired goes on.
    pub(super) async fn lapse(&self, parts: &Arc<Parts>) -> Result<(), Error> {
        let (omni, parts) = (self.clone(), parts.clone());
        // One at a time: where the store hangs, others would hang beside it, each with a connection.
        let one = timeout(EACH, self.inner.lapsing.clone().lock_owned()).await.map_err(|_| Error::from(late()))?;
        // What changed is told once: whoever looked and went away does not take it along, however slow the store is.
        let lapsing = self.to_its_end(async move { omni.lapse_now(&parts, one).await });
        timeout(EACH, lapsing).await.unwrap_or_else(|_| Err(late().into()))
    }

    async fn lapse_now(&self, parts: &Arc<Parts>, one: OwnedMutexGuard<()>) -> Result<(), Error> {
        let changed = self.told_once(parts.runs.lapse()).await;
        drop(one);
        let changed = changed?;
        noted::write_all(parts, &changed).await;
        let expired = changed.iter().filter(|one| one.state == State::Expired);
        let runs: BTreeSet<Uuid> = expired.map(|one| one.run).collect();
        for run in runs {
            if let Err(error) = self.close(parts, run).await {
                tracing::warn!(%error, %run, "a run whose last call expired is looked after later");
            }
        }
        Ok(())
    }

    /// What a store changed, which nobody is told who asks again: only the end of this process breaks it off.
    async fn told_once(
        &self,
        changing: impl Future<Output = Result<Vec<Confirmation>, RunError>>,
    ) -> Result<Vec<Confirmation>, Error> {
        tokio::select! {
            biased;
            changed = timeout(AT_MOST, caught(changing)) => Ok(changed.unwrap_or_else(|_| Err(late()))?),
            () = self.inner.kill.cancelled() => Err(Error::Cancelled),
        }
    }

    /// A run of which a call expired: it goes on if somebody answered at all. Else nobody is there to be told.
    async fn close(&self, parts: &Arc<Parts>, run: Uuid) -> Result<(), Error> {
        let all = within(parts.runs.of_run(run)).await?;
        if !all.iter().all(Confirmation::is_decided) {
            return Ok(());
        }
        if !all.iter().any(Confirmation::was_answered) {
            let left = self.told_once(parts.runs.end(run, None)).await?;
            noted::write_all(parts, &left).await;
            return Ok(());
        }
        match can_go_on(parts) {
            true => self.resume(parts, run, None).await.map(drop),
            false => Ok(()),
        }
    }

    /// Goes on with decided runs that nobody goes on with: whoever decided is gone, or they could not go on then.
    async fn pick_up(&self, parts: &Arc<Parts>, left: &mut Left) -> Result<(), Error> {
        if !can_go_on(parts) {
            return Ok(());
        }
        let decided = within(parts.runs.decided(LOOKED_AT)).await?;
        left.retain(|run, _| decided.contains(run));
        let now = Instant::now();
        let mut due = Vec::new();
        for run in decided {
            let (next, pause) = left.entry(run).or_insert((now + FIRST_PAUSE, FIRST_PAUSE));
            if *next <= now && due.len() < AT_ONCE {
                *pause = (*pause * 2).min(LONGEST_PAUSE);
                *next = now + *pause;
                due.push(run);
            }
        }
        for run in due {
            if let Err(error) = self.resume(parts, run, None).await {
                tracing::warn!(%error, %run, "a run that is decided does not go on yet");
            }
        }
        Ok(())
    }
}

fn late() -> RunError {
    RunError::new("no answer in time")
}

/// Whether this process has servers at all. One that only looks leaves it to others to go on.
fn can_go_on(parts: &Parts) -> bool {
    parts.pool.names().next().is_some()
}

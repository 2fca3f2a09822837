//! The streams of this instance.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::Running;
use crate::error::ApiError;

/// How long streams have to end whose asks are over.
const END_WITHIN: Duration = Duration::from_secs(1);

/// All streams that somebody may come back to; as many as may begin, and those that began at the same time.
#[derive(Debug)]
pub(crate) struct Table {
    kept: Mutex<Kept>,
    most: usize,
    /// What tells the asks' events.
    pub(super) tasks: TaskTracker,
}

#[derive(Debug, Default)]
struct Kept {
    running: HashMap<Uuid, Arc<Running>>,
    /// Those that are over, and until when they are kept.
    over: VecDeque<(Instant, Uuid)>,
}

impl Table {
    pub(crate) fn new(most: usize) -> Self {
        Self { kept: Mutex::default(), most, tasks: TaskTracker::new() }
    }

    pub(super) fn keep(&self, running: &Arc<Running>) {
        self.kept().running.insert(running.id(), running.clone());
    }

    /// Whether another one may begin.
    pub(crate) fn admit(&self) -> Result<(), ApiError> {
        let mut kept = self.kept();
        kept.forget_old(Instant::now());
        if kept.running.len() < self.most { Ok(()) } else { Err(ApiError::no_room()) }
    }

    /// The stream of an ask.
    pub(super) fn of(&self, ask: Uuid) -> Option<Arc<Running>> {
        let mut kept = self.kept();
        kept.forget_old(Instant::now());
        kept.running.get(&ask).cloned()
    }

    /// A stream is over; its end can be read for a while.
    pub(super) fn ended(&self, ask: Uuid, keep: Duration) {
        let mut kept = self.kept();
        let now = Instant::now();
        kept.forget_old(now);
        if keep.is_zero() {
            kept.running.remove(&ask);
        } else {
            kept.over.push_back((now + keep, ask));
        }
    }

    /// Waits until all asks have told their last event.
    pub(crate) async fn end(&self) {
        self.tasks.close();
        if timeout(END_WITHIN, self.tasks.wait()).await.is_err() {
            tracing::warn!(streams = self.tasks.len(), "streams did not end in time");
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// All are kept equally long, so the oldest go first.
    fn forget_old(&mut self, now: Instant) {
        while let Some((_, ask)) = self.over.pop_front_if(|(until, _)| *until <= now) {
            self.running.remove(&ask);
        }
    }
}

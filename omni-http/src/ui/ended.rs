//! What counts no more before its time: sessions that somebody ended, and logins that came back.
//!
//! What ended in this process it knows at once. What ended in another it learns from what the door keeps
//! ([`omni_core::kept`]): before anything is changed it looks there, and where something is only looked at, once in
//! [`FRESH`] a session. Without a database there is no other process to learn from.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chrono::Utc;
use omni_core::{Error, Omni};
use tokio::time::{Instant, timeout};
use uuid::Uuid;

/// Under which name the pages keep it.
const DOOR: &str = "ui";
/// How long a session that had not ended is taken for one that has not.
const FRESH: Duration = Duration::from_secs(5);
/// How long it is waited for what is kept: a disk that others use too takes seconds.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most that this process remembers, of either kind.
const MOST: usize = 10_000;

/// What ended early, until its time is over.
#[derive(Debug, Default)]
pub(super) struct Ended(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// When they would have been over, in seconds since 1970.
    ended: HashMap<Uuid, i64>,
    /// What had not ended when it was looked up.
    going: HashMap<Uuid, Instant>,
}

impl State {
    /// Whether it had not ended yet.
    fn end(&mut self, id: Uuid, until: i64, now: i64) -> bool {
        self.going.remove(&id);
        self.ended.retain(|_, until| *until > now);
        if self.ended.len() >= MOST
            && let Some(first) = self.ended.iter().min_by_key(|(_, until)| **until).map(|(id, _)| *id)
        {
            self.ended.remove(&first);
        }
        self.ended.insert(id, until).is_none()
    }

    fn goes_on(&mut self, id: Uuid) {
        if self.going.len() >= MOST {
            self.going.retain(|_, since| since.elapsed() < FRESH);
        }
        if self.going.len() < MOST {
            self.going.insert(id, Instant::now());
        }
    }

    /// Whether something ended, as far as it is known here.
    fn known(&self, id: Uuid, for_change: bool) -> Option<bool> {
        if self.ended.contains_key(&id) {
            return Some(true);
        }
        let is_fresh = self.going.get(&id).is_some_and(|since| since.elapsed() < FRESH);
        (is_fresh && !for_change).then_some(false)
    }
}

impl Ended {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether something that lasts `until` then ended early. `for_change`: what ended in another process a moment ago
    /// counts too.
    ///
    /// # Errors
    /// It cannot be looked up.
    pub(super) async fn has(&self, omni: &Omni, id: Uuid, until: i64, for_change: bool) -> Result<bool, Error> {
        if let Some(known) = self.state().known(id, for_change) {
            return Ok(known);
        }
        let Some(kept) = omni.kept(DOOR) else { return Ok(false) };
        let has = in_time(kept.get(&key(id))).await?.is_some();
        let mut state = self.state();
        if has {
            state.end(id, until, Utc::now().timestamp());
        } else {
            state.goes_on(id);
        }
        Ok(has)
    }

    /// Ends something in this process that lasts `until` then; whether it had not ended here before.
    pub(super) fn here(&self, id: Uuid, until: i64) -> bool {
        self.state().end(id, until, Utc::now().timestamp())
    }

    /// Ends it everywhere; whether it had not ended before in another process.
    ///
    /// # Errors
    /// Other processes cannot be told. Here it has ended.
    pub(super) async fn everywhere(&self, omni: &Omni, id: Uuid, until: i64) -> Result<bool, Error> {
        self.here(id, until);
        let Some(kept) = omni.kept(DOOR) else { return Ok(true) };
        let left = u64::try_from(until - Utc::now().timestamp()).unwrap_or_default();
        in_time(kept.claim(&key(id), Duration::from_secs(left))).await
    }
}

async fn in_time<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    timeout(PATIENCE, work).await.unwrap_or(Err(Error::Timeout { after: PATIENCE }))
}

fn key(id: Uuid) -> String {
    format!("ended:{id}")
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn that_something_goes_on_counts_for_a_moment_and_for_no_change() {
        let (mut state, id) = (State::default(), Uuid::new_v4());
        assert_eq!(state.known(id, false), None);
        state.goes_on(id);
        assert_eq!((state.known(id, false), state.known(id, true)), (Some(false), None));
        advance(FRESH).await;
        assert_eq!(state.known(id, false), None);
        state.goes_on(id);
        assert!(state.end(id, 10, 0) && !state.end(id, 10, 0));
        assert_eq!((state.known(id, false), state.known(id, true)), (Some(true), Some(true)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_is_bounded_and_what_lasts_longest_stays() {
        let (mut state, last) = (State::default(), Uuid::new_v4());
        state.end(last, i64::MAX, 0);
        for at in 0..MOST + 10 {
            state.end(Uuid::new_v4(), 1_000 + at as i64, 0);
            state.goes_on(Uuid::new_v4());
        }
        assert_eq!((state.ended.len(), state.going.len()), (MOST, MOST));
        assert_eq!(state.known(last, false), Some(true));
        advance(FRESH).await;
        state.goes_on(last);
        assert_eq!(state.going.len(), 1);
    }
}

//! What one person writes in one conversation is answered one after the other: whoever writes in several messages means each
//! of them after those before.
//!
//! No turn is waited for without end. What waits for a person itself holds up nobody, what somebody stops neither, and after
//! a while the next question is asked beside one that still runs.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, time::timeout};
use uuid::Uuid;

use super::running::Spot;

/// How long a question waits for those before it.
const PATIENCE: Duration = Duration::from_secs(120);

/// Whose line it is: a place, and somebody's id in Slack.
type Key = (Spot, String);
/// Those who stand in it; it is the first one's turn.
type Line = watch::Sender<VecDeque<Uuid>>;

/// All lines of this process in which anybody stands: no more than there is work at a time.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<HashMap<Key, Line>>);

/// A place in a line, until this is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    leaving: Leaving,
    line: watch::Receiver<VecDeque<Uuid>>,
}

/// By which a place is left before its time.
#[derive(Debug, Clone)]
pub(super) struct Leaving {
    all: Arc<Turns>,
    key: Key,
    id: Uuid,
}

impl Turns {
    /// Takes a place at the end of a line.
    pub(super) fn enter(self: &Arc<Self>, spot: Spot, user: &str) -> Turn {
        let (key, id) = ((spot, user.to_owned()), Uuid::now_v7());
        let mut all = self.all();
        let line = all.entry(key.clone()).or_default();
        line.send_modify(|line| line.push_back(id));
        let line = line.subscribe();
        Turn { leaving: Leaving { all: self.clone(), key, id }, line }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Key, Line>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// Waits until it is its turn, or for long enough; whether there was anything to wait for.
    pub(super) async fn comes(&self) -> bool {
        let id = self.leaving.id;
        let is_first = |line: &VecDeque<Uuid>| line.iter().position(|one| *one == id).is_none_or(|at| at == 0);
        if is_first(&self.line.borrow()) {
            return false;
        }
        let mut line = self.line.clone();
        if timeout(PATIENCE, line.wait_for(is_first)).await.is_err() {
            tracing::info!("a question waited long enough for the one before it, and is asked beside it");
        }
        true
    }

    /// By which it is over before this is dropped.
    pub(super) fn leaving(&self) -> Leaving {
        self.leaving.clone()
    }
}

impl Leaving {
    /// It is the next one's turn.
    pub(super) fn leave(&self) {
        let mut all = self.all.all();
        let Some(line) = all.get(&self.key) else { return };
        line.send_modify(|line| line.retain(|one| *one != self.id));
        let is_over = line.borrow().is_empty();
        if is_over {
            all.remove(&self.key);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.leaving.leave();
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    fn spot() -> Spot {
        ("D1".to_owned(), "direct".to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn who_stands_in_a_line_waits_for_all_before_and_for_nobody_else() {
        let turns = Arc::new(Turns::default());
        let (first, second, third) = (turns.enter(spot(), "U1"), turns.enter(spot(), "U1"), turns.enter(spot(), "U1"));
        let others = [turns.enter(spot(), "U2"), turns.enter(("C1".to_owned(), "1.1".to_owned()), "U1")];
        assert!(!first.comes().await);
        for other in &others {
            assert!(!other.comes().await);
        }
        // One that is given up lets nobody past the one before it.
        drop(second);
        assert!(timeout(Duration::from_secs(1), third.comes()).await.is_err());
        first.leaving().leave();
        assert!(!third.comes().await);
        drop((first, third, others));
        assert!(turns.all().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_while_nobody_waits_any_more() {
        let turns = Arc::new(Turns::default());
        let (_first, second) = (turns.enter(spot(), "U1"), turns.enter(spot(), "U1"));
        let began = Instant::now();
        assert!(second.comes().await);
        assert!(began.elapsed() >= PATIENCE);
    }
}

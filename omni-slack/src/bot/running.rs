//! The asks that run, by their place: so that somebody can stop them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Where an ask stands: channel and thread, or the direct messages of somebody.
pub(super) type Spot = (String, String);

/// An ask that runs.
#[derive(Debug, Clone)]
pub(super) struct Run {
    /// Who asked, by their id in Slack.
    pub(super) user: String,
    /// Gives the ask up.
    pub(super) stop: CancellationToken,
    id: Uuid,
}

/// All of this process.
#[derive(Debug, Default)]
pub(super) struct Running(Mutex<HashMap<Spot, Vec<Run>>>);

/// One of them; it runs until this is dropped.
#[derive(Debug)]
pub(super) struct Guard {
    all: Arc<Running>,
    spot: Spot,
    id: Uuid,
    pub(super) stop: CancellationToken,
}

impl Running {
    /// One begins.
    pub(super) fn begin(self: &Arc<Self>, spot: Spot, user: &str, stop: CancellationToken) -> Guard {
        let run = Run { user: user.into(), stop: stop.clone(), id: Uuid::now_v7() };
        let id = run.id;
        self.all().entry(spot.clone()).or_default().push(run);
        Guard { all: self.clone(), spot, id, stop }
    }

    /// Those at a place.
    pub(super) fn at(&self, spot: &Spot) -> Vec<Run> {
        self.all().get(spot).cloned().unwrap_or_default()
    }

    /// Gives up what somebody asked at a place; what others did, only for `all`. How many there were.
    pub(super) fn stop(&self, spot: &Spot, user: &str, all: bool) -> usize {
        let runs = self.at(spot);
        let theirs = runs.iter().filter(|run| all || run.user == user);
        theirs.map(|run| run.stop.cancel()).count()
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.all().values().map(Vec::len).sum()
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Spot, Vec<Run>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut all = self.all.all();
        if let Some(runs) = all.get_mut(&self.spot) {
            runs.retain(|run| run.id != self.id);
            if runs.is_empty() {
                all.remove(&self.spot);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_stops_what_one_asked_oneself() {
        let running = Arc::new(Running::default());
        let spot = ("C1".to_owned(), "1.1".to_owned());
        let ann = running.begin(spot.clone(), "U1", CancellationToken::new());
        let bob = running.begin(spot.clone(), "U2", CancellationToken::new());
        assert_eq!(running.stop(&spot, "U1", false), 1);
        assert!(ann.stop.is_cancelled() && !bob.stop.is_cancelled());
        drop(ann);
        assert_eq!(running.stop(&spot, "U1", true), 1);
        drop(bob);
        assert!(running.at(&spot).is_empty() && running.all().is_empty());
    }
}

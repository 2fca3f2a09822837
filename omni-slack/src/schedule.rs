//! What the bot does on schedule: what of it is kept, and when it is time.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::view::schedule::{Request, State};

mod clock;
mod due;
mod store;

pub use clock::Clock;
pub(crate) use due::due;
pub(crate) use store::{Made, Store, fixed_key, key};

/// After how many failures in a row a schedule rests.
const PATIENCE: u32 = 3;

/// Somebody's schedule, as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Schedule {
    /// The workspace in which the app heard of its owner.
    pub(crate) team: String,
    pub(crate) request: Request,
    pub(crate) progress: Progress,
}

/// How far a schedule is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// What was to be before then counts no more.
    pub(crate) since: DateTime<Utc>,
    /// The last time that was seen to.
    #[serde(default)]
    pub(crate) last: Option<DateTime<Utc>>,
    /// How often in a row it failed.
    #[serde(default)]
    pub(crate) failures: u32,
    #[serde(default)]
    pub(crate) state: State,
}

impl Progress {
    /// It begins, or begins again.
    pub(crate) fn from(since: DateTime<Utc>) -> Self {
        Self { since, last: None, failures: 0, state: State::Active }
    }

    pub(crate) fn is_active(&self) -> bool {
        self.state == State::Active
    }

    /// A time is seen to; whether it was not before.
    pub(crate) fn begins(&mut self, at: DateTime<Utc>) -> bool {
        let is_new = self.is_active() && self.last.is_none_or(|last| last < at);
        if is_new {
            self.last = Some(at);
        }
        is_new
    }

    /// It went well.
    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// It did not; whether it rests from now on.
    pub(crate) fn failed(&mut self, reason: &str) -> bool {
        self.failures = self.failures.saturating_add(1);
        let rests = self.is_active() && self.failures >= PATIENCE;
        if rests {
            self.state = State::Failed { reason: reason.to_owned() };
        }
        rests
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_three_failures_in_a_row_it_rests_and_what_went_well_counts_between() {
        let mut progress = Progress::from(Utc::now());
        assert!(!progress.failed("a") && !progress.failed("b"));
        progress.succeeded();
        assert!(!progress.failed("c") && !progress.failed("d") && progress.is_active());
        assert!(progress.failed("e"));
        assert_eq!(progress.state, State::Failed { reason: "e".into() });
        assert!(!progress.failed("f"), "it is told once");
    }

    #[test]
    fn a_time_is_seen_to_once_and_by_what_rests_never() {
        let at = Utc::now();
        let mut progress = Progress::from(at);
        assert!(progress.begins(at) && !progress.begins(at));
        progress.state = State::Paused;
        assert!(!progress.begins(at + chrono::TimeDelta::minutes(1)));
    }
}

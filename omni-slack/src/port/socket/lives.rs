//! How long sockets live, and how soon another one is opened in place of one that ended.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use slack_morphism::SlackSocketModeWssClientId;

use super::{FIRST_PAUSE, LONGEST_PAUSE};

/// What ended a socket that lived for so long will hardly end the next one at once.
const LONG: Duration = Duration::from_secs(30);

/// Why a socket ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The app has more of them than Slack lets it have.
    OneTooMany,
    /// Anything else, such as its age.
    Other,
}

/// The sockets of a process, by their places: whichever is opened for one that ended has its place.
#[derive(Debug, Default)]
pub(super) struct Lives(HashMap<u32, Life>);

/// What is known of a place.
#[derive(Debug, Default)]
struct Life {
    /// When Slack greeted the socket that is there; `None` where it did not.
    since: Option<Instant>,
    /// The last one that ended: that is told by more than one way.
    ended: Option<SlackSocketModeWssClientId>,
    /// Whether the next one waits for its time.
    waits: bool,
    /// How many in a row did not live long.
    brief: u32,
}

impl Lives {
    fn of(&mut self, id: &SlackSocketModeWssClientId) -> &mut Life {
        self.0.entry(id.initial_index).or_default()
    }

    /// Slack greeted one.
    pub(super) fn greeted(&mut self, id: &SlackSocketModeWssClientId, now: Instant) {
        self.of(id).since = Some(now);
    }

    /// One ended: after which pause the next is opened; `None` where that is known already. `is_heard` says whether
    /// another one is open.
    pub(super) fn ended(
        &mut self,
        id: &SlackSocketModeWssClientId,
        end: End,
        is_heard: bool,
        now: Instant,
    ) -> Option<Duration> {
        let life = self.of(id);
        if life.ended.as_ref() == Some(id) {
            return None;
        }
        life.ended = Some(id.clone());
        let lived = life.since.take().map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        let pause = life.pause(lived, end, is_heard);
        life.waits = !pause.is_zero();
        Some(pause)
    }

    /// The pause is over.
    pub(super) fn goes_on(&mut self, id: &SlackSocketModeWssClientId) {
        self.of(id).waits = false;
    }

    /// At how many places the next one waits.
    pub(super) fn waiting(&self) -> usize {
        self.0.values().filter(|life| life.waits).count()
    }
}

impl Life {
    /// One more than Slack takes is not missed while another one hears; without any, somebody tries more often.
    fn pause(&mut self, lived: Duration, end: End, is_heard: bool) -> Duration {
        if end == End::OneTooMany && is_heard {
            return LONGEST_PAUSE;
        }
        if lived >= LONG {
            self.brief = 0;
            if end == End::Other {
                return Duration::ZERO;
            }
        }
        let pause = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(self.brief)).min(LONGEST_PAUSE);
        self.brief = self.brief.saturating_add(1);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(place: u32, number: u64) -> SlackSocketModeWssClientId {
        SlackSocketModeWssClientId::new(place, place, number)
    }

    /// The pauses after sockets of one place that live for so many seconds, one after the other.
    fn pauses(lives: &mut Lives, lived: &[u64], end: End, is_heard: bool) -> Vec<u64> {
        let mut now = Instant::now();
        let pause = |(number, seconds): (u64, &u64)| {
            let id = at(0, number);
            lives.greeted(&id, now);
            now += Duration::from_secs(*seconds);
            lives.ended(&id, end, is_heard, now).unwrap().as_secs()
        };
        (1..).zip(lived).map(pause).collect()
    }

    #[test]
    fn a_socket_that_lived_long_is_replaced_at_once_and_others_later_and_later() {
        let mut lives = Lives::default();
        assert_eq!(pauses(&mut lives, &[18_000, 30, 18_000], End::Other, true), [0, 0, 0]);
        assert_eq!(pauses(&mut lives, &[0, 1, 29, 0, 0, 0, 0, 0], End::Other, true), [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(pauses(&mut lives, &[31, 0, 0], End::Other, false), [0, 1, 2]);
    }

    #[test]
    fn one_more_than_slack_takes_waits_long_where_another_one_hears() {
        let mut lives = Lives::default();
        assert_eq!(pauses(&mut lives, &[0, 18_000], End::OneTooMany, true), [60, 60]);
        assert_eq!(pauses(&mut lives, &[0, 0, 18_000, 0], End::OneTooMany, false), [1, 2, 1, 2]);
    }

    #[test]
    fn the_end_of_a_socket_counts_once_however_often_it_is_told() {
        let (mut lives, now) = (Lives::default(), Instant::now());
        assert_eq!(lives.ended(&at(0, 0), End::Other, false, now), Some(FIRST_PAUSE), "it was not even greeted");
        assert_eq!(lives.ended(&at(0, 0), End::Other, false, now), None);
        assert_eq!(lives.waiting(), 1);
        assert_eq!(lives.ended(&at(1, 0), End::Other, false, now), Some(FIRST_PAUSE), "another place");
        assert_eq!(lives.waiting(), 2);
        lives.goes_on(&at(0, 0));
        assert_eq!(lives.waiting(), 1);
        assert_eq!(lives.ended(&at(0, 1), End::Other, false, now), Some(FIRST_PAUSE * 2));
    }
}

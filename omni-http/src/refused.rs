//! Whoever is not let in is in the log, and fills it with nothing.

use std::{
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::http::{Method, StatusCode};

/// How many refusals a minute are told one by one.
const MOST: u32 = 60;
const MINUTE: Duration = Duration::from_secs(60);

/// Who was refused: never with what.
#[derive(Debug)]
pub(crate) struct Attempt {
    /// Where it came from, where that is known.
    pub(crate) client: Option<IpAddr>,
    pub(crate) method: Method,
    /// The pattern that matched; empty where none did.
    pub(crate) route: String,
}

/// Tells of refusals.
#[derive(Debug, Default)]
pub(crate) struct Refused(Mutex<Told>);

/// What was told since a minute began.
#[derive(Debug, Default)]
struct Told {
    since: Option<Instant>,
    told: u32,
    untold: u64,
}

impl Told {
    /// Whether there is room for one more; and how many there was no room for in a minute that is over.
    fn take(&mut self, now: Instant) -> (bool, u64) {
        let is_over = self.since.is_none_or(|since| now.saturating_duration_since(since) >= MINUTE);
        let untold =
            if is_over { std::mem::replace(self, Self { since: Some(now), ..Self::default() }).untold } else { 0 };
        let has_room = self.told < MOST;
        match has_room {
            true => self.told += 1,
            false => self.untold += 1,
        }
        (has_room, untold)
    }
}

impl Refused {
    /// Tells of somebody who is not known or may not, as long as there are few of them.
    pub(crate) fn tell(&self, status: StatusCode, attempt: &Attempt) {
        let (has_room, untold) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take(Instant::now());
        if untold > 0 {
            tracing::warn!(untold, "more requests were refused than were told");
        }
        if has_room {
            let Attempt { client, method, route } = attempt;
            let client = client.map(tracing::field::display);
            tracing::warn!(status = status.as_u16(), client, %method, route, "somebody was refused");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_refusals_some_are_told_and_the_rest_is_counted() {
        let (mut told, start) = (Told::default(), Instant::now());
        let said = (0..100).filter(|_| told.take(start).0).count();
        assert_eq!(said, MOST as usize);
        assert_eq!(told.take(start + MINUTE), (true, 100 - u64::from(MOST)));
        assert_eq!(told.take(start + MINUTE), (true, 0));
    }
}

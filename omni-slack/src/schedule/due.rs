//! Whether it is time.

use chrono::{DateTime, TimeDelta, Utc};
use omni_core::schedule::When;

use super::Progress;

/// What is later than that is not made up for.
const LATE: TimeDelta = TimeDelta::minutes(15);

/// The time for which a schedule is to run by now. Of several that went by, only the last counts.
pub(crate) fn due(progress: &Progress, when: &When, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    if !progress.is_active() {
        return None;
    }
    let seen = progress.last.map_or(progress.since, |last| last.max(progress.since));
    when.last_between(seen.max(now - LATE), now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::schedule::State;

    fn at(text: &str) -> DateTime<Utc> {
        format!("2026-11-28T{text}Z").parse().unwrap()
    }

    fn due_at(progress: &Progress, cron: &str, now: &str) -> Option<DateTime<Utc>> {
        due(progress, &When::read(cron, "UTC").unwrap(), at(now))
    }

    #[test]
    fn it_is_time_from_its_minute_on_and_once() {
        let mut progress = Progress::from(at("08:00:00"));
        assert_eq!(due_at(&progress, "0 9 * * *", "08:59:59"), None);
        assert_eq!(due_at(&progress, "0 9 * * *", "09:00:00"), Some(at("09:00:00")));
        assert!(progress.begins(at("09:00:00")));
        assert_eq!(due_at(&progress, "0 9 * * *", "09:01:00"), None);
    }

    #[test]
    fn what_was_missed_is_made_up_for_where_it_is_less_than_a_quarter_of_an_hour() {
        let progress = Progress::from(at("08:00:00"));
        assert_eq!(due_at(&progress, "0 9 * * *", "09:14:59"), Some(at("09:00:00")));
        assert_eq!(due_at(&progress, "0 9 * * *", "09:15:00"), None);
        assert_eq!(due_at(&progress, "*/5 * * * *", "09:13:00"), Some(at("09:10:00")), "of several the last");
    }

    #[test]
    fn what_was_before_it_was_made_or_goes_on_again_does_not_count() {
        assert_eq!(due_at(&Progress::from(at("09:00:30")), "0 9 * * *", "09:01:00"), None);
        let paused = Progress { state: State::Paused, ..Progress::from(at("08:00:00")) };
        assert_eq!(due_at(&paused, "0 9 * * *", "09:00:00"), None);
    }
}

//! When something is to happen again and again: cron of five fields in a time zone.
//!
//! Where clocks go forward, a time that is left out comes right after the gap; where they go back, a time that is there
//! twice comes once. What comes every so many minutes goes on as if nothing were.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};

/// How many fields there are: minute, hour, day, month and weekday.
const FIELDS: usize = 5;
/// Longest text that is read.
const LONGEST: usize = 100;
/// How many times are looked at for the shortest time between two, and how far ahead.
const LOOKED_AT: usize = 200;
const LOOKED_AHEAD: TimeDelta = TimeDelta::days(400);

/// Why something is no time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WhenError {
    /// This is no cron.
    #[error("{cron:?} is no cron of five fields such as \"30 8 * * 1-5\"")]
    Cron {
        /// What there is.
        cron: String,
    },
    /// There is no such time zone.
    #[error("{zone:?} is no time zone such as Europe/Berlin")]
    Zone {
        /// What there is.
        zone: String,
    },
    /// There is no such time.
    #[error("the time {cron:?} never comes")]
    Never {
        /// What there is.
        cron: String,
    },
}

/// Times that come again and again.
#[derive(Debug, Clone)]
pub struct When {
    cron: Cron,
    zone: Tz,
}

impl When {
    /// Times, of cron and the name of a time zone.
    ///
    /// # Errors
    /// A [`WhenError`] where they are not right.
    pub fn read(cron: &str, zone: &str) -> Result<Self, WhenError> {
        let zone = zone.trim();
        let zone = zone.parse::<Tz>().map_err(|_| WhenError::Zone { zone: shown(zone) })?;
        let wrong = || WhenError::Cron { cron: shown(cron) };
        if cron.len() > LONGEST || cron.split_whitespace().count() != FIELDS {
            return Err(wrong());
        }
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let when = Self { cron: parser.parse(cron).map_err(|_| wrong())?, zone };
        match when.next_after(Utc::now()) {
            Some(_) => Ok(when),
            None => Err(WhenError::Never { cron: shown(cron) }),
        }
    }

    /// The first time after a moment.
    #[must_use]
    pub fn next_after(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let found = self.cron.find_next_occurrence(&at.with_timezone(&self.zone), false);
        found.ok().map(|next| next.with_timezone(&Utc))
    }

    /// The last time that is after one moment and not after another. Every time between them is looked at: they are
    /// not to be far apart.
    #[must_use]
    pub fn last_between(&self, after: DateTime<Utc>, upto: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.times_after(after).take_while(|time| *time <= upto).last()
    }

    /// The shortest time between two of those that come next, some 200 of them.
    #[must_use]
    pub fn shortest_gap(&self, from: DateTime<Utc>) -> Option<TimeDelta> {
        let next: Vec<_> =
            self.times_after(from).take(LOOKED_AT).take_while(|time| *time <= from + LOOKED_AHEAD).collect();
        next.windows(2).map(|two| two[1] - two[0]).min()
    }

    fn times_after(&self, at: DateTime<Utc>) -> impl Iterator<Item = DateTime<Utc>> {
        std::iter::successors(self.next_after(at), |last| self.next_after(*last))
    }
}

fn shown(text: &str) -> String {
    text.trim().chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn next(cron: &str, zone: &str, after: &str) -> String {
        When::read(cron, zone).unwrap().next_after(at(after)).unwrap().to_rfc3339()
    }

    #[test]
    fn a_time_is_that_of_its_zone_in_summer_and_in_winter() {
        assert_eq!(next("0 9 * * *", "Europe/Berlin", "2026-01-10T00:00:00Z"), "2026-01-10T08:00:00+00:00");
        assert_eq!(next("0 9 * * *", "Europe/Berlin", "2026-07-10T00:00:00Z"), "2026-07-10T07:00:00+00:00");
        assert_eq!(next("0 9 * * MON", "UTC", "2026-11-28T09:00:00Z"), "2026-11-30T09:00:00+00:00");
    }

    #[test]
    fn a_time_that_clocks_leave_out_comes_after_the_gap_and_once() {
        // In Berlin 2:00 to 3:00 is left out on 29 March 2026.
        let gap = "2026-03-28T12:00:00Z";
        assert_eq!(next("30 2 * * *", "Europe/Berlin", gap), "2026-03-29T01:00:00+00:00");
        assert_eq!(next("30 2 * * *", "Europe/Berlin", "2026-03-29T01:00:00Z"), "2026-03-30T00:30:00+00:00");
        assert_eq!(next("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:30:00Z"), "2026-03-29T01:00:00+00:00");
    }

    #[test]
    fn a_time_that_is_there_twice_comes_once_and_what_goes_on_goes_on() {
        // In Berlin 2:00 to 3:00 is there twice on 25 October 2026.
        assert_eq!(next("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z"), "2026-10-25T00:30:00+00:00");
        assert_eq!(next("30 2 * * *", "Europe/Berlin", "2026-10-25T00:30:00Z"), "2026-10-26T01:30:00+00:00");
        let when = When::read("*/30 * * * *", "Europe/Berlin").unwrap();
        let times: Vec<_> = when.times_after(at("2026-10-24T23:30:00Z")).take(5).collect();
        assert!(times.windows(2).all(|two| two[1] - two[0] == TimeDelta::minutes(30)), "{times:?}");
    }

    #[test]
    fn the_last_of_several_times_is_found() {
        let when = When::read("*/5 * * * *", "UTC").unwrap();
        let last = |after, upto| when.last_between(at(after), at(upto)).map(|time| time.to_rfc3339());
        assert_eq!(last("2026-11-28T09:00:00Z", "2026-11-28T09:14:59Z").as_deref(), Some("2026-11-28T09:10:00+00:00"));
        assert_eq!(last("2026-11-28T09:00:00Z", "2026-11-28T09:04:59Z"), None, "the first moment is not between");
    }

    #[test]
    fn the_shortest_gap_is_found_wherever_it_is() {
        let gap = |cron: &str| {
            let gap = When::read(cron, "Europe/Berlin").unwrap().shortest_gap(at("2026-11-28T10:00:00Z"));
            gap.map(|gap| gap.num_minutes())
        };
        assert_eq!(gap("*/15 * * * *"), Some(15));
        assert_eq!(gap("0,5 9 * * *"), Some(5));
        assert_eq!(gap("55,0 23,0 * * *"), Some(5), "over midnight");
        assert_eq!(gap("*/14 * * * *"), Some(4), "over the hour");
        assert_eq!(gap("0 9 29 2 *"), None, "it is further away than is looked");
    }

    #[test]
    fn what_is_no_time_is_refused() {
        let long = "1,".repeat(60) + "1 * * * *";
        for cron in ["", "every day", "* * * *", "* * * * * *", "@daily", "61 9 * * *", "0 9 * * 1 2026", &long] {
            assert!(matches!(When::read(cron, "UTC"), Err(WhenError::Cron { .. })), "{cron}");
        }
        assert!(matches!(When::read("0 9 30 2 *", "UTC"), Err(WhenError::Never { .. })));
        for zone in ["", "Europe/Atlantis", "CEST+2"] {
            assert!(matches!(When::read("0 9 * * *", zone), Err(WhenError::Zone { .. })), "{zone}");
        }
    }
}

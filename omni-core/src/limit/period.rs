//! Calendar periods of budgets.

use std::time::Duration;

use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, Utc};
use serde::{Deserialize, Serialize};

/// A calendar period, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// From midnight.
    Day,
    /// From the first of the month.
    Month,
}

impl Period {
    /// The name in charges and messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// The first day of the period that `now` is in.
    pub(crate) fn start(self, now: DateTime<Utc>) -> NaiveDate {
        let today = now.date_naive();
        match self {
            Self::Day => today,
            Self::Month => today.with_day(1).unwrap_or(today),
        }
    }

    /// When the period that `now` is in began.
    #[must_use]
    pub fn began(self, now: DateTime<Utc>) -> DateTime<Utc> {
        self.start(now).and_time(NaiveTime::MIN).and_utc()
    }

    /// When the period that `now` is in is over.
    pub(crate) fn end(self, now: DateTime<Utc>) -> DateTime<Utc> {
        let start = self.start(now);
        let next = match self {
            Self::Day => start.checked_add_days(Days::new(1)),
            Self::Month => start.checked_add_months(Months::new(1)),
        };
        next.unwrap_or(start).and_time(NaiveTime::MIN).and_utc()
    }

    /// How long the period that `now` is in goes on.
    pub(crate) fn remaining(self, now: DateTime<Utc>) -> Duration {
        (self.end(now) - now).to_std().unwrap_or_default()
    }
}

//! Moments in queries: a time as of RFC 3339, or a day.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use serde::{Deserialize, Deserializer, de::Error as _};

/// A moment; a day is its beginning, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment(pub(crate) DateTime<Utc>);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time = || DateTime::parse_from_rfc3339(&text).ok().map(|time| time.to_utc());
        let day = || text.parse::<NaiveDate>().ok().map(|day| day.and_time(NaiveTime::MIN).and_utc());
        let wanted = "expected a time such as 2026-01-31T08:00:00Z, or a day such as 2026-01-31";
        time().or_else(day).map(Self).ok_or_else(|| D::Error::custom(wanted))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_moment_is_a_time_or_a_day() {
        let read = |text: &str| serde_json::from_value::<Moment>(json!(text)).map(|moment| moment.0.to_rfc3339());
        assert_eq!(read("2026-01-31").unwrap(), "2026-01-31T00:00:00+00:00");
        assert_eq!(read("2026-01-31T08:00:00+02:00").unwrap(), "2026-01-31T06:00:00+00:00");
        for text in ["", "yesterday", "2026-02-30", "2026-01-31T08:00:00"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}

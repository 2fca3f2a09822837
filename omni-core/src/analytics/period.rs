//! The stretch of time that a question is about: a named period, or explicit bounds, in a time zone.

use chrono::{DateTime, Datelike as _, Days, NaiveDate, NaiveTime, TimeDelta, TimeZone as _, Utc};
use chrono_tz::Tz;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{error::AnalyticsError, span::Span};

/// The names of periods, as tools take them.
pub(super) const PERIODS: [&str; 6] = ["today", "yesterday", "week", "month", "year", "all"];

/// What a caller says of it.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct PeriodArgs {
    pub(super) period: Option<String>,
    pub(super) since: Option<String>,
    pub(super) until: Option<String>,
    pub(super) timezone: Option<String>,
}

/// A stretch of time with what it is called.
#[derive(Debug, Clone)]
pub(super) struct Period {
    pub(super) span: Span,
    pub(super) name: String,
    pub(super) zone: Tz,
    pub(super) now: DateTime<Utc>,
}

impl Period {
    /// The period that is asked for, else `default`.
    pub(super) fn of(args: &PeriodArgs, default: &str, now: DateTime<Utc>) -> Result<Self, AnalyticsError> {
        let zone = zone(args.timezone.as_deref())?;
        if args.since.is_none() && args.until.is_none() {
            let name = args.period.as_deref().unwrap_or(default).trim().to_lowercase();
            return Self::named(&name, zone, now);
        }
        let from = args.since.as_deref().map(|text| moment("since", text, zone, 0)).transpose()?;
        let to = args.until.as_deref().map(|text| moment("until", text, zone, 1)).transpose()?;
        if let (Some(from), Some(to)) = (from, to)
            && from >= to
        {
            return Err(AnalyticsError::argument("since", "it is not before `until`"));
        }
        let name = match (&args.since, &args.until) {
            (Some(since), Some(until)) if since == until => since.clone(),
            (Some(since), Some(until)) => format!("{since} to {until}"),
            (Some(since), None) => format!("since {since}"),
            (None, Some(until)) => format!("until {until}"),
            (None, None) => "all time".into(),
        };
        Ok(Self { span: Span::new(from, to), name, zone, now })
    }

    fn named(name: &str, zone: Tz, now: DateTime<Utc>) -> Result<Self, AnalyticsError> {
        let today = now.with_timezone(&zone).date_naive();
        let midnight = |day: Option<NaiveDate>| Some(begins(zone, day.unwrap_or(today)));
        let (from, to, name) = match name {
            "today" | "day" => (midnight(Some(today)), None, "today"),
            "yesterday" => (midnight(today.pred_opt()), midnight(Some(today)), "yesterday"),
            "week" => (midnight(today.checked_sub_days(Days::new(6))), None, "the last 7 days"),
            "month" => (midnight(today.with_day(1)), None, "this month"),
            "year" => (midnight(today.with_ordinal(1)), None, "this year"),
            "all" => (None, None, "all time"),
            _ => return Err(AnalyticsError::argument("period", &format!("it is none of {}", PERIODS.join(", ")))),
        };
        Ok(Self { span: Span::new(from, to), name: name.into(), zone, now })
    }

    /// The local day of a moment.
    pub(super) fn day(&self, at: DateTime<Utc>) -> NaiveDate {
        at.with_timezone(&self.zone).date_naive()
    }

    /// When a local day begins.
    pub(super) fn begins(&self, day: NaiveDate) -> DateTime<Utc> {
        begins(self.zone, day)
    }

    pub(super) fn today(&self) -> NaiveDate {
        self.day(self.now)
    }

    pub(super) fn to_json(&self) -> Value {
        let text = |at: Option<DateTime<Utc>>| at.map(|at| at.with_timezone(&self.zone).to_rfc3339());
        json!({ "name": self.name, "since": text(self.span.from), "until": text(self.span.to),
                "timezone": self.zone.name() })
    }
}

fn zone(name: Option<&str>) -> Result<Tz, AnalyticsError> {
    let Some(name) = name.map(str::trim).filter(|name| !name.is_empty()) else { return Ok(Tz::UTC) };
    name.parse().map_err(|_| AnalyticsError::argument("timezone", "it is no zone such as Europe/Berlin"))
}

/// A moment as it is, or the beginning of a day that is so many days later.
fn moment(name: &'static str, text: &str, zone: Tz, later: u64) -> Result<DateTime<Utc>, AnalyticsError> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text.trim()) {
        return Ok(at.to_utc());
    }
    let day = text.trim().parse::<NaiveDate>().ok().and_then(|day| day.checked_add_days(Days::new(later)));
    let day = day.filter(|day| (1970..=9000).contains(&day.year()));
    let wrong = "it is no date such as 2026-03-31, and no moment such as 2026-03-31T09:00:00+02:00";
    day.map(|day| begins(zone, day)).ok_or_else(|| AnalyticsError::argument(name, wrong))
}

/// The first moment of a day; some days begin later than at midnight.
fn begins(zone: Tz, day: NaiveDate) -> DateTime<Utc> {
    let midnight = day.and_time(NaiveTime::MIN);
    let later = (0..8).map(|half_hours| midnight + TimeDelta::minutes(30 * half_hours));
    let local = later.filter_map(|local| zone.from_local_datetime(&local).earliest()).next();
    local.map_or_else(|| midnight.and_utc(), |local| local.to_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(period: &str, since: &str, until: &str, timezone: &str) -> PeriodArgs {
        let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        PeriodArgs { period: some(period), since: some(since), until: some(until), timezone: some(timezone) }
    }

    fn of(period: &str, since: &str, until: &str, timezone: &str) -> Result<(String, String), String> {
        let now = "2026-03-31T22:30:00Z".parse().unwrap();
        let period =
            Period::of(&args(period, since, until, timezone), "week", now).map_err(|error| error.to_string())?;
        let text = |at: Option<DateTime<Utc>>| at.map_or("open".into(), |at| at.format("%m-%d %H:%M").to_string());
        Ok((text(period.span.from), text(period.span.to)))
    }

    #[test]
    fn periods_begin_at_midnight_where_the_asker_is() {
        let is = |from: &str, to: &str| Ok((from.to_owned(), to.to_owned()));
        assert_eq!(of("today", "", "", ""), is("03-31 00:00", "open"));
        assert_eq!(of("today", "", "", "Europe/Berlin"), is("03-31 22:00", "open"), "it is April there");
        assert_eq!(of("month", "", "", "Europe/Berlin"), is("03-31 22:00", "open"));
        assert_eq!(of("month", "", "", ""), is("03-01 00:00", "open"));
        assert_eq!(of("yesterday", "", "", ""), is("03-30 00:00", "03-31 00:00"));
        assert_eq!(of("", "", "", ""), is("03-25 00:00", "open"), "seven days with today");
        assert_eq!(of("all", "", "", ""), is("open", "open"));
        let now: DateTime<Utc> = "2026-03-31T22:30:00Z".parse().unwrap();
        let today = Period::of(&PeriodArgs::default(), "today", now).unwrap();
        assert_eq!(today.span.from, Some(crate::limit::Period::Day.began(now)), "as limits and people's pages have it");
        assert!(of("fortnight", "", "", "").unwrap_err().contains("today, yesterday, week"));
    }

    #[test]
    fn bounds_are_days_or_moments_and_the_last_day_is_in() {
        let is = |from: &str, to: &str| Ok((from.to_owned(), to.to_owned()));
        assert_eq!(of("", "2026-03-01", "2026-03-02", ""), is("03-01 00:00", "03-03 00:00"));
        assert_eq!(of("", "2026-03-01T09:00:00+02:00", "", ""), is("03-01 07:00", "open"));
        assert_eq!(of("", "2026-03-01", "", "Asia/Kolkata"), is("02-28 18:30", "open"));
        assert!(of("", "2026-03-02", "2026-03-01", "").unwrap_err().contains("since"));
        assert!(of("", "soon", "", "").unwrap_err().contains("2026-03-31"));
        assert!(of("", "", "", "Berlin").unwrap_err().contains("Europe/Berlin"));
    }
}

//! From a stretch of time to the portions that its sums are kept in.

use chrono::{DateTime, Datelike as _, Days, Months, NaiveDate, NaiveTime, TimeDelta, Utc};

use super::rollup::Grain;

const QUARTER: i64 = 900;
const DAY: i64 = 86_400;

/// From a moment on, and before another one; nothing is without a bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: Option<DateTime<Utc>>,
    pub(super) to: Option<DateTime<Utc>>,
}

/// Whole portions of one grain: from `first` on, and before `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Portions {
    pub(super) grain: Grain,
    pub(super) first: Option<i64>,
    pub(super) end: Option<i64>,
}

/// A span as whole portions, and what is left of it at its ends.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Pieces {
    pub(super) whole: Vec<Portions>,
    pub(super) rest: Vec<Span>,
}

impl Span {
    pub(super) fn new(from: Option<DateTime<Utc>>, to: Option<DateTime<Utc>>) -> Self {
        Self { from, to }
    }

    /// Days and months, and less than a day at either end.
    pub(super) fn by_days(self) -> Pieces {
        let (first, end, rest) = self.cut(DAY);
        let mut whole = Vec::new();
        if !is_empty(first, end) {
            let (months, days) = by_months(first, end);
            whole.extend(days);
            whole.extend(months);
        }
        Pieces { whole, rest: self.or_all(rest, is_empty(first, end)) }
    }

    /// Quarters of an hour, and less than one at either end.
    pub(super) fn by_quarters(self) -> Pieces {
        let (first, end, rest) = self.cut(QUARTER);
        let is_short = is_empty(first, end);
        let whole = if is_short { Vec::new() } else { vec![Portions { grain: Grain::Quarter, first, end }] };
        Pieces { whole, rest: self.or_all(rest, is_short) }
    }

    /// The first whole portion of so many seconds, the one after the last, and what is left.
    fn cut(self, seconds: i64) -> (Option<i64>, Option<i64>, Vec<Self>) {
        let exact = |at: DateTime<Utc>| at.timestamp_subsec_nanos() == 0 && at.timestamp().rem_euclid(seconds) == 0;
        let below = |at: DateTime<Utc>| at.timestamp().div_euclid(seconds);
        let first = self.from.map(|from| if exact(from) { below(from) } else { below(from) + 1 });
        let end = self.to.map(below);
        let at = |portion: i64| DateTime::from_timestamp(portion.saturating_mul(seconds), 0);
        let mut rest = Vec::new();
        if let (Some(from), Some(first)) = (self.from, first.and_then(at)) {
            rest.push(Self::new(Some(from), Some(first)));
        }
        if let (Some(end), Some(to)) = (end.and_then(at), self.to) {
            rest.push(Self::new(Some(end), Some(to)));
        }
        rest.retain(|span| span.from < span.to);
        (first, end, rest)
    }

    fn or_all(self, rest: Vec<Self>, is_short: bool) -> Vec<Self> {
        if is_short { vec![self] } else { rest }
    }
}

fn is_empty(first: Option<i64>, end: Option<i64>) -> bool {
    matches!((first, end), (Some(first), Some(end)) if first >= end)
}

/// Whole months among days, and the days before and after them.
fn by_months(first: Option<i64>, end: Option<i64>) -> (Option<Portions>, Vec<Portions>) {
    let days = |first, end| Portions { grain: Grain::Day, first, end };
    let begin = first.and_then(date).map(|date| (month_from(date), date));
    let until = end.and_then(date).map(|date| (date.with_day(1).unwrap_or(date), date));
    let (from, to) = (begin.map(|(month, _)| month), until.map(|(month, _)| month));
    if let (Some(from), Some(to)) = (from, to)
        && from >= to
    {
        return (None, vec![days(first, end)]);
    }
    let before = from.map(|month| days(first, Some(number(month))));
    let after = to.map(|month| days(Some(number(month)), end));
    let edges = before.into_iter().chain(after).filter(|days| days.first != days.end);
    let months = Portions { grain: Grain::Month, first: from.map(month_number), end: to.map(month_number) };
    (Some(months), edges.collect())
}

/// The month's first day on or after a day.
fn month_from(day: NaiveDate) -> NaiveDate {
    let first = day.with_day(1).unwrap_or(day);
    if first == day { day } else { first.checked_add_months(Months::new(1)).unwrap_or(day) }
}

fn date(day: i64) -> Option<NaiveDate> {
    DateTime::from_timestamp(day.checked_mul(DAY)?, 0).map(|at| at.date_naive())
}

fn number(day: NaiveDate) -> i64 {
    day.and_time(NaiveTime::MIN).and_utc().timestamp().div_euclid(DAY)
}

fn month_number(day: NaiveDate) -> i64 {
    i64::from(day.year()) * 100 + i64::from(day.month())
}

/// A day by its number: its span, its month's number and the days of that month.
pub(super) fn day_and_month(day: i64) -> Option<(Span, i64, (i64, i64))> {
    let date = date(day)?;
    let begin = date.and_time(NaiveTime::MIN).and_utc();
    let first = date.with_day(1)?;
    let next = first.checked_add_months(Months::new(1))?;
    let span = Span::new(Some(begin), begin.checked_add_days(Days::new(1)));
    Some((span, month_number(first), (number(first), number(next))))
}

/// When a quarter of an hour begins.
pub(super) fn quarter_begins(quarter: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::try_seconds(quarter.saturating_mul(QUARTER)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn portions(grain: Grain, first: Option<i64>, end: Option<i64>) -> Portions {
        Portions { grain, first, end }
    }

    #[test]
    fn a_span_is_months_in_days_in_what_is_left() {
        let span = Span::new(Some(at("2026-01-30T22:00:00Z")), Some(at("2026-03-02T01:00:00Z")));
        let pieces = span.by_days();
        let day = |text: &str| Some(number(text.parse().unwrap()));
        assert_eq!(
            pieces.whole,
            [
                portions(Grain::Day, day("2026-01-31"), day("2026-02-01")),
                portions(Grain::Day, day("2026-03-01"), day("2026-03-02")),
                portions(Grain::Month, Some(202_602), Some(202_603)),
            ]
        );
        assert_eq!(pieces.rest.len(), 2);
        let open = Span::default().by_days();
        assert_eq!((open.whole, open.rest.len()), (vec![portions(Grain::Month, None, None)], 0));
        let hour = Span::new(Some(at("2026-03-02T01:00:00Z")), Some(at("2026-03-02T02:00:00Z")));
        assert_eq!(hour.by_days(), Pieces { whole: Vec::new(), rest: vec![hour] });
    }

    /// Whether a moment is in one of the pieces, and in how many.
    fn times(pieces: &Pieces, at: DateTime<Utc>) -> usize {
        let portion = |grain| match grain {
            Grain::Quarter => at.timestamp().div_euclid(QUARTER),
            Grain::Day => at.timestamp().div_euclid(DAY),
            Grain::Month => month_number(at.date_naive()),
        };
        let is_in = |whole: &&Portions| {
            let at = portion(whole.grain);
            whole.first.is_none_or(|first| first <= at) && whole.end.is_none_or(|end| at < end)
        };
        let holds = |span: &&Span| span.from.is_none_or(|from| from <= at) && span.to.is_none_or(|to| at < to);
        pieces.whole.iter().filter(is_in).count() + pieces.rest.iter().filter(holds).count()
    }

    proptest! {
        #[test]
        fn every_moment_of_a_span_is_in_one_piece_and_no_other_is_in_any(
            from in proptest::option::of(0_i64..200_000_000),
            length in proptest::option::of(0_i64..20_000_000),
            moment in 0_i64..220_000_000,
        ) {
            let second = |seconds: i64| DateTime::from_timestamp(seconds, 0).unwrap();
            let from_at = from.map(second);
            let to = length.map(|length| second(from.unwrap_or(100_000_000) + length));
            let span = Span::new(from_at, to);
            let at = second(moment);
            let is_in = from_at.is_none_or(|from| from <= at) && to.is_none_or(|to| at < to);
            prop_assert_eq!(times(&span.by_days(), at), usize::from(is_in));
            prop_assert_eq!(times(&span.by_quarters(), at), usize::from(is_in));
        }
    }
}

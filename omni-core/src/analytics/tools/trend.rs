//! How costs develop, and what they may be.

use chrono::{Datelike as _, Days, Months, NaiveDate, TimeDelta};

use super::{
    cost::{MOST_DAYS, Spent, days, spent},
    nothing,
};
use crate::analytics::{
    data::View,
    definitions::Args,
    error::AnalyticsError,
    period::Period,
    report::{Cell, Report, Table, dollars},
    span::Span,
};

/// How many full days tell what the next ones may be, whatever period is asked for.
const LOOKED_AT: u64 = 28;

pub(super) async fn of(view: &View<'_>, period: &Period, args: &Args) -> Result<Report, AnalyticsError> {
    let found = days(view, period, None).await?;
    let (Some((first, _)), Some((last, _))) = (found.first(), found.last()) else {
        return Ok(nothing("Nothing was asked, so there is no trend", period, None));
    };
    let until = period.span.to.map_or(period.today(), |to| period.day(to - TimeDelta::microseconds(1)));
    let days = every_day(&found, *first, until.min(period.today()).max(*last));
    let line = line(view, period, &found).await?;
    let wanted = args.forecast_days.unwrap_or(7).clamp(1, 92);
    let ahead = forecast(&line, period.today(), wanted);
    let sum = ahead.iter().map(|(_, cost)| cost).sum();
    let month = month_end(view, period, &line).await?;
    let whole: i64 = days.iter().map(|(_, spent)| spent.cost).sum();
    let says = format!(
        "Costs {}: {} in {} days ({}). At this rate the next {wanted} days cost about {}, and this month {}.",
        line.direction(),
        dollars(whole),
        days.len(),
        if days.len() as i64 == MOST_DAYS { format!("{first} to {last}") } else { period.name.clone() },
        dollars(sum),
        dollars(month),
    );
    let row = |(day, spent): &(NaiveDate, Spent)| {
        vec![Cell::text(day.to_string()), Cell::Usd(spent.cost), Cell::Count(spent.requests)]
    };
    let history = Table::new("days", "By day", &[("day", "day"), ("cost_usd", "cost"), ("queries", "queries")]);
    let forecast = Table::new("forecast", "Forecast", &[("day", "day"), ("cost_usd", "cost")]);
    let expected = ahead.iter().map(|(day, cost)| vec![Cell::text(day.to_string()), Cell::Usd(*cost)]);
    Ok(Report::new(says, Some(period))
        .total("cost_usd", Cell::Usd(whole))
        .total("change_per_day_usd", Cell::Usd(line.slope.round() as i64))
        .total("forecast_usd", Cell::Usd(sum))
        .total("month_end_usd", Cell::Usd(month))
        .table(history.with(days.iter().map(row)))
        .table(forecast.with(expected)))
}

/// Where costs are going, by the last full days; `found` are those of the period.
async fn line(view: &View<'_>, period: &Period, found: &[(NaiveDate, Spent)]) -> Result<Line, AnalyticsError> {
    let today = period.today();
    let earliest = today.checked_sub_days(Days::new(LOOKED_AT)).unwrap_or(today);
    let (from, to) = (period.begins(earliest), period.begins(today));
    let has_all = period.span.to.is_none() && period.span.from.is_none_or(|begins| begins <= from);
    let looked_at = match has_all {
        true => found.iter().copied().filter(|(day, _)| (earliest..today).contains(day)).collect(),
        false => days(view, &Period { span: Span::new(Some(from), Some(to)), ..period.clone() }, None).await?,
    };
    // What began in the middle did not cost nothing before.
    let (Some((first, _)), Some(last)) = (looked_at.first(), today.pred_opt()) else { return Ok(Line::through(&[])) };
    let full: Vec<i64> = every_day(&looked_at, *first, last).iter().map(|(_, spent)| spent.cost).collect();
    Ok(Line::through(&full))
}

/// The days without anything too.
fn every_day(found: &[(NaiveDate, Spent)], first: NaiveDate, last: NaiveDate) -> Vec<(NaiveDate, Spent)> {
    let known: std::collections::BTreeMap<NaiveDate, Spent> = found.iter().copied().collect();
    let of = |day: NaiveDate| known.get(&day).copied().unwrap_or_default();
    first.iter_days().take_while(|day| *day <= last).map(|day| (day, of(day))).collect()
}

/// What this month will have cost when it ends: what it cost, and the rest at this rate.
async fn month_end(view: &View<'_>, period: &Period, line: &Line) -> Result<i64, AnalyticsError> {
    let today = period.today();
    let first = today.with_day(1).unwrap_or(today);
    let so_far = spent(view, Span::new(Some(period.begins(first)), None), None).await?.cost;
    let next = first.checked_add_months(Months::new(1)).unwrap_or(today);
    let left = u64::try_from((next - today).num_days() - 1).unwrap_or(0);
    Ok(so_far + forecast(line, today, left).iter().map(|(_, cost)| cost).sum::<i64>())
}

/// The days after today.
fn forecast(line: &Line, today: NaiveDate, count: u64) -> Vec<(NaiveDate, i64)> {
    let day = |ahead: u64| Some((today.checked_add_days(Days::new(ahead))?, line.at(ahead)));
    (1..=count).filter_map(day).collect()
}

/// The straight line that is nearest to the costs of days.
#[derive(Debug)]
struct Line {
    /// Of the day after the last one that was looked at, which is today.
    today: f64,
    slope: f64,
    average: f64,
}

impl Line {
    fn through(costs: &[i64]) -> Self {
        let count = costs.len() as f64;
        if costs.is_empty() {
            return Self { today: 0.0, slope: 0.0, average: 0.0 };
        }
        let average = costs.iter().sum::<i64>() as f64 / count;
        let middle = (count - 1.0) / 2.0;
        let points = || costs.iter().enumerate().map(|(at, cost)| (at as f64 - middle, *cost as f64 - average));
        let spread: f64 = points().map(|(x, _)| x * x).sum();
        let slope = if costs.len() < 3 { 0.0 } else { points().map(|(x, y)| x * y).sum::<f64>() / spread };
        Self { today: average + slope * (count - middle), slope, average }
    }

    fn at(&self, ahead: u64) -> i64 {
        (self.today + self.slope * ahead as f64).max(0.0).round() as i64
    }

    fn direction(&self) -> &'static str {
        let per_week = if self.average > 0.0 { self.slope * 7.0 / self.average } else { 0.0 };
        match per_week {
            rise if rise > 0.05 => "rise",
            rise if rise < -0.05 => "fall",
            _ => "stay about the same",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_goes_on_as_it_went_and_never_below_nothing() {
        let rising = Line::through(&[10, 20, 30, 40]);
        assert_eq!((rising.at(0), rising.at(1), rising.direction()), (50, 60, "rise"));
        let falling = Line::through(&[40, 30, 20, 10]);
        assert_eq!((falling.at(0), falling.at(9), falling.direction()), (0, 0, "fall"));
        assert_eq!((Line::through(&[]).at(3), Line::through(&[7]).at(3)), (0, 7));
    }
}

//! From what happened in many intervals to points, and to what they say.

use chrono::{DateTime, SecondsFormat, Utc};

use crate::{
    args::TrendMetric,
    history::Interval,
    report::{Direction, Point, Summary},
    text::rounded,
};

/// Most points of a trend.
const MAX_POINTS: i64 = 48;
/// Below this share of change it is steady, in percent.
const STEADY: f64 = 10.0;
/// How many standard deviations away a value is unusual.
const UNUSUAL: f64 = 3.0;
/// Most unusual values that are told.
const MAX_UNUSUAL: usize = 5;

/// The values of a metric over time, in parts of equal length.
pub(crate) fn points(
    intervals: &[Interval],
    metric: TrendMetric,
    since: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Vec<Point> {
    let seconds = (until - since).num_seconds().max(1);
    let part = seconds / MAX_POINTS + 1;
    let mut points = Vec::new();
    for at in 0..MAX_POINTS {
        let from = since + chrono::Duration::seconds(at * part);
        let to = from + chrono::Duration::seconds(part);
        let within: Vec<&Interval> = intervals.iter().filter(|one| one.at >= from && one.at < to).collect();
        if let Some(value) = value(&within, metric) {
            points.push(Point { at: from.to_rfc3339_opts(SecondsFormat::Secs, true), value: rounded(value, 3) });
        }
    }
    points
}

fn value(within: &[&Interval], metric: TrendMetric) -> Option<f64> {
    let of = |field: fn(&Interval) -> Option<f64>| within.iter().filter_map(|one| field(one)).collect::<Vec<f64>>();
    let sum = |values: Vec<f64>| (!values.is_empty()).then(|| values.iter().sum::<f64>());
    let mean = |values: Vec<f64>| sum(values.clone()).map(|sum| sum / values.len() as f64);
    match metric {
        TrendMetric::AvgElapsedMs => {
            let executions = sum(of(|one| one.executions)).filter(|executions| *executions > 0.0)?;
            Some(sum(of(|one| one.elapsed_ms))? / executions)
        }
        TrendMetric::ElapsedSeconds => sum(of(|one| one.elapsed_ms)).map(|ms| ms / 1_000.0),
        TrendMetric::CpuSeconds => sum(of(|one| one.cpu_ms)).map(|ms| ms / 1_000.0),
        TrendMetric::Executions => sum(of(|one| one.executions)),
        TrendMetric::RowsExamined => sum(of(|one| one.rows_examined)),
        TrendMetric::ActiveSessions => mean(of(|one| one.active_sessions)),
        TrendMetric::BufferCacheHitRatio => mean(of(|one| one.hit_percent)),
        TrendMetric::CpuUsage => mean(of(|one| one.cpu_percent)),
    }
}

/// The points in a few numbers, and those far from the others.
pub(crate) fn summary(points: &[Point]) -> Option<(Summary, Vec<Point>)> {
    let values: Vec<f64> = points.iter().map(|point| point.value).collect();
    let mean = mean(&values)?;
    let third = values.len().div_ceil(3);
    let (first, last) = (self::mean(&values[..third])?, self::mean(&values[values.len() - third..])?);
    let change = (values.len() > 1 && first > 0.0).then(|| (last - first) / first * 100.0);
    let direction = match change {
        Some(change) if change >= STEADY => Direction::Rising,
        Some(change) if change <= -STEADY => Direction::Falling,
        Some(_) | None => Direction::Steady,
    };
    let deviation = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt();
    let is_unusual = |point: &&Point| deviation > 0.0 && (point.value - mean).abs() > UNUSUAL * deviation;
    let unusual = points.iter().filter(is_unusual).take(MAX_UNUSUAL).cloned().collect();
    let summary = Summary {
        min: values.iter().copied().fold(f64::INFINITY, f64::min),
        max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        mean: rounded(mean, 3),
        change_percent: change.map(|change| rounded(change, 1)),
        direction,
    };
    Some((summary, unusual))
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_750_000_000 + hour * 3_600, 0).unwrap()
    }

    fn interval(hour: i64, executions: f64, elapsed_ms: f64) -> Interval {
        Interval { at: at(hour), executions: Some(executions), elapsed_ms: Some(elapsed_ms), ..Interval::default() }
    }

    #[test]
    fn an_average_is_weighed_by_how_often_a_query_ran() {
        let intervals = [interval(0, 1.0, 100.0), interval(0, 99.0, 900.0)];
        let points = points(&intervals, TrendMetric::AvgElapsedMs, at(0), at(48));
        assert_eq!(points.iter().map(|point| point.value).collect::<Vec<_>>(), [10.0]);
    }

    #[test]
    fn what_grows_is_rising_and_what_stands_out_is_unusual() {
        let values = |hour: i64| if hour == 20 { 5_000.0 } else { 100.0 + hour as f64 * 5.0 };
        let intervals: Vec<Interval> = (0..48).map(|hour| interval(hour, 1.0, values(hour))).collect();
        let points = points(&intervals, TrendMetric::AvgElapsedMs, at(0), at(48) - chrono::Duration::seconds(1));
        assert_eq!(points.len(), 48);
        let (summary, unusual) = summary(&points).unwrap();
        assert_eq!(summary.direction, Direction::Rising);
        assert_eq!(unusual.iter().map(|point| point.value).collect::<Vec<_>>(), [5_000.0]);
    }

    #[test]
    fn nothing_recorded_has_no_summary() {
        assert!(summary(&points(&[], TrendMetric::Executions, at(0), at(1))).is_none());
    }
}

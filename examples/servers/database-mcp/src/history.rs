//! What is remembered of databases that keep no history of their own: samples, in memory, as many as
//! `history.keep` says.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
};

use chrono::{DateTime, Duration, Utc};

/// Most queries of one sample.
#[cfg(any(feature = "mysql", feature = "oracle", feature = "postgres"))]
pub(crate) const MAX_QUERIES: usize = 30;

/// Counters and states of a database at one time. Counters grow from when it started.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Sample {
    pub(crate) active_sessions: Option<f64>,
    pub(crate) cpu_percent: Option<f64>,
    /// Blocks found in memory, and all that were asked for.
    pub(crate) cache_hits: Option<f64>,
    pub(crate) cache_reads: Option<f64>,
    pub(crate) executions: Option<f64>,
    pub(crate) elapsed_ms: Option<f64>,
    pub(crate) cpu_ms: Option<f64>,
    pub(crate) rows_examined: Option<f64>,
    /// The same of single queries.
    pub(crate) queries: HashMap<String, QuerySample>,
}

/// Counters of a query at one time.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct QuerySample {
    pub(crate) executions: Option<f64>,
    pub(crate) elapsed_ms: Option<f64>,
    pub(crate) cpu_ms: Option<f64>,
    pub(crate) rows_examined: Option<f64>,
}

/// What happened between two times, or was recorded for one.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Interval {
    pub(crate) at: DateTime<Utc>,
    pub(crate) active_sessions: Option<f64>,
    pub(crate) cpu_percent: Option<f64>,
    pub(crate) hit_percent: Option<f64>,
    pub(crate) executions: Option<f64>,
    pub(crate) elapsed_ms: Option<f64>,
    pub(crate) cpu_ms: Option<f64>,
    pub(crate) rows_examined: Option<f64>,
}

/// The samples of one database.
#[derive(Debug)]
pub(crate) struct History {
    keep: usize,
    samples: Mutex<VecDeque<(DateTime<Utc>, Sample)>>,
}

impl History {
    pub(crate) fn new(keep: usize) -> Self {
        Self { keep, samples: Mutex::default() }
    }

    pub(crate) fn add(&self, at: DateTime<Utc>, sample: Sample) {
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        while samples.len() >= self.keep {
            samples.pop_front();
        }
        samples.push_back((at, sample));
    }

    /// What happened between the samples since a time, of the whole database or of one query.
    pub(crate) fn intervals(&self, since: DateTime<Utc>, sql_id: Option<&str>) -> Vec<Interval> {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let recent: Vec<&(DateTime<Utc>, Sample)> = samples.iter().filter(|(at, _)| *at >= since).collect();
        recent.windows(2).filter_map(|pair| between(&pair[0].1, &pair[1].1, pair[1].0, sql_id)).collect()
    }

    /// Since when there are samples.
    pub(crate) fn since(&self) -> Option<DateTime<Utc>> {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        samples.front().map(|(at, _)| *at)
    }
}

/// How much a counter grew; nothing where the server began anew meanwhile.
fn growth(before: Option<f64>, after: Option<f64>) -> Option<f64> {
    before.zip(after).map(|(before, after)| after - before).filter(|growth| *growth >= 0.0)
}

fn between(before: &Sample, after: &Sample, at: DateTime<Utc>, sql_id: Option<&str>) -> Option<Interval> {
    if let Some(id) = sql_id {
        let (before, after) = (before.queries.get(id)?, after.queries.get(id)?);
        return Some(Interval {
            at,
            executions: growth(before.executions, after.executions),
            elapsed_ms: growth(before.elapsed_ms, after.elapsed_ms),
            cpu_ms: growth(before.cpu_ms, after.cpu_ms),
            rows_examined: growth(before.rows_examined, after.rows_examined),
            ..Interval::default()
        });
    }
    let reads = growth(before.cache_reads, after.cache_reads).filter(|reads| *reads > 0.0);
    let hits = growth(before.cache_hits, after.cache_hits);
    Some(Interval {
        at,
        active_sessions: after.active_sessions,
        cpu_percent: after.cpu_percent,
        hit_percent: hits.zip(reads).map(|(hits, reads)| 100.0 * hits / reads),
        executions: growth(before.executions, after.executions),
        elapsed_ms: growth(before.elapsed_ms, after.elapsed_ms),
        cpu_ms: growth(before.cpu_ms, after.cpu_ms),
        rows_examined: growth(before.rows_examined, after.rows_examined),
    })
}

/// So many hours ago.
pub(crate) fn hours_ago(now: DateTime<Utc>, hours: u32) -> DateTime<Utc> {
    now.checked_sub_signed(Duration::hours(hours.into())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_750_000_000 + minute * 60, 0).unwrap()
    }

    fn sample(executions: f64, elapsed_ms: f64) -> Sample {
        let query =
            QuerySample { executions: Some(executions), elapsed_ms: Some(elapsed_ms), ..QuerySample::default() };
        Sample {
            executions: Some(executions),
            elapsed_ms: Some(elapsed_ms),
            cache_hits: Some(executions * 9.0),
            cache_reads: Some(executions * 10.0),
            queries: HashMap::from([("q1".to_owned(), query)]),
            ..Sample::default()
        }
    }

    #[test]
    fn what_counters_grew_by_is_what_happened() {
        let history = History::new(10);
        for (minute, executions, elapsed) in [(0, 100.0, 1_000.0), (1, 150.0, 1_200.0), (2, 10.0, 20.0)] {
            history.add(at(minute), sample(executions, elapsed));
        }
        let intervals = history.intervals(at(0), None);
        assert_eq!(intervals.len(), 2);
        assert_eq!((intervals[0].executions, intervals[0].elapsed_ms), (Some(50.0), Some(200.0)));
        assert_eq!(intervals[0].hit_percent, Some(90.0));
        assert_eq!(intervals[1].executions, None, "it began anew");
        assert_eq!(history.intervals(at(0), Some("q1"))[0].executions, Some(50.0));
        assert!(history.intervals(at(0), Some("q2")).is_empty());
    }

    #[test]
    fn no_more_samples_are_kept_than_were_asked_for() {
        let history = History::new(3);
        for minute in 0..10 {
            history.add(at(minute), Sample::default());
        }
        assert_eq!(history.since(), Some(at(7)));
    }
}

//! The tools that tell how databases are.

use std::time::Duration;

use chrono::Utc;
use futures::future::join_all;

use super::{DatabaseServer, Entry};
use crate::{
    Error, Kind,
    args::{HealthArguments, TopArguments, TrendArguments, TrendMetric},
    finding,
    history::{Interval, hours_ago},
    report::{DatabaseReport, Databases, Health, QueryStat, Status, TopQueries, Trends},
    text::{cut, listed, rounded},
    trends,
};

/// Longest query of a document, in characters.
const MAX_QUERY: usize = 2_000;
/// Most queries, and most hours, that can be asked for.
const MAX_LIMIT: u32 = 50;
const MAX_HOURS: u32 = 8_760;
const MAX_MINUTES: u32 = 525_600;

impl DatabaseServer {
    pub(super) async fn list(&self) -> Databases {
        Databases { databases: join_all(self.inner.entries.iter().map(described)).await }
    }

    pub(super) async fn health(&self, arguments: HealthArguments) -> Result<Health, Error> {
        let entry = self.entry(&arguments.db_name)?;
        let range = Duration::from_secs(60 * u64::from(arguments.time_range_minutes.clamp(1, 10_080)));
        let examined = entry.engine()?.health(range).await?;
        if arguments.save_snapshot {
            entry.remember().await;
        }
        let findings = finding::sorted(examined.findings);
        let (status, score) = Status::of(&findings);
        Ok(Health {
            database: entry.config.name.clone(),
            kind: entry.config.kind,
            version: examined.version,
            status,
            score,
            metrics: examined.metrics,
            waits: examined.waits,
            findings,
            notes: examined.notes,
        })
    }

    pub(super) async fn top(&self, mut arguments: TopArguments) -> Result<TopQueries, Error> {
        let entry = self.entry(&arguments.db_name)?;
        arguments.limit = arguments.limit.clamp(1, MAX_LIMIT);
        arguments.time_range_minutes = arguments.time_range_minutes.map(|minutes| minutes.clamp(1, MAX_MINUTES));
        let top = entry.engine()?.top(&arguments).await?;
        if arguments.save_snapshot {
            entry.remember().await;
        }
        Ok(TopQueries {
            database: entry.config.name.clone(),
            kind: entry.config.kind,
            source: top.source,
            metric: arguments.metric.id().into(),
            queries: top.queries.into_iter().map(tidy).collect(),
            notes: top.notes,
        })
    }

    pub(super) async fn trends(&self, arguments: TrendArguments) -> Result<Trends, Error> {
        let entry = self.entry(&arguments.db_name)?;
        let hours = arguments.hours.clamp(1, MAX_HOURS);
        let since = hours_ago(Utc::now(), hours);
        let sql_id = arguments.sql_id.as_deref();
        let mut notes = Vec::new();
        let (source, intervals) = match entry.engine()?.recorded(since, sql_id).await? {
            Some(recorded) => (recorded.source, recorded.intervals),
            None => {
                entry.remember().await;
                notes.extend(self.remembered(entry));
                ("samples that this server took".into(), entry.history.intervals(since, sql_id))
            }
        };
        let metric = arguments.metric;
        let points = trends::points(&intervals, metric, since, Utc::now());
        if points.is_empty() && !intervals.is_empty() {
            return Err(lacking(entry, &intervals, metric, hours));
        }
        let (summary, unusual) = trends::summary(&points).unzip();
        Ok(Trends {
            database: entry.config.name.clone(),
            kind: entry.config.kind,
            metric: metric.id().into(),
            unit: metric.unit(),
            hours: hours.into(),
            sql_id: arguments.sql_id,
            source,
            points,
            summary,
            unusual: unusual.unwrap_or_default(),
            notes,
        })
    }

    /// Since when there are samples, and how more come.
    fn remembered(&self, entry: &Entry) -> Option<String> {
        let since = entry.history.since()?.format("%Y-%m-%d %H:%M:%S");
        let name = &entry.config.name;
        let how = match self.inner.interval {
            Some(interval) => format!("one every {} seconds while it runs", interval.as_secs()),
            None => "one whenever a tool is called".into(),
        };
        Some(format!("{name} keeps no history; this server remembers samples since {since} UTC, {how}."))
    }
}

/// What is recorded instead of a metric that is not.
fn lacking(entry: &Entry, intervals: &[Interval], metric: TrendMetric, hours: u32) -> Error {
    let now = Utc::now();
    let has = |metric: &TrendMetric| !trends::points(intervals, *metric, hours_ago(now, hours), now).is_empty();
    let known: Vec<&str> = TrendMetric::ALL.iter().filter(|metric| has(metric)).map(|metric| metric.id()).collect();
    let instead = if known.is_empty() { "nothing yet".to_owned() } else { listed(&known) };
    Error::Unsupported { what: format!("{} does not record {}; it records {instead}", entry.config.name, metric.id()) }
}

async fn described(entry: &Entry) -> DatabaseReport {
    let config = &entry.config;
    let version = match entry.engine() {
        Ok(engine) => engine.version().await,
        Err(error) => Err(error),
    };
    let kinds = Kind::ALL.into_iter().filter(|kind| *kind == config.kind);
    DatabaseReport {
        name: config.name.clone(),
        kind: config.kind,
        description: config.description.clone(),
        is_reachable: version.is_ok(),
        problem: version.as_ref().err().map(ToString::to_string),
        version: version.ok(),
        query_tools: kinds.flat_map(|kind| [kind.analyze_tool(), kind.compare_tool()]).collect(),
    }
}

/// A query with short texts and round numbers.
fn tidy(query: QueryStat) -> QueryStat {
    let round = |value: Option<f64>| value.map(|value| rounded(value, 3));
    QueryStat {
        query: cut(&query.query, MAX_QUERY),
        executions: round(query.executions),
        elapsed_ms: round(query.elapsed_ms),
        avg_ms: round(query.avg_ms),
        max_ms: round(query.max_ms),
        cpu_ms: round(query.cpu_ms),
        rows_examined: round(query.rows_examined),
        rows_returned: round(query.rows_returned),
        buffer_gets: round(query.buffer_gets),
        reads: round(query.reads),
        share_percent: round(query.share_percent),
        module: query.module.map(|module| cut(&module, 100)),
        ..query
    }
}

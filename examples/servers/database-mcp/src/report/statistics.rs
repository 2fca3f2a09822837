//! Top queries and trends as text.

use std::fmt::Write as _;

use super::{Direction, QueryStat, Readable, TopQueries, Trends};
use crate::text::{bars, cut, measure, number, rounded, section};

/// Longest query in a text, in characters; the document has more of it.
const MAX_QUERY: usize = 300;

impl Readable for TopQueries {
    fn text(&self) -> String {
        let mut text = format!("Top queries of {} by {}, from {}\n", self.database, self.metric, self.source);
        if self.queries.is_empty() {
            text.push_str("\nNone were found.\n");
        }
        for (at, query) in self.queries.iter().enumerate() {
            let id = query.sql_id.as_deref().map(|id| format!(" [{id}]")).unwrap_or_default();
            let _ =
                write!(text, "\n{}.{id} {}\n   {}\n", at + 1, facts(query).join(", "), cut(&query.query, MAX_QUERY));
        }
        section(&mut text, "Notes", &self.notes);
        text
    }
}

fn facts(query: &QueryStat) -> Vec<String> {
    let ms = |value: Option<f64>, what: &str| value.map(|ms| format!("{} {what}", measure(rounded(ms, 2), "ms")));
    let count = |value: Option<f64>, what: &str| value.map(|count| format!("{} {what}", number(rounded(count, 0))));
    let all = [
        ms(query.elapsed_ms, "in all"),
        ms(query.avg_ms, "each"),
        ms(query.max_ms, "at most"),
        ms(query.cpu_ms, "of CPU"),
        count(query.executions, "executions"),
        count(query.rows_examined, "rows read"),
        count(query.rows_returned, "rows returned"),
        count(query.buffer_gets, "blocks"),
        count(query.reads, "blocks from disk"),
        query.share_percent.map(|share| format!("{} % of the time", number(rounded(share, 1)))),
        query.last_seen.as_ref().map(|at| format!("last seen {at}")),
        query.module.as_ref().map(|module| format!("from {module}")),
    ];
    all.into_iter().flatten().collect()
}

impl Readable for Trends {
    fn text(&self) -> String {
        let about = self.sql_id.as_deref().map(|id| format!(" of query {id}")).unwrap_or_default();
        let mut text = format!(
            "{}{about} on {}, the last {} h, from {}\n",
            self.metric.replace('_', " "),
            self.database,
            number(self.hours),
            self.source
        );
        if let (Some(summary), Some(first), Some(last)) = (&self.summary, self.points.first(), self.points.last()) {
            let values: Vec<f64> = self.points.iter().map(|point| point.value).collect();
            let direction = match summary.direction {
                Direction::Rising => "rising",
                Direction::Falling => "falling",
                Direction::Steady => "steady",
            };
            let change = summary.change_percent.map(|percent| format!(" ({percent:+} %)")).unwrap_or_default();
            let _ = write!(text, "\n{}\n{} … {}\n\n", bars(&values), first.at, last.at);
            let _ = writeln!(text, "- Direction: {direction}{change}");
            for (label, value) in [("Mean", summary.mean), ("Least", summary.min), ("Most", summary.max)] {
                let _ = writeln!(text, "- {label}: {}", measure(value, self.unit));
            }
        } else {
            text.push_str("\nNothing is recorded for that time.\n");
        }
        let unusual: Vec<String> =
            self.unusual.iter().map(|point| format!("{}: {}", point.at, measure(point.value, self.unit))).collect();
        section(&mut text, "Unusual", &unusual);
        section(&mut text, "Notes", &self.notes);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Kind,
        report::{Point, Summary},
    };

    #[test]
    fn a_trend_is_a_picture_and_a_few_numbers() {
        let point = |hour: usize, value| Point { at: format!("2026-03-02T{hour:02}:00:00Z"), value };
        let trends = Trends {
            database: "shop".into(),
            kind: Kind::Sqlite,
            metric: "avg_elapsed_ms".into(),
            unit: "ms",
            hours: 4.0,
            sql_id: Some("q1".into()),
            source: "the table omni_query_stats".into(),
            points: vec![point(9, 10.0), point(10, 12.0), point(11, 11.0), point(12, 90.0)],
            summary: Some(Summary {
                min: 10.0,
                max: 90.0,
                mean: 30.75,
                change_percent: Some(359.1),
                direction: Direction::Rising,
            }),
            unusual: vec![point(12, 90.0)],
            notes: Vec::new(),
        };
        insta::assert_snapshot!(trends.text(), @"
        avg elapsed ms of query q1 on shop, the last 4 h, from the table omni_query_stats

        ▁▁▁█
        2026-03-02T09:00:00Z … 2026-03-02T12:00:00Z

        - Direction: rising (+359.1 %)
        - Mean: 30.75 ms
        - Least: 10 ms
        - Most: 90 ms

        Unusual
        - 2026-03-02T12:00:00Z: 90 ms
        ");
    }
}

//! What tools return: documents with a schema, and the same as a text.

use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    Kind,
    compare::{Better, Measure},
    finding::{Finding, Severity},
    plan::Plan,
};

mod health;
mod plans;
mod statistics;

/// A document that people can read too.
pub(crate) trait Readable {
    /// The same as a text.
    fn text(&self) -> String;
}

/// The databases.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Databases {
    /// Each of them.
    pub databases: Vec<DatabaseReport>,
}

/// One database.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct DatabaseReport {
    /// What to call it: the argument `db_name` of every other tool.
    pub name: String,
    /// Its kind.
    pub kind: Kind,
    /// What is in it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Whether it answers now.
    pub is_reachable: bool,
    /// What it calls itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Why it does not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The tools that analyse and compare queries of it.
    pub query_tools: Vec<String>,
}

/// How a database is.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Health {
    /// The database.
    pub database: String,
    /// Its kind.
    pub kind: Kind,
    /// What it calls itself.
    pub version: String,
    /// How it is, in one word.
    pub status: Status,
    /// The same from 0 to 100.
    pub score: u32,
    /// What was measured.
    pub metrics: Vec<Metric>,
    /// What its sessions wait for, or waited for most.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub waits: Vec<Wait>,
    /// What is not as it should be.
    pub findings: Vec<Finding>,
    /// What could not be told, and how that changes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// How a database is, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Status {
    /// Nothing stands out.
    Good,
    /// Something wants looking at.
    Warning,
    /// Something wants doing now.
    Critical,
}

/// Something measured.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Metric {
    /// What, as an id.
    pub name: &'static str,
    /// What, in words.
    pub label: &'static str,
    /// How much.
    pub value: f64,
    /// Of what: `%`, `ms`, `s`, `bytes`, or nothing for a count.
    pub unit: &'static str,
}

impl Metric {
    pub(crate) fn new(name: &'static str, label: &'static str, value: f64, unit: &'static str) -> Self {
        Self { name, label, value: crate::text::rounded(value, 2), unit }
    }
}

/// Something that is waited for.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Wait {
    /// What.
    pub event: String,
    /// How many sessions wait for it now, or how often it was waited for.
    pub count: f64,
    /// For how long in all, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_ms: Option<f64>,
}

/// The queries that take most.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct TopQueries {
    /// The database.
    pub database: String,
    /// Its kind.
    pub kind: Kind,
    /// Where the numbers come from.
    pub source: String,
    /// By what they are ranked.
    pub metric: String,
    /// The queries, the greatest first.
    pub queries: Vec<QueryStat>,
    /// What could not be told or applied, and how that changes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// One query, with its values left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct QueryStat {
    /// What the database calls it: the argument `sql_id` of `get_performance_trends`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sql_id: Option<String>,
    /// Its text, shortened.
    pub query: String,
    /// How often it ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub executions: Option<f64>,
    /// How long it took in all, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elapsed_ms: Option<f64>,
    /// How long it took each time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avg_ms: Option<f64>,
    /// How long it took at worst.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_ms: Option<f64>,
    /// How long it kept a processor busy in all, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_ms: Option<f64>,
    /// How many rows it read in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows_examined: Option<f64>,
    /// How many rows it returned in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows_returned: Option<f64>,
    /// How many blocks it read from memory and disk in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buffer_gets: Option<f64>,
    /// How many blocks it read from disk in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reads: Option<f64>,
    /// Its share of the time of all queries that were looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share_percent: Option<f64>,
    /// When it was seen last, in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<String>,
    /// The program that sent it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
}

/// How something went over time.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Trends {
    /// The database.
    pub database: String,
    /// Its kind.
    pub kind: Kind,
    /// What went.
    pub metric: String,
    /// Its unit.
    pub unit: &'static str,
    /// How far it goes back, in hours.
    pub hours: f64,
    /// The query that it is about, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sql_id: Option<String>,
    /// Where the numbers come from.
    pub source: String,
    /// The values, the oldest first.
    pub points: Vec<Point>,
    /// All of them in a few numbers; nothing where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,
    /// Values far from the others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unusual: Vec<Point>,
    /// What could not be told, and how that changes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A value at a time.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Point {
    /// When, in UTC.
    pub at: String,
    /// How much.
    pub value: f64,
}

/// Values in a few numbers.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Summary {
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
    /// The mean.
    pub mean: f64,
    /// By how many percent the last third differs from the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change_percent: Option<f64>,
    /// Where it goes.
    pub direction: Direction,
}

/// Where values go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Direction {
    /// Up.
    Rising,
    /// Down.
    Falling,
    /// Neither.
    Steady,
}

/// A query, its plan, and what to make of it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Analysis {
    /// The database.
    pub database: String,
    /// Its kind.
    pub kind: Kind,
    /// What it calls itself.
    pub version: String,
    /// The query as it was passed on, shortened.
    pub query: String,
    /// Its plan.
    pub plan: Plan,
    /// What a DBA should know, the worst first.
    pub findings: Vec<Finding>,
    /// What to do first.
    pub recommendations: Vec<String>,
    /// What could not be told, and how that changes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// Two queries, side by side.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct ComparisonReport {
    /// The database.
    pub database: String,
    /// Its kind.
    pub kind: Kind,
    /// What it calls itself.
    pub version: String,
    /// Which has the better plan.
    pub better: Better,
    /// Why.
    pub reasons: Vec<String>,
    /// By what they were compared.
    pub measures: Vec<Measure>,
    /// The plan of the original query.
    pub original: Plan,
    /// The plan of the other.
    pub optimized: Plan,
    /// What is the matter with the original and no longer with the other.
    pub solved: Vec<Finding>,
    /// What is the matter with the other still, or newly.
    pub remaining: Vec<Finding>,
    /// What else to know.
    pub notes: Vec<String>,
}

impl Status {
    /// By what was found.
    pub(crate) fn of(findings: &[Finding]) -> (Self, u32) {
        let points = |finding: &Finding| match finding.severity {
            Severity::High => 30,
            Severity::Medium => 10,
            Severity::Low => 2,
        };
        let score = 100_u32.saturating_sub(findings.iter().map(points).sum());
        let status = match score {
            80.. => Self::Good,
            50.. => Self::Warning,
            _ => Self::Critical,
        };
        (status, score)
    }
}

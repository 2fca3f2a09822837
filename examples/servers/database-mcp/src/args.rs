//! What tools take. Names are those of the original server.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Nothing.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoArguments {}

/// `get_database_health`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct HealthArguments {
    /// The database, by the name that `list_available_databases` gives.
    pub db_name: String,
    /// How far recorded statistics are looked at, in minutes.
    #[serde(default = "fifteen")]
    #[schemars(range(min = 1, max = 10080))]
    pub time_range_minutes: u32,
    /// Whether the numbers are remembered for `get_performance_trends`.
    #[serde(default = "yes")]
    pub save_snapshot: bool,
}

/// `get_top_queries`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TopArguments {
    /// The database, by the name that `list_available_databases` gives.
    pub db_name: String,
    /// What to rank by: time in all (`elapsed`), time each (`average`), CPU, disk reads, blocks read
    /// (`buffer_gets`), rows read, or how often it ran (`executions`).
    #[serde(default)]
    pub metric: Ranking,
    /// Only queries of the last so many minutes; of all that is recorded when it is not given.
    #[serde(default)]
    #[schemars(with = "u32", range(min = 1, max = 525_600))]
    pub time_range_minutes: Option<u32>,
    /// How many queries to return.
    #[serde(default = "ten")]
    #[schemars(range(min = 1, max = 50))]
    pub limit: u32,
    /// Whether the numbers are remembered for `get_performance_trends`.
    #[serde(default = "yes")]
    pub save_snapshot: bool,
    /// Whether the database's own queries are left out.
    #[serde(default = "yes")]
    pub exclude_sys: bool,
    /// Only queries of this schema, where the database records it.
    #[serde(default)]
    #[schemars(with = "String")]
    pub schema_filter: Option<String>,
    /// Only queries of this program, where the database records it.
    #[serde(default)]
    #[schemars(with = "String")]
    pub module_filter: Option<String>,
}

/// `get_performance_trends`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TrendArguments {
    /// The database, by the name that `list_available_databases` gives.
    pub db_name: String,
    /// How many hours to go back.
    #[serde(default = "day")]
    #[schemars(range(min = 1, max = 8760))]
    pub hours: u32,
    /// What to follow over time.
    #[serde(default)]
    pub metric: TrendMetric,
    /// One query, by the id that `get_top_queries` gives; the whole database when it is not given.
    #[serde(default)]
    #[schemars(with = "String")]
    pub sql_id: Option<String>,
}

/// `analyze_…_query`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct AnalyzeArguments {
    /// The database, by the name that `list_available_databases` gives.
    pub db_name: String,
    /// One SELECT statement. It is explained, never changed.
    pub sql_text: String,
    /// `standard` for plan and findings, `plan_only` for the plan.
    #[serde(default)]
    pub depth: Depth,
}

/// `compare_…_query_plans`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct CompareArguments {
    /// The database, by the name that `list_available_databases` gives.
    pub db_name: String,
    /// The SELECT statement as it is.
    pub original_sql: String,
    /// The SELECT statement that is meant to be better.
    pub optimized_sql: String,
}

/// By what queries are ranked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
#[allow(missing_docs, reason = "documented variants would be a schema that some clients do not read")]
pub enum Ranking {
    #[default]
    Elapsed,
    Average,
    Cpu,
    Reads,
    BufferGets,
    RowsExamined,
    Executions,
}

/// What is followed over time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
#[allow(missing_docs, reason = "documented variants would be a schema that some clients do not read")]
pub enum TrendMetric {
    #[default]
    AvgElapsedMs,
    ElapsedSeconds,
    CpuSeconds,
    Executions,
    RowsExamined,
    ActiveSessions,
    BufferCacheHitRatio,
    CpuUsage,
}

/// How much of an analysis is wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
#[allow(missing_docs, reason = "documented variants would be a schema that some clients do not read")]
pub enum Depth {
    #[default]
    Standard,
    PlanOnly,
}

fn yes() -> bool {
    true
}

fn ten() -> u32 {
    10
}

fn fifteen() -> u32 {
    15
}

fn day() -> u32 {
    24
}

impl Ranking {
    /// As it stands in the schema.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Elapsed => "elapsed",
            Self::Average => "average",
            Self::Cpu => "cpu",
            Self::Reads => "reads",
            Self::BufferGets => "buffer_gets",
            Self::RowsExamined => "rows_examined",
            Self::Executions => "executions",
        }
    }
}

impl TrendMetric {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::AvgElapsedMs,
        Self::ElapsedSeconds,
        Self::CpuSeconds,
        Self::Executions,
        Self::RowsExamined,
        Self::ActiveSessions,
        Self::BufferCacheHitRatio,
        Self::CpuUsage,
    ];

    /// As it stands in the schema.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::AvgElapsedMs => "avg_elapsed_ms",
            Self::ElapsedSeconds => "elapsed_seconds",
            Self::CpuSeconds => "cpu_seconds",
            Self::Executions => "executions",
            Self::RowsExamined => "rows_examined",
            Self::ActiveSessions => "active_sessions",
            Self::BufferCacheHitRatio => "buffer_cache_hit_ratio",
            Self::CpuUsage => "cpu_usage",
        }
    }

    /// Its unit.
    #[must_use]
    pub fn unit(self) -> &'static str {
        match self {
            Self::AvgElapsedMs => "ms",
            Self::ElapsedSeconds | Self::CpuSeconds => "s",
            Self::Executions | Self::RowsExamined | Self::ActiveSessions => "",
            Self::BufferCacheHitRatio | Self::CpuUsage => "%",
        }
    }
}

//! The tools: what they are called, what they take and give, and when to use them. A client that finds tools by
//! words finds them by these.

use std::sync::{Arc, LazyLock};

use rmcp::{
    handler::server::tool::{schema_for_input, schema_for_output},
    model::{JsonObject, Tool, ToolAnnotations},
};
use schemars::JsonSchema;

use crate::{
    Kind,
    args::{AnalyzeArguments, CompareArguments, HealthArguments, NoArguments, TopArguments, TrendArguments},
    report::{Analysis, ComparisonReport, Databases, Health, TopQueries, Trends},
};

/// A tool that is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Called {
    List,
    Health,
    Top,
    Trends,
    Analyze(Kind),
    Compare(Kind),
}

impl Called {
    pub(crate) fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "list_available_databases" => Self::List,
            "get_database_health" => Self::Health,
            "get_top_queries" => Self::Top,
            "get_performance_trends" => Self::Trends,
            other => {
                let analyzed = Kind::ALL.into_iter().find(|kind| kind.analyze_tool() == other).map(Self::Analyze);
                analyzed
                    .or_else(|| Kind::ALL.into_iter().find(|kind| kind.compare_tool() == other).map(Self::Compare))?
            }
        })
    }
}

/// All tools, always the same: whoever pinned them finds them unchanged.
pub(crate) fn all() -> Vec<Tool> {
    static TOOLS: LazyLock<Vec<Tool>> = LazyLock::new(list);
    TOOLS.clone()
}

fn list() -> Vec<Tool> {
    let mut tools = vec![
        tool::<NoArguments, Databases>(
            "list_available_databases",
            "List available databases",
            "Lists the available databases: their names, kinds (Oracle, MySQL, PostgreSQL, SQLite), versions, what is \
             in them, and whether they can be reached. Use it first, to learn the db_name that the other tools take.",
        ),
        tool::<HealthArguments, Health>(
            "get_database_health",
            "Database health",
            "Checks the health of one database: a score from 0 to 100, sessions and connections, cache hit ratio, CPU \
             where the database knows it, locks, waits, and what is wrong. Use it for the question how a database is.",
        ),
        tool::<TopArguments, TopQueries>(
            "get_top_queries",
            "Top and slow queries",
            "Shows the slow queries of one database: the top statements by elapsed time, average time, CPU, reads or \
             executions, with their text and statistics. Use it to find the slowest or most expensive queries, which \
             are worth optimizing.",
        ),
        tool::<TrendArguments, Trends>(
            "get_performance_trends",
            "Performance trends",
            "Shows the performance trends of one database over time: query times, executions, sessions or cache hit \
             ratio over the last hours or days, where they go, and unusual values. Use it for history and charts, and \
             to see since when something is slow.",
        ),
    ];
    for kind in Kind::ALL {
        tools.push(analyze(kind));
        tools.push(compare(kind));
    }
    tools
}

fn analyze(kind: Kind) -> Tool {
    let title = format!("Analyze a {kind} query");
    let description = format!(
        "Analyzes one SQL query (SELECT) of {} database by its execution plan (EXPLAIN): full scans, missing indexes \
         with a CREATE INDEX to try, sorts, functions around columns, joins without a condition, and what to do first. \
         Use it to learn why a query is slow. The query is explained, and run only where the configuration has it \
         measured.",
        named(kind)
    );
    tool::<AnalyzeArguments, Analysis>(kind.analyze_tool(), title, description)
}

fn compare(kind: Kind) -> Tool {
    let title = format!("Compare {kind} query plans");
    let description = format!(
        "Compares the execution plans of two SQL queries of {} database side by side, the original and an optimized \
         one: costs, scans, indexes, sorts, and which is better and why. Use it before a rewritten query takes the \
         place of the old one.",
        named(kind)
    );
    tool::<CompareArguments, ComparisonReport>(kind.compare_tool(), title, description)
}

fn named(kind: Kind) -> &'static str {
    match kind {
        Kind::Oracle => "an Oracle",
        Kind::Mysql => "a MySQL or MariaDB",
        Kind::Postgres => "a PostgreSQL",
        Kind::Sqlite => "a SQLite",
    }
}

fn tool<In, Out>(name: impl Into<String>, title: impl Into<String>, description: impl Into<String>) -> Tool
where
    In: JsonSchema + 'static,
    Out: JsonSchema + 'static,
{
    let title = title.into();
    let annotations = ToolAnnotations::with_title(title.clone())
        .read_only(true)
        .destructive(false)
        .idempotent(true)
        .open_world(false);
    let mut input = schema_for_input::<In>().unwrap_or_else(|_| Arc::new(JsonObject::new()));
    // Some clients want to read them even where there are none.
    Arc::make_mut(&mut input).entry("properties").or_insert_with(|| JsonObject::new().into());
    Tool::new(name.into(), description.into(), input)
        .with_title(title)
        .with_raw_output_schema(schema_for_output::<Out>())
        .with_annotations(annotations)
}

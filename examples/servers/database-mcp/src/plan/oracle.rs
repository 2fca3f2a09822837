//! Rows of Oracle's `PLAN_TABLE`.

use super::{Access, Plan, Step, Work};

/// One row of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Row {
    pub(crate) depth: usize,
    pub(crate) operation: String,
    pub(crate) options: Option<String>,
    pub(crate) object_type: Option<String>,
    pub(crate) object_name: Option<String>,
    pub(crate) object_alias: Option<String>,
    pub(crate) cost: Option<f64>,
    pub(crate) rows: Option<f64>,
    pub(crate) condition: Option<String>,
}

/// The plan that the rows are, which stand in the order of their ids.
pub(crate) fn read(rows: &[Row]) -> Plan {
    let first = rows.first();
    let mut plan =
        Plan { cost: first.and_then(|row| row.cost), rows: first.and_then(|row| row.rows), ..Plan::default() };
    for row in rows {
        plan.push(step(row));
    }
    plan
}

fn step(row: &Row) -> Step {
    let options = row.options.as_deref().unwrap_or_default();
    let is_index = row.object_type.as_deref().is_some_and(|kind| kind.starts_with("INDEX"));
    // `"T"@"SEL$1"` is the table T of the first SELECT.
    let alias = row.object_alias.as_deref().and_then(|alias| alias.split('@').next());
    let alias = alias.map(|alias| alias.trim_matches('"').to_owned());
    let mut step = Step {
        depth: row.depth,
        operation: format!("{} {options}", row.operation).trim().to_owned(),
        access: access(&row.operation, options),
        table: alias.or_else(|| row.object_name.clone().filter(|_| !is_index)),
        index: row.object_name.clone().filter(|_| is_index),
        rows: row.rows,
        cost: row.cost,
        condition: row.condition.clone(),
        ..Step::default()
    };
    match (row.operation.as_str(), options) {
        ("SORT", "ORDER BY" | "GROUP BY" | "JOIN" | "UNIQUE") => step.work.push(Work::Sort),
        ("MERGE JOIN", "CARTESIAN") | ("BUFFER", "SORT") => step.work.push(Work::JoinBuffer),
        ("TEMP TABLE TRANSFORMATION" | "LOAD AS SELECT", _) => step.work.push(Work::Temporary),
        _ => {}
    }
    step
}

fn access(operation: &str, options: &str) -> Access {
    match (operation, options) {
        ("TABLE ACCESS", "FULL" | "STORAGE FULL" | "FULL PARTITION") => Access::FullScan,
        ("TABLE ACCESS", options) if options.starts_with("BY") => Access::IndexLookup,
        ("INDEX", "UNIQUE SCAN") => Access::Single,
        ("INDEX", "FULL SCAN" | "FAST FULL SCAN" | "STORAGE FAST FULL SCAN") => Access::FullIndexScan,
        ("INDEX", _) => Access::IndexRange,
        _ => Access::None,
    }
}

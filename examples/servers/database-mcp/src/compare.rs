//! Two plans side by side, and which of them is better.

use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    catalog::Catalog,
    plan::{Access, Plan, Step, Work},
    text::{listed, number, rounded},
};

/// Costs and times nearer to each other than this share are the same.
const SAME: f64 = 0.05;

/// Which of two queries has the better plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Better {
    /// The first.
    Original,
    /// The second.
    Optimized,
    /// Neither.
    Same,
}

/// One thing by which plans are compared. Less is better.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Measure {
    /// What it is: `cost`, `actual_ms`, `rows_read`, `full_scans`, `sorts`, `temporary_tables`, `per_row_subqueries`.
    pub name: &'static str,
    /// Of the first query.
    pub original: f64,
    /// Of the second.
    pub optimized: f64,
    /// By how many percent the second differs from the first; nothing where the first is 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change_percent: Option<f64>,
}

/// Two plans, compared.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Comparison {
    pub(crate) measures: Vec<Measure>,
    pub(crate) better: Better,
    pub(crate) reasons: Vec<String>,
}

/// A plan with what is known of its tables.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Planned<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) catalog: &'a Catalog,
    /// The tables of its aliases.
    pub(crate) shape: &'a crate::query::Shape,
}

/// Compares the plans of an original query and of one that is meant to be better.
pub(crate) fn compare(original: Planned<'_>, optimized: Planned<'_>) -> Comparison {
    let mut measures = Vec::new();
    let mut measure = |name: &'static str, of: &dyn Fn(Planned<'_>) -> Option<f64>| {
        if let (Some(a), Some(b)) = (of(original), of(optimized)) {
            let change = (a > 0.0).then(|| rounded((b - a) / a * 100.0, 1));
            measures.push(Measure { name, original: rounded(a, 2), optimized: rounded(b, 2), change_percent: change });
        }
    };
    measure("actual_ms", &|planned| planned.plan.actual_ms);
    measure("cost", &|planned| planned.plan.cost);
    // Costs are made of them, and better.
    if original.plan.cost.is_none() || optimized.plan.cost.is_none() {
        measure("rows_read", &rows_read);
    }
    measure("full_scans", &|planned| Some(full_scans(planned) as f64));
    let count = |work: Work| move |planned: Planned<'_>| Some(planned.plan.count(work) as f64);
    measure("per_row_subqueries", &count(Work::PerRow));
    measure("sorts", &|planned| Some((planned.plan.count(Work::Sort) + planned.plan.count(Work::SortOnDisk)) as f64));
    measure("temporary_tables", &count(Work::Temporary));
    measure("automatic_indexes", &count(Work::AutomaticIndex));
    let (better, mut reasons) = verdict(&measures);
    reasons.extend(indexes(original.plan, optimized.plan));
    Comparison { measures, better, reasons }
}

/// How many tables or indexes are read whole that are worth counting.
fn full_scans(planned: Planned<'_>) -> usize {
    planned.plan.full_scans().filter(|step| size(planned, step).is_none_or(|rows| rows >= 100.0)).count()
}

fn size(planned: Planned<'_>, step: &Step) -> Option<f64> {
    let name = step.table.as_deref()?;
    let mut factors = planned.shape.selects.iter().flat_map(|select| &select.factors);
    let factor = factors.find(|factor| factor.alias.eq_ignore_ascii_case(name))?;
    planned.catalog.table(factor.table.as_ref()?)?.rows
}

/// Steps below which tables are no longer read for each row of those before them.
const APART: &[&str] = &[
    // MySQL and MariaDB.
    "subquery",
    "materialize",
    "query",
    // SQLite.
    "SCALAR SUBQUERY",
    "CORRELATED",
    "LIST SUBQUERY",
    "MATERIALIZE",
    "CO-ROUTINE",
    "LEFT-MOST",
    "UNION",
    "INTERSECT",
    "EXCEPT",
    "SETUP",
    "RECURSIVE",
];

/// About how many rows are read, where tables are read one for each row of the one before and the plan says how many
/// rows each gives.
fn rows_read(planned: Planned<'_>) -> Option<f64> {
    let mut total = 0.0;
    // How often the next table is read, below which depth.
    let mut loops: Vec<(usize, f64)> = vec![(0, 1.0)];
    for step in &planned.plan.steps {
        while loops.len() > 1 && loops.last().is_some_and(|(depth, _)| step.depth <= *depth) {
            loops.pop();
        }
        let (_, times) = loops.last_mut()?;
        if step.table.is_some() {
            let rows = match step.access {
                Access::FullScan | Access::FullIndexScan => size(planned, step).or(step.rows)?,
                Access::Single => step.rows.unwrap_or(1.0),
                Access::IndexRange | Access::IndexLookup | Access::None => step.rows?,
            };
            total += *times * rows;
            *times *= rows * step.keeps.unwrap_or(1.0);
        } else if APART.iter().any(|beginning| step.operation.starts_with(beginning)) {
            let times = if step.has(Work::PerRow) { *times } else { 1.0 };
            loops.push((step.depth, times));
        }
    }
    Some(total)
}

/// The first measure that differs decides: measured time, then cost, then what costs are made of.
fn verdict(measures: &[Measure]) -> (Better, Vec<String>) {
    let differing: Vec<&Measure> = measures.iter().filter(|measure| differs(measure)).collect();
    let Some(first) = differing.first() else {
        return (Better::Same, vec!["The plans do not differ in anything that counts.".into()]);
    };
    let better = if first.optimized < first.original { Better::Optimized } else { Better::Original };
    let mut reasons: Vec<String> = Vec::new();
    for measure in differing {
        let is_for = (measure.optimized < measure.original) == (better == Better::Optimized);
        let but = if is_for { "" } else { "But: " };
        reasons.push(format!("{but}{}", sentence(measure)));
    }
    (better, reasons)
}

fn differs(measure: &Measure) -> bool {
    let (a, b) = (measure.original, measure.optimized);
    let is_count = !matches!(measure.name, "cost" | "actual_ms" | "rows_read");
    if is_count { (a - b).abs() > f64::EPSILON } else { (a - b).abs() > SAME * a.max(b) }
}

fn sentence(measure: &Measure) -> String {
    let what = match measure.name {
        "actual_ms" => "measured time in ms",
        "cost" => "estimated cost",
        "rows_read" => "rows read",
        "full_scans" => "full scans",
        "per_row_subqueries" => "subqueries done row by row",
        "sorts" => "sorts",
        "temporary_tables" => "temporary tables",
        other => other,
    };
    let change = measure.change_percent.map(|percent| format!(" ({percent:+} %)")).unwrap_or_default();
    format!("{what}: {} → {}{change}.", number(measure.original), number(measure.optimized))
}

fn indexes(original: &Plan, optimized: &Plan) -> Option<String> {
    let (before, after) = (original.indexes(), optimized.indexes());
    let gone: Vec<&str> = before.iter().filter(|index| !after.contains(index)).copied().collect();
    let new: Vec<&str> = after.iter().filter(|index| !before.contains(index)).copied().collect();
    match (new.as_slice(), gone.as_slice()) {
        ([], []) => None,
        (new, []) => Some(format!("The optimized one also uses {}.", listed(new))),
        ([], gone) => Some(format!("The optimized one no longer uses {}.", listed(gone))),
        (new, gone) => Some(format!("The optimized one uses {} in place of {}.", listed(new), listed(gone))),
    }
}

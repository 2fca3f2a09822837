//! `EXPLAIN QUERY PLAN` of SQLite.

use std::collections::HashMap;

use super::{Access, Plan, Step, Work};

/// One row of it.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) id: i64,
    pub(crate) parent: i64,
    pub(crate) detail: String,
}

/// The plan that the rows are.
pub(crate) fn read(rows: &[Row]) -> Plan {
    let mut plan = Plan::default();
    let mut depths: HashMap<i64, usize> = HashMap::new();
    for row in rows {
        let depth = depths.get(&row.parent).map_or(0, |depth| depth + 1);
        depths.insert(row.id, depth);
        plan.push(step(depth, &row.detail));
    }
    plan
}

fn step(depth: usize, detail: &str) -> Step {
    let mut step = Step { depth, operation: detail.to_owned(), ..Step::default() };
    let words: Vec<&str> = detail.split(' ').collect();
    match words.as_slice() {
        ["SCAN", "CONSTANT", "ROW"] => step.access = Access::Single,
        ["SCAN", table, rest @ ..] => {
            step.table = named(table);
            step.access = Access::FullScan;
            if rest.contains(&"INDEX") && !rest.contains(&"VIRTUAL") {
                step.access = Access::FullIndexScan;
            } else if rest.contains(&"VIRTUAL") {
                step.access = Access::IndexRange;
            }
            index(&mut step, rest);
        }
        ["SEARCH", table, rest @ ..] => {
            step.table = named(table);
            let is_range = detail.contains('>') || detail.contains('<');
            let is_key = rest.contains(&"PRIMARY") && !is_range;
            step.access = match (is_key, is_range) {
                (true, _) => Access::Single,
                (false, true) => Access::IndexRange,
                (false, false) => Access::IndexLookup,
            };
            index(&mut step, rest);
        }
        ["USE", "TEMP", "B-TREE", "FOR", rest @ ..] => {
            step.work.push(Work::Temporary);
            if rest.contains(&"ORDER") {
                step.work.push(Work::Sort);
            }
        }
        ["MATERIALIZE", ..] => step.work.push(Work::Temporary),
        ["CORRELATED", ..] => step.work.push(Work::PerRow),
        _ => {}
    }
    step
}

/// A table without the schema before it; nothing for a subquery, which stands there as `(subquery-2)`.
fn named(table: &str) -> Option<String> {
    let name = table.rsplit('.').next().unwrap_or(table);
    (!table.starts_with('(')).then(|| name.to_owned())
}

/// Reads `USING [AUTOMATIC] [COVERING|PARTIAL] INDEX name (…)`.
fn index(step: &mut Step, words: &[&str]) {
    if words.contains(&"COVERING") {
        step.work.push(Work::Covering);
    }
    if words.contains(&"AUTOMATIC") {
        step.work.push(Work::AutomaticIndex);
        return;
    }
    let at = words.iter().position(|word| *word == "INDEX");
    if let Some(name) = at.and_then(|at| words.get(at + 1)).filter(|name| !name.starts_with('(')) {
        step.index = Some(name.trim_end_matches(':').to_owned());
    } else if words.contains(&"PRIMARY") {
        step.index = Some("PRIMARY KEY".into());
    }
}

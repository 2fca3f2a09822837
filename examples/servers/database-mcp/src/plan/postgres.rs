//! `EXPLAIN (FORMAT JSON)` of PostgreSQL.

use serde_json::Value;

use super::{Access, Plan, Step, Work, number};

/// Below this share of rows that are kept, a step throws most of them away.
const FEW: f64 = 0.1;
/// Fewer rows thrown away than this are nothing to speak of.
const MANY_ROWS: f64 = 1_000.0;

/// The plan of a document.
pub(crate) fn read(document: &Value) -> Plan {
    let top = document.get(0).unwrap_or(document);
    let root = &top["Plan"];
    let mut plan = Plan {
        cost: number(&root["Total Cost"]),
        rows: number(&root["Plan Rows"]),
        actual_ms: number(&top["Execution Time"]),
        ..Plan::default()
    };
    node(&mut plan, root, 0, false);
    plan
}

fn text(node: &Value, key: &str) -> Option<String> {
    node[key].as_str().map(str::to_owned)
}

fn node(plan: &mut Plan, node: &Value, depth: usize, is_per_row: bool) {
    if !node.is_object() || plan.is_cut {
        return;
    }
    plan.push(step(node, depth, is_per_row));
    for inner in node["Plans"].as_array().into_iter().flatten() {
        // An InitPlan runs once; a SubPlan that is not hashed runs for every row.
        let is_subplan = inner["Parent Relationship"] == "SubPlan";
        let name = inner["Subplan Name"].as_str().unwrap_or_default();
        let is_hashed = condition(node).is_some_and(|condition| condition.contains(&format!("hashed {name}")));
        self::node(plan, inner, depth + 1, is_subplan && !is_hashed);
    }
}

fn step(node: &Value, depth: usize, is_per_row: bool) -> Step {
    let kind = node["Node Type"].as_str().unwrap_or_default();
    let mut step = Step {
        depth,
        operation: operation(node, kind),
        access: access(node, kind),
        table: text(node, "Alias").or_else(|| text(node, "Relation Name")),
        index: text(node, "Index Name"),
        rows: number(&node["Plan Rows"]),
        actual_rows: number(&node["Actual Rows"]),
        loops: number(&node["Actual Loops"]),
        cost: number(&node["Total Cost"]),
        condition: condition(node),
        ..Step::default()
    };
    if kind.contains("Sort") {
        let on_disk = node["Sort Space Type"] == "Disk";
        step.work.push(if on_disk { Work::SortOnDisk } else { Work::Sort });
    }
    if kind == "Materialize" || kind == "CTE Scan" {
        step.work.push(Work::Temporary);
    }
    if kind == "Index Only Scan" {
        step.work.push(Work::Covering);
    }
    if is_per_row {
        step.work.push(Work::PerRow);
    }
    if throws_away(node) {
        step.work.push(Work::FiltersMuch);
    }
    step
}

fn operation(node: &Value, kind: &str) -> String {
    let mut words = Vec::new();
    words.extend(text(node, "Join Type").filter(|kind| kind != "Inner"));
    words.push(kind.to_owned());
    words.extend(text(node, "Strategy").filter(|strategy| strategy != "Plain").map(|strategy| format!("({strategy})")));
    words.extend(text(node, "Subplan Name").map(|name| format!("[{name}]")));
    words.join(" ")
}

fn access(node: &Value, kind: &str) -> Access {
    match kind {
        "Seq Scan" | "Parallel Seq Scan" | "Sample Scan" => Access::FullScan,
        "Index Scan" | "Index Only Scan" | "Bitmap Index Scan" => match node["Index Cond"].as_str() {
            None => Access::FullIndexScan,
            Some(condition) if condition.contains(['<', '>', '~']) => Access::IndexRange,
            Some(_) => Access::IndexLookup,
        },
        "Bitmap Heap Scan" => Access::IndexLookup,
        "Tid Scan" | "Result" => Access::Single,
        _ => Access::None,
    }
}

fn condition(node: &Value) -> Option<String> {
    let keys = ["Index Cond", "Recheck Cond", "Hash Cond", "Merge Cond", "Join Filter", "Filter"];
    let conditions: Vec<String> = keys.iter().filter_map(|key| text(node, key)).collect();
    let keys = ["Sort Key", "Group Key"].iter().filter_map(|key| node[*key].as_array());
    let keys = keys.map(|keys| keys.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "));
    let all: Vec<String> = conditions.into_iter().chain(keys).collect();
    (!all.is_empty()).then(|| all.join(" and "))
}

fn throws_away(node: &Value) -> bool {
    let removed = number(&node["Rows Removed by Filter"]).unwrap_or_default();
    let kept = number(&node["Actual Rows"]).unwrap_or_default();
    let loops = number(&node["Actual Loops"]).unwrap_or(1.0);
    removed * loops >= MANY_ROWS && kept < (removed + kept) * FEW
}

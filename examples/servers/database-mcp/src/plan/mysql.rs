//! `EXPLAIN FORMAT=JSON` of MySQL and of MariaDB. The two nest the same pieces in different ways and name some
//! of them differently; so every object is walked, and pieces are known by their keys.

use serde_json::Value;

use super::{Access, Plan, Step, Work, number};

/// Reads a document. MariaDB writes conditions into it as they are in SQL, quotes and backslashes and all: where
/// that is no JSON, each line with a text is read as one.
pub(crate) fn parse(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str(text).or_else(|_| {
        let lines: Vec<String> = text.lines().map(|line| repaired(line).unwrap_or_else(|| line.to_owned())).collect();
        serde_json::from_str(&lines.join("\n"))
    })
}

/// A line `"key": "text"` with the text written as JSON has it.
fn repaired(line: &str) -> Option<String> {
    let (key, rest) = line.split_once("\": \"")?;
    let (text, end) = rest.rsplit_once('"').filter(|(_, end)| matches!(*end, "" | ","))?;
    Some(format!("{key}\": {}{end}", Value::from(text)))
}

/// The plan of a document. `cost` is what the server says of it elsewhere, where the document says nothing.
pub(crate) fn read(document: &Value, cost: Option<f64>) -> Plan {
    let block = &document["query_block"];
    let own = number(&block["cost_info"]["query_cost"]).or_else(|| number(&block["cost"]));
    let mut plan = Plan {
        cost: own.or(cost).filter(|cost| *cost > 0.0),
        actual_ms: number(&block["r_total_time_ms"]),
        ..Plan::default()
    };
    walk(&mut plan, block, 0);
    plan.rows = produced(&plan);
    plan
}

/// Objects that are steps of their own, with what they are called here.
const OPERATIONS: &[(&str, &str, &[Work])] = &[
    ("ordering_operation", "sort", &[]),
    ("grouping_operation", "group", &[]),
    ("duplicates_removal", "remove duplicates", &[]),
    ("windowing", "window functions", &[]),
    ("window_functions_computation", "window functions", &[]),
    ("buffer_result", "buffer the result", &[Work::Temporary]),
    ("union_result", "union", &[]),
    ("filesort", "filesort", &[Work::Sort]),
    ("temporary_table", "temporary table", &[Work::Temporary]),
    ("block-nl-join", "block nested-loop join", &[Work::JoinBuffer]),
    ("materialized", "materialize", &[Work::Temporary]),
    ("materialized_from_subquery", "materialize", &[Work::Temporary]),
];

/// Objects of subqueries, which stand below what uses them.
const SUBQUERIES: &[&str] = &[
    "subqueries",
    "attached_subqueries",
    "select_list_subqueries",
    "having_subqueries",
    "order_by_subqueries",
    "group_by_subqueries",
    "optimized_away_subqueries",
];

fn walk(plan: &mut Plan, value: &Value, depth: usize) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| walk(plan, item, depth)),
        Value::Object(entries) => {
            for (key, value) in entries {
                entry(plan, key, value, depth);
            }
        }
        _ => {}
    }
}

fn entry(plan: &mut Plan, key: &str, value: &Value, depth: usize) {
    if key == "table" {
        table(plan, value, depth);
    } else if let Some((_, name, work)) = OPERATIONS.iter().find(|(known, ..)| *known == key) {
        operation(plan, name, work, value, depth);
    } else if SUBQUERIES.contains(&key) {
        subqueries(plan, value, depth);
    } else if key == "query_specifications" {
        for query in value.as_array().into_iter().flatten() {
            plan.push(Step { depth, operation: "query".into(), ..Step::default() });
            walk(plan, query, depth + 1);
        }
    } else if matches!(key, "nested_loop" | "query_block" | "read_sorted_file") {
        walk(plan, value, depth);
    }
}

fn operation(plan: &mut Plan, name: &str, work: &[Work], value: &Value, depth: usize) {
    let mut step = Step { depth, operation: name.to_owned(), work: work.to_vec(), ..Step::default() };
    if value["using_filesort"] == true {
        step.work.push(Work::Sort);
    }
    if value["using_temporary_table"] == true && !step.has(Work::Temporary) {
        step.work.push(Work::Temporary);
    }
    if number(&value["r_sort_passes"]).is_some_and(|passes| passes > 0.0) {
        step.work.push(Work::SortOnDisk);
    }
    step.condition = value["sort_key"].as_str().map(str::to_owned);
    plan.push(step);
    walk(plan, value, depth + 1);
}

fn subqueries(plan: &mut Plan, value: &Value, depth: usize) {
    let list = value.as_array().map_or_else(|| vec![value], |list| list.iter().collect());
    for subquery in list {
        // MariaDB keeps results of one that depends on rows in a cache, and MySQL says that it depends.
        let cache = &subquery["expression_cache"];
        let is_per_row = subquery["dependent"] == true || cache.is_object();
        let work = if is_per_row { vec![Work::PerRow] } else { Vec::new() };
        plan.push(Step { depth, operation: "subquery".into(), work, ..Step::default() });
        walk(plan, subquery, depth + 1);
        walk(plan, cache, depth + 1);
    }
}

fn table(plan: &mut Plan, value: &Value, depth: usize) {
    let Value::Object(entries) = value else { return };
    let name = value["table_name"].as_str();
    let access = value["access_type"].as_str().unwrap_or_default();
    if name.is_none() {
        let message = value["message"].as_str().unwrap_or("no table");
        plan.push(Step { depth, operation: message.to_owned(), access: Access::Single, ..Step::default() });
        return;
    }
    let is_inner = name.is_some_and(|name| name.starts_with('<'));
    let step = Step {
        depth,
        operation: format!("table access {access}"),
        access: accessed(access),
        table: name.filter(|_| !is_inner).map(str::to_owned),
        index: value["key"].as_str().filter(|_| !is_inner).map(str::to_owned),
        rows: number(&value["rows_examined_per_scan"]).or_else(|| number(&value["rows"])),
        actual_rows: number(&value["r_rows"]),
        loops: number(&value["r_loops"]),
        cost: number(&value["cost_info"]["prefix_cost"]).or_else(|| number(&value["cost"])),
        condition: condition(value),
        work: worked(value),
        keeps: number(&value["filtered"]).map(|percent| percent / 100.0),
    };
    plan.push(step);
    for key in ["materialized", "materialized_from_subquery"].iter().chain(SUBQUERIES) {
        if let Some(inner) = entries.get(*key) {
            entry(plan, key, inner, depth + 1);
        }
    }
}

fn condition(table: &Value) -> Option<String> {
    let keys = ["index_condition", "attached_condition"];
    let conditions: Vec<&str> = keys.iter().filter_map(|key| table[*key].as_str()).collect();
    (!conditions.is_empty()).then(|| conditions.join(" and "))
}

fn worked(table: &Value) -> Vec<Work> {
    let mut work = Vec::new();
    if table["using_index"] == true {
        work.push(Work::Covering);
    }
    if table["using_join_buffer"].is_string() {
        work.push(Work::JoinBuffer);
    }
    if table["using_filesort"] == true {
        work.push(Work::Sort);
    }
    work
}

fn accessed(access: &str) -> Access {
    match access {
        "ALL" => Access::FullScan,
        "index" => Access::FullIndexScan,
        "range" | "index_merge" => Access::IndexRange,
        "system" | "const" | "eq_ref" => Access::Single,
        "ref" | "ref_or_null" | "fulltext" | "unique_subquery" | "index_subquery" => Access::IndexLookup,
        _ => Access::None,
    }
}

/// How many rows come out at the end, where the last table says so.
fn produced(plan: &Plan) -> Option<f64> {
    let tables: Vec<&Step> = plan.steps.iter().filter(|step| step.table.is_some()).collect();
    match tables.as_slice() {
        [only] => only.rows,
        _ => None,
    }
}

//! Tables that are read whole, and the indexes that would spare that.

use super::{Case, LARGE, SMALL, Spot, about_rows, index, reads_all, severity_of};
use crate::{
    finding::{Finding, Severity},
    plan::{Access, Step, Work},
    query::{Op, Predicate, Side},
    text::listed,
};

pub(super) fn findings(case: Case<'_>) -> Vec<Finding> {
    let steps = case.table_steps();
    let mut findings = Vec::new();
    for (place, (step, spot)) in steps.iter().enumerate() {
        let Some(spot) = spot.filter(|_| reads_all(step)) else { continue };
        let is_inner = steps[..place].iter().any(|(_, other)| {
            other.is_some_and(|other| std::ptr::eq(other.select, spot.select) && other.at != spot.at)
        });
        findings.extend(scan(case, step, spot, is_inner));
    }
    findings
}

/// How many rows a scan reads: what the table has, or what the plan says.
fn rows_of(step: &Step, spot: Spot<'_>) -> Option<f64> {
    spot.info.rows.or(step.rows)
}

fn scan(case: Case<'_>, step: &Step, spot: Spot<'_>, is_inner: bool) -> Option<Finding> {
    let rows = rows_of(step, spot);
    if rows.is_some_and(|rows| rows < SMALL) {
        return None;
    }
    // A whole index in its own order is what somebody wants who sorts or counts.
    let is_index = step.access == Access::FullIndexScan && !step.has(Work::AutomaticIndex);
    let wanted = index::wanted(&case, spot, is_inner);
    if wanted.is_empty() {
        return alternatives(case, spot, rows).or_else(|| (!is_index).then(|| plain(case, step, spot, rows)));
    }
    let columns = wanted.columns();
    let on_hash = case.joins_whole_tables() && !compares_with_values(case, spot);
    if let Some(existing) = wanted.existing(spot.info) {
        return (!on_hash && !is_index).then(|| unused(case, step, spot, existing, wanted.is_prefix));
    }
    // Sorting alone is told of where the sort is.
    if wanted.equal.is_empty() && !compares_with_order(case, spot) {
        return (!is_index).then(|| plain(case, step, spot, rows));
    }
    let severity = if on_hash { Severity::Low } else { severity_of(rows) };
    let what = if is_index { "All of an index of" } else { "All of" };
    let why = if columns.len() == 1 {
        format!("no index begins with {}", columns[0])
    } else {
        format!("no index begins with {}", listed(&columns))
    };
    let message = format!("{what} {} is read{}: {why}.", spot.info.name, about_rows(rows));
    let statement = index::statement(case.kind, spot.info, &columns, wanted.is_prefix);
    let advice = if on_hash {
        "The tables are joined as a whole; an index pays only where few rows of the other one are left."
    } else {
        "Create an index on what the query compares."
    };
    Some(Finding::new("missing_index", severity, message).of(&spot.info.name).advice(advice).statement(statement))
}

fn compares_with_values(case: Case<'_>, spot: Spot<'_>) -> bool {
    case.predicates_of(spot).iter().any(|predicate| matches!(predicate.other, Side::Value(_)))
}

fn compares_with_order(case: Case<'_>, spot: Spot<'_>) -> bool {
    case.predicates_of(spot).iter().any(|predicate| matches!(predicate.op, Op::Range | Op::Prefix))
}

/// A scan that no single index would spare, and why.
fn plain(case: Case<'_>, step: &Step, spot: Spot<'_>, rows: Option<f64>) -> Finding {
    let predicates = case.predicates_of(spot);
    let values: Vec<&&Predicate> =
        predicates.iter().filter(|predicate| !matches!(predicate.other, Side::Column(_))).collect();
    let hidden = values.iter().any(|predicate| predicate.within.is_some() || predicate.op == Op::Contains);
    let (severity, why, advice) = if hidden {
        let why = "an index cannot find what it looks for";
        (severity_of(rows), why, "See what is said of its conditions.")
    } else if !values.is_empty() {
        let why = "its conditions leave most rows, or no index can be used for them";
        (severity_of(rows).max(Severity::Medium), why, "Narrow it down with a condition that few rows meet.")
    } else {
        let many = rows.is_some_and(|rows| rows >= LARGE) && !spot.select.is_limited;
        let severity = if many { Severity::Medium } else { Severity::Low };
        (severity, "no condition narrows it down", "Add a condition, or LIMIT, unless every row is needed.")
    };
    let times = if step.has(Work::PerRow) { " for every outer row" } else { "" };
    let message = format!("All of {} is read{times}{}: {why}.", spot.info.name, about_rows(rows));
    Finding::new("full_scan", severity, message).of(&spot.info.name).advice(advice)
}

/// There is an index, and the database would rather not.
fn unused(case: Case<'_>, step: &Step, spot: Spot<'_>, existing: &str, is_prefix: bool) -> Finding {
    let rows = rows_of(step, spot);
    let message = format!(
        "All of {} is read{}, although the index {existing} begins with what is compared.",
        spot.info.name,
        about_rows(rows)
    );
    let advice = if is_prefix {
        "LIKE needs an index in the order that it compares by; see whether the index has it."
    } else {
        "Most rows may meet the condition, or the statistics are old: gather them anew and look again."
    };
    let finding = Finding::new("index_not_used", severity_of(rows).max(Severity::Medium), message).of(&spot.info.name);
    let statement = if is_prefix {
        let wanted = index::wanted(&case, spot, false);
        index::statement(case.kind, spot.info, &wanted.columns(), true)
    } else {
        super::work::analyze(case.kind, spot.info)
    };
    finding.advice(advice).statement(statement)
}

/// Conditions that are alternatives: one index each.
fn alternatives(case: Case<'_>, spot: Spot<'_>, rows: Option<f64>) -> Option<Finding> {
    let predicates = case.predicates_of(spot);
    let of_or: Vec<&&Predicate> = predicates.iter().filter(|predicate| predicate.alternative_of.is_some()).collect();
    let is_usable = |predicate: &&Predicate| {
        let by_value = matches!(predicate.other, Side::Value(_)) && predicate.within.is_none();
        by_value && !matches!(predicate.op, Op::Loose | Op::Contains)
    };
    if of_or.len() < 2 || !of_or.iter().all(|predicate| is_usable(predicate)) {
        return None;
    }
    let mut missing: Vec<&str> = of_or.iter().map(|predicate| predicate.column.name.as_str()).collect();
    missing.sort_unstable();
    missing.dedup();
    missing.retain(|column| spot.info.index_of(column).is_none());
    if missing.is_empty() {
        return None;
    }
    let statements: Vec<String> =
        missing.iter().map(|column| index::statement(case.kind, spot.info, &[column], false)).collect();
    let message = format!(
        "All of {} is read{}: its alternatives (OR) on {} have no index.",
        spot.info.name,
        about_rows(rows),
        listed(&missing)
    );
    let advice = "Each alternative needs an index of its own; where that does not help, use UNION ALL of both.";
    let finding = Finding::new("missing_index", severity_of(rows), message).of(&spot.info.name);
    Some(finding.advice(advice).statement(statements.join(" ")))
}

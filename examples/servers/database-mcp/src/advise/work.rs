//! Sorts, temporary tables, subqueries done row by row, and estimates that are far off.

use super::{Case, HUGE, LARGE, index};
use crate::{
    Kind,
    catalog::TableInfo,
    finding::{Finding, Severity},
    plan::{Step, Work},
    text::{number, rounded},
};

/// From this factor on an estimate is wrong.
const FAR_OFF: f64 = 10.0;

pub(super) fn findings(case: Case<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(on_disk(case));
    findings.extend(sort(case));
    findings.extend(temporary(case));
    findings.extend(per_row(case));
    findings.extend(estimates(case));
    findings.extend(filters(case));
    findings.extend(unbounded(case));
    findings
}

/// About how many rows a plan reads in all.
fn reads(case: Case<'_>) -> Option<f64> {
    let rows = case.table_steps().into_iter().filter_map(|(step, spot)| {
        let all = spot.and_then(|spot| spot.info.rows).filter(|_| super::reads_all(step));
        all.or(step.rows)
    });
    let rows: Vec<f64> = rows.collect();
    (!rows.is_empty()).then(|| rows.iter().sum())
}

fn by_rows(rows: Option<f64>) -> Severity {
    if rows.is_some_and(|rows| rows >= LARGE) { Severity::Medium } else { Severity::Low }
}

fn sort(case: Case<'_>) -> Option<Finding> {
    if case.plan.count(Work::Sort) == 0 {
        return None;
    }
    let sorted = case.plan.steps.iter().filter(|step| step.has(Work::Sort));
    let rows = sorted.filter_map(|step| step.actual_rows.or(step.rows)).reduce(f64::max).or_else(|| reads(case));
    let word =
        if case.kind == Kind::Mysql { "It sorts in a pass of its own (filesort)." } else { "It sorts its rows." };
    let mut finding = Finding::new("sort", by_rows(rows), word);
    finding.advice =
        Some("An index in the order that is asked for spares the sort; so does a small LIMIT, in part.".into());
    finding.statement = sorting_index(case);
    Some(finding)
}

/// An index that has what is asked for in its order, for a query of one table.
fn sorting_index(case: Case<'_>) -> Option<String> {
    let [select] = case.shape.selects.as_slice() else { return None };
    let [factor] = select.factors.as_slice() else { return None };
    let info = case.catalog.table(factor.table.as_ref()?)?;
    if select.order_by.is_empty() || select.is_grouped {
        return None;
    }
    let spot = super::Spot { select, at: 0, info };
    let wanted = index::wanted(&case, spot, false);
    let mut columns: Vec<&str> = wanted.equal.iter().map(String::as_str).collect();
    for column in &select.order_by {
        let column = info.column(&column.name)?;
        if !columns.contains(&column.name.as_str()) {
            columns.push(&column.name);
        }
    }
    columns.truncate(4);
    info.index_on(&columns).is_none().then(|| index::statement(case.kind, info, &columns, false))
}

fn on_disk(case: Case<'_>) -> Option<Finding> {
    if case.plan.count(Work::SortOnDisk) == 0 {
        return None;
    }
    let advice = match case.kind {
        Kind::Postgres => "Raise work_mem for this query, or sort fewer rows.",
        Kind::Mysql => "Raise sort_buffer_size for this session, or sort fewer rows.",
        Kind::Oracle => "Raise pga_aggregate_target, or sort fewer rows.",
        Kind::Sqlite => "Raise PRAGMA cache_size, or sort fewer rows.",
    };
    Some(
        Finding::new("sort_on_disk", Severity::High, "A sort did not fit into memory and went to disk.").advice(advice),
    )
}

fn temporary(case: Case<'_>) -> Option<Finding> {
    // A sort that is told of uses its temporary index for that.
    let is_plain = |step: &&Step| step.has(Work::Temporary) && !step.has(Work::Sort);
    let step = case.plan.steps.iter().find(is_plain)?;
    let operation = step.operation.to_lowercase();
    let by = if operation.contains("temporary") { String::new() } else { format!(" ({operation})") };
    let message = format!("It keeps rows in a temporary table{by}.");
    let advice = "An index on the columns of GROUP BY or DISTINCT spares it; so does a subquery written as a join.";
    Some(Finding::new("temporary_table", by_rows(reads(case)), message).advice(advice))
}

fn per_row(case: Case<'_>) -> Option<Finding> {
    case.plan.steps.iter().find(|step| step.has(Work::PerRow))?;
    let severity = if reads(case).is_some_and(|rows| rows >= HUGE) { Severity::High } else { Severity::Medium };
    let message = "A subquery is done again for every row of the query around it.";
    let advice =
        "Write it as a join, or as a derived table that is grouped once; or see that it finds its rows by an index.";
    Some(Finding::new("correlated_subquery", severity, message).advice(advice))
}

/// The estimates that are far off: those of tables, where others follow from them.
fn estimates(case: Case<'_>) -> Vec<Finding> {
    let far_off: Vec<Finding> = case.plan.steps.iter().filter_map(|step| estimate(case, step)).collect();
    let is_of_tables = far_off.iter().any(|finding| finding.table.is_some());
    far_off.into_iter().filter(|finding| finding.table.is_some() || !is_of_tables).take(3).collect()
}

fn estimate(case: Case<'_>, step: &Step) -> Option<Finding> {
    let (expected, actual) = (step.rows?.max(1.0), step.actual_rows?.max(1.0));
    let factor = (expected / actual).max(actual / expected);
    if factor < FAR_OFF || expected.max(actual) < LARGE || step.loops == Some(0.0) {
        return None;
    }
    // Who needs no more rows stops a step before its end.
    if actual < expected && may_stop(case) {
        return None;
    }
    let what = step.table.as_deref().unwrap_or(&step.operation);
    let message = format!(
        "{what} was expected to give {} rows and gave {}: off by {} times.",
        number(rounded(expected, 0)),
        number(rounded(actual, 0)),
        number(rounded(factor, 0))
    );
    let mut finding = Finding::new("row_estimate", Severity::Medium, message);
    finding.advice = Some("The plan was chosen by wrong numbers: gather statistics anew and look again.".into());
    if let Some(spot) = case.spot(step, 0) {
        finding.table = Some(spot.info.name.clone());
        finding.statement = Some(analyze(case.kind, spot.info));
    }
    Some(finding)
}

/// Whether steps may be stopped before they gave all they have.
fn may_stop(case: Case<'_>) -> bool {
    let merges = case.plan.steps.iter().any(|step| step.operation.contains("Merge Join"));
    merges || case.shape.selects.iter().any(|select| select.is_limited)
}

fn filters(case: Case<'_>) -> Option<Finding> {
    let step = case.plan.steps.iter().find(|step| step.has(Work::FiltersMuch))?;
    let what = step.table.as_deref().unwrap_or(&step.operation);
    let message = format!("{what} throws most of the rows away that it reads.");
    let advice = "An index that has the columns of its filter finds the others at once.";
    Some(Finding::new("filters_much", Severity::Medium, message).advice(advice))
}

/// Tables of which there are no statistics.
pub(super) fn statistics(case: Case<'_>) -> Vec<Finding> {
    case.catalog.tables.iter().filter_map(|info| without_statistics(case, info)).collect()
}

fn without_statistics(case: Case<'_>, info: &TableInfo) -> Option<Finding> {
    let is_missing = info.has_statistics == Some(false) && info.rows.is_none_or(|rows| rows >= LARGE);
    is_missing.then(|| {
        Finding::new("no_statistics", Severity::Low, format!("There are no statistics of {}.", info.name))
            .of(&info.name)
            .advice("Without them plans are guesses: gather them.")
            .statement(analyze(case.kind, info))
    })
}

/// The statement that gathers statistics of a table.
pub(super) fn analyze(kind: Kind, info: &TableInfo) -> String {
    let schema = info.schema.as_deref().map(|schema| format!("{}.", kind.quote(schema))).unwrap_or_default();
    let table = format!("{schema}{}", kind.quote(&info.name));
    match kind {
        Kind::Mysql => format!("ANALYZE TABLE {table};"),
        Kind::Postgres | Kind::Sqlite => format!("ANALYZE {table};"),
        Kind::Oracle => {
            let owner = info.schema.as_deref().map_or_else(|| "USER".into(), |schema| format!("'{schema}'"));
            format!("EXEC DBMS_STATS.GATHER_TABLE_STATS({owner}, '{}');", info.name)
        }
    }
}

fn unbounded(case: Case<'_>) -> Option<Finding> {
    let select = case.shape.selects.first()?;
    let rows = case.plan.rows.filter(|rows| *rows >= HUGE)?;
    if select.is_limited || select.is_grouped {
        return None;
    }
    let message = format!("It returns about {} rows.", number(rounded(rows, 0)));
    Some(Finding::new("many_rows", Severity::Low, message).advice("Page through them (LIMIT) unless all are needed."))
}

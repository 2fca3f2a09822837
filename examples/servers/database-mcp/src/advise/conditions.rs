//! Conditions that hide a column from its index.

use super::{Case, Spot, reads_all};
use crate::{
    Kind,
    finding::{Finding, Severity},
    query::{Literal, Op, Predicate, Side},
};

pub(super) fn findings(case: Case<'_>) -> Vec<Finding> {
    // What a subquery has of columns, the query around it chooses from.
    let outermost = case.shape.selects.first().filter(|select| select.has_star);
    let mut findings: Vec<Finding> = outermost.map(|select| star(select.factors.len())).into_iter().collect();
    for select in &case.shape.selects {
        for predicate in &select.predicates {
            let at = case.catalog.factor_of(select, &predicate.column);
            let table = at.and_then(|at| Some((at, select.factors.get(at)?.table.as_ref()?)));
            if let Some((at, info)) = table.and_then(|(at, table)| Some((at, case.catalog.table(table)?))) {
                findings.extend(predicate_findings(case, predicate, Spot { select, at, info }));
            }
        }
    }
    findings
}

fn star(tables: usize) -> Finding {
    let severity = if tables > 1 { Severity::Medium } else { Severity::Low };
    let of = if tables > 1 { " of several tables" } else { "" };
    Finding::new("select_star", severity, format!("It returns every column{of} (SELECT *)."))
        .advice("Name the columns that are needed: fewer bytes, and an index alone may have all of them.")
}

fn predicate_findings(case: Case<'_>, predicate: &Predicate, spot: Spot<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    // Where another condition finds the rows by an index, this one has few of them to look at.
    if !is_scanned(case, spot) {
        return findings;
    }
    if predicate.within.is_some() && predicate.op != Op::Loose && !matches!(predicate.other, Side::Column(_)) {
        findings.extend(function(case, predicate, spot));
    }
    if predicate.op == Op::Contains && predicate.within.is_none() {
        findings.push(wildcard(case, predicate, spot));
    }
    if predicate.within.is_none() {
        findings.extend(mismatch(case, predicate, spot));
    }
    findings
}

/// Whether the plan reads all of the table.
fn is_scanned(case: Case<'_>, spot: Spot<'_>) -> bool {
    case.table_steps().iter().any(|(step, other)| {
        reads_all(step) && other.is_some_and(|other| std::ptr::eq(other.info, spot.info) && other.at == spot.at)
    })
}

fn function(case: Case<'_>, predicate: &Predicate, spot: Spot<'_>) -> Option<Finding> {
    let name = predicate.within.as_deref()?;
    let column = &predicate.column.name;
    // An index on the very expression is what the function is for.
    let is_indexed_so = |index: &crate::catalog::Index| {
        index.columns.iter().any(|own| {
            let own = own.to_lowercase();
            own.contains(&column.to_lowercase()) && own.contains('(') && own.contains(first_word(name))
        })
    };
    if spot.info.indexes.iter().any(is_indexed_so) {
        return None;
    }
    let index = spot.info.index_of(column);
    let which = index.map(|index| format!("the index {}", index.name)).unwrap_or_else(|| "an index on it".into());
    let message = format!(
        "{column} of {} stands in {}: {which} cannot be used for {}.",
        spot.info.name,
        shown(name),
        predicate.text
    );
    let mut finding =
        Finding::new("function_on_column", super::severity_of(spot.info.rows), message).of(&spot.info.name);
    finding.advice = Some(instead(name, column));
    finding.statement = expression_index(case.kind, name, spot, column);
    Some(finding)
}

fn first_word(name: &str) -> &str {
    name.split(' ').next().unwrap_or(name)
}

fn shown(name: &str) -> String {
    if name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        format!("{name}()")
    } else {
        format!("“{name}”")
    }
}

const DATES: &[&str] = &[
    "date",
    "year",
    "month",
    "day",
    "strftime",
    "date_trunc",
    "date_part",
    "extract",
    "to_char",
    "date_format",
    "datetime",
    "julianday",
    "trunc",
    "unixepoch",
    "cast to date",
    "unix_timestamp",
];

fn instead(name: &str, column: &str) -> String {
    if DATES.contains(&name) {
        format!("Compare {column} itself with a range: {column} >= start AND {column} < end.")
    } else if matches!(name, "lower" | "upper") {
        format!("Index {name}({column}), or use a collation that ignores case.")
    } else if matches!(name, "+" | "-" | "*" | "/" | "%" | "||") {
        format!("Bring the calculation to the other side, so that {column} stands alone.")
    } else {
        format!("Let {column} stand alone on its side of the comparison, or index the expression.")
    }
}

/// An index on the expression, where that is what one would do.
fn expression_index(kind: Kind, name: &str, spot: Spot<'_>, column: &str) -> Option<String> {
    if !matches!(name, "lower" | "upper") {
        return None;
    }
    let table = kind.quote(&spot.info.name);
    let expression = format!("{name}({})", kind.quote(column));
    let index = format!("idx_{}_{name}_{column}", spot.info.name).to_lowercase();
    let index = kind.quote(&index);
    match kind {
        Kind::Postgres => Some(format!("CREATE INDEX CONCURRENTLY {index} ON {table} ({expression});")),
        Kind::Sqlite | Kind::Oracle => Some(format!("CREATE INDEX {index} ON {table} ({expression});")),
        // MySQL ignores case by its usual collations, and MariaDB has no such indexes.
        Kind::Mysql => None,
    }
}

fn wildcard(case: Case<'_>, predicate: &Predicate, spot: Spot<'_>) -> Finding {
    let column = &predicate.column.name;
    let message =
        format!("{} begins with a wildcard: no ordinary index finds the rows of {}.", predicate.text, spot.info.name);
    let advice = match case.kind {
        Kind::Postgres => format!("A trigram index does: pg_trgm, USING gin ({column} gin_trgm_ops)."),
        Kind::Mysql => format!("A FULLTEXT index on {column} finds words (MATCH … AGAINST)."),
        Kind::Sqlite => format!("A full-text table (FTS5) on {column} finds words."),
        Kind::Oracle => format!("An Oracle Text index on {column} finds words (CONTAINS)."),
    };
    Finding::new("leading_wildcard", super::severity_of(spot.info.rows), message).of(&spot.info.name).advice(advice)
}

/// A text column compared with a number: both are turned into numbers, row by row.
fn mismatch(case: Case<'_>, predicate: &Predicate, spot: Spot<'_>) -> Option<Finding> {
    if !matches!(case.kind, Kind::Mysql | Kind::Oracle) || predicate.other != Side::Value(Literal::Number) {
        return None;
    }
    let column = spot.info.column(&predicate.column.name)?;
    let is_text = ["char", "text", "enum"].iter().any(|kind| column.kind.contains(kind));
    if !is_text || !matches!(predicate.op, Op::Equal | Op::OneOf | Op::Range) {
        return None;
    }
    let message = format!(
        "{} of {} is text ({}) and compared with a number in {}: every value is converted, and no index is used.",
        column.name, spot.info.name, column.kind, predicate.text
    );
    let finding = Finding::new("type_mismatch", Severity::High, message).of(&spot.info.name);
    Some(finding.advice("Put the value in quotes, so that text is compared with text."))
}

//! From a plan, a query and what is known of its tables to findings. Nothing here asks a database.

use crate::{
    Kind,
    catalog::{Catalog, TableInfo},
    finding::{Finding, Severity, sorted},
    plan::{Access, Plan, Step, Work},
    query::{Predicate, SelectShape, Shape},
};

mod conditions;
mod index;
mod joins;
mod scans;
#[cfg(test)]
mod tests;
mod work;

/// Tables with fewer rows than this are read whole by any good plan.
const SMALL: f64 = 100.0;
/// From here on it is felt.
const LARGE: f64 = 1_000.0;
/// From here on it hurts.
const HUGE: f64 = 10_000.0;
/// Most recommendations of an answer.
const MAX_RECOMMENDATIONS: usize = 5;

/// All that advice is made of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case<'a> {
    pub(crate) kind: Kind,
    pub(crate) plan: &'a Plan,
    pub(crate) shape: &'a Shape,
    pub(crate) catalog: &'a Catalog,
}

/// A table in FROM, found in the plan.
#[derive(Debug, Clone, Copy)]
struct Spot<'a> {
    select: &'a SelectShape,
    /// Which of its factors.
    at: usize,
    info: &'a TableInfo,
}

/// What a DBA should know of a query, the worst first.
pub(crate) fn findings(case: Case<'_>) -> Vec<Finding> {
    let mut findings = joins::findings(case);
    findings.extend(scans::findings(case));
    findings.extend(conditions::findings(case));
    findings.extend(work::findings(case));
    // Plans that have no other fault are good without statistics too.
    if !findings.is_empty() {
        findings.extend(work::statistics(case));
    }
    sorted(findings)
}

/// Fills in how many rows a step reads that reads all of a table, where the plan does not say.
pub(crate) fn complete(plan: &mut Plan, shape: &Shape, catalog: &Catalog) {
    let known = plan.clone();
    let case = Case { kind: Kind::Sqlite, plan: &known, shape, catalog };
    let mut spots = case.table_steps().into_iter().map(|(_, spot)| spot.and_then(|spot| spot.info.rows));
    for step in plan.steps.iter_mut().filter(|step| step.table.is_some()) {
        let rows = spots.next().flatten();
        if step.rows.is_none() && matches!(step.access, Access::FullScan | Access::FullIndexScan) {
            step.rows = rows;
        }
    }
}

/// What to do first: statements, or advice where there is none.
pub(crate) fn recommendations(findings: &[Finding]) -> Vec<String> {
    let mut recommendations: Vec<String> = Vec::new();
    for finding in findings {
        let what = finding.statement.as_ref().or(finding.advice.as_ref());
        recommendations.extend(what.filter(|what| !recommendations.contains(what)).cloned());
    }
    recommendations.truncate(MAX_RECOMMENDATIONS);
    recommendations
}

impl<'a> Case<'a> {
    /// The table of a step, in the SELECT that it is for. `nth` is how many steps of that name came before.
    fn spot(&self, step: &Step, nth: usize) -> Option<Spot<'a>> {
        let name = step.table.as_deref()?;
        let spots = self.shape.selects.iter().flat_map(|select| {
            let factors = select.factors.iter().enumerate();
            factors.filter_map(move |(at, factor)| {
                let table = factor.table.as_ref()?;
                let is_it = factor.alias.eq_ignore_ascii_case(name) || table.name.eq_ignore_ascii_case(name);
                is_it.then_some((select, at, table))
            })
        });
        let mut found: Vec<_> = spots.collect();
        // An alias says it better than the name of a table that is there under another one.
        let by_alias =
            |(select, at, _): &(&SelectShape, usize, _)| select.factors[*at].alias.eq_ignore_ascii_case(name);
        if found.iter().any(by_alias) {
            found.retain(by_alias);
        }
        let (select, at, table) = found.get(nth).or_else(|| found.last()).copied()?;
        Some(Spot { select, at, info: self.catalog.table(table)? })
    }

    /// The steps that read tables, each with its place in the query.
    fn table_steps(&self) -> Vec<(&'a Step, Option<Spot<'a>>)> {
        let mut seen: Vec<&str> = Vec::new();
        let mut steps = Vec::new();
        for step in &self.plan.steps {
            let Some(name) = step.table.as_deref() else { continue };
            let nth = seen.iter().filter(|other| **other == name).count();
            seen.push(name);
            steps.push((step, self.spot(step, nth)));
        }
        steps
    }

    /// The conditions on one table of a SELECT.
    fn predicates_of(&self, spot: Spot<'a>) -> Vec<&'a Predicate> {
        let is_its = |predicate: &&Predicate| self.catalog.factor_of(spot.select, &predicate.column) == Some(spot.at);
        spot.select.predicates.iter().filter(is_its).collect()
    }

    /// Whether tables are joined by hashing or merging, which reads all of them on purpose.
    fn joins_whole_tables(&self) -> bool {
        let is_such = |step: &Step| {
            let operation = step.operation.to_uppercase();
            operation.contains("HASH JOIN") || operation.contains("MERGE JOIN")
        };
        matches!(self.kind, Kind::Postgres | Kind::Oracle) && self.plan.steps.iter().any(is_such)
    }
}

/// How bad it is to read so many rows for nothing.
fn severity_of(rows: Option<f64>) -> Severity {
    match rows {
        Some(rows) if rows >= HUGE => Severity::High,
        Some(rows) if rows < LARGE => Severity::Low,
        Some(_) | None => Severity::Medium,
    }
}

/// `about 12 000 rows`, or nothing.
fn about_rows(rows: Option<f64>) -> String {
    rows.map(|rows| format!(", about {} rows", crate::text::number(crate::text::rounded(rows, 0)))).unwrap_or_default()
}

/// Whether a step reads a whole table or index, or makes an index because there is none.
fn reads_all(step: &Step) -> bool {
    matches!(step.access, Access::FullScan | Access::FullIndexScan) || step.has(Work::AutomaticIndex)
}

//! Tables that nothing joins.

use super::{Case, LARGE};
use crate::{
    finding::{Finding, Severity},
    query::SelectShape,
    text::{listed, number},
};

pub(super) fn findings(case: Case<'_>) -> Vec<Finding> {
    case.shape.selects.iter().filter_map(|select| cartesian(case, select)).collect()
}

fn cartesian(case: Case<'_>, select: &SelectShape) -> Option<Finding> {
    let count = select.factors.len();
    let mut group: Vec<usize> = (0..count).collect();
    let mut join = |a: usize, b: usize| {
        let (from, to) = (group[a], group[b]);
        group.iter_mut().filter(|of| **of == from).for_each(|of| *of = to);
    };
    select.joined.iter().for_each(|(a, b)| join(*a, *b));
    for link in &select.links {
        let places: Vec<Option<usize>> = link.iter().map(|column| case.catalog.factor_of(select, column)).collect();
        let known: Vec<usize> = places.iter().flatten().copied().collect();
        if places.len() > known.len() {
            // A column that could be anybody's may join anything: nothing is claimed.
            return None;
        }
        known.windows(2).for_each(|pair| join(pair[0], pair[1]));
    }
    let first = *group.first()?;
    let apart: Vec<usize> = (0..count).filter(|at| group[*at] != first).collect();
    if apart.is_empty() {
        return None;
    }
    let name = |at: &usize| select.factors[*at].alias.clone();
    let together: Vec<String> = (0..count).filter(|at| group[*at] == first).map(|at| name(&at)).collect();
    let apart_names: Vec<String> = apart.iter().map(name).collect();
    let size = product(case, select);
    let severity = if size.is_some_and(|size| size < LARGE) { Severity::Medium } else { Severity::High };
    let size = size.map(|size| format!(", up to {} rows", number(size))).unwrap_or_default();
    let message = format!(
        "Nothing joins {} with {}: every row of one is combined with every row of the other{size}.",
        listed(&together),
        listed(&apart_names)
    );
    Some(
        Finding::new("cartesian_join", severity, message).advice("Add the condition that joins them, or drop a table."),
    )
}

/// How many combinations there are, where the size of each table is known.
fn product(case: Case<'_>, select: &SelectShape) -> Option<f64> {
    let rows = select.factors.iter().map(|factor| case.catalog.table(factor.table.as_ref()?)?.rows);
    rows.map(|rows| rows.map(|rows| rows.max(1.0))).product()
}

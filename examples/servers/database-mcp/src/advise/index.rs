//! The index that a query asks for.

use super::{Case, Spot};
use crate::{
    Kind,
    catalog::TableInfo,
    query::{Op, Predicate, Side},
};

/// Most columns of an index that is suggested.
const MAX_COLUMNS: usize = 4;
/// Longest name of one.
const MAX_NAME: usize = 60;

/// Columns that an index would have to begin with.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Wanted {
    /// Compared by equality.
    pub(super) equal: Vec<String>,
    /// Then one that is compared by order, or those by which rows are sorted.
    pub(super) then: Vec<String>,
    /// Whether the one after is compared with the beginning of a text.
    pub(super) is_prefix: bool,
}

impl Wanted {
    pub(super) fn columns(&self) -> Vec<&str> {
        let mut columns: Vec<&str> = self.equal.iter().chain(&self.then).map(String::as_str).collect();
        columns.truncate(MAX_COLUMNS);
        columns
    }

    pub(super) fn is_empty(&self) -> bool {
        self.equal.is_empty() && self.then.is_empty()
    }

    /// The index that is there for it already.
    pub(super) fn existing<'a>(&self, info: &'a TableInfo) -> Option<&'a str> {
        let first: Vec<&str> = if self.equal.is_empty() {
            self.then.iter().take(1).map(String::as_str).collect()
        } else {
            self.equal.iter().take(MAX_COLUMNS).map(String::as_str).collect()
        };
        info.index_on(&first).map(|index| index.name.as_str())
    }
}

/// What an index helps a table of a SELECT with. `is_inner` says that rows of other tables are known when it is
/// read, so that columns compared with theirs count.
pub(super) fn wanted(case: &Case<'_>, spot: Spot<'_>, is_inner: bool) -> Wanted {
    let predicates = case.predicates_of(spot);
    let usable = |predicate: &&&Predicate| {
        let is_known = match &predicate.other {
            Side::Value(_) => true,
            Side::Column(other) => match case.catalog.factor_of(spot.select, other) {
                Some(at) => is_inner && at != spot.at,
                // A column of the query around a subquery is known by then.
                None => other.qualifier.is_some(),
            },
            Side::Other => predicate.op == Op::Equal || predicate.op == Op::OneOf,
        };
        is_known && predicate.within.is_none() && predicate.alternative_of.is_none()
    };
    let name = |predicate: &&Predicate| {
        let column = spot.info.column(&predicate.column.name);
        column.map_or_else(|| predicate.column.name.clone(), |column| column.name.clone())
    };
    let mut wanted = Wanted::default();
    let by = |ops: &'static [Op]| predicates.iter().filter(usable).filter(move |predicate| ops.contains(&predicate.op));
    for predicate in by(&[Op::Equal, Op::OneOf, Op::Null]) {
        let name = name(predicate);
        if !wanted.equal.contains(&name) {
            wanted.equal.push(name);
        }
    }
    let mut ranges = by(&[Op::Range, Op::Prefix]).filter(|predicate| !wanted.equal.contains(&name(predicate)));
    if let Some(range) = ranges.next() {
        wanted.is_prefix = range.op == Op::Prefix;
        wanted.then.push(name(range));
    } else {
        wanted.then = order(case, spot, &wanted.equal);
    }
    wanted
}

/// The columns by which rows are sorted, where all of them are this table's.
fn order(case: &Case<'_>, spot: Spot<'_>, equal: &[String]) -> Vec<String> {
    let by = &spot.select.order_by;
    let are_its = by.iter().all(|column| case.catalog.factor_of(spot.select, column) == Some(spot.at));
    let known = |name: &str| spot.info.column(name).map(|column| column.name.clone());
    let columns: Option<Vec<String>> = by.iter().map(|column| known(&column.name)).collect();
    let columns = columns.filter(|_| are_its && !equal.is_empty()).unwrap_or_default();
    columns.into_iter().filter(|column| !equal.contains(column)).collect()
}

/// A statement that makes an index.
pub(super) fn statement(kind: Kind, info: &TableInfo, columns: &[&str], is_prefix: bool) -> String {
    let name = format!("idx_{}_{}", info.name, columns.join("_")).to_lowercase();
    let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).take(MAX_NAME).collect();
    let mut written: Vec<String> = columns.iter().map(|column| kind.quote(column)).collect();
    if let Some(last) = written.last_mut().filter(|_| is_prefix) {
        match kind {
            // Only such indexes have the order that LIKE goes by.
            Kind::Postgres => last.push_str(" text_pattern_ops"),
            Kind::Sqlite => last.push_str(" COLLATE NOCASE"),
            Kind::Mysql | Kind::Oracle => {}
        }
    }
    let table = kind.quote(&info.name);
    let schema = info.schema.as_deref().map(|schema| format!("{}.", kind.quote(schema))).unwrap_or_default();
    let columns = written.join(", ");
    let name = if kind == Kind::Oracle { name } else { kind.quote(&name) };
    match kind {
        Kind::Sqlite => format!("CREATE INDEX {schema}{name} ON {table} ({columns});"),
        Kind::Postgres => format!("CREATE INDEX CONCURRENTLY {name} ON {schema}{table} ({columns});"),
        Kind::Mysql | Kind::Oracle => format!("CREATE INDEX {name} ON {schema}{table} ({columns});"),
    }
}

//! Reading sums: what is summed up already, and what is not yet.

use super::{
    rollup::{Grain, Rollup},
    span::{Pieces, Portions, Span},
};
use crate::db::{Dialect, Val};

/// What is wanted of a table of sums.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    pub(super) rollup: &'static Rollup,
    pub(super) tenant: &'a str,
    pub(super) span: Span,
    /// By which keys.
    pub(super) by: &'a [&'static str],
    /// Of which values of keys only.
    pub(super) only: Vec<(&'static str, Val<'a>)>,
    /// What follows, such as an order.
    pub(super) rest: String,
    /// How far rows are summed up already.
    pub(super) mark: i64,
    /// How many quarters of an hour make one `start`.
    quarters: i64,
}

/// A statement with its values, in order.
#[derive(Debug, Default)]
pub(super) struct Statement<'a> {
    pub(super) sql: String,
    pub(super) values: Vec<Val<'a>>,
}

impl<'a> Wanted<'a> {
    pub(super) fn new(rollup: &'static Rollup, tenant: &'a str, span: Span) -> Self {
        Self { rollup, tenant, span, by: &[], only: Vec::new(), rest: String::new(), mark: 0, quarters: 1 }
    }

    pub(super) fn by(mut self, by: &'a [&'static str]) -> Self {
        self.by = by;
        self
    }

    /// With so many quarters of an hour together, from 1970 on.
    pub(super) fn together(mut self, quarters: i64) -> Self {
        self.quarters = quarters.max(1);
        self
    }

    /// Only where a key is this; nothing is no condition.
    pub(super) fn only(mut self, key: &'static str, value: Option<&'a str>) -> Self {
        self.only.extend(value.map(|value| (key, value.into())));
        self
    }

    pub(super) fn only_number(mut self, key: &'static str, value: i64) -> Self {
        self.only.push((key, value.into()));
        self
    }

    /// The largest of a sum first, so many; where they are equal, by the keys.
    pub(super) fn top(mut self, sum: &str, limit: u64, dialect: Dialect) -> Self {
        let keys: Vec<String> = self.by.iter().map(|key| dialect.by_bytes(key)).collect();
        self.rest = format!("ORDER BY {sum} DESC, {} LIMIT {limit}", keys.join(", "));
        self
    }

    /// The quarter of an hour is a key too.
    fn is_by_time(&self) -> bool {
        self.by.contains(&"start")
    }

    /// One statement over all pieces. It sees one state of the database.
    pub(super) fn statement(&self, dialect: Dialect) -> Statement<'a> {
        let pieces = match self.rollup.grains {
            [Grain::Quarter] => self.span.by_quarters(),
            _ => self.span.by_days(),
        };
        let mut parts = Statement::default();
        self.add_whole(&mut parts, &pieces);
        self.add_rows(&mut parts, &pieces, dialect);
        let start = format!("start / {}", self.quarters);
        let by = |key: &&'static str| if *key == "start" { start.clone() } else { (*key).to_owned() };
        let keys: String = self.by.iter().map(|key| format!("{} AS {key}, ", by(key))).collect();
        let sums = self.rollup.sums.iter().map(|(sum, _)| format!("CAST(coalesce(sum({sum}), 0) AS BIGINT) AS {sum}"));
        let sums = sums.collect::<Vec<_>>().join(", ");
        let group = if self.by.is_empty() {
            String::new()
        } else {
            format!("GROUP BY {}", self.by.iter().map(by).collect::<Vec<_>>().join(", "))
        };
        let sql = format!("SELECT {keys}{sums}, max(last_at) AS last_at FROM ({}) x {group} {}", parts.sql, self.rest);
        Statement { sql, values: parts.values }
    }

    fn add_whole(&self, parts: &mut Statement<'a>, pieces: &Pieces) {
        let columns: String = self.by.iter().copied().chain(self.sums()).map(|column| format!("{column}, ")).collect();
        for Portions { grain, first, end } in &pieces.whole {
            let Rollup { table, .. } = self.rollup;
            let sql = format!("SELECT {columns}last_at FROM {table} WHERE tenant = ? AND grain = {}", grain.number());
            let mut part = Statement::new(sql, self.tenant.into());
            part.bounds("start", first.map(Val::from), end.map(Val::from));
            for (key, value) in &self.only {
                part.and(&format!("{key} = ?"), value.clone());
            }
            parts.union(part);
        }
    }

    /// Rows that are summed up, at the ends of the span, and all that are not.
    fn add_rows(&self, parts: &mut Statement<'a>, pieces: &Pieces, dialect: Dialect) {
        for span in &pieces.rest {
            let mut part = self.rows(*span, dialect);
            part.and("r.id <= ?", self.mark.into());
            parts.union(part);
        }
        let mut part = self.rows(self.span, dialect);
        part.and("r.id > ?", self.mark.into());
        parts.union(part);
    }

    fn rows(&self, span: Span, dialect: Dialect) -> Statement<'a> {
        let Rollup { source, filter, .. } = self.rollup;
        let start = start_of(Grain::Quarter, dialect);
        let key = |key: &&'static str| match *key {
            "start" => format!("{start} AS start, "),
            key => format!("{} AS {key}, ", self.rollup.key(key)),
        };
        let keys: String = self.by.iter().map(key).collect();
        let sums: String = self.rollup.sums.iter().map(|(sum, value)| format!("{value} AS {sum}, ")).collect();
        let table = source.table();
        let sql = format!("SELECT {keys}{sums}r.created_at AS last_at FROM {table} r WHERE r.tenant = ? AND {filter}");
        let mut part = Statement::new(sql, self.tenant.into());
        part.bounds("r.created_at", span.from.map(Val::from), span.to.map(Val::from));
        for (key, value) in &self.only {
            part.and(&format!("{} = ?", self.rollup.key(key)), value.clone());
        }
        debug_assert!(!self.is_by_time() || self.rollup.grains == [Grain::Quarter]);
        part
    }

    fn sums(&self) -> impl Iterator<Item = &'static str> {
        self.rollup.sums.iter().map(|(sum, _)| *sum)
    }
}

impl<'a> Statement<'a> {
    pub(super) fn new(sql: String, value: Val<'a>) -> Self {
        Self { sql, values: vec![value] }
    }

    pub(super) fn and(&mut self, condition: &str, value: Val<'a>) {
        self.sql.push_str(" AND ");
        self.sql.push_str(condition);
        self.values.push(value);
    }

    pub(super) fn bounds(&mut self, column: &str, from: Option<Val<'a>>, to: Option<Val<'a>>) {
        if let Some(from) = from {
            self.and(&format!("{column} >= ?"), from);
        }
        if let Some(to) = to {
            self.and(&format!("{column} < ?"), to);
        }
    }

    fn union(&mut self, part: Self) {
        if !self.sql.is_empty() {
            self.sql.push_str(" UNION ALL ");
        }
        self.sql.push_str(&part.sql);
        self.values.extend(part.values);
    }
}

/// In which portion a row `r` is.
pub(super) fn start_of(grain: Grain, dialect: Dialect) -> String {
    let since_1970 = |seconds: i64| match dialect {
        Dialect::Sqlite => format!("CAST(strftime('%s', r.created_at) AS INTEGER) / {seconds}"),
        Dialect::Postgres => format!("CAST(floor(date_part('epoch', r.created_at) / {seconds}) AS BIGINT)"),
    };
    match (grain, dialect) {
        (Grain::Quarter, _) => since_1970(900),
        (Grain::Day, _) => since_1970(86_400),
        (Grain::Month, Dialect::Sqlite) => "CAST(strftime('%Y%m', r.created_at) AS INTEGER)".into(),
        (Grain::Month, Dialect::Postgres) => {
            "CAST(to_char(r.created_at AT TIME ZONE 'UTC', 'YYYYMM') AS BIGINT)".into()
        }
    }
}

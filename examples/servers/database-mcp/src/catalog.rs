//! What a database knows of the tables that a query reads.

use crate::query::{ColumnUse, SelectShape, TableUse};

/// Most tables of a query that are looked up.
pub(crate) const MAX_TABLES: usize = 30;

/// One table.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct TableInfo {
    pub(crate) schema: Option<String>,
    pub(crate) name: String,
    /// About how many rows it has.
    pub(crate) rows: Option<f64>,
    pub(crate) columns: Vec<Column>,
    pub(crate) indexes: Vec<Index>,
    /// Whether the database has looked at how its values are distributed.
    pub(crate) has_statistics: Option<bool>,
}

/// One column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// Its type in lower case, as the database writes it.
    pub(crate) kind: String,
}

/// One index.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Index {
    pub(crate) name: String,
    /// Its columns, or expressions, in order.
    pub(crate) columns: Vec<String>,
    pub(crate) is_unique: bool,
    /// Whether it has only some of the rows.
    pub(crate) is_partial: bool,
}

/// The tables that a query reads.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Catalog {
    pub(crate) tables: Vec<TableInfo>,
}

fn same(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
}

impl TableInfo {
    pub(crate) fn is(&self, table: &TableUse) -> bool {
        let is_schema = match (&self.schema, &table.schema) {
            (Some(own), Some(asked)) => same(own, asked),
            _ => true,
        };
        is_schema && same(&self.name, &table.name)
    }

    pub(crate) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| same(&column.name, name))
    }

    /// An index whose first columns are these, in any order.
    pub(crate) fn index_on(&self, columns: &[&str]) -> Option<&Index> {
        self.indexes
            .iter()
            .filter(|index| !index.is_partial && index.columns.len() >= columns.len())
            .find(|index| index.columns[..columns.len()].iter().all(|own| columns.iter().any(|asked| same(own, asked))))
    }

    /// An index that begins with a column.
    pub(crate) fn index_of(&self, column: &str) -> Option<&Index> {
        self.index_on(&[column])
    }
}

impl Catalog {
    pub(crate) fn table(&self, table: &TableUse) -> Option<&TableInfo> {
        self.tables.iter().find(|info| info.is(table))
    }

    /// Which factor of a SELECT a column belongs to: by its qualifier, else by the one table that has it.
    pub(crate) fn factor_of(&self, select: &SelectShape, column: &ColumnUse) -> Option<usize> {
        if let Some(qualifier) = &column.qualifier {
            let is_it = |factor: &crate::query::Factor| {
                let table = factor.table.as_ref();
                same(&factor.alias, qualifier) || table.is_some_and(|table| same(&table.name, qualifier))
            };
            return select.factors.iter().position(is_it);
        }
        if let [_] = select.factors.as_slice() {
            return Some(0);
        }
        let has = |factor: &crate::query::Factor| {
            let info = factor.table.as_ref().and_then(|table| self.table(table));
            info.is_some_and(|info| info.column(&column.name).is_some())
        };
        let mut having = select.factors.iter().enumerate().filter(|(_, factor)| has(factor)).map(|(at, _)| at);
        match (having.next(), having.next()) {
            (Some(at), None) => Some(at),
            _ => None,
        }
    }
}

//! What a query is made of: the tables of each SELECT, what it compares, and what it returns.

/// A query, as far as advice needs it. Its SELECTs are in the order in which they stand.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Shape {
    pub(crate) selects: Vec<SelectShape>,
}

/// One SELECT.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct SelectShape {
    /// What stands in FROM.
    pub(crate) factors: Vec<Factor>,
    /// Pairs of factors that belong together by NATURAL, USING or LATERAL.
    pub(crate) joined: Vec<(usize, usize)>,
    /// The columns of each condition that names more than one.
    pub(crate) links: Vec<Vec<ColumnUse>>,
    /// The conditions on single columns.
    pub(crate) predicates: Vec<Predicate>,
    /// Whether it returns every column of something.
    pub(crate) has_star: bool,
    /// Columns by which it is sorted.
    pub(crate) order_by: Vec<ColumnUse>,
    /// Columns by which it is grouped.
    pub(crate) group_by: Vec<ColumnUse>,
    /// Whether it ends after a number of rows.
    pub(crate) is_limited: bool,
    /// Whether it returns one row a group, or one in all.
    pub(crate) is_grouped: bool,
}

/// Something in FROM.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Factor {
    /// The name by which columns refer to it.
    pub(crate) alias: String,
    /// The table, where it is one and no subquery or CTE.
    pub(crate) table: Option<TableUse>,
}

/// A table, by the names that the database keeps.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TableUse {
    pub(crate) schema: Option<String>,
    pub(crate) name: String,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ColumnUse {
    /// The table or alias before the point.
    pub(crate) qualifier: Option<String>,
    pub(crate) name: String,
}

/// A condition on one column.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Predicate {
    pub(crate) column: ColumnUse,
    pub(crate) op: Op,
    pub(crate) other: Side,
    /// The function, or the calculation, that the column stands in.
    pub(crate) within: Option<String>,
    /// Which OR it is an alternative of.
    pub(crate) alternative_of: Option<usize>,
    /// As it stands, shortened.
    pub(crate) text: String,
}

/// How a column is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    /// `=` and `IS NOT DISTINCT FROM`.
    Equal,
    /// `IN (…)`.
    OneOf,
    /// `IS NULL`.
    Null,
    /// `<`, `>`, `BETWEEN`.
    Range,
    /// `LIKE 'x%'`.
    Prefix,
    /// `LIKE '%x'`: no index has an order that helps.
    Contains,
    /// `<>`, `NOT IN`, `IS NOT NULL`, regular expressions: most rows fit.
    Loose,
}

/// What a column is compared with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Side {
    Value(Literal),
    Column(ColumnUse),
    /// A subquery or a calculation.
    Other,
}

/// What kind of value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Literal {
    Text,
    Number,
    Other,
}

impl Shape {
    /// Every table of it, each once, in the order in which they stand.
    pub(crate) fn tables(&self) -> Vec<&TableUse> {
        let mut tables: Vec<&TableUse> = Vec::new();
        for table in self.selects.iter().flat_map(|select| &select.factors).filter_map(|factor| factor.table.as_ref()) {
            if !tables.contains(&table) {
                tables.push(table);
            }
        }
        tables
    }
}

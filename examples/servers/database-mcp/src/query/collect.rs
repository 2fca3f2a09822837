//! From a query's tree to its shape.

use std::{collections::HashSet, ops::ControlFlow};

use sqlparser::ast::{
    Expr, GroupByExpr, Join, JoinConstraint, JoinOperator, ObjectName, OrderByKind, Query, Select, SelectItem, SetExpr,
    TableAlias, TableFactor, TableWithJoins, Visit, Visitor,
};

use super::{
    expression::{self, Conditions},
    shape::{Factor, SelectShape, Shape, TableUse},
};
use crate::Kind;

/// Most SELECTs, and most factors and conditions of one, that are looked at.
const MAX_SELECTS: usize = 50;
const MAX_PARTS: usize = 100;

pub(super) fn shape(query: &Query, kind: Kind) -> Shape {
    let mut names = CteNames::default();
    let _ = query.visit(&mut names);
    let mut collect = Collect { kind, ctes: names.0, shape: Shape::default() };
    let _ = query.visit(&mut collect);
    collect.shape
}

/// The names that WITH gives, which are no tables.
#[derive(Default)]
struct CteNames(HashSet<String>);

impl Visitor for CteNames {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let ctes = query.with.iter().flat_map(|with| &with.cte_tables);
        self.0.extend(ctes.map(|cte| cte.alias.name.value.to_lowercase()));
        ControlFlow::Continue(())
    }
}

struct Collect {
    kind: Kind,
    ctes: HashSet<String>,
    shape: Shape,
}

impl Visitor for Collect {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let mut selects = Vec::new();
        alternatives(&query.body, &mut selects);
        let is_single = matches!(&*query.body, SetExpr::Select(_));
        for select in selects {
            if self.shape.selects.len() >= MAX_SELECTS {
                return ControlFlow::Break(());
            }
            let mut shape = self.select(select);
            shape.is_limited = query.limit_clause.is_some() || query.fetch.is_some() || select.top.is_some();
            if is_single
                && let Some(order_by) = &query.order_by
                && let OrderByKind::Expressions(by) = &order_by.kind
            {
                shape.order_by = by.iter().filter_map(|by| expression::column(&by.expr, self.kind)).collect();
            }
            self.shape.selects.push(shape);
        }
        ControlFlow::Continue(())
    }
}

/// The SELECTs of a body that are its own: those of subqueries are visited by themselves.
fn alternatives<'a>(body: &'a SetExpr, selects: &mut Vec<&'a Select>) {
    match body {
        SetExpr::Select(select) => selects.push(select),
        SetExpr::SetOperation { left, right, .. } => {
            alternatives(left, selects);
            alternatives(right, selects);
        }
        _ => {}
    }
}

impl Collect {
    fn select(&self, select: &Select) -> SelectShape {
        let mut from = From { kind: self.kind, ctes: &self.ctes, shape: SelectShape::default(), on: Vec::new() };
        for table in &select.from {
            from.table_with_joins(table);
        }
        let From { mut shape, on, .. } = from;
        let mut conditions = Conditions::new(self.kind);
        for condition in on.into_iter().chain(&select.selection) {
            conditions.add(condition);
        }
        shape.links = conditions.links;
        shape.predicates = conditions.predicates;
        shape.links.truncate(MAX_PARTS);
        shape.predicates.truncate(MAX_PARTS);
        let is_star = |item: &SelectItem| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..));
        shape.has_star = select.projection.iter().any(is_star);
        if let GroupByExpr::Expressions(by, _) = &select.group_by {
            shape.group_by = by.iter().filter_map(|by| expression::column(by, self.kind)).collect();
            shape.is_grouped = !by.is_empty();
        }
        shape.is_grouped |= select.projection.iter().any(is_aggregate);
        shape
    }
}

/// Whether an item is computed from many rows.
fn is_aggregate(item: &SelectItem) -> bool {
    let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else { return false };
    let Expr::Function(function) = expr else { return false };
    let name = function.name.0.last().and_then(|part| part.as_ident()).map(|ident| ident.value.to_lowercase());
    let known = ["count", "sum", "avg", "min", "max", "total", "group_concat", "string_agg", "array_agg", "listagg"];
    function.over.is_none() && name.is_some_and(|name| known.contains(&name.as_str()))
}

/// FROM on its way into a shape.
struct From<'a> {
    kind: Kind,
    ctes: &'a HashSet<String>,
    shape: SelectShape,
    /// Conditions of joins.
    on: Vec<&'a Expr>,
}

impl<'a> From<'a> {
    fn table_with_joins(&mut self, table: &'a TableWithJoins) {
        self.factor(&table.relation);
        for join in &table.joins {
            self.join(join);
        }
    }

    fn join(&mut self, join: &'a Join) {
        let before = self.shape.factors.len();
        self.factor(&join.relation);
        if self.shape.factors.len() == before || before == 0 {
            return;
        }
        match constraint(&join.join_operator) {
            Some(JoinConstraint::On(condition)) => self.on.push(condition),
            Some(JoinConstraint::Using(_) | JoinConstraint::UsingAlias(..) | JoinConstraint::Natural) => {
                self.shape.joined.push((before - 1, before));
            }
            Some(JoinConstraint::None) | None => {}
        }
    }

    fn factor(&mut self, factor: &'a TableFactor) {
        if self.shape.factors.len() >= MAX_PARTS {
            return;
        }
        match factor {
            TableFactor::Table { name, alias, args: None, .. } => self.table(name, alias.as_ref()),
            TableFactor::Derived { lateral, alias, .. } => self.other(alias.as_ref(), *lateral),
            TableFactor::NestedJoin { table_with_joins, .. } => self.table_with_joins(table_with_joins),
            // What a function returns may depend on the factor before it.
            TableFactor::Table { alias, .. }
            | TableFactor::Function { alias, .. }
            | TableFactor::UNNEST { alias, .. }
            | TableFactor::JsonTable { alias, .. }
            | TableFactor::TableFunction { alias, .. } => self.other(alias.as_ref(), true),
            _ => self.other(None, true),
        }
    }

    fn table(&mut self, name: &ObjectName, alias: Option<&TableAlias>) {
        let mut parts = name.0.iter().rev().filter_map(|part| part.as_ident());
        let Some(last) = parts.next() else { return };
        let fold = |ident: &sqlparser::ast::Ident| self.kind.fold(&ident.value, ident.quote_style.is_some());
        let (name, schema) = (fold(last), parts.next().map(fold));
        let is_cte = schema.is_none() && self.ctes.contains(&last.value.to_lowercase());
        let alias = alias.map_or_else(|| name.clone(), |alias| fold(&alias.name));
        let table = (!is_cte).then_some(TableUse { schema, name });
        self.shape.factors.push(Factor { alias, table });
    }

    fn other(&mut self, alias: Option<&TableAlias>, depends: bool) {
        let at = self.shape.factors.len();
        let alias = alias.map(|alias| self.kind.fold(&alias.name.value, alias.name.quote_style.is_some()));
        self.shape.factors.push(Factor { alias: alias.unwrap_or_default(), table: None });
        if depends && at > 0 {
            self.shape.joined.push((at - 1, at));
        }
    }
}

fn constraint(operator: &JoinOperator) -> Option<&JoinConstraint> {
    match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint)
        | JoinOperator::CrossJoin(constraint)
        | JoinOperator::Semi(constraint)
        | JoinOperator::LeftSemi(constraint)
        | JoinOperator::RightSemi(constraint)
        | JoinOperator::Anti(constraint)
        | JoinOperator::LeftAnti(constraint)
        | JoinOperator::RightAnti(constraint)
        | JoinOperator::StraightJoin(constraint)
        | JoinOperator::AsOf { constraint, .. } => Some(constraint),
        _ => None,
    }
}

//! Conditions: which columns they compare with what.

use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, InTarget, UnaryOperator, Value,
    Visit, Visitor,
};

use super::shape::{ColumnUse, Literal, Op, Predicate, Side};
use crate::Kind;

/// Longest condition that is repeated, in characters.
const MAX_TEXT: usize = 120;

/// What looks like a column in Oracle, and is none.
const ORACLE_VALUES: &[&str] = &["SYSDATE", "SYSTIMESTAMP", "ROWNUM", "LEVEL", "USER", "UID"];

/// The conditions of one SELECT.
pub(super) struct Conditions {
    kind: Kind,
    pub(super) predicates: Vec<Predicate>,
    pub(super) links: Vec<Vec<ColumnUse>>,
    /// How many ORs there were.
    ors: usize,
}

impl Conditions {
    pub(super) fn new(kind: Kind) -> Self {
        Self { kind, predicates: Vec::new(), links: Vec::new(), ors: 0 }
    }

    /// Adds all that has to hold for `condition` to hold.
    pub(super) fn add(&mut self, condition: &Expr) {
        for part in parts(condition, &BinaryOperator::And) {
            let columns = columns(part, self.kind);
            if columns.len() > 1 {
                self.links.push(columns);
            }
            let alternatives = parts(part, &BinaryOperator::Or);
            if alternatives.len() == 1 {
                self.predicate(part, None);
                continue;
            }
            self.ors += 1;
            for alternative in alternatives {
                for part in parts(alternative, &BinaryOperator::And) {
                    self.predicate(part, Some(self.ors));
                }
            }
        }
    }

    fn predicate(&mut self, expr: &Expr, alternative_of: Option<usize>) {
        let text = shortened(&expr.to_string());
        for (compared, op, other) in comparisons(expr, self.kind) {
            let Some((column, within)) = within(compared, self.kind) else { continue };
            let text = text.clone();
            self.predicates.push(Predicate { column, op, other, within, alternative_of, text });
        }
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The operands of a chain of one operator; parentheses do not count.
fn parts<'a>(expr: &'a Expr, operator: &BinaryOperator) -> Vec<&'a Expr> {
    let (mut found, mut left) = (Vec::new(), vec![expr]);
    while let Some(expr) = left.pop() {
        match expr {
            Expr::Nested(inner) => left.push(inner),
            Expr::BinaryOp { left: a, op, right: b } if op == operator => left.extend([&**b, &**a]),
            _ => found.push(expr),
        }
    }
    found
}

/// What is compared in a condition: an equality of two columns is two comparisons.
fn comparisons(expr: &Expr, kind: Kind) -> Vec<(&Expr, Op, Side)> {
    match expr {
        Expr::BinaryOp { left, op, right } => {
            let Some(op) = comparing(op) else { return Vec::new() };
            vec![(&**left, op, side(right, kind)), (&**right, op, side(left, kind))]
        }
        Expr::IsNotDistinctFrom(left, right) => vec![(&**left, Op::Equal, side(right, kind))],
        Expr::In { expr, target, negated, .. } => {
            let side = match target {
                InTarget::List(list) => list.first().map_or(Side::Other, |first| side(first, kind)),
                InTarget::Subquery(_) | InTarget::Unnest(_) | InTarget::Table { .. } => Side::Other,
            };
            vec![(&**expr, if *negated { Op::Loose } else { Op::OneOf }, side)]
        }
        Expr::Between { expr, negated, low, .. } => {
            vec![(&**expr, if *negated { Op::Loose } else { Op::Range }, side(low, kind))]
        }
        Expr::IsNull(expr) => vec![(&**expr, Op::Null, Side::Value(Literal::Other))],
        Expr::IsNotNull(expr) => vec![(&**expr, Op::Loose, Side::Value(Literal::Other))],
        Expr::Like { negated, expr, pattern, .. } | Expr::ILike { negated, expr, pattern, .. } => {
            vec![(&**expr, if *negated { Op::Loose } else { like(pattern) }, Side::Value(Literal::Text))]
        }
        Expr::SimilarTo { expr, .. } | Expr::RLike { expr, .. } => {
            vec![(&**expr, Op::Loose, Side::Value(Literal::Text))]
        }
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => {
            comparisons(expr, kind).into_iter().map(|(expr, _, side)| (expr, Op::Loose, side)).collect()
        }
        _ => Vec::new(),
    }
}

fn comparing(op: &BinaryOperator) -> Option<Op> {
    match op {
        BinaryOperator::Eq | BinaryOperator::Spaceship => Some(Op::Equal),
        BinaryOperator::Lt | BinaryOperator::LtEq | BinaryOperator::Gt | BinaryOperator::GtEq => Some(Op::Range),
        BinaryOperator::NotEq
        | BinaryOperator::PGRegexMatch
        | BinaryOperator::PGRegexIMatch
        | BinaryOperator::Regexp
        | BinaryOperator::Match => Some(Op::Loose),
        _ => None,
    }
}

fn like(pattern: &Expr) -> Op {
    let Expr::Value(value) = pattern else { return Op::Loose };
    match &value.value {
        Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => {
            if text.starts_with(['%', '_']) {
                Op::Contains
            } else {
                Op::Prefix
            }
        }
        _ => Op::Loose,
    }
}

fn side(expr: &Expr, kind: Kind) -> Side {
    match expr {
        Expr::Nested(inner) => side(inner, kind),
        Expr::Cast { expr, .. } => side(expr, kind),
        Expr::UnaryOp { expr, .. } => side(expr, kind),
        Expr::Value(value) => Side::Value(match &value.value {
            Value::Number(..) => Literal::Number,
            Value::SingleQuotedString(_) | Value::NationalStringLiteral(_) => Literal::Text,
            Value::DoubleQuotedString(_) if kind == Kind::Mysql => Literal::Text,
            _ => Literal::Other,
        }),
        Expr::TypedString(_) | Expr::Interval(_) => Side::Value(Literal::Other),
        _ => match column(expr, kind) {
            Some(column) => Side::Column(column),
            // `now() - interval '1 day'` is as good as a value.
            None if columns(expr, kind).is_empty() && !has_subquery(expr) => Side::Value(Literal::Other),
            None => Side::Other,
        },
    }
}

/// A plain column.
pub(super) fn column(expr: &Expr, kind: Kind) -> Option<ColumnUse> {
    let fold = |ident: &Ident| kind.fold(&ident.value, ident.quote_style.is_some());
    match expr {
        Expr::Nested(inner) => column(inner, kind),
        Expr::OuterJoin(inner) => column(inner, kind),
        Expr::Identifier(ident) if kind == Kind::Oracle && ORACLE_VALUES.contains(&&*fold(ident)) => None,
        Expr::Identifier(ident) => Some(ColumnUse { qualifier: None, name: fold(ident) }),
        Expr::CompoundIdentifier(parts) => match parts.as_slice() {
            [.., qualifier, name] => Some(ColumnUse { qualifier: Some(fold(qualifier)), name: fold(name) }),
            _ => None,
        },
        _ => None,
    }
}

/// The one column of an expression, and what it stands in there, if it is no plain column.
fn within(expr: &Expr, kind: Kind) -> Option<(ColumnUse, Option<String>)> {
    if let Some(column) = column(expr, kind) {
        return Some((column, None));
    }
    let (name, arguments): (String, Vec<&Expr>) = match expr {
        Expr::Nested(inner) => return within(inner, kind),
        Expr::Collate { expr, .. } => return within(expr, kind),
        Expr::Function(function) if function.over.is_none() => {
            (function.name.to_string().to_lowercase(), arguments(&function.args))
        }
        Expr::Cast { expr, data_type, .. } => (format!("cast to {data_type}").to_lowercase(), vec![&**expr]),
        Expr::Extract { expr, .. } => ("extract".into(), vec![&**expr]),
        Expr::Substring { expr, .. } => ("substring".into(), vec![&**expr]),
        Expr::Trim { expr, .. } => ("trim".into(), vec![&**expr]),
        Expr::Ceil { expr, .. } => ("ceil".into(), vec![&**expr]),
        Expr::Floor { expr, .. } => ("floor".into(), vec![&**expr]),
        Expr::AtTimeZone { timestamp, .. } => ("at time zone".into(), vec![&**timestamp]),
        Expr::BinaryOp { left, op, right } if is_arithmetic(op) => (format!("{op}"), vec![&**left, &**right]),
        _ => return None,
    };
    let mut columns = arguments.into_iter().flat_map(|argument| columns(argument, kind));
    match (columns.next(), columns.next()) {
        (Some(column), None) => Some((column, Some(name))),
        _ => None,
    }
}

fn is_arithmetic(op: &BinaryOperator) -> bool {
    matches!(
        op,
        BinaryOperator::Plus
            | BinaryOperator::Minus
            | BinaryOperator::Multiply
            | BinaryOperator::Divide
            | BinaryOperator::Modulo
            | BinaryOperator::StringConcat
    )
}

fn arguments(arguments: &FunctionArguments) -> Vec<&Expr> {
    let FunctionArguments::List(list) = arguments else { return Vec::new() };
    let expr = |argument| match argument {
        &FunctionArg::Unnamed(FunctionArgExpr::Expr(ref expr))
        | &FunctionArg::Named { arg: FunctionArgExpr::Expr(ref expr), .. } => Some(expr),
        _ => None,
    };
    list.args.iter().filter_map(expr).collect()
}

/// Every column of an expression, each once.
pub(super) fn columns(expr: &Expr, kind: Kind) -> Vec<ColumnUse> {
    let mut columns = Columns { kind, found: Vec::new() };
    let _ = expr.visit(&mut columns);
    columns.found
}

struct Columns {
    kind: Kind,
    found: Vec<ColumnUse>,
}

impl Visitor for Columns {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let is_column = matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
        if is_column
            && let Some(column) = column(expr, self.kind)
            && !self.found.contains(&column)
        {
            self.found.push(column);
        }
        ControlFlow::Continue(())
    }
}

fn has_subquery(expr: &Expr) -> bool {
    struct Look;
    impl Visitor for Look {
        type Break = ();

        fn pre_visit_query(&mut self, _: &sqlparser::ast::Query) -> ControlFlow<()> {
            ControlFlow::Break(())
        }
    }
    expr.visit(&mut Look).is_break()
}

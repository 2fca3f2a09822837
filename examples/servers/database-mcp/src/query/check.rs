//! Whether a statement only reads, by its tree.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, Function, Ident, InTarget, ObjectName, Query, Select, SetExpr, Statement, TableFactor, Value, ValueWithSpan,
    Visit, Visitor,
};

use super::{Refusal, functions::does_more};
use crate::Kind;

/// What was found on the way.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Names of functions, in lower case.
    pub(super) functions: Vec<String>,
    /// How many values are left open.
    pub(super) placeholders: usize,
}

pub(super) fn check(statement: &Statement, kind: Kind) -> Result<Found, Refusal> {
    if !matches!(statement, Statement::Query(_)) {
        return Err(Refusal::NotAQuery { what: does(statement) });
    }
    let mut check = Check { kind, statements: 0, found: Found::default() };
    match statement.visit(&mut check) {
        ControlFlow::Continue(()) => {
            check.found.functions.sort();
            check.found.functions.dedup();
            Ok(check.found)
        }
        ControlFlow::Break(refusal) => Err(refusal),
    }
}

struct Check {
    kind: Kind,
    statements: usize,
    found: Found,
}

type Step = ControlFlow<Refusal>;

fn no(what: &'static str) -> Step {
    ControlFlow::Break(Refusal::NotAQuery { what })
}

fn words(name: &ObjectName) -> Vec<String> {
    name.0.iter().filter_map(|part| part.as_ident()).map(|ident| ident.value.to_lowercase()).collect()
}

/// Some databases take a name that is computed.
fn plain(name: &ObjectName) -> Step {
    let is_plain = name.0.iter().all(|part| part.as_ident().is_some());
    if is_plain { ControlFlow::Continue(()) } else { no("has clauses of another database") }
}

impl Check {
    fn function(&mut self, name: &ObjectName) -> Step {
        plain(name)?;
        let words = words(name);
        if does_more(&words) {
            return ControlFlow::Break(Refusal::Function { name: words.join(".") });
        }
        self.found.functions.extend(words.last().cloned());
        ControlFlow::Continue(())
    }

    fn placeholder(&mut self, placeholder: &str) -> Step {
        match self.kind {
            // Their plans do not depend on values.
            Kind::Sqlite | Kind::Oracle => {}
            Kind::Postgres => {
                let number = placeholder.strip_prefix('$').and_then(|number| number.parse::<usize>().ok());
                match number.filter(|number| (1..=100).contains(number)) {
                    Some(number) => self.found.placeholders = self.found.placeholders.max(number),
                    None => return self.refused(placeholder),
                }
            }
            Kind::Mysql => return self.refused(placeholder),
        }
        ControlFlow::Continue(())
    }

    fn refused(&self, placeholder: &str) -> Step {
        let placeholder = placeholder.chars().take(32).collect();
        ControlFlow::Break(Refusal::Placeholder { placeholder, kind: self.kind })
    }
}

impl Visitor for Check {
    type Break = Refusal;

    fn pre_visit_statement(&mut self, statement: &Statement) -> Step {
        self.statements += 1;
        // The first is the query itself; one within it writes.
        if self.statements > 1 { no(does(statement)) } else { ControlFlow::Continue(()) }
    }

    fn pre_visit_query(&mut self, query: &Query) -> Step {
        if !query.locks.is_empty() {
            return no("locks what it reads (FOR UPDATE or FOR SHARE)");
        }
        let is_foreign = query.for_clause.is_some()
            || query.settings.is_some()
            || query.format_clause.is_some()
            || !query.pipe_operators.is_empty();
        if is_foreign {
            return no("has clauses of another database");
        }
        body(&query.body)
    }

    fn pre_visit_select(&mut self, select: &Select) -> Step {
        if select.into.is_some() {
            return no("writes what it reads (SELECT … INTO)");
        }
        // A hint may set variables, among them the time-out.
        let sets = |text: &str| text.to_uppercase().contains("SET_VAR");
        if select.optimizer_hints.iter().any(|hint| sets(&hint.text)) {
            return no("sets variables in a hint (SET_VAR)");
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, name: &ObjectName) -> Step {
        plain(name)
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> Step {
        match factor {
            TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } => self.function(name),
            TableFactor::Table { .. }
            | TableFactor::Derived { .. }
            | TableFactor::NestedJoin { .. }
            | TableFactor::UNNEST { .. }
            | TableFactor::JsonTable { .. }
            | TableFactor::XmlTable { .. }
            | TableFactor::TableFunction { .. } => ControlFlow::Continue(()),
            _ => no("has clauses of another database"),
        }
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> Step {
        match expr {
            Expr::Function(Function { name, .. })
            | Expr::In { target: InTarget::Table { name, args: Some(_) }, .. } => self.function(name),
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_value(&mut self, value: &ValueWithSpan) -> Step {
        match &value.value {
            Value::Placeholder(placeholder) => self.placeholder(placeholder),
            value if is_read_alike(value, self.kind) => ControlFlow::Continue(()),
            _ => ControlFlow::Break(Refusal::Unfaithful { hint: "such a literal" }),
        }
    }

    fn pre_visit_ident(&mut self, ident: &Ident) -> Step {
        // Only MySQL takes a text for a name.
        let is_text = ident.quote_style == Some('\'') && self.kind != Kind::Mysql;
        // A name to the parser, and the way into a file to a database.
        let is_into = ["into", "outfile", "dumpfile"].iter().any(|word| ident.value.eq_ignore_ascii_case(word));
        if is_text || (is_into && ident.quote_style.is_none()) {
            return ControlFlow::Break(Refusal::Unfaithful { hint: "such a name" });
        }
        ControlFlow::Continue(())
    }
}

/// Whether the parser and the database agree where a literal ends. The parser takes a backslash before a quote for
/// an escape in some literals in which databases do not.
fn is_read_alike(value: &Value, kind: Kind) -> bool {
    match value {
        Value::Number(..) | Value::Boolean(_) | Value::Null | Value::SingleQuotedString(_) => true,
        Value::DoubleQuotedString(_) => kind == Kind::Mysql,
        Value::EscapedStringLiteral(_) | Value::DollarQuotedString(_) => kind == Kind::Postgres,
        Value::QuoteDelimitedStringLiteral(_) | Value::NationalQuoteDelimitedStringLiteral(_) => kind == Kind::Oracle,
        Value::HexStringLiteral(digits) => digits.chars().all(|digit| digit.is_ascii_hexdigit()),
        Value::SingleQuotedByteStringLiteral(bits) => bits.chars().all(|bit| matches!(bit, '0' | '1')),
        Value::NationalStringLiteral(text) => kind == Kind::Mysql || !text.contains('\\'),
        _ => false,
    }
}

fn body(body: &SetExpr) -> Step {
    match body {
        // Each is visited by itself.
        SetExpr::Select(_) | SetExpr::Query(_) | SetExpr::Values(_) => ControlFlow::Continue(()),
        SetExpr::SetOperation { left, right, .. } => {
            self::body(left)?;
            self::body(right)
        }
        SetExpr::Insert(statement)
        | SetExpr::Update(statement)
        | SetExpr::Delete(statement)
        | SetExpr::Merge(statement) => no(does(statement)),
        SetExpr::Table(_) => no("reads a whole table (TABLE)"),
    }
}

/// What a statement does, for a message.
fn does(statement: &Statement) -> &'static str {
    match statement {
        Statement::Insert(_) => "inserts rows (INSERT)",
        Statement::Update(_) => "changes rows (UPDATE)",
        Statement::Delete(_) => "deletes rows (DELETE)",
        Statement::Merge(_) => "changes rows (MERGE)",
        Statement::Truncate(_) => "deletes rows (TRUNCATE)",
        Statement::Drop { .. } => "drops something (DROP)",
        Statement::CreateTable(_) | Statement::CreateIndex(_) | Statement::CreateView(_) => {
            "creates something (CREATE)"
        }
        Statement::AlterTable(_) => "changes a table (ALTER)",
        Statement::Set(_) => "changes settings (SET)",
        Statement::Call(_) | Statement::Execute { .. } => "calls a procedure",
        Statement::Copy { .. } => "copies rows (COPY)",
        _ => "is another kind of statement",
    }
}

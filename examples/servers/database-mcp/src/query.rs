//! One query that only reads: the only thing of a caller's that a database ever sees.
//!
//! The text is parsed by the database's dialect and judged by its tree. What is passed on is the tree written
//! down again, and only if it reads back as the same tree: no comment, and nothing that one parser sees and
//! another does not, comes through. Databases have their own walls behind this one: read-only connections and
//! transactions, and protocols that take one statement.

use std::thread;

use sqlparser::{
    ast::Statement,
    parser::{Parser, ParserOptions},
    tokenizer::{Token, Tokenizer},
};
use tokio::sync::oneshot;

use crate::Kind;

mod check;
mod collect;
mod expression;
mod functions;
mod shape;
#[cfg(test)]
mod tests;

pub(crate) use shape::{ColumnUse, Factor, Literal, Op, Predicate, SelectShape, Shape, Side, TableUse};

/// Most tokens of a query. Long chains of operators are deep trees.
const MAX_TOKENS: usize = 10_000;
/// Stack of the thread that reads one. Only what is used of it takes memory.
const STACK_BYTES: usize = 256 << 20;
/// Longest part of a query that a message repeats, in characters.
const MAX_QUOTED: usize = 160;

/// Why a query is not passed on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// There is none.
    #[error("there is no query: give one SELECT statement")]
    Empty,
    /// It is too long.
    #[error("the query is too long: {size} {unit}, and {max} is the most")]
    TooLong {
        /// How long it is.
        size: usize,
        /// In what.
        unit: &'static str,
        /// How long it may be.
        max: usize,
    },
    /// It is not SQL of that dialect.
    #[error("this is not a query that {kind} understands: {reason}")]
    Syntax {
        /// The dialect.
        kind: Kind,
        /// What the parser says.
        reason: String,
    },
    /// There are several.
    #[error("these are {count} statements; give one SELECT statement")]
    Several {
        /// How many.
        count: usize,
    },
    /// It is no query.
    #[error("only a query that reads (SELECT, or WITH … SELECT) can be analysed; this {what}")]
    NotAQuery {
        /// What it does.
        what: &'static str,
    },
    /// It calls a function that does more than to compute.
    #[error("the function {name} does more than to compute a value, and is not passed on")]
    Function {
        /// Its name.
        name: String,
    },
    /// It has placeholders.
    #[error("put a value in the place of each placeholder ({placeholder}): {kind} makes no plan without")]
    Placeholder {
        /// The first.
        placeholder: String,
        /// The dialect.
        kind: Kind,
    },
    /// Written down again it is another query.
    #[error("this query cannot be passed on safely: write it more plainly, without {hint}")]
    Unfaithful {
        /// What to leave out.
        hint: &'static str,
    },
}

/// A query that only reads.
#[derive(Debug, Clone)]
pub(crate) struct Query {
    sql: String,
    shape: Shape,
    functions: Vec<String>,
    placeholders: usize,
}

impl Query {
    /// Reads and judges a text.
    pub(crate) async fn read(text: &str, kind: Kind, max_bytes: usize) -> Result<Self, Refusal> {
        if text.len() > max_bytes {
            return Err(Refusal::TooLong { size: text.len(), unit: "bytes", max: max_bytes });
        }
        // Some databases take it for the end.
        if text.contains('\0') {
            return Err(Refusal::Syntax { kind, reason: "it has a NUL character".into() });
        }
        let text = text.to_owned();
        let (tell, told) = oneshot::channel();
        // Trees are as deep as a query is long: whoever walks one needs room.
        let started = thread::Builder::new().name("query".into()).stack_size(STACK_BYTES).spawn(move || {
            let _ = tell.send(read(&text, kind));
        });
        match started {
            Ok(_) => told.await.unwrap_or(Err(Refusal::Unfaithful { hint: "nesting" })),
            Err(_) => Err(Refusal::TooLong { size: max_bytes, unit: "bytes", max: 0 }),
        }
    }

    /// The statement, as it is passed on.
    pub(crate) fn sql(&self) -> &str {
        &self.sql
    }

    /// What it is made of.
    pub(crate) fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The functions that it calls, in lower case.
    #[cfg_attr(not(any(feature = "postgres", feature = "mysql")), allow(dead_code, reason = "only servers run them"))]
    pub(crate) fn functions(&self) -> &[String] {
        &self.functions
    }

    /// How many values it leaves open.
    #[cfg_attr(not(feature = "postgres"), allow(dead_code, reason = "others need no number"))]
    pub(crate) fn placeholders(&self) -> usize {
        self.placeholders
    }
}

fn read(text: &str, kind: Kind) -> Result<Query, Refusal> {
    let statement = parse(text, kind)?;
    let found = check::check(&statement, kind)?;
    let sql = statement.to_string();
    match parse(&sql, kind) {
        Ok(again) if again == statement => {}
        Ok(_) | Err(_) => return Err(Refusal::Unfaithful { hint: "unusual quoting or operators" }),
    }
    let Statement::Query(query) = &statement else { return Err(Refusal::NotAQuery { what: "is something else" }) };
    let shape = collect::shape(query, kind);
    Ok(Query { sql, shape, functions: found.functions, placeholders: found.placeholders })
}

/// The one statement of a text. An `EXPLAIN` is the query that it explains.
fn parse(text: &str, kind: Kind) -> Result<Statement, Refusal> {
    let dialect = kind.dialect();
    let syntax = |reason: String| Refusal::Syntax { kind, reason: shortened(&reason) };
    // As they stand: what is unescaped here would be escaped differently there.
    let tokens = Tokenizer::new(&*dialect, text).with_unescape(false).tokenize_with_location();
    let tokens = tokens.map_err(|error| syntax(error.to_string()))?;
    let count = tokens.iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).count();
    if count > MAX_TOKENS {
        return Err(Refusal::TooLong { size: count, unit: "words and signs", max: MAX_TOKENS });
    }
    let parser = Parser::new(&*dialect).with_options(ParserOptions::new().with_unescape(false));
    let statements = parser.with_tokens_with_locations(tokens).parse_statements();
    let mut statements = statements.map_err(|error| syntax(said(&error.to_string())))?;
    match (statements.pop(), statements.len()) {
        (None, _) => Err(Refusal::Empty),
        (Some(Statement::Explain { statement, .. }), 0) => Ok(*statement),
        (Some(statement), 0) => Ok(statement),
        (Some(_), others) => Err(Refusal::Several { count: others + 1 }),
    }
}

/// What the parser says, without its own name.
fn said(message: &str) -> String {
    message.trim_start_matches("sql parser error: ").to_owned()
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_QUOTED) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

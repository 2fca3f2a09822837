//! An MCP server for database performance: which queries take most, why one is slow, how a database is and how that
//! went over time. It reads, and changes nothing.
//!
//! [`DatabaseServer`] is an rmcp service: the program `database-mcp` serves it over standard input and output or
//! streamable HTTP, and a program that embeds it makes one for each connection:
//!
//! ```
//! use database_mcp::{Config, DatabaseConfig, DatabaseServer, Kind};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let orders = DatabaseConfig::new("orders", Kind::Sqlite, "sqlite:orders.db");
//! let server = DatabaseServer::new(Config::of([orders]))?;
//! # let _ = server.clone();
//! # Ok(())
//! # }
//! ```
//!
//! | feature | |
//! |---|---|
//! | `mysql`, `postgres` | databases beside SQLite, which is always there; MariaDB is `mysql` |
//! | `oracle` | Oracle, whose client library is loaded when it is used |
//! | `sample` | three SQLite databases to try things on |
//! | `serve` | the program |
//!
//! The way of a call: `server` finds the database, `query` judges a statement by its tree, `engine` asks the
//! database, `plan` reads what it says, `advise` and `compare` make something of it, `report` is what goes out.

mod advise;
pub mod args;
mod catalog;
mod compare;
mod config;
mod engine;
mod error;
mod finding;
mod history;
mod kind;
mod plan;
#[cfg(feature = "serve")]
mod program;
mod query;
mod report;
#[cfg(feature = "sample")]
pub mod sample;
#[cfg(feature = "serve")]
pub mod serve;
mod server;
mod shrink;
mod text;
mod tools;
mod trends;

pub use compare::{Better, Measure};
pub use config::{Config, ConfigError, DatabaseConfig, HistoryConfig, HttpConfig, Limits};
pub use error::Error;
pub use finding::{Finding, Severity};
pub use kind::Kind;
pub use plan::{Access, Plan, Step, Work};
#[cfg(feature = "serve")]
pub use program::main;
pub use query::Refusal;
pub use report::{
    Analysis, ComparisonReport, DatabaseReport, Databases, Direction, Health, Metric, Point, QueryStat, Status,
    Summary, TopQueries, Trends, Wait,
};
pub use server::DatabaseServer;

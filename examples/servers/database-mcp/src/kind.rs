//! The kinds of databases.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sqlparser::dialect::{Dialect, MySqlDialect, OracleDialect, PostgreSqlDialect, SQLiteDialect};

/// A kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Kind {
    /// Oracle.
    Oracle,
    /// MySQL or MariaDB.
    #[serde(alias = "mariadb")]
    Mysql,
    /// PostgreSQL.
    #[serde(alias = "postgresql")]
    Postgres,
    /// SQLite.
    Sqlite,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Oracle, Self::Mysql, Self::Postgres, Self::Sqlite];

    /// As it stands in names of tools and in configuration.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Oracle => "oracle",
            Self::Mysql => "mysql",
            Self::Postgres => "postgres",
            Self::Sqlite => "sqlite",
        }
    }

    /// As people write it.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Oracle => "Oracle",
            Self::Mysql => "MySQL",
            Self::Postgres => "PostgreSQL",
            Self::Sqlite => "SQLite",
        }
    }

    /// Whether this build can talk to it.
    #[must_use]
    pub fn is_built(self) -> bool {
        match self {
            Self::Oracle => cfg!(feature = "oracle"),
            Self::Mysql => cfg!(feature = "mysql"),
            Self::Postgres => cfg!(feature = "postgres"),
            Self::Sqlite => true,
        }
    }

    /// The name of the tool that analyses a query of it.
    #[must_use]
    pub fn analyze_tool(self) -> String {
        format!("analyze_{}_query", self.id())
    }

    /// The name of the tool that compares two queries of it.
    #[must_use]
    pub fn compare_tool(self) -> String {
        format!("compare_{}_query_plans", self.id())
    }

    pub(crate) fn dialect(self) -> Box<dyn Dialect> {
        match self {
            Self::Oracle => Box::new(OracleDialect {}),
            Self::Mysql => Box::new(MySqlDialect {}),
            Self::Postgres => Box::new(PostgreSqlDialect {}),
            Self::Sqlite => Box::new(SQLiteDialect {}),
        }
    }

    /// A name as the database keeps it.
    pub(crate) fn fold(self, name: &str, is_quoted: bool) -> String {
        match self {
            Self::Postgres if !is_quoted => name.to_lowercase(),
            Self::Oracle if !is_quoted => name.to_uppercase(),
            Self::Oracle | Self::Mysql | Self::Postgres | Self::Sqlite => name.to_owned(),
        }
    }

    /// A name as it stands in a statement: quoted where it has to be.
    pub(crate) fn quote(self, name: &str) -> String {
        let is_plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && self.fold(name, false) == name;
        match self {
            _ if is_plain => name.to_owned(),
            Self::Mysql => format!("`{}`", name.replace('`', "``")),
            Self::Oracle | Self::Postgres | Self::Sqlite => format!("\"{}\"", name.replace('"', "\"\"")),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

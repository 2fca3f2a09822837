//! Why a tool gives no answer. Every message may be read by whoever called, and by a model.

use crate::{Kind, query::Refusal};

/// Why a tool gives no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No such database is configured.
    #[error("there is no database {name:?}; {known}")]
    UnknownDatabase {
        /// What was asked for.
        name: String,
        /// Which there are, as a sentence.
        known: String,
    },
    /// The tool is for another kind of database.
    #[error("{name} is a {kind} database: use {use_instead} instead")]
    OtherKind {
        /// The database.
        name: String,
        /// Its kind.
        kind: Kind,
        /// The tool for it.
        use_instead: String,
    },
    /// This build cannot talk to such a database.
    #[error(
        "{name} is {article} {kind} database, and this database-mcp was built without it. Build it with `cargo build -p \
         database-mcp --features {feature}`{more}, or ask about another database"
    )]
    NotBuilt {
        /// The database.
        name: String,
        /// `a` or `an`.
        article: &'static str,
        /// Its kind.
        kind: Kind,
        /// The feature that is off.
        feature: &'static str,
        /// What else it takes.
        more: &'static str,
    },
    /// The query is not one that may be passed on.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No connection could be made.
    #[error("{name} cannot be reached: {reason}")]
    Unreachable {
        /// The database.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// It took too long.
    #[error("{name} did not answer within {after_ms} ms; the statement was given up")]
    TimedOut {
        /// The database.
        name: String,
        /// How long it was waited for.
        after_ms: u64,
    },
    /// Too much is asked of it at once.
    #[error("{name} is busy with other calls of this server; try again in a moment")]
    Busy {
        /// The database.
        name: String,
    },
    /// The database refused.
    #[error("{name} says: {reason}")]
    Failed {
        /// The database.
        name: String,
        /// What it says.
        reason: String,
    },
    /// The database has no such thing to tell.
    #[error("{what}")]
    Unsupported {
        /// A sentence that says what there is instead.
        what: String,
    },
    /// The arguments of a call are not what the tool takes.
    #[error("the arguments of {tool} do not fit: {reason}")]
    Arguments {
        /// The tool.
        tool: String,
        /// What is wrong.
        reason: String,
    },
}

impl Error {
    pub(crate) fn not_built(name: &str, kind: Kind) -> Self {
        let (article, more) = match kind {
            Kind::Oracle => ("an", " and install Oracle Instant Client where it runs"),
            Kind::Mysql | Kind::Postgres | Kind::Sqlite => ("a", ""),
        };
        Self::NotBuilt { name: name.to_owned(), article, kind, feature: kind.id(), more }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_was_left_out_of_the_build_is_refused_with_what_to_do() {
        let said = Error::not_built("core", Kind::Oracle).to_string();
        let expected = "core is an Oracle database, and this database-mcp was built without it. Build it with `cargo \
            build -p database-mcp --features oracle` and install Oracle Instant Client where it runs, or ask about \
            another database";
        assert_eq!(said, expected);
    }
}

//! What can go wrong with a database, by meaning.

/// Why a database did not do what it was asked to.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum DbError {
    /// It cannot be reached, or not now. The same may work later.
    #[error("the database cannot be reached: {message}")]
    Unavailable {
        /// What went wrong.
        message: String,
    },
    /// A row of that kind is there already, or one that it needs is not.
    #[error("the database refuses a row: {message}")]
    Constraint {
        /// The database's words.
        message: String,
    },
    /// Another transaction was in the way; the same one may work at once.
    #[error("another transaction was in the way: {message}")]
    Contended {
        /// The database's words.
        message: String,
    },
    /// The statement or what it returned is not what was expected.
    #[error("the database does not fit this build of omni: {message}; `omni db migrate` may help")]
    Schema {
        /// What is wrong.
        message: String,
    },
    /// The tables were brought up to date by a build that knows more steps.
    #[error("the database is of a newer omni: its tables are at step {version}; run that omni, or restore a backup")]
    Newer {
        /// A step of the database that this build does not know.
        version: i64,
    },
    /// The address is none that omni can use: it is no URL, or names a database or a user that is not there.
    #[error("{message}")]
    Url {
        /// What is wrong with it.
        message: String,
    },
}

impl From<sqlx::Error> for DbError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(error) => of_database(&*error),
            sqlx::Error::RowNotFound
            | sqlx::Error::TypeNotFound { .. }
            | sqlx::Error::ColumnIndexOutOfBounds { .. }
            | sqlx::Error::ColumnNotFound(_)
            | sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::Encode(_)
            | sqlx::Error::Decode(_) => Self::Schema { message: error.to_string() },
            sqlx::Error::Configuration(message) => Self::Url { message: message.to_string() },
            other => Self::Unavailable { message: other.to_string() },
        }
    }
}

fn of_database(error: &dyn sqlx::error::DatabaseError) -> DbError {
    let message = error.message().to_owned();
    let code = error.code().unwrap_or_default().into_owned();
    if error.is_unique_violation() || error.is_foreign_key_violation() || error.is_check_violation() {
        return DbError::Constraint { message };
    }
    match code.as_str() {
        // PostgreSQL: serialization failure, deadlock, lock not available.
        "40001" | "40P01" | "55P03" => DbError::Contended { message },
        // PostgreSQL: a value that a column cannot hold, and the rest of what a table refuses.
        _ if code.len() == 5 && (code.starts_with("22") || code.starts_with("23")) => DbError::Constraint { message },
        // PostgreSQL: no such database, no such user or not from here, a wrong password.
        "3D000" | "28000" | "28P01" => DbError::Url { message: format!("the database cannot be used: {message}") },
        // PostgreSQL: undefined table or column, wrong type.
        "42P01" | "42703" | "42804" => DbError::Schema { message },
        _ if is_busy(&code) => DbError::Contended { message },
        _ => DbError::Unavailable { message },
    }
}

/// SQLite's codes are numbers; the low byte is the primary one: 5 is BUSY, 6 is LOCKED.
fn is_busy(code: &str) -> bool {
    code.len() < 5 && code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6))
}

impl From<sqlx::migrate::MigrateError> for DbError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        match error {
            sqlx::migrate::MigrateError::Execute(error) | sqlx::migrate::MigrateError::ExecuteMigration(error, _) => {
                error.into()
            }
            sqlx::migrate::MigrateError::VersionMissing(version) => Self::Newer { version },
            other => Self::Schema { message: other.to_string() },
        }
    }
}

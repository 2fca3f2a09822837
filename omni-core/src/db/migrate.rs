//! The tables: forward only, and harmless when they are there already.

use std::fmt::Write as _;
#[cfg(feature = "postgres")]
use std::time::Duration;

#[cfg(feature = "postgres")]
use sqlx::migrate::Migrate as _;
use sqlx::{
    SqlSafeStr as _,
    migrate::{Migration, MigrationType, Migrator},
};

use super::{Db, DbError, Dialect, Pool, sql};

/// How long PostgreSQL's lock is waited for. Whoever waits longer than that for a large database comes again.
#[cfg(feature = "postgres")]
const LOCKED: Duration = Duration::from_secs(60);

/// One step of the tables' history: version, description, and its SQL by dialect.
struct Step {
    version: i64,
    description: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

macro_rules! step {
    ($version:literal, $description:literal, $file:literal) => {
        Step {
            version: $version,
            description: $description,
            sqlite: include_str!(concat!("../../migrations/sqlite/", $file)),
            postgres: include_str!(concat!("../../migrations/postgres/", $file)),
        }
    };
}

/// A column of SQLite: its table, its name and what it is. Steps add columns to tables of earlier ones with
/// it, because SQLite cannot add one only where it is missing.
type Column = (&'static str, &'static str, &'static str);

/// What the step of a number adds before its SQL.
const COLUMNS: &[(i64, &[Column])] = &[
    (
        6,
        &[
            // Whether the call came to its server; what omni refused did not.
            ("tool_calls", "sent", "INTEGER NOT NULL DEFAULT 1"),
            // Which key a checkpoint is signed with, as its signer says.
            ("ledger_checkpoints", "key_id", "TEXT"),
            // 'omni', or NULL for rows that somebody else wrote.
            ("mcp_servers", "written_by", "TEXT"),
        ],
    ),
    // When the ledger had the decision on a call.
    (14, &[("confirmations", "recorded_at", "TEXT")]),
    // What an entry of `allowed_mcps` says of prompts and resources: the keys of `users.yaml` as a JSON object.
    (21, &[("user_mcp_permissions", "beside", "TEXT NOT NULL DEFAULT '{}'")]),
    // Whether part of tokens and cost is reckoned and not the vendor's word.
    (23, &[("audit_logs", "cost_is_estimated", "INTEGER NOT NULL DEFAULT 0")]),
    // The channel of a result's conversation; of what earlier builds kept it is not known.
    (24, &[("results", "channel", "TEXT")]),
];

/// Every step, in order. One that was released is never changed.
const STEPS: &[Step] = &[
    step!(1, "ledger", "0001_ledger.sql"),
    step!(2, "people", "0002_people.sql"),
    step!(3, "limits", "0003_limits.sql"),
    step!(4, "audit", "0004_audit.sql"),
    step!(5, "originals", "0005_originals.sql"),
    step!(6, "views", "0006_views.sql"),
    step!(7, "threads", "0007_threads.sql"),
    step!(8, "pins", "0008_pins.sql"),
    step!(9, "tokens", "0009_tokens.sql"),
    step!(10, "confirmations", "0010_confirmations.sql"),
    step!(11, "results", "0011_results.sql"),
    step!(12, "summaries", "0012_summaries.sql"),
    step!(13, "analytics", "0013_analytics.sql"),
    step!(14, "decisions", "0014_decisions.sql"),
    step!(15, "kept", "0015_kept.sql"),
    step!(16, "imported", "0016_imported.sql"),
    step!(17, "overview", "0017_overview.sql"),
    step!(18, "room", "0018_room.sql"),
    step!(19, "once", "0019_once.sql"),
    step!(20, "whose", "0020_whose.sql"),
    step!(21, "beside", "0021_beside.sql"),
    step!(22, "bytes", "0022_bytes.sql"),
    step!(23, "estimated", "0023_estimated.sql"),
    step!(24, "channel", "0024_channel.sql"),
    step!(25, "reckoned", "0025_reckoned.sql"),
];

/// The numbers of all steps.
#[cfg(test)]
pub(super) fn versions() -> Vec<i64> {
    STEPS.iter().map(|step| step.version).collect()
}

impl Step {
    fn sql(&self, dialect: Dialect) -> &'static str {
        match dialect {
            Dialect::Sqlite => self.sqlite,
            Dialect::Postgres => self.postgres,
        }
    }
}

fn columns_of(version: i64) -> &'static [Column] {
    COLUMNS.iter().find(|(step, _)| *step == version).map_or(&[], |(_, columns)| columns)
}

fn add_column((table, column, kind): &Column) -> String {
    format!("ALTER TABLE {table} ADD COLUMN {column} {kind}")
}

/// Brings an SQLite database up to date, step by step where columns are to be added between them.
#[cfg(feature = "sqlite")]
async fn sqlite(connection: &mut sqlx::SqliteConnection) -> Result<(), DbError> {
    for (version, columns) in COLUMNS {
        let before = STEPS.iter().filter(|step| step.version < *version);
        let mut first = of_steps(before, Dialect::Sqlite);
        first.set_ignore_missing(true);
        first.run_direct(None, &mut *connection, false).await?;
        for column in *columns {
            let known = "SELECT 1 FROM pragma_table_info(?) WHERE name = ?";
            let known = sqlx::query(known).bind(column.0).bind(column.1).fetch_optional(&mut *connection).await?;
            if known.is_none() {
                let add = add_column(column);
                sqlx::query(sql::safe(&add).into_sql_str()).execute(&mut *connection).await?;
            }
        }
    }
    Ok(migrator(Dialect::Sqlite).run_direct(None, &mut *connection, false).await?)
}

/// Brings a PostgreSQL database up to date, once whoever else does so has ended.
#[cfg(feature = "postgres")]
async fn postgres(connection: &mut sqlx::PgConnection, patience: Duration) -> Result<(), DbError> {
    lock(connection, patience).await?;
    let migrated = migrator(Dialect::Postgres).set_locking(false).run_direct(None, &mut *connection, false).await;
    // Whatever became of it: a pooler between may keep the session for somebody else.
    let unlocked = connection.unlock().await;
    migrated?;
    Ok(unlocked?)
}

/// The lock under which one process at a time brings the tables up to date. It is waited for as long as that; what the
/// steps themselves wait for has no such end.
#[cfg(feature = "postgres")]
pub(super) async fn lock(connection: &mut sqlx::PgConnection, patience: Duration) -> Result<(), DbError> {
    let bound = format!("{}ms", patience.as_millis());
    // The bound is the transaction's and goes with it; the lock is the session's and stays.
    let mut tx = sqlx::Connection::begin(&mut *connection).await?;
    sqlx::query("SELECT set_config('lock_timeout', $1, true)").bind(bound).execute(&mut *tx).await?;
    tx.lock().await.map_err(|error| match DbError::from(error) {
        DbError::Contended { .. } => DbError::Contended {
            message: "somebody else brings the tables up to date, and holds the lock for that; `SELECT pid FROM pg_locks \
                      WHERE locktype = 'advisory' AND granted AND database = (SELECT oid FROM pg_database WHERE datname \
                      = current_database())` tells who"
                .into(),
        },
        other => other,
    })?;
    Ok(tx.commit().await?)
}

fn migrator(dialect: Dialect) -> Migrator {
    of_steps(STEPS.iter(), dialect)
}

fn of_steps<'a>(steps: impl Iterator<Item = &'a Step>, dialect: Dialect) -> Migrator {
    let step = |step: &Step| {
        let sql = step.sql(dialect).into_sql_str();
        Migration::new(step.version, step.description.into(), MigrationType::Simple, sql, false)
    };
    Migrator::with_migrations(steps.map(step).collect())
}

/// All steps as one script, for whoever runs them by hand.
#[must_use]
pub fn script(dialect: Dialect) -> String {
    STEPS.iter().fold(String::new(), |mut script, step| {
        let _ = writeln!(script, "-- {:04} {}", step.version, step.description);
        for column in columns_of(step.version).iter().filter(|_| dialect == Dialect::Sqlite) {
            let _ = writeln!(script, "{};", add_column(column));
        }
        let _ = writeln!(script, "{}", step.sql(dialect).trim_end());
        script
    })
}

/// How far a database is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MigrationStatus {
    /// The newest step of the database; 0 is none.
    pub current: i64,
    /// The newest step of this build.
    pub latest: i64,
    /// How many steps of this build the database does not have, wherever they stand.
    pub missing: usize,
}

impl MigrationStatus {
    fn of(present: &[i64]) -> Self {
        let missing = STEPS.iter().filter(|step| !present.contains(&step.version)).count();
        let latest = STEPS.last().map_or(0, |step| step.version);
        Self { current: present.iter().copied().max().unwrap_or(0), latest, missing }
    }

    /// Whether the database has what this build needs, and nothing that is newer.
    #[must_use]
    pub fn is_up_to_date(&self) -> bool {
        self.missing == 0 && self.current == self.latest
    }

    /// Whether the database has steps that this build does not know.
    #[must_use]
    pub fn is_newer(&self) -> bool {
        self.current > self.latest
    }
}

impl Db {
    /// Brings the tables up to date. Safe when several processes do so at once. Goes on when nobody
    /// waits for it any more: a large database of the original takes longer than a record may.
    ///
    /// # Errors
    /// A [`DbError`]; [`DbError::Newer`] when the database is newer than this build.
    pub async fn migrate(&self) -> Result<(), DbError> {
        let db = self.clone();
        let migrated = tokio::spawn(async move { db.migrate_now().await }).await;
        migrated.unwrap_or_else(|error| Err(DbError::Unavailable { message: error.to_string() }))
    }

    async fn migrate_now(&self) -> Result<(), DbError> {
        let _one_at_a_time = self.migrating.lock().await;
        match &self.pool {
            #[cfg(feature = "sqlite")]
            Pool::Sqlite(pools) => {
                // Under the write lock: two processes may bring a database up to date at once.
                let mut tx = pools.writes.begin_with("BEGIN IMMEDIATE").await?;
                // (`run` does the same for connections that are Send for one lifetime only.)
                sqlite(&mut tx).await?;
                tx.commit().await?;
            }
            #[cfg(feature = "postgres")]
            Pool::Postgres(pool) => {
                let mut connection = pool.acquire().await?;
                let brought = postgres(&mut connection, LOCKED).await;
                if brought.is_err() {
                    // A lock that was not given up goes with its session.
                    connection.close_on_drop();
                }
                brought?;
            }
        }
        Ok(())
    }

    /// How far the database of a URL is; one that is not there is not made.
    ///
    /// # Errors
    /// As [`Db::connect`].
    pub async fn status_of(url: &str) -> Result<MigrationStatus, DbError> {
        if !Self::is_there(url) {
            return Ok(MigrationStatus::of(&[]));
        }
        let db = Self::connect(url).await?;
        let status = db.migration_status().await;
        db.close().await;
        status
    }

    /// How far the database is; changes nothing.
    ///
    /// # Errors
    /// A [`DbError`].
    pub async fn migration_status(&self) -> Result<MigrationStatus, DbError> {
        let there = match self.dialect() {
            Dialect::Sqlite => "SELECT 1 AS there FROM sqlite_master WHERE name = '_sqlx_migrations'",
            Dialect::Postgres => "SELECT 1 AS there WHERE to_regclass('_sqlx_migrations') IS NOT NULL",
        };
        if self.fetch_optional(there, &[]).await?.is_none() {
            return Ok(MigrationStatus::of(&[]));
        }
        let rows = self.fetch_all("SELECT version FROM _sqlx_migrations", &[]).await?;
        let present: Vec<i64> = rows.iter().map(|row| row.int("version")).collect::<Result<_, _>>()?;
        Ok(MigrationStatus::of(&present))
    }
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use super::*;

    const SENT: &str = "SELECT 1 AS there FROM tool_calls WHERE sent = 1";

    /// A call as the first build stored it.
    const CALL: &str = "INSERT INTO tool_calls (request_id, server, tool, arguments, status, chain_id, seq, created_at)
        VALUES ('r', 'db', 'get', '{}', 'success', 'c', 0, '2026-11-27 00:00:00.000000')";

    #[tokio::test]
    async fn a_database_of_an_earlier_build_gets_what_it_lacks_and_keeps_its_rows() {
        let db = Db::connect("sqlite::memory:").await.unwrap();
        let Pool::Sqlite(pools) = &db.pool else { panic!("not SQLite") };
        let mut connection = pools.writes.acquire().await.unwrap();
        of_steps(STEPS[..4].iter(), Dialect::Sqlite).run_direct(None, &mut *connection, false).await.unwrap();
        drop(connection);
        db.execute(CALL, &[]).await.unwrap();
        for _ in 0..2 {
            db.migrate().await.unwrap();
            assert!(db.fetch_optional(SENT, &[]).await.unwrap().is_some());
            assert!(db.migration_status().await.unwrap().is_up_to_date());
        }
    }

    #[tokio::test]
    async fn a_database_of_a_newer_build_is_said_to_be_one_and_left_alone() {
        const LATER: &str = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             VALUES (999, 'later', TRUE, X'', 0)";
        let db = Db::open("sqlite::memory:").await.unwrap();
        assert!(!db.migration_status().await.unwrap().is_newer());
        db.execute(LATER, &[]).await.unwrap();
        let status = db.migration_status().await.unwrap();
        assert_eq!((status.is_newer(), status.is_up_to_date(), status.missing), (true, false, 0));
        let error = db.migrate().await.unwrap_err();
        assert!(matches!(error, DbError::Newer { version: 999 }), "{error:?}");
        assert!(!error.to_string().contains("omni db migrate"), "{error}");
    }

    #[tokio::test]
    async fn a_database_that_was_made_by_hand_is_taken_as_it_is() {
        let db = Db::connect("sqlite::memory:").await.unwrap();
        let Pool::Sqlite(pools) = &db.pool else { panic!("not SQLite") };
        sqlx::raw_sql(sql::safe(&script(Dialect::Sqlite)).into_sql_str()).execute(&pools.writes).await.unwrap();
        db.execute(CALL, &[]).await.unwrap();
        db.migrate().await.unwrap();
        assert!(db.fetch_optional(SENT, &[]).await.unwrap().is_some());
    }
}

//! Connecting.

#[cfg(feature = "sqlite")]
use std::{
    fs::OpenOptions,
    path::{Path, PathBuf},
    time::Duration,
};

#[cfg(feature = "sqlite")]
use super::Sqlite;
use super::{ACQUIRE, Db, DbError, Pool};
#[cfg(feature = "sqlite")]
use crate::ledger::files;

/// How long a writer waits for another process that writes.
#[cfg(feature = "sqlite")]
const BUSY: Duration = Duration::from_secs(10);
/// Most connections that read an SQLite database.
#[cfg(feature = "sqlite")]
const READERS: u32 = 6;
/// Most connections to PostgreSQL, of one user of it and of all who share some.
const CONNECTIONS: u32 = 10;
const SHARED: u32 = 20;

impl Db {
    /// Connects to the database of a URL: `postgres://…` (also `postgresql://`, and with the Python
    /// driver's `+asyncpg`), else SQLite: `sqlite:<path>`, a path, or `sqlite::memory:`. An SQLite
    /// file that is not there is made, for its owner alone. The tables are left as they are; see
    /// [`Db::migrate`].
    ///
    /// # Errors
    /// [`DbError::Url`] when this build has no such database or the file cannot be used,
    /// [`DbError::Unavailable`].
    pub async fn connect(url: &str) -> Result<Self, DbError> {
        let pool = if is_postgres(url) { postgres(url).await? } else { sqlite(url).await? };
        Ok(Self::over(pool, url))
    }

    /// The database of a URL, which need not be there yet: the first statement connects. For SQLite
    /// the same as [`Db::connect`].
    ///
    /// # Errors
    /// As [`Db::connect`], save that nothing is [`DbError::Unavailable`].
    pub async fn lazy(url: &str) -> Result<Self, DbError> {
        Self::lazy_with(url, CONNECTIONS).await
    }

    /// The same for all who use the database.
    pub(crate) async fn lazy_for_all(url: &str) -> Result<Self, DbError> {
        Self::lazy_with(url, SHARED).await
    }

    async fn lazy_with(url: &str, connections: u32) -> Result<Self, DbError> {
        #[cfg(feature = "postgres")]
        if is_postgres(url) {
            let pool = pg_pool(connections).connect_lazy_with(pg_options(url)?);
            return Ok(Self::over(Pool::Postgres(pool), url));
        }
        let _ = connections;
        Self::connect(url).await
    }

    /// Finds out whether a database can be connected to: a pool would try again and again for as long as anything may
    /// wait for a connection.
    ///
    /// # Errors
    /// [`DbError::Unavailable`].
    #[cfg_attr(not(feature = "postgres"), allow(clippy::unused_async, reason = "SQLite is open by then"))]
    pub(crate) async fn probe(url: &str) -> Result<(), DbError> {
        #[cfg(feature = "postgres")]
        if is_postgres(url) {
            use sqlx::{Connection as _, PgConnection};
            let options = pg_options(url)?;
            let first = tokio::time::timeout(ACQUIRE, PgConnection::connect_with(&options)).await;
            first.map_err(|_| DbError::Unavailable { message: "it did not answer in time".into() })??.close().await?;
        }
        #[cfg(not(feature = "postgres"))]
        let _ = url;
        Ok(())
    }

    /// Whether there may be a database at a URL: `false` only for an SQLite file that is not there.
    #[must_use]
    pub fn is_there(url: &str) -> bool {
        is_postgres(url) || is_made(url)
    }

    fn over(pool: Pool, url: &str) -> Self {
        let place = match &pool {
            #[cfg(feature = "sqlite")]
            Pool::Sqlite(_) => Target::parse(url).place(),
            #[cfg(feature = "postgres")]
            Pool::Postgres(_) => pg_place(url),
        };
        Self { pool, place: place.into(), migrating: std::sync::Arc::default() }
    }

    /// Connects and brings the tables up to date.
    ///
    /// # Errors
    /// As [`Db::connect`] and [`Db::migrate`].
    pub async fn open(url: &str) -> Result<Self, DbError> {
        let db = Self::connect(url).await?;
        db.migrate().await?;
        Ok(db)
    }
}

fn is_postgres(url: &str) -> bool {
    let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
    matches!(scheme.split('+').next(), Some("postgres" | "postgresql"))
}

#[cfg(feature = "postgres")]
fn pg_options(url: &str) -> Result<sqlx::postgres::PgConnectOptions, DbError> {
    let (_, rest) = url.split_once("://").unwrap_or_default();
    let options: Result<sqlx::postgres::PgConnectOptions, sqlx::Error> = format!("postgres://{rest}").parse();
    let unusable = |error| DbError::Url { message: format!("the database's URL cannot be used: {error}") };
    Ok(options.map_err(unusable)?.application_name("omni"))
}

/// Server, database and options, such as a schema; whoever connects, and how safely, is no other place.
#[cfg(feature = "postgres")]
fn pg_place(url: &str) -> String {
    let Ok(options) = pg_options(url) else { return String::new() };
    let host = match options.get_host().to_lowercase() {
        own if ["localhost", "127.0.0.1", "::1", "[::1]"].contains(&&*own) => "localhost".into(),
        host => host,
    };
    let host = options.get_socket().map_or(host, |socket| socket.display().to_string());
    let database = options.get_database().unwrap_or_else(|| options.get_username());
    format!("postgres://{host}:{}/{database}?{}", options.get_port(), options.get_options().unwrap_or_default())
}

#[cfg(feature = "postgres")]
fn pg_pool(connections: u32) -> sqlx::postgres::PgPoolOptions {
    sqlx::postgres::PgPoolOptions::new().max_connections(connections).acquire_timeout(ACQUIRE)
}

#[cfg(feature = "postgres")]
async fn postgres(url: &str) -> Result<Pool, DbError> {
    Db::probe(url).await?;
    Ok(Pool::Postgres(pg_pool(CONNECTIONS).connect_lazy_with(pg_options(url)?)))
}

#[cfg(not(feature = "postgres"))]
async fn postgres(_url: &str) -> Result<Pool, DbError> {
    Err(DbError::Url { message: "this build has no PostgreSQL (feature `postgres`)".into() })
}

#[cfg(feature = "sqlite")]
async fn sqlite(url: &str) -> Result<Pool, DbError> {
    let target = Target::parse(url);
    let options = target.options()?;
    let since = tokio::time::Instant::now();
    loop {
        match target.connect(options.clone()).await {
            Ok(pools) => return Ok(Pool::Sqlite(pools)),
            // SQLite does not wait by itself while another process switches the journal's mode, nor while
            // the last one to close the database takes its journal away.
            Err(error) if is_passing(&error) && since.elapsed() < BUSY => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => return Err(target.failed(&DbError::from(error).to_string())),
        }
    }
}

#[cfg(not(feature = "sqlite"))]
async fn sqlite(_url: &str) -> Result<Pool, DbError> {
    Err(DbError::Url { message: "this build has no SQLite (feature `sqlite`)".into() })
}

#[cfg(feature = "sqlite")]
#[derive(Debug, PartialEq, Eq)]
enum Target {
    Memory,
    File(PathBuf),
}

#[cfg(feature = "sqlite")]
impl Target {
    fn parse(url: &str) -> Self {
        let path = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:")).unwrap_or(url);
        // Options such as `?mode=rwc` of other tools' URLs do not change what omni needs.
        let path = path.split('?').next().unwrap_or(path);
        if path == ":memory:" { Self::Memory } else { Self::File(path.into()) }
    }

    fn options(&self) -> Result<sqlx::sqlite::SqliteConnectOptions, DbError> {
        use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
        let options = SqliteConnectOptions::new().foreign_keys(true).busy_timeout(BUSY);
        let Self::File(path) = self else { return Ok(options.in_memory(true)) };
        make(path).map_err(|error| DbError::Url { message: error.to_string() })?;
        // A record counts as stored when it survives a power cut: its write-ahead file goes then.
        let durable = options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
        // A statement of many rows keeps how to undo it: in memory, not in a file that is made for it.
        Ok(durable.pragma("temp_store", "memory").filename(path))
    }

    async fn connect(&self, options: sqlx::sqlite::SqliteConnectOptions) -> Result<Sqlite, sqlx::Error> {
        let pool = |connections| {
            // A file does not hang up: nobody has to ask whether it is still there.
            let pool = sqlx::sqlite::SqlitePoolOptions::new().max_connections(connections).test_before_acquire(false);
            pool.acquire_timeout(ACQUIRE).idle_timeout(None).max_lifetime(None)
        };
        match self {
            // In memory there is one database a connection, and one for as long as it lives.
            Self::Memory => {
                let only = pool(1).connect_with(options).await?;
                Ok(Sqlite { writes: only.clone(), reads: only })
            }
            Self::File(_) => {
                let writes = pool(1).after_release(|connection, _| Box::pin(is_as_before(connection)));
                let writes = writes.connect_with(options.clone()).await?;
                Ok(Sqlite { writes, reads: pool(READERS).connect_lazy_with(options) })
            }
        }
    }

    /// The file, by whatever name it was opened.
    fn place(&self) -> String {
        match self {
            Self::Memory => "sqlite::memory:".into(),
            Self::File(path) => {
                let path = path.canonicalize().unwrap_or_else(|_| path.clone());
                format!("sqlite:{}", path.display())
            }
        }
    }

    fn failed(&self, message: &str) -> DbError {
        let path = match self {
            Self::Memory => ":memory:".into(),
            Self::File(path) => path.display().to_string(),
        };
        DbError::Url { message: format!("the database {path} cannot be opened: {message}") }
    }
}

/// Whether a connection that comes back can be used again. A disk that is full has SQLite end the transaction by itself,
/// of which the driver learns nothing: it would begin no other one.
#[cfg(feature = "sqlite")]
async fn is_as_before(connection: &mut sqlx::SqliteConnection) -> Result<bool, sqlx::Error> {
    use sqlx::Connection as _;
    if !connection.is_in_transaction() {
        return Ok(true);
    }
    // What was dropped is undone first.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}

/// Whether opening may well work in a moment: BUSY, LOCKED or IOERR, by the low byte of SQLite's codes.
#[cfg(feature = "sqlite")]
fn is_passing(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code()?.parse::<u32>().ok());
    code.is_some_and(|code| matches!(code & 0xff, 5 | 6 | 10))
}

/// Whether the file is there. Whatever else keeps from looking keeps from opening, which says so.
#[cfg(feature = "sqlite")]
fn is_made(url: &str) -> bool {
    match Target::parse(url) {
        Target::Memory => true,
        Target::File(path) => path.try_exists().unwrap_or(true),
    }
}

#[cfg(not(feature = "sqlite"))]
fn is_made(_url: &str) -> bool {
    true
}

/// Makes the file, or finds out that it cannot be written, before SQLite says so less clearly.
#[cfg(feature = "sqlite")]
fn make(path: &Path) -> Result<(), crate::audit::AuditError> {
    if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        files::create_dir(dir)?;
    }
    let opened = files::private(OpenOptions::new().append(true).create(true)).open(path);
    opened.map(drop).map_err(|error| files::failed(path, &error))
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use super::*;

    #[test]
    fn urls_and_paths_name_the_same_file() {
        for url in ["sqlite:/data/omni.db", "sqlite:///data/omni.db", "/data/omni.db", "sqlite:/data/omni.db?mode=rwc"]
        {
            assert_eq!(Target::parse(url), Target::File("/data/omni.db".into()), "{url}");
        }
        assert_eq!(Target::parse("sqlite:data/omni.db"), Target::File("data/omni.db".into()));
        assert_eq!(Target::parse("sqlite::memory:"), Target::Memory);
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn a_place_is_the_same_for_whoever_connects_and_tells_no_password() {
        let place = pg_place("postgres://ada:hunter2@LOCALHOST/omni?sslmode=disable");
        assert_eq!(place, pg_place("postgresql+asyncpg://bob@127.0.0.1:5432/omni"));
        assert!(!place.contains("hunter2") && !place.contains("ada"), "{place}");
        for other in ["postgres://db/omni", "postgres://localhost/other", "postgres://localhost:5433/omni"] {
            assert_ne!(place, pg_place(other));
        }
    }
}

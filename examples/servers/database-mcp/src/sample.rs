//! Three SQLite databases to try things on: tables of a bank and of a card processor, with a history of queries, and
//! with indexes missing where queries want them. They follow from a seed and a time alone.

use std::{fs::File, io, path::Path};

use chrono::{DateTime, Utc};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::{Config, ConfigError, DatabaseConfig, DatabaseServer, Kind};

/// What a database is made of.
struct Recipe {
    name: &'static str,
    description: &'static str,
    /// Its tables and rows.
    tables: &'static str,
    /// Its queries, with how often they run and how long they take.
    queries: &'static str,
}

const BANK: &str = include_str!("sample/bank.sql");
const CARDS: &str = include_str!("sample/cards.sql");
/// What was recorded of the queries, every quarter of an hour for two weeks.
const STATISTICS: &str = include_str!("sample/statistics.sql");

const RECIPES: [Recipe; 3] = [
    Recipe {
        name: "transformer_master",
        description: "Master data of a bank: customers, accounts, merchants, transactions (sample)",
        tables: BANK,
        queries: include_str!("sample/bank_queries.sql"),
    },
    Recipe {
        name: "way4_docker7",
        description: "Card processing, test system 7: clients, contracts, cards, documents, statements (sample)",
        tables: CARDS,
        queries: include_str!("sample/cards_queries.sql"),
    },
    Recipe {
        name: "way4_docker8",
        description: "Card processing, test system 8: clients, contracts, cards, documents, statements (sample)",
        tables: CARDS,
        queries: include_str!("sample/cards_queries.sql"),
    },
];

/// From what the databases follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SampleOptions {
    /// Other seeds, other values.
    pub seed: u32,
    /// When the history of queries ends.
    pub now: DateTime<Utc>,
}

impl SampleOptions {
    /// A history that ends at a time.
    #[must_use]
    pub fn until(now: DateTime<Utc>) -> Self {
        Self { seed: 7, now }
    }

    /// The same with another seed.
    #[must_use]
    pub fn with_seed(mut self, seed: u32) -> Self {
        self.seed = seed;
        self
    }
}

/// Why there are no samples.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SampleError {
    /// The directory cannot be written.
    #[error("the sample databases cannot be written")]
    Io(#[from] io::Error),
    /// SQLite cannot make them.
    #[error("the sample databases cannot be made")]
    Sqlite(#[from] sqlx::Error),
    /// They make no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// A server of the sample databases, which are made anew in a directory.
///
/// # Errors
/// When they cannot be made there.
pub async fn server(dir: &Path) -> Result<DatabaseServer, SampleError> {
    Ok(DatabaseServer::new(Config::of(databases(dir).await?))?)
}

/// Makes the sample databases in a directory, with a history until now.
///
/// # Errors
/// When they cannot be made there.
pub async fn databases(dir: &Path) -> Result<Vec<DatabaseConfig>, SampleError> {
    databases_of(dir, SampleOptions::until(Utc::now())).await
}

/// The same, from a seed and until a time.
///
/// # Errors
/// When they cannot be made there.
pub async fn databases_of(dir: &Path, options: SampleOptions) -> Result<Vec<DatabaseConfig>, SampleError> {
    tokio::fs::create_dir_all(dir).await?;
    let _alone = alone(dir).await?;
    let mut databases = Vec::new();
    for (number, recipe) in RECIPES.iter().enumerate() {
        let path = dir.join(format!("{}.db", recipe.name));
        // Whoever has an older one open keeps it.
        let made = dir.join(format!("{}.db.new", recipe.name));
        match tokio::fs::remove_file(&made).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        make(&made, recipe, options, number as u32).await?;
        tokio::fs::rename(&made, &path).await?;
        databases.push(database(recipe, &path));
    }
    Ok(databases)
}

/// Whoever else makes them in this directory, be it another process, waits until what this gives is dropped; not where
/// files cannot be locked.
async fn alone(dir: &Path) -> io::Result<File> {
    let path = dir.join("making.lock");
    let locked = tokio::task::spawn_blocking(move || -> io::Result<File> {
        let file = File::create(path)?;
        if let Err(error) = file.lock() {
            tracing::debug!(%error, "others may make the sample databases at the same time");
        }
        Ok(file)
    });
    locked.await.map_err(io::Error::other)?
}

/// Such a database stands in for those of the original, which were Oracle's and MySQL's: their tools take it too, and
/// its tables are found in the schema `ows` as well.
fn database(recipe: &Recipe, path: &Path) -> DatabaseConfig {
    let path = path.to_string_lossy();
    let url = format!("sqlite:{}", path.replace('%', "%25").replace('?', "%3F"));
    DatabaseConfig::new(recipe.name, Kind::Sqlite, url)
        .with_description(recipe.description)
        .with_attached("ows", path)
        .with_tools_of([Kind::Oracle, Kind::Mysql, Kind::Postgres])
}

async fn make(path: &Path, recipe: &Recipe, options: SampleOptions, number: u32) -> Result<(), sqlx::Error> {
    let file = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    // Nobody reads it before it is whole.
    let file = file.pragma("synchronous", "OFF").pragma("journal_mode", "OFF").disable_statement_logging();
    let mut connection = file.connect().await?;
    sqlx::raw_sql("BEGIN").execute(&mut connection).await?;
    let seed = options.seed.wrapping_mul(31).wrapping_add(number) % 100_000;
    let given = sqlx::query("CREATE TEMP TABLE given AS SELECT ? AS seed, ? AS number, ? AS now");
    let now = options.now.format("%Y-%m-%d %H:%M:%S").to_string();
    given.bind(i64::from(seed)).bind(i64::from(number)).bind(now).execute(&mut connection).await?;
    for script in [recipe.tables, recipe.queries, STATISTICS] {
        run(&mut connection, script).await?;
    }
    sqlx::raw_sql("COMMIT").execute(&mut connection).await?;
    connection.close().await
}

async fn run(connection: &mut SqliteConnection, script: &'static str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(script).execute(connection).await?;
    Ok(())
}

//! Both databases hold and return the same.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::*;

const TABLE: &str = "CREATE TABLE things (id BIGINT PRIMARY KEY, name TEXT, ratio DOUBLE PRECISION, on_off BOOLEAN, at {TIME}, body {JSON}, tags {LIST}, raw {BYTES})";

/// A database of each kind that can be had here, with an empty table `things`.
async fn databases() -> Vec<Db> {
    let mut all = vec![Db::connect("sqlite::memory:").await.unwrap()];
    if let Some(url) = crate::testing::postgres_schema().await {
        all.push(Db::connect(&url).await.unwrap());
    }
    for db in &all {
        let types = match db.dialect() {
            Dialect::Sqlite => ["TEXT", "TEXT", "TEXT", "BLOB"],
            Dialect::Postgres => ["TIMESTAMPTZ", "JSONB", "TEXT[]", "BYTEA"],
        };
        let names = ["{TIME}", "{JSON}", "{LIST}", "{BYTES}"];
        let table = names.into_iter().zip(types).fold(TABLE.to_owned(), |sql, (name, own)| sql.replace(name, own));
        db.execute(&table, &[]).await.unwrap();
    }
    all
}

fn row(id: i64, name: &str) -> Vec<Val<'_>> {
    let at: DateTime<Utc> = "2026-03-14T15:09:26.535897Z".parse().unwrap();
    let tags = vec!["a".to_owned(), "it's".to_owned()];
    let body = json!({ "text": "a\u{0}b", "n": 1 });
    vec![
        id.into(),
        name.into(),
        Some(0.5).into(),
        true.into(),
        at.into(),
        body.into(),
        tags.into(),
        (&b"\x00\xff"[..]).into(),
    ]
}

const INTO: &str = "INSERT INTO things (id, name, ratio, on_off, at, body, tags, raw) VALUES";

/// As `.cargo/config.toml` has it built.
#[tokio::test]
async fn sqlite_takes_no_lock_to_count_what_nobody_reads() {
    let db = Db::connect("sqlite::memory:").await.unwrap();
    let rows = db.fetch_all("PRAGMA compile_options", &[]).await.unwrap();
    let options: Vec<String> = rows.iter().map(|row| row.text("compile_options").unwrap()).collect();
    let has = |option: &str| options.iter().any(|own| own == option);
    assert!(has("DEFAULT_MEMSTATUS=0") && has("DISABLE_PAGECACHE_OVERFLOW_STATS"), "{options:?}");
    assert!(!has("ENABLE_MEMORY_MANAGEMENT"), "{options:?}");
}

#[tokio::test]
async fn what_goes_in_comes_out_of_either_database() {
    for db in databases().await {
        let mut tx = db.begin().await.unwrap();
        let rows: Vec<_> = (0..600).map(|id| row(id, "what? 'quoted'")).collect();
        assert_eq!(tx.insert_many(INTO, rows, "ON CONFLICT DO NOTHING").await.unwrap(), 600);
        tx.commit().await.unwrap();
        const QUERY: &str = "SELECT * FROM things WHERE name = ? AND name <> '?' ORDER BY id";
        let found = db.fetch_all(QUERY, &["what? 'quoted'".into()]).await.unwrap();
        assert_eq!(found.len(), 600);
        let last = &found[599];
        assert_eq!((last.int("id").unwrap(), last.bool("on_off").unwrap()), (599, true));
        assert_eq!((last.optional_float("ratio").unwrap(), last.bytes("raw").unwrap()), (Some(0.5), vec![0, 255]));
        assert_eq!(last.time("at").unwrap().to_rfc3339(), "2026-03-14T15:09:26.535897+00:00");
        assert_eq!(last.texts("tags").unwrap(), ["a", "it's"]);
        assert_eq!(last.optional_json("body").unwrap().unwrap()["n"], 1);
        let sum = db
            .fetch_optional("SELECT CAST(sum(id) AS BIGINT) AS sum, count(*) AS n FROM things", &[])
            .await
            .unwrap()
            .unwrap();
        assert_eq!((sum.int("sum").unwrap(), sum.unsigned("n").unwrap()), (599 * 300, 600));
    }
}

#[tokio::test]
async fn what_is_missing_is_missing_in_either_database_and_a_dropped_transaction_changes_nothing() {
    for db in databases().await {
        let nothing = [
            7_i64.into(),
            Val::Text(None),
            Val::Float(None),
            Val::Bool(Some(false)),
            Val::Time(None),
            Val::Json(None),
            Vec::new().into(),
            Val::Bytes(None),
        ];
        db.execute(&format!("{INTO} ({})", placeholders(8)), &nothing).await.unwrap();
        let mut tx = db.begin().await.unwrap();
        tx.execute("DELETE FROM things", &[]).await.unwrap();
        drop(tx);
        let row = db.fetch_optional("SELECT * FROM things", &[]).await.unwrap().unwrap();
        assert_eq!((row.optional_text("name").unwrap(), row.optional_time("at").unwrap()), (None, None));
        assert_eq!((row.optional_json("body").unwrap(), row.texts("tags").unwrap()), (None, Vec::<String>::new()));
        assert!(matches!(row.text("name"), Err(DbError::Schema { .. })));
        let again = db.execute(&format!("{INTO} ({})", placeholders(8)), &nothing).await.unwrap_err();
        assert!(matches!(again, DbError::Constraint { .. }), "{again:?}");
        assert!(db.execute("SELECT nothing FROM nowhere", &[]).await.is_err());
    }
}

#[tokio::test]
async fn tables_are_made_once_by_however_many_at_a_time() {
    for db in databases().await {
        assert_eq!(db.migration_status().await.unwrap().current, 0);
        let both = tokio::join!(db.migrate(), db.migrate());
        assert!(both.0.is_ok() && both.1.is_ok(), "{both:?}");
        let status = db.migration_status().await.unwrap();
        assert_eq!(status.current, status.latest);
        let told = db.fetch_all("SELECT version FROM schema_version ORDER BY version", &[]).await.unwrap();
        let told: Vec<i64> = told.iter().map(|row| row.int("version").unwrap()).collect();
        assert_eq!(told, super::migrate::versions(), "the original's table names every step");
        assert!(script(db.dialect()).contains("CREATE TABLE IF NOT EXISTS ledger"));
    }
}

#[tokio::test]
async fn who_fails_to_make_the_tables_keeps_nobody_else_from_it() {
    const LATER: &str = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (999, 'later', TRUE, '', 0)";
    let Some(url) = crate::testing::postgres_schema().await else { return };
    let (first, second) = (Db::open(&url).await.unwrap(), Db::connect(&url).await.unwrap());
    first.execute(LATER, &[]).await.unwrap();
    let error = first.migrate().await.unwrap_err();
    assert!(matches!(error, DbError::Newer { version: 999 }), "{error:?}");
    first.execute("DELETE FROM _sqlx_migrations WHERE version = 999", &[]).await.unwrap();
    // The first one lives on all the while, as a service does.
    tokio::time::timeout(Duration::from_secs(30), second.migrate()).await.unwrap().unwrap();
    first.migrate().await.unwrap();
}

#[tokio::test]
async fn a_lock_that_somebody_else_holds_is_waited_for_as_long_as_is_said_and_then_named() {
    let Some(url) = crate::testing::postgres_schema().await else { return };
    let db = Db::connect(&url).await.unwrap();
    let Pool::Postgres(pool) = &db.pool else { panic!("not PostgreSQL") };
    let (mut holder, mut waiter) = (pool.acquire().await.unwrap(), pool.acquire().await.unwrap());
    holder.close_on_drop();
    super::migrate::lock(&mut holder, Duration::from_secs(60)).await.unwrap();
    let error = super::migrate::lock(&mut waiter, Duration::from_millis(50)).await.unwrap_err();
    assert!(matches!(error, DbError::Contended { .. }) && error.to_string().contains("pg_locks"), "{error:?}");
}

#[tokio::test]
async fn a_database_or_a_user_that_postgresql_does_not_know_is_a_wrong_address() {
    let Some(url) = crate::testing::postgres_schema().await else { return };
    let mut wrong = url::Url::parse(&url).unwrap();
    wrong.set_path("/there_is_none_of_this_name");
    let error = Db::connect(wrong.as_str()).await.unwrap_err();
    assert!(matches!(error, DbError::Url { .. }) && error.to_string().contains("of_this_name"), "{error:?}");
}

#[tokio::test]
async fn a_database_that_is_not_there_says_so() {
    let error = Db::connect("postgres://nobody@127.0.0.1:1/none").await.unwrap_err();
    assert!(matches!(error, DbError::Unavailable { .. }), "{error:?}");
    let lazy = Db::lazy("postgresql+asyncpg://nobody@127.0.0.1:1/none").await.unwrap();
    assert_eq!(lazy.dialect(), Dialect::Postgres);
    let error = Db::connect("sqlite:///proc/nowhere/omni.db").await.unwrap_err();
    assert!(error.to_string().contains("/proc/nowhere"), "{error}");
}

#[tokio::test]
async fn a_step_that_is_missing_in_the_middle_is_counted() {
    let db = Db::open("sqlite::memory:").await.unwrap();
    assert!(db.migration_status().await.unwrap().is_up_to_date());
    db.execute("DELETE FROM _sqlx_migrations WHERE version = 3", &[]).await.unwrap();
    let status = db.migration_status().await.unwrap();
    assert_eq!((status.current == status.latest, status.missing, status.is_up_to_date()), (true, 1, false));
}

#[cfg(feature = "sqlite")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_writes_to_sqlite_waits_for_its_turn_and_who_reads_does_not_wait() {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::connect(&dir.path().join("turns.db").display().to_string()).await.unwrap();
    db.execute("CREATE TABLE turns (n INTEGER)", &[]).await.unwrap();
    let mut first = db.begin().await.unwrap();
    first.execute("INSERT INTO turns (n) VALUES (1)", &[]).await.unwrap();
    let second = tokio::spawn({
        let db = db.clone();
        async move { db.execute("INSERT INTO turns (n) SELECT n + 1 FROM turns", &[]).await }
    });
    let seen = async || db.fetch_all("SELECT n FROM turns ORDER BY n", &[]).await.unwrap().len();
    assert_eq!(seen().await, 0);
    first.commit().await.unwrap();
    assert_eq!(second.await.unwrap().unwrap(), 1, "it saw the first one");
    assert_eq!(seen().await, 2);
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_disk_that_was_full_is_written_to_again_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::connect(&dir.path().join("full.db").display().to_string()).await.unwrap();
    db.execute("CREATE TABLE things (body TEXT)", &[]).await.unwrap();
    db.execute("PRAGMA max_page_count = 16", &[]).await.unwrap();
    let mut tx = db.begin().await.unwrap();
    let large = "x".repeat(1 << 20);
    assert!(tx.execute("INSERT INTO things (body) VALUES (?)", &[large.as_str().into()]).await.is_err());
    drop(tx);
    // (Whether there is room each connection says for itself.)
    db.execute("PRAGMA max_page_count = 100000", &[]).await.unwrap();
    let mut tx = db.begin().await.unwrap();
    tx.execute("INSERT INTO things (body) VALUES (?)", &[large.as_str().into()]).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn only_a_transaction_that_says_so_does_not_wait_for_the_disk() {
    for db in databases().await {
        let (asks, durable, relaxed) = match db.dialect() {
            Dialect::Sqlite => ("SELECT CAST(synchronous AS TEXT) AS level FROM pragma_synchronous", "2", "1"),
            Dialect::Postgres => ("SELECT current_setting('synchronous_commit') AS level", "on", "off"),
        };
        let level = async |tx: &mut Tx| tx.fetch_all(asks, &[]).await.unwrap()[0].text("level").unwrap();
        let mut tx = db.begin_relaxed().await.unwrap();
        assert_eq!(level(&mut tx).await, relaxed);
        tx.insert_many(INTO, vec![row(1, "kept")], "").await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(db.fetch_all("SELECT id FROM things", &[]).await.unwrap().len(), 1);
        let mut tx = db.begin().await.unwrap();
        assert_eq!(level(&mut tx).await, durable);
        drop(tx);
        drop(db.begin_relaxed().await.unwrap());
        // What has no transaction of its own is durable too, whatever came before it.
        let said = db.fetch_all("UPDATE things SET name = 'new' WHERE id = 1 RETURNING id", &[]).await.unwrap();
        assert_eq!(said.len(), 1);
        assert_eq!(db.fetch_all("SELECT id FROM things WHERE name = 'new'", &[]).await.unwrap().len(), 1);
        if db.dialect() == Dialect::Sqlite {
            assert_eq!(db.fetch_all("PRAGMA synchronous", &[]).await.unwrap()[0].int("synchronous").unwrap(), 2);
        }
    }
}

//! Tables, their columns and indexes, as SQLite's pragmas tell.

use sqlx::{Row as _, SqliteConnection};

use crate::{
    catalog::{Catalog, Column, Index, MAX_TABLES, TableInfo},
    query::{Shape, TableUse},
};

pub(super) async fn catalog(connection: &mut SqliteConnection, shape: &Shape) -> Result<Catalog, sqlx::Error> {
    let mut catalog = Catalog::default();
    for table in shape.tables().into_iter().take(MAX_TABLES) {
        catalog.tables.extend(info(connection, table).await?);
    }
    Ok(catalog)
}

/// A table by the name that a query has for it; nothing for a view.
pub(super) async fn info(
    connection: &mut SqliteConnection,
    table: &TableUse,
) -> Result<Option<TableInfo>, sqlx::Error> {
    let found = sqlx::query(
        "SELECT schema, name, wr FROM pragma_table_list WHERE name = ?1 COLLATE NOCASE
         AND (?2 IS NULL OR schema = ?2 COLLATE NOCASE) AND type = 'table' ORDER BY schema <> 'main' LIMIT 1",
    );
    let found = found.bind(&table.name).bind(&table.schema).fetch_optional(&mut *connection).await?;
    let Some(found) = found else { return Ok(None) };
    let (schema, name): (String, String) = (found.try_get("schema")?, found.try_get("name")?);
    let without_rowid: i64 = found.try_get("wr")?;
    let columns = columns(connection, &schema, &name).await?;
    let indexes = indexes(connection, &schema, &name).await?;
    let counted = counted(connection, &schema, &name).await?;
    let rows = match counted {
        Some(rows) => Some(rows),
        None if without_rowid == 0 => highest(connection, &schema, &name).await?,
        None => None,
    };
    let schema = Some(schema).filter(|schema| schema != "main");
    Ok(Some(TableInfo { schema, name, rows, columns, indexes, has_statistics: Some(counted.is_some()) }))
}

async fn columns(connection: &mut SqliteConnection, schema: &str, name: &str) -> Result<Vec<Column>, sqlx::Error> {
    let rows = sqlx::query("SELECT name, lower(type) AS kind FROM pragma_table_info(?1, ?2) ORDER BY cid");
    let rows = rows.bind(name).bind(schema).fetch_all(connection).await?;
    rows.iter().map(|row| Ok(Column { name: row.try_get("name")?, kind: row.try_get("kind")? })).collect()
}

async fn indexes(connection: &mut SqliteConnection, schema: &str, name: &str) -> Result<Vec<Index>, sqlx::Error> {
    let listed = sqlx::query("SELECT name, \"unique\" AS u, partial FROM pragma_index_list(?1, ?2) ORDER BY seq");
    let listed = listed.bind(name).bind(schema).fetch_all(&mut *connection).await?;
    let mut indexes: Vec<Index> = key(connection, schema, name).await?.into_iter().collect();
    for row in listed {
        let index: String = row.try_get("name")?;
        let columns =
            sqlx::query_scalar("SELECT coalesce(name, '(expression)') FROM pragma_index_info(?1, ?2) ORDER BY seqno");
        let columns = columns.bind(&index).bind(schema).fetch_all(&mut *connection).await?;
        let (unique, partial): (i64, i64) = (row.try_get("u")?, row.try_get("partial")?);
        indexes.push(Index { name: index, columns, is_unique: unique != 0, is_partial: partial != 0 });
    }
    for index in indexes.iter_mut().filter(|index| index.columns.iter().any(|column| column == "(expression)")) {
        index.columns = vec![definition(connection, schema, &index.name).await?.unwrap_or_default()];
    }
    Ok(indexes)
}

/// The statement that made an index: what it has of expressions stands nowhere else.
async fn definition(
    connection: &mut SqliteConnection,
    schema: &str,
    index: &str,
) -> Result<Option<String>, sqlx::Error> {
    let sql = format!("SELECT sql FROM {}.sqlite_schema WHERE type = 'index' AND name = ?", quoted(schema));
    sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).bind(index).fetch_optional(connection).await
}

/// The primary key, where rows are found by it without another index.
async fn key(connection: &mut SqliteConnection, schema: &str, name: &str) -> Result<Option<Index>, sqlx::Error> {
    let columns = sqlx::query_scalar("SELECT name FROM pragma_table_info(?1, ?2) WHERE pk > 0 ORDER BY pk");
    let columns: Vec<String> = columns.bind(name).bind(schema).fetch_all(connection).await?;
    let is_key = columns.len() == 1;
    Ok(is_key.then(|| Index { name: "PRIMARY KEY".into(), columns, is_unique: true, is_partial: false }))
}

/// How many rows ANALYZE counted.
async fn counted(connection: &mut SqliteConnection, schema: &str, name: &str) -> Result<Option<f64>, sqlx::Error> {
    let has = sqlx::query("SELECT 1 FROM pragma_table_list WHERE schema = ? AND name = 'sqlite_stat1'");
    if has.bind(schema).fetch_optional(&mut *connection).await?.is_none() {
        return Ok(None);
    }
    let sql = format!("SELECT max(CAST(stat AS INTEGER)) FROM {}.sqlite_stat1 WHERE tbl = ?", quoted(schema));
    let rows: Option<i64> = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).bind(name).fetch_one(connection).await?;
    Ok(rows.map(|rows| rows as f64))
}

/// The highest row id: about how many rows there are, without counting them.
async fn highest(connection: &mut SqliteConnection, schema: &str, name: &str) -> Result<Option<f64>, sqlx::Error> {
    let sql = format!("SELECT max(rowid) FROM {}.{}", quoted(schema), quoted(name));
    let rows: Option<i64> = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(connection).await?;
    Ok(Some(rows.unwrap_or(0) as f64))
}

pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

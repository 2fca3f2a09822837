//! Tables, their columns and indexes, as PostgreSQL's catalog has them.

use sqlx::{PgConnection, Row as _};

use crate::{
    Kind,
    catalog::{Catalog, Column, Index, MAX_TABLES, TableInfo},
    query::{Shape, TableUse},
};

pub(super) async fn catalog(tx: &mut PgConnection, shape: &Shape) -> Result<Catalog, sqlx::Error> {
    let mut catalog = Catalog::default();
    for table in shape.tables().into_iter().take(MAX_TABLES) {
        catalog.tables.extend(info(tx, table).await?);
    }
    Ok(catalog)
}

/// A name as `to_regclass` reads it, by the search path where there is no schema.
fn written(table: &TableUse) -> String {
    let quote = |name: &str| Kind::Postgres.quote(name);
    let schema = table.schema.as_deref().map(|schema| format!("{}.", quote(schema))).unwrap_or_default();
    format!("{schema}{}", quote(&table.name))
}

async fn info(tx: &mut PgConnection, table: &TableUse) -> Result<Option<TableInfo>, sqlx::Error> {
    let found = sqlx::query(
        "SELECT c.oid::int8 AS oid, n.nspname::text AS schema, c.relname::text AS name, c.reltuples::float8 AS rows,
           EXISTS (SELECT 1 FROM pg_stats s WHERE s.schemaname = n.nspname AND s.tablename = c.relname) AS has_statistics
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.oid = to_regclass($1) AND c.relkind IN ('r', 'p', 'm')",
    );
    let found = found.bind(written(table)).fetch_optional(&mut *tx).await?;
    let Some(row) = found else { return Ok(None) };
    let oid: i64 = row.try_get("oid")?;
    let rows: f64 = row.try_get("rows")?;
    let schema: String = row.try_get("schema")?;
    Ok(Some(TableInfo {
        schema: Some(schema).filter(|schema| schema != "public"),
        name: row.try_get("name")?,
        // It is -1 until somebody looked.
        rows: (rows >= 0.0).then_some(rows),
        columns: columns(tx, oid).await?,
        indexes: indexes(tx, oid).await?,
        has_statistics: Some(row.try_get("has_statistics")?),
    }))
}

async fn columns(tx: &mut PgConnection, oid: i64) -> Result<Vec<Column>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT attname::text AS name, format_type(atttypid, atttypmod) AS kind FROM pg_attribute
         WHERE attrelid = $1::oid AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
    );
    let rows = rows.bind(oid).fetch_all(&mut *tx).await?;
    rows.iter().map(|row| Ok(Column { name: row.try_get("name")?, kind: row.try_get("kind")? })).collect()
}

async fn indexes(tx: &mut PgConnection, oid: i64) -> Result<Vec<Index>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT i.relname::text AS name, x.indisunique AS is_unique, x.indpred IS NOT NULL AS is_partial,
           ARRAY(SELECT pg_get_indexdef(x.indexrelid, k, true) FROM generate_series(1, x.indnkeyatts::int) k) AS columns
         FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
         WHERE x.indrelid = $1::oid AND x.indisvalid ORDER BY i.relname",
    );
    let rows = rows.bind(oid).fetch_all(&mut *tx).await?;
    let index = |row: &sqlx::postgres::PgRow| {
        let columns: Vec<String> = row.try_get("columns")?;
        let columns = columns.into_iter().map(|column| column.trim_matches('"').to_owned()).collect();
        Ok(Index {
            name: row.try_get("name")?,
            columns,
            is_unique: row.try_get("is_unique")?,
            is_partial: row.try_get("is_partial")?,
        })
    };
    rows.iter().map(index).collect()
}

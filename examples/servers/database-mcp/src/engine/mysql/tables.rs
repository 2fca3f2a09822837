//! Tables, their columns and indexes, as `information_schema` has them.

use sqlx::MySqlConnection;

use super::{float, text};
use crate::{
    catalog::{Catalog, Column, Index, MAX_TABLES, TableInfo},
    query::{Shape, TableUse},
};

pub(super) async fn catalog(tx: &mut MySqlConnection, shape: &Shape) -> Result<Catalog, sqlx::Error> {
    let mut catalog = Catalog::default();
    for table in shape.tables().into_iter().take(MAX_TABLES) {
        catalog.tables.extend(info(tx, table).await?);
    }
    Ok(catalog)
}

async fn info(tx: &mut MySqlConnection, table: &TableUse) -> Result<Option<TableInfo>, sqlx::Error> {
    let found = sqlx::query(
        "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_ROWS + 0e0 FROM information_schema.TABLES
         WHERE TABLE_SCHEMA = COALESCE(?, DATABASE()) AND TABLE_NAME = ? AND TABLE_TYPE = 'BASE TABLE'",
    );
    let found = found.bind(&table.schema).bind(&table.name).fetch_optional(&mut *tx).await?;
    let Some(row) = found else { return Ok(None) };
    let (schema, name) = (text(&row, 0)?.unwrap_or_default(), text(&row, 1)?.unwrap_or_default());
    let (columns, indexes) = (columns(tx, &schema, &name).await?, indexes(tx, &schema, &name).await?);
    let schema = table.schema.is_some().then_some(schema);
    Ok(Some(TableInfo { schema, name, rows: float(&row, 2)?, columns, indexes, has_statistics: None }))
}

async fn columns(tx: &mut MySqlConnection, schema: &str, name: &str) -> Result<Vec<Column>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT COLUMN_NAME, LOWER(COLUMN_TYPE) FROM information_schema.COLUMNS
         WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? ORDER BY ORDINAL_POSITION",
    );
    let rows = rows.bind(schema).bind(name).fetch_all(&mut *tx).await?;
    let column = |row| Ok(Column { name: text(row, 0)?.unwrap_or_default(), kind: text(row, 1)?.unwrap_or_default() });
    rows.iter().map(column).collect()
}

async fn indexes(tx: &mut MySqlConnection, schema: &str, name: &str) -> Result<Vec<Index>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT INDEX_NAME, COALESCE(COLUMN_NAME, '(expression)'), NON_UNIQUE + 0e0 FROM information_schema.STATISTICS
         WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ? AND INDEX_TYPE <> 'FULLTEXT' ORDER BY INDEX_NAME, SEQ_IN_INDEX",
    );
    let rows = rows.bind(schema).bind(name).fetch_all(&mut *tx).await?;
    let mut indexes: Vec<Index> = Vec::new();
    for row in &rows {
        let (name, column) = (text(row, 0)?.unwrap_or_default(), text(row, 1)?.unwrap_or_default());
        let is_unique = float(row, 2)? == Some(0.0);
        match indexes.last_mut().filter(|index| index.name == name) {
            Some(index) => index.columns.push(column),
            None => indexes.push(Index { name, columns: vec![column], is_unique, is_partial: false }),
        }
    }
    Ok(indexes)
}

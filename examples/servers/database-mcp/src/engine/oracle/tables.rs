//! Tables, their columns and indexes, as Oracle's dictionary has them.

use oracle::Connection;

use super::super::session::Trouble;
use crate::{
    catalog::{Catalog, Column, Index, MAX_TABLES, TableInfo},
    query::{Shape, TableUse},
};

pub(super) fn catalog(connection: &Connection, shape: &Shape) -> Result<Catalog, Trouble> {
    let mut catalog = Catalog::default();
    for table in shape.tables().into_iter().take(MAX_TABLES) {
        catalog.tables.extend(info(connection, table)?);
    }
    Ok(catalog)
}

fn info(connection: &Connection, table: &TableUse) -> Result<Option<TableInfo>, Trouble> {
    let mut found = connection.query(
        "SELECT owner, num_rows, last_analyzed FROM all_tables
         WHERE owner = COALESCE(:1, SYS_CONTEXT('USERENV', 'CURRENT_SCHEMA')) AND table_name = :2",
        &[&table.schema, &table.name],
    )?;
    let Some(row) = found.next().transpose()? else { return Ok(None) };
    let owner: String = row.get(0)?;
    let analyzed: Option<oracle::sql_type::Timestamp> = row.get(2)?;
    Ok(Some(TableInfo {
        name: table.name.clone(),
        rows: row.get(1)?,
        columns: columns(connection, &owner, &table.name)?,
        indexes: indexes(connection, &owner, &table.name)?,
        has_statistics: Some(analyzed.is_some()),
        schema: table.schema.is_some().then_some(owner),
    }))
}

fn columns(connection: &Connection, owner: &str, name: &str) -> Result<Vec<Column>, Trouble> {
    let rows = connection.query(
        "SELECT column_name, LOWER(data_type) FROM all_tab_columns WHERE owner = :1 AND table_name = :2 ORDER BY column_id",
        &[&owner, &name],
    )?;
    let column = |row: oracle::Row| Ok(Column { name: row.get(0)?, kind: row.get(1)? });
    rows.map(|row| column(row?)).collect()
}

fn indexes(connection: &Connection, owner: &str, name: &str) -> Result<Vec<Index>, Trouble> {
    let rows = connection.query(
        "SELECT c.index_name, c.column_name, i.uniqueness FROM all_ind_columns c
         JOIN all_indexes i ON i.owner = c.index_owner AND i.index_name = c.index_name
         WHERE c.table_owner = :1 AND c.table_name = :2 ORDER BY c.index_name, c.column_position",
        &[&owner, &name],
    )?;
    let mut indexes: Vec<Index> = Vec::new();
    for row in rows {
        let row = row?;
        let (name, column, unique): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        match indexes.last_mut().filter(|index| index.name == name) {
            Some(index) => index.columns.push(column),
            None => {
                indexes.push(Index { name, columns: vec![column], is_unique: unique == "UNIQUE", is_partial: false })
            }
        }
    }
    Ok(indexes)
}

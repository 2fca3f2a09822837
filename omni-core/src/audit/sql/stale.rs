//! Which days' sums are no longer those of their rows, because rows are removed.

use crate::db::{DbError, Dialect, Tx, Val};

/// Notes the days of the rows of a table that meet a condition: what is summed up of them is to be summed up again. A
/// day that is noted already is held as well, so that nobody sums it up while its rows are on their way out.
pub(crate) async fn mark(tx: &mut Tx, table: &str, condition: &str, values: &[Val<'_>]) -> Result<(), DbError> {
    let day = match tx.dialect() {
        Dialect::Sqlite => "CAST(strftime('%s', created_at) AS INTEGER) / 86400",
        Dialect::Postgres => "CAST(floor(date_part('epoch', created_at) / 86400) AS BIGINT)",
    };
    let sql = format!(
        "INSERT INTO analytics_stale (source, day) SELECT DISTINCT '{table}', {day} FROM {table} WHERE {condition}
         ON CONFLICT (source, day) DO UPDATE SET day = excluded.day"
    );
    tx.execute(&sql, values).await.map(drop)
}

//! The table `ledger`, and the checkpoints.

use bytes::Bytes;
use uuid::Uuid;

use super::{
    super::{AuditError, SealedRecord},
    stale,
};
use crate::{
    db::{Db, DbError, Row, Val},
    ledger::{ChainHead, Checkpoint},
};

pub(super) async fn read(
    db: &Db,
    chain_id: Uuid,
    from_seq: u64,
    limit: usize,
) -> Result<Vec<SealedRecord>, AuditError> {
    const QUERY: &str = "SELECT seq, bytes, mac FROM ledger WHERE chain_id = ? AND seq >= ? ORDER BY seq LIMIT ?";
    let values = [chain_id.to_string().into(), from_seq.into(), (limit as u64).into()];
    let rows = db.fetch_all(QUERY, &values).await?;
    Ok(rows.iter().map(|row| sealed(chain_id, row)).collect::<Result<_, _>>()?)
}

/// The record of a row of a table that people query; `None` for rows that are older than the ledger.
pub(super) async fn of_row(db: &Db, table: &'static str, id: i64) -> Result<Option<SealedRecord>, AuditError> {
    let sql = format!(
        "SELECT r.chain_id, r.seq, r.bytes, r.mac FROM {table} l
         JOIN ledger r ON r.chain_id = l.chain_id AND r.seq = l.seq WHERE l.id = ?"
    );
    let row = db.fetch_optional(&sql, &[id.into()]).await?;
    Ok(row.map(|row| sealed(chain(&row)?, &row)).transpose()?)
}

/// A record as it lies in the ledger.
pub(super) fn sealed(chain_id: Uuid, row: &Row) -> Result<SealedRecord, DbError> {
    let bytes = Bytes::from(row.bytes("bytes")?);
    Ok(SealedRecord::new(chain_id, row.unsigned("seq")?, bytes, seal(row, "mac")?))
}

/// A seal; the tables admit none of another length.
fn seal(row: &Row, column: &str) -> Result<[u8; 32], DbError> {
    Ok(row.bytes(column)?.try_into().unwrap_or_default())
}

/// A chain's id; what omni would not have spelled so was not written by it, and shows up in the
/// verification as a chain without records.
pub(super) fn chain(row: &Row) -> Result<Uuid, DbError> {
    let text = row.text("chain_id")?;
    Ok(text.parse().ok().filter(|id: &Uuid| id.to_string() == text).unwrap_or_default())
}

pub(super) async fn heads(db: &Db) -> Result<Vec<ChainHead>, AuditError> {
    // Ids of chains grow with time.
    const QUERY: &str = "SELECT l.chain_id, l.seq, l.mac FROM ledger l
        JOIN (SELECT chain_id, max(seq) AS seq FROM ledger GROUP BY chain_id) last
        ON last.chain_id = l.chain_id AND last.seq = l.seq ORDER BY l.chain_id";
    let rows = db.fetch_all(QUERY, &[]).await?;
    let head = |row: &Row| Ok(ChainHead::new(chain(row)?, row.unsigned("seq")?, seal(row, "mac")?));
    Ok(rows.iter().map(head).collect::<Result<_, DbError>>()?)
}

pub(super) async fn checkpoints(db: &Db) -> Result<Vec<Checkpoint>, AuditError> {
    const QUERY: &str = "SELECT chain_id, next_seq, mac, coalesce(named, mac) AS named,
        CASE WHEN named IS NULL THEN 0 ELSE 1 END AS is_named, at, signature, key_id FROM ledger_checkpoints";
    let rows = db.fetch_all(QUERY, &[]).await?;
    let checkpoint = |row: &Row| {
        let named = if row.int("is_named")? == 1 { Some(seal(row, "named")?) } else { None };
        let (mac, signature) = (seal(row, "mac")?, seal(row, "signature")?);
        let key = row.optional_text("key_id")?.and_then(|id| id.parse().ok());
        Ok(Checkpoint::stored(chain(row)?, row.unsigned("next_seq")?, mac, named, row.time("at")?, signature, key))
    };
    Ok(rows.iter().map(checkpoint).collect::<Result<_, DbError>>()?)
}

pub(super) async fn forget(db: &Db, checkpoint: &Checkpoint) -> Result<u64, AuditError> {
    const KEEP: &str = "INSERT INTO ledger_checkpoints (chain_id, next_seq, mac, named, at, signature, key_id)
        VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (chain_id) DO UPDATE SET next_seq = excluded.next_seq,
        mac = excluded.mac, named = excluded.named, at = excluded.at, signature = excluded.signature,
        key_id = excluded.key_id
        WHERE excluded.next_seq > ledger_checkpoints.next_seq";
    let chain_id = checkpoint.chain_id.to_string();
    let mut tx = db.begin().await?;
    let kept = [
        (&chain_id).into(),
        checkpoint.next_seq.into(),
        checkpoint.mac[..].into(),
        Val::Bytes(checkpoint.named.as_ref().map(|named| named[..].into())),
        checkpoint.at.into(),
        checkpoint.signature[..].into(),
        checkpoint.key.map(|id| id.to_string()).into(),
    ];
    tx.execute(KEEP, &kept).await?;
    let mut gone = 0;
    let places = [(&chain_id).into(), checkpoint.next_seq.into()];
    for table in ["audit_logs", "tool_calls", "ledger"] {
        if table != "ledger" {
            stale::mark(&mut tx, table, "chain_id = ? AND seq < ?", &places).await?;
        }
        let sql = format!("DELETE FROM {table} WHERE chain_id = ? AND seq < ?");
        gone = tx.execute(&sql, &places).await?;
    }
    tx.commit().await?;
    Ok(gone)
}

//! Conversations in the tables `threads`, `thread_turns` and `thread_summaries`, for every process that uses the
//! database.
//!
//! Whoever appends changes the conversation's row first, so that two do it one after the other; its counts
//! number the turns. Turns that come at the same time are kept together. Times are the database's.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tokio::time::{Duration, Instant};

use super::{
    Append, ChannelKey, KeptTurn, MAX_THREAD_BYTES, MAX_TURNS, Most, SWEPT_AT_ONCE, Summary, ThreadEntry, ThreadError,
    ThreadKey, ThreadStore, Turn,
};
use crate::{
    db::{Db, DbError, Row, Together, Tx, Val, Writes},
    people::Tables,
};

/// How often somebody who appends removes what is over: a process may be too short for a job that does.
const SWEEP_EVERY: Duration = Duration::from_secs(600);

/// Conversations in a database.
#[derive(Debug)]
pub struct SqlThreads {
    appending: Together<Appending>,
    swept: Mutex<Option<Instant>>,
}

/// Keeps turns, those that come at the same time together.
#[derive(Debug)]
struct Appending {
    tables: Tables,
}

/// A turn on its way.
#[derive(Debug)]
struct Incoming {
    key: ThreadKey,
    title: String,
    asker: String,
    text: String,
    keep: Duration,
}

impl From<DbError> for ThreadError {
    fn from(error: DbError) -> Self {
        Self::new(error.to_string())
    }
}

impl SqlThreads {
    /// The conversations in the database of these tables. It is opened, and brought up to date, when it is
    /// used first.
    #[must_use]
    pub fn new(tables: Tables) -> Self {
        Self { appending: Together::new(Appending { tables }), swept: Mutex::new(None) }
    }

    fn tables(&self) -> &Tables {
        &self.appending.writes().tables
    }

    /// The database, if there is one: whoever only reads makes none.
    async fn existing(&self) -> Result<Option<&Db>, ThreadError> {
        Ok(self.tables().existing().await?)
    }

    fn is_time_to_sweep(&self) -> bool {
        let mut swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
        let is_time = swept.is_none_or(|swept| swept.elapsed() >= SWEEP_EVERY);
        if is_time {
            *swept = Some(Instant::now());
        }
        is_time
    }
}

/// Four values.
fn names(key: &ThreadKey) -> [Val<'_>; 4] {
    [(&key.tenant).into(), (&key.source).into(), (&key.channel).into(), (&key.thread).into()]
}

const IS_NAMED: &str = "tenant = ? AND source = ? AND channel = ? AND thread = ?";

/// A conversation after a turn was counted.
struct Counted {
    id: i64,
    turns: u64,
    bytes: u64,
}

/// Counts a turn, and begins the conversation anew where it is unknown.
async fn count(tx: &mut Tx, incoming: &Incoming, now: DateTime<Utc>) -> Result<Counted, DbError> {
    let counted = "INSERT INTO threads (tenant, source, channel, thread, title, turns, bytes, created_at, used_at, expires_at)
         VALUES (?, ?, ?, ?, ?, 1, ?, ?, ?, ?)
         ON CONFLICT (tenant, source, channel, thread) DO UPDATE SET
             turns = CASE WHEN threads.expires_at > excluded.used_at THEN threads.turns + 1 ELSE 1 END,
             bytes = CASE WHEN threads.expires_at > excluded.used_at THEN threads.bytes + excluded.bytes ELSE excluded.bytes END,
             title = CASE WHEN threads.expires_at > excluded.used_at THEN threads.title ELSE excluded.title END,
             created_at = CASE WHEN threads.expires_at > excluded.used_at THEN threads.created_at ELSE excluded.created_at END,
             used_at = excluded.used_at,
             expires_at = excluded.expires_at
         RETURNING id, turns, bytes";
    let bytes = incoming.text.len() as u64;
    let more = [(&incoming.title).into(), bytes.into(), now.into(), now.into(), (now + incoming.keep).into()];
    let values: Vec<Val<'_>> = names(&incoming.key).into_iter().chain(more).collect();
    let row = tx.fetch_optional(counted, &values).await?;
    let row = row.ok_or_else(|| DbError::Schema { message: "a row was not returned".into() })?;
    Ok(Counted { id: row.int("id")?, turns: row.unsigned("turns")?, bytes: row.unsigned("bytes")? })
}

/// Stores the turn, and removes what is not kept beside it.
async fn store(tx: &mut Tx, incoming: &Incoming, counted: &Counted, now: DateTime<Utc>) -> Result<(), DbError> {
    let text = &incoming.text;
    let begins = counted.bytes - text.len() as u64;
    let gone = match counted.turns {
        // What is there is of a conversation whose time was over.
        1 => {
            tx.execute("DELETE FROM thread_summaries WHERE thread_id = ?", &[counted.id.into()]).await?;
            u64::MAX >> 1
        }
        turns => turns.saturating_sub(MAX_TURNS),
    };
    let first = counted.bytes.saturating_sub(MAX_THREAD_BYTES);
    let forget = "DELETE FROM thread_turns WHERE thread_id = ? AND (number <= ? OR begins < ?)";
    tx.execute(forget, &[counted.id.into(), gone.into(), first.into()]).await?;
    let insert = "INSERT INTO thread_turns (thread_id, number, begins, bytes, asker, turn, created_at)
                  VALUES (?, ?, ?, ?, ?, ?, ?)";
    let values = [
        counted.id.into(),
        counted.turns.into(),
        begins.into(),
        (text.len() as u64).into(),
        (&incoming.asker).into(),
        text.into(),
        now.into(),
    ];
    tx.execute(insert, &values).await.map(drop)
}

#[async_trait]
impl Writes for Appending {
    type Item = Incoming;
    /// The number of the turn.
    type Done = u64;

    async fn write(&self, items: &[Incoming]) -> Result<Vec<u64>, DbError> {
        let db = self.tables.db().await?;
        let mut tx = db.begin().await?;
        let now = tx.now().await?;
        // In the order of their conversations, so that two processes never wait for each other in a circle; within one,
        // as they came.
        let mut order: Vec<usize> = (0..items.len()).collect();
        order.sort_by_key(|at| &items[*at].key);
        let mut numbers = vec![0; items.len()];
        for at in order {
            let counted = count(&mut tx, &items[at], now).await?;
            store(&mut tx, &items[at], &counted, now).await?;
            numbers[at] = counted.turns;
        }
        tx.commit().await?;
        Ok(numbers)
    }
}

/// A turn; one that another build kept in a way that this one does not know is left out.
fn kept(row: &Row) -> Result<Option<KeptTurn>, DbError> {
    let turn = match Turn::decode(&row.text("turn")?) {
        Ok(turn) => turn,
        Err(error) => {
            tracing::warn!(%error, "a turn of a conversation is left out");
            return Ok(None);
        }
    };
    let (number, begins, bytes) = (row.unsigned("number")?, row.unsigned("begins")?, row.unsigned("bytes")?);
    Ok(Some(KeptTurn::stored(number, begins, bytes, row.time("created_at")?, turn)))
}

fn entry(channel: &ChannelKey, row: &Row) -> Result<ThreadEntry, DbError> {
    Ok(ThreadEntry {
        key: channel.thread(&row.text("thread")?),
        title: row.text("title")?,
        turns: row.unsigned("turns")?,
        created_at: row.time("created_at")?,
        used_at: row.time("used_at")?,
        expires_at: row.time("expires_at")?,
    })
}

#[async_trait]
impl ThreadStore for SqlThreads {
    async fn history(&self, key: &ThreadKey, most: Most) -> Result<Vec<KeptTurn>, ThreadError> {
        let Some(db) = self.existing().await? else { return Ok(Vec::new()) };
        let sql = format!(
            "SELECT u.number, u.begins, u.bytes, u.turn, u.created_at
             FROM threads t JOIN thread_turns u ON u.thread_id = t.id
             WHERE {IS_NAMED} AND t.expires_at > {} AND u.begins >= t.bytes - ? AND u.number > t.turns - ?
             ORDER BY u.number",
            db.dialect().now()
        );
        let most = [most.bytes.min(MAX_THREAD_BYTES).into(), most.turns.min(MAX_TURNS).into()];
        let values: Vec<Val<'_>> = names(key).into_iter().chain(most).collect();
        let rows = db.fetch_all(&sql, &values).await?;
        Ok(rows.iter().filter_map(|row| kept(row).transpose()).collect::<Result<_, DbError>>()?)
    }

    async fn append(&self, append: Append<'_>) -> Result<u64, ThreadError> {
        let (key, turn) = (append.key.clone(), append.turn);
        let (title, asker, text) = (turn.title(), turn.asker.clone(), turn.encode()?);
        let number = self.appending.write(Incoming { key, title, asker, text, keep: append.keep() }).await?;
        if self.is_time_to_sweep()
            && let Err(error) = self.sweep().await
        {
            tracing::debug!(%error, "old conversations are removed later");
        }
        Ok(number)
    }

    async fn list(&self, channel: &ChannelKey, limit: usize) -> Result<Vec<ThreadEntry>, ThreadError> {
        let Some(db) = self.existing().await? else { return Ok(Vec::new()) };
        let sql = format!(
            "SELECT thread, title, turns, created_at, used_at, expires_at FROM threads
             WHERE tenant = ? AND source = ? AND channel = ? AND expires_at > {}
             ORDER BY used_at DESC, id DESC LIMIT ?",
            db.dialect().now()
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let values = [(&channel.tenant).into(), (&channel.source).into(), (&channel.channel).into(), limit.into()];
        let rows = db.fetch_all(&sql, &values).await?;
        Ok(rows.iter().map(|row| entry(channel, row)).collect::<Result<_, DbError>>()?)
    }

    async fn delete(&self, key: &ThreadKey) -> Result<bool, ThreadError> {
        let Some(db) = self.existing().await? else { return Ok(false) };
        let sql = format!("DELETE FROM threads WHERE {IS_NAMED} AND expires_at > {}", db.dialect().now());
        Ok(db.execute(&sql, &names(key)).await? > 0)
    }

    async fn sweep(&self) -> Result<u64, ThreadError> {
        let Some(db) = self.existing().await? else { return Ok(0) };
        // As a query of its own the time is one value, so that an index finds what is over. It is asked
        // twice: a conversation may have been used again since it was chosen.
        let is_over = format!("expires_at <= (SELECT {})", db.dialect().now());
        let sweep =
            format!("DELETE FROM threads WHERE {is_over} AND id IN (SELECT id FROM threads WHERE {is_over} LIMIT ?)");
        Ok(db.execute(&sweep, &[SWEPT_AT_ONCE.into()]).await?)
    }

    async fn summary(&self, key: &ThreadKey) -> Result<Option<Summary>, ThreadError> {
        let Some(db) = self.existing().await? else { return Ok(None) };
        let sql = format!(
            "SELECT s.summary, s.through, s.through_at FROM threads t JOIN thread_summaries s ON s.thread_id = t.id
             WHERE {IS_NAMED} AND t.expires_at > {}",
            db.dialect().now()
        );
        let Some(row) = db.fetch_optional(&sql, &names(key)).await? else { return Ok(None) };
        let text = Summary::decode(&row.text("summary")?)?;
        Ok(Some(Summary::stored(text, row.unsigned("through")?, row.time("through_at")?)))
    }

    async fn summarize(&self, key: &ThreadKey, summary: &Summary) -> Result<bool, ThreadError> {
        let text = summary.encode()?;
        let db = self.tables().db().await?;
        let sql = format!(
            "INSERT INTO thread_summaries (thread_id, through, through_at, summary)
             SELECT t.id, u.number, u.created_at, ? FROM threads t JOIN thread_turns u ON u.thread_id = t.id
             WHERE {IS_NAMED} AND t.expires_at > {} AND u.number = ? AND u.created_at = ?
             ON CONFLICT (thread_id) DO UPDATE SET
                 through = excluded.through, through_at = excluded.through_at, summary = excluded.summary
             WHERE thread_summaries.through < excluded.through",
            db.dialect().now()
        );
        let newest = [summary.through.into(), summary.at.into()];
        let values: Vec<Val<'_>> = [text.into()].into_iter().chain(names(key)).chain(newest).collect();
        Ok(db.execute(&sql, &values).await? > 0)
    }
}

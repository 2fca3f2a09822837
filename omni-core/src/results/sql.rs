//! Results in the table `results`, for every process that uses the database. Times are the database's.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};
use tokio::time::{Duration, Instant};

use super::{
    KeptCall, KeptResult, MAX_EXPIRY, MAX_KEPT, MAX_KEPT_BYTES, Owner, ResultError, ResultFilter, ResultStore,
    SWEPT_AT_ONCE,
};
use crate::{
    ask::Source,
    db::{Db, DbError, Row, Together, Tx, Val, Writes},
    people::Tables,
};

/// How often somebody who keeps one removes what is over: a process may be too short for a job that does.
const SWEEP_EVERY: Duration = Duration::from_secs(600);

const COLUMNS: &str = "id, tenant, subject, source, request_id, thread, server, tool, is_destructive, arguments,
    is_whole, rules, bytes, is_cut, created_at, expires_at, channel";

/// Results in a database.
#[derive(Debug)]
pub struct SqlResults {
    keeping: Together<Keeping>,
    swept: Mutex<Option<Instant>>,
}

/// Keeps results, those that come at the same time together.
#[derive(Debug)]
struct Keeping {
    tables: Tables,
}

/// A result on its way, without what only the database knows.
#[derive(Debug)]
struct Incoming {
    call: KeptCall,
    body: String,
    expiry: Duration,
}

/// What a result says. JSON, because PostgreSQL's texts cannot hold every character.
#[derive(Serialize, Deserialize)]
struct Body {
    text: String,
    structured: Option<Value>,
}

impl From<DbError> for ResultError {
    fn from(error: DbError) -> Self {
        Self::new(error.to_string())
    }
}

impl SqlResults {
    /// The results in the database of these tables. It is opened, and brought up to date, when it is used first.
    #[must_use]
    pub fn new(tables: Tables) -> Self {
        Self { keeping: Together::new(Keeping { tables }), swept: Mutex::new(None) }
    }

    fn tables(&self) -> &Tables {
        &self.keeping.writes().tables
    }

    /// The database, if there is one: whoever only reads makes none.
    async fn existing(&self) -> Result<Option<&Db>, ResultError> {
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

#[async_trait]
impl Writes for Keeping {
    type Item = Incoming;
    type Done = ();

    async fn write(&self, items: &[Incoming]) -> Result<Vec<()>, DbError> {
        // What is kept is a convenience for some days, whose asker waits for it: a power cut may take the last of it.
        let mut tx = self.tables.db().await?.begin_relaxed().await?;
        let now = tx.now().await?;
        let rows: Vec<_> = items.iter().map(|incoming| values(incoming, now)).collect();
        tx.insert_many(&format!("INSERT INTO results ({COLUMNS}, body) VALUES"), rows, "").await?;
        // In one order, so that two processes never wait for each other in a circle.
        let owners: BTreeSet<_> = items.iter().map(|Incoming { call, .. }| (&*call.tenant, &*call.subject)).collect();
        for (tenant, subject) in owners {
            bound(&mut tx, Owner::new(tenant, subject)).await?;
        }
        tx.commit().await?;
        Ok(vec![(); items.len()])
    }
}

fn values(Incoming { call, body, expiry }: &Incoming, now: DateTime<Utc>) -> Vec<Val<'_>> {
    vec![
        (&call.id).into(),
        (&call.tenant).into(),
        (&call.subject).into(),
        call.source.as_str().into(),
        call.request_id.to_string().into(),
        call.thread.clone().into(),
        (&call.server).into(),
        (&call.tool).into(),
        call.is_destructive.into(),
        call.arguments.get().into(),
        call.is_whole.into(),
        (&call.rules).into(),
        call.bytes.into(),
        call.is_cut.into(),
        now.into(),
        (now + (*expiry).min(MAX_EXPIRY)).into(),
        call.channel.clone().into(),
        body.into(),
    ]
}

/// Removes what is too much of one person. Windows over all that they have are looked through only where it is too much
/// in bytes; else an index leads to the one after the last that stays.
async fn bound(tx: &mut Tx, owner: Owner<'_>) -> Result<(), DbError> {
    let sql = "DELETE FROM results WHERE tenant = ? AND subject = ? AND number <= CASE
        WHEN (SELECT sum(bytes) FROM results WHERE tenant = ? AND subject = ?) > ?
        THEN (SELECT max(number) FROM (
            SELECT number, row_number() OVER newest AS place, sum(bytes) OVER newest AS total
            FROM results WHERE tenant = ? AND subject = ?
            WINDOW newest AS (ORDER BY number DESC)
        ) AS own WHERE place > ? OR total > ?)
        ELSE (SELECT number FROM results WHERE tenant = ? AND subject = ? ORDER BY number DESC LIMIT 1 OFFSET ?) END";
    let whose = || [owner.tenant.into(), owner.subject.into()];
    let most = || [MAX_KEPT.into(), MAX_KEPT_BYTES.into()];
    let values: Vec<Val<'_>> = (whose().into_iter())
        .chain(whose())
        .chain([MAX_KEPT_BYTES.into()])
        .chain(whose())
        .chain(most())
        .chain(whose())
        .chain([MAX_KEPT.into()])
        .collect();
    tx.execute(sql, &values).await.map(drop)
}

fn call(row: &Row) -> Result<KeptCall, DbError> {
    let unknown = |what: &str, text: &str| DbError::Schema { message: format!("{text:?} is no {what}") };
    let (source, request_id) = (row.text("source")?, row.text("request_id")?);
    let source: Source = serde_json::from_value(source.as_str().into()).map_err(|_| unknown("door", &source))?;
    let arguments = RawValue::from_string(row.text("arguments")?);
    Ok(KeptCall {
        id: row.text("id")?,
        tenant: row.text("tenant")?,
        subject: row.text("subject")?,
        source,
        request_id: request_id.parse().map_err(|_| unknown("id", &request_id))?,
        thread: row.optional_text("thread")?,
        channel: row.optional_text("channel")?,
        server: row.text("server")?,
        tool: row.text("tool")?,
        is_destructive: row.bool("is_destructive")?,
        arguments: arguments.map_err(|_| unknown("JSON", "a call's arguments"))?,
        is_whole: row.bool("is_whole")?,
        rules: row.text("rules")?,
        bytes: row.unsigned("bytes")?,
        is_cut: row.bool("is_cut")?,
        created_at: row.time("created_at")?,
        expires_at: row.time("expires_at")?,
    })
}

fn result(row: &Row) -> Result<KeptResult, DbError> {
    let body: Body = serde_json::from_str(&row.text("body")?)
        .map_err(|error| DbError::Schema { message: format!("a kept result cannot be read: {error}") })?;
    Ok(KeptResult { call: call(row)?, text: body.text, structured: body.structured })
}

/// Somebody's results that are meant and not over, and the values for it.
fn meant<'a>(db: &Db, owner: Owner<'a>, filter: &'a ResultFilter) -> (String, Vec<Val<'a>>) {
    let mut sql = format!("tenant = ? AND subject = ? AND expires_at > {}", db.dialect().now());
    let mut values: Vec<Val<'_>> = vec![owner.tenant.into(), owner.subject.into()];
    if let Some(source) = filter.source {
        sql.push_str(" AND source = ?");
        values.push(source.as_str().into());
    }
    if let Some(thread) = &filter.thread {
        sql.push_str(" AND thread = ?");
        values.push(thread.into());
    }
    if let Some(channel) = &filter.channel {
        sql.push_str(" AND (channel = ? OR channel IS NULL)");
        values.push(channel.into());
    }
    (sql, values)
}

#[async_trait]
impl ResultStore for SqlResults {
    async fn keep(&self, result: &KeptResult, expiry: Duration) -> Result<(), ResultError> {
        let body = Body { text: result.text.clone(), structured: result.structured.clone() };
        let body = serde_json::to_string(&body).map_err(|error| ResultError::new(error.to_string()))?;
        self.keeping.write(Incoming { call: result.call.clone(), body, expiry }).await?;
        if self.is_time_to_sweep()
            && let Err(error) = self.sweep().await
        {
            tracing::debug!(%error, "old results are removed later");
        }
        Ok(())
    }

    async fn read(&self, owner: Owner<'_>, id: &str) -> Result<Option<KeptResult>, ResultError> {
        let Some(db) = self.existing().await? else { return Ok(None) };
        let all = ResultFilter::default();
        let (meant, mut values) = meant(db, owner, &all);
        values.push(id.into());
        let sql = format!("SELECT {COLUMNS}, body FROM results WHERE {meant} AND id = ?");
        let row = db.fetch_optional(&sql, &values).await?;
        Ok(row.as_ref().map(result).transpose()?)
    }

    async fn list(&self, owner: Owner<'_>, filter: &ResultFilter) -> Result<Vec<KeptCall>, ResultError> {
        let Some(db) = self.existing().await? else { return Ok(Vec::new()) };
        let (meant, mut values) = meant(db, owner, filter);
        values.push(MAX_KEPT.into());
        let sql = format!("SELECT {COLUMNS} FROM results WHERE {meant} ORDER BY number DESC LIMIT ?");
        let rows = db.fetch_all(&sql, &values).await?;
        Ok(rows.iter().map(call).collect::<Result<_, DbError>>()?)
    }

    async fn forget(&self, owner: Owner<'_>, filter: &ResultFilter) -> Result<u64, ResultError> {
        let Some(db) = self.existing().await? else { return Ok(0) };
        let (meant, values) = meant(db, owner, filter);
        Ok(db.execute(&format!("DELETE FROM results WHERE {meant}"), &values).await?)
    }

    async fn sweep(&self) -> Result<u64, ResultError> {
        let Some(db) = self.existing().await? else { return Ok(0) };
        // As a query of its own the time is one value, so that an index finds what is over.
        let sweep = format!(
            "DELETE FROM results WHERE number IN
                 (SELECT number FROM results WHERE expires_at <= (SELECT {}) LIMIT ?)",
            db.dialect().now()
        );
        Ok(db.execute(&sweep, &[SWEPT_AT_ONCE.into()]).await?)
    }
}

//! Parked runs in the tables `parked_runs` and `confirmations`.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::{
    Change, Confirmation, GRACE, KEPT, LEFT, MAX_RUN_BYTES, ParkedRun, RunError, RunStore, State, TOO_LATE, Whose,
};
use crate::{
    clock,
    db::{Db, DbError, Row, Tx, Val},
    people::Tables,
};

const COLUMNS: &str =
    "id, run_id, call_id, tenant, subject, actor, source, thread, server, tool, arguments, tool_digest,
    rule, rule_digest, digest, state, created_at, expires_at, decided_by, decided_at, reason, recorded_at";
/// Most rows of one kind that one lapse changes.
const AT_ONCE: u64 = 500;
/// A run that somebody has to end: whoever has it is gone, or nobody came for it.
const IS_LEFT_BEHIND: &str =
    "((state = 'claimed' AND lease_until <= (SELECT {now})) OR (state = 'parked' AND lapses_at <= (SELECT {now})))";

/// Parked runs in a database: any instance goes on with them.
#[derive(Debug, Clone)]
pub struct SqlRuns {
    tables: Tables,
}

impl From<DbError> for RunError {
    fn from(error: DbError) -> Self {
        Self::new(error.to_string())
    }
}

impl SqlRuns {
    /// The runs in the database of these tables. It is opened, and brought up to date, when it is used first.
    #[must_use]
    pub fn new(tables: Tables) -> Self {
        Self { tables }
    }

    /// The database, if there is one: whoever only reads makes none.
    async fn existing(&self) -> Result<Option<&Db>, RunError> {
        Ok(self.tables.existing().await?)
    }

    async fn select(&self, rest: &str, values: &[Val<'_>]) -> Result<Vec<Confirmation>, RunError> {
        let Some(db) = self.existing().await? else { return Ok(Vec::new()) };
        let sql = format!("SELECT {COLUMNS} FROM confirmations WHERE {}", timed(rest, db));
        Ok(readable(&db.fetch_all(&sql, values).await?))
    }

    /// Somebody's, of which something is so; the oldest first.
    async fn of(&self, condition: &str, whose: Whose<'_>, limit: usize) -> Result<Vec<Confirmation>, RunError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let (theirs, mut values) = match whose.subject {
            Some(subject) => (" AND subject = ?", vec![whose.tenant.into(), subject.into()]),
            None => ("", vec![whose.tenant.into()]),
        };
        values.push(limit.into());
        let rest = format!("tenant = ?{theirs} AND {condition} ORDER BY created_at, id LIMIT ?");
        self.select(&rest, &values).await
    }
}

/// The statement with the database's present time.
fn timed(sql: &str, db: &Db) -> String {
    sql.replace("{now}", db.dialect().now())
}

fn id(text: &str) -> Result<Uuid, DbError> {
    text.parse().map_err(|_| DbError::Schema { message: format!("{text:?} is no id") })
}

/// Those that can be read: one that cannot holds up nobody else.
fn readable(rows: &[Row]) -> Vec<Confirmation> {
    let read = |row: &Row| {
        confirmation(row).inspect_err(|error| tracing::error!(%error, "a call that waits cannot be read")).ok()
    };
    rows.iter().filter_map(read).collect()
}

fn confirmation(row: &Row) -> Result<Confirmation, DbError> {
    let unknown = |what: &str, text: &str| DbError::Schema { message: format!("{text:?} is no {what}") };
    let (state, source) = (row.text("state")?, row.text("source")?);
    let arguments = row.text("arguments")?;
    Ok(Confirmation {
        id: id(&row.text("id")?)?,
        run: id(&row.text("run_id")?)?,
        call_id: row.text("call_id")?,
        tenant: row.text("tenant")?,
        subject: row.text("subject")?,
        actor: row.optional_text("actor")?,
        source: serde_json::from_value(source.as_str().into()).map_err(|_| unknown("door", &source))?,
        thread: row.optional_text("thread")?,
        server: row.text("server")?,
        tool: row.text("tool")?,
        arguments: RawValue::from_string(arguments).map_err(|_| unknown("JSON", "a call's arguments"))?,
        tool_digest: row.text("tool_digest")?,
        rule: row.text("rule")?,
        rule_digest: row.text("rule_digest")?,
        digest: row.text("digest")?,
        created_at: row.time("created_at")?,
        expires_at: row.time("expires_at")?,
        state: State::from_name(&state).ok_or_else(|| unknown("state", &state))?,
        decided_by: row.optional_text("decided_by")?,
        decided_at: row.optional_time("decided_at")?,
        reason: row.optional_text("reason")?,
        recorded_at: row.optional_time("recorded_at")?,
    })
}

fn values(one: &Confirmation, run: &str, now: DateTime<Utc>, expires: DateTime<Utc>) -> Vec<Val<'static>> {
    let text = |text: &str| Val::from(text.to_owned());
    vec![
        text(&one.id.to_string()),
        text(run),
        text(&one.call_id),
        text(&one.tenant),
        text(&one.subject),
        one.actor.clone().into(),
        text(one.source.as_str()),
        one.thread.clone().into(),
        text(&one.server),
        text(&one.tool),
        text(one.arguments.get()),
        text(&one.tool_digest),
        text(&one.rule),
        text(&one.rule_digest),
        text(&one.digest),
        text(State::Pending.as_str()),
        now.into(),
        expires.into(),
        Val::Text(None),
        Val::Time(None),
        Val::Text(None),
        Val::Time(None),
    ]
}

/// Ends a run that `is_due`; what its calls become is told once.
async fn end(
    tx: &mut Tx,
    run: &str,
    result: Option<&str>,
    is_due: &str,
    now: DateTime<Utc>,
) -> Result<Vec<Confirmation>, DbError> {
    let sql = format!(
        "UPDATE parked_runs SET state = 'ended', body = NULL, result = ?, ended_at = ? WHERE id = ? AND {}",
        is_due.replace("{now}", tx.dialect().now())
    );
    if tx.execute(&sql, &[result.into(), now.into(), run.into()]).await? == 0 {
        return Ok(Vec::new());
    }
    // One statement for both: a call that begins in the middle is seen as one or as the other.
    let [(running, unknown, why), (approved, void, late), (pending, _, over)] = LEFT;
    let sql = format!(
        "UPDATE confirmations SET reason = CASE state WHEN '{0}' THEN ? WHEN '{2}' THEN ? ELSE ? END,
             state = CASE WHEN state = '{0}' THEN '{1}' ELSE '{3}' END
         WHERE run_id = ? AND state IN ('{0}', '{2}', '{4}') RETURNING {COLUMNS}",
        running.as_str(),
        unknown.as_str(),
        approved.as_str(),
        void.as_str(),
        pending.as_str()
    );
    Ok(readable(&tx.fetch_all(&sql, &[why.into(), late.into(), over.into(), run.into()]).await?))
}

/// Ends the runs that somebody left behind, and forgets what ended long ago; what calls become is added to what `changed`
/// already.
async fn end_left(db: &Db, changed: &mut Vec<Confirmation>) -> Result<(), DbError> {
    let left = timed(&format!("SELECT id FROM parked_runs WHERE {IS_LEFT_BEHIND} LIMIT ?"), db);
    for row in db.fetch_all(&left, &[AT_ONCE.into()]).await? {
        let mut tx = db.begin().await?;
        let now = tx.now().await?;
        let ended = end(&mut tx, &row.text("id")?, None, IS_LEFT_BEHIND, now).await?;
        tx.commit().await?;
        changed.extend(ended);
    }
    forget_ended(db).await
}

/// Forgets what ended long ago.
async fn forget_ended(db: &Db) -> Result<(), DbError> {
    const FORGET: &str = "DELETE FROM parked_runs WHERE id IN
        (SELECT id FROM parked_runs WHERE state = 'ended' AND ended_at <= ? LIMIT ?)";
    let mut tx = db.begin().await?;
    let old = tx.now().await? - KEPT;
    tx.execute(FORGET, &[old.into(), AT_ONCE.into()]).await?;
    tx.commit().await
}

/// What else must be so for a step.
fn condition(to: State) -> &'static str {
    match to {
        State::Approved | State::Denied => " AND expires_at > {now}",
        State::Running => {
            " AND EXISTS (SELECT 1 FROM parked_runs r
                          WHERE r.id = confirmations.run_id AND r.state = 'claimed' AND r.lease_until > {now})"
        }
        _ => "",
    }
}

#[async_trait]
impl RunStore for SqlRuns {
    async fn park(&self, run: ParkedRun<'_>) -> Result<(), RunError> {
        if run.body.len() > MAX_RUN_BYTES {
            return Err(RunError::new(format!("a run may have {MAX_RUN_BYTES} bytes")));
        }
        let mut tx = self.tables.db().await?.begin().await?;
        let (now, name) = (tx.now().await?, run.id.to_string());
        let (expires, lapses) = (now + run.expiry, now + run.expiry + GRACE);
        let insert = "INSERT INTO parked_runs (id, state, body, created_at, lapses_at) VALUES (?, 'parked', ?, ?, ?)";
        tx.execute(insert, &[name.as_str().into(), run.body.into(), now.into(), lapses.into()]).await?;
        let rows: Vec<_> = run.confirmations.iter().map(|one| values(one, &name, now, expires)).collect();
        tx.insert_many(&format!("INSERT INTO confirmations ({COLUMNS}) VALUES"), rows, "").await?;
        Ok(tx.commit().await?)
    }

    async fn confirmation(&self, id: Uuid) -> Result<Option<Confirmation>, RunError> {
        Ok(self.select("id = ?", &[id.to_string().into()]).await?.pop())
    }

    async fn of_run(&self, run: Uuid) -> Result<Vec<Confirmation>, RunError> {
        self.select("run_id = ? ORDER BY created_at, id", &[run.to_string().into()]).await
    }

    async fn pending(&self, whose: Whose<'_>, limit: usize) -> Result<Vec<Confirmation>, RunError> {
        self.of("state = 'pending' AND expires_at > {now}", whose, limit).await
    }

    async fn change(&self, change: Change<'_>) -> Result<bool, RunError> {
        let Some(db) = self.existing().await? else { return Ok(false) };
        if !change.from.may_become(change.to) {
            return Ok(false);
        }
        let sql = timed(
            &format!(
                "UPDATE confirmations SET state = ?, reason = coalesce(?, reason), decided_by = coalesce(?, decided_by),
                     decided_at = CASE WHEN ? THEN {{now}} ELSE decided_at END
                 WHERE id = ? AND state = ?{}",
                condition(change.to)
            ),
            db,
        );
        let values = [
            change.to.as_str().into(),
            change.reason.into(),
            change.by.into(),
            change.by.is_some().into(),
            change.id.to_string().into(),
            change.from.as_str().into(),
        ];
        Ok(db.execute(&sql, &values).await? == 1)
    }

    async fn agreed(&self, whose: Whose<'_>, limit: usize) -> Result<Vec<Confirmation>, RunError> {
        let is_left = "state = 'approved'
            AND EXISTS (SELECT 1 FROM parked_runs r WHERE r.id = confirmations.run_id AND r.state = 'parked')
            AND NOT EXISTS (SELECT 1 FROM confirmations c
                            WHERE c.run_id = confirmations.run_id AND c.state = 'pending')";
        self.of(is_left, whose, limit).await
    }

    async fn agree_again(&self, id: Uuid, from: &str, by: &str) -> Result<bool, RunError> {
        let Some(db) = self.existing().await? else { return Ok(false) };
        let sql = "UPDATE confirmations SET decided_by = ?, decided_at = {now}, recorded_at = NULL
                   WHERE id = ? AND state = 'approved' AND decided_by = ? AND EXISTS (SELECT 1 FROM parked_runs r
                       WHERE r.id = confirmations.run_id AND r.state = 'parked')";
        Ok(db.execute(&timed(sql, db), &[by.into(), id.to_string().into(), from.into()]).await? == 1)
    }

    async fn recorded(&self, id: Uuid, by: &str) -> Result<(), RunError> {
        let Some(db) = self.existing().await? else { return Ok(()) };
        let sql = timed("UPDATE confirmations SET recorded_at = {now} WHERE id = ? AND decided_by = ?", db);
        db.execute(&sql, &[id.to_string().into(), by.into()]).await?;
        Ok(())
    }

    async fn body(&self, run: Uuid) -> Result<Option<String>, RunError> {
        let Some(db) = self.existing().await? else { return Ok(None) };
        let sql = "SELECT body FROM parked_runs WHERE id = ? AND state = 'parked'";
        let row = db.fetch_optional(sql, &[run.to_string().into()]).await?;
        Ok(row.map(|row| row.optional_text("body")).transpose()?.flatten())
    }

    async fn claim(&self, run: Uuid, lease: Duration) -> Result<bool, RunError> {
        let mut tx = self.tables.db().await?.begin().await?;
        let (until, name) = (tx.now().await? + lease.min(clock::FAR), run.to_string());
        let claim = "UPDATE parked_runs SET state = 'claimed', lease_until = ?
                     WHERE id = ? AND state = 'parked'
                         AND NOT EXISTS (SELECT 1 FROM confirmations WHERE run_id = ? AND state = 'pending')";
        let claimed = tx.execute(claim, &[until.into(), name.as_str().into(), name.as_str().into()]).await?;
        tx.commit().await?;
        Ok(claimed == 1)
    }

    async fn renew(&self, run: Uuid, lease: Duration) -> Result<bool, RunError> {
        let mut tx = self.tables.db().await?.begin().await?;
        let until = tx.now().await? + lease.min(clock::FAR);
        let renew = "UPDATE parked_runs SET lease_until = ? WHERE id = ? AND state = 'claimed'";
        let renewed = tx.execute(renew, &[until.into(), run.to_string().into()]).await?;
        tx.commit().await?;
        Ok(renewed == 1)
    }

    async fn end(&self, run: Uuid, result: Option<&str>) -> Result<Vec<Confirmation>, RunError> {
        let mut tx = self.tables.db().await?.begin().await?;
        let now = tx.now().await?;
        let left = end(&mut tx, &run.to_string(), result, "state <> 'ended'", now).await?;
        tx.commit().await?;
        Ok(left)
    }

    async fn result(&self, run: Uuid) -> Result<Option<String>, RunError> {
        let Some(db) = self.existing().await? else { return Ok(None) };
        let sql = "SELECT result FROM parked_runs WHERE id = ?";
        let row = db.fetch_optional(sql, &[run.to_string().into()]).await?;
        Ok(row.map(|row| row.optional_text("result")).transpose()?.flatten())
    }

    async fn decided(&self, limit: usize) -> Result<Vec<Uuid>, RunError> {
        let Some(db) = self.existing().await? else { return Ok(Vec::new()) };
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let sql = "SELECT id FROM parked_runs r WHERE state = 'parked'
                       AND NOT EXISTS (SELECT 1 FROM confirmations c WHERE c.run_id = r.id AND c.state = 'pending')
                       AND EXISTS (SELECT 1 FROM confirmations c WHERE c.run_id = r.id AND c.decided_by IS NOT NULL)
                   ORDER BY created_at, id LIMIT ?";
        let rows = db.fetch_all(sql, &[limit.into()]).await?;
        Ok(rows.iter().filter_map(|row| id(&row.text("id").ok()?).ok()).collect())
    }

    async fn lapse(&self) -> Result<Vec<Confirmation>, RunError> {
        let Some(db) = self.existing().await? else { return Ok(Vec::new()) };
        let expire = format!(
            "UPDATE confirmations SET state = 'expired', decided_at = {{now}}, reason = ?
             WHERE state = 'pending' AND id IN (SELECT id FROM confirmations
                 WHERE state = 'pending' AND expires_at <= (SELECT {{now}}) LIMIT ?)
             RETURNING {COLUMNS}"
        );
        let rows = db.fetch_all(&timed(&expire, db), &[TOO_LATE.into(), AT_ONCE.into()]).await?;
        let mut changed = readable(&rows);
        match end_left(db, &mut changed).await {
            // What has changed is told once.
            Err(error) if !changed.is_empty() => tracing::warn!(%error, "what was left behind is looked after later"),
            ended => ended?,
        }
        Ok(changed)
    }
}

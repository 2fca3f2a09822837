//! The rows of people who asked, made at their first closing record.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, TimeDelta, Utc};

use super::super::LogEntry;
use crate::db::{DbError, Tx, Val, insert_many, placeholders};

/// Most characters of a role in the original's table.
const MAX_ROLE: usize = 50;
/// Most people that one query looks for.
const AT_ONCE: usize = 256;
/// How exactly a row knows when somebody asked last.
const RECENT: TimeDelta = TimeDelta::minutes(1);

/// Numbers of people by tenant and address.
pub(super) type People = HashMap<(String, String), i64>;

/// What the records of a batch say of a person.
struct Seen<'a> {
    role: Option<&'a str>,
    at: DateTime<Utc>,
}

/// The people of a batch. The role in their row is what they had, not a grant. Who has a row already is
/// looked up: an insert that finds one would take a number each time, and there are not that many.
/// Rows come in one order, so that two processes never wait for each other in a circle.
pub(super) async fn people<'a>(tx: &mut Tx, logs: impl Iterator<Item = &'a LogEntry>) -> Result<People, DbError> {
    let mut seen: BTreeMap<(&str, &str), Seen<'_>> = BTreeMap::new();
    for log in logs {
        let Some(email) = log.user_email.as_deref() else { continue };
        let known = seen.entry((log.tenant.as_str(), email)).or_insert(Seen { role: None, at: log.created_at });
        known.role = log.user_role.as_deref().or(known.role);
        known.at = known.at.max(log.created_at);
    }
    let mut people = known(tx, &seen).await?;
    insert(tx, &seen, &mut people).await?;
    Ok(people)
}

/// Those who have a row, brought up to date where it says something else.
async fn known(tx: &mut Tx, seen: &BTreeMap<(&str, &str), Seen<'_>>) -> Result<People, DbError> {
    const UPDATE: &str = "UPDATE users SET role = CASE WHEN role_source = 'seen' THEN ? ELSE role END,
        updated_at = CASE WHEN updated_at < ? THEN ? ELSE updated_at END WHERE id = ?";
    let mut people = People::new();
    let all: Vec<(&str, &str)> = seen.keys().copied().collect();
    let [tenant, email] = ["tenant", "email"].map(|column| tx.dialect().by_bytes(column));
    for some in all.chunks(AT_ONCE) {
        // Few different statements: the last pair fills up to a power of two.
        let size = some.len().next_power_of_two();
        let pairs = vec![format!("({})", placeholders(2)); size].join(", ");
        let sql = format!(
            "SELECT id, tenant, email, role, role_source, updated_at FROM users WHERE (tenant, email) IN (VALUES {pairs})
             ORDER BY {tenant}, {email}"
        );
        let filled = some.iter().chain(some.last().into_iter().cycle()).take(size);
        let values: Vec<Val<'_>> = filled.flat_map(|(tenant, email)| [(*tenant).into(), (*email).into()]).collect();
        for row in tx.fetch_all(&sql, &values).await? {
            let (id, tenant, email) = (row.int("id")?, row.text("tenant")?, row.text("email")?);
            if let Some(now) = seen.get(&(tenant.as_str(), email.as_str())) {
                let (had, has) = (row.optional_text("role")?, now.role.map(cut));
                let is_seen = row.text("role_source")? == "seen";
                let is_other = is_seen && has.is_some() && has != had;
                if is_other || row.optional_time("updated_at")?.is_none_or(|at| now.at - at > RECENT) {
                    tx.execute(UPDATE, &[has.or(had).into(), now.at.into(), now.at.into(), id.into()]).await?;
                }
            }
            people.insert((tenant, email), id);
        }
    }
    Ok(people)
}

/// Rows for those who have none; somebody else may make them at the same time.
async fn insert(tx: &mut Tx, seen: &BTreeMap<(&str, &str), Seen<'_>>, people: &mut People) -> Result<(), DbError> {
    const INTO: &str = "INSERT INTO users (tenant, email, name, role, created_at, updated_at) VALUES";
    const REST: &str = "ON CONFLICT (tenant, email) DO UPDATE SET updated_at = excluded.updated_at
        RETURNING id, tenant, email";
    let is_new = |(tenant, email): &(&str, &str)| !people.contains_key(&((*tenant).to_owned(), (*email).to_owned()));
    let new = seen.iter().filter(|(person, _)| is_new(person));
    let rows: Vec<_> = new.map(|((tenant, email), seen)| row(tenant, email, seen)).collect();
    for (sql, values) in insert_many(tx.dialect(), INTO, rows, REST) {
        for row in tx.fetch_all(&sql, &values).await? {
            people.insert((row.text("tenant")?, row.text("email")?), row.int("id")?);
        }
    }
    Ok(())
}

fn row<'a>(tenant: &'a str, email: &'a str, seen: &Seen<'_>) -> Vec<Val<'a>> {
    let role = seen.role.map(cut);
    vec![tenant.into(), email.into(), name_of(email).into(), role.into(), seen.at.into(), seen.at.into()]
}

fn cut(role: &str) -> String {
    role.chars().take(MAX_ROLE).collect()
}

fn name_of(subject: &str) -> &str {
    let subject = subject.strip_prefix("local:").unwrap_or(subject);
    subject.split('@').next().unwrap_or(subject)
}

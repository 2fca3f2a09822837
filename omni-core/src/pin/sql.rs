//! Pins in the table `tool_pins`.

use async_trait::async_trait;
use serde_json::Value;

use super::{Mark, Pin, PinError, PinStore, Seen, Why};
use crate::{
    db::{DbError, Row, Tx, Val},
    people::Tables,
    scan::Finding,
};

const MARK_COLUMNS: &str =
    "server, tool, revision, pinned_digest, pinned_findings, pinned_by, held_why, held_digest, held_findings";
const COLUMNS: &str = "server, tool, revision, pinned_digest, pinned_definition, pinned_findings, pinned_at, pinned_by,
    held_why, held_digest, held_definition, held_findings, held_at";

/// Pins in a database: what one process saw, all others know.
#[derive(Debug, Clone)]
pub struct SqlPins {
    tables: Tables,
}

impl SqlPins {
    /// The pins of these tables.
    #[must_use]
    pub fn new(tables: Tables) -> Self {
        Self { tables }
    }

    async fn rows(&self, columns: &str, server: Option<&str>, tool: Option<&str>) -> Result<Vec<Row>, PinError> {
        let Some(db) = self.tables.existing().await? else { return Ok(Vec::new()) };
        let mut sql = format!("SELECT {columns} FROM tool_pins WHERE 1 = 1");
        let mut values: Vec<Val<'_>> = Vec::new();
        for (column, value) in [("server", server), ("tool", tool)] {
            if let Some(value) = value {
                sql.push_str(&format!(" AND {column} = ?"));
                values.push(value.into());
            }
        }
        let [server, tool] = ["server", "tool"].map(|column| db.dialect().by_bytes(column));
        sql.push_str(&format!(" ORDER BY {server}, {tool}"));
        Ok(db.fetch_all(&sql, &values).await?)
    }
}

impl From<DbError> for PinError {
    fn from(error: DbError) -> Self {
        Self::new(error.to_string())
    }
}

fn mark(row: &Row) -> Result<Mark, DbError> {
    let pinned = row.optional_text("pinned_digest")?;
    let held = row.optional_text("held_why")?.zip(row.optional_text("held_digest")?);
    let pinned = pinned.map(|digest| Ok::<_, DbError>((digest, findings(row, "pinned_findings")?)));
    let held = held.map(|(why, digest)| Ok::<_, DbError>((reason(&why), digest, findings(row, "held_findings")?)));
    Ok(Mark {
        server: row.text("server")?,
        tool: row.text("tool")?,
        revision: row.int("revision")?,
        pinned: pinned.transpose()?,
        is_agreed: row.optional_text("pinned_by")?.is_some(),
        held: held.transpose()?,
    })
}

fn pin(row: &Row) -> Result<Pin, DbError> {
    let held = row.optional_text("held_why")?.map(|why| reason(&why)).zip(seen(row, "held")?);
    Ok(Pin {
        server: row.text("server")?,
        tool: row.text("tool")?,
        revision: row.int("revision")?,
        pinned: seen(row, "pinned")?,
        pinned_by: row.optional_text("pinned_by")?,
        held,
    })
}

fn seen(row: &Row, which: &str) -> Result<Option<Seen>, DbError> {
    let column = |name: &str| format!("{which}_{name}");
    let Some(digest) = row.optional_text(&column("digest"))? else { return Ok(None) };
    Ok(Some(Seen {
        digest,
        definition: row.text(&column("definition"))?,
        findings: findings(row, &column("findings"))?,
        at: row.time(&column("at"))?,
    }))
}

/// What another build found and this one does not know is left out.
fn findings(row: &Row, column: &str) -> Result<Vec<Finding>, DbError> {
    let Some(Value::Array(items)) = row.optional_json(column)? else { return Ok(Vec::new()) };
    Ok(items.into_iter().filter_map(|item| serde_json::from_value(item).ok()).collect())
}

/// A reason that this build does not know keeps back like any other.
fn reason(name: &str) -> Why {
    let known = [Why::Changed, Why::New, Why::Suspicious, Why::Unverified];
    known.into_iter().find(|why| why.as_str() == name).unwrap_or(Why::Suspicious)
}

/// What stands in a pin's row, without server, tool and revision.
fn values(pin: &Pin) -> Vec<Val<'_>> {
    let (why, held) = pin.held.as_ref().map_or((None, None), |(why, seen)| (Some(why.as_str()), Some(seen)));
    let mut values = of_seen(pin.pinned.as_ref());
    values.push((&pin.pinned_by).into());
    values.push(why.into());
    values.extend(of_seen(held));
    values
}

fn of_seen(seen: Option<&Seen>) -> Vec<Val<'_>> {
    let findings = seen.map(|seen| serde_json::to_value(&seen.findings).unwrap_or_default());
    vec![
        seen.map(|seen| seen.digest.as_str()).into(),
        seen.map(|seen| seen.definition.as_str()).into(),
        findings.into(),
        seen.map(|seen| seen.at).into(),
    ]
}

/// Writes new pins in a few statements; whether none of them was there.
async fn insert(tx: &mut Tx, pins: &[&Pin]) -> Result<bool, DbError> {
    const INTO: &str = "INSERT INTO tool_pins (server, tool, revision, pinned_digest, pinned_definition,
        pinned_findings, pinned_at, pinned_by, held_why, held_digest, held_definition, held_findings, held_at) VALUES";
    let rows: Vec<Vec<Val<'_>>> = pins.iter().map(|pin| new_row(pin)).collect();
    let written = tx.insert_many(INTO, rows, "ON CONFLICT (server, tool) DO NOTHING").await?;
    Ok(written == pins.len() as u64)
}

fn new_row(pin: &Pin) -> Vec<Val<'_>> {
    let mut row: Vec<Val<'_>> = vec![(&pin.server).into(), (&pin.tool).into(), 1_i64.into()];
    row.extend(values(pin));
    row
}

/// Writes a pin over its earlier revision; whether that was the one.
async fn update(tx: &mut Tx, pin: &Pin) -> Result<bool, DbError> {
    const UPDATE: &str = "UPDATE tool_pins SET pinned_digest = ?, pinned_definition = ?, pinned_findings = ?,
        pinned_at = ?, pinned_by = ?, held_why = ?, held_digest = ?, held_definition = ?, held_findings = ?,
        held_at = ?, revision = revision + 1 WHERE server = ? AND tool = ? AND revision = ?";
    let mut row = values(pin);
    row.extend([(&pin.server).into(), (&pin.tool).into(), pin.revision.into()]);
    Ok(tx.execute(UPDATE, &row).await? == 1)
}

#[async_trait]
impl PinStore for SqlPins {
    async fn marks(&self, server: Option<&str>) -> Result<Vec<Mark>, PinError> {
        let rows = self.rows(MARK_COLUMNS, server, None).await?;
        Ok(rows.iter().map(mark).collect::<Result<_, DbError>>()?)
    }

    async fn pins(&self, server: Option<&str>, tool: Option<&str>) -> Result<Vec<Pin>, PinError> {
        let rows = self.rows(COLUMNS, server, tool).await?;
        Ok(rows.iter().map(pin).collect::<Result<_, DbError>>()?)
    }

    async fn put(&self, pins: &[Pin]) -> Result<bool, PinError> {
        // In one order, as everybody takes the rows.
        let mut pins: Vec<&Pin> = pins.iter().collect();
        pins.sort_by(|a, b| (&a.server, &a.tool).cmp(&(&b.server, &b.tool)));
        let (new, known): (Vec<&Pin>, Vec<&Pin>) = pins.into_iter().partition(|pin| pin.revision == 0);
        let mut tx = self.tables.db().await?.begin().await?;
        if !insert(&mut tx, &new).await? {
            return Ok(false);
        }
        for pin in known {
            if !update(&mut tx, pin).await? {
                return Ok(false);
            }
        }
        tx.commit().await?;
        Ok(true)
    }
}

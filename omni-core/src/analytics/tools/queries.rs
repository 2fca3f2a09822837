//! Single requests: the most expensive, the slowest, those of many turns, those that failed.

use super::{nothing, some};
use crate::{
    analytics::{
        data::{RequestList, View},
        definitions::Args,
        error::AnalyticsError,
        period::Period,
        report::{Cell, Report, Table},
    },
    db::Row,
};

pub(super) async fn expensive(
    view: &View<'_>,
    period: &Period,
    user: Option<&str>,
    args: &Args,
) -> Result<Report, AnalyticsError> {
    let rows = view
        .requests(&RequestList {
            period,
            user,
            condition: "r.cost_nano_usd > 0",
            more: Vec::new(),
            order: "r.cost_nano_usd DESC, r.created_at DESC, r.id DESC",
            limit: args.limit(10),
        })
        .await?;
    if rows.is_empty() {
        return Ok(nothing("No question cost anything", period, user));
    }
    let headings = &[
        ("rank", "#"),
        ("cost_usd", "cost"),
        ("user", "user"),
        ("query", "question"),
        ("iterations", "turns"),
        ("tools", "tools"),
        ("duration_ms", "time"),
        ("tokens_input", "in"),
        ("tokens_output", "out"),
        ("at", "when"),
        ("request_id", "ask"),
    ];
    let mut table = Table::new("queries", "Most expensive", headings);
    for (at, row) in rows.iter().enumerate() {
        table.push(vec![
            Cell::Count(at as u64 + 1),
            Cell::Usd(row.optional_int("cost_nano_usd")?.unwrap_or(0)),
            text(row, "user_email")?,
            question(row)?,
            number(row, "iterations")?,
            list(row, "tools_used")?,
            ms(row)?,
            number(row, "tokens_input")?,
            number(row, "tokens_output")?,
            Cell::Time(row.time("created_at")?),
            text(row, "request_id")?,
        ]);
    }
    let says = format!("The {} ({}).", most(rows.len(), "most expensive question"), period.name);
    Ok(Report::new(says, Some(period)).table(table))
}

pub(super) async fn slow(view: &View<'_>, period: &Period, args: &Args) -> Result<Report, AnalyticsError> {
    let least = i64::try_from(args.min_duration_ms.unwrap_or(5_000)).unwrap_or(i64::MAX);
    // What an index is kept of has to be said in so many words.
    let condition = if least >= 1_000 { "r.duration_ms >= 1000" } else { "r.duration_ms >= 0" };
    let rows = view
        .requests(&RequestList {
            period,
            user: None,
            condition,
            more: vec![("r.duration_ms >= ?", least)],
            order: "r.duration_ms DESC, r.created_at DESC, r.id DESC",
            limit: args.limit(20),
        })
        .await?;
    if rows.is_empty() {
        return Ok(nothing(&format!("No request took {least} ms or longer"), period, None));
    }
    let headings = &[
        ("duration_ms", "time"),
        ("user", "user"),
        ("query", "question"),
        ("iterations", "turns"),
        ("tools", "tools"),
        ("mcps", "servers"),
        ("status", "end"),
        ("at", "when"),
        ("request_id", "ask"),
    ];
    let mut table = Table::new("queries", "Slowest", headings);
    for row in &rows {
        table.push(vec![
            ms(row)?,
            text(row, "user_email")?,
            question(row)?,
            number(row, "iterations")?,
            list(row, "tools_used")?,
            list(row, "mcps_accessed")?,
            text(row, "status")?,
            Cell::Time(row.time("created_at")?),
            text(row, "request_id")?,
        ]);
    }
    let says = format!("The {} that took {least} ms or longer ({}).", most(rows.len(), "slowest request"), period.name);
    Ok(Report::new(says, Some(period)).table(table))
}

pub(super) async fn iterations(view: &View<'_>, period: &Period, args: &Args) -> Result<Report, AnalyticsError> {
    let least = i64::try_from(args.min_iterations.unwrap_or(5)).unwrap_or(i64::MAX);
    let condition = if least >= 2 { "r.iterations >= 2" } else { "r.iterations >= 0" };
    let rows = view
        .requests(&RequestList {
            period,
            user: None,
            condition,
            more: vec![("r.iterations >= ?", least)],
            order: "r.iterations DESC, r.created_at DESC, r.id DESC",
            limit: args.limit(20),
        })
        .await?;
    if rows.is_empty() {
        let turns = some(u64::try_from(least).unwrap_or(0), "iteration", "iterations");
        return Ok(nothing(&format!("No question needed {turns} or more"), period, None));
    }
    let headings = &[
        ("iterations", "turns"),
        ("user", "user"),
        ("query", "question"),
        ("warning", "warning"),
        ("tools", "tools"),
        ("duration_ms", "time"),
        ("at", "when"),
        ("request_id", "ask"),
    ];
    let mut table = Table::new("queries", "Most iterations", headings);
    for row in &rows {
        table.push(vec![
            number(row, "iterations")?,
            text(row, "user_email")?,
            question(row)?,
            text(row, "warning")?,
            list(row, "tools_used")?,
            ms(row)?,
            Cell::Time(row.time("created_at")?),
            text(row, "request_id")?,
        ]);
    }
    let says = format!("The {} of most iterations, from {least} on ({}).", most(rows.len(), "question"), period.name);
    Ok(Report::new(says, Some(period)).table(table))
}

pub(super) async fn failed(
    view: &View<'_>,
    period: &Period,
    user: Option<&str>,
    args: &Args,
) -> Result<Report, AnalyticsError> {
    let rows = view
        .requests(&RequestList {
            period,
            user,
            condition: "NOT r.success AND r.status IN ('error', 'timeout', 'unknown_outcome')",
            more: Vec::new(),
            order: "r.created_at DESC, r.id DESC",
            limit: args.limit(10),
        })
        .await?;
    if rows.is_empty() {
        return Ok(nothing("Nothing failed", period, user));
    }
    let headings = &[
        ("id", "audit id"),
        ("at", "when"),
        ("user", "user"),
        ("query", "question"),
        ("status", "end"),
        ("error", "error"),
        ("tools", "tools"),
        ("mcps", "servers"),
        ("request_id", "ask"),
    ];
    let mut table = Table::new("queries", "Failed", headings);
    for row in &rows {
        table.push(vec![
            number(row, "id")?,
            Cell::Time(row.time("created_at")?),
            text(row, "user_email")?,
            question(row)?,
            text(row, "status")?,
            text(row, "error_message")?,
            list(row, "tools_used")?,
            list(row, "mcps_accessed")?,
            text(row, "request_id")?,
        ]);
    }
    let says = format!("The {} that failed, newest first ({}).", most(rows.len(), "last request"), period.name);
    Ok(Report::new(says, Some(period)).table(table))
}

/// What somebody asked, or which tool they called.
pub(super) fn question(row: &Row) -> Result<Cell, AnalyticsError> {
    if let Some(message) = row.optional_text("message_preview")? {
        return Ok(Cell::text(message));
    }
    let (server, tool) = (row.optional_text("mcp_target")?, row.optional_text("tool_called")?);
    let called = server.zip(tool).map(|(server, tool)| format!("(call of {server}.{tool})"));
    Ok(Cell::text(called.unwrap_or_default()))
}

pub(super) fn text(row: &Row, column: &str) -> Result<Cell, AnalyticsError> {
    Ok(Cell::text(row.optional_text(column)?.unwrap_or_default()))
}

fn list(row: &Row, column: &str) -> Result<Cell, AnalyticsError> {
    let mut all = row.texts(column)?;
    all.dedup();
    Ok(Cell::text(all.join(", ")))
}

fn number(row: &Row, column: &str) -> Result<Cell, AnalyticsError> {
    let number = row.optional_int(column)?.and_then(|number| u64::try_from(number).ok());
    Ok(number.map_or(Cell::Nothing, Cell::Count))
}

fn ms(row: &Row) -> Result<Cell, AnalyticsError> {
    let number = row.optional_int("duration_ms")?.and_then(|number| u64::try_from(number).ok());
    Ok(number.map_or(Cell::Nothing, Cell::Ms))
}

/// `most expensive question`, `5 most expensive questions`.
fn most(count: usize, what: &str) -> String {
    if count == 1 { what.to_owned() } else { format!("{count} {what}s") }
}

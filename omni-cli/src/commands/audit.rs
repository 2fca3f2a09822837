//! `omni audit`: reading the ledger.

use std::{sync::Arc, time::Duration};

use omni_core::{
    Config, Error, Omni,
    audit::{AuditAccess, AuditError, AuditQuery, AuditReader, AuditStats, LogEntry, LogPage, MAX_PAGE, Order, export},
    compose,
};

use super::follow;
use crate::{
    app::App,
    args::{ExportArgs, ExportFormat, FilterArgs, ListLogsArgs, StatsArgs},
    exit::Exit,
    fault::Fault,
    render::one_line,
};

pub(super) mod proof;
pub(super) mod tail;

/// How long what dead processes left may take on its way into the store.
const SETTLE: Duration = Duration::from_secs(10);

/// The ledger as the person at the terminal may read it.
struct Reading {
    omni: Omni,
    access: AuditAccess,
}

impl Reading {
    async fn open(app: &App, filter: &FilterArgs) -> Result<Self, Fault> {
        if filter.since.zip(filter.until).is_some_and(|(since, until)| since >= until) {
            return Err(Fault::usage("--since is not before --until, so there is nothing between them"));
        }
        let omni = app.omni().await?;
        if let Err(error) = omni.ledger().flush(SETTLE).await {
            app.console.warning(&format!("the newest records are not there yet: {error}"));
        }
        match omni.audit(app.credential(filter.act_as.as_deref())).await {
            Ok(access) => Ok(Self { omni, access }),
            Err(error) => {
                follow::close(&omni).await;
                Err(error.into())
            }
        }
    }

    /// Ends the pipeline, and says how the reading went.
    async fn close(self, read: Result<Exit, Fault>) -> Result<Exit, Fault> {
        follow::close(&self.omni).await;
        read
    }
}

fn failed(error: AuditError) -> Fault {
    Error::from(error).into()
}

/// Lists a page.
pub(super) async fn list(app: &App, args: &ListLogsArgs) -> Result<Exit, Fault> {
    let reading = Reading::open(app, &args.filter).await?;
    let mut query = args.filter.query(Order::NewestFirst);
    (query.limit, query.after) = (usize::try_from(args.limit).ok(), args.after);
    let shown = match reading.access.logs(&query).await {
        Ok(page) => page_of(app, &page, args.json),
        Err(error) => Err(failed(error)),
    };
    reading.close(shown).await
}

fn page_of(app: &App, page: &LogPage, json: bool) -> Result<Exit, Fault> {
    if json {
        app.console.json(page)?;
        return Ok(Exit::Success);
    }
    for entry in &page.entries {
        app.console.line(&line(entry))?;
    }
    if let Some(next) = &page.next {
        app.console.hint(&format!("there are more; go on with --after {next}"));
    }
    Ok(Exit::Success)
}

/// An entry for people: when, who, what, how it ended, about how much, how long.
fn line(entry: &LogEntry) -> String {
    let about = if entry.cost_is_estimated { "~" } else { "" };
    let cost = entry.cost_estimate.map(|cost| format!("{about}${cost:.6}")).unwrap_or_default();
    let what = match (&entry.mcp_target, &entry.tool_called) {
        (Some(server), Some(tool)) => format!("{server}.{tool}"),
        _ => entry.message_preview.clone().unwrap_or_default(),
    };
    // Models make up names of tools, and proxies those of people.
    let (who, what) = (one_line(entry.user_email.as_deref().unwrap_or("-")), one_line(&what));
    format!(
        "{}  {who:<24} {:<9} {:<15} {cost:>10} {:>7} ms  {what}",
        entry.created_at.format("%Y-%m-%d %H:%M:%SZ"),
        entry.request_type,
        entry.status,
        entry.duration_ms,
    )
}

/// Sums up.
pub(super) async fn stats(app: &App, args: &StatsArgs) -> Result<Exit, Fault> {
    let reading = Reading::open(app, &args.filter).await?;
    let shown = match reading.access.stats(&args.filter.query(Order::NewestFirst)).await {
        Ok(stats) if args.json => app.console.json(&stats).map(|()| Exit::Success),
        Ok(stats) => app.console.line(&sums(&stats)).map(|()| Exit::Success).map_err(Fault::from),
        Err(error) => Err(failed(error)),
    };
    reading.close(shown).await
}

fn sums(stats: &AuditStats) -> String {
    let unpriced = match stats.unpriced_count {
        0 => String::new(),
        count => format!(", without {count} whose price is not known"),
    };
    let estimated = match stats.estimated_count {
        0 => String::new(),
        count => format!(" (of {count} an estimate)"),
    };
    let mut lines = vec![
        format!(
            "requests: {} ({} blocked), {} tool calls",
            stats.total_requests, stats.blocked_count, stats.total_tool_calls
        ),
        format!("cost: ${:.6}{estimated}{unpriced}", stats.total_cost),
        format!(
            "tokens: {} in, {} out, {} cached, {} written to the cache",
            stats.total_tokens_input,
            stats.total_tokens_output,
            stats.total_tokens_cached,
            stats.total_tokens_cache_write
        ),
        format!("on average: {:.1} turns, {:.0} ms", stats.avg_iterations, stats.avg_duration_ms),
    ];
    if stats.admin_count > 0 {
        lines.push(format!("operations of administrators: {}", stats.admin_count));
    }
    lines.extend(stats.by_status.iter().map(|(status, count)| format!("{status}: {count}")));
    lines.join("\n")
}

/// Writes everything, page by page.
pub(super) async fn export(app: &App, args: &ExportArgs) -> Result<Exit, Fault> {
    let reading = Reading::open(app, &args.filter).await?;
    let written = write_all(app, args, &reading.access).await;
    reading.close(written).await
}

async fn write_all(app: &App, args: &ExportArgs, access: &AuditAccess) -> Result<Exit, Fault> {
    let mut query: AuditQuery = args.filter.query(Order::OldestFirst);
    query.limit = Some(MAX_PAGE);
    if args.format == ExportFormat::Csv {
        app.console.write(&export::csv_header())?;
    }
    loop {
        let page = access.logs(&query).await.map_err(failed)?;
        for entry in &page.entries {
            match args.format {
                ExportFormat::Csv => app.console.write(&export::csv_line(entry))?,
                ExportFormat::Ndjson => app.console.json_line(entry)?,
            }
        }
        match page.next {
            Some(next) => query.after = Some(next),
            None => return Ok(Exit::Success),
        }
    }
}

/// The store of a configuration, for whoever needs no policy because they have the key and the
/// database anyway.
pub(super) async fn store(app: &App, config: &Config) -> Result<Arc<dyn AuditReader>, Fault> {
    readable(config, compose::ledger_store(config, &app.registry).await?.reader)
}

fn readable(config: &Config, reader: Option<Arc<dyn AuditReader>>) -> Result<Arc<dyn AuditReader>, Fault> {
    reader.ok_or_else(|| Fault::usage(format!("{} cannot be read back", config.audit.kind)))
}

#[cfg(test)]
mod tests {
    use omni_core::{
        cost::NanoUsd,
        ledger::{AskRecord, CallRecord, Event, Outcome, Record},
    };
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_names_its_zone_and_says_which_cost_is_an_estimate() {
        let told = |is_estimated| {
            let mut ask = AskRecord::new("Hi", Outcome::Cancelled);
            (ask.cost, ask.usage.estimated) = (Some(NanoUsd(7_166_000)), is_estimated);
            line(&LogEntry::of(&Record::new(uuid::Uuid::nil(), None, Event::Ask(Box::new(ask)))).unwrap())
        };
        assert!(told(true).contains(" ~$0.007166 ") && told(false).contains("  $0.007166 "));
        assert!(told(true).split("  ").next().unwrap().ends_with('Z'), "{}", told(true));
    }

    #[test]
    fn sums_add_up_to_their_cost() {
        let mut stats = AuditStats::default();
        (stats.total_cost, stats.estimated_count, stats.total_tokens_cache_write) = (0.5, 2, 2_679_880);
        let told = sums(&stats);
        assert!(told.contains("\ncost: $0.500000 (of 2 an estimate)\n"), "{told}");
        assert!(told.contains("\ntokens: 0 in, 0 out, 0 cached, 2679880 written to the cache\n"), "{told}");
    }

    #[test]
    fn the_name_of_a_tool_forges_no_line() {
        let forged = "x\n2026-11-30 10:00:00  root  tool_call success\u{2028}\u{202e}evil.drop_all\r\u{1b}[2K";
        let call = CallRecord::new("db", forged, json!({}), Outcome::Denied);
        let entry = LogEntry::of(&Record::new(uuid::Uuid::nil(), None, Event::DirectCall(call))).unwrap();
        let told = line(&entry);
        assert!(told.ends_with("  db.x 2026-11-30 10:00:00 root tool_call success evil.drop_all"), "{told:?}");
    }
}
